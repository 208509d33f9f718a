"""Inverse autoregressive flows (Kingma et al., 2016): a density at the posterior's own draws only."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxae


def masks(size: int, hidden: int, *, backwards: bool):
    """Masks of two layers through which an output sees only the values before its own (MADE)."""
    place = np.arange(size)[::-1] if backwards else np.arange(size)
    degree = np.arange(hidden) % max(size - 1, 1)
    return place[:, None] <= degree, degree[:, None] < np.tile(place, 2)


def autoregressive(params, z, context, *, backwards: bool):
    """One layer, z exp(s) + m with s and m of the values before, and its log-determinant."""
    first, second = masks(z.shape[1], len(params["b"]), backwards=backwards)
    h = jnp.tanh(z @ (first * params["w"]) + context @ params["c"] + params["b"])
    shift, log_scale = jnp.split(h @ (second * params["v"]) + params["d"], 2, axis=-1)
    log_scale = jaxae.arrays.soft_clip(log_scale, 3.0)
    return z * jnp.exp(log_scale) + shift, jnp.sum(log_scale, axis=-1)


def iaf(latent_dim: int, layers: int = 2, hidden: int = 16, context: int = 4) -> jaxae.Posterior:
    """A normal posterior and layers in alternating order; the encoder also gives a context."""
    base = jaxae.posteriors.gaussian(latent_dim)

    def init(key):
        shapes = {"w": (latent_dim, hidden), "c": (context, hidden), "v": (hidden, 2 * latent_dim)}
        keys = dict(zip(shapes, jax.random.split(key, 3), strict=True))
        layer = {n: 0.1 * jax.random.normal(keys[n], (layers, *s)) for n, s in shapes.items()}
        return layer | {"b": jnp.zeros((layers, hidden)), "d": jnp.zeros((layers, 2 * latent_dim))}

    def distribution(outputs, params=None):
        start = base.distribution(outputs[:, : 2 * latent_dim])

        def flow(z, log_q):
            for i in range(layers):
                layer = jax.tree.map(lambda leaf, i=i: leaf[i], params)
                z, log_det = autoregressive(
                    layer, z, outputs[:, 2 * latent_dim :], backwards=i % 2 == 1
                )
                log_q = log_q - log_det
            return z, log_q

        mean, _ = flow(start.mean, 0.0)
        return jaxae.Distribution(
            lambda key: flow(*start.draw(key)),
            mean,
            stats=start.stats,
            reparameterised=True,
            family="iaf",
        )

    return jaxae.Posterior(distribution, init)
