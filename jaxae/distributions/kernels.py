"""Kernels, and the maximum mean discrepancy of two samples."""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxae.arrays import as_float
from jaxae.numeric import check_scale
from jaxae.recipes import constructor

Kernel = Callable[[Array, Array], Array]
"""The similarity of two points: `(x [n, d], y [m, d]) -> [n, m]`."""

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Multiples of a kernel's scale, so that both near and far points have a gradient."""

BLOCK = 1024
"""Rows of a kernel matrix that are in memory at a time."""


@constructor("distributions.kernels.imq")
def imq(scale: float) -> Kernel:
    r"""The mean of inverse multiquadric kernels of several widths, whose tails are heavy.

    .. math:: k(x, y) = \frac17 \sum_s \frac{s c}{s c + \lVert x - y \rVert^2}

    Args:
      scale: c, a typical squared distance; 2 d between draws of N(0, I) in d dimensions.

    Raises:
      ValueError: if the scale is not positive.

    Examples:
      >>> imq(2.0)(jnp.zeros((1, 2)), jnp.zeros((3, 2))).tolist()
      [[1.0, 1.0, 1.0]]

    References:
      Tolstikhin et al., `Wasserstein Auto-Encoders <https://arxiv.org/abs/1711.01558>`_, section 4.
    """
    return _of_distances(scale, lambda squared: 1 / (1 + squared))


@constructor("distributions.kernels.rbf")
def rbf(scale: float) -> Kernel:
    r"""The mean of Gaussian kernels of several widths.

    .. math:: k(x, y) = \frac17 \sum_s \exp\left(- \frac{\lVert x - y \rVert^2}{s c}\right)

    Args:
      scale: c, a typical squared distance; 2 d between draws of N(0, I) in d dimensions.

    Raises:
      ValueError: if the scale is not positive.

    Examples:
      >>> float(rbf(2.0)(jnp.zeros((1, 1)), jnp.full((1, 1), 100.0))[0, 0])
      0.0

    References:
      Gretton et al., `A Kernel Two-Sample Test <https://jmlr.org/papers/v13/gretton12a.html>`_.
    """
    return _of_distances(scale, lambda squared: jnp.exp(-squared))


def mmd(x: Float[Array, "n d"], y: Float[Array, "m d"], kernel: Kernel) -> Float[Array, ""]:
    r"""An unbiased estimate of the squared maximum mean discrepancy of two distributions.

    .. math:: \frac{\sum_{i \neq j} k(x_i, x_j)}{n (n - 1)} + \frac{\sum_{i \neq j} k(y_i, y_j)}{m (m - 1)}
              - \frac{2}{n m} \sum_{i, j} k(x_i, y_j)

    If the two distributions are the same, its expectation is zero; a single estimate may be negative.

    Args:
      x: draws from the first distribution, `[n, d]`.
      y: draws from the second, `[m, d]`.
      kernel: for example :func:`imq`.

    Raises:
      ValueError: if there are fewer than two draws of either.

    Examples:
      >>> x = jax.random.normal(jax.random.key(0), (100, 2))
      >>> bool(mmd(x, x + 3, rbf(4.0)) > 0.1)
      True

    References:
      Gretton et al., `A Kernel Two-Sample Test <https://jmlr.org/papers/v13/gretton12a.html>`_,
      equation 3.
    """
    x, y = as_float(x), as_float(y)
    n, m = len(x), len(y)
    if min(n, m) < 2:
        raise ValueError(f"the discrepancy needs two draws of each distribution, got {n} and {m}")

    def total(a: Array, b: Array) -> Array:
        if len(a) <= BLOCK:
            return jnp.sum(kernel(a, b))
        rows = jax.lax.map(lambda row: jnp.sum(kernel(row[None], b)), a, batch_size=BLOCK)
        return jnp.sum(rows)

    def within(a: Array) -> Array:
        # A point and itself are not a pair.
        own = jnp.sum(jax.vmap(lambda point: kernel(point[None], point[None])[0, 0])(a))
        return (total(a, a) - own) / (len(a) * (len(a) - 1))

    return within(x) + within(y) - 2 * total(x, y) / (n * m)


def _of_distances(scale: float, function: Callable[[Array], Array]) -> Kernel:
    check_scale("the scale of a kernel", scale)
    width = math.sqrt(scale)

    def kernel(x: Array, y: Array) -> Array:
        if x.shape[1:] != y.shape[1:]:
            raise ValueError(
                f"points of a kernel must have the same number of dimensions, got {x.shape} and {y.shape}"
            )
        # The squared distance itself, not the square of a norm, whose gradient at zero is nan; and
        # from differences, since the expanded square loses the digits of near points. They are divided
        # by the width before they are squared, or their squares would over- or underflow.
        squared = jnp.sum(jnp.square((x[:, None] - y) / width), axis=-1)
        parts = [function(squared / s) for s in SCALES]
        return functools.reduce(jnp.add, parts) / len(parts)

    return kernel
