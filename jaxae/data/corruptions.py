r"""Corruptions C(x~ | x): what a denoising autoencoder has to undo, as pure functions `(key, x) -> x~`.

Images are floats in [0, 1], `[b, h, w, c]`. Every example gets noise of its own, and every function
keeps the shape unless it says otherwise. The functions below make corruptions; they raise a
`ValueError` for a strength that is out of range.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.data import masks
from jaxae.data.colors import luma

Corruption = Callable[[PRNGKeyArray, Array], Array]
"""A corruption, `(key, x) -> x~`."""


def gaussian(scale: float, *, clip: bool = False) -> Corruption:
    r"""Adds noise.

    .. math:: \tilde x = x + \sigma \epsilon, \qquad \epsilon \sim \mathcal N(0, I)

    Args:
      scale: the standard deviation sigma.
      clip: bring the result back to [0, 1]; the noise then has no longer mean zero.

    Examples:
      >>> noisy = gaussian(0.5)(jax.random.key(0), jnp.zeros((100, 8, 8, 1)))
      >>> round(float(noisy.std()), 1)
      0.5
    """
    if not 0 <= scale < math.inf:
        raise ValueError(f"the scale of the noise must be finite and not negative, got {scale}")

    def corrupt(key: PRNGKeyArray, x: Float[Array, "b ..."]) -> Float[Array, "b ..."]:
        noisy = x + scale * jax.random.normal(key, x.shape, x.dtype)
        return jnp.clip(noisy, 0, 1) if clip else noisy

    return corrupt


def masking(rate: float) -> Corruption:
    """Sets each value to zero with this probability.

    Examples:
      >>> masked = masking(0.25)(jax.random.key(0), jnp.ones((100, 8, 8, 1)))
      >>> bool(0.7 < masked.mean() < 0.8)
      True

    References:
      Vincent et al., `Extracting and Composing Robust Features with Denoising Autoencoders
      <https://www.cs.toronto.edu/~larocheh/publications/icml-2008-denoising-autoencoders.pdf>`_.
    """
    _check_rate(rate)

    def corrupt(key: PRNGKeyArray, x: Float[Array, "b ..."]) -> Float[Array, "b ..."]:
        return jnp.where(jax.random.bernoulli(key, rate, x.shape), jnp.zeros((), x.dtype), x)

    return corrupt


def salt_and_pepper(rate: float) -> Corruption:
    """Sets each value, with this probability, to zero or to one by the toss of a coin.

    Examples:
      >>> corrupted = salt_and_pepper(0.5)(jax.random.key(0), jnp.full((100, 8, 8, 1), 0.5))
      >>> sorted(set(corrupted.ravel().tolist()))
      [0.0, 0.5, 1.0]

    References:
      Vincent et al., `Stacked Denoising Autoencoders
      <https://www.jmlr.org/papers/v11/vincent10a.html>`_, section 3.3.
    """
    _check_rate(rate)

    def corrupt(key: PRNGKeyArray, x: Float[Array, "b ..."]) -> Float[Array, "b ..."]:
        u = jax.random.uniform(key, x.shape)
        coin = (u < rate / 2).astype(x.dtype)
        return jnp.where(u < rate, coin, x)

    return corrupt


def erase(size: float = 0.5, *, value: float = 0.0) -> Corruption:
    """Erases a block somewhere in the image: the torn photo.

    Args:
      size: the sides of the block as a part of the sides of the image, in [0, 1].
      value: what the block is filled with, in all channels.

    Examples:
      >>> torn = erase(0.5)(jax.random.key(0), jnp.ones((3, 8, 8, 1)))
      >>> torn.sum((1, 2, 3)).tolist()
      [48.0, 48.0, 48.0]
    """
    mask = masks.block(size)
    _check_fill(value)

    def corrupt(key: PRNGKeyArray, x: Array) -> Float[Array, "b h w c"]:
        return jnp.where(mask(key, x.shape), jnp.asarray(value, x.dtype), x)

    return corrupt


def hide(mask: masks.Mask, *, value: float = 0.5) -> Corruption:
    """Hides a part of the image, and says which: one more channel, 1 where there is a hole.

    Args:
      mask: where, from :mod:`jaxae.data.masks` or your own.
      value: what the hole is filled with, in all channels of the image.

    Returns:
      a corruption from `[b, h, w, c]` to `[b, h, w, c + 1]`.

    Examples:
      >>> hidden = hide(masks.half("left"))(jax.random.key(0), jnp.ones((1, 1, 2, 1)))
      >>> hidden[0, 0].tolist()
      [[0.5, 1.0], [1.0, 0.0]]
    """
    _check_fill(value)

    def corrupt(key: PRNGKeyArray, x: Array) -> Float[Array, "b h w c1"]:
        hole = mask(key, x.shape)
        hidden = jnp.where(hole, jnp.asarray(value, x.dtype), x)
        return jnp.concatenate([hidden, hole.astype(x.dtype)], axis=-1)

    return corrupt


def grayscale() -> Corruption:
    """Takes the colours away: the grey level in each of the three channels. The key is not used.

    Examples:
      >>> red = jnp.zeros((1, 2, 2, 3)).at[..., 0].set(1.0)
      >>> [round(float(v), 3) for v in grayscale()(jax.random.key(0), red)[0, 0, 0]]
      [0.299, 0.299, 0.299]
    """

    def corrupt(key: PRNGKeyArray, x: Array) -> Float[Array, "b h w c"]:
        _check_images(x)
        return jnp.broadcast_to(luma(x), x.shape)

    return corrupt


def downsample(factor: int, *, keep_shape: bool = True) -> Corruption:
    """Takes the detail away: bicubic, antialiased, to one pixel for each `factor` in a direction.

    Args:
      factor: at least 2. Sides that it does not divide are rounded up.
      keep_shape: bring the small image back to its size, bicubic again. False changes the shape: it
        is then for models whose encoder takes the small image and whose decoder gives the large.

    The key is not used.

    Examples:
      >>> x = jnp.zeros((2, 9, 8, 3))
      >>> downsample(2, keep_shape=False)(jax.random.key(0), x).shape
      (2, 5, 4, 3)
    """
    if factor < 2:
        raise ValueError(f"downsampling is by a factor of 2 or more, got {factor}")

    def corrupt(key: PRNGKeyArray, x: Array) -> Float[Array, "b h2 w2 c"]:
        _check_images(x)
        b, h, w, c = x.shape
        shape = (b, -(-h // factor), -(-w // factor), c)
        small = jnp.clip(jax.image.resize(x, shape, "cubic"), 0, 1)
        return jnp.clip(jax.image.resize(small, x.shape, "cubic"), 0, 1) if keep_shape else small

    return corrupt


def compose(*corruptions: Corruption) -> Corruption:
    """One corruption after the other, the first one first, each with randomness of its own.

    Raises:
      ValueError: if there is none.

    Examples:
      >>> torn_and_grey = compose(erase(0.5), grayscale())
      >>> torn_and_grey(jax.random.key(0), jnp.ones((2, 8, 8, 3))).shape
      (2, 8, 8, 3)
    """
    if not corruptions:
        raise ValueError("there is no corruption to compose")

    def corrupt(key: PRNGKeyArray, x: Float[Array, "b ..."]) -> Array:
        for part, part_key in zip(
            corruptions, jax.random.split(key, len(corruptions)), strict=True
        ):
            x = part(part_key, x)
        return x

    return corrupt


def _check_rate(rate: float) -> None:
    if not 0 <= rate <= 1:
        raise ValueError(f"the rate of a corruption is a probability, in [0, 1], got {rate}")


def _check_fill(value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"the block is filled with a value in [0, 1], got {value}")


def _check_images(x: Array) -> None:
    if x.ndim != 4:
        raise ValueError(f"this corruption is for images, [b, h, w, c], not for {x.shape}")
