"""Applying functions of images to pictures of any size."""

import numpy as np
import pytest

from jaxae.runs import pictures


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("trained", [1, 3])
def test_a_picture_is_restored_from_its_images(channels, trained):
    several = np.random.default_rng(0).random((2, 4, 5, channels), np.float32)
    images = pictures.channels_of(several, trained)
    assert images.shape == (6 if (channels, trained) == (3, 1) else 2, 4, 5, trained)
    restored = pictures.picture_of(images, channels)
    np.testing.assert_allclose(restored, several, atol=1e-6)


@pytest.mark.parametrize("size", [(20, 31), (64, 64), (300, 40)])
def test_tiles_give_the_result_of_the_whole_image(size, monkeypatch):
    monkeypatch.setattr(pictures, "TILE", 16)
    monkeypatch.setattr(pictures, "MARGIN", 4)
    asked = set()

    def paint(tile):
        asked.add(tile)
        return blur

    def blur(x):
        """Each value depends on its neighbours up to two pixels away, which is less than the margin."""
        padded = np.pad(x, [(0, 0), (2, 2), (2, 2), (0, 0)])
        h, w = x.shape[1:3]
        return sum(padded[:, i : i + h, j : j + w] for i in range(5) for j in range(5))

    x = np.float32(np.random.default_rng(0).random((2, *size, 1)))
    counted = []

    def track(steps):
        counted.extend(steps)
        return steps

    found = pictures.tiled(paint, x, 1, track)
    np.testing.assert_allclose(found, blur(x), rtol=1e-5)
    assert asked == {(min(size[0], 24), min(size[1], 24))}
    is_cut = max(size) > 24
    assert len(counted) == (-(-size[0] // 16) * -(-size[1] // 16) if is_cut else 0)


@pytest.mark.parametrize(
    ("size", "exactly", "expected"),
    [
        ((200, 100), False, (64, 32)),
        ((20, 31), False, (20, 31)),
        ((200, 100), True, (32, 48)),
    ],
)
def test_the_size_at_which_a_picture_is_seen(size, exactly, expected):
    assert pictures.near(size, (32, 48, 3), exactly=exactly) == expected
