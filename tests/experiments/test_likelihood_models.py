"""The experiments of the VAE and of the autoencoder."""

import dataclasses
import json
import tempfile
from functools import cache
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

import jaxae
from experiments import (
    autoencoder,
    vae,
)
from experiments.shared import datasets, from_flags, optimizers, running
from jaxae.runs import plans
from tests.experiments.running import config, lines


def test_vae(tmp_path):
    results = vae.main(config(vae, tmp_path, nll_samples=20))
    run = tmp_path / "run"
    assert json.loads((run / "results.json").read_text()) == results
    names = ["loss", "distortion", "rate", "negative_elbo", "nll", "mse", "psnr"]
    assert all(np.isfinite(results[f"test/{name}"]) for name in names)
    assert results["test/nll"] < results["test/negative_elbo"]
    assert results["test/loss"] == pytest.approx(
        results["test/distortion"] + results["test/rate"], rel=1e-5
    )
    assert results["test/psnr"] == pytest.approx(-10 * np.log10(results["test/mse"]))
    assert {"images_per_second", "seconds", "protocol"} <= results.keys()
    assert "355 test images of digits" in results["protocol"]
    assert "not comparable with NLLs" in results["protocol"]
    assert {path.name for path in (run / "figures").iterdir()} == {
        "learning_curves.png",
        "reconstructions.png",
        "samples.png",
    }
    assert [line["epoch"] for line in lines(run)] == [1, 2]
    # A second call reads the results and trains nothing.
    before = (run / "metrics.jsonl").stat().st_mtime_ns
    assert vae.main(config(vae, tmp_path, nll_samples=20)) == results
    assert (run / "metrics.jsonl").stat().st_mtime_ns == before


def test_the_results_are_those_of_the_selected_parameters(tmp_path):
    c = config(autoencoder, tmp_path, likelihood="gaussian")
    results = autoencoder.main(c)
    model = jaxae.autoencoder(
        *from_flags.networks(c, (8, 8, 1), 1, 4), jaxae.likelihoods.gaussian()
    )
    x = jaxae.as_float(jaxae.load("digits").test.images)
    optimizer = optimizers.build(optimizers.adam(c, datasets.load(c)))
    template = jaxae.training.init_state(model, optimizer, jax.random.key(0), x[:1])
    checkpoints = jaxae.Checkpoints(tmp_path / "run" / "checkpoints")
    best = checkpoints.restore(template, template.params).best
    decoded = np.asarray(jaxae.reconstruct(model, best, x))
    mse = float(((np.clip(decoded, 0, 1) - x) ** 2).mean())
    assert results["test/mse"] == pytest.approx(mse, rel=1e-5)
    assert results["test/squared_error"] == pytest.approx(64 * mse, rel=1e-5)
    # The loss is that of unclipped outputs.
    error = float(((decoded - x) ** 2).sum((1, 2, 3)).mean())
    expected = error / 2 + 32 * np.log(2 * np.pi)
    assert results["test/distortion"] == pytest.approx(expected, rel=1e-5)
    assert error > 64 * mse


@pytest.mark.parametrize(
    ("module", "options"),
    [
        (autoencoder, {"network": "conv", "hidden": (4, 8)}),
        (vae, {"network": "resnet", "hidden": (8, 8), "precision": "bfloat16"}),
        (autoencoder, {"likelihood": "gaussian", "scale": "learned"}),
        (vae, {"likelihood": "gaussian", "scale": "learned"}),
        (vae, {"likelihood": "laplace", "scale": 0.1, "binarize": True}),
        (
            autoencoder,
            {"likelihood": "discretized_logistic", "schedule": "constant", "weight_decay": 0.1},
        ),
        (vae, {"likelihood": "categorical", "image_size": 6, "clip_norm": 1.0, "dropout": 0.1}),
    ],
    ids=lambda value: next(iter(value.values())) if isinstance(value, dict) else value.__name__,
)
def test_networks_likelihoods_and_optimizers_run(module, tmp_path, options):
    few = {"nll_samples": 5} if module is vae else {}
    results = module.main(config(module, tmp_path, epochs=1, **few, **options))
    assert np.isfinite(results["test/loss"])
    assert 0 < results["test/mse"] < 0.5


def trained_vae(folder, **options):
    c = config(vae, Path(folder), epochs=1, **options)
    data = datasets.load(c)
    model = plans.build(vae.make_plan(c, data.train, optimizers.steps(c, data)))
    fitted = running.fit(c, running.open_run(c, data, "vae"), model, data)
    return [np.asarray(leaf) for leaf in jax.tree.leaves(fitted.params)]


@cache
def plain_vae():
    with tempfile.TemporaryDirectory() as folder:
        return trained_vae(folder)


@pytest.mark.parametrize(
    "options",
    [
        {"beta": 0.5},
        {"beta_warmup": 0.5},
        {"beta_warmup": 0.5, "cycles": 2},
        {"free_bits": 0.5},
        {"samples": 3},
        {"samples": 3, "importance_weighted": True},
        {"seed": 1},
        {"gated": True},
        {"learning_rate": 1e-2},
        {"schedule": "constant"},
        {"warmup_steps": 5},
        {"weight_decay": 0.5},
        {"clip_norm": 0.1},
        {"dropout": 0.5},
        {"batch_size": 64},
        {"binarize": True},
        {"precision": "bfloat16"},
    ],
    ids=str,
)
def test_every_option_of_the_vae_changes_the_parameters(tmp_path, options):
    plain, other = plain_vae(), trained_vae(tmp_path, **options)
    assert len(plain) != len(other) or any(
        a.shape != b.shape or (a != b).any() for a, b in zip(plain, other, strict=True)
    )


def test_importance_weighted_results_have_the_bounds_of_the_vae(tmp_path):
    results = vae.main(config(vae, tmp_path, importance_weighted=True, samples=5, nll_samples=50))
    assert results["test/loss"] == pytest.approx(results["test/negative_iwae"])
    assert results["test/nll"] < results["test/negative_iwae"] < results["test/negative_elbo"]
    assert results["test/negative_elbo"] == pytest.approx(
        results["test/distortion"] + results["test/rate"], rel=1e-5
    )


def test_colour_in_an_array_of_odd_size(tmp_path):
    rng = np.random.default_rng(0)
    images = np.clip(rng.normal(128, 60, (60, 7, 5, 3)), 0, 255).astype(np.uint8)
    np.savez(tmp_path / "a.npz", images=images, labels=np.arange(60) % 3)
    options = {"dataset": str(tmp_path / "a.npz"), "batch_size": 8}
    results = vae.main(config(vae, tmp_path, **options))
    assert 0 < results["test/bits_per_dimension"] < 20
    assert results["test/bits_per_dimension"] == pytest.approx(
        results["test/nll"] / (105 * np.log(2))
    )
    np.save(tmp_path / "b.npy", images / np.float32(255))
    options["dataset"] = str(tmp_path / "b.npy")
    floats = vae.main(config(vae, tmp_path, run_dir=str(tmp_path / "floats"), **options))
    assert "test/bits_per_dimension" not in floats
    assert "gaussian" in floats["protocol"]


def test_a_folder_of_images(tmp_path):
    (tmp_path / "images").mkdir()
    for i, image in enumerate(jaxae.load("digits").test.images[:60]):
        Image.fromarray(image[..., 0]).save(tmp_path / "images" / f"{i}.png")
    results = autoencoder.main(config(autoencoder, tmp_path, dataset=str(tmp_path / "images")))
    assert "6 test images" in results["protocol"]
    assert json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[0])["step"] == 1


def test_a_sweep_of_codes(tmp_path):
    results = autoencoder.main(
        config(autoencoder, tmp_path, code=20, sweep_code=(1, 16), epochs=10)
    )
    assert results["code_16/test/squared_error"] < results["code_1/test/squared_error"]
    assert (tmp_path / "run" / "figures" / "code_against_error.png").exists()
    assert (tmp_path / "run" / "code-16" / "results.json").exists()


def test_the_test_set_is_binarised_once():
    c = vae.Config(dataset="digits", binarize=True)
    one, two = datasets.load(c), datasets.load(dataclasses.replace(c, seed=5))
    np.testing.assert_array_equal(one.test, two.test)
    assert jaxae.data.is_binary(one.test)
    assert not jaxae.data.is_binary(one.train)
    assert "dynamically binarised" in one.protocol
