"""Figures have the right colours in the right places, and logits are refused."""

import numpy as np
import pytest
from PIL import Image

from jaxae.runs import figures, scatters


def picture(path):
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def count(path, colour):
    return int((np.abs(picture(path) - colour).max(-1) <= 2).sum())


def test_colours_are_those_of_the_images(tmp_path):
    red = np.zeros((4, 8, 8, 3), np.float32)
    red[..., 0] = 1
    blue = np.zeros((4, 8, 8, 3), np.uint8)
    blue[..., 2] = 255
    figures.rows({"input": red, "reconstruction": blue}, tmp_path / "a.png", title="rows")
    with Image.open(tmp_path / "a.png") as written:
        assert written.mode == "RGB"  # not a palette, which would merge colours
    shown = picture(tmp_path / "a.png")
    reds = np.argwhere(np.abs(shown - [255, 0, 0]).max(-1) <= 2)
    blues = np.argwhere(np.abs(shown - [0, 0, 255]).max(-1) <= 2)
    assert len(reds) == pytest.approx(len(blues), rel=0.05)
    assert len(reds) > 0.1 * shown.shape[0] * shown.shape[1]
    assert reds[:, 0].max() < blues[:, 0].min()  # inputs above reconstructions


def test_grey_is_grey(tmp_path):
    figures.grid(np.full((10, 4, 4, 1), 0.5), tmp_path / "a.png", title="grid", columns=5)
    assert count(tmp_path / "a.png", [127, 127, 127]) > 1000
    with Image.open(tmp_path / "a.png") as written:
        assert written.mode == "L"
    many = figures.displayable(np.random.default_rng(0).random((2, 3, 3, 5)))
    assert many.shape == (2, 3, 3, 3)


@pytest.mark.parametrize("bad", [-0.01, 1.01, np.nan])
def test_logits_are_refused(tmp_path, bad):
    images = np.full((2, 3, 3, 1), 0.5)
    images[0, 0, 0, 0] = bad
    with pytest.raises(ValueError, match="logits"):
        figures.grid(images, tmp_path / "a.png", title="no")


@pytest.mark.parametrize("shape", [(1, 1), (3, 17), (17, 3)])
def test_any_size(tmp_path, shape):
    figures.grid(np.zeros((7, *shape, 1)), tmp_path / "a.png", title="grid", columns=3)
    assert (tmp_path / "a.png").stat().st_size > 500


def test_panels(tmp_path):
    path = tmp_path / "a.png"
    red = np.zeros((3, 4, 8, 8, 3), np.float32)
    red[..., 0] = 1
    blue = np.zeros((2, 2, 5, 9, 1), np.uint8)
    figures.panels(
        {"AE": red, "VAE": blue},
        path,
        title="two",
        axes={"AE": ("x", "y"), "VAE": ("", "")},
        columns=["1", "2"],
    )
    assert count(path, [255, 0, 0]) > 5000
    # The panels do not touch: there is white between them, and a frame around each.
    shown = picture(path)
    middle = shown[len(shown) // 2]
    reds = np.flatnonzero(np.abs(middle - [255, 0, 0]).max(-1) <= 2)
    assert (middle[reds.max() + 1 : reds.max() + 30].min(-1) > 250).sum() > 10
    with pytest.raises(ValueError, match="logits"):
        figures.panels({"": red * 2}, path, title="no")


def test_an_ellipse_is_two_standard_deviations(tmp_path):
    """One posterior, four wide and two high: its pixels have that shape."""
    path = tmp_path / "a.png"
    scatters.ellipses({"": (np.zeros((1, 2)), np.array([[2.0, 1.0]]))}, None, path, title="t")
    blueish = np.argwhere(picture(path)[..., 2] > picture(path)[..., 0] + 40)  # the first colour
    height, width = np.ptp(blueish, axis=0)
    assert width / height == pytest.approx(2, rel=0.05)


@pytest.mark.parametrize("name", ["$a b$_{", "x_{$ ^{$", "\\frac$1$2$", "_hidden"])
def test_names_are_no_formulas(tmp_path, name):
    """Folders and classes of users have any names, and a figure is drawn after training."""
    codes = np.random.default_rng(0).normal(size=(40, 2))
    labels = np.arange(40) % 2
    scatters.scatter({name: codes}, labels, tmp_path / "a.png", title=name, classes=[name, "b"])
    images = np.zeros((2, 4, 4, 1))
    figures.rows({name: images}, tmp_path / "b.png", title=name)
    assert picture(tmp_path / "a.png").size
    assert picture(tmp_path / "b.png").size
