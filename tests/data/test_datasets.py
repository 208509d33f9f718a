"""tfds data sets: the embedded ones, preparation, and the cache of decoded images."""

import os

import numpy as np
import pytest
from PIL import Image

import jaxae
from jaxae.data import loading
from jaxae.data.datasets import builders, decoded
from jaxae.runtime import cache
from tests.data.files import rows


@pytest.mark.parametrize(
    ("name", "shape", "sizes"),
    [("mnist5k", (28, 28, 1), (3600, 400, 1000)), ("digits", (8, 8, 1), (1298, 144, 355))],
)
def test_embedded_data_sets(name, shape, sizes):
    splits = jaxae.load(name)
    for split, size in zip(splits, sizes, strict=True):
        assert split.images.shape == (size, *shape)
        assert split.images.dtype == np.uint8
        counts = np.bincount(split.labels, minlength=10)
        assert counts.max() - counts.min() <= 0.05 * size
    assert splits.train.images.min() == 0
    assert splits.train.images.max() == 255
    # The division is the same every time.
    np.testing.assert_array_equal(jaxae.load(name).validation.images, splits.validation.images)


def test_digits_equal_those_of_scikit_learn(digits):
    from sklearn.datasets import load_digits

    expected = rows(np.round(load_digits().images * (255 / 16)).astype(np.uint8))
    found = [row for split in digits for row in rows(split.images)]
    assert sorted(found) == sorted(expected)


def test_an_unprepared_data_set_without_tensorflow(tmp_path, monkeypatch):
    monkeypatch.setattr(builders.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        ValueError, match=r"'mnist' is not prepared.*jaxae\[prepare\].*TFDS_DATA_DIR"
    ):
        jaxae.load("mnist", data_dir=tmp_path)


def test_a_failed_download(tmp_path, monkeypatch):
    monkeypatch.setattr(builders.importlib.util, "find_spec", lambda name: True)
    failed = builders.subprocess.CompletedProcess([], 1, stderr="Traceback\nConnectionError: no")
    monkeypatch.setattr(builders.subprocess, "run", lambda *args, **kwargs: failed)
    with pytest.raises(ValueError, match="preparing it failed.*ConnectionError: no"):
        jaxae.load("mnist", data_dir=tmp_path)


@pytest.fixture
def only_test(tmp_path):
    """A tfds data set with only a test split, whose images have two sizes."""
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
def test_a_data_set_without_a_training_split_is_divided(only_test):
    with pytest.raises(ValueError, match="only_test: its images have several sizes"):
        jaxae.load("only_test", data_dir=only_test)
    splits = jaxae.load("only_test", data_dir=only_test, image_size=8)
    assert [len(split.images) for split in splits] == [32, 4, 4]
    reds = [int(image[0, 0, 0]) for split in splits for image in split.images]
    assert sorted(reds) == list(range(40))
    assert splits.train.labels is None


def test_a_data_set_in_tfrecord_format(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise ValueError("File format is already set to FileFormat.TFRECORD. Got ARRAY_RECORD")

    monkeypatch.setattr(builders.tfds, "builder", refuse)
    with pytest.raises(ValueError, match="tfrecord, which only TensorFlow reads"):
        jaxae.load("mnist", data_dir=tmp_path)


def test_the_cache_of_decoded_images_is_reused_and_repaired(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXAE_CACHE", str(tmp_path))
    first = jaxae.load("digits", validation_fraction=0.5)
    expected = np.array(first.test.images)  # a copy: the file below it is about to be replaced
    folders = sorted(tmp_path.glob("tfds/digits/1.0.0/jaxae-*"))
    assert [folder.name[:-13] for folder in folders] == ["jaxae-test", "jaxae-train"]
    monkeypatch.setattr(decoded, "_write_cache", None)  # fails if it is called
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


def test_both_lists_of_embedded_names_agree():
    assert set(loading.EMBEDDED) == set(builders.EMBEDDED)
