"""Applying functions of images to picture files."""

import numpy as np
import pytest
from PIL import Image

from jaxae.runs import pictures


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("trained", [1, 3])
def test_a_picture_is_restored_from_its_images(channels, trained):
    picture = np.random.default_rng(0).integers(0, 256, (4, 5, channels), np.uint8)
    images = pictures.channels_of(picture, trained)
    assert images.shape == (3 if (channels, trained) == (3, 1) else 1, 4, 5, trained)
    restored = pictures.picture_of(images, channels)
    np.testing.assert_allclose(restored, picture / 255, atol=1e-6)


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
    found = pictures.tiled(paint, x, 1)
    np.testing.assert_allclose(found, blur(x), rtol=1e-5)
    assert asked == {(min(size[0], 24), min(size[1], 24))}


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


def test_no_file_is_overwritten(tmp_path):
    for value in (0.0, 1.0, 2.0):
        pictures.save(np.full((2, 3, 1), value), tmp_path, "a")
    names = ["a.png", "a-2.png", "a-3.png"]
    levels = [int(np.asarray(Image.open(tmp_path / name)).max()) for name in names]
    assert levels == [0, 255, 255]


def test_a_picture_that_fails_does_not_stop_the_others(tmp_path, capsys):
    for name, mode in (("good", "RGB"), ("bad", "RGB"), ("clear", "RGBA")):
        Image.new(mode, (4, 3), 0).save(tmp_path / f"{name}.png")
    (tmp_path / "text.png").write_text("not a picture")

    def paint(picture, alpha):
        if (tmp_path / "out" / "good-new.png").exists() and alpha is None:
            raise ValueError("too dark")
        return picture / 255

    files = [tmp_path / f"{name}.png" for name in ("good", "bad", "clear", "text", "missing")]
    with pytest.raises(
        ValueError, match=r"2 of 5 pictures done; .*bad.png: too dark.*text.png"
    ) as e:
        pictures.apply(files, tmp_path / "out", paint, "new")
    assert "missing.png" in str(e.value)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"good-new.png", "clear-new.png"}
    assert "clear.png: its alpha channel is ignored" in capsys.readouterr().err
