"""MIWAE (Mattei and Frellsen, 2019): training with missing values, and what they may have been."""

import jax
import jax.numpy as jnp

import jaxae


def miwae(columns: int, *, latent_dim: int, samples: int, hidden=(32,)) -> jaxae.Autoencoder:
    """A VAE trained on the importance-weighted bound of `Batch(x, observed=mask)`."""
    encoder = jaxae.networks.mlp_encoder(2 * latent_dim, hidden)
    decoder = jaxae.networks.mlp_decoder((columns,), hidden)
    likelihood = jaxae.likelihoods.gaussian("shared")
    base = jaxae.vae(encoder, decoder, likelihood, latent_dim=latent_dim)
    return jaxae.importance_weighted(base, samples)


def impute(model: jaxae.Autoencoder, params, key, batch: jaxae.Batch, samples: int):
    """The examples with E[x | observed values] where a value is missing, by importance sampling."""
    draws = model.draws(params, key, batch, samples)
    weight = jax.nn.softmax(draws.log_weight, axis=0)
    mean = draws.likelihood.mean.reshape(samples, *batch.x.shape)
    return jnp.where(batch.observed > 0, batch.x, jnp.einsum("kb,kb...->b...", weight, mean))
