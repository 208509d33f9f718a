"""Run folders that were not trained, and the command as a function."""

import sys

import jax
import numpy as np
import pytest
from PIL import Image

import jaxae
from jaxae.__main__ import main
from jaxae.networks import mlp_decoder, mlp_encoder
from jaxae.runs import recording
from jaxae.runs.folder import Run
from jaxae.runs.inputs import Inputs


def make_run(folder, model, images, *, dataset="digits", classes=(), epochs=3):
    """The folder of a complete run of a model with its initial parameters."""
    run = Run(folder, {"experiment": "vae", "dataset": dataset, "epochs": epochs})
    params = model.init(jax.random.key(0), jaxae.as_float(images[:50]))
    inputs = Inputs(tuple(images.shape[1:]), dataset=dataset, classes=classes)
    recording.save_untrained(run, model, params, inputs, images)
    run.log({"epoch": 1, "train/loss": 7.5})
    run.finish({"test/loss": 7.25, "best_epoch": 1, "protocol": "none"})
    return folder


@pytest.fixture(scope="session")
def vae_run(tmp_path_factory, digits):
    model = jaxae.vae(mlp_encoder(6, (8,)), mlp_decoder((8, 8, 1), (8,)), latent_dim=3)
    return make_run(tmp_path_factory.mktemp("runs") / "vae", model, digits.train.images)


@pytest.fixture(scope="session")
def plain_run(tmp_path_factory, digits):
    model = jaxae.autoencoder(mlp_encoder(3, (8,)), mlp_decoder((8, 8, 1), (8,)))
    return make_run(tmp_path_factory.mktemp("runs") / "plain", model, digits.train.images)


@pytest.fixture
def jaxae_command(monkeypatch, capsys):
    """Runs the command, and returns its exit code, its output and its errors."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["jaxae"])
        code = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def write_picture(path, pixels):
    """Writes bytes `[h, w]` or `[h, w, 3]` as a PNG file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)
    return path
