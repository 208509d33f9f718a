"""What is shown while a model is trained."""

import importlib.util

import pytest
from rich.console import Console

from jaxae.training import progress

RECORD = {
    "epoch": 1,
    "train/loss": 728.0,
    "train/distortion": 728.0,
    "train/squared_error": 15.0,
    "train/rate": 0.001234,
    "train/gradient_norm": 3.0,
    "validation/loss": 730.0,
    "images_per_second": 1e4,
}


def test_a_line_says_units_and_leaves_out_what_is_the_loss_again():
    assert progress.describe(RECORD) == (
        "loss 728.00 nats (validation 730.00), squared error 15.00, rate 0.00123, 10,000 images/s"
    )


@pytest.mark.parametrize(("name", "start"), [("", "epoch 1/1: "), ("[AE]", "[AE]: epoch 1/1: ")])
def test_every_line_names_its_model(name, start, capsys):
    with progress.EpochProgress(1, name) as shown:
        shown(RECORD)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{start}loss 728.00")


def test_a_stage_is_one_line_in_a_log(capsys):
    with progress.stage("evaluating [2] images"):
        pass
    with progress.stage("nothing", shown=False):
        pass
    read = capsys.readouterr()
    assert (read.out, read.err) == ("", "evaluating [2] images ...\n")


@pytest.mark.parametrize("installed", [True, False])
def test_a_notebook_without_ipywidgets_has_lines(installed, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: "spec" if installed else None)
    assert progress._is_live(Console(force_jupyter=True)) is installed


def test_a_terminal_has_a_bar():
    assert progress._is_live(Console(force_terminal=True))


@pytest.mark.parametrize("patience", [0.0, 60.0])
def test_what_takes_long_is_counted(patience, monkeypatch, capsys):
    monkeypatch.setattr(progress, "PATIENCE", patience)
    assert list(progress.track(range(100), "files")) == list(range(100))
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.splitlines()
    expected = [f"files: {10 * i} of 100" for i in range(1, 10)]
    assert lines == (expected if patience == 0 else [])
    list(progress.track(range(100), "files", shown=False))
    assert capsys.readouterr().err == ""
