"""A model whose log p(x) and exact posterior are known in closed form."""

import jax.numpy as jnp
import numpy as np
import scipy.stats

import jaxae

D, K, SCALE = 12, 3, 0.5


def linear_gaussian(log_var_error: float = 0.0, mean_error: float = 0.0):
    """p(z) = N(0, I), p(x | z) = N(Wz, s^2 I), W with orthogonal columns, and its exact posterior.

    The exact posterior is N(S W'x / s^2, S) with S = (I + W'W / s^2)^-1, which is diagonal here.
    """
    rng = np.random.default_rng(0)
    w = np.linalg.qr(rng.normal(size=(D, K)))[0] * np.array([2.0, 1.0, 0.3])
    variance = 1 / (1 + (w**2).sum(0) / SCALE**2)
    # What the bounded log-variance has to be before it is bounded.
    edge = 2 * 15.0 / np.pi
    raw = edge * np.tan((np.log(variance) + log_var_error) / edge)
    wj = jnp.asarray(w, jnp.float32)

    def encode(params, x, *, key=None):
        mean = x.reshape(-1, D) @ wj * jnp.asarray(variance / SCALE**2, jnp.float32) + mean_error
        return jnp.concatenate([mean, jnp.broadcast_to(jnp.float32(raw), mean.shape)], axis=-1)

    def decode(params, z, *, key=None):
        return (z @ wj.T).reshape(-1, 3, 4, 1)

    nothing = lambda key, x: {}
    model = jaxae.vae(
        jaxae.Network(nothing, encode),
        jaxae.Network(nothing, decode),
        jaxae.likelihoods.gaussian(SCALE),
        latent_dim=K,
    )
    law = scipy.stats.multivariate_normal(np.zeros(D), w @ w.T + SCALE**2 * np.eye(D))
    x = law.rvs(7, random_state=2)
    return model, {"encoder": {}, "decoder": {}}, jnp.float32(x).reshape(7, 3, 4, 1), law.logpdf(x)
