"""Autoencoders as pure functions in JAX and Flax."""

from jaxae import convolution
from jaxae.autoencoder import autoencoder
from jaxae.base import (
    Autoencoder,
    Likelihood,
    Network,
    Output,
    as_float,
    at_step,
    merge,
    reconstruct,
    soft_clip,
)
from jaxae.divergences import (
    kl_diagonal_normal,
    kl_normal,
    kl_standard_normal,
    kl_standard_normal_per_dimension,
)
from jaxae.likelihoods import bernoulli, categorical, discretized_logistic, gaussian, laplace
from jaxae.networks import (
    conv_decoder,
    conv_encoder,
    linen,
    mlp_decoder,
    mlp_encoder,
    resnet_decoder,
    resnet_encoder,
)
from jaxae.vae import diagonal_posterior, importance_nll, importance_weighted, vae
