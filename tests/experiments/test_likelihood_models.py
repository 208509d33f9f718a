"""The experiments as their users run them: functions of a Config, and commands."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from sklearn.decomposition import PCA

import jaxae
from experiments import (
    autoencoder,
    compose,
    contractive,
    deep_autoencoder,
    denoising,
    dropout,
    linear,
    vae,
)
from experiments.shared import flags as base
from experiments.shared import running
from jaxae.runtime.files import exclusive
from tests.experiments.running import ROOT, TIMING, command, finished, lines, refused


def config(module, tmp_path, **options):
    defaults = {
        "dataset": "digits",
        "epochs": 2,
        "hidden": (16,),
        "code": 4,
        "run_dir": str(tmp_path / "run"),
    }
    return module.Config(**defaults | options)


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
    assert "no NLL to compare" in results["protocol"]
    assert {path.name for path in (run / "figures").iterdir()} == {
        "learning_curves.png",
        "reconstructions.png",
        "samples.png",
    }
    assert [line["epoch"] for line in lines(run)] == [1, 2]
    # The same again is the same, and nothing is trained.
    before = (run / "metrics.jsonl").stat().st_mtime_ns
    assert vae.main(config(vae, tmp_path, nll_samples=20)) == results
    assert (run / "metrics.jsonl").stat().st_mtime_ns == before


def test_the_results_are_those_of_the_selected_parameters(tmp_path):
    c = config(autoencoder, tmp_path, likelihood="gaussian")
    results = autoencoder.main(c)
    model = jaxae.autoencoder(*base.networks(c, (8, 8, 1), 1, 4), jaxae.likelihoods.gaussian())
    x = jaxae.as_float(jaxae.load("digits").test.images)
    optimizer = base.make_optimizer(c, base.load(c))
    template = jaxae.training.init_state(model, optimizer, jax.random.key(0), x[:1])
    checkpoints = jaxae.Checkpoints(tmp_path / "run" / "checkpoints")
    best = checkpoints.restore(template, template.params).best
    mse = float(((np.asarray(jaxae.reconstruct(model, best, x)) - x) ** 2).mean())
    assert results["test/mse"] == pytest.approx(mse, rel=1e-5)
    assert results["test/squared_error"] == pytest.approx(64 * mse, rel=1e-5)
    # The loss is of the outputs themselves; an image that is shown or measured is clipped.
    free = jaxae.autoencoder(
        *base.networks(c, (8, 8, 1), 1, 4), jaxae.likelihoods.gaussian(clip=False)
    )
    error = float(((np.asarray(jaxae.reconstruct(free, best, x)) - x) ** 2).sum((1, 2, 3)).mean())
    expected = error / 2 + 32 * np.log(2 * np.pi)
    assert results["test/distortion"] == pytest.approx(expected, rel=1e-5)
    assert error > 64 * mse


def test_an_interrupted_run_goes_on_exactly(tmp_path):
    """Two runs of the command, one of them stopped by Ctrl-C in the middle."""
    arguments = [
        "experiments.vae",
        "--dataset",
        "digits",
        "--epochs",
        "400",
        "--hidden",
        "8",
        "--code",
        "2",
    ]
    arguments += ["--nll-samples", "5"]
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert command(*arguments, "--run-dir", whole).returncode == 0
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments, "--run-dir", str(stopped)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    metrics = stopped / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not metrics.exists() or len(metrics.read_text().splitlines()) < 5:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "saved" in errors.splitlines()[-1]
    assert f"--run-dir {stopped}" in errors.splitlines()[-1]
    assert not (stopped / "results.json").exists()
    assert 5 <= len(lines(stopped)) < 400
    resumed = command(*arguments, "--run-dir", stopped)
    assert resumed.returncode == 0, resumed.stderr
    assert lines(stopped) == lines(whole)
    results = [json.loads((folder / "results.json").read_text()) for folder in (whole, stopped)]
    for result in results:
        for name in TIMING:
            del result[name]
    assert results[0] == results[1]


@pytest.mark.parametrize("module", [autoencoder, vae])
@pytest.mark.parametrize(
    "options",
    [
        {"network": "conv", "hidden": (4, 8)},
        {"network": "resnet", "hidden": (8, 8), "precision": "bfloat16"},
        {"likelihood": "gaussian", "scale": "learned"},
        {"likelihood": "laplace", "scale": 0.1, "binarize": True},
        {"likelihood": "discretized_logistic", "schedule": "constant", "weight_decay": 0.1},
        {"likelihood": "categorical", "image_size": 6, "clip_norm": 1.0, "dropout": 0.1},
    ],
    ids=lambda options: next(iter(options.values())),
)
def test_every_option_runs(module, tmp_path, options):
    few = {"nll_samples": 5} if module is vae else {}
    results = module.main(config(module, tmp_path, epochs=1, **few, **options))
    assert np.isfinite(results["test/loss"])
    assert 0 < results["test/mse"] < 0.5


def trained_vae(folder, **options):
    c = config(vae, Path(folder), epochs=1, **options)
    data = base.load(c)
    model = vae.build(c, (8, 8, 1), np.uint8, base.steps(c, data)).trained
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
        {"warmup": 0.5},
        {"warmup": 0.5, "cycles": 2},
        {"free_bits": 0.5},
        {"samples": 3},
        {"samples": 3, "importance_weighted": True},
        {"seed": 1},
        {"code": 5},
        {"hidden": (16, 16)},
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


def test_the_test_set_is_binarised_once_and_for_all():
    c = vae.Config(dataset="digits", binarize=True)
    one, two = base.load(c), base.load(dataclasses.replace(c, seed=5))
    np.testing.assert_array_equal(one.test, two.test)
    assert jaxae.data.is_binary(one.test)
    assert not jaxae.data.is_binary(one.train)
    assert "dynamically binarised" in one.protocol


BAD = {
    "an unknown data set": ["--dataset", "minst"],
    "a folder that is not there": ["--dataset", "no/such"],
    "a set that is not prepared": ["--dataset", "mnist", "--data-dir", "no/such"],
    "no epochs": ["--epochs", "0"],
    "epochs that are none": ["--epochs", "None"],
    "no batch": ["--batch-size", "0"],
    "a batch that is too large": ["--batch-size", "100000"],
    "no code": ["--code", "0"],
    "a code that is too large": ["--code", "65"],
    "a seed that is too large": ["--seed", "18446744073709551616"],
    "a negative seed": ["--seed", "-1"],
    "an image that is too large": ["--image-size", "60000"],
    "no width": ["--hidden", "0"],
    "a learning rate of zero": ["--learning-rate", "0"],
    "a learning rate that is not a number": ["--learning-rate", "nan"],
    "a negative decay": ["--weight-decay", "-1"],
    "a negative norm": ["--clip-norm", "-1"],
    "a negative rise": ["--warmup-steps", "-1"],
    "a dropout of one": ["--dropout", "1"],
    "a scale that is not used": ["--scale", "2"],
    "a negative scale": ["--likelihood", "gaussian", "--scale", "-2"],
    "a gate that is not used": ["--network", "conv", "--gated"],
    "no image size": ["--image-size", "0"],
    "no patience": ["--patience", "0"],
    "an unknown flag": ["--betta", "1"],
    "an unknown choice": ["--likelihood", "gauss"],
    "a word for a number": ["--epochs", "many"],
    "a run folder that is a file": ["--run-dir", "README.md"],
    "a run folder that is none": ["--run-dir", "jaxae"],
}
BAD_VAE = {
    "a negative beta": ["--beta", "-1"],
    "a long warm-up": ["--beta-warmup", "2"],
    "cycles of nothing": ["--cycles", "3"],
    "no samples": ["--samples", "0"],
    "no nll samples": ["--nll-samples", "0"],
    "a beta that is not used": ["--importance-weighted", "--samples", "5", "--beta", "2"],
    "one weight": ["--importance-weighted"],
    "a dropout that is not used": ["--importance-weighted", "--samples", "5", "--dropout", "0.1"],
}
BAD_LINEAR = {
    "more components than values": ["--code", "65"],
    "no components": ["--code", "0"],
    "a flag of networks": ["--hidden", "20"],
}
BAD_DEEP = {
    "more components than values": ["--code", "65"],
    "no layer": ["--hidden"],
    "no width": ["--hidden", "8", "0"],
    "a negative noise": ["--noise", "-1"],
    "a negative shift": ["--shift", "-1"],
    "no epochs of the linear models": ["--linear-epochs", "0"],
}
BAD_DENOISING = {
    "noise and another corruption": ["--noise", "0.5", "--corrupt", "masking:0.3"],
    "a negative noise": ["--noise", "-0.5"],
    "an unknown corruption": ["--corrupt", "blur:0.3"],
    "a corruption without strength": ["--corrupt", "masking"],
    "a rate that is too large": ["--corrupt", "masking:1.5"],
    "a strength that is no number": ["--corrupt", "masking:much"],
    "a strength that is not used": ["--corrupt", "grayscale:1"],
    "half a pixel": ["--corrupt", "downsample:2.5"],
    "no factor": ["--corrupt", "downsample:1"],
    "a block that is too large": ["--corrupt", "erase:1.1"],
    "colours of grey images": ["--corrupt", "grayscale"],
    "a code that is not used": ["--code", "10"],
    "a gate that is not used": ["--gated"],
    "a code that is too large": ["--network", "mlp", "--code", "65"],
}
BAD_CONTRACTIVE = {
    "no seeds": ["--seeds", "0"],
    "no epochs of the classifier": ["--classifier-epochs", "0"],
    "a negative weight": ["--contract", "-1"],
    "an unknown mode": ["--jacobian", "sideways"],
    "a negative noise": ["--noise", "-1"],
    "a negative noise of the classifier": ["--classifier-noise", "-1"],
    "a mask that is too large": ["--mask", "2"],
    "no code": ["--code", "0"],
}
BAD_DROPOUT = {
    "a rate of one": ["--rates", "0", "1"],
    "a rate twice": ["--rates", "0.1", "0.1"],
    "no rates": ["--rates"],
    "a rate twice as it is written": ["--rates", "0.3", "0.3000001"],
    "no layer": ["--hidden"],
    "two ways to say it": ["--dropout", "0.5"],
}
BAD_COMPOSE = {
    "a mode without a penalty": ["--jacobian", "forward"],
    "a negative weight": ["--contract", "-1"],
    "samples of no posterior": ["--importance-weighted", "5"],
    "one sample": ["--beta", "1", "--importance-weighted", "1"],
    "a beta that is not used": ["--beta", "2", "--importance-weighted", "5"],
    "a dropout that is not used": ["--beta", "1", "--importance-weighted", "5", "--dropout", "0.1"],
    "a penalty on many codes": ["--beta", "1", "--importance-weighted", "5", "--sparse", "l1:1"],
    "a negative beta": ["--beta", "-1"],
    "an unknown sparsity": ["--sparse", "l2:1"],
    "a sparsity without weight": ["--sparse", "l1"],
    "a rate that is too large": ["--sparse", "kl:1:1.5"],
    "k larger than the code": ["--sparse", "top_k:21"],
    "half a unit": ["--sparse", "top_k:2.5"],
    "k of a vae": ["--sparse", "top_k:2", "--beta", "1"],
    "a tied vae": ["--tied", "--beta", "1"],
    "tied convolutions": ["--tied", "--network", "conv"],
    "a tied gate": ["--tied", "--gated"],
    "tied dropout": ["--tied", "--dropout", "0.1"],
    "a tied code that is too large": ["--tied", "--code", "65"],
    "dropout of nothing": ["--dropout", "0.1", "--hidden"],
    "tied outputs": ["--tied", "--likelihood", "discretized_logistic"],
    "a unet": ["--network", "unet"],
    "an unknown corruption": ["--corrupt", "blur:1"],
    "colours of grey images": ["--corrupt", "grayscale"],
    "a code that is too large": ["--code", "65"],
}
BAD_AUTOENCODER = {
    "two codes": ["--sweep-code", "2", "4", "--code", "8"],
    "a code twice": ["--sweep-code", "2", "2"],
    "a code of zero": ["--sweep-code", "0", "2"],
    "a sweep beyond the image": ["--sweep-code", "2", "65"],
    "a scale that a sweep does not use": ["--sweep-code", "2", "4", "--scale", "2"],
}


ALL_BAD = {
    vae: BAD | BAD_VAE,
    autoencoder: BAD_AUTOENCODER,
    linear: BAD_LINEAR,
    deep_autoencoder: BAD_DEEP,
    denoising: BAD_DENOISING,
    contractive: BAD_CONTRACTIVE,
    dropout: BAD_DROPOUT,
    compose: BAD_COMPOSE,
}


@pytest.mark.parametrize(
    ("module", "arguments"),
    [(module, arguments) for module, bad in ALL_BAD.items() for arguments in bad.values()],
    ids=[f"{module.__name__.split('.')[1]}: {n}" for module, bad in ALL_BAD.items() for n in bad],
)
def test_bad_input_gets_one_line(module, arguments, capsys, monkeypatch, tmp_path):
    given = ["--dataset", "digits", *arguments]
    if "--run-dir" not in arguments:
        given += ["--run-dir", tmp_path / "run"]
    monkeypatch.chdir(ROOT)
    said = refused(module, *given, monkeypatch=monkeypatch, capsys=capsys)
    assert len(said) < 600
    assert not (tmp_path / "run").exists()  # a mended command may use the same folder


def test_a_run_of_another_configuration_says_what_differs(tmp_path, capsys, monkeypatch):
    autoencoder.main(config(autoencoder, tmp_path))
    with pytest.raises(ValueError, match="code was 4 and is 5; take another --run-dir"):
        autoencoder.main(config(autoencoder, tmp_path, code=5))
    with pytest.raises(ValueError, match="experiment was 'autoencoder' and is 'vae'"):
        vae.main(config(vae, tmp_path))


def test_a_loss_that_explodes(tmp_path, capsys, monkeypatch):
    arguments = "--dataset digits --likelihood gaussian --learning-rate 1e30 --schedule constant"
    folder = tmp_path / "run"
    monkeypatch.setattr(sys, "argv", ["vae", *arguments.split(), "--run-dir", str(folder)])
    with pytest.raises(SystemExit) as stop:
        running.command(vae.main, vae.Config, vae.__doc__)
    assert stop.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert "stopped being finite at step 1" in last
    assert last.endswith(f"its batch is in {folder / 'nonfinite.npz'}")
    with np.load(folder / "nonfinite.npz") as batch:
        assert batch["step"] == 1
        assert batch["images"].shape == (128, 8, 8, 1)
    saved = [path.name for path in (folder / "checkpoints").iterdir() if path.name.isdigit()]
    assert saved == ["1"]  # the state before that step
    assert not (folder / "results.json").exists()


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
    assert results["pca/mse_per_image"] == pytest.approx(error, rel=1e-4)
    assert results["pca/explained_variance"] == pytest.approx(
        pca.explained_variance_ratio_.sum(), rel=1e-4
    )
    printed = capsys.readouterr().out
    for line in ("(-0.50, -0.40)", "(-0.54, -0.33)", "-0.39", "(0.46, 0.27)"):
        assert line in printed


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
    for name in names:  # each is far better than the mean image
        assert 0 < results[f"{name}/error"] < 0.6 * trivial
    errors = set()
    for i, options in enumerate(({"shift": 0}, {"shift": 1}, {"shift": 0, "noise": 0.1})):
        small = {"code": 1, "hidden": (16,), "epochs": 1, "linear_epochs": 1} | options
        errors.add(finished(deep_autoencoder, tmp_path / str(i), **small)[0]["deep/error"])
    assert len(errors) == 3
    assert results["pca/error_clipped"] < results["pca/error"]
    assert results["deep/error_clipped"] == pytest.approx(results["deep/error"])


def test_denoising(tmp_path):
    results, drawn = finished(
        denoising, tmp_path, network="mlp", hidden=(64,), epochs=60, noise=0.4, batch_size=32
    )
    assert drawn == {"denoised.png", "learning_curves.png"}
    assert results["corrupted/psnr"] < results["linear/psnr"] < results["denoised/psnr"]
    assert results["corrupted/psnr"] < results["median_filter/psnr"]
    for name in ("corrupted", "linear", "median_filter", "denoised"):
        assert results[f"{name}/psnr"] == pytest.approx(-10 * np.log10(results[f"{name}/mse"]))
    # What was done to the test images is clipped Gaussian noise of this strength.
    x = np.asarray(jaxae.as_float(jaxae.load("digits").test.images), np.float64)
    rng = np.random.default_rng(0)
    noisy = np.clip(x + 0.4 * rng.normal(size=(20, *x.shape)), 0, 1)
    assert results["corrupted/mse"] == pytest.approx(np.mean((noisy - x) ** 2), rel=0.04)


@pytest.mark.parametrize(
    "options",
    [
        {"hidden": (4, 8), "corrupt": ("masking:0.3", "erase:0.4")},
        {"network": "conv", "hidden": (4,), "corrupt": ("salt_and_pepper:0.2",), "code": 8},
        {"network": "mlp", "corrupt": ("downsample:2",), "likelihood": "bernoulli"},
        {"hidden": (4,), "corrupt": ("gaussian:0.2",), "scale": "learned"},
    ],
    ids=lambda options: options["corrupt"][0],
)
def test_denoising_of_other_corruptions(tmp_path, options):
    results, _ = finished(denoising, tmp_path, epochs=1, **options)
    assert options["corrupt"][0] in results["protocol"]
    assert 0 < results["denoised/mse"] < 0.5


def test_denoising_in_colour_and_large(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (30, 48, 40, 3), np.uint8)
    np.save(tmp_path / "a.npy", images)
    c = denoising.Config(
        dataset=str(tmp_path / "a.npy"),
        epochs=1,
        batch_size=8,
        hidden=(4, 4),
        corrupt=("grayscale",),
        run_dir=str(tmp_path / "run"),
    )
    results = denoising.main(c)
    assert "linear/psnr" not in results  # its matrix would have 33 million entries
    assert {"corrupted/ssim", "denoised/ssim"} <= results.keys()


def test_contractive(tmp_path, capsys):
    results, drawn = finished(
        contractive, tmp_path, code=32, epochs=3, classifier_epochs=3, seeds=2, batch_size=100
    )
    assert drawn == {"movement_noise.png", "movement_shift.png", "spectrum.png"}
    for name in contractive.METHODS:
        assert 0 <= results[f"{name}/saturation"] <= 1
        assert 0 < results[f"{name}/error"] < 100
        assert results[f"{name}/error_sd"] >= 0
        assert results[f"{name}/linear_probe_error"] < 30
        assert results[f"{name}/movement_noise_0.1"] > 0
    assert results["CAE/jacobian"] < results["AE/jacobian"]
    printed = capsys.readouterr().out
    assert all(name in printed for name in contractive.METHODS)


def test_labels_are_needed_and_checked(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (60, 6, 6), np.uint8)
    for name, labels, message in (
        ("none", None, "has no labels"),
        ("one", np.zeros(60, np.int64), "the same label"),
        ("words", np.array(["a", "b"] * 30), "are not the numbers"),
        ("negative", np.arange(60) % 3 - 1, "are not the numbers"),
    ):
        arrays = {"images": images} | ({} if labels is None else {"labels": labels})
        np.savez(tmp_path / f"{name}.npz", **arrays)
        folder = tmp_path / "run"
        c = contractive.Config(dataset=str(tmp_path / f"{name}.npz"), run_dir=str(folder))
        with pytest.raises(ValueError, match=message):
            contractive.main(c)
        assert not folder.exists()


def test_dropout(tmp_path):
    results, drawn = finished(dropout, tmp_path, rates=(0.0, 0.5), hidden=(32,), code=8, epochs=20)
    assert drawn == {"error_against_rate.png", "reconstructions.png"}
    assert results["rate_0/test_error"] != results["rate_0.5/test_error"]
    assert results["rate_0.5/train_error"] > 0


COMPOSED = {
    "the readme's": {
        "corrupt": ("masking:0.3",),
        "contract": 1e-3,
        "sparse": "l1:1e-3",
        "beta": 1.0,
    },
    "tied top k": {"tied": True, "sparse": "top_k:3", "code": 80},
    "tied rate": {"tied": True, "sparse": "kl:0.1:0.2", "hidden": (16,)},
    "conv rate": {"network": "conv", "hidden": (4,), "sparse": "kl:0.1:0.2"},
    "importance weighted": {"beta": 1.0, "importance_weighted": 3, "corrupt": ("erase:0.5",)},
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


def test_every_part_of_a_composition_changes_the_loss(tmp_path):
    """Two epochs with each part, and all else equal."""
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
        data = base.load(c)
        model, _ = compose.build(c, data)
        fitted = running.fit(c, running.open_run(c, data, "compose"), model, data)
        found.add(float(np.sum(np.abs(jax.tree.leaves(fitted.params)[1]))))
    assert len(found) == len(options)


def test_help_reads_like_documentation():
    done = command("experiments.vae", "--help")
    assert done.returncode == 0
    for word in ("--dataset", "--beta", "--run-dir", "python -m experiments.vae", "nats"):
        assert word in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(ValueError, match="cannot be a run folder: Permission denied"):
        vae.main(config(vae, tmp_path))


def test_a_run_folder_is_for_one_process_at_a_time(tmp_path):
    config = vae.Config(dataset="digits", epochs=1, hidden=(8,), code=2, run_dir=str(tmp_path))
    with exclusive(tmp_path), pytest.raises(ValueError, match="another process is at work in"):
        vae.main(config)
    assert not (tmp_path / "metrics.jsonl").exists()
    vae.main(config)
