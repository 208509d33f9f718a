"""Streamed images equal loaded ones."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import optax
import pytest
from PIL import Image

import jaxae
from jaxae.data import streams
from jaxae.data.array_files import _MappedRows
from jaxae.training import feeding
from tests.cases import CASES
from tests.experiments.running import finished

KEY = jax.random.key(0)


def numbers(n, shape=(3, 2, 1)):
    return jaxae.Stream(range(n), lambda i: np.full(shape, i, np.uint8))


def test_a_stream_is_indexed_like_an_array():
    stream = numbers(200)
    x = np.stack([np.full((3, 2, 1), i, np.uint8) for i in range(200)])
    assert stream.shape == x.shape
    for index in (3, -1, np.int64(7), slice(2, 9, 3), slice(None), np.array([5, 3, 199]), slice(0)):
        np.testing.assert_array_equal(stream[index], x[index])
    part = stream.take(np.array([4, 2, 9]))
    np.testing.assert_array_equal(part[:], x[[4, 2, 9]])
    np.testing.assert_array_equal(part.take(np.array([2]))[0], x[9])
    assert [int(image.max()) for image in part] == [4, 2, 9]
    with pytest.raises(IndexError):
        stream[200]


def test_bad_streams():
    with pytest.raises(ValueError, match="is empty"):
        numbers(0)
    sizes = jaxae.Stream([2, 2, 3], lambda n: np.zeros((n, n, 1), np.uint8), name="several")
    with pytest.raises(
        ValueError, match="several: image 2 is 3 x 3 x 1 and the first is 2 x 2 x 1"
    ):
        sizes[:]
    with pytest.raises(ValueError, match="float64, not bytes"):
        jaxae.Stream([1], lambda n: np.zeros((1, 1, 1)))

    def broken(n):
        return np.zeros((1, 1, 1), np.uint8) if n == 0 else [][n]

    with pytest.raises(ValueError, match="image 1 cannot be read: list index out of range"):
        jaxae.Stream([0, 1], broken)[:]
    # In training the message is the same.
    options = {"optimizer": optax.sgd(0.1), "epochs": 1, "key": KEY, "progress": False}
    sizes = jaxae.Stream([5, 5, 4], lambda n: np.zeros((6, n, 1), np.uint8), name="several")
    with pytest.raises(ValueError, match="several: image 2 is 6 x 4"):
        jaxae.fit(CASES["autoencoder gaussian"].make(), sizes, batch_size=1, **options)
    with pytest.raises(ValueError, match="is streamed, .*stream=False"):
        np.asarray(numbers(3))


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    for i in range(40):
        path = tmp_path / "pictures" / str(i % 4) / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (9, 8, 3), np.uint8)).save(path)
    return tmp_path / "pictures"


def same(streamed, whole):
    assert isinstance(streamed.train.images, jaxae.Stream)
    np.testing.assert_array_equal(streamed.train.images[:], whole.train.images)
    for part in ("validation", "test"):
        for a, b in zip(getattr(streamed, part)[:2], getattr(whole, part)[:2], strict=True):
            np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(streamed.train.labels, whole.train.labels)


@pytest.mark.parametrize("image_size", [None, 5])
def test_streamed_images_equal_loaded_ones(folder, tmp_path, image_size):
    options = {"image_size": image_size}
    same(jaxae.load(folder, stream=True, **options), jaxae.load(folder, **options))
    same(jaxae.load("digits", stream=True, **options), jaxae.load("digits", **options))
    for channels in ((), (3,)):
        file = tmp_path / "images.npy"
        np.save(file, np.random.default_rng(0).integers(0, 256, (30, 6, 7, *channels), np.uint8))
        streamed, whole = jaxae.load(file, stream=True, **options), jaxae.load(file, **options)
        assert isinstance(streamed.train.images, jaxae.Stream)
        np.testing.assert_array_equal(streamed.train.images[:], whole.train.images)
        np.testing.assert_array_equal(streamed.test.images, whole.test.images)


def test_bytes_of_zero_and_one_are_black_and_white(tmp_path):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).integers(0, 2, (30, 4, 4), np.uint8))
    streamed, whole = (jaxae.load(tmp_path / "a.npy", stream=s).train.images for s in (True, False))
    assert whole.max() == 255
    np.testing.assert_array_equal(streamed[:], whole)


def test_files_that_cannot_be_streamed(tmp_path):
    np.savez(tmp_path / "zip", images=np.zeros((20, 4, 4), np.uint8))
    (tmp_path / "zip.npz").rename(tmp_path / "zip.npy")
    with pytest.raises(ValueError, match="it is an archive, not an array"):
        jaxae.load(tmp_path / "zip.npy", stream=True)
    np.savez(tmp_path / "images.npz", images=np.zeros((20, 4, 4), np.uint8))
    with pytest.raises(ValueError, match="is an archive and cannot be streamed"):
        jaxae.load(tmp_path / "images.npz", stream=True)
    np.save(tmp_path / "images.npy", np.zeros((20, 4, 4), np.float32))
    with pytest.raises(ValueError, match="has float32 of shape"):
        jaxae.load(tmp_path / "images.npy", stream=True)


def test_images_too_large_for_the_memory_are_streamed(monkeypatch, folder):
    assert not isinstance(jaxae.load(folder, stream=None).train.images, jaxae.Stream)
    monkeypatch.setattr(streams, "host_memory", lambda: 1000)
    assert isinstance(jaxae.load(folder, stream=None).train.images, jaxae.Stream)


def test_placement_by_free_memory(monkeypatch):
    x = np.zeros((100, 10), np.uint8)
    cpu = jax.devices("cpu")[:1]
    assert feeding.fits(x, cpu)[0] == "device"
    monkeypatch.setattr(feeding, "host_memory", lambda: 1500)
    assert feeding.fits(x, cpu) == ("host", "0 MB of images, 0 MB free on the device")
    assert feeding.fits((numbers(3), x), cpu)[0] == "stream"
    assert feeding.free_memory({"bytes_limit": 5000, "bytes_in_use": 2500}) == 2500
    assert feeding.free_memory({"num_allocs": 3}) == 1500


def test_mapped_rows_are_pickled_by_their_path(tmp_path):
    rows = np.arange(24, dtype=np.uint8).reshape(4, 3, 2)
    np.save(tmp_path / "a.npy", rows)
    sent = pickle.dumps(_MappedRows(tmp_path / "a.npy"))
    assert len(sent) < 300 + len(str(tmp_path))
    np.testing.assert_array_equal(pickle.loads(sent)[2], rows[2])


WORKERS = """
import sys, jax, optax, jaxae
def main():
    encoder, decoder = jaxae.networks.mlp_encoder(4, (16,)), jaxae.networks.mlp_decoder((8, 8, 1), (16,))
    model = jaxae.vae(encoder, decoder, latent_dim=2)
    for stream, workers in ((False, 0), (True, 0), (True, 2)):
        images = jaxae.load("digits", stream=stream).train.images
        options = dict(optimizer=optax.adam(1e-2), epochs=2, key=jax.random.key(0), progress=False)
        fitted = jaxae.fit(model, images, workers=workers, **options)
        print([record["train/loss"] for record in fitted.history])
if __name__ == "__main__":
    main()
"""


@pytest.mark.slow
def test_worker_processes_change_nothing(tmp_path):
    (tmp_path / "run.py").write_text(WORKERS)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "run.py")],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.returncode == 0, done.stderr
    one, threads, processes = done.stdout.splitlines()
    assert one == threads == processes


def test_labels_stay_with_their_streamed_images():
    """The loss is the distance between each label and the value of its image."""

    def apply(model, params, key, batch, step, train):
        distance = abs(batch.x[:, 0, 0, 0] * 255 - batch.label) + 0 * params["w"]
        return jaxae.Output(distance, {}), None

    pieces = jaxae.Model(lambda key, batch: {"w": 0.5 * batch.x[0, 0, 0, 0]}, None, None, None)
    model = jaxae.Autoencoder(pieces, jaxae.Objective("distance", apply))
    options = {"optimizer": optax.sgd(0.0), "epochs": 2, "key": KEY, "progress": False}
    batch = jaxae.Batch(numbers(20), label=np.arange(20))
    fitted = jaxae.fit(model, batch, batch_size=4, **options)
    assert fitted.history[-1]["train/loss"] == pytest.approx(0, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("placement", ["host", "stream"])
def test_the_placement_of_images_does_not_change_an_experiment(tmp_path, placement):
    from experiments import vae

    flags = {"epochs": 2, "hidden": (8,), "code": 2}
    one, _ = finished(vae, tmp_path / "device", placement="device", **flags)
    other, _ = finished(vae, tmp_path / placement, placement=placement, **flags)
    assert one["test/loss"] == other["test/loss"]
    assert one["test/nll"] == other["test/nll"]
