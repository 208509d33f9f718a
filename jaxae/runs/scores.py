"""The draws and the scores by which all runs are evaluated, in experiments and afterwards."""

from typing import Any

import jax
import numpy as np
from jaxtyping import Array

from jaxae import analysis
from jaxae.base import Batch, Likelihood, Params, Tree
from jaxae.composition import Autoencoder
from jaxae.objectives import elbo
from jaxae.recipes import from_recipe
from jaxae.training.evaluation import Score

TEST_SEED = 2_718_281_828
"""The draws of an evaluation are the same for all runs, so that results can be compared. No run trains with
this seed, because it is larger than most that users choose."""


def spread(total: int, count: int) -> np.ndarray:
    """`count` indices spread evenly over `total`, since data may be sorted by class."""
    return np.linspace(0, total - 1, min(count, total)).astype(int)


def batch_size_of(values: int, outputs: int) -> int:
    """How many images are evaluated together: their outputs for one draw each fit the memory."""
    return max(8, min(256, 2**26 // (values * outputs)))


def bound_scores(model: Autoencoder, samples: int, *, batch_size: int, outputs: int) -> Score:
    """A score of examples: -log p(x), estimated, and the terms of the ELBO if the objective is another one.

    Args:
      model: whose prior and posterior have densities.
      samples: importance samples of each example.
      batch_size: how many examples are scored together.
      outputs: of the decoder, for one example.
    """
    chunk = max(1, 2**22 // (batch_size * outputs))
    plain = model._replace(objective=elbo())

    def scores(params: Params, key: jax.Array, x: Batch | Tree) -> dict[str, Array]:
        elbo_key, nll_key = jax.random.split(key)
        nll = analysis.importance_nll(model, params, nll_key, x, samples, chunk=chunk)
        if model.objective.name == "elbo":
            return {"nll": nll}
        return {**plain.loss(params, elbo_key, x, train=False).terms, "nll": nll}

    return scores


def likelihood_of(recipe: Any) -> Likelihood | None:
    """The likelihood in the recipe of a model, inside of all wrappers; None if it names none."""
    if not isinstance(recipe, dict):
        return None
    own = recipe.get("likelihood")
    if isinstance(own, dict) and "call" in own:
        built = from_recipe(own)
        return built if isinstance(built, Likelihood) else None
    return next((f for value in recipe.values() if (f := likelihood_of(value)) is not None), None)
