"""Images in rows and grids, as PNG files."""

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text
from PIL import Image

from jaxae.runs.fonts import make_drawable
from jaxae.runs.style import entitle
from jaxae.runtime.files import atomic_write

GAP = 0.08
"""The space between images, as a fraction of their size."""

_FORMULA = re.compile(r"\$(\\mathdefault\{.*\}|[xz]_\{?\d+\}?)\$")
"""Numbers on logarithmic axes, and names of dimensions."""


def rows(
    images: Mapping[str, np.ndarray], path: Path, *, title: str, columns: Sequence[str] = ()
) -> None:
    """Draws named rows of images, such as inputs above their reconstructions.

    Args:
      images: `{name: [n, h, w, c]}`, bytes or floats in [0, 1]. A name may have several lines.
      path: of the PNG file.
      title: above the figure.
      columns: labels of the columns.

    Raises:
      ValueError: if a value is outside [0, 1], as logits are.
    """
    stacked = [displayable(row) for row in images.values()]
    grid = np.stack(stacked)
    figure, axes = _canvas(grid, title)
    h = grid.shape[2]
    step = h + _gap(h)
    axes.set_yticks([step * i + h / 2 for i in range(len(grid))], list(images))
    if columns:
        w = grid.shape[3]
        across = w + _gap(w)
        axes.set_xticks([across * j + w / 2 for j in range(len(columns))], list(columns))
    axes.tick_params(length=0)
    save(figure, path)


def grid(images: np.ndarray, path: Path, *, title: str, columns: int = 10) -> None:
    """Draws images in a grid, row by row; an incomplete last row is left out.

    Args:
      images: `[n, h, w, c]`, bytes or floats in [0, 1].
      path: of the PNG file.
      title: above the figure.
      columns: number of images in a row.

    Raises:
      ValueError: if a value is outside [0, 1], as logits are.
    """
    columns = min(columns, len(images))
    shown = displayable(images[: len(images) // columns * columns])
    figure, axes = _canvas(shown.reshape(-1, columns, *shown.shape[1:]), title)
    axes.set_yticks([])
    save(figure, path)


def panels(
    images: Mapping[str, np.ndarray],
    path: Path,
    *,
    title: str,
    axes: Mapping[str, tuple[str, str]] | None = None,
    columns: Sequence[str] = (),
) -> None:
    """Draws named grids of images side by side.

    Args:
      images: `{name: [rows, columns, h, w, c]}`, bytes or floats in [0, 1].
      path: of the PNG file.
      title: above the figure.
      axes: labels of the horizontal and the vertical axis of each grid, by its name.
      columns: labels of the columns of images.

    Raises:
      ValueError: if a value is outside [0, 1], as logits are.
    """
    pictures = {}
    for name, grid in images.items():
        shown = displayable(grid.reshape(-1, *grid.shape[2:]))
        pictures[name] = mosaic(shown.reshape(*grid.shape[:2], *shown.shape[1:]))
    shapes = [picture.shape for picture in pictures.values()]
    width = min(5.0, 10.5 / len(shapes))
    height = max(width * h / w for h, w, _ in shapes)
    several = len(shapes) > 1
    engine = ConstrainedLayoutEngine(wspace=0.06 if several else 0.0)
    figure = Figure(figsize=(width * len(shapes), height + 0.9), layout=engine)
    for i, (name, picture) in enumerate(pictures.items()):
        axis = figure.add_subplot(1, len(shapes), i + 1)
        _show(axis, picture)
        axis.set_yticks([])
        if name:
            axis.set_title(name, fontsize=10)
        h, w = images[name].shape[2:4]
        if several:
            # A frame shows where a panel ends, because there are gaps inside of it as well.
            axis.spines[:].set(visible=True, color="0.6")
            axis.set_xlim(-0.5 - _gap(w), picture.shape[1] - 0.5 + _gap(w))
            axis.set_ylim(picture.shape[0] - 0.5 + _gap(h), -0.5 - _gap(h))
        if columns:
            step = w + _gap(w)
            axis.set_xticks([step * j + w / 2 for j in range(len(columns))], list(columns))
            axis.tick_params(length=0)
            if max(map(len, columns)) * len(columns) > 12 * width:
                axis.tick_params(axis="x", labelrotation=60)
        if axes is not None:
            axis.set(xlabel=axes[name][0], ylabel=axes[name][1])
    entitle(figure, title)
    save(figure, path)


def displayable(images: np.ndarray) -> np.ndarray:
    """Images as floats in [0, 1] with three channels; two, or more than three, are averaged first.

    Raises:
      ValueError: if a value is not in [0, 1].

    Examples:
      >>> displayable(np.full((1, 2, 2, 1), 255, np.uint8)).shape
      (1, 2, 2, 3)
    """
    images = np.asarray(images)
    if images.dtype == np.uint8:
        images = images / np.float32(255)
    # Rounding may put a mean computed in float32 slightly outside.
    if not (images.min() >= -1e-5 and images.max() <= 1 + 1e-5):
        raise ValueError(
            f"the values of an image must be in [0, 1], but these are from {images.min():.3g} to "
            f"{images.max():.3g}; clip decoded images, and convert logits with likelihood.mean"
        )
    if images.shape[-1] != 3:
        images = np.repeat(images.mean(-1, keepdims=True), 3, axis=-1)
    return np.clip(images, 0, 1)


def _canvas(images: np.ndarray, title: str) -> tuple[Figure, Axes]:
    """A figure of `[rows, columns, h, w, 3]` as one picture, without interpolation."""
    picture = mosaic(images)
    width = 8.0
    height = width * picture.shape[0] / picture.shape[1]
    figure = Figure(figsize=(width + 1.0, height + 0.7), layout="constrained")
    axes = figure.add_subplot()
    _show(axes, picture)
    entitle(figure, title)
    return figure, axes


def mosaic(images: np.ndarray) -> np.ndarray:
    """One picture of `[rows, columns, h, w, 3]`, with white gaps between the images."""
    r, c, h, w, _ = images.shape
    gap_h, gap_w = _gap(h), _gap(w)
    picture = np.ones((r * (h + gap_h) - gap_h, c * (w + gap_w) - gap_w, 3), np.float32)
    for i in range(r):
        for j in range(c):
            top, left = i * (h + gap_h), j * (w + gap_w)
            picture[top : top + h, left : left + w] = images[i, j]
    return picture


def _show(axes: Axes, picture: np.ndarray) -> None:
    axes.imshow(picture, interpolation="nearest")
    axes.set_anchor("N")  # below the title, without a space between them
    axes.set_xticks([])
    axes.spines[:].set_visible(False)


def _gap(size: int) -> int:
    return max(1, round(GAP * size))


def save(figure: Figure, path: Path) -> None:
    """Writes a PNG file without a loss of colours; its folder is created if it does not exist."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for text in figure.findobj(Text):
        # Folders and classes may be called `a$b$`, which is no formula.
        if isinstance(text, Text) and not _FORMULA.fullmatch(text.get_text()):
            text.set_parse_math(False)
    drawn = io.BytesIO()
    make_drawable(figure)
    # The background is white on a dark page too.
    figure.savefig(drawn, dpi=120, bbox_inches="tight", facecolor="white", format="png")
    pixels = np.asarray(Image.open(drawn).convert("RGB"))
    if (pixels == pixels[..., :1]).all():
        pixels = pixels[..., 0]  # one channel of grey levels makes a smaller file
    with atomic_write(path) as partial:
        Image.fromarray(pixels).save(partial, format="PNG", optimize=True)
