"""Beta-TCVAE (Chen et al., 2018): a weight for the total correlation of the codes."""

import math

import jax.numpy as jnp
from jax.scipy.special import logsumexp

import jaxae


def total_correlation(base: jaxae.Autoencoder, weight: float, examples: int) -> jaxae.Autoencoder:
    """A VAE with a penalty on the total correlation, estimated by minibatch-weighted sampling.

    Args:
      base: a VAE whose posterior is a product over latent dimensions.
      weight: beta - 1, what is added to the weight that the KL divergence has.
      examples: how many the training set has.
    """

    def apply(context):
        draws, z = context.draws, context.z
        # log q(z_i | x_j) of each latent dimension, by the posterior that z was drawn from.
        pairs = draws.posterior.elementwise(z[:, None, :])
        offset = math.log(len(z) * examples)
        log_q = logsumexp(jnp.sum(pairs, axis=-1), axis=1) - offset
        log_product = jnp.sum(logsumexp(pairs, axis=1) - offset, axis=-1)
        return (
            jaxae.Term("total_correlation", log_q - log_product, weight),
            jaxae.Term("mutual_information", draws.log_posterior[0] - log_q, None),
            jaxae.Term("dimension_wise_kl", log_product - draws.log_prior[0], None),
        )

    options = (("weight", weight), ("examples", examples))
    return base.add(jaxae.Penalty("total_correlation", apply, options, coupled=True))
