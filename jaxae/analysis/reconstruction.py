"""Measures of the quality of reconstructions: squared error, PSNR, SSIM, bits per dimension."""

import math
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped

from jaxae.arrays import as_float
from jaxae.data.images import check_same_shape
from jaxae.numeric import as_images, check_image_shape

Images: TypeAlias = Shaped[Array | np.ndarray, "b ..."]

C1, C2 = 0.01**2, 0.03**2
"""The constants of SSIM for images in [0, 1]."""


def squared_error(x: Images, y: Images) -> Float[Array, " b"]:
    """The squared error of each example, summed over its values.

    Args:
      x: images, `[b, ...]`, bytes or floats; bytes are divided by 255.
      y: other images, of the same shape.

    Returns:
      `[b]`.

    Raises:
      ValueError: if the shapes differ, or one is bytes and the other has grey levels of 0 to 255 as floats.

    Examples:
      >>> squared_error(jnp.zeros((1, 2, 2, 1)), jnp.ones((1, 2, 2, 1))).tolist()
      [4.0]
    """
    check_same_shape(x, y)
    # Floats of any unit can be compared with each other, but bytes only with floats in [0, 1].
    convert = as_float if x.dtype == y.dtype else as_images
    x, y = convert(x), convert(y)
    return jnp.sum(jnp.square(x - y), axis=tuple(range(1, x.ndim)))


def psnr(mse: float) -> float:
    r"""The peak signal-to-noise ratio of images in [0, 1], in decibels.

    .. math:: -10 \log_{10} \mathrm{MSE}

    Args:
      mse: the mean squared error per value. The mean over a set of images gives the PSNR of the mean
        error, which is not the mean of the PSNRs.

    Returns:
      decibels; infinity for an error of zero, nan for one that is nan.

    Raises:
      ValueError: if the error is negative.

    Examples:
      >>> psnr(0.01)
      20.0
    """
    if mse < 0:
        raise ValueError(f"a mean squared error cannot be negative, got {mse}")
    return -10 * math.log10(mse) if mse != 0 else math.inf


def ssim(x: Images, y: Images, *, sigma: float = 1.5) -> Float[Array, " b"]:
    r"""The structural similarity of images: 1 for equal images, and never above.

    .. math:: \frac{(2 \mu_x \mu_y + c_1)(2 \sigma_{xy} + c_2)}
              {(\mu_x^2 + \mu_y^2 + c_1)(\sigma_x^2 + \sigma_y^2 + c_2)},
              \qquad c_1 = 0.01^2, \quad c_2 = 0.03^2

    Means, variances and covariance are taken in a Gaussian window of radius 3.5 sigma (11 x 11 pixels
    for sigma 1.5). The result is the mean over channels and over all windows that lie inside the image.

    Args:
      x: images, `[b, h, w, c]`, bytes or floats in [0, 1].
      y: other images, of the same shape.
      sigma: of the window, in pixels.

    Returns:
      `[b]`.

    Raises:
      ValueError: if the shapes differ, the images are neither bytes nor floats in [0, 1], sigma is not
        positive, or the window does not fit into the images.

    Examples:
      >>> x = jnp.linspace(0, 1, 144).reshape(1, 12, 12, 1)
      >>> [round(float(ssim(x, y)[0]), 2) for y in (x, 1 - x)]
      [1.0, -0.93]

    References:
      Wang et al., `Image Quality Assessment: From Error Visibility to Structural Similarity
      <https://doi.org/10.1109/TIP.2003.819861>`_.
    """
    if not 0 < sigma < math.inf:
        raise ValueError(f"the window's sigma must be positive, got {sigma}")
    check_same_shape(x, y)
    check_image_shape(x)
    x, y = as_images(x), as_images(y)
    radius = int(3.5 * sigma + 0.5)
    if min(x.shape[1:3]) < 2 * radius + 1:
        raise ValueError(
            f"the window of {2 * radius + 1} pixels does not fit into images of "
            f"{x.shape[1]} x {x.shape[2]}; use a smaller sigma"
        )
    window = jnp.exp(-0.5 * jnp.square(jnp.arange(-radius, radius + 1) / sigma))
    window = window / jnp.sum(window)

    def variance(images: Array) -> Array:
        # E[v^2] - E[v]^2 cancels digits, fewer of them for images that are centred first.
        centred = images - jnp.mean(images, axis=(1, 2), keepdims=True)
        found = _blur(jnp.square(centred), window) - jnp.square(_blur(centred, window))
        return jnp.maximum(found, 0)

    mean_x, mean_y, mean_difference = (_blur(v, window) for v in (x, y, x - y))
    # Each of the two fractions as one minus a square of differences, so that neither exceeds one.
    luminance = 1 - jnp.square(mean_difference) / (mean_x**2 + mean_y**2 + C1)
    structure = 1 - variance(x - y) / (variance(x) + variance(y) + C2)
    return jnp.mean(luminance * structure, axis=(1, 2, 3))


def _blur(images: Float[Array, "b h w c"], window: Float[Array, " n"]) -> Float[Array, "b h2 w2 c"]:
    """The mean in a separable window at all places where it lies inside the image."""
    # Along each axis a matrix product; each row of the matrix is the window at one place.
    for axis in (1, 2):
        n = images.shape[axis]
        offset = jnp.arange(n)[None, :] - jnp.arange(n - len(window) + 1)[:, None]
        inside = (offset >= 0) & (offset < len(window))
        matrix = jnp.where(inside, window[jnp.clip(offset, 0, len(window) - 1)], 0)
        blurred = jnp.tensordot(matrix, images, (1, axis), precision=jax.lax.Precision.HIGHEST)
        images = jnp.moveaxis(blurred, 0, axis)
    return images


def bits_per_dimension(nats: float, values: int) -> float:
    """Converts nats per image to bits per value; meaningful for discrete likelihoods only.

    Args:
      nats: the negative log-likelihood of an image.
      values: the number of values of an image: height x width x channels.

    Returns:
      bits per value.

    Examples:
      >>> round(bits_per_dimension(math.log(256) * 784, 784), 6)
      8.0
    """
    if values < 1:
        raise ValueError(f"an image has at least one value, got {values}")
    return nats / (values * math.log(2))
