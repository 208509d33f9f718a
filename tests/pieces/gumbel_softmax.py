"""Gumbel-softmax codes (Jang et al., 2017): relaxed categorical variables, with a temperature."""

import math

import jax
import jax.numpy as jnp

import jaxae


def relaxed(logits, temperature) -> jaxae.Distribution:
    """Relaxed one-hot vectors, `[b, variables, classes]`; the KL divergence is that of the classes."""
    log_p = jax.nn.log_softmax(logits)

    def draw(key):
        gumbel = jax.random.gumbel(key, log_p.shape)
        return jax.nn.softmax((log_p + gumbel) / temperature), None

    def kl(other):
        if other.family != "uniform one-hot":
            return None
        return jnp.sum(jnp.exp(log_p) * log_p, axis=-1) + math.log(log_p.shape[-1])

    return jaxae.Distribution(
        draw, jnp.exp(log_p), stats=log_p, kl=kl, family="relaxed one-hot", reparameterised=True
    )


def relaxed_one_hot(variables: int, classes: int, temperature: float = 0.5) -> jaxae.Posterior:
    """The posterior of so many variables, from their logits, at a constant temperature."""

    def distribution(outputs, params=None):
        return relaxed(outputs.reshape(len(outputs), variables, classes), temperature)

    return jaxae.Posterior(distribution)


def uniform_one_hot(variables: int, classes: int) -> jaxae.Prior:
    """Each variable is each of its classes with equal probability."""

    def distribution(params, n, condition=None):
        def draw(key):
            chosen = jax.random.randint(key, (n, variables), 0, classes)
            return jax.nn.one_hot(chosen, classes), None

        mean = jnp.full((n, variables, classes), 1 / classes)
        return jaxae.Distribution(draw, mean, family="uniform one-hot")

    return jaxae.Prior(variables * classes, distribution)


def annealed(objective: jaxae.Objective, temperature) -> jaxae.Objective:
    """An objective whose codes are drawn at a scheduled temperature."""

    def apply(model, params, key, batch, step, train):
        def posterior(params, batch, *, key=None):
            return relaxed(model.posterior(params, batch, key=key).stats, temperature(step))

        return objective.apply(model._replace(posterior=posterior), params, key, batch, step, train)

    options = (*objective.options, ("temperature", temperature))
    return objective._replace(apply=apply, options=options)
