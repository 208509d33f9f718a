"""`jaxae reconstruct`: what it writes, says and refuses."""

import jax
import numpy as np
import pytest
from PIL import Image

import jaxae
from jaxae.commands import reconstruct
from jaxae.networks import mlp_decoder, mlp_encoder
from jaxae.runs import painting
from jaxae.runs.folder import Run
from jaxae.runs.inputs import Inputs
from jaxae.runs.loading import save_untrained

SHAPE = (8, 8, 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of a small autoencoder."""
    path = tmp_path_factory.mktemp("run") / "run"
    run = Run(path, {"experiment": "autoencoder"})
    model = jaxae.autoencoder(mlp_encoder(3, (4,)), mlp_decoder(SHAPE, (4,)))
    params = model.init(jax.random.key(0), np.zeros((1, *SHAPE), np.float32))
    save_untrained(run, model, params, Inputs(SHAPE))
    return path


def command(folder, out, *pictures, **options):
    reconstruct.main(
        reconstruct.Config(
            run=str(folder), pictures=tuple(map(str, pictures)), out=str(out), **options
        )
    )


def test_pictures_and_arrays(folder, tmp_path, capsys):
    images = np.random.default_rng(0).integers(0, 256, (3, *SHAPE), np.uint8)
    for i, image in enumerate(images):
        Image.fromarray(image[..., 0]).save(tmp_path / f"{i}.png")
    np.save(tmp_path / "all.npy", images)
    out = tmp_path / "out"
    command(folder, out, tmp_path / "0.png", tmp_path / "1.png", tmp_path / "all.npy")
    expected = jaxae.load_run(folder).reconstruct(images)
    found = np.load(out / "all-reconstructed.npz")["images"]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    for i in range(2):
        pixels = np.asarray(Image.open(out / f"{i}-reconstructed.png"))
        np.testing.assert_allclose(pixels / 255, expected[i, ..., 0], atol=0.51 / 255)
    printed = capsys.readouterr().out.split()
    names = ("0-reconstructed.png", "1-reconstructed.png", "all-reconstructed.npz")
    assert printed == [str(out / name) for name in names]


def test_results_that_exist_are_refused_before_anything_is_computed(folder, tmp_path, monkeypatch):
    path, out = tmp_path / "x.png", tmp_path / "out"
    Image.new("L", (8, 8)).save(path)
    command(folder, out, path)
    task = painting.TASKS["reconstruct"]
    with monkeypatch.context() as patch:
        patch.setitem(painting.TASKS, "reconstruct", task._replace(make=None))
        with pytest.raises(ValueError, match=r"x-reconstructed.png exists; add --overwrite"):
            command(folder, out, path)
    command(folder, out, path, overwrite=True)


def test_a_corrupt_picture_among_good_ones(folder, tmp_path):
    Image.new("L", (8, 8)).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes((tmp_path / "good.png").read_bytes()[:40])
    with pytest.raises(ValueError, match=r"1 of 2 files done; .*bad.png cannot be read"):
        command(folder, tmp_path / "out", tmp_path / "bad.png", tmp_path / "good.png")
    assert (tmp_path / "out" / "good-reconstructed.png").exists()


def test_bad_input(folder, tmp_path):
    with pytest.raises(ValueError, match="which pictures"):
        command(folder, tmp_path / "out")
    with pytest.raises(ValueError, match="has no part 'b'"):
        command(folder, tmp_path / "out", "x.png", part="b")
    with pytest.raises(ValueError, match="is not a run folder"):
        command(tmp_path, tmp_path / "out", "x.png")
    assert not (tmp_path / "out").exists()
