"""Figures have the right colours in the right places, and logits are refused."""

import numpy as np
import pytest
from PIL import Image

from jaxae.runs import charts, curves, figures, scatters


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
    shown = picture(tmp_path / "a.png")
    reds = np.argwhere(np.abs(shown - [255, 0, 0]).max(-1) <= 2)
    blues = np.argwhere(np.abs(shown - [0, 0, 255]).max(-1) <= 2)
    assert len(reds) == pytest.approx(len(blues), rel=0.05)
    assert len(reds) > 0.1 * shown.shape[0] * shown.shape[1]
    assert reds[:, 0].max() < blues[:, 0].min()  # inputs above reconstructions


def test_grey_is_grey(tmp_path):
    figures.grid(np.full((10, 4, 4, 1), 0.5), tmp_path / "a.png", title="grid", columns=5)
    assert count(tmp_path / "a.png", [127, 127, 127]) > 1000
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


def test_curves(tmp_path):
    history = [
        {"epoch": e, "train/loss": 3.0 / e, "train/rate": e, "validation/loss": 4.0 / e}
        for e in (1, 2, 3)
    ]
    path = tmp_path / "figures" / "a.png"
    curves.learning_curves(history, path, title="curves", best_epoch=3)
    both = count(path, [31, 119, 180])
    assert both > 100
    assert count(path, [255, 127, 14]) > 100
    curves.learning_curves(history, path, title="game", best_epoch=3, total=False)
    assert count(path, [31, 119, 180]) < 0.7 * both  # a panel less
    curves.learning_curves(history[:1], path, title="one epoch", best_epoch=1)
    curves.loglog([2, 4], [3.0, 1.0], path, title="t", xlabel="x", ylabel="y")


def test_lines_and_projections(tmp_path):
    path = tmp_path / "a.png"
    values = {"first": [1.0, 2.0, 3.0], "second": [3.0, 2.0, 1.0]}
    curves.lines([1, 2, 3], values, path, title="t", xlabel="x", ylabel="y")
    assert min(count(path, colour) for colour in ([31, 119, 180], [255, 127, 14])) > 100
    curves.lines(
        range(100), {"only": [0.1 * i for i in range(100)]}, path, title="t", xlabel="x", ylabel="y"
    )
    assert count(path, [31, 119, 180]) > 100
    assert count(path, [255, 127, 14]) == 0
    points = np.array([[0.0, 1.0], [1.0, 0.0]])
    scatters.projection(points, 0.5 * points, ["A", "B"], path, title="t")
    assert min(count(path, colour) for colour in ([31, 119, 180], [255, 127, 14])) > 50


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
    with pytest.raises(ValueError, match="logits"):
        figures.panels({"": red * 2}, path, title="no")


@pytest.mark.parametrize("classes", [None, 3, 30])
def test_scatters_and_ellipses(tmp_path, classes):
    random = np.random.default_rng(0)
    points = random.normal(size=(200, 2))
    labels = None if classes is None else np.arange(200) % classes
    path = tmp_path / "a.png"
    scatters.scatter({"AE": points, "VAE": 3 * points}, labels, path, title="t")
    first = [31, 119, 180] if classes in (None, 3) else None
    if first:
        assert np.abs(picture(path) - first).max(-1).min() < 60
    posteriors = {"0": (points, np.full((200, 2), 1e-4)), "1": (points, np.full((200, 2), 0.3))}
    scatters.ellipses(posteriors, labels, path, title="t")
    assert path.stat().st_size > 5000


def test_an_ellipse_is_two_standard_deviations(tmp_path):
    """One posterior, four wide and two high: its pixels have that shape."""
    path = tmp_path / "a.png"
    scatters.ellipses({"": (np.zeros((1, 2)), np.array([[2.0, 1.0]]))}, None, path, title="t")
    blueish = np.argwhere(picture(path)[..., 2] > picture(path)[..., 0] + 40)
    height, width = np.ptp(blueish, axis=0)
    assert width / height == pytest.approx(2, rel=0.05)


def test_histograms_bars_and_confusions(tmp_path):
    path = tmp_path / "a.png"
    x = np.linspace(-3, 3, 61)
    values = {"a": np.random.default_rng(0).normal(size=500)}
    charts.histograms(values, path, title="t", xlabel="x", density=("N", x, np.exp(-x * x)))
    shown = picture(path)
    assert np.sum(shown[..., 2] > shown[..., 0] + 60) > 100  # thin, partly transparent lines
    charts.bars(np.array([3.0, 1.0]), path, title="t", xlabel="x", ylabel="y", level=0.5)
    assert count(path, [31, 119, 180]) > 1000
    counts = np.array([[50, 0, 1], [0, 20, 0]])
    words = {"title": "t", "xlabel": "x", "ylabel": "y"}
    charts.confusion(counts, path, rows=["0", "1"], columns=["a", "b", "c"], **words)
    assert count(path, [8, 48, 107]) > 100  # the darkest blue, of a cell with all counts of its row
