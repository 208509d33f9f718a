"""Pairs of images from folders and arrays."""

import jax
import numpy as np
import optax
import pytest
from PIL import Image

import jaxae
from jaxae.data.pairs import read_pairs
from tests.data.files import grey, write


def test_pairs_of_two_folders(tmp_path):
    x = grey(30)
    for i, image in enumerate(x):
        write(tmp_path, f"night/{i:02}.bmp", image // 2)
        write(tmp_path, f"day/{i:02}.png", image)
    pairs = jaxae.data.load_pairs(tmp_path / "night", tmp_path / "day")
    assert [len(split.inputs) for split in pairs] == [24, 3, 3]
    for inputs, targets in pairs:
        np.testing.assert_array_equal(inputs, targets // 2)
    every = np.concatenate([split.targets for split in pairs])
    assert {image.tobytes() for image in every} == {image.tobytes() for image in x}
    # The division is the same every time.
    again = jaxae.data.load_pairs(tmp_path / "night", tmp_path / "day")
    np.testing.assert_array_equal(again.test.targets, pairs.test.targets)


def test_a_model_is_trained_from_inputs_to_targets(tmp_path):
    x = grey(40, (4, 4))
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", 255 - x)
    pairs = jaxae.data.load_pairs(tmp_path / "x.npy", tmp_path / "y.npy")
    train, test = (jaxae.Batch(s.targets, seen=s.inputs) for s in (pairs.train, pairs.test))
    encoder = jaxae.networks.mlp_encoder(16, ())
    model = jaxae.autoencoder(encoder, jaxae.networks.mlp_decoder((4, 4, 1), ()))
    options = {"key": jax.random.key(0), "progress": False, "batch_size": 8}
    fitted = jaxae.fit(model, train, optimizer=optax.adam(0.02), epochs=60, **options)
    found = jaxae.reconstruct(model, fitted.params, test)
    error = jaxae.analysis.squared_error(test.x, found).mean()
    assert error < 0.3 * jaxae.analysis.squared_error(test.x, test.seen).mean()


def test_inputs_and_targets_may_have_different_channels(tmp_path):
    np.save(tmp_path / "x.npy", grey(12))
    np.save(tmp_path / "y.npy", np.repeat(grey(12)[..., None], 3, axis=-1))
    train = jaxae.data.load_pairs(tmp_path / "x.npy", tmp_path / "y.npy").train
    assert train.inputs.shape == (10, 6, 5, 1)
    assert train.targets.shape == (10, 6, 5, 3)


def test_an_image_without_a_counterpart(tmp_path):
    for i, image in enumerate(grey(3)):
        write(tmp_path, f"night/{i}.bmp", image)
        write(tmp_path, f"day/{i}.png", image)
    (tmp_path / "day" / "2.png").unlink()
    with pytest.raises(ValueError, match=r"2.bmp has no counterpart in .*day \(1 have none\)"):
        jaxae.data.load_pairs(tmp_path / "night", tmp_path / "day")
    Image.fromarray(grey()[0]).save(tmp_path / "day" / "0.bmp")
    with pytest.raises(ValueError, match=r"two images of the same name, 0.bmp and 0.png; remove"):
        jaxae.data.load_pairs(tmp_path / "night", tmp_path / "day")


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (grey(29), "has 30 images and .* has 29; each input needs one target"),
        (grey(30, (6, 4)), "of 6 x 5 x 1 and .* of 6 x 4 x 1; give an image size"),
        (None, "there is no folder or file"),
    ],
)
def test_bad_pairs(targets, message, tmp_path):
    np.save(tmp_path / "x.npy", grey(30))
    if targets is not None:
        np.save(tmp_path / "y.npy", targets)
    with pytest.raises(ValueError, match=message):
        jaxae.data.load_pairs(tmp_path / "x.npy", tmp_path / "y.npy")
    with pytest.raises(ValueError, match="image size must be positive"):
        jaxae.data.load_pairs(tmp_path / "x.npy", tmp_path / "x.npy", image_size=0)
    with pytest.raises(ValueError, match="is not an .npy or .npz file; pairs come from"):
        jaxae.data.load_pairs(tmp_path / "x.npy", tmp_path)


def test_pairs_of_folders_with_splits(tmp_path):
    for i, split in enumerate(3 * ["train"] + 2 * ["Val"] + 2 * ["testing"]):
        write(tmp_path, f"night/{split}/{i}.png", grey(1, seed=i)[0] // 2)
        write(tmp_path, f"day/{split}/{i}.png", grey(1, seed=i)[0])
    pairs = jaxae.data.load_pairs(tmp_path / "night", tmp_path / "day")
    assert [len(part.inputs) for part in pairs] == [3, 2, 2]
    for inputs, targets in pairs:
        np.testing.assert_array_equal(inputs, targets // 2)
    np.testing.assert_array_equal(pairs.test.targets[0, ..., 0], grey(1, seed=5)[0])
    (tmp_path / "day" / "Val").rename(tmp_path / "day" / "test")
    with pytest.raises(
        ValueError, match="night has the splits test, train, validation and .*day has"
    ):
        jaxae.data.load_pairs(tmp_path / "night", tmp_path / "day")


def test_pairs_have_one_range_and_are_in_natural_order(tmp_path):
    for i in range(12):
        write(tmp_path, f"night/{i}.png", np.full((4, 4), 10 * i, np.uint16))
        write(tmp_path, f"day/{i}.tif", np.full((4, 4), 370 * i, np.uint16))
    with pytest.warns(jaxae.data.messages.DataWarning, match="4,095"):
        pairs = read_pairs(tmp_path / "night", tmp_path / "day", None)["train"]
    for images, step in zip(pairs, (10, 370), strict=True):
        expected = np.round(step * np.arange(12) * (255 / 4095))
        np.testing.assert_array_equal(images[:, 0, 0, 0], expected)
    pairs = read_pairs(tmp_path / "night", tmp_path / "day", None, levels=5000)["train"]
    assert pairs.targets.max() == round(370 * 11 * 255 / 5000)


def test_pairs_of_stacks(tmp_path):
    def save(name, arrays):
        first, *others = [Image.fromarray(array) for array in arrays]
        (tmp_path / name).parent.mkdir(exist_ok=True)
        first.save(tmp_path / name, save_all=True, append_images=others)

    save("x/1.tif", grey(3))
    save("y/1.tif", 255 - grey(3))
    with pytest.warns(jaxae.data.messages.DataWarning, match="4 are left out; frames='all'"):
        read_pairs(tmp_path / "x", tmp_path / "y", None)
    pairs = read_pairs(tmp_path / "x", tmp_path / "y", None, frames="all")["train"]
    np.testing.assert_array_equal(pairs.inputs, 255 - pairs.targets)
    assert len(pairs.inputs) == 3
    save("y/1.tif", grey(2))
    with pytest.raises(ValueError, match=r"1\.tif holds 3 images and .*1\.tif holds 2"):
        read_pairs(tmp_path / "x", tmp_path / "y", None, frames="all")


def test_grey_inputs_have_coloured_targets(tmp_path):
    write(tmp_path, "x/a.png", grey(1)[0])
    write(tmp_path, "y/a.png", np.repeat(grey(1)[0][..., None], 3, -1))
    (tmp_path / "x" / "b.heic").write_bytes(b"x")
    with pytest.warns(jaxae.data.messages.DataWarning, match=r"1 \.heic file \(b\.heic\)"):
        x, y = read_pairs(tmp_path / "x", tmp_path / "y", None)["train"]
    assert (x.shape[-1], y.shape[-1]) == (1, 3)


def test_options_of_pairs_apply_or_are_refused(tmp_path):
    # Images of 4 x 4 x 4 could have their channels first or last.
    x = np.random.default_rng(0).integers(0, 4096, (12, 4, 4, 4)).astype(np.uint16)
    x[0, 0, 0, 0] = 4095
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", x)
    paths = tmp_path / "x.npy", tmp_path / "y.npy"
    with pytest.warns(jaxae.data.DataWarning, match=r"[xy]\.npy: "):
        pairs = jaxae.data.load_pairs(*paths, channels="first", levels=4095)
    every = np.concatenate([split.inputs for split in pairs])
    expected = np.rint(x.transpose(0, 2, 3, 1) * (255 / 4095)).astype(np.uint8)
    assert {image.tobytes() for image in every} == {image.tobytes() for image in expected}
    with pytest.raises(ValueError, match="frames .* is for folders, and .* are array files"):
        jaxae.data.load_pairs(*paths, channels="first", levels=4095, frames="all")
    for side in "xy":
        write(tmp_path, f"{side}/0.png", grey(1)[0])
    with pytest.raises(ValueError, match="channels .* is for array files, and .* are folders"):
        jaxae.data.load_pairs(tmp_path / "x", tmp_path / "y", channels="last")


@pytest.mark.parametrize(
    ("targets", "message"),
    [(grey(12), "uint8.*at most 255"), (grey(12) / 255.0, "already; leave out levels")],
)
def test_white_of_the_inputs_that_the_targets_cannot_have(targets, message, tmp_path):
    np.save(tmp_path / "x.npy", 16 * grey(12).astype(np.uint16))
    np.save(tmp_path / "y.npy", targets)
    with pytest.raises(ValueError, match=rf"y\.npy .*{message}"):
        read_pairs(tmp_path / "x.npy", tmp_path / "y.npy", None, levels=4095)
