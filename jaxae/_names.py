"""The names at the top level of jaxae. `jaxae/__init__.py` imports this when one of them is first used."""

# ruff: noqa: F401

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

_devices.check_platforms()
