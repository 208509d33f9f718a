"""Help and wrong arguments of every experiment; nothing is trained."""

import functools
import importlib
from pathlib import Path

import numpy as np
import pytest

import experiments
import jaxae
from experiments import vae
from experiments.shared import running
from jaxae.runs import usage
from tests.experiments.running import refused

NAMES = sorted(
    path.stem
    for path in Path(experiments.__file__).parent.glob("*.py")
    if "command(main" in path.read_text("utf-8")
)
MODULES = {name: importlib.import_module(f"experiments.{name}") for name in NAMES}
GROUPS = ["Arguments", "Options of this experiment", "Model", "Training", "Data"]
GROUPS += ["Machine and files"]


@pytest.mark.parametrize("name", NAMES)
def test_help_is_wrapped_grouped_and_in_sentences(name):
    module = MODULES[name]
    found = usage.options(module.Config)
    text = usage.help_text(module.Config, module.__doc__, 80)
    assert max(map(len, text.splitlines())) < 80
    groups = list(dict.fromkeys(option.group for option in found))
    assert groups == [group for group in GROUPS if group in groups]
    for option in found:
        assert option.help[0].isupper(), option
        assert option.help.endswith("."), option
        assert len(option.help.split()) > 4, option
        assert all(f" {name}" in text for name in option.names)
    assert "None" not in text
    assert "Measured" not in text
    for flag in text.split("\n  --")[1:]:
        assert flag.lower().count("default") - flag.count("default of --") <= 1, flag


WRONG = {
    "--lr 1": "did you mean --learning-rate?",
    "--latent-dims 3": "did you mean --latent-dim?",
    "--latent 3": "did you mean --latent-dim?",
    "--batch 3": "did you mean --batch-size?",
    "--epoch 3": "did you mean --epochs?",
    "--learning_rates 3": "did you mean --learning-rate?",
    "--Epochs 3": "did you mean --epochs?",
    "--MNIST": "did you mean --dataset mnist?",
    "MNIST": "did you mean --dataset MNIST?",
    "--gpu": "JAX_PLATFORMS",
    "-e 3": "two dashes: --e",
    "--sparse l1:1": "in this experiment; compose has it",
    "--corrupt x": "in this experiment; compose, denoising have it",
    "--likelihood gauss": "did you mean gaussian?",
    "--network MLP": "did you mean mlp?",
    "--scale Learned": "a number or one of learned, shared, got 'Learned'; did you mean learned?",
    "--epochs many": "--epochs must be an integer, got 'many'",
    "--epochs 2.5": "--epochs must be an integer, got '2.5'",
    "--seed x": "--seed must be an integer, got 'x'",
    "--beta x": "--beta must be a number, got 'x'",
    "--hidden 3 b": "--hidden must be integers, got '3 b'",
    "--epochs": "--epochs needs a value: an integer",
    "--binarize yes": "--binarize takes no value, got 'yes'",
    "--beta nan": "--beta must be a finite number",
    "--run-dir=": "--run-dir must not be empty",
    "--dataset=": "--dataset must not be empty",
    "--zzz": "there is no flag --zzz (see --help)",
}


@pytest.mark.parametrize("arguments", WRONG)
def test_wrong_arguments_are_answered_with_what_is_right(arguments, monkeypatch, capsys):
    said = refused(vae, *arguments.split(), monkeypatch=monkeypatch, capsys=capsys)
    assert WRONG[arguments] in said


@functools.cache
def load(name):
    """Digits, or noise in colour."""
    if name == "digits":
        return jaxae.load("digits")
    images = np.random.default_rng(0).integers(0, 256, (80, 16, 16, 3), np.uint8)
    parts = [jaxae.Images(images[i : i + 20], np.arange(20) % 2) for i in (0, 20, 40)]
    return jaxae.Splits(*parts)


DATA = dict.fromkeys(("colorization", "faces"), "colours")


class Accepted(Exception):  # noqa: N818
    """The arguments would have started a run."""


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_no_number_may_be_negative(name, monkeypatch, capsys):
    module = MODULES[name]

    def stop(*args, **kwargs):
        raise Accepted

    monkeypatch.setattr(running, "open_run", stop)
    images = load(DATA.get(name, "digits"))
    monkeypatch.setattr(jaxae, "load", lambda *args, **kwargs: images)
    with pytest.raises(Accepted):  # so that it is -1 that is refused below
        refused(module, monkeypatch=monkeypatch, capsys=capsys)
    accepted = []
    for option in usage.options(module.Config):
        if option.names and ("INT" in option.value or "FLOAT" in option.value):
            try:
                refused(module, option.names[0], "-1", monkeypatch=monkeypatch, capsys=capsys)
            except Accepted:
                accepted.append(option.names[0])
    assert not accepted
