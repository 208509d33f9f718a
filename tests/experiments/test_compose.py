"""The experiment that composes models from flags."""

import jax
import numpy as np
import pytest

from experiments import (
    compose,
)
from experiments.shared import datasets, running
from jaxae.runs import plans
from tests.experiments.running import finished

COMPOSED = {
    "every part": {
        "corrupt": ("masking:0.3",),
        "contract": 1e-3,
        "sparse": "l1:1e-3",
        "beta": 1.0,
    },
    "tied top k": {"tied": True, "sparse": "top_k:3", "code": 80},
    "tied rate": {"tied": True, "sparse": "kl:0.1:0.2", "hidden": (16,)},
    "conv rate": {"network": "conv", "hidden": (4,), "sparse": "kl:0.1:0.2"},
    "importance weighted": {
        "beta": 1.0,
        "importance_weighted": 3,
        "corrupt": ("erase:0.5",),
        "sparse": "l1:1e-3",
        "dropout": 0.1,
    },
    "estimated": {"contract": 1e-3, "jacobian": "hutchinson", "likelihood": "gaussian"},
    "overcomplete": {
        "code": 100,
        "corrupt": ("gaussian:0.3",),
        "network": "resnet",
        "hidden": (8,),
    },
}


@pytest.mark.parametrize("name", COMPOSED)
def test_compositions(tmp_path, name):
    options = {"hidden": (16,), "code": 8} | COMPOSED[name]
    results, drawn = finished(compose, tmp_path, epochs=2, **options)
    terms = {
        "contract": "test/contraction",
        "sparse": "test/sparsity",
        "beta": "test/negative_elbo",
    }
    for option, term in terms.items():
        asked = option in options and not str(options[option]).startswith("top_k")
        assert (term in results) == asked
    assert ("samples.png" in drawn) == ("beta" in options)


@pytest.mark.slow
def test_every_part_of_a_composition_changes_the_loss(tmp_path):
    """One epoch with each part, with all other settings equal."""
    options = {
        "plain": {},
        "corrupt": {"corrupt": ("masking:0.3",)},
        "contract": {"contract": 0.1},
        "stronger": {"contract": 0.2},
        "l1": {"sparse": "l1:0.1"},
        "rate": {"sparse": "kl:0.1:0.2"},
        "another rate": {"sparse": "kl:0.1:0.3"},
        "top k": {"sparse": "top_k:3"},
        "top more": {"sparse": "top_k:4"},
        "beta": {"beta": 1.0},
        "half": {"beta": 0.5},
        "tied": {"tied": True, "hidden": (16,)},
    }
    found = set()
    for name, extra in options.items():
        c = {"hidden": (16,), "code": 8} | extra
        c = compose.Config(dataset="digits", epochs=1, run_dir=str(tmp_path / name), **c)
        data = datasets.load(c)
        model = plans.build(compose.make_plan(c, data))
        fitted = running.fit(c, running.open_run(c, data, "compose"), model, data)
        found.add(float(np.sum(np.abs(jax.tree.leaves(fitted.params)[1]))))
    assert len(found) == len(options)
