"""Data by name, folder and file: what comes out, and what is said when it cannot."""

import os
import struct
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import jaxae
from jaxae.data import loading as data_module
from jaxae.data.datasets import prepared
from jaxae.runtime import cache


def grey(n=20, size=(6, 5), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, *size), np.uint8)


def write(folder, name, array):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def rows(images):
    return [image.tobytes() for image in np.asarray(images)]


@pytest.mark.parametrize(
    ("name", "shape", "sizes"),
    [("mnist5k", (28, 28, 1), (3600, 400, 1000)), ("digits", (8, 8, 1), (1298, 144, 355))],
)
def test_the_embedded_sets(name, shape, sizes):
    splits = jaxae.load(name)
    for split, size in zip(splits, sizes, strict=True):
        assert split.images.shape == (size, *shape)
        assert split.images.dtype == np.uint8
        counts = np.bincount(split.labels, minlength=10)
        assert counts.max() - counts.min() <= 0.05 * size
    assert splits.train.images.min() == 0
    assert splits.train.images.max() == 255
    # Loading again gives the same division.
    np.testing.assert_array_equal(jaxae.load(name).validation.images, splits.validation.images)


def test_digits_are_those_of_scikit_learn(digits):
    from sklearn.datasets import load_digits

    expected = rows(np.round(load_digits().images * (255 / 16)).astype(np.uint8))
    found = [row for split in digits for row in rows(split.images)]
    assert sorted(found) == sorted(expected)


def test_the_splits_have_no_example_in_common(tmp_path):
    path = tmp_path / "images.npy"
    np.save(path, np.arange(200, dtype=np.uint8).reshape(200, 1, 1))
    splits = jaxae.load(path)
    values = [set(split.images.ravel().tolist()) for split in splits]
    assert [len(v) for v in values] == [162, 18, 20]
    assert set.union(*values) == set(range(200))


def test_the_splits_are_drawn_class_by_class(tmp_path):
    labels = np.repeat([0, 1, 2], [100, 60, 40])
    np.savez(tmp_path / "a.npz", images=grey(200), labels=labels)
    splits = jaxae.load(tmp_path / "a.npz")
    assert np.bincount(splits.test.labels).tolist() == [10, 6, 4]
    assert np.bincount(splits.validation.labels).tolist() == [9, 5, 4]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats(tmp_path, dtype):
    np.save(tmp_path / "a.npy", (grey() / 255).astype(dtype))
    train = jaxae.load(tmp_path / "a.npy").train.images
    assert train.dtype == np.float32
    assert train.shape[1:] == (6, 5, 1)


@pytest.mark.parametrize("dtype", [bool, np.uint8])
def test_black_and_white_is_made_visible(dtype):
    masks = (grey() > 128).astype(dtype)
    images = jaxae.data.from_arrays(masks).images
    np.testing.assert_array_equal(images[..., 0], 255 * masks.astype(int))
    assert jaxae.data.is_binary(images)
    assert not jaxae.data.is_binary(grey())
    assert jaxae.data.is_binary(np.float32([0, 1]))


def test_channels_are_kept(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.repeat(grey()[..., None], 5, axis=-1))
    assert jaxae.load(tmp_path / "a.npz").train.images.shape == (16, 6, 5, 5)


def test_binarisation_has_the_grey_level_as_its_mean():

    x = jnp.array([[0.0, 0.25, 0.9, 1.0]]) * jnp.ones((20_000, 1))
    drawn = np.asarray(jaxae.data.binarize(jax.random.key(0), x))
    assert set(np.unique(drawn)) == {0.0, 1.0}
    np.testing.assert_allclose(drawn.mean(0), x[0], atol=0.015)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_the_image_size_crops_the_middle(dtype):
    # Left and right thirds black, the middle white: of a wide image, only the middle is kept.
    wide = np.zeros((3, 8, 24, 2), dtype)
    wide[:, :, 8:16] = 255 if dtype == np.uint8 else 1
    images = jaxae.data.from_arrays(wide, image_size=4).images
    assert images.shape == (3, 4, 4, 2)
    assert images.dtype == dtype
    assert (images == wide.max()).all()


def test_resizing_is_antialiased():
    stripes = np.tile(np.uint8([0, 255]), (1, 32, 16))  # one pixel wide
    small = jaxae.data.from_arrays(stripes, image_size=8).images
    assert np.abs(small.astype(int) - 127).max() < 40


# Folders


def test_a_folder_of_images(tmp_path):
    for i, array in enumerate(grey(10)):
        write(tmp_path, f"{i}.png", array)
    (tmp_path / "notes.txt").write_text("not an image")
    write(tmp_path, ".hidden.png", grey(1)[0])
    splits = jaxae.load(tmp_path)
    found = [row for split in splits for row in rows(split.images)]
    assert sorted(found) == sorted(rows(grey(10)))
    assert splits.train.labels is None


def test_a_folder_for_each_class_and_each_split(tmp_path):
    for split, n in (("train", 20), ("test", 4)):
        for i in range(n):
            write(tmp_path, f"{split}/{'cat' if i % 2 else 'ant'}/{i}.png", grey(n)[i])
    splits = jaxae.load(tmp_path)
    assert [len(split.images) for split in splits] == [18, 2, 4]
    assert splits.test.labels.tolist() == [0, 0, 1, 1]


def test_grey_and_colour_together_are_colour(tmp_path):
    write(tmp_path, "a.png", grey(1)[0])
    write(tmp_path, "b.png", np.repeat(grey(1)[0][..., None], 3, axis=-1))
    for i in range(8):
        write(tmp_path, f"c{i}.jpg", grey(1)[0])
    assert jaxae.load(tmp_path).train.images.shape[1:] == (6, 5, 3)


def test_sixteen_bits_palettes_and_transparency(tmp_path):
    write(tmp_path / "deep", "a.png", np.full((4, 4), 257 * 9, np.uint16))
    assert (prepared_folder(tmp_path / "deep") == 9).all()
    picture = Image.new("RGB", (4, 4), (255, 0, 0)).convert("P")
    (tmp_path / "palette").mkdir()
    picture.save(tmp_path / "palette" / "a.png")
    assert prepared_folder(tmp_path / "palette")[0, 0, 0].tolist() == [255, 0, 0]
    (tmp_path / "alpha").mkdir()
    Image.new("RGBA", (4, 4), (0, 255, 0, 128)).save(tmp_path / "alpha" / "a.png")
    assert prepared_folder(tmp_path / "alpha").shape == (1, 4, 4, 3)


def prepared_folder(folder):
    from jaxae.data.images import from_folder

    return from_folder(folder, None)["train"].images


def test_mixed_sizes(tmp_path):
    for i in range(5):
        write(tmp_path, f"a{i}.png", grey(1, (6, 5))[0])
        write(tmp_path, f"b{i}.png", grey(1, (9, 5))[0])
    with pytest.raises(ValueError, match=r"a0.png is 6 x 5 x 1 and .*b0.png is 9 x 5 x 1.*size"):
        jaxae.load(tmp_path)
    assert jaxae.load(tmp_path, image_size=4).train.images.shape == (8, 4, 4, 1)


def test_a_corrupt_image_is_named(tmp_path):
    for i in range(4):
        path = write(tmp_path, f"{i}.png", grey(1, (40, 40))[0])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"3\.png cannot be read as an image"):
        jaxae.load(tmp_path)
    path.write_bytes(b"not a picture")
    with pytest.raises(ValueError, match=r"3\.png cannot be read as an image"):
        jaxae.load(tmp_path)


def test_a_class_has_the_same_number_in_every_split(tmp_path):
    """Also where one of them has no image of it."""
    for split, classes in (("train", "abc"), ("test", "bc"), ("validation", "c")):
        for i, name in enumerate(classes):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for j in range(2):
                value = {"a": 10, "b": 100, "c": 200}[name] + j + i
                Image.fromarray(np.full((4, 4), value, np.uint8)).save(folder / f"{j}.png")
    for part in jaxae.load(tmp_path):
        expected = np.digitize(part.images[:, 0, 0, 0], [50, 150])
        np.testing.assert_array_equal(part.labels, expected)


def test_an_empty_folder(tmp_path):
    with pytest.raises(ValueError, match="there is no image"):
        jaxae.load(tmp_path)


# Arrays that will not do


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((0, 4, 4), np.uint8), "is empty"),
        (np.zeros((5, 0, 4), np.uint8), "is empty"),
        (np.zeros((5, 4), np.uint8), "has shape"),
        (np.zeros((5, 4, 4), np.int64), "has type int64"),
        (np.zeros((5, 4, 4), np.complex64), "has type complex64"),
        (np.full((5, 4, 4), np.nan), "not finite"),
        (np.full((5, 4, 4), np.inf), "not finite"),
        (np.full((5, 4, 4), 1.5), r"from 1.5 to 1.5; bring them to \[0, 1\]"),
        (np.full((5, 4, 4), -0.1), "from -0.1"),
        (np.array([["a"]]), "has shape"),
    ],
    ids=lambda value: None if isinstance(value, np.ndarray) else value,
)
def test_bad_arrays(tmp_path, array, message):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(ValueError, match=message) as caught:
        jaxae.load(tmp_path / "a.npy")
    assert "\n" not in str(caught.value)
    assert "a.npy" in str(caught.value)


def test_bad_files(tmp_path):
    path = tmp_path / "a.npz"
    with pytest.raises(ValueError, match="there is no file"):
        jaxae.load(path)
    path.write_bytes(b"PK\x03\x04 truncated")
    with pytest.raises(ValueError, match="cannot be read"):
        jaxae.load(path)
    np.savez(path, pictures=grey())
    with pytest.raises(ValueError, match="no array 'images', only pictures"):
        jaxae.load(path)
    np.savez(path, images=grey(20), labels=np.zeros(19, int))
    with pytest.raises(ValueError, match="20 images, but labels of shape"):
        jaxae.load(path)
    np.savez(path, images=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match="cannot be read"):
        jaxae.load(path)
    whole = tmp_path / "b.npy"
    np.save(whole, grey())
    whole.write_bytes(whole.read_bytes()[:-50])
    with pytest.raises(ValueError, match="cannot be read"):
        jaxae.load(whole)
    # A header that promises more than there is must not take the memory for it.
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999, 9, 9)}\n"
    whole.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
    with pytest.raises(ValueError, match="cannot be read"):
        jaxae.load(whole)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", b"nonsense")
    with pytest.raises(ValueError, match="cannot be read"):
        jaxae.load(path)


def test_too_few_images(tmp_path):
    np.save(tmp_path / "a.npy", grey(1))
    with pytest.raises(ValueError, match="has 1 images: too few"):
        jaxae.load(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 0}, "image size"),
        ({"validation_fraction": 1.0}, "validation fraction"),
        ({"validation_fraction": -0.1}, "validation fraction"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        jaxae.load("digits", **options)


# Names


def test_an_unknown_name_is_answered_with_near_ones():
    with pytest.raises(ValueError, match=r"'minst5k'; did you mean mnist5k.*need no download"):
        jaxae.load("minst5k")
    with pytest.raises(ValueError, match="there is no folder or file"):
        jaxae.load("no/such/folder")


def test_a_set_that_is_not_prepared_without_tensorflow(tmp_path, monkeypatch):
    monkeypatch.setattr(prepared.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        ValueError, match=r"'mnist' is not prepared.*jaxae\[prepare\].*TFDS_DATA_DIR"
    ):
        jaxae.load("mnist", data_dir=tmp_path)


def test_a_set_that_cannot_be_downloaded(tmp_path, monkeypatch):
    monkeypatch.setattr(prepared.importlib.util, "find_spec", lambda name: True)
    failed = prepared.subprocess.CompletedProcess([], 1, stderr="Traceback\nConnectionError: no")
    monkeypatch.setattr(prepared.subprocess, "run", lambda *args, **kwargs: failed)
    with pytest.raises(ValueError, match="preparing it failed.*ConnectionError: no"):
        jaxae.load("mnist", data_dir=tmp_path)


# tfds data sets of other shapes than ours


@pytest.fixture
def only_test(tmp_path):
    """A tfds data set with a test split only, and images of two sizes."""
    import tensorflow_datasets as tfds

    class OnlyTest(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            features = {"photo": tfds.features.Image(shape=(None, None, 3)), "id": np.int64}
            return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

        def _split_generators(self, dl_manager):
            return {"test": self._generate_examples()}

        def _generate_examples(self):
            for i in range(40):
                image = Image.new("RGB", (8 + i % 2, 8), (i, 0, 0))
                yield i, {"photo": image, "id": i}

    OnlyTest(data_dir=tmp_path, file_format="array_record").download_and_prepare()
    return tmp_path


@pytest.mark.filterwarnings("ignore")
def test_a_set_without_a_training_split_is_divided(only_test):
    with pytest.raises(ValueError, match="only_test: its images have several sizes"):
        jaxae.load("only_test", data_dir=only_test)
    splits = jaxae.load("only_test", data_dir=only_test, image_size=8)
    assert [len(split.images) for split in splits] == [32, 4, 4]
    reds = [int(image[0, 0, 0]) for split in splits for image in split.images]
    assert sorted(reds) == list(range(40))
    assert splits.train.labels is None


def test_a_set_prepared_as_tfrecord_says_so(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise ValueError("File format is already set to FileFormat.TFRECORD. Got ARRAY_RECORD")

    monkeypatch.setattr(prepared.tfds, "builder", refuse)
    with pytest.raises(ValueError, match="tfrecord, which only TensorFlow reads"):
        jaxae.load("mnist", data_dir=tmp_path)


# The cache


def test_what_was_decoded_is_read_back_and_mended(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXAE_CACHE", str(tmp_path))
    first = jaxae.load("digits", validation_fraction=0.5)
    expected = np.array(first.test.images)  # a copy: the file below it is about to be replaced
    folders = sorted(tmp_path.glob("tfds/digits/1.0.0/jaxae-*"))
    assert [folder.name[:-13] for folder in folders] == ["jaxae-test", "jaxae-train"]
    monkeypatch.setattr(prepared, "_write_cache", None)  # would fail if it were called
    again = jaxae.load("digits", validation_fraction=0.5)
    np.testing.assert_array_equal(first.train.images, again.train.images)
    monkeypatch.undo()
    monkeypatch.setenv("JAXAE_CACHE", str(tmp_path))
    images = folders[0] / "images.npy"
    truncated = images.read_bytes()[:200]
    images.unlink()
    images.write_bytes(truncated)
    mended = jaxae.load("digits", validation_fraction=0.5)
    np.testing.assert_array_equal(expected, mended.test.images)
    assert not list(tmp_path.rglob(".partial-*"))


def test_a_cache_folder_that_cannot_be_made(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("JAXAE_CACHE", str(tmp_path / "file" / "cache"))
    folder = cache.cache_dir()
    assert folder.is_dir()
    assert os.access(folder, os.W_OK)


def test_a_validation_fraction_of_zero_keeps_all_for_training():
    splits = jaxae.load("digits", validation_fraction=0.0)
    assert len(splits.train.images) == 1442
    assert len(splits.validation.images) == 0


def test_embedded_names_agree():
    assert set(data_module.EMBEDDED) == set(prepared.EMBEDDED)


def test_shifts_are_whole_pixels_and_all_equally_likely():
    x = jnp.zeros((9000, 5, 6, 2)).at[:, 2, 3].set(jnp.array([0.5, 1.0]))
    y = np.asarray(jaxae.augmentations.random_shift(1)(jax.random.key(0), x))
    assert (y.sum((1, 2)) == [0.5, 1.0]).all()
    place = y[..., 1].reshape(len(y), -1).argmax(1)
    counts = np.bincount(place, minlength=30).reshape(5, 6)
    near = counts[1:4, 2:5]
    assert near.sum() == 9000
    assert abs(near - 1000).max() < 5 * 1000**0.5
    corner = jnp.zeros((500, 3, 3, 1)).at[:, 0, 0].set(1.0)
    shifted = np.asarray(jaxae.augmentations.random_shift(2)(jax.random.key(1), corner))
    assert 0 < shifted.sum() < 500  # what leaves the image is gone
    np.testing.assert_array_equal(jaxae.augmentations.random_shift(0)(jax.random.key(0), x), x)
    with pytest.raises(ValueError, match="no pixel or more"):
        jaxae.augmentations.random_shift(-1)


def test_attributes_of_a_file(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (50, 4, 4), np.uint8)
    images[:, 0, 0] = np.arange(50)
    attributes = np.stack([np.arange(50) % 2, np.arange(50) < 20], axis=1)
    np.savez(
        tmp_path / "a.npz", images=images, attributes=attributes, attribute_names=["Odd", "Low"]
    )
    splits = jaxae.load(tmp_path / "a.npz")
    for part in splits:
        number = part.images[:, 0, 0, 0]
        np.testing.assert_array_equal(part.attributes["Odd"], number % 2 == 1)
        np.testing.assert_array_equal(part.attributes["Low"], number < 20)
        assert part.attributes["Odd"].dtype == bool
    assert not jaxae.load("digits").train.attributes


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"attributes": np.ones((5, 1))}, "go together"),
        ({"attribute_names": ["A"]}, "go together"),
        ({"attributes": np.ones((5, 2)), "attribute_names": ["A"]}, "a value for each name"),
        ({"attributes": np.ones((4, 1)), "attribute_names": ["A"]}, "attribute A has shape"),
        ({"attributes": np.full((5, 1), 2), "attribute_names": ["A"]}, "0 or 1"),
    ],
)
def test_bad_attributes(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", images=np.zeros((5, 4, 4), np.uint8), **arrays)
    with pytest.raises(ValueError, match=message):
        jaxae.load(tmp_path / "a.npz")
