"""Two stochastic layers: p(z2) p(z1 | z2) p(x | z1), with q(z1 | x) q(z2 | z1). A code is a dict."""

import jax
import jax.numpy as jnp

import jaxae


def chain(a: str, p_a: jaxae.Distribution, b: str, given_a) -> jaxae.Distribution:
    """The joint distribution of a, and of b given a, as a dict of both."""

    def draw(key):
        a_key, b_key = jax.random.split(key)
        z_a, log_a = p_a.draw(a_key)
        z_b, log_b = given_a(z_a).draw(b_key)
        return {a: z_a, b: z_b}, log_a + log_b

    def log_prob(z):
        return p_a.log_prob(z[a]) + given_a(z[a]).log_prob(z[b])

    mean = {a: p_a.mean, b: given_a(p_a.mean).mean}
    return jaxae.Distribution(draw, mean, log_prob, stats=p_a.stats, reparameterised=True)


def two_layer_vae(up1, up2, down2, down1, likelihood, *, latent_dims) -> jaxae.Autoencoder:
    """Networks x -> z1 -> z2 (`up1`, `up2`) and z2 -> z1 -> x (`down2`, `down1`)."""
    first, second = (jaxae.posteriors.gaussian(d).distribution for d in latent_dims)

    def init(key, batch):
        keys, b = jax.random.split(key, 4), len(batch.x)
        z1, z2 = (jnp.zeros((b, d)) for d in latent_dims)
        return {
            "up1": up1.init(keys[0], batch.input),
            "up2": up2.init(keys[1], z1),
            "down2": down2.init(keys[2], z2),
            "down1": down1.init(keys[3], z1),
        }

    def posterior(params, batch, *, key=None):
        up1_key, up2_key = (None, None) if key is None else jax.random.split(key)
        q1 = first(up1.apply(params["up1"], batch.input, key=up1_key))
        return chain("z1", q1, "z2", lambda z1: second(up2.apply(params["up2"], z1, key=up2_key)))

    def prior(params, n, condition=None):
        p2 = jaxae.families.standard_normal((n, latent_dims[1]))
        return chain("z2", p2, "z1", lambda z2: first(down2.apply(params["down2"], z2)))

    def describe(params, z, condition=None, *, key=None):
        return likelihood.distribution(down1.apply(params["down1"], z["z1"], key=key))

    model = jaxae.Model(init, posterior, prior, describe, "two_layer_vae", unit=likelihood.unit)
    return jaxae.Autoencoder(model, jaxae.objectives.elbo())
