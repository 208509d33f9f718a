"""Denoising autoencoders: reconstruct the clean image from a corrupted one."""

from jaxae.arguments import checked
from jaxae.base import Corruption
from jaxae.checks import check_call
from jaxae.composition import Autoencoder
from jaxae.data import corruptions
from jaxae.recipes import constructor


@constructor("denoising")
@checked
def denoising(base: Autoencoder, corruption: Corruption) -> Autoencoder:
    r"""A model that reconstructs clean data from corrupted data.

    .. math:: L'(x) = L(\tilde x \to x), \qquad \tilde x \sim C(\tilde x \mid x)

    Each step and each example has its own noise. In evaluation the noise is a function of the key and
    thus the same in each epoch. Only the loss corrupts its input: `encode` does not, so that corrupted
    images can be denoised. If this wrapper is applied twice, the inner corruption comes first.

    Args:
      base: any autoencoder.
      corruption: `(key, x) -> x~`, from :mod:`jaxae.corruptions` or your own. If it changes the
        shape, the encoder takes the corrupted shape and the decoder gives the clean one.

    Returns:
      the same :class:`Autoencoder` with this corruption of the encoder's input.

    Raises:
      ValueError: by `loss`, if the decoder's output does not have the shape of the clean image.

    Examples:
      >>> import jax, jax.numpy as jnp, jaxae
      >>> from jaxae.networks import mlp_decoder, mlp_encoder
      >>> base = jaxae.autoencoder(mlp_encoder(2), mlp_decoder((8, 8, 1)))
      >>> model = denoising(base, jaxae.corruptions.masking(0.3))
      >>> images = jnp.zeros((4, 8, 8, 1))
      >>> params = model.init(jax.random.key(0), images)
      >>> model.loss(params, jax.random.key(1), images).loss.shape
      (4,)

    References:
      Vincent et al., `Extracting and Composing Robust Features with Denoising Autoencoders
      <https://www.cs.toronto.edu/~larocheh/publications/icml-2008-denoising-autoencoders.pdf>`_.
    """
    check_call("corruption", corruption, "key", "x")
    if base.corruption is not None:
        corruption = corruptions.compose(base.corruption, corruption)
    return base._replace(corruption=corruption)
