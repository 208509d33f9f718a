"""Codes on a sphere: the Power Spherical distribution (De Cao and Aziz, 2020)."""

import math

import jax
import jax.numpy as jnp
from jax.scipy.special import digamma, gammaln

import jaxae


def unit(x):
    """Vectors of norm one."""
    return x / jnp.sqrt(jnp.sum(jnp.square(x), axis=-1, keepdims=True) + 1e-12)


def log_area(dim: int) -> float:
    """The logarithm of the area of the unit sphere in so many dimensions."""
    return math.log(2) + 0.5 * dim * math.log(math.pi) - math.lgamma(0.5 * dim)


def power_spherical(mean, concentration) -> jaxae.Distribution:
    """Densities on the sphere that are proportional to (1 + mean x) ** concentration."""
    dim = mean.shape[-1]
    b = 0.5 * (dim - 1)
    a = b + concentration
    log_norm = (a + b) * math.log(2) + b * math.log(math.pi) + gammaln(a) - gammaln(a + b)

    def log_prob(x):
        return concentration * jnp.log1p(jnp.sum(mean * x, axis=-1)) - log_norm

    def draw(key):
        t_key, v_key = jax.random.split(key)
        t = 2 * jax.random.beta(t_key, a, b)[:, None] - 1
        v = unit(jax.random.normal(v_key, (len(mean), dim - 1)))
        y = jnp.concatenate([t, jnp.sqrt(jnp.clip(1 - t * t, 1e-7)) * v], axis=-1)
        # The reflection that takes the first axis to the mean.
        u = unit(jnp.eye(1, dim) - mean)
        x = y - 2 * u * jnp.sum(u * y, axis=-1, keepdims=True)
        return x, log_prob(x)

    def kl(other):
        if other.family != "uniform on the sphere":
            return None
        entropy = log_norm - concentration * (math.log(2) + digamma(a) - digamma(a + b))
        return (log_area(dim) - entropy)[:, None]

    return jaxae.Distribution(
        draw, mean, log_prob, stats=(mean, concentration), kl=kl, reparameterised=True
    )


def posterior(dim: int) -> jaxae.Posterior:
    """The encoder gives a direction and a concentration, `[b, dim + 1]`."""

    def distribution(outputs, params=None):
        return power_spherical(unit(outputs[:, :dim]), 1 + jax.nn.softplus(outputs[:, dim]))

    return jaxae.Posterior(distribution)


def uniform(dim: int) -> jaxae.Prior:
    """The uniform distribution on the sphere."""

    def distribution(params, n, condition=None):
        def log_prob(x):
            return jnp.full(n, -log_area(dim))

        def draw(key):
            x = unit(jax.random.normal(key, (n, dim)))
            return x, log_prob(x)

        return jaxae.Distribution(
            draw, jnp.zeros((n, dim)), log_prob, family="uniform on the sphere"
        )

    return jaxae.Prior(dim, distribution)
