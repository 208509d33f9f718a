"""The data of an experiment: names of classes, and what is said about how they were read."""

import json
import time

import numpy as np
import pytest

from experiments.shared import datasets, flags, running
from tests.data.files import grey


def config(path, **options):
    return flags.Config(dataset=str(path), run_dir=str(path.parent / "run"), **options)


def test_names_of_classes_and_notes_reach_the_results(tmp_path, capsys):
    path = tmp_path / "a.npz"
    images = grey(60, (8, 8)).astype(np.uint16) * 257
    np.savez(path, x=images, y=np.arange(60) % 2 * 10**9, weights=images)
    data = datasets.load(config(path))
    assert data.classes == ("0", "1000000000")
    assert datasets.count_classes(data) == 2
    assert "values of 0 to 65535 (uint16) were read as black to white" in data.protocol
    assert "2 classes: 0, 1000000000" in data.protocol
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("note: ")
    assert "weights ignored" in said[0]
    running.conduct(
        "a",
        config(path),
        data,
        lambda run: {"n": 1},
        show=lambda results: None,
        started=time.perf_counter(),
    )
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["classes"] == ["0", "1000000000"]


def test_flags_of_arrays_reach_the_reader(tmp_path):
    images = np.random.default_rng(0).integers(0, 16, (40, 3, 8, 8), np.uint8)
    images[0, 0, 0, :2] = 0, 15
    np.save(tmp_path / "a.npy", images)
    data = datasets.load(config(tmp_path / "a.npy", channels="first", levels=15))
    assert data.train.shape[1:] == (8, 8, 3)
    assert max(part.max() for part in (data.train, data.validation, data.test)) == 255
    with pytest.raises(ValueError, match="--levels must be positive"):
        datasets.load(config(tmp_path / "a.npy", levels=0))


def test_experiments_with_labels_refuse_unknown_ones(tmp_path):
    np.savez(tmp_path / "a.npz", images=grey(40, (8, 8)), labels=np.arange(40) % 4 - 1)
    data = datasets.load(config(tmp_path / "a.npz"))
    assert "10 images have no label (-1)" in data.protocol
    with pytest.raises(ValueError, match=r"images of .* have no label \(-1\)"):
        datasets.check_labels(config(tmp_path / "a.npz"), data)
