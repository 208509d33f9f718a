"""The autoencoder: h = f(x), r = g(h), trained to reconstruct x."""

from jaxae.arguments import checked
from jaxae.base import Likelihood, Network
from jaxae.composition import Autoencoder
from jaxae.distributions.likelihoods import gaussian
from jaxae.distributions.posteriors import point
from jaxae.models.latent import latent_variable_model
from jaxae.objectives.bounds import reconstruction
from jaxae.recipes import constructor


@constructor("autoencoder")
@checked
def autoencoder(
    encoder: Network, decoder: Network, likelihood: Likelihood | None = None
) -> Autoencoder:
    r"""An autoencoder with a deterministic code.

    .. math:: L(x) = -\log p(x \mid g(f(x)))

    With `gaussian()`, the default, the loss is half the squared error plus a constant; with
    `bernoulli()` it is the cross-entropy. It has no prior: `sample` and `log_weight` raise an
    error that says so.

    Args:
      encoder: from images to codes, `[b, d]`.
      decoder: from codes to the outputs of the likelihood.
      likelihood: parametrised by these outputs; `gaussian()` when None.

    Returns:
      an :class:`Autoencoder` whose loss has the term `distortion`, -log p(x | z) in nats.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> from jaxae.networks import mlp_decoder, mlp_encoder
      >>> model = autoencoder(mlp_encoder(2), mlp_decoder((8, 8, 1)))
      >>> images = jnp.zeros((4, 8, 8, 1))
      >>> params = model.init(jax.random.key(0), images)
      >>> model.encode(params, images).shape
      (4, 2)

    References:
      Hinton and Salakhutdinov, `Reducing the Dimensionality of Data with Neural Networks
      <https://www.cs.toronto.edu/~hinton/absps/science.pdf>`_.
    """
    likelihood = gaussian() if likelihood is None else likelihood
    model = latent_variable_model(encoder, decoder, likelihood, point(), None, name="autoencoder")
    return Autoencoder(model, reconstruction())
