"""Helpers of the tests of experiments."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jaxae.runs.command import command as run_command

ROOT = Path(__file__).parents[2]
TIMING = {"seconds", "images_per_second", "compile_seconds"}


def config(module, tmp_path, **options):
    """The flags of a small run in `tmp_path / "run"`."""
    defaults = {
        "dataset": "digits",
        "epochs": 2,
        "hidden": (16,),
        "code": 4,
        "run_dir": str(tmp_path / "run"),
    }
    return module.Config(**defaults | options)


def command(*arguments, **options):
    """The finished process of `python -m` with these arguments."""
    return subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        **options,
    )


def refused(module, *arguments, monkeypatch, capsys):
    """The error message of a command that ends with exit code 2, which is one line."""
    monkeypatch.setattr(sys, "argv", ["experiment", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        run_command(module.main, module.Config, module.__doc__)
    assert stop.value.code == 2
    lines = capsys.readouterr().err.splitlines(keepends=True)
    # What takes longer than a second is announced.
    errors = "".join(line for line in lines if not line.startswith("reading "))
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    return errors


def lines(folder):
    """The records of metrics.jsonl, without timings."""
    text = (Path(folder) / "metrics.jsonl").read_text()
    return [
        {k: v for k, v in json.loads(line).items() if k not in TIMING} for line in text.splitlines()
    ]


def finished(module, tmp_path, **options):
    """The results of a complete run, and the names of its figures."""
    run = tmp_path / "run"
    results = module.main(module.Config(dataset="digits", run_dir=str(run), **options))
    assert json.loads((run / "results.json").read_text()) == results
    assert all(np.isfinite(v) for v in results.values() if isinstance(v, float))
    # A second call reads the results and trains nothing.
    assert module.main(module.Config(dataset="digits", run_dir=str(run), **options)) == results
    return results, {path.name for path in (run / "figures").iterdir()}
