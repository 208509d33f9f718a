"""Autoencoders as pure functions in JAX and Flax.

At the top level is what models are built and trained with: types, constructors of models, wrappers,
`load` and `fit`. Everything else is in its package: `jaxae.networks.mlp_encoder`,
`jaxae.likelihoods.bernoulli`, `jaxae.analysis.importance_nll`.
"""

# ruff: noqa: F405  (the names are those of jaxae/_names.py)

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxae._names import *  # noqa: F403

__version__ = "0.2.0"

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


def __getattr__(name: str) -> Any:
    # JAX takes a second or two to import, which `jaxae --help` and `jaxae --version` do without.
    if not name.startswith("__"):
        names = vars(import_module("jaxae._names"))
        globals().update({public: names[public] for public in __all__ if public in names})
        if name in globals():
            return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
