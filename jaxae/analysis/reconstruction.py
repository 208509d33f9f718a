"""How good a reconstruction is, in the units that people quote."""

import math
from typing import TypeAlias

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped

from jaxae.arrays import as_float

Images: TypeAlias = Shaped[Array | np.ndarray, "b ..."]


def squared_error(x: Images, y: Images) -> Float[Array, " b"]:
    """The squared error of each image, summed over its pixels and channels; bytes are divided by 255.

    Examples:
      >>> squared_error(jnp.zeros((1, 2, 2, 1)), jnp.ones((1, 2, 2, 1))).tolist()
      [4.0]
    """
    x, y = as_float(x), as_float(y)
    return jnp.sum(jnp.square(x - y), axis=tuple(range(1, x.ndim)))


def psnr(mse: float) -> float:
    r"""The peak signal-to-noise ratio in decibels, of images in [0, 1].

    .. math:: -10 \log_{10} \mathrm{MSE}

    Args:
      mse: the squared error per value; the mean over a set gives the PSNR of the mean error, which
        is not the mean of the PSNRs.

    Raises:
      ValueError: if the error is negative.

    Examples:
      >>> psnr(0.01)
      20.0
    """
    if mse < 0:
        raise ValueError(f"a squared error cannot be negative, got {mse}")
    return -10 * math.log10(mse) if mse > 0 else math.inf


def ssim(x: Images, y: Images, *, sigma: float = 1.5) -> Float[Array, " b"]:
    r"""The structural similarity of images, at most 1, which equal images have.

    .. math:: \frac{(2 \mu_x \mu_y + c_1)(2 \sigma_{xy} + c_2)}
              {(\mu_x^2 + \mu_y^2 + c_1)(\sigma_x^2 + \sigma_y^2 + c_2)},
              \qquad c_1 = 0.01^2, \quad c_2 = 0.03^2

    Means, variances and covariance are those in a Gaussian window of radius 3.5 sigma around each
    pixel (11 x 11 for sigma 1.5), and the result is the mean over all windows that lie inside the
    image, and over channels.

    Args:
      x: images, `[b, h, w, c]`, bytes or floats in [0, 1].
      y: others.
      sigma: of the window, in pixels.

    Returns:
      `[b]`.

    Raises:
      ValueError: if sigma is not positive, or the window does not fit into the images.

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
    x, y = as_float(x), as_float(y)
    radius = int(3.5 * sigma + 0.5)
    if min(x.shape[1:3]) < 2 * radius + 1:
        raise ValueError(
            f"the window of {2 * radius + 1} pixels does not fit into images of "
            f"{x.shape[1]} x {x.shape[2]}"
        )
    offsets = jnp.arange(-radius, radius + 1)
    window = jnp.exp(-0.5 * jnp.square(offsets / sigma))
    window = window / jnp.sum(window)

    def blur(images: Array) -> Array:
        # Along each axis, the rows of a matrix are the window in all its places.
        for axis in (1, 2):
            n = images.shape[axis]
            place = jnp.arange(n)[None, :] - jnp.arange(n - 2 * radius)[:, None]
            inside = (place >= 0) & (place < len(window))
            matrix = jnp.where(inside, window[jnp.clip(place, 0, len(window) - 1)], 0)
            images = jnp.moveaxis(jnp.tensordot(matrix, images, (1, axis)), 0, axis)
        return images

    mean_x, mean_y = blur(x), blur(y)
    var_x, var_y = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2
    covariance = blur(x * y) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    similarity = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    similarity = similarity / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))
    return jnp.mean(similarity, axis=(1, 2, 3))


def bits_per_dimension(nats: float, values: int) -> float:
    """Nats for an image of so many values as bits per value; for discrete likelihoods only.

    Examples:
      >>> round(bits_per_dimension(math.log(256) * 784, 784), 6)
      8.0
    """
    return nats / (values * math.log(2))
