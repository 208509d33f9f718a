"""The experiments as their users run them: functions of a Config, and commands."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

import jaxae
from experiments import autoencoder, base, vae

ROOT = Path(__file__).parent.parent
TIMING = {"seconds", "images_per_second", "compile_seconds"}


def config(module, tmp_path, **options):
    defaults = {
        "dataset": "digits",
        "epochs": 2,
        "hidden": (16,),
        "code": 4,
        "run_dir": str(tmp_path / "run"),
    }
    return module.Config(**defaults | options)


def command(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        **options,
    )


def lines(folder):
    text = (Path(folder) / "metrics.jsonl").read_text()
    return [
        {k: v for k, v in json.loads(line).items() if k not in TIMING} for line in text.splitlines()
    ]


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
    model = jaxae.autoencoder(*base.networks(c, (8, 8, 1), 1, 4), jaxae.gaussian())
    x = jaxae.as_float(jaxae.load("digits").test.images)
    optimizer = base.optimizer(c, base.load(c))
    template = jaxae.init_state(model, optimizer, jax.random.key(0), x[:1])
    checkpoints = jaxae.Checkpoints(tmp_path / "run" / "checkpoints")
    best = checkpoints.restore(template, template.params).best
    mse = float(((np.asarray(jaxae.reconstruct(model, best, x)) - x) ** 2).mean())
    assert results["test/mse"] == pytest.approx(mse, rel=1e-5)
    assert results["test/squared_error"] == pytest.approx(64 * mse, rel=1e-5)
    # The loss is of the outputs themselves; an image that is shown or measured is clipped.
    free = jaxae.autoencoder(*base.networks(c, (8, 8, 1), 1, 4), jaxae.gaussian(clip=False))
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
    results = module.main(config(module, tmp_path, epochs=1, **options))
    assert np.isfinite(results["test/loss"])
    assert 0 < results["test/mse"] < 0.5


@pytest.mark.parametrize(
    "options",
    [
        {"beta": 0.5},
        {"warm_up": 0.5},
        {"warm_up": 0.5, "cycles": 2},
        {"free_bits": 0.5},
        {"samples": 3},
        {"samples": 3, "importance_weighted": True},
        {"seed": 1},
        {"code": 5},
        {"hidden": (16, 16)},
        {"gated": True},
        {"learning_rate": 1e-2},
        {"schedule": "constant"},
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
    def trained(name, **options):
        c = config(vae, tmp_path, epochs=1, run_dir=str(tmp_path / name), **options)
        data = base.load(c)
        model = vae.build(c, (8, 8, 1), np.uint8, base.steps(c, data)).trained
        run = base.open_run(c, data, "vae")
        fitted = base.fit(c, run, model, data)
        return [np.asarray(leaf) for leaf in jax.tree.leaves(fitted.params)]

    plain, other = trained("plain"), trained("other", **options)
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
    assert jaxae.is_binary(one.test)
    assert not jaxae.is_binary(one.train)
    assert "dynamically binarised" in one.protocol


BAD = {
    "an unknown data set": ["--dataset", "minst"],
    "a folder that is not there": ["--dataset", "no/such"],
    "a set that is not prepared": ["--dataset", "mnist", "--data-dir", "no/such"],
    "no epochs": ["--epochs", "0"],
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
    "a long warm-up": ["--warm-up", "2"],
    "cycles of nothing": ["--cycles", "3"],
    "no samples": ["--samples", "0"],
    "no nll samples": ["--nll-samples", "0"],
    "a beta that is not used": ["--importance-weighted", "--samples", "5", "--beta", "2"],
    "one weight": ["--importance-weighted"],
    "a dropout that is not used": ["--importance-weighted", "--samples", "5", "--dropout", "0.1"],
}
BAD_AUTOENCODER = {
    "two codes": ["--sweep-code", "2", "4", "--code", "8"],
    "a code twice": ["--sweep-code", "2", "2"],
    "a code of zero": ["--sweep-code", "0", "2"],
    "a sweep beyond the image": ["--sweep-code", "2", "65"],
    "a scale that a sweep does not use": ["--sweep-code", "2", "4", "--scale", "2"],
}


@pytest.mark.parametrize(
    ("module", "arguments"),
    [(vae, a) for a in (BAD | BAD_VAE).values()]
    + [(autoencoder, a) for a in BAD_AUTOENCODER.values()],
    ids=[*BAD, *BAD_VAE, *BAD_AUTOENCODER],
)
def test_bad_input_gets_one_line(module, arguments, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["experiment", "--dataset", "digits", *arguments])
    if "--run-dir" not in arguments:
        sys.argv += ["--run-dir", str(tmp_path / "run")]
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) as stop:
        base.command(module.main, module.Config, module.__doc__)
    assert stop.value.code == 2
    errors = capsys.readouterr().err
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert len(errors) < 600
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
        base.command(vae.main, vae.Config, vae.__doc__)
    assert stop.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert "stopped being finite at step" in last
    saved = list((folder / "checkpoints").iterdir())
    assert [path.name for path in saved] == ["0"]  # the state before the first step
    assert not (folder / "results.json").exists()


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
