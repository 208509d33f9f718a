"""Baselines in closed form: the best linear denoiser."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from jaxae.arrays import as_float
from jaxae.base import Corruption


class LinearDenoiser(NamedTuple):
    """An affine map from corrupted images to clean ones.

    Attributes:
      mean: `[...]`, of the shape of a clean image.
      corrupted_mean: `[...]`, of the shape of a corrupted one.
      matrix: `[corrupted values, values]`.
    """

    mean: Float[Array, "..."]
    corrupted_mean: Float[Array, "..."]
    matrix: Float[Array, "corrupted values"]

    def __call__(self, corrupted: Float[Array, "b ..."]) -> Float[Array, "b ..."]:
        """The estimate of the clean images; it is not clipped."""
        centred = (corrupted - self.corrupted_mean).reshape(corrupted.shape[0], -1)
        return self.mean + (centred @ self.matrix).reshape(-1, *self.mean.shape)


def linear_denoiser(
    key: PRNGKeyArray,
    x: Shaped[Array | np.ndarray, "n ..."],
    corruption: Corruption,
    *,
    draws: int = 1,
) -> LinearDenoiser:
    r"""The affine map with the least squared error, in closed form: what a denoiser has to beat.

    .. math:: \hat x = \bar x + \operatorname{Cov}(x, \tilde x)
              \operatorname{Cov}(\tilde x)^{-1} (\tilde x - \bar{\tilde x})

    For additive noise of variance :math:`\sigma^2` this is :math:`C (C + \sigma^2 I)^{-1}`, with C
    the covariance of the images. The covariances are those of the images and their corruptions.

    Args:
      key: for the corruption.
      x: clean images, all of them; bytes, or floats in [0, 1].
      corruption: `(key, x) -> x~`.
      draws: how many corruptions of each image the covariances are over.

    Raises:
      ValueError: if there is no draw.

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
        raise ValueError(f"the covariances need at least one draw, got {draws}")
    x = as_float(x)
    keys = jax.random.split(key, draws)
    # Loops of the program: unrolled, draws that are many take half a minute to compile.
    means = jax.lax.map(lambda draw: jnp.mean(corruption(draw, x), axis=0), keys)
    corrupted_mean = jnp.mean(means, axis=0)
    mean = jnp.mean(x, axis=0)
    clean = (x - mean).reshape(x.shape[0], -1)

    def add(sums: tuple[Array, Array], draw: PRNGKeyArray) -> tuple[tuple[Array, Array], None]:
        noisy = (corruption(draw, x) - corrupted_mean).reshape(x.shape[0], -1)
        parts = (noisy.T @ noisy, noisy.T @ clean)
        return jax.tree.map(lambda total, part: total + part / (draws * len(x)), sums, parts), None

    size = corrupted_mean.size
    zeros = jnp.zeros((size, size)), jnp.zeros((size, mean.size))
    (variance, covariance), _ = jax.lax.scan(add, zeros, keys)
    # A pixel that is always the same has no variance: the pseudo-inverse leaves it out.
    matrix = jnp.linalg.pinv(variance, rtol=1e-6, hermitian=True) @ covariance
    return LinearDenoiser(mean, corrupted_mean, matrix)
