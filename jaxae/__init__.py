"""Autoencoders as pure functions in JAX and Flax.

At the top level is what models are built and trained with: types, constructors of models, wrappers,
`load` and `fit`. Everything else is in its package: `jaxae.networks.mlp_encoder`,
`jaxae.likelihoods.bernoulli`, `jaxae.analysis.importance_nll`.
"""

from jaxae import analysis, data, distributions, models, networks, objectives, training, wrappers
from jaxae.arrays import as_float
from jaxae.base import (
    Batch,
    Context,
    Distribution,
    Draws,
    Likelihood,
    Model,
    Network,
    Objective,
    Output,
    Penalty,
    Posterior,
    Prior,
    Term,
)
from jaxae.composition import Autoencoder, draw, reconstruct
from jaxae.data import augmentations, corruptions, masks
from jaxae.data.images import Images
from jaxae.data.loading import Splits, load
from jaxae.data.streams import Stream
from jaxae.distributions import families, likelihoods, posteriors, priors
from jaxae.models import (
    autoencoder,
    classifier,
    gan,
    linear_autoencoder,
    logistic_pca,
    pca,
    tied_autoencoder,
    vae,
    vae_gan,
)
from jaxae.recipes import from_recipe, recipe_of
from jaxae.runs.loading import TrainedRun, load_run
from jaxae.runtime import devices as _devices
from jaxae.training import (
    Checkpoints,
    Fit,
    Interrupted,
    ManyFits,
    NonFiniteError,
    fit,
    fit_many,
)
from jaxae.wrappers import (
    adversarial,
    contractive,
    deep_clustering,
    denoising,
    importance_weighted,
    sparse,
    supervised,
    wasserstein,
    with_prior,
)

__version__ = "0.2.0"

_devices.check_platforms()

__all__ = [
    "Autoencoder",
    "Batch",
    "Checkpoints",
    "Context",
    "Distribution",
    "Draws",
    "Fit",
    "Images",
    "Interrupted",
    "Likelihood",
    "ManyFits",
    "Model",
    "Network",
    "NonFiniteError",
    "Objective",
    "Output",
    "Penalty",
    "Posterior",
    "Prior",
    "Splits",
    "Stream",
    "Term",
    "TrainedRun",
    "adversarial",
    "analysis",
    "as_float",
    "augmentations",
    "autoencoder",
    "classifier",
    "contractive",
    "corruptions",
    "data",
    "deep_clustering",
    "denoising",
    "distributions",
    "draw",
    "families",
    "fit",
    "fit_many",
    "from_recipe",
    "gan",
    "importance_weighted",
    "likelihoods",
    "linear_autoencoder",
    "load",
    "load_run",
    "logistic_pca",
    "masks",
    "models",
    "networks",
    "objectives",
    "pca",
    "posteriors",
    "priors",
    "recipe_of",
    "reconstruct",
    "sparse",
    "supervised",
    "tied_autoencoder",
    "training",
    "vae",
    "vae_gan",
    "wasserstein",
    "with_prior",
    "wrappers",
]
