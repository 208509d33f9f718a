"""Kernels, and the maximum mean discrepancy of two samples."""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Kernel = Callable[[Array, Array], Array]
"""How alike two points are: `(x [n, d], y [m, d]) -> [n, m]`."""

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Parts and multiples of a kernel's scale, to see what is near and what is far."""

BLOCK = 1024
"""So many rows of a kernel are in memory at a time."""


def imq(scale: float) -> Kernel:
    r"""Inverse multiquadric kernels of several widths, averaged: their tails are felt from afar.

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
    return _of_distances(scale, lambda squared, c: c / (c + squared))


def rbf(scale: float) -> Kernel:
    r"""Gaussian kernels of several widths, averaged.

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
    return _of_distances(scale, lambda squared, c: jnp.exp(-squared / c))


def mmd(x: Float[Array, "n d"], y: Float[Array, "m d"], kernel: Kernel) -> Float[Array, ""]:
    r"""The squared maximum mean discrepancy of two distributions, estimated without bias from samples.

    .. math:: \frac{\sum_{i \neq j} k(x_i, x_j)}{n (n - 1)} + \frac{\sum_{i \neq j} k(y_i, y_j)}{m (m - 1)}
              - \frac{2}{n m} \sum_{i, j} k(x_i, y_j)

    Its mean over samples is zero where the distributions are the same, so it may be negative.

    Args:
      x: draws of the one, `[n, d]`.
      y: draws of the other, `[m, d]`.
      kernel: such as :func:`imq`.

    Raises:
      ValueError: if there are fewer than two of each.

    Examples:
      >>> x = jax.random.normal(jax.random.key(0), (100, 2))
      >>> bool(mmd(x, x + 3, rbf(4.0)) > 0.1)
      True

    References:
      Gretton et al., `A Kernel Two-Sample Test <https://jmlr.org/papers/v13/gretton12a.html>`_,
      equation 3.
    """
    x, y = (points.astype(jnp.float32) for points in (x, y))
    n, m = len(x), len(y)
    if min(n, m) < 2:
        raise ValueError(f"the discrepancy needs two draws of each distribution, got {n} and {m}")

    def total(a: Array, b: Array) -> Array:
        if len(a) <= BLOCK:
            return jnp.sum(kernel(a, b))
        rows = jax.lax.map(lambda row: jnp.sum(kernel(row[None], b)), a, batch_size=BLOCK)
        return jnp.sum(rows)

    def alike(a: Array) -> Array:
        # Of a point and itself: not a pair. (No distance is subtracted, only what a kernel gave.)
        own = jnp.sum(jax.vmap(lambda point: kernel(point[None], point[None])[0, 0])(a))
        return (total(a, a) - own) / (len(a) * (len(a) - 1))

    return alike(x) + alike(y) - 2 * total(x, y) / (n * m)


def _of_distances(scale: float, function: Callable[[Array, float], Array]) -> Kernel:
    if not 0 < scale < math.inf:
        raise ValueError(f"the scale of a kernel must be positive, got {scale}")

    def kernel(x: Array, y: Array) -> Array:
        # The squared distance itself, not the square of a norm, whose gradient at zero is nan; and
        # from differences, since the expanded square loses the digits of near points.
        squared = jnp.sum(jnp.square(x[:, None] - y), axis=-1)
        parts = [function(squared, s * scale) for s in SCALES]
        return functools.reduce(jnp.add, parts) / len(parts)

    return kernel
