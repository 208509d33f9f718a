"""`jaxae reconstruct`: what it writes, says and refuses."""

import numpy as np
import pytest
from PIL import Image

import jaxae
from jaxae.runs import painting
from jaxae.runs.folder import Run


@pytest.fixture
def picture(tmp_path, digits):
    path = tmp_path / "x.png"
    Image.fromarray(digits.test.images[0, ..., 0]).save(path)
    return path


def test_pictures_and_arrays(jaxae_command, plain_run, picture, digits, tmp_path):
    images = digits.test.images[:3]
    np.save(tmp_path / "all.npy", images)
    out = tmp_path / "out"
    code, said, err = jaxae_command(
        "reconstruct", plain_run, picture, tmp_path / "all.npy", "--out", out
    )
    assert (code, err.count("note: ")) == (0, 0)
    assert said.split() == [
        str(out / "x-reconstructed.png"),
        str(out / "all-reconstructed.npz"),
    ]
    expected = jaxae.load_run(plain_run).reconstruct(images)
    found = np.load(out / "all-reconstructed.npz")["images"]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    pixels = np.asarray(Image.open(out / "x-reconstructed.png"))
    np.testing.assert_allclose(pixels / 255, expected[0, ..., 0], atol=0.51 / 255)
    assert np.abs(pixels / 255 - images[0, ..., 0] / 255).max() > 0.1


def test_results_that_exist_are_refused_before_anything_is_computed(
    jaxae_command, plain_run, picture, tmp_path, monkeypatch
):
    call = ("reconstruct", plain_run, picture, "--out", tmp_path / "out")
    assert jaxae_command(*call)[0] == 0
    task = painting.TASKS["reconstruct"]
    with monkeypatch.context() as patch:
        patch.setitem(painting.TASKS, "reconstruct", task._replace(make=None))
        code, _, err = jaxae_command(*call)
    assert code == 2
    assert "x-reconstructed.png exists already; give another --out, or --overwrite" in err
    assert jaxae_command(*call, "--overwrite")[0] == 0


def test_a_corrupt_picture_among_good_ones(jaxae_command, plain_run, picture, tmp_path):
    bad, out = tmp_path / "bad.png", tmp_path / "out"
    bad.write_bytes(picture.read_bytes()[:40])
    code, said, err = jaxae_command("reconstruct", plain_run, bad, picture, "--out", out)
    assert code == 2
    assert said.split() == [str(out / "x-reconstructed.png")]
    (line,) = (line for line in err.splitlines() if line.startswith("error: "))
    assert line.startswith("error: 1 of 2 files done; ")
    assert str(bad) in line


def test_the_part_of_a_run(jaxae_command, plain_run, vae_run, picture, tmp_path):
    run = Run(tmp_path / "both", {"experiment": "gan", "dataset": "digits"})
    run.describe(parts=["plain", "vae"])
    (tmp_path / "both" / "plain").symlink_to(plain_run)
    (tmp_path / "both" / "vae").symlink_to(vae_run)
    call = ("reconstruct", tmp_path / "both", picture, "--part", "vae", "--out", tmp_path / "out")
    assert jaxae_command(*call)[0] == 0
    expected = jaxae.load_run(vae_run).reconstruct(np.asarray(Image.open(picture))[None, ..., None])
    pixels = np.asarray(Image.open(tmp_path / "out" / "x-reconstructed.png"))
    np.testing.assert_allclose(pixels / 255, expected[0, ..., 0], atol=0.51 / 255)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("RUN", "x.png"), "--out"),
        (("RUN", "--out", "out"), "PICTURES ... must be given"),
        (("RUN", "x.png", "--out", "out", "--part", "b"), "has no part 'b'"),
        (("RUN", "x.png", "--out", "out", "--levels", "0"), "--levels must be positive, got 0"),
        (("no", "x.png", "--out", "out"), "no is not a run folder"),
    ],
)
def test_bad_input(jaxae_command, plain_run, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    named = (plain_run if argument == "RUN" else argument for argument in arguments)
    code, _, err = jaxae_command("reconstruct", *named)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()
