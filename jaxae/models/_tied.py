"""Autoencoders whose decoder is the transpose of the encoder."""

import math
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from jaxae.arguments import checked
from jaxae.base import Likelihood, Params
from jaxae.composition import Autoencoder
from jaxae.distributions.likelihoods import gaussian
from jaxae.models.latent import from_functions
from jaxae.networks.layers import Activation
from jaxae.objectives.bounds import reconstruction
from jaxae.recipes import constructor


@constructor("tied_autoencoder")
@checked
def tied_autoencoder(
    shape: Sequence[int],
    latent_dim: int,
    hidden: Sequence[int] = (),
    *,
    activation: Activation = nn.gelu,
    code_activation: Activation | None = None,
    likelihood: Likelihood | None = None,
) -> Autoencoder:
    r"""An autoencoder with one set of matrices, transposed in the decoder.

    .. math:: h = s(W_h x + b_h), \qquad r = W_x h + b_x, \qquad W_x = W_h^T

    and likewise for more layers. Tied weights cannot make the codes small in the encoder and large again
    in the decoder, so that a contractive penalty cannot be evaded in this way.

    Args:
      shape: of one image, `(h, w, c)`.
      latent_dim: size of the code.
      hidden: widths of the layers between.
      activation: after each of them, in the encoder and in the decoder.
      code_activation: after the code itself: `jax.nn.sigmoid` is the setting of Rifai et al.; with
        None the code is linear.
      likelihood: parametrised by the outputs, one for each value; `gaussian()` when None.

    Returns:
      an :class:`Autoencoder`; the parameters of its decoder are the biases alone.

    Raises:
      ValueError: if a size is not positive, or the likelihood needs several outputs for each value.

    Examples:
      >>> from jaxae import likelihoods
      >>> model = tied_autoencoder((8, 8, 1), 4, (16,), likelihood=likelihoods.bernoulli())
      >>> images = jnp.zeros((2, 8, 8, 1))
      >>> params = model.init(jax.random.key(0), images)
      >>> model.encode(params, images).shape, sorted(params["decoder"])
      ((2, 4), ['bias_0', 'bias_1'])

    References:
      Vincent et al., `Stacked Denoising Autoencoders
      <https://www.jmlr.org/papers/v11/vincent10a.html>`_, section 2.2.
    """
    widths = (math.prod(shape), *hidden, latent_dim)
    if min(widths) < 1:
        raise ValueError(f"every layer needs at least one unit, got {widths}")
    if likelihood is not None and (likelihood.outputs != 1 or likelihood.init is not None):
        raise ValueError(
            f"tied weights give one output for each value, and this likelihood needs "
            f"{likelihood.outputs} or parameters of its own"
        )
    layers = range(len(widths) - 1)

    def init(key: PRNGKeyArray, x: Array) -> Params:
        encoder, decoder = {}, {}
        for i, layer_key in zip(layers, jax.random.split(key, len(layers)), strict=True):
            encoder[f"kernel_{i}"] = nn.initializers.lecun_normal()(
                layer_key, widths[i : i + 2], jnp.float32
            )
            encoder[f"bias_{i}"] = jnp.zeros(widths[i + 1])
            decoder[f"bias_{i}"] = jnp.zeros(widths[i])
        return {"encoder": encoder, "decoder": decoder}

    def encode(params: Params, x: Array, key: PRNGKeyArray | None = None) -> Array:
        h = x.reshape(x.shape[0], -1)
        for i in layers:
            h = h @ params["encoder"][f"kernel_{i}"] + params["encoder"][f"bias_{i}"]
            if i != layers[-1]:
                h = activation(h)
        return h if code_activation is None else code_activation(h)

    def outputs(params: Params, z: Array, key: PRNGKeyArray | None = None) -> Array:
        h = z
        for i in reversed(layers):
            h = h @ params["encoder"][f"kernel_{i}"].T + params["decoder"][f"bias_{i}"]
            if i != 0:
                h = activation(h)
        return h.reshape(z.shape[0], *shape)

    likelihood = gaussian() if likelihood is None else likelihood
    model = from_functions(init, encode, outputs, likelihood, name="tied_autoencoder")
    return Autoencoder(model, reconstruction())
