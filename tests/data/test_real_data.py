"""Loading real tfds data sets, if TFDS_DATA_DIR is a folder that has them."""

import os
from pathlib import Path

import numpy as np
import pytest

import jaxae

HOME = Path(os.environ.get("TFDS_DATA_DIR") or "no-such-folder")


def skip_without(name):
    if not (HOME / name).is_dir():
        pytest.skip(f"TFDS_DATA_DIR has no {name}")


def test_mnist():
    skip_without("mnist")
    splits = jaxae.load("mnist")
    assert [split.images.shape for split in splits] == [
        (54000, 28, 28, 1),
        (6000, 28, 28, 1),
        (10000, 28, 28, 1),
    ]
    # The mean grey level of the MNIST training set, as it is commonly quoted.
    everything = [*splits.train.images, *splits.validation.images]
    assert np.mean(everything) / 255 == pytest.approx(0.1307, abs=5e-5)
    assert np.bincount(splits.test.labels).tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009,
    ]  # fmt: skip


def test_mnist5k_is_in_mnist():
    skip_without("mnist")
    mnist = {image.tobytes() for split in jaxae.load("mnist")[:2] for image in split.images}
    ours = [image.tobytes() for split in jaxae.load("mnist5k") for image in split.images]
    assert len(ours) == 5000
    assert set(ours) <= mnist


def test_binarized_mnist_is_black_and_white():
    skip_without("binarized_mnist")
    splits = jaxae.load("binarized_mnist")
    assert [len(split.images) for split in splits] == [50000, 10000, 10000]
    assert all(jaxae.data.is_binary(split.images) for split in splits)
    assert splits.test.images.max() == 255


def test_fashion_mnist():
    skip_without("fashion_mnist")
    assert jaxae.load("fashion_mnist").test.images.shape == (10000, 28, 28, 1)


def test_faces_are_cropped_and_resized():
    skip_without("celeb_a")
    splits = jaxae.load("celeb_a", image_size=16)
    assert {split.images.shape[1:] for split in splits} == {(16, 16, 3)}
    # The centre of an aligned face is skin, which is reddish.
    mean = splits.test.images.mean(0)
    assert mean[6:10, 6:10, 0].mean() > mean[6:10, 6:10, 2].mean() + 20


def test_attributes_of_faces():
    skip_without("celeb_a")
    splits = jaxae.load("celeb_a", image_size=16)
    assert len(splits.train.attributes) == 40
    for part in splits:
        blond, black = part.attributes["Blond_Hair"], part.attributes["Black_Hair"]
        assert blond.shape == black.shape == (len(part.images),)
        # Few have both, and the top of the image is lighter if the hair is fair.
        assert (blond & black).mean() < 0.01
        light = part.images[:, 1:4].mean((1, 2, 3))
        assert light[blond].mean() > light[black].mean() + 15
