"""Experiments as commands: help, interruption, and run folders that cannot be used."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from experiments import autoencoder, linear, vae
from jaxae.runs.command import command as run_command
from jaxae.runtime.files import exclusive
from jaxae.training import checkpoints
from tests.experiments.running import ROOT, TIMING, command, config, lines, refused


def test_help_reads_like_documentation():
    done = command("experiments.vae", "--help")
    assert done.returncode == 0
    for word in ("--dataset", "--beta", "--run-dir", "python -m experiments.vae", "nats"):
        assert word in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_an_interrupted_run_is_resumed_exactly(tmp_path):
    """Of two runs of the command, one is interrupted by SIGINT and then resumed."""
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


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path, capsys, monkeypatch):
    arguments = "--dataset digits --likelihood gaussian --learning-rate 1e30 --schedule constant"
    folder = tmp_path / "run"
    monkeypatch.setattr(sys, "argv", ["vae", *arguments.split(), "--run-dir", str(folder)])
    with pytest.raises(SystemExit) as stop:
        run_command(vae.main, vae.Config, vae.__doc__)
    assert stop.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert "stopped being finite at step 1" in last
    assert last.endswith(f"its batch is in {folder / 'nonfinite.npz'}")
    with np.load(folder / "nonfinite.npz") as batch:
        assert batch["step"] == 1
        assert batch["x"].shape == (128, 8, 8, 1)
    saved = [path.name for path in (folder / "checkpoints").iterdir() if path.name.isdigit()]
    assert saved == ["1"]  # that of the step before
    assert not (folder / "results.json").exists()


def test_a_run_of_another_configuration_says_what_differs(tmp_path, capsys, monkeypatch):
    autoencoder.main(config(autoencoder, tmp_path))
    with pytest.raises(ValueError, match="code was 4 and is 5; use another --run-dir"):
        autoencoder.main(config(autoencoder, tmp_path, code=5))
    with pytest.raises(ValueError, match="experiment was 'autoencoder' and is 'vae'"):
        vae.main(config(vae, tmp_path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(ValueError, match="cannot be used as a run folder: Permission denied"):
        vae.main(config(vae, tmp_path))


def test_a_run_folder_is_for_one_process_at_a_time(tmp_path):
    config = vae.Config(dataset="digits", epochs=1, hidden=(8,), code=2, run_dir=str(tmp_path))
    with exclusive(tmp_path), pytest.raises(ValueError, match="another process is at work in"):
        vae.main(config)
    assert not (tmp_path / "metrics.jsonl").exists()
    vae.main(config)


def small(folder):
    """The flags of a run that ends in a moment."""
    return ["--dataset", "digits", "--epochs", "1", "--hidden", "4", "--run-dir", folder]


def test_a_run_folder_of_an_older_layout_is_refused(tmp_path, monkeypatch, capsys):
    """The first layout had no version, and flags of other names."""
    (tmp_path / "config.json").write_text('{"config": {"experiment": "autoencoder", "rise": 0}}')
    said = refused(autoencoder, *small(tmp_path), monkeypatch=monkeypatch, capsys=capsys)
    assert (
        "another version of jaxae (layout 1; this version uses 2); use that version, or use another folder"
        in said
    )


def test_checkpoints_of_an_older_format_are_refused(
    tmp_path, monkeypatch, capsys, runs_can_be_loaded
):
    c = autoencoder.Config(dataset="digits", epochs=1, hidden=(4,), run_dir=str(tmp_path))
    with monkeypatch.context() as older:
        older.setattr(checkpoints, "FORMAT", checkpoints.FORMAT - 1)
        autoencoder.main(c)
    runs_can_be_loaded.clear()
    (tmp_path / "results.json").unlink()
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", ["autoencoder", *map(str, small(tmp_path))])
    with pytest.raises(SystemExit) as stop:
        run_command(autoencoder.main, autoencoder.Config, autoencoder.__doc__)
    assert stop.value.code == 2
    said = capsys.readouterr().err.splitlines()
    placement, error = (line for line in said if not line.startswith("reading "))
    assert placement.startswith("placement: ")
    assert error.startswith(
        f"error: the checkpoints in {tmp_path / 'checkpoints'} are of another ver"
    )


def test_latent_dim_is_another_name_for_code(tmp_path, monkeypatch):
    seen = []
    for flag in ("--code", "--latent-dim"):
        monkeypatch.setattr(sys, "argv", ["vae", flag, "7"])
        run_command(seen.append, vae.Config, vae.__doc__)
    assert [config.code for config in seen] == [7, 7]
    monkeypatch.setattr(sys, "argv", ["linear", "--latent-dim", "3"])
    run_command(seen.append, linear.Config, linear.__doc__)
    assert seen[-1].code == 3
