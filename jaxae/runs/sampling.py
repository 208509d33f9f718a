"""Samples of a run: from its prior, from a class of it, or from a normal distribution of its codes."""

import sys
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxae.analysis.interpolation import draw_like
from jaxae.base import Prior
from jaxae.recipes import from_recipe
from jaxae.runs import sources
from jaxae.runs.loading import TrainedRun


def draw(
    run: TrainedRun,
    n: int,
    *,
    seed: int = 0,
    temperature: int | float = 1.0,
    label: int | None = None,
) -> np.ndarray:
    """Decoded draws from the prior of a run.

    Args:
      run: a run whose model has a prior.
      n: how many.
      seed: for the draws.
      temperature: factor of the distance of each code from the mean of a normal prior.
      label: of the class that is drawn from; None for all.

    Returns:
      `[n, h, w, c]`, floats in [0, 1].

    Raises:
      ValueError: if the model has no prior, or it is not normal and has a temperature other than 1, or has
        no classes and a label.
    """
    model = run.model.model
    if model.prior is None:
        raise ValueError(
            "the model of this run has no prior to draw codes from; --fitted draws them from a normal "
            "distribution fitted to the codes of the training images"
        )
    if label is not None:
        return _of_class(run, n, seed, temperature, label)
    if model.conditional or model.conditional_prior:
        raise ValueError("the model of this run is conditional; choose a class by --label")
    if temperature == 1:
        return np.asarray(run.sample(n, seed=seed))
    key = jax.random.fold_in(jax.random.key(seed), 0)  # as in `run.sample`
    prior = model.prior(run.params, n, None)
    if prior.family not in ("standard normal", "normal"):
        raise ValueError(
            "a temperature scales the codes of a normal prior, and the prior of this run is another one "
            f"({model.name}); leave out --temperature"
        )
    z = prior.mean + temperature * (prior.draw(key)[0] - prior.mean)
    return np.asarray(run.decode(z))


def draw_fitted(
    run: TrainedRun,
    n: int,
    *,
    seed: int = 0,
    temperature: int | float = 1.0,
    label: int | None = None,
    data_dir: str | None = None,
) -> np.ndarray:
    """Decoded draws from the normal distribution with the mean and covariance of the training codes.

    Args:
      run: a run whose model has an encoder and one code for each image.
      n: how many.
      seed: for the draws.
      temperature: factor of the distance of each code from the mean.
      label: of the class whose codes are used; None for all.
      data_dir: where the data set of the run is, see :func:`jaxae.load`.

    Returns:
      `[n, h, w, c]`, floats in [0, 1].

    Raises:
      ValueError: if the codes are no vectors, or the training images cannot be read, and a label is given
        or the mean and the standard deviation of their codes are not recorded.
    """
    key = jax.random.key(seed)
    try:
        data = run.load_data(data_dir).train
    except ValueError as error:
        if label is not None or run.code_mean is None or run.code_std is None:
            raise
        print(
            f"note: without the training images ({error}), each latent dimension is drawn on its own",
            file=sys.stderr,
        )
        noise = jax.random.normal(key, (n, *run.code_mean.shape))
        return np.asarray(run.decode(run.code_mean + temperature * noise * run.code_std))
    if label is not None:
        if data.labels is None:
            raise ValueError(f"the training images of {run.inputs.dataset} have no labels")
        if not (data.labels == label).any():
            raise ValueError(
                f"no training image has the label {label}; they are {data.labels.min()} to "
                f"{data.labels.max()}"
            )
        data = data.take(np.flatnonzero(data.labels == label))
    codes = sources.single_code(sources.encode(run, data.images))
    flat = jnp.asarray(codes.reshape(len(codes), -1))
    mean = flat.mean(axis=0)
    z = mean + temperature * (draw_like(key, flat, n) - mean)
    return np.asarray(run.decode(z.reshape(n, *codes.shape[1:])))


def _of_class(
    run: TrainedRun, n: int, seed: int, temperature: int | float, label: int
) -> np.ndarray:
    if temperature != 1:
        raise ValueError("--temperature cannot be combined with --label, except with --fitted")
    labels = jnp.full(n, label, jnp.int32)
    model = run.model.model
    if model.conditional or model.conditional_prior:
        images = np.asarray(run.sample(n, seed=seed, condition=labels, clip=False))
        if np.isnan(images).any():
            raise ValueError(f"the model of this run has no class {label}")
        return np.clip(images, 0, 1)
    prior = prior_of(run.recipe)
    if prior is None or prior.classes is None:
        raise ValueError(
            "the prior of this run has no classes; --fitted --label draws from the codes of the training "
            "images with this label"
        )
    if label >= prior.classes:
        raise ValueError(f"--label must be in 0 ... {prior.classes - 1}, got {label}")
    z = prior.sample(jax.random.key(seed), n, condition=labels)
    return np.asarray(run.decode(z))


def prior_of(recipe: Mapping[str, Any]) -> Prior | None:
    """The prior of the model that a recipe describes: that of the outermost wrapper that has one."""
    given = recipe.get("prior")
    # A view matches a part of the code only, which the whole model has no prior from.
    if isinstance(given, Mapping) and recipe.get("view") is None:
        return from_recipe(given)
    base = recipe.get("base", recipe.get("model"))
    return prior_of(base) if isinstance(base, Mapping) else None
