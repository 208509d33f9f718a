"""Loading by name or path, and the division into splits."""

import numpy as np
import pytest

import jaxae
from tests.data.files import grey, write


def test_splits_are_disjoint(tmp_path):
    path = tmp_path / "images.npy"
    np.save(path, np.arange(200, dtype=np.uint8).reshape(200, 1, 1))
    splits = jaxae.load(path)
    values = [set(split.images.ravel().tolist()) for split in splits]
    assert [len(v) for v in values] == [162, 18, 20]
    assert set.union(*values) == set(range(200))


def test_splits_are_stratified_by_class(tmp_path):
    labels = np.repeat([0, 1, 2], [100, 60, 40])
    np.savez(tmp_path / "a.npz", images=grey(200), labels=labels)
    splits = jaxae.load(tmp_path / "a.npz")
    assert np.bincount(splits.test.labels).tolist() == [10, 6, 4]
    assert np.bincount(splits.validation.labels).tolist() == [9, 5, 4]


def test_too_few_images(tmp_path):
    np.save(tmp_path / "a.npy", grey(1))
    with pytest.raises(
        ValueError, match="has only 1 training image: too few to set aside a test set"
    ):
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


def test_an_unknown_name_gets_suggestions():
    with pytest.raises(ValueError, match=r"'MNIST'; did you mean mnist or "):
        jaxae.load("MNIST")
    with pytest.raises(ValueError, match=r"'minst5k'; did you mean mnist5k.*need no download"):
        jaxae.load("minst5k")
    with pytest.raises(ValueError, match="there is no folder or file"):
        jaxae.load("no/such/folder")


def test_a_validation_fraction_of_zero_keeps_all_for_training():
    splits = jaxae.load("digits", validation_fraction=0.0)
    assert len(splits.train.images) == 1442
    assert len(splits.validation.images) == 0


def test_a_validation_fraction_of_zero_of_a_stream():
    splits = jaxae.load("digits", validation_fraction=0.0, stream=True)
    assert len(splits.train.images) == 1442
    assert splits.validation.images.shape == (0, 8, 8, 1)
    assert splits.validation.labels.shape == (0,)


def test_splits_of_different_sizes(tmp_path):
    for split, size in (("train", (6, 5)), ("test", (4, 5))):
        for i, image in enumerate(grey(5, size)):
            write(tmp_path, f"{split}/{i}.png", image)
    with pytest.raises(ValueError, match="train images of 6 x 5 x 1 and test images of 4 x 5 x 1"):
        jaxae.load(tmp_path)
    assert jaxae.load(tmp_path, image_size=4).test.images.shape == (5, 4, 4, 1)
