"""Partially importance-weighted autoencoders (Rainforth et al., 2018)."""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp

import jaxae


def miwae_bound(log_weight, bounds: int):
    """The mean of several importance-weighted bounds, each of an equal share of the draws."""
    parts = log_weight.reshape(bounds, -1, log_weight.shape[-1])
    return jnp.mean(logsumexp(parts, axis=1) - math.log(parts.shape[1]), axis=0)


def piwae(bounds: int, samples: int) -> jaxae.Objective:
    """The decoder's gradient is that of one bound of all draws, the encoder's that of several."""

    def apply(model, params, key, batch, step, train):
        frozen = jax.lax.stop_gradient(params)

        draw = partial(jaxae.draw, model, batch=batch, samples=bounds * samples, train=train)
        # The same codes twice: with a gradient for the decoder, and with one for the encoder.
        decoder = draw(params, key, posterior_params=frozen)
        encoder = draw(frozen, jax.random.clone(key), posterior_params=params)
        negative_iwae = -miwae_bound(decoder.log_weight, 1)
        negative_miwae = -miwae_bound(encoder.log_weight, bounds)
        loss = negative_iwae + negative_miwae - jax.lax.stop_gradient(negative_miwae)
        terms = {"negative_iwae": negative_iwae, "negative_miwae": negative_miwae}
        z = jax.tree.map(lambda leaf: leaf[0], encoder.z)
        draws = encoder._replace(likelihood=decoder.likelihood)
        return jaxae.Output(loss, terms, z=z, stats=encoder.posterior.stats), draws

    return jaxae.Objective("piwae", apply, (("bounds", bounds), ("samples", samples)))
