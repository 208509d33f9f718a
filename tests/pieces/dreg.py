"""Doubly reparameterised gradients of the importance-weighted bound (Tucker et al., 2019)."""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp

import jaxae


def dreg(samples: int) -> jaxae.Objective:
    """The importance-weighted bound, with an encoder's gradient of less variance."""

    def apply(model, params, key, batch, step, train):
        frozen = jax.lax.stop_gradient(params)
        draw = partial(jaxae.draw, model, batch=batch, samples=samples, train=train)
        # The same codes twice: with a gradient for the decoder, and with one for the encoder.
        decoder = draw(params, key, posterior_params=frozen)
        again = jax.random.clone(key)
        encoder = draw(frozen, again, posterior_params=params, stop_density=True)
        bound = math.log(samples) - logsumexp(decoder.log_weight, axis=0)
        weight = jax.lax.stop_gradient(jax.nn.softmax(encoder.log_weight, axis=0))
        path = -jnp.sum(jnp.square(weight) * encoder.log_weight, axis=0)
        loss = bound + path - jax.lax.stop_gradient(path)
        terms = {"negative_iwae": bound, "negative_elbo": -jnp.mean(decoder.log_weight, axis=0)}
        z = jax.tree.map(lambda leaf: leaf[0], encoder.z)
        draws = encoder._replace(likelihood=decoder.likelihood)
        return jaxae.Output(loss, terms, z=z, stats=encoder.posterior.stats), draws

    return jaxae.Objective("dreg", apply, (("samples", samples),))
