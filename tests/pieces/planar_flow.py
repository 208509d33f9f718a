"""Planar flows (Rezende and Mohamed, 2015): a posterior with parameters of its own."""

import math

import jax
import jax.numpy as jnp

import jaxae


def planar(params, z):
    """One layer, z + u tanh(w z + b), and the logarithm of its Jacobian's determinant."""
    u, w, b = params["u"], params["w"], params["b"]
    # w u > -1 makes the layer invertible; u = 0 is the identity.
    along = jnp.dot(w, u)
    u = u + (jax.nn.softplus(along + math.log(math.e - 1)) - 1 - along) * w / jnp.dot(w, w)
    h = jnp.tanh(z @ w + b)
    return z + h[:, None] * u, jnp.log1p((1 - jnp.square(h)) * jnp.dot(w, u))


def planar_flow(latent_dim: int, layers: int = 4) -> jaxae.Posterior:
    """A normal posterior that is transformed by planar layers, the same for all examples."""
    base = jaxae.posteriors.gaussian(latent_dim)

    def init(key):
        u_key, w_key = jax.random.split(key)
        u = 0.1 * jax.random.normal(u_key, (layers, latent_dim))
        w = jax.random.normal(w_key, (layers, latent_dim))
        return {"u": u, "w": w, "b": jnp.zeros(layers)}

    def distribution(outputs, params=None):
        start = base.distribution(outputs)

        def draw(key):
            z, log_q = start.draw(key)
            z, log_dets = jax.lax.scan(lambda z, layer: planar(layer, z), z, params)
            return z, log_q - jnp.sum(log_dets, axis=0)

        mean, _ = jax.lax.scan(lambda z, layer: planar(layer, z), start.mean, params)
        return jaxae.Distribution(
            draw, mean, stats=start.stats, family="planar flow", reparameterised=True
        )

    return jaxae.Posterior(distribution, init)
