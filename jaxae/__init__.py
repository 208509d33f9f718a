"""Autoencoders as pure functions in JAX and Flax.

The names below are the library; the modules they come from say what belongs together.
"""

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
from jaxae.checkpoint import Checkpoints
from jaxae.contractive import contractive, squared_jacobian_norm
from jaxae.data import Splits, binarize, load
from jaxae.divergences import (
    kl_diagonal_normal,
    kl_normal,
    kl_standard_normal,
    kl_standard_normal_per_dimension,
)
from jaxae.images import Images, from_arrays, is_binary
from jaxae.likelihoods import bernoulli, categorical, discretized_logistic, gaussian, laplace
from jaxae.many import ManyFits, fit_many
from jaxae.metrics import bits_per_dimension, psnr, squared_error
from jaxae.networks import (
    conv_decoder,
    conv_encoder,
    linen,
    mlp_decoder,
    mlp_encoder,
    resnet_decoder,
    resnet_encoder,
)
from jaxae.training import (
    Fit,
    Interrupted,
    NonFiniteError,
    TrainState,
    fit,
    init_state,
    loss_scores,
    make_epoch,
    make_evaluate,
    make_step,
    means,
)
from jaxae.vae import (
    beta_schedule,
    diagonal_posterior,
    importance_nll,
    importance_weighted,
    vae,
)

__all__ = [
    "Autoencoder",
    "Checkpoints",
    "Fit",
    "Images",
    "Interrupted",
    "Likelihood",
    "ManyFits",
    "Network",
    "NonFiniteError",
    "Output",
    "Splits",
    "TrainState",
    "as_float",
    "at_step",
    "autoencoder",
    "bernoulli",
    "beta_schedule",
    "binarize",
    "bits_per_dimension",
    "categorical",
    "contractive",
    "conv_decoder",
    "conv_encoder",
    "diagonal_posterior",
    "discretized_logistic",
    "fit",
    "fit_many",
    "from_arrays",
    "gaussian",
    "importance_nll",
    "importance_weighted",
    "init_state",
    "is_binary",
    "kl_diagonal_normal",
    "kl_normal",
    "kl_standard_normal",
    "kl_standard_normal_per_dimension",
    "laplace",
    "linen",
    "load",
    "loss_scores",
    "make_epoch",
    "make_evaluate",
    "make_step",
    "means",
    "merge",
    "mlp_decoder",
    "mlp_encoder",
    "psnr",
    "reconstruct",
    "resnet_decoder",
    "resnet_encoder",
    "soft_clip",
    "squared_error",
    "squared_jacobian_norm",
    "vae",
]

__version__ = "0.1.0"
