"""`jaxae info`, `doctor` and `train`."""

import json

import pytest

import jaxae
from jaxae.commands import train
from jaxae.networks import mlp_decoder, mlp_encoder
from jaxae.runs import installation
from jaxae.runs.folder import Run
from jaxae.runtime.files import exclusive


def test_info_says_what_a_run_is(vae_run, jaxae_command):
    code, said, _ = jaxae_command("info", vae_run)
    assert code == 0
    for text in ("complete", "vae", "digits, images of 8 x 8 x 1", "3 values", "1 of 3 epochs"):
        assert text in said
    assert "test/loss" in said
    code, said, _ = jaxae_command("info", vae_run, "--json")
    found = json.loads(said)
    assert found["results"]["test/loss"] == 7.25
    run = jaxae.load_run(vae_run)
    assert found["model"] == repr(run.model)
    assert found["parameters"] == 64 * 8 + 8 + 8 * 6 + 6 + 3 * 8 + 8 + 8 * 64 + 64
    assert found["config"] == run.config


def test_info_of_runs_that_are_not_complete(jaxae_command, tmp_path):
    folder = tmp_path / "run"
    run = Run(folder, {"experiment": "vae", "dataset": "digits", "epochs": 9})
    run.log({"epoch": 1, "train/loss": 3.0})
    (folder / "metrics.jsonl").write_text(
        (folder / "metrics.jsonl").read_text() + '{"epoch": 2, "tr'
    )
    code, said, _ = jaxae_command("info", folder)
    assert code == 0
    assert "not complete; to resume it" in said
    assert "cannot be loaded" in said
    assert "1 of 9 epochs" in said
    with exclusive(folder):
        assert "a process is training it now" in jaxae_command("info", folder)[1]
    code, _, err = jaxae_command("info", tmp_path)
    assert code == 2
    assert f"{tmp_path} is not a run folder" in err
    code, _, err = jaxae_command("info", folder, "--part", "VAE")
    assert code == 2
    assert "has no part 'VAE'" in err


def test_info_of_one_part(jaxae_command, tmp_path, digits):
    from tests.commands.conftest import make_run

    run = Run(tmp_path, {"experiment": "gan", "dataset": "digits"})
    run.describe(parts=["one", "two"])
    model = jaxae.autoencoder(mlp_encoder(2, (4,)), mlp_decoder((8, 8, 1), (4,)))
    make_run(tmp_path / "two", model, digits.train.images)
    code, said, _ = jaxae_command("info", tmp_path, "--part", "two")
    assert code == 0
    assert "one, two; shown: two" in said
    assert "model: autoencoder(" in said
    run.finish({"one/loss": 1.0, "two/loss": 2.0})
    said = jaxae_command("info", tmp_path, "--part", "two")[1]
    assert "two/loss" in said
    assert "one/loss" not in said
    assert "There are 2 results" in said


def test_doctor_passes_here(jaxae_command, tmp_path):
    (tmp_path / "faces" / "small" / "1.0.0").mkdir(parents=True)
    (tmp_path / "faces" / "small" / "1.0.0" / "dataset_info.json").write_text("{}")
    code, said, _ = jaxae_command("doctor", "--json", "--data-dir", tmp_path)
    found = json.loads(said)
    assert code == 0, found["test"]
    assert set(found["test"].values()) == {"passed"}
    assert len(found["test"]) == 4
    assert found["data"]["found"] == ["faces/small"]
    assert found["versions"]["jaxae"] == jaxae.__version__


def test_doctor_ends_with_exit_code_1_if_the_test_fails(jaxae_command, monkeypatch):
    def broken(*args, **options):
        raise RuntimeError("no kernel image\nis available")

    monkeypatch.setattr(installation, "fit", broken)
    code, said, _ = jaxae_command("doctor")
    assert code == 1
    assert "FAILED: RuntimeError: no kernel" in said
    assert "gradients" not in said
    assert jaxae_command("doctor", "--no-test")[0] == 0


def test_train_lists_the_experiments_and_runs_them(jaxae_command, monkeypatch, tmp_path):
    code, said, _ = jaxae_command("train")
    assert code == 0
    assert "  vae  " in said
    assert "  lectures  " in said
    assert "shared" not in said
    code, _, err = jaxae_command("train", "vea")
    assert (code, err) == (
        2,
        "error: there is no experiment 'vea'; did you mean vae? (jaxae train lists them)\n",
    )
    code, _, err = jaxae_command("train", "vae", "--seed", "-1")
    assert (code, err) == (2, "error: --seed must be in [0, 2**32), got -1\n")
    code, said, _ = jaxae_command("train", "vae", "--help")
    assert said.startswith("usage: jaxae train vae [options]")


def test_train_without_the_experiments(jaxae_command, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiments").mkdir()  # of another project
    (tmp_path / "experiments" / "vae.py").write_text("raise RuntimeError")
    monkeypatch.setattr(train, "__file__", str(tmp_path / "a" / "b" / "c" / "train.py"))
    code, _, err = jaxae_command("train", "vae")
    assert code == 2
    assert "clone its repository" in err
    assert "no experiments in this folder" in jaxae_command("train")[1]


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 bytes"), (999, "999 bytes"), (25_340_000_000, "25.3 GB")]
)
def test_sizes_in_words(size, text):
    from jaxae.runs.summary import byte_size

    assert byte_size(size) == text
