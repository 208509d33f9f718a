"""Running experiments in tests, as functions and as commands."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from experiments.shared import running

ROOT = Path(__file__).parents[2]
TIMING = {"seconds", "images_per_second", "compile_seconds"}


def command(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        **options,
    )


def refused(module, *arguments, monkeypatch, capsys):
    """The one line that the command of an experiment says before it ends with exit code 2."""
    monkeypatch.setattr(sys, "argv", ["experiment", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        running.command(module.main, module.Config, module.__doc__)
    assert stop.value.code == 2
    errors = capsys.readouterr().err
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    return errors


def lines(folder):
    text = (Path(folder) / "metrics.jsonl").read_text()
    return [
        {k: v for k, v in json.loads(line).items() if k not in TIMING} for line in text.splitlines()
    ]


def finished(module, tmp_path, **options):
    """The results of a run, which are in its folder, and the names of its figures."""
    run = tmp_path / "run"
    results = module.main(module.Config(dataset="digits", run_dir=str(run), **options))
    assert json.loads((run / "results.json").read_text()) == results
    assert all(np.isfinite(v) for v in results.values() if isinstance(v, float))
    # The same again is the same, and nothing is trained.
    assert module.main(module.Config(dataset="digits", run_dir=str(run), **options)) == results
    return results, {path.name for path in (run / "figures").iterdir()}
