"""Colour spaces and colourfulness. Images are sRGB, `[..., 3]`, bytes or floats in [0, 1]."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped

from jaxae.arrays import as_float
from jaxae.data.images import check_same_shape
from jaxae.numeric import as_images, check_image_shape, norm

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the luma of ITU-R BT.601."""

# From linear sRGB to CIE XYZ (IEC 61966-2-1), and the white point D65.
XYZ = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
WHITE = (0.95047, 1.0, 1.08883)


def luma(x: Shaped[Array | np.ndarray, "*b c"]) -> Float[Array, "*b 1"]:
    r"""The grey level (luma) of each pixel.

    .. math:: Y = 0.299 R + 0.587 G + 0.114 B

    Args:
      x: images, `[..., 3]`.

    Returns:
      `[..., 1]`, in [0, 1].

    Raises:
      ValueError: if there are not three channels.

    Examples:
      >>> round(float(luma(jnp.array([1.0, 0.0, 0.0]))[0]), 3)
      0.299
    """
    x = as_float(x)
    _check(x)
    return jnp.sum(x * jnp.asarray(LUMA), axis=-1, keepdims=True)


def chroma(x: Shaped[Array | np.ndarray, "*b c"]) -> Float[Array, "*b 2"]:
    r"""The two colour-difference components (chroma) of each pixel.

    .. math:: C_b = \frac{B - Y}{2 (1 - 0.114)}, \qquad C_r = \frac{R - Y}{2 (1 - 0.299)}

    Args:
      x: images, `[..., 3]`.

    Returns:
      `[..., 2]`, C_b and C_r, in [-0.5, 0.5]; grey is zero.

    Raises:
      ValueError: if there are not three channels.

    Examples:
      >>> chroma(jnp.array([0.0, 0.0, 1.0])).round(2).tolist()[0]
      0.5

    References:
      ITU-R BT.601; the JPEG File Interchange Format.
    """
    x = as_float(x)
    grey = luma(x)[..., 0]
    parts = [(x[..., i] - grey) / (2 * (1 - LUMA[i])) for i in (2, 0)]
    return jnp.stack(parts, axis=-1)


def from_chroma(grey: Float[Array, "*b 1"], chroma: Float[Array, "*b 2"]) -> Float[Array, "*b 3"]:
    """The image with a given luma and chroma: the inverse of :func:`luma` and :func:`chroma`.

    Args:
      grey: luma, `[..., 1]`.
      chroma: C_b and C_r, `[..., 2]`.

    Returns:
      `[..., 3]`; it may be outside [0, 1].

    Examples:
      >>> x = jnp.array([0.2, 0.7, 0.4])
      >>> bool(jnp.allclose(from_chroma(luma(x), chroma(x)), x, atol=1e-6))
      True
    """
    grey, chroma = as_float(grey), as_float(chroma)
    if grey.shape != (*chroma.shape[:-1], 1) or chroma.shape[-1] != 2:
        raise ValueError(
            f"luma and chroma must be [..., 1] and [..., 2], and have the shapes {grey.shape} and "
            f"{chroma.shape}"
        )
    grey = grey[..., 0]
    blue, red = (grey + 2 * (1 - LUMA[i]) * chroma[..., j] for i, j in ((2, 0), (0, 1)))
    green = (grey - LUMA[0] * red - LUMA[2] * blue) / LUMA[1]
    return jnp.stack([red, green, blue], axis=-1)


def with_luma(grey: Float[Array, "*b #c"], colors: Float[Array, "*b c"]) -> Float[Array, "*b c"]:
    r"""Projects an image onto the images with given grey levels.

    .. math:: x - w \frac{\langle w, x \rangle - y}{\lVert w \rVert^2}, \qquad w = (0.299, 0.587, 0.114)

    This is the nearest image that has the luma y. If the true image has it too, the result is at most
    as far from the true image as x is.

    Args:
      grey: y, `[..., 1]`, or `[..., 3]` with the same grey level in each channel.
      colors: x, an image, `[..., 3]`.

    Returns:
      `[..., 3]`; it may be outside [0, 1].

    Raises:
      ValueError: if `colors` has not three channels.

    Examples:
      >>> image = with_luma(jnp.array([0.5]), jnp.array([0.9, 0.1, 0.4]))
      >>> round(float(luma(image)[0]), 4)
      0.5
    """
    grey, colors = as_float(grey), as_float(colors)
    _check(colors)
    if grey.shape[:-1] != colors.shape[:-1] or grey.shape[-1] not in (1, 3):
        raise ValueError(
            f"the grey image must be {(*colors.shape[:-1], 1)} or {colors.shape}, and has the shape "
            f"{grey.shape}"
        )
    grey = luma(grey) if grey.shape[-1] == 3 else grey
    weights = jnp.asarray(LUMA, colors.dtype)
    return colors - weights * (luma(colors) - grey) / jnp.sum(jnp.square(weights))


def rgb_to_lab(x: Shaped[Array | np.ndarray, "*b c"]) -> Float[Array, "*b c"]:
    r"""Converts to CIE L\*a\*b\* under the white point D65.

    .. math:: L = 116 f(Y) - 16, \quad a = 500 (f(X) - f(Y)), \quad b = 200 (f(Y) - f(Z))

    where f is the cube root (linear near zero), and X, Y, Z are relative to white.

    Args:
      x: images, `[..., 3]`.

    Returns:
      `[..., 3]`: lightness from 0 to 100, and the colour axes a (green to red) and b (blue to yellow).

    Raises:
      ValueError: if there are not three channels.

    Examples:
      >>> rgb_to_lab(jnp.ones(3)).round(1).tolist()[0]
      100.0

    References:
      CIE 15, Colorimetry; the matrix of IEC 61966-2-1.
    """
    x = as_images(x)
    _check(x)
    # `where` computes both branches and their gradients, so neither may be infinite.
    linear = jnp.where(x > 0.04045, ((jnp.maximum(x, 0.04045) + 0.055) / 1.055) ** 2.4, x / 12.92)
    xyz = jnp.matmul(linear, jnp.asarray(XYZ, x.dtype).T, precision=jax.lax.Precision.HIGHEST)
    light = xyz / jnp.asarray(WHITE, x.dtype)
    root = jnp.cbrt(jnp.maximum(light, 0.008856))
    f = jnp.where(light > 0.008856, root, 7.787 * light + 16 / 116)
    fx, fy, fz = f[..., 0], f[..., 1], f[..., 2]
    return jnp.stack([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)], axis=-1)


def chroma_error(
    x: Shaped[Array | np.ndarray, "b h w _"], y: Shaped[Array | np.ndarray, "b h w _"]
) -> Float[Array, " b"]:
    r"""The mean squared error of the colour axes a and b of :func:`rgb_to_lab`, for each image.

    Args:
      x: images, `[b, h, w, 3]`.
      y: other images, of the same shape.

    Returns:
      `[b]`.

    Raises:
      ValueError: if the shapes differ, or there are not three channels.

    Examples:
      >>> x = jnp.full((1, 2, 2, 3), 0.5)
      >>> chroma_error(x, x).tolist()
      [0.0]
    """
    check_image_shape(x)
    check_same_shape(x, y)
    difference = rgb_to_lab(x)[..., 1:] - rgb_to_lab(y)[..., 1:]
    return jnp.mean(jnp.square(difference), axis=(1, 2, 3))


def colorfulness(x: Shaped[Array | np.ndarray, "b h w c"]) -> Float[Array, " b"]:
    r"""How colourful each image looks: 0 is grey, 15 slightly, 59 quite, 109 extremely colourful.

    .. math:: \sqrt{\sigma_{rg}^2 + \sigma_{yb}^2} + 0.3 \sqrt{\mu_{rg}^2 + \mu_{yb}^2}, \qquad
              rg = R - G, \quad yb = \tfrac12 (R + G) - B

    where means and standard deviations are over the pixels, on the scale from 0 to 255.

    Args:
      x: images, `[b, h, w, 3]`.

    Returns:
      `[b]`.

    Raises:
      ValueError: if there are not three channels.

    Examples:
      >>> colorfulness(jnp.full((1, 4, 4, 3), 0.5)).tolist()
      [0.0]

    References:
      Hasler and Süsstrunk, `Measuring Colourfulness in Natural Images
      <https://doi.org/10.1117/12.477378>`_.
    """
    check_image_shape(x)
    x = 255 * as_images(x)
    _check(x)
    red, green, blue = x[..., 0], x[..., 1], x[..., 2]
    axes = jnp.stack([red - green, (red + green) / 2 - blue])
    mean = jnp.mean(axes, axis=(2, 3), keepdims=True)
    # Norms, whose gradient at zero, of an image of one colour, is finite.
    deviation = norm((axes - mean).swapaxes(0, 1).reshape(x.shape[0], -1))
    deviation = deviation / math.sqrt(x.shape[1] * x.shape[2])
    return deviation + 0.3 * norm(mean[..., 0, 0], axis=0)


def _check(x: Array) -> None:
    if x.shape[-1] != 3:
        raise ValueError(f"colours need images with 3 channels (RGB), and these have {x.shape[-1]}")
