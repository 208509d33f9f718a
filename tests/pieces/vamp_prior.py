"""The VampPrior (Tomczak and Welling, 2018): a mixture of posteriors at inputs that are parameters."""

import math

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp

import jaxae


def vamp_prior(base: jaxae.Autoencoder, components: int) -> jaxae.Autoencoder:
    """A VAE with a normal posterior, and as prior the mixture of its posteriors at pseudo-inputs."""
    model = base.model

    def init(key, batch):
        key, inputs_key = jax.random.split(key)
        # The pseudo-inputs start at examples.
        n = len(batch.x)
        chosen = jax.random.choice(inputs_key, n, (components,), replace=components > n)
        return {**model.init(key, batch), "prior": {"inputs": batch.input[chosen]}}

    def prior(params, n, condition=None):
        mean, log_var = model.posterior(params, jaxae.Batch(params["prior"]["inputs"])).stats

        def log_prob(z):
            each = jaxae.families.normal(mean, log_var).log_prob(z[:, None, :])
            return logsumexp(each, axis=1) - math.log(components)

        def draw(key):
            which_key, noise_key = jax.random.split(key)
            which = jax.random.randint(which_key, (n,), 0, components)
            z, _ = jaxae.families.normal(mean[which], log_var[which]).draw(noise_key)
            return z, log_prob(z)

        middle = jnp.broadcast_to(jnp.mean(mean, axis=0), (n, mean.shape[1]))
        return jaxae.Distribution(draw, middle, log_prob)

    return base._replace(
        model=model._replace(init=init, prior=prior, name=f"vamp_prior({model.name})")
    )
