"""The autoencoder: h = f(x), r = g(h), trained to make r describe x."""

from collections.abc import Callable

import jax
from jaxtyping import Array, PRNGKeyArray

from jaxae.base import (
    Autoencoder,
    Likelihood,
    Network,
    Output,
    Params,
    Step,
    Target,
    what_and_label,
)
from jaxae.distributions.likelihoods import gaussian


def autoencoder(
    encoder: Network, decoder: Network, likelihood: Likelihood | None = None
) -> Autoencoder:
    r"""An autoencoder with a deterministic code.

    .. math:: L(x) = -\log p(x \mid g(f(x)))

    With `gaussian()`, the default, the loss is half the squared error plus a constant; with
    `bernoulli()` it is the cross-entropy. It has no prior: `sample` and `log_weight` are None.

    Args:
      encoder: from images to codes, `[b, d]`.
      decoder: from codes to the outputs of the likelihood.
      likelihood: what those outputs mean.

    Returns:
      an :class:`Autoencoder` whose loss has the term `distortion`, -log p(x | z) in nats.

    Examples:
      >>> import jax.numpy as jnp, jaxae
      >>> model = autoencoder(jaxae.mlp_encoder(2), jaxae.mlp_decoder((8, 8, 1)))
      >>> images = jnp.zeros((4, 8, 8, 1))
      >>> params = model.init(jax.random.key(0), images)
      >>> model.encode(params, images).shape
      (4, 2)

    References:
      Hinton and Salakhutdinov, `Reducing the Dimensionality of Data with Neural Networks
      <https://www.cs.toronto.edu/~hinton/absps/science.pdf>`_.
    """
    likelihood = gaussian() if likelihood is None else likelihood

    def init(key: PRNGKeyArray, x: Array) -> Params:
        encoder_key, decoder_key = jax.random.split(key)
        params = encoder.init(encoder_key, x)
        z = encoder.apply(params, x)
        return {"encoder": params, "decoder": decoder.init(decoder_key, z)}

    def encode(params: Params, x: Array, key: PRNGKeyArray | None = None) -> Array:
        return encoder.apply(params["encoder"], x, key=key)

    def outputs(params: Params, z: Array, key: PRNGKeyArray | None = None) -> Array:
        return decoder.apply(params["decoder"], z, key=key)

    return from_functions(init, encode, outputs, likelihood)


def from_functions(
    init: Callable[[PRNGKeyArray, Array], Params],
    encode: Callable[[Params, Array, PRNGKeyArray | None], Array],
    outputs: Callable[[Params, Array, PRNGKeyArray | None], Array],
    likelihood: Likelihood,
) -> Autoencoder:
    """The same from functions of all the parameters, where encoder and decoder share some of them.

    Args:
      init: `(key, x) -> params`.
      encode: `(params, x, key) -> z`; the key is None where there is no dropout.
      outputs: `(params, z, key) -> outputs`, those that the likelihood wants.
      likelihood: what the outputs mean.
    """

    def decode(params: Params, z: Array) -> Array:
        return likelihood.mean(outputs(params, z, None))

    def loss(
        params: Params,
        key: PRNGKeyArray,
        x: Array,
        *,
        target: Target = None,
        step: Step = 0,
        train: bool = True,
    ) -> Output:
        encoder_key, decoder_key = jax.random.split(key) if train else (None, None)
        z = encode(params, x, encoder_key)
        image, _ = what_and_label(x, target)
        distortion = -likelihood.log_prob(outputs(params, z, decoder_key), image)
        return Output(distortion, {"distortion": distortion}, z)

    return Autoencoder(init, lambda params, x: encode(params, x, None), decode, loss)
