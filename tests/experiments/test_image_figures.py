"""Rows of the figures of experiments: what they show, and the scores beside them."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import denoising, super_resolution, translation
from experiments.shared import cluster_figures, datasets
from experiments.shared import image_to_image as common
from jaxae.runs import charts, descriptions, figures

X = np.asarray(jax.random.uniform(jax.random.key(0), (12, 9, 8, 3)))


@pytest.fixture
def shown(monkeypatch, tmp_path):
    """What is given to `rows` and `confusion`, and a run to give it for."""
    calls = []
    monkeypatch.setattr(
        figures, "rows", lambda images, path, **options: calls.append((images, options))
    )
    monkeypatch.setattr(
        charts, "confusion", lambda counts, path, **options: calls.append((counts, options))
    )
    return calls, SimpleNamespace(figures=tmp_path)


def test_super_resolution_shows_the_low_resolution_input(shown):
    calls, run = shown
    config = super_resolution.Config(factor=2)
    task = super_resolution.task(config)
    seen = np.asarray(task.corrupt(jax.random.key(0), jnp.asarray(X)))
    baselines = task.baselines(X)
    results = {"test/psnr": 30.0, "bicubic/psnr": 20.0}
    common.draw(config, run, task, (seen, X), lambda x: x, baselines, results)
    ((rows, options),) = calls
    assert list(rows) == [
        "low resolution",
        "bicubic\n20.00 dB",
        "super resolved\n30.00 dB",
        "truth",
    ]
    low = np.asarray(rows["low resolution"])
    assert low.shape == (10, 9, 8, 3)
    # A pixel of the small image is a square of four equal pixels; there are a quarter as many.
    np.testing.assert_array_equal(low[:, 0:8:2, ::2], low[:, 1:9:2, 1::2])
    small = jax.image.resize(X[datasets.spread(12, 10)], (10, 5, 4, 3), "cubic")
    np.testing.assert_allclose(low[:, ::2, ::2], np.clip(small, 0, 1), atol=1e-6)
    assert "2 times as many pixels" in options["title"]


def test_an_input_that_is_a_baseline_is_named_once(shown):
    calls, run = shown
    config = translation.Config()
    task = translation.task((9, 8, 3), (9, 8, 3), descriptions.shift(4, 2))
    results = {f"{name}/psnr": 10.0 for name in ("test", "input", "mean_target")}
    common.draw(config, run, task, (X, X[::-1]), lambda x: x, task.baselines(X), results)
    ((rows, options),) = calls
    assert list(rows) == [
        "input\n10.00 dB",
        "translated\n10.00 dB",
        "truth",
        "mean target\n10.00 dB",
    ]
    assert "moved by 4 pixels down and 2 pixels to the right" in options["title"]


def test_noise_has_a_description_in_words():
    assert (
        denoising.describe(denoising.Config(noise=0.3))
        == "Gaussian noise of standard deviation 0.3, clipped to [0, 1]"
    )
    assert "set to zero" in denoising.describe(denoising.Config(corrupt=("masking:0.5",)))


def test_a_confusion_matrix_says_which_run_it_is_and_names_classes(shown):
    calls, run = shown
    labels = np.array([0, 1, 2, 2])
    data = datasets.Data(
        X, None, X, None, 1, False, "", (labels, None, labels), classes=("ant", "bee", "cow")
    )
    cluster_figures.draw_confusion(
        denoising.Config(), run, np.array([1, 0, 2, 2]), np.array([1, 0, -1]), data, about="seed 7"
    )
    ((counts, options),) = calls
    assert options["columns"] == ["ant", "bee", "cow"]
    assert options["rows"] == ["1 \u2192 ant", "0 \u2192 bee", "2 \u2192 none"]
    assert counts.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 2]]
    assert options["title"].endswith("seed 7")
