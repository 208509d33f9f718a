"""Event files contain the metrics of each epoch once, and images and codes at the end."""

import io
import json
import struct
from importlib.util import find_spec

import jax
import numpy as np
import optax
import pytest
from PIL import Image

import jaxae
from experiments import autoencoder
from experiments.shared import datasets, flags, running
from jaxae.runs import tensorboard
from jaxae.runs.folder import Run
from jaxae.runs.tensorboard import TensorBoard
from jaxae.runtime import processes
from tests.experiments.running import config, lines, refused

needs_tensorboardx = pytest.mark.skipif(
    find_spec("tensorboardX") is None, reason="tensorboardX is not installed"
)
SHAPE = (8, 8, 1)


def events(folder):
    """The values of all event files of a folder: `{tag: {step: value}}`, each of them once."""
    from tensorboardX.proto.event_pb2 import Event

    found = {}
    for path in sorted(folder.glob("events.out.tfevents.*")):
        data, i = path.read_bytes(), 0
        while i < len(data):  # length, its checksum, the event, its checksum
            (size,) = struct.unpack("<Q", data[i : i + 8])
            event = Event.FromString(data[i + 12 : i + 12 + size])
            i += size + 16
            for value in event.summary.value:
                steps = found.setdefault(value.tag, {})
                assert event.step not in steps
                steps[event.step] = getattr(value, value.WhichOneof("value"))
    return found


def picture(value):
    return np.asarray(Image.open(io.BytesIO(value.encoded_image_string)))


def vae():
    pair = jaxae.networks.mlp_encoder(4, (8,)), jaxae.networks.mlp_decoder(SHAPE, (8,))
    return jaxae.vae(*pair, latent_dim=2)


@needs_tensorboardx
def test_a_resumed_training_has_each_epoch_once(tmp_path, digits):
    def train(epochs):
        with TensorBoard(tmp_path / "log") as log:
            return jaxae.fit(
                vae(),
                digits.train.images[:64],
                optimizer=optax.sgd(1e-3),
                epochs=epochs,
                batch_size=32,
                key=jax.random.key(0),
                checkpoints=jaxae.Checkpoints(tmp_path / "checkpoints"),
                on_epoch=log,
                progress=False,
            )

    train(2)
    assert [*events(tmp_path / "log")["train/loss"]] == [1, 2]
    history = train(3).history
    found = events(tmp_path / "log")
    expected = {record["epoch"]: pytest.approx(record["train/loss"]) for record in history}
    assert found["train/loss"] == expected
    assert [*found["speed/seconds"]] == [1, 2, 3]
    assert not {"epoch", "step"} & found.keys()


@needs_tensorboardx
def test_reconstructions_samples_histograms_and_an_embedding(tmp_path, digits):
    model, images = vae(), digits.test.images[:40]
    params = model.init(jax.random.key(0), images)
    labels = np.arange(40) % 3
    with TensorBoard(tmp_path) as log:
        log.describe(model, params, jaxae.Batch(images), epoch=7, labels=labels)
    found = events(tmp_path)
    assert {*found} == {
        *("codes/all", "codes/01", "codes/02"),
        *("images/reconstructions", "images/samples"),
    }
    assert all([*steps] == [7] for steps in found.values())
    codes = np.asarray(model.encode(params, images))
    assert found["codes/02"][7].num == 40
    assert found["codes/02"][7].max == pytest.approx(codes[:, 1].max())
    assert found["codes/all"][7].num == 80
    # The first image is in the upper left corner, each pixel enlarged, above its reconstruction.
    pixels = picture(found["images/reconstructions"][7])
    times = tensorboard.LEAST_PIXELS // 8
    assert (
        pixels[: 8 * times : times, : 8 * times : times, 0].tolist() == images[0, ..., 0].tolist()
    )
    below = pixels[-8 * times :: times, : 8 * times : times, 0] / 255
    decoded = jaxae.reconstruct(model, params, images[:1])[0, ..., 0]
    np.testing.assert_allclose(below, np.clip(decoded, 0, 1), atol=1 / 255)
    vectors = np.loadtxt(tmp_path / "vectors.tsv", delimiter="\t")
    np.testing.assert_allclose(vectors, codes, atol=1e-4)
    rows = (tmp_path / "metadata.tsv").read_text().splitlines()
    assert [row.split("\t")[1] for row in rows[1:]] == [str(label) for label in labels]


@needs_tensorboardx
def test_what_a_model_does_not_have_is_left_out(tmp_path, digits):
    images = digits.test.images[:20]
    networks = jaxae.networks
    generator = jaxae.gan(networks.mlp_decoder(SHAPE, (8,)), networks.mlp_encoder(1), latent_dim=2)
    # The encoder of this model sees inputs of another shape.
    narrow = jaxae.autoencoder(networks.mlp_encoder(2, (8,)), networks.mlp_decoder(SHAPE, (8,)))
    narrow = jaxae.denoising(narrow, lambda key, x: x[:, :4])
    codes = {"codes/all", "codes/01", "codes/02"}
    wanted = {"gan": {"images/samples"}, "narrow": codes | {"images/reconstructions"}}
    for name, model in {"gan": generator, "narrow": narrow}.items():
        params = model.init(jax.random.key(0), images)
        with TensorBoard(tmp_path / name) as log:
            log.describe(model, params, jaxae.Batch(images), epoch=1)
        assert {*events(tmp_path / name)} == wanted[name]


@needs_tensorboardx
def test_an_experiment_logs_what_its_metrics_say(tmp_path, capsys):
    settings = config(autoencoder, tmp_path, log="tensorboard", epochs=1, schedule="constant")
    autoencoder.main(settings)
    found = events(tmp_path / "run" / "tensorboard")
    (record,) = lines(tmp_path / "run")
    assert found["validation/loss"][1] == pytest.approx(record["validation/loss"])
    assert {"images/reconstructions", "codes/all", "codes/04"} <= found.keys()
    assert (tmp_path / "run" / "tensorboard" / "sprite.png").exists()
    assert "log" not in json.loads((tmp_path / "run" / "config.json").read_text())["config"]
    # The flag is not part of what the run is: it can be left out, and given again.
    capsys.readouterr()
    autoencoder.main(config(autoencoder, tmp_path, epochs=1, schedule="constant"))
    assert "--log" not in capsys.readouterr().err
    autoencoder.main(settings)
    assert "the run is complete, so --log tensorboard writes nothing" in capsys.readouterr().err


@needs_tensorboardx
def test_each_part_has_a_folder_and_only_the_first_process_logs(tmp_path, monkeypatch):
    settings = config(autoencoder, tmp_path, log="tensorboard", epochs=1, code=2)
    data = datasets.load(settings)
    run = Run(tmp_path / "run", {})
    running.fit(settings, run.part("first"), vae(), data, name="first")
    monkeypatch.setattr(processes, "is_first", lambda: False)
    running.fit(settings, run.part("second"), vae(), data, name="second")
    assert [path.parent.name for path in run.directory.glob("*/tensorboard")] == ["first"]
    assert "validation/loss" in events(run.directory / "first" / "tensorboard")


def test_without_tensorboardx_nothing_is_read_or_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    error = refused(
        autoencoder,
        *("--log", "tensorboard", "--dataset", "nowhere", "--run-dir", tmp_path / "run"),
        monkeypatch=monkeypatch,
        capsys=capsys,
    )
    assert "tensorboardX 2.6 or newer: pip install 'tensorboardX>=2.6'" in error
    assert not (tmp_path / "run").exists()


def test_an_old_tensorboardx_is_refused(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: True)
    monkeypatch.setattr(tensorboard, "version", lambda name: "2.5.1")
    with pytest.raises(ValueError, match="needs tensorboardX 2.6 or newer"):
        flags.check(autoencoder.Config(log="tensorboard"))
