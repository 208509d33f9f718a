"""Families of distributions of codes: normal and point."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.base import Distribution, Tree
from jaxae.distributions.divergences import kl_standard_normal_per_dimension

LOG_2PI = math.log(2 * math.pi)


def normal(mean: Float[Array, "b ..."], log_var: Float[Array, "b ..."]) -> Distribution:
    r"""Normal distributions with diagonal covariance, and their closed-form KL divergence.

    .. math:: \log p(z) = -\tfrac12 \sum_j \frac{(z_j - \mu_j)^2}{\sigma_j^2} + \log \sigma_j^2
              + \log 2 \pi

    Args:
      mean: mu, `[b, ...]`; a code may have any shape.
      log_var: log sigma^2, of the same shape.

    Examples:
      >>> p = normal(jnp.zeros((1, 2)), jnp.zeros((1, 2)))
      >>> round(float(p.log_prob(jnp.zeros((1, 2)))[0]), 4)
      -1.8379
    """

    def elementwise(z: Array) -> Array:
        return -0.5 * (jnp.square((z - mean) * jnp.exp(-0.5 * log_var)) + log_var + LOG_2PI)

    def log_prob(z: Array) -> Array:
        return _sum_code(elementwise(z), mean)

    def draw(key: PRNGKeyArray) -> tuple[Array, Array]:
        noise = jax.random.normal(key, mean.shape)
        z = mean + jnp.exp(0.5 * log_var) * noise
        return z, -0.5 * _sum_code(jnp.square(noise) + log_var + LOG_2PI, mean)

    def kl(other: Distribution) -> Array | None:
        if other.family == "standard normal":
            return kl_standard_normal_per_dimension(mean, log_var)
        if other.family == "normal":
            other_mean, other_log_var = other.stats
            # In coordinates in which the other distribution is standard normal.
            shift = (mean - other_mean) * jnp.exp(-0.5 * other_log_var)
            return kl_standard_normal_per_dimension(shift, log_var - other_log_var)
        return None

    return Distribution(
        draw,
        mean,
        log_prob,
        elementwise,
        (mean, log_var),
        kl,
        reparameterised=True,
        family="normal",
    )


def standard_normal(shape: tuple[int, ...]) -> Distribution:
    """The standard normal distribution of a batch of codes, `[b, ...]`.

    Examples:
      >>> [round(float(v), 4) for v in standard_normal((3, 2)).log_prob(jnp.zeros((3, 2)))]
      [-1.8379, -1.8379, -1.8379]
    """
    zeros = jnp.zeros(shape)

    def draw(key: PRNGKeyArray) -> tuple[Array, Array]:
        z = jax.random.normal(key, shape)
        return z, log_prob(z)

    def elementwise(z: Array) -> Array:
        return -0.5 * (jnp.square(z) + LOG_2PI)

    def log_prob(z: Array) -> Array:
        return _sum_code(elementwise(z), zeros)

    return normal(zeros, zeros)._replace(
        draw=draw, log_prob=log_prob, elementwise=elementwise, family="standard normal"
    )


def point(z: Tree) -> Distribution:
    """All probability at one point: the posterior of a plain autoencoder. It has no density.

    Examples:
      >>> point(jnp.ones((1, 2))).draw(jax.random.key(0))[0].tolist()
      [[1.0, 1.0]]
    """
    return Distribution(lambda key: (z, None), z, stats=z, reparameterised=True, family="point")


def _sum_code(values: Array, like: Array) -> Array:
    """The sum over the axes of a code; values may have more axes before that of the example."""
    return jnp.sum(values, axis=tuple(range(1 - like.ndim, 0)))
