"""Norms that do not over- or underflow, and checks of the arguments of public numeric functions."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped

from jaxae.arrays import as_float
from jaxae.checks import native

ROUNDING = 1e-4
"""How far outside of [0, 1] a probability may be."""

BRIGHTEST = 2.0
"""Nonnegative floats with a value above this are taken to be grey levels from 0 to 255."""


def norm(x: Float[Array, "..."], *, axis: int = -1, keepdims: bool = False) -> Float[Array, "..."]:
    r"""The Euclidean norm along an axis, whatever the scale of the values.

    .. math:: m \, \lVert x / m \rVert, \qquad m = \max_i |x_i|

    The sum of squares of values below 1e-19 or above 1e19 is zero or infinite in float32; that of
    `x / m` is neither. The gradient at `x = 0` is zero; that of
    `jnp.linalg.norm` is nan.

    Args:
      x: an array.
      axis: the axis of the vectors.
      keepdims: whether the axis stays, with size one.

    Examples:
      >>> bool(jnp.isclose(norm(jnp.array([3e30, 4e30])), 5e30))
      True
      >>> jax.grad(norm)(jnp.zeros(2)).tolist()
      [0.0, 0.0]
    """
    largest = jax.lax.stop_gradient(jnp.max(jnp.abs(x), axis=axis, keepdims=True, initial=0.0))
    scale = jnp.where((largest > 0) & (largest < jnp.inf), largest, 1.0)
    squared = jnp.sum(jnp.square(x / scale), axis=axis, keepdims=True)
    # `where` computes the gradients of both branches, so that neither may be infinite.
    zero = squared == 0
    length = scale * jnp.where(zero, 0.0, jnp.sqrt(jnp.where(zero, 1.0, squared)))
    return length if keepdims else jnp.squeeze(length, axis)


def unit_vector(x: Float[Array, "..."], *, axis: int = -1) -> Float[Array, "..."]:
    """A vector divided by its length; a vector of zeros is returned as it is.

    Examples:
      >>> unit_vector(jnp.array([0.0, 1e-30])).tolist()
      [0.0, 1.0]
    """
    largest = jax.lax.stop_gradient(jnp.max(jnp.abs(x), axis=axis, keepdims=True, initial=0.0))
    # The derivative of the quotient contains the square of the length: of about one, not of any size.
    x = x / jnp.where((largest > 0) & (largest < jnp.inf), largest, 1.0)
    length = norm(x, axis=axis, keepdims=True)
    return x / jnp.where(length > 0, length, 1.0)


def absolute(x: Float[Array, "*b"]) -> Float[Array, "*b"]:
    """The absolute value, whose gradient at zero is zero; that of `jnp.abs` is one.

    A loss with `jnp.abs` pushes values away from exactly zero, where they are best.

    Examples:
      >>> [float(jax.grad(function)(0.0)) for function in (absolute, jnp.abs)]
      [0.0, 1.0]
    """
    return x * jax.lax.stop_gradient(jnp.sign(x))


def as_images(x: Shaped[Array | np.ndarray, "..."], name: str = "images") -> Float[Array, "..."]:
    """Images as float32 in [0, 1]; floats that are grey levels from 0 to 255 raise an error.

    Floats may lie a little outside of [0, 1], as outputs of a decoder do. Inside of `jax.jit` the values
    are not known, and are not checked.

    Args:
      x: bytes, which are divided by 255, or floats.
      name: of the images in the error message.

    Raises:
      ValueError: if the values are neither bytes nor floats, or are grey levels of 0 to 255 as floats.

    Examples:
      >>> as_images(jnp.array([0, 255], jnp.uint8)).tolist()
      [0.0, 1.0]
      >>> as_images(jnp.array([0.0, 255.0]))
      Traceback (most recent call last):
      ValueError: images must be in [0, 1], but these are floats from 0 to 255; divide them by 255
    """
    found = as_float(x)
    if x.dtype == np.uint8 or isinstance(found, jax.core.Tracer) or found.size == 0:
        return found
    with (
        jax.ensure_compile_time_eval()
    ):  # constants of a program that is being traced are known too
        low, high = float(jnp.min(found)), float(jnp.max(found))
    if low >= 0 and high > BRIGHTEST:
        raise ValueError(
            f"{name} must be in [0, 1], but these are floats from {low:.4g} to {high:.4g}; divide them by 255"
        )
    return found


def as_probabilities(
    x: Shaped[Array | np.ndarray, "..."], name: str = "probabilities"
) -> Float[Array, "..."]:
    """Probabilities as float32: bytes are divided by 255, and values outside of [0, 1] raise an error.

    Raises:
      ValueError: if a known value is not in [0, 1], or the values are neither bytes nor floats.

    Examples:
      >>> as_probabilities(jnp.array([0.0, 2.0]))
      Traceback (most recent call last):
      ValueError: probabilities must be in [0, 1], but these are from 0 to 2
    """
    found = as_float(x)
    if isinstance(found, jax.core.Tracer) or found.size == 0:
        return found
    with jax.ensure_compile_time_eval():
        low, high = float(jnp.min(found)), float(jnp.max(found))
    if not (low >= -ROUNDING and high <= 1 + ROUNDING):
        raise ValueError(f"{name} must be in [0, 1], but these are from {low:.4g} to {high:.4g}")
    return found


def check_finite(**arrays: Any) -> None:
    """Raises a `ValueError` that names the first array with a value that is not finite.

    Arrays inside of `jax.jit`, whose values are not known, are not checked.

    Examples:
      >>> check_finite(codes=jnp.array([0.0, jnp.nan]))
      Traceback (most recent call last):
      ValueError: codes have values that are not finite (nan or infinite)
    """
    for name, values in arrays.items():
        if not isinstance(values, jax.core.Tracer) and not np.isfinite(values).all():
            raise ValueError(f"{name} have values that are not finite (nan or infinite)")


def check_one_shape(**arrays: Any) -> None:
    """Raises a `ValueError` unless all arrays have one shape, so that none is broadcast silently.

    Examples:
      >>> check_one_shape(start=jnp.zeros((3, 2)), end=jnp.zeros((3, 1)))
      Traceback (most recent call last):
      ValueError: start and end must have the same shape, but have the shapes (3, 2) and (3, 1)
    """
    shapes = [tuple(array.shape) for array in arrays.values()]
    if len(set(shapes)) > 1:
        raise ValueError(
            f"{' and '.join(arrays)} must have the same shape, but have the shapes "
            f"{' and '.join(map(str, shapes))}"
        )


def as_array(values: Any) -> Array:
    """An array of JAX; integers that do not fit into 32 bits raise an error instead of wrapping around.

    Raises:
      ValueError: if an integer is out of the range of JAX's type, or the values are not numbers.

    Examples:
      >>> as_array(np.array([1, 2**32 + 1]))
      Traceback (most recent call last):
      ValueError: integers from 1 to 4294967297 do not fit into int32; renumber classes with \
numpy.unique(labels, return_inverse=True)[1]
    """
    return jnp.asarray(native(values if isinstance(values, jax.Array) else np.asarray(values)))


def check_image_shape(x: Any) -> None:
    """Raises a `ValueError` unless an array has the axes of images.

    Examples:
      >>> check_image_shape(jnp.zeros((28, 28, 1)))
      Traceback (most recent call last):
      ValueError: images must be [b, h, w, c], got shape (28, 28, 1); for a single image, use x[None]
    """
    if len(x.shape) != 4:
        advice = "; for a single image, use x[None]" if len(x.shape) == 3 else ""
        raise ValueError(f"images must be [b, h, w, c], got shape {tuple(x.shape)}{advice}")


def check_scale(name: str, scale: float) -> None:
    """Raises a `ValueError` unless a scale is positive and a normal number in float32.

    Examples:
      >>> check_scale("the scale", 1e-60)
      Traceback (most recent call last):
      ValueError: the scale must be positive, and in float32 neither zero nor infinite, got 1e-60
    """
    limits = np.finfo(np.float32)
    if not (scale > 0 and float(limits.tiny) <= scale <= float(limits.max)):
        raise ValueError(
            f"{name} must be positive, and in float32 neither zero nor infinite, got {scale}"
        )
    assert math.isfinite(scale)
