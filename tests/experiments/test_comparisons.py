"""The experiments that compare several models."""

import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.decomposition import PCA

import jaxae
from experiments import (
    contractive,
    deep_autoencoder,
    dropout,
    linear,
)
from tests.experiments.running import finished


def test_linear(tmp_path, capsys):
    results, drawn = finished(linear, tmp_path, code=4, epochs=300, batch_size=100)
    assert drawn == {"reconstructions.png", "explained_variance.png", "five_points.png"}
    for name in ("untied", "tied"):
        assert 0.99 < results[f"{name}/error_over_pca"] < 1.01
        assert results[f"{name}/largest_angle"] < 2
        assert results[f"{name}/basis_cosine"] < 0.99
    x = jaxae.as_float(np.concatenate([part.images for part in jaxae.load("digits")[:2]]))
    test = jaxae.as_float(jaxae.load("digits").test.images)
    pca = PCA(4).fit(np.asarray(x).reshape(len(x), -1))
    flat = np.asarray(test).reshape(len(test), -1)
    error = ((pca.inverse_transform(pca.transform(flat)) - flat) ** 2).sum(1).mean()
    assert results["pca/squared_error_unclipped"] == pytest.approx(error, rel=1e-4)
    assert results["pca/explained_variance"] == pytest.approx(
        pca.explained_variance_ratio_.sum(), rel=1e-4
    )
    printed = capsys.readouterr().out
    for line in ("(-0.50, -0.40)", "(-0.54, -0.33)", "-0.39", "(0.46, 0.27)"):
        assert line in printed


@pytest.mark.slow
def test_deep_autoencoder(tmp_path, optimised):
    results, drawn = finished(
        deep_autoencoder,
        tmp_path,
        code=6,
        hidden=(64, 32),
        epochs=30,
        shift=0,
        linear_epochs=40,
        batch_size=64,
    )
    assert drawn == {"reconstructions.png"}
    names = ("logistic_pca", "logistic_pca_linear_encoder", "pca", "deep")
    digits = jaxae.load("digits")
    x, mean = (jaxae.as_float(part.images) for part in (digits.test, digits.train))
    trivial = float(jaxae.analysis.squared_error(x, jnp.broadcast_to(mean.mean(0), x.shape)).mean())
    for name in names:  # all are far better than the mean image
        assert 0 < results[f"{name}/squared_error_unclipped"] < 0.6 * trivial
    errors = set()
    for i, options in enumerate(({"shift": 0}, {"shift": 1}, {"shift": 0, "noise": 0.1})):
        small = {"code": 1, "hidden": (16,), "epochs": 1, "linear_epochs": 1} | options
        errors.add(finished(deep_autoencoder, tmp_path / str(i), **small)[0]["deep/squared_error"])
    assert len(errors) == 3
    assert results["pca/squared_error"] < results["pca/squared_error_unclipped"]
    assert results["deep/squared_error"] == pytest.approx(results["deep/squared_error_unclipped"])


@pytest.mark.slow
def test_contractive(tmp_path, capsys):
    results, drawn = finished(
        contractive, tmp_path, code=32, epochs=3, classifier_epochs=3, seeds=2, batch_size=100
    )
    assert drawn == {"movement_noise.png", "movement_shift.png", "spectrum.png"}
    for name in contractive.METHODS:
        assert 0 <= results[f"{name}/saturation"] <= 1
        assert 0 < results[f"{name}/error_rate"] < 1
        assert results[f"{name}/error_rate_sd"] >= 0
        assert results[f"{name}/linear_probe_error_rate"] < 0.3
        assert results[f"{name}/movement_noise_0.1"] > 0
    assert results["CAE/jacobian"] < results["AE/jacobian"]
    printed = capsys.readouterr().out
    assert all(name in printed for name in contractive.METHODS)


def test_dropout(tmp_path):
    results, drawn = finished(dropout, tmp_path, rates=(0.0, 0.5), hidden=(32,), code=8, epochs=20)
    assert drawn == {"error_against_rate.png", "reconstructions.png"}
    assert results["rate_0/squared_error"] != results["rate_0.5/squared_error"]
    assert results["rate_0.5/train_squared_error"] > 0
