"""Convolutions over images as pure functions: the one place that decides how they are computed.

Images are `[b, h, w, c]`, kernels `[height, width, in, out]`, and the padding is "SAME".
"""

from jax import lax
from jaxtyping import Array, Float

_LAYOUT = ("NHWC", "HWIO", "NHWC")


def conv(
    x: Float[Array, "b h w i"], kernel: Float[Array, "kh kw i o"], *, stride: int = 1
) -> Float[Array, "b h2 w2 o"]:
    """The cross-correlation of images with a kernel; `h2 = ceil(h / stride)`.

    Examples:
      >>> import jax.numpy as jnp
      >>> conv(jnp.ones((1, 5, 4, 1)), jnp.ones((3, 3, 1, 2)), stride=2).shape
      (1, 3, 2, 2)
    """
    return lax.conv_general_dilated(x, kernel, (stride, stride), "SAME", dimension_numbers=_LAYOUT)


def conv_transpose(
    x: Float[Array, "b h w i"], kernel: Float[Array, "kh kw i o"], *, stride: int = 1
) -> Float[Array, "b h2 w2 o"]:
    """The images with `stride - 1` zeros between their pixels, convolved; `h2 = stride * h`.

    Examples:
      >>> import jax.numpy as jnp
      >>> conv_transpose(jnp.ones((1, 3, 2, 1)), jnp.ones((4, 4, 1, 2)), stride=2).shape
      (1, 6, 4, 2)
    """
    return lax.conv_transpose(x, kernel, (stride, stride), "SAME", dimension_numbers=_LAYOUT)
