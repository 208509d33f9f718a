"""Figures as PNG files. Every function takes what it draws and where it goes, and computes nothing."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

GAP = 0.08
"""The space between images, as a part of an image."""


def rows(images: Mapping[str, np.ndarray], path: Path, *, title: str) -> None:
    """Rows of images under each other, each with its name: inputs over reconstructions.

    Args:
      images: `{name: [n, h, w, c]}`, bytes or floats in [0, 1].
      path: of the PNG file.
      title: above the figure.

    Raises:
      ValueError: if a value is outside [0, 1]: logits, most likely.
    """
    stacked = [displayable(row) for row in images.values()]
    grid = np.stack(stacked)
    figure, axes = _canvas(grid, title)
    h = grid.shape[2]
    step = h + _gap(h)
    axes.set_yticks([step * i + h / 2 for i in range(len(grid))], list(images))
    axes.tick_params(length=0)
    _save(figure, path)


def grid(images: np.ndarray, path: Path, *, title: str, columns: int = 10) -> None:
    """Images in a grid, row by row; a last row that is not full is left out.

    Args:
      images: `[n, h, w, c]`, bytes or floats in [0, 1].
      path: of the PNG file.
      title: above the figure.
      columns: images in a row.

    Raises:
      ValueError: if a value is outside [0, 1]: logits, most likely.
    """
    columns = min(columns, len(images))
    shown = displayable(images[: len(images) // columns * columns])
    figure, axes = _canvas(shown.reshape(-1, columns, *shown.shape[1:]), title)
    axes.set_yticks([])
    _save(figure, path)


def learning_curves(
    history: Sequence[Mapping[str, float | int]], path: Path, *, title: str, best_epoch: int
) -> None:
    """A panel for the loss and for each term: training, validation, and the epoch selected.

    Args:
      history: the records of :func:`jaxae.fit`.
      path: of the PNG file.
      title: above the figure.
      best_epoch: marked in every panel.
    """
    names = [key.removeprefix("train/") for key in history[0] if key.startswith("train/")]
    names.sort(key=lambda name: (name != "loss", name))
    columns = min(len(names), 2)
    lines = -(-len(names) // columns)
    figure = Figure(figsize=(4.2 * columns, 0.6 + 2.6 * lines), layout="constrained")
    epochs = [record["epoch"] for record in history]
    for i, name in enumerate(names):
        axes = figure.add_subplot(lines, columns, i + 1)
        for kind, style in (("train", "C0-"), ("validation", "C1-")):
            if f"{kind}/{name}" in history[0]:
                values = [record[f"{kind}/{name}"] for record in history]
                marker = "o" if len(epochs) == 1 else None
                axes.plot(epochs, values, style, label=kind, marker=marker)
        axes.axvline(best_epoch, color="0.7", linestyle=":", label="selected")
        # Penalties and errors are among the terms, which are not in nats.
        unit = "nats per image" if name == "loss" else "mean over images"
        axes.set(title=name.replace("_", " "), xlabel="epoch", ylabel=unit)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if i == 0:
            axes.legend()
    figure.suptitle(title)
    _save(figure, path)


def lines(
    x: Sequence[float | int],
    curves: Mapping[str, Sequence[float]],
    path: Path,
    *,
    title: str,
    xlabel: str,
    ylabel: str,
) -> None:
    """Several curves over the same points, each with its name.

    Args:
      x: of the points.
      curves: `{name: y}`.
      path: of the PNG file.
      title: above the figure.
      xlabel: of the horizontal axis.
      ylabel: of the vertical axis.
    """
    figure = Figure(figsize=(5.2, 3.6), layout="constrained")
    axes = figure.add_subplot()
    marker = "o" if len(x) <= 20 else ""
    for i, (name, y) in enumerate(curves.items()):
        axes.plot(x, y, f"C{i}{marker}-", label=name, markersize=4)
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
    if len(curves) > 1:
        axes.legend()
    _save(figure, path)


def projection(
    points: np.ndarray, projected: np.ndarray, names: Sequence[str], path: Path, *, title: str
) -> None:
    """Points in the plane, `[n, 2]`, and what they were projected to, joined by lines."""
    figure = Figure(figsize=(4.8, 4.2), layout="constrained")
    axes = figure.add_subplot()
    order = np.argsort(projected[:, 0])
    axes.plot(*projected[order].T, "C1-", linewidth=1)
    for point, to, name in zip(points, projected, names, strict=True):
        axes.plot(*np.stack([point, to]).T, color="0.7", linestyle=":")
        axes.annotate(name, point, textcoords="offset points", xytext=(4, 4))
    axes.plot(*points.T, "C0o", label="initial")
    axes.plot(*projected.T, "C1s", label="decoded", markersize=5)
    axes.set_aspect("equal")
    axes.set(title=title, xlabel="$x_1$", ylabel="$x_2$")
    axes.title.set_fontsize(9)
    axes.legend()
    _save(figure, path)


def curve(
    x: Sequence[float | int],
    y: Sequence[float],
    path: Path,
    *,
    title: str,
    xlabel: str,
    ylabel: str,
) -> None:
    """One measured curve, its points marked, both axes logarithmic with the points' own values."""
    figure = Figure(figsize=(5.2, 3.6), layout="constrained")
    axes = figure.add_subplot()
    axes.loglog(x, y, "C0o-")
    axes.set_xticks(list(x), [f"{v:g}" for v in x])
    axes.minorticks_off()
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
    axes.set_yticks(list(y), [f"{v:.3g}" for v in y])
    _save(figure, path)


def displayable(images: np.ndarray) -> np.ndarray:
    """Images as floats in [0, 1] with three channels; of two, or more than three, their mean.

    Raises:
      ValueError: if a value is not in [0, 1].

    Examples:
      >>> displayable(np.full((1, 2, 2, 1), 255, np.uint8)).shape
      (1, 2, 2, 3)
    """
    images = np.asarray(images)
    if images.dtype == np.uint8:
        images = images / np.float32(255)
    # A mean computed in float32 may be an ulp or two outside.
    if not (images.min() >= -1e-5 and images.max() <= 1 + 1e-5):
        raise ValueError(
            f"an image has values in [0, 1], this one from {images.min():.3g} to "
            f"{images.max():.3g}; logits go through likelihood.mean first"
        )
    if images.shape[-1] != 3:
        images = np.repeat(images.mean(-1, keepdims=True), 3, axis=-1)
    return np.clip(images, 0, 1)


def _canvas(images: np.ndarray, title: str) -> tuple[Figure, Axes]:
    """Draws `[rows, columns, h, w, 3]` as one picture, sharp at every size."""
    r, c, h, w, _ = images.shape
    gap_h, gap_w = _gap(h), _gap(w)
    picture = np.ones((r * (h + gap_h) - gap_h, c * (w + gap_w) - gap_w, 3), np.float32)
    for i in range(r):
        for j in range(c):
            top, left = i * (h + gap_h), j * (w + gap_w)
            picture[top : top + h, left : left + w] = images[i, j]
    width = 8.0
    height = width * picture.shape[0] / picture.shape[1]
    figure = Figure(figsize=(width + 1.0, height + 0.6), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(picture, interpolation="nearest")
    axes.set_xticks([])
    axes.spines[:].set_visible(False)
    axes.set_title(title)
    return figure, axes


def _gap(size: int) -> int:
    return max(1, round(GAP * size))


def _save(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, bbox_inches="tight")
