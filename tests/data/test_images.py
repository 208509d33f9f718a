"""Checks on arrays of images, and resizing."""

import numpy as np
import pytest

import jaxae
from tests.data.files import grey


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_become_float32(tmp_path, dtype):
    np.save(tmp_path / "a.npy", (grey() / 255).astype(dtype))
    train = jaxae.load(tmp_path / "a.npy").train.images
    assert train.dtype == np.float32
    assert train.shape[1:] == (6, 5, 1)


@pytest.mark.parametrize("dtype", [bool, np.uint8])
def test_zeros_and_ones_become_black_and_white(dtype):
    masks = (grey() > 128).astype(dtype)
    images = jaxae.data.from_arrays(masks).images
    np.testing.assert_array_equal(images[..., 0], 255 * masks.astype(int))
    assert jaxae.data.is_binary(images)
    assert not jaxae.data.is_binary(grey())
    assert jaxae.data.is_binary(np.float32([0, 1]))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_resizing_crops_the_central_square(dtype):
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


def test_is_binary_refuses_other_types():
    with pytest.raises(ValueError, match="not int64"):
        jaxae.data.is_binary(np.array([0, 1]))


def test_take_keeps_labels_and_attributes():
    data = jaxae.data.from_arrays(grey(5), np.arange(5), {"odd": np.arange(5) % 2})
    some = data.take(np.array([3, 0]))
    np.testing.assert_array_equal(some.images, data.images[[3, 0]])
    assert some.labels.tolist() == [3, 0]
    assert some.attributes["odd"].tolist() == [True, False]
