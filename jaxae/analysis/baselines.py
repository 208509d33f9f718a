"""Baselines in closed form: the best affine denoiser."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from jaxae.arrays import as_float
from jaxae.base import Corruption

HIGHEST = jax.lax.Precision.HIGHEST


class LinearDenoiser(NamedTuple):
    """An affine map from corrupted images to clean ones.

    Attributes:
      mean: of the clean images, `[...]`.
      corrupted_mean: of the corrupted images, `[...]`.
      matrix: `[values of a corrupted image, values of a clean image]`.
    """

    mean: Float[Array, "..."]
    corrupted_mean: Float[Array, "..."]
    matrix: Float[Array, "corrupted values"]

    def __call__(self, corrupted: Float[Array, "b ..."]) -> Float[Array, "b ..."]:
        """Estimates of the clean images; they are not clipped to [0, 1]."""
        centred = (corrupted - self.corrupted_mean).reshape(corrupted.shape[0], -1)
        return self.mean + jnp.matmul(centred, self.matrix, precision=HIGHEST).reshape(
            -1, *self.mean.shape
        )


def linear_denoiser(
    key: PRNGKeyArray,
    x: Shaped[Array | np.ndarray, "n ..."],
    corruption: Corruption,
    *,
    draws: int = 1,
) -> LinearDenoiser:
    r"""The affine denoiser with the least squared error, in closed form: a baseline for denoisers.

    .. math:: \hat x = \bar x + \operatorname{Cov}(x, \tilde x)
              \operatorname{Cov}(\tilde x)^{-1} (\tilde x - \bar{\tilde x})

    For additive noise of variance :math:`\sigma^2` the matrix is :math:`C (C + \sigma^2 I)^{-1}`, where
    C is the covariance of the images. The covariances are estimated from corruptions of the images.

    Args:
      key: for the corruption.
      x: all clean images, bytes or floats in [0, 1].
      corruption: `(key, x) -> x~`.
      draws: the number of corruptions of each image.

    Returns:
      a :class:`LinearDenoiser`.

    Raises:
      ValueError: if the number of draws is not positive.

    Examples:
      >>> from jaxae.data import corruptions
      >>> x = jax.random.uniform(jax.random.key(0), (500, 4, 4, 1))
      >>> best = linear_denoiser(jax.random.key(1), x, corruptions.gaussian(0.1))
      >>> best(x[:3]).shape
      (3, 4, 4, 1)

    References:
      Wiener, Extrapolation, Interpolation, and Smoothing of Stationary Time Series, 1949.
    """
    if draws < 1:
        raise ValueError(f"the covariances need at least one draw of the corruption, got {draws}")
    x = as_float(x)
    keys = jax.random.split(key, draws)
    # Loops inside the program: unrolled, many draws take half a minute to compile.
    means = jax.lax.map(lambda draw: jnp.mean(corruption(draw, x), axis=0), keys)
    corrupted_mean = jnp.mean(means, axis=0)
    mean = jnp.mean(x, axis=0)
    clean = (x - mean).reshape(x.shape[0], -1)

    def add(sums: tuple[Array, Array], draw: PRNGKeyArray) -> tuple[tuple[Array, Array], None]:
        noisy = (corruption(draw, x) - corrupted_mean).reshape(x.shape[0], -1)
        parts = tuple(jnp.matmul(noisy.T, other, precision=HIGHEST) for other in (noisy, clean))
        return jax.tree.map(lambda total, part: total + part / (draws * len(x)), sums, parts), None

    size = corrupted_mean.size
    zeros = jnp.zeros((size, size)), jnp.zeros((size, mean.size))
    (variance, covariance), _ = jax.lax.scan(add, zeros, keys)
    # A constant pixel has no variance, and the pseudo-inverse gives it no weight.
    inverse = jnp.linalg.pinv(variance, rtol=1e-6, hermitian=True)
    matrix = jnp.matmul(inverse, covariance, precision=HIGHEST)
    return LinearDenoiser(mean, corrupted_mean, matrix)
