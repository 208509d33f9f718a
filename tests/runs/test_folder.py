"""The run folder."""

import json
import math

import pytest

from jaxae.runs.folder import LAYOUT, Run, new_directory, read_config, write_json
from jaxae.training.progress import EpochProgress

CONFIG = {"epochs": 2, "hidden": (3, 4), "seed": 0}


def test_a_new_run(tmp_path):
    run = Run(tmp_path / "a" / "b", CONFIG)
    saved = json.loads((run.directory / "config.json").read_text())
    assert saved["config"] == {"epochs": 2, "hidden": [3, 4], "seed": 0}
    assert {"python", "jaxae", "jax", "flax"} <= saved["versions"].keys()
    assert "cpu" in saved["device"].lower()
    assert run.results is None


def test_another_configuration_is_refused(tmp_path):
    Run(tmp_path, CONFIG)
    Run(tmp_path, CONFIG)
    with pytest.raises(ValueError, match=r"another run: epochs was 2 and is 1; use another"):
        Run(tmp_path, CONFIG | {"epochs": 1})
    with pytest.raises(ValueError, match="extra was None and is 1"):
        Run(tmp_path, CONFIG | {"extra": 1})
    many = {"seed": 1, "hidden": (5,), "epochs": 4, "a": 1, "b": 2}
    with pytest.raises(
        ValueError, match=r"epochs was 2 and is 4 \(and 4 more, hidden, seed, a, \.\.\.\)"
    ):
        Run(tmp_path, CONFIG | many)


def test_flags_that_one_version_does_not_have_are_said(tmp_path):
    Run(tmp_path, CONFIG | {"old": 3})
    config = json.loads((tmp_path / "config.json").read_text())
    config["versions"]["jaxae"] = "0.0.7"
    write_json(tmp_path / "config.json", config)
    run = Run(tmp_path, CONFIG | {"new": (1,)}, defaults={"new": (1,)})
    (note,) = run.notes
    assert "0.0.7" in note
    assert "--new, --old" in note
    with pytest.raises(
        ValueError, match=r"new is \[2\], and the version that made the run used \[1\]"
    ):
        Run(tmp_path, CONFIG | {"new": (2,)}, defaults={"new": (1,)})


def test_a_run_is_trained_longer_only_where_that_is_exact(tmp_path):
    Run(tmp_path, CONFIG).finish({"test/loss": 1.0})
    more = CONFIG | {"epochs": 3}
    with pytest.raises(
        ValueError, match="cannot be trained longer: epochs was 2 and is 3, and no rea"
    ):
        Run(tmp_path, more, not_longer=lambda epochs: f"no reason for {epochs}")
    assert Run(tmp_path, CONFIG).results == {"test/loss": 1.0}
    assert Run(tmp_path, more, not_longer=lambda epochs: None).results is None
    assert read_config(tmp_path)["config"]["epochs"] == 3
    with pytest.raises(ValueError, match="epochs was 3 and is 2"):
        Run(tmp_path, CONFIG, not_longer=lambda epochs: None)


def test_hidden_files_are_ignored(tmp_path):
    (tmp_path / ".config.json.123").write_text("half of a conf")
    Run(tmp_path, CONFIG)


def test_folders_that_are_not_run_folders_are_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match=r"no config\.json, so it is not a run folder"):
        Run(tmp_path, CONFIG)
    with pytest.raises(ValueError, match="cannot be used as a run folder"):
        Run(tmp_path / "thesis.tex", CONFIG)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"config": {"epo',
        b"[]",
        b'{"config": 3}',
        b"\xff\xfe\x00",
        10**5 * b"[",
        b"\x00" * 50,
    ],
    ids=lambda content: repr(content[:20]),
)
def test_a_damaged_configuration_is_named_in_one_line(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    for open_folder in (read_config, lambda folder: Run(folder, CONFIG)):
        with pytest.raises(ValueError, match=r"config\.json is (damaged|not the config)") as error:
            open_folder(tmp_path)
        assert "\n" not in str(error.value)
    assert (tmp_path / "config.json").read_bytes() == content


def test_descriptions_are_recorded_but_not_compared(tmp_path):
    Run(tmp_path, CONFIG).describe(recipe={"call": "vae", "hidden": (3, 4)})
    Run(tmp_path, CONFIG)
    assert read_config(tmp_path)["recipe"] == {"call": "vae", "hidden": [3, 4]}


def test_the_parts_of_a_run_are_recorded_in_their_order(tmp_path):
    for name in ("second", "first", "second"):
        Run(tmp_path, CONFIG).part(name)
    assert read_config(tmp_path)["parts"] == ["second", "first"]


@pytest.mark.parametrize("layout", [None, 1, LAYOUT + 1, "2", [0] * 100])
def test_folders_of_other_layouts_are_refused_in_one_line(tmp_path, layout):
    """The first layout recorded no version."""
    Run(tmp_path, CONFIG)
    path = tmp_path / "config.json"
    value = json.loads(path.read_text())
    del value["layout"]
    path.write_text(json.dumps(value if layout is None else value | {"layout": layout}))
    for open_folder in (read_config, lambda folder: Run(folder, CONFIG)):
        with pytest.raises(ValueError, match="another version of jaxae.*use another") as error:
            open_folder(tmp_path)
        assert "\n" not in str(error.value)
        assert len(str(error.value)) < 300


def test_a_folder_without_a_configuration_is_not_a_run(tmp_path):
    with pytest.raises(ValueError, match="is not a run folder"):
        read_config(tmp_path)


def test_what_is_no_run_folder_is_named(tmp_path):
    (tmp_path / "runs" / "a").mkdir(parents=True)
    Run(tmp_path / "runs" / "b", CONFIG)
    for path, why in (
        (tmp_path / "none", "there is no such folder"),
        (tmp_path / "runs" / "b" / "config.json", "it is a file"),
        (tmp_path / "runs" / "a", "it has no config.json"),
        (tmp_path / "runs", f"it has no config.json; {tmp_path / 'runs' / 'b'} is one"),
    ):
        with pytest.raises(ValueError, match="is not a run folder") as error:
            read_config(path)
        assert str(error.value) == f"{path} is not a run folder: {why}"


def test_results_are_strict_json(tmp_path):
    run = Run(tmp_path, CONFIG)
    run.finish({"test/loss": 1.5, "test/psnr": math.inf, "protocol": "p", "n": 3})
    text = (tmp_path / "results.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail) == run.results
    assert run.results == {"test/loss": 1.5, "test/psnr": None, "protocol": "p", "n": 3}


def test_half_written_results_do_not_count(tmp_path):
    run = Run(tmp_path, CONFIG)
    (tmp_path / "results.json").write_text('{"test/lo')
    assert run.results is None


def test_a_file_is_written_completely_or_not_at_all(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": math.nan})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_metrics_have_a_line_for_each_epoch(tmp_path):
    run = Run(tmp_path, CONFIG)
    for epoch in (1, 2, 1, 2, 3):  # interrupted after two epochs, then resumed
        run.log({"epoch": epoch, "train/loss": float(epoch)})
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3]


def test_lines_of_lost_epochs_are_replaced(tmp_path):
    """The run was killed in the middle of a line, after logging two epochs that it had not saved."""
    run = Run(tmp_path, CONFIG)
    for epoch in (1, 2, 3):
        run.log({"epoch": epoch, "train/loss": 1 / 3, "note": "a long one"})
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(path.read_bytes() + b'{"epoch": 4, "tra')
    first = path.read_bytes().splitlines(keepends=True)[0]
    again = Run(tmp_path, CONFIG)
    again.log({"epoch": 1, "train/loss": 1 / 3, "note": "a long one"})
    assert len(path.read_bytes().splitlines()) == 4  # no line is removed before a new one
    again.log({"epoch": 2, "train/loss": 0.5})
    assert path.read_bytes() == first + b'{"epoch": 2, "train/loss": 0.5}\n'
    again.log({"epoch": 3, "train/loss": 0.25})
    assert len(path.read_bytes().splitlines()) == 3


@pytest.mark.parametrize("damage", [b"\xff\x00", b"\n\n", b'{"epoch": "x"}\n'])
def test_damaged_lines_are_written_again(tmp_path, damage):
    """A run that goes on logs the epochs that it restored, whatever has become of their lines."""
    path = tmp_path / "metrics.jsonl"
    records = [{"epoch": epoch, "train/loss": 1 / epoch} for epoch in (1, 2, 3)]
    run = Run(tmp_path, CONFIG)
    for record in records:
        run.log(record)
    whole = path.read_bytes()
    for position in (0, len(whole) // 2, len(whole) - 5):
        path.write_bytes(whole[:position] + damage + whole[position + len(damage) :])
        again = Run(tmp_path, CONFIG)
        for record in records:
            again.log(record)
        assert path.read_bytes() == whole


def test_new_folders_have_different_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paths = set()
    for _ in range(3):
        path = new_directory("vae", "some/folder/images.npz")
        path.mkdir(parents=True)
        paths.add(path)
    assert len(paths) == 3
    assert all(path.parent.name == "runs" and "vae-images-" in path.name for path in paths)


def test_progress_in_a_log_has_about_ten_lines(capsys):
    with EpochProgress(epochs=100) as progress:
        for epoch in range(1, 101):
            progress({"epoch": epoch, "train/loss": 2.0, "images_per_second": 1e4})
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 11
    assert lines[-1] == "epoch 100/100: loss 2.00 nats, 10,000 images/s"


def test_a_part_has_its_own_folder(tmp_path):
    run = Run(tmp_path, CONFIG)
    part = run.part("tied")
    part.log({"epoch": 1, "train/loss": 1.0})
    part.finish({"error": 2.0})
    assert part.directory == tmp_path / "tied"
    assert run.results is None
    assert Run(tmp_path, CONFIG).part("tied").results == {"error": 2.0}
    assert Run(tmp_path, CONFIG).part("untied").results is None
    with pytest.raises(ValueError, match="epochs was 2 and is 3, and its results"):
        Run(tmp_path / "tied", CONFIG | {"epochs": 3, "part": "tied"})
