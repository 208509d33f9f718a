r"""Corruptions for denoising autoencoders: pure functions `(key, x) -> x~`.

The functions below return corruptions, and raise a `ValueError` if a parameter is out of range. A
corruption takes images, `[b, h, w, c]`, floats in [0, 1], or bytes, which it divides by 255. It corrupts
each image independently, and keeps the shape unless its documentation says otherwise.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from jaxae.arrays import as_float
from jaxae.base import Corruption
from jaxae.data import masks
from jaxae.data.colors import luma
from jaxae.numeric import as_images, check_image_shape
from jaxae.recipes import constructor


@constructor("corruptions.gaussian")
def gaussian(scale: float, *, clip: bool = False) -> Corruption:
    r"""Adds Gaussian noise.

    .. math:: \tilde x = x + \sigma \epsilon, \qquad \epsilon \sim \mathcal N(0, I)

    Args:
      scale: the standard deviation sigma.
      clip: whether to clip the result to [0, 1]; the noise then no longer has mean zero.

    Returns:
      a corruption.

    Raises:
      ValueError: if the scale is negative or not finite.

    Examples:
      >>> noisy = gaussian(0.5)(jax.random.key(0), jnp.zeros((100, 8, 8, 1)))
      >>> round(float(noisy.std()), 1)
      0.5
    """
    if not 0 <= scale < math.inf:
        raise ValueError(f"the scale of the noise must be finite and not negative, got {scale}")

    def corrupt(key: PRNGKeyArray, x: Shaped[Array, "b ..."]) -> Float[Array, "b ..."]:
        x = as_images(x) if clip else as_float(x)
        noisy = x + scale * jax.random.normal(key, x.shape, x.dtype)
        return jnp.clip(noisy, 0, 1) if clip else noisy

    return corrupt


@constructor("corruptions.masking")
def masking(rate: float) -> Corruption:
    """Sets each value to zero with probability `rate`.

    Args:
      rate: in [0, 1].

    Returns:
      a corruption.

    Raises:
      ValueError: if the rate is not a probability.

    Examples:
      >>> masked = masking(0.25)(jax.random.key(0), jnp.ones((100, 8, 8, 1)))
      >>> bool(0.7 < masked.mean() < 0.8)
      True

    References:
      Vincent et al., `Extracting and Composing Robust Features with Denoising Autoencoders
      <https://www.cs.toronto.edu/~larocheh/publications/icml-2008-denoising-autoencoders.pdf>`_.
    """
    _check_rate(rate)

    def corrupt(key: PRNGKeyArray, x: Shaped[Array, "b ..."]) -> Float[Array, "b ..."]:
        x = as_float(x)
        return jnp.where(jax.random.bernoulli(key, rate, x.shape), jnp.zeros((), x.dtype), x)

    return corrupt


@constructor("corruptions.salt_and_pepper")
def salt_and_pepper(rate: float) -> Corruption:
    """Sets each value with probability `rate` to zero or to one, which are equally likely.

    Args:
      rate: in [0, 1].

    Returns:
      a corruption.

    Raises:
      ValueError: if the rate is not a probability.

    Examples:
      >>> corrupted = salt_and_pepper(0.5)(jax.random.key(0), jnp.full((100, 8, 8, 1), 0.5))
      >>> sorted(set(corrupted.ravel().tolist()))
      [0.0, 0.5, 1.0]

    References:
      Vincent et al., `Stacked Denoising Autoencoders
      <https://www.jmlr.org/papers/v11/vincent10a.html>`_, section 3.3.
    """
    _check_rate(rate)

    def corrupt(key: PRNGKeyArray, x: Shaped[Array, "b ..."]) -> Float[Array, "b ..."]:
        x = as_images(x)
        u = jax.random.uniform(key, x.shape)
        coin = (u < rate / 2).astype(x.dtype)
        return jnp.where(u < rate, coin, x)

    return corrupt


@constructor("corruptions.erase")
def erase(size: float = 0.5, *, value: float = 0.0) -> Corruption:
    """Erases a rectangle at a random place in each image.

    Args:
      size: height and width of the rectangle as a fraction of those of the image, in [0, 1].
      value: what the rectangle is filled with, in all channels, in [0, 1].

    Returns:
      a corruption.

    Raises:
      ValueError: if the size or the value is not in [0, 1].

    Examples:
      >>> torn = erase(0.5)(jax.random.key(0), jnp.ones((3, 8, 8, 1)))
      >>> torn.sum((1, 2, 3)).tolist()
      [48.0, 48.0, 48.0]
    """
    mask = masks.block(size)
    _check_fill(value)

    def corrupt(key: PRNGKeyArray, x: Array) -> Float[Array, "b h w c"]:
        x = as_images(x)
        return jnp.where(mask(key, x.shape), jnp.asarray(value, x.dtype), x)

    return corrupt


@constructor("corruptions.hide")
def hide(mask: masks.Mask, *, value: float = 0.5) -> Corruption:
    """Hides a part of each image, and appends the mask as another channel.

    Args:
      mask: which part, a function from :mod:`jaxae.data.masks` or one of your own.
      value: what the hidden part is filled with, in all channels of the image, in [0, 1].

    Returns:
      a corruption from `[b, h, w, c]` to `[b, h, w, c + 1]`; the last channel is 1 where pixels are
      hidden, and 0 elsewhere.

    Raises:
      ValueError: if the value is not in [0, 1].

    Examples:
      >>> hidden = hide(masks.half("left"))(jax.random.key(0), jnp.ones((1, 1, 2, 1)))
      >>> hidden[0, 0].tolist()
      [[0.5, 1.0], [1.0, 0.0]]
    """
    _check_fill(value)

    def corrupt(key: PRNGKeyArray, x: Array) -> Float[Array, "b h w c1"]:
        x = as_images(x)
        hole = mask(key, x.shape)
        hidden = jnp.where(hole, jnp.asarray(value, x.dtype), x)
        return jnp.concatenate([hidden, hole.astype(x.dtype)], axis=-1)

    return corrupt


@constructor("corruptions.grayscale")
def grayscale() -> Corruption:
    """Replaces each of the three channels by the grey level. The key is not used.

    Returns:
      a corruption; it raises a `ValueError` for images that have not three channels.

    Examples:
      >>> red = jnp.zeros((1, 2, 2, 3)).at[..., 0].set(1.0)
      >>> [round(float(v), 3) for v in grayscale()(jax.random.key(0), red)[0, 0, 0]]
      [0.299, 0.299, 0.299]
    """

    def corrupt(key: PRNGKeyArray, x: Array) -> Float[Array, "b h w c"]:
        check_image_shape(x)
        return jnp.broadcast_to(luma(x), x.shape)

    return corrupt


@constructor("corruptions.downsample")
def downsample(factor: int, *, keep_shape: bool = True) -> Corruption:
    """Reduces the resolution by a factor, by bicubic interpolation with antialiasing.

    The key is not used.

    Args:
      factor: at least 2. Height and width are divided by it and rounded up.
      keep_shape: whether to enlarge the small image to its former size, by bicubic interpolation. If
        False, the shape changes; that is for models whose encoder takes the small image.

    Returns:
      a corruption.

    Raises:
      ValueError: if the factor is below 2.

    Examples:
      >>> x = jnp.zeros((2, 9, 8, 3))
      >>> downsample(2, keep_shape=False)(jax.random.key(0), x).shape
      (2, 5, 4, 3)
    """
    if factor < 2:
        raise ValueError(f"downsampling needs a factor of 2 or more, got {factor}")

    def corrupt(key: PRNGKeyArray, x: Array) -> Float[Array, "b h2 w2 c"]:
        check_image_shape(x)
        x = as_images(x)
        b, h, w, c = x.shape
        shape = (b, -(-h // factor), -(-w // factor), c)
        small = jnp.clip(jax.image.resize(x, shape, "cubic"), 0, 1)
        return jnp.clip(jax.image.resize(small, x.shape, "cubic"), 0, 1) if keep_shape else small

    return corrupt


@constructor("corruptions.compose")
def compose(*corruptions: Corruption) -> Corruption:
    """Applies corruptions one after another, each with a key of its own.

    Args:
      corruptions: the first is applied first.

    Returns:
      a corruption.

    Raises:
      ValueError: if no corruption is given.

    Examples:
      >>> torn_and_grey = compose(erase(0.5), grayscale())
      >>> torn_and_grey(jax.random.key(0), jnp.ones((2, 8, 8, 3))).shape
      (2, 8, 8, 3)
    """
    if not corruptions:
        raise ValueError("compose needs at least one corruption")

    def corrupt(key: PRNGKeyArray, x: Shaped[Array, "b ..."]) -> Array:
        for part, part_key in zip(
            corruptions, jax.random.split(key, len(corruptions)), strict=True
        ):
            x = part(part_key, x)
        return x

    return corrupt


def _check_rate(rate: float) -> None:
    if not 0 <= rate <= 1:
        raise ValueError(f"the rate of a corruption must be a probability, in [0, 1], got {rate}")


def _check_fill(value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"the fill value must be in [0, 1], got {value}")
