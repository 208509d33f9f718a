"""Every run that a test trains can be loaded again, with the model and the parameters it was trained with."""

import jax
import numpy as np
import pytest

import jaxae
from experiments.shared import running

_LOADED = set()


@pytest.fixture(autouse=True)
def runs_can_be_loaded(monkeypatch):
    """After a test, loads the runs of models that no test before it has trained.

    A test that damages its runs clears the list that this fixture gives.
    """
    fit, trained = running.fit, []

    def recorded(config, run, model, data, **options):
        fitted = fit(config, run, model, data, **options)
        trained.append((run, model, fitted.params))
        return fitted

    monkeypatch.setattr(running, "fit", recorded)
    yield trained
    for run, model, params in trained:
        if repr(model) in _LOADED or not (run.directory / "checkpoints").exists():
            continue
        _LOADED.add(repr(model))
        loaded = jaxae.load_run(run.directory)
        assert jaxae.recipe_of(loaded.model) == jaxae.recipe_of(model)
        assert jax.tree.structure(loaded.params) == jax.tree.structure(params)
        for one, other in zip(jax.tree.leaves(loaded.params), jax.tree.leaves(params), strict=True):
            np.testing.assert_array_equal(one, other)
