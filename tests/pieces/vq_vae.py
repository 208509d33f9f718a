"""VQ-VAE (van den Oord et al., 2017): codes are entries of a codebook, gradients go straight through."""

import math

import jax
import jax.numpy as jnp

import jaxae


def quantised(tokens: int, dim: int, entries: int) -> jaxae.Posterior:
    """All probability at the nearest entries of a codebook; a code is `[tokens, dim]`."""

    def init(key):
        return {"codebook": jax.random.normal(key, (entries, dim))}

    def distribution(outputs, params=None):
        codebook = params["codebook"]
        e = outputs.reshape(len(outputs), tokens, dim)
        squared = jnp.sum(jnp.square(e[:, :, None, :] - codebook), axis=-1)
        index = jnp.argmin(squared, axis=-1)
        nearest = codebook[index]
        z = e + jax.lax.stop_gradient(nearest - e)

        def kl(other):
            uniform = other.family == "codebook"
            return jnp.full(index.shape, math.log(entries)) if uniform else None

        stats = (e, nearest, index)
        kind = "straight-through"
        return jaxae.Distribution(
            lambda key: (z, None), z, stats=stats, kl=kl, reparameterised=kind
        )

    return jaxae.Posterior(distribution, init)


def vq_vae(encoder, decoder, likelihood, *, tokens, dim, entries, commitment=0.25):
    """A VAE whose posterior is one of `entries ** tokens` codes, and whose prior is uniform."""
    posterior = quantised(tokens, dim, entries)
    base = jaxae.vae(encoder, decoder, likelihood, latent_dim=tokens * dim, posterior=posterior)

    def prior(params, n, condition=None):
        codebook = params["posterior"]["codebook"]

        def draw(key):
            return codebook[jax.random.randint(key, (n, tokens), 0, entries)], None

        mean = jnp.broadcast_to(jnp.mean(codebook, axis=0), (n, tokens, dim))
        return jaxae.Distribution(draw, mean, family="codebook")

    def apply(context):
        e, nearest, _ = context.draws.posterior.stats
        distance = lambda a, b: jnp.sum(jnp.square(a - jax.lax.stop_gradient(b)), axis=(1, 2))
        return (
            jaxae.Term("codebook", distance(nearest, e)),
            jaxae.Term("commitment", distance(e, nearest), commitment),
        )

    options = (("commitment", commitment),)
    base = base._replace(model=base.model._replace(prior=prior, name="vq_vae"))
    return base.add(jaxae.Penalty("codebook", apply, options))
