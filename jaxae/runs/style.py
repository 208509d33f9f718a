"""Colours, markers, names and titles that all figures share."""

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from jaxae.runs.fonts import can_draw, say_once

PALETTE = (
    *("#3f90da", "#ffa90e", "#bd1f01", "#832db6", "#94a4a2"),
    *("#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"),
)
"""Ten colours that are distinct with the usual deficiencies of colour vision too, see
`Petroff (2021) <https://arxiv.org/abs/2107.02270>`_."""

MARKERS = ("o", "^", "s")
"""Markers of the first ten classes, the next ten, and the ten after these."""

OTHER = "#d0d0d0"
"""The colour of classes that have no colour of their own."""

REFERENCE = "0.3"
"""The colour of reference curves, which are dashed."""


class Style(NamedTuple):
    """The colour, the marker and the name of a class."""

    colour: str
    marker: str
    name: str


def class_name(label: int, classes: Sequence[str] = ()) -> str:
    """The name of a class, or its number if it has none.

    Examples:
      >>> class_name(1, ["cat", "dog"]), class_name(7)
      ('dog', '7')
    """
    return classes[label] if 0 <= label < len(classes) else str(label)


def drawn_class_name(label: int, classes: Sequence[str] = ()) -> str:
    r"""The name of a class as a figure shows it; its number where no font has the letters of its name.

    Examples:
      >>> drawn_class_name(1, ["cat", "5 $"])
      '5 \\$'
    """
    name = class_name(label, classes)
    if not can_draw(name):
        say_once(
            "no font of this machine has the letters of all names of classes; figures show numbers in "
            "place of these names"
        )
        name = str(label)
    return without_mathematics(name)


def without_mathematics(text: str) -> str:
    """A text that matplotlib shows as it is, without a formula between two dollars."""
    return text.replace("$", r"\$")


def class_styles(labels: np.ndarray, classes: Sequence[str] = ()) -> dict[int, Style]:
    """A style for each class that occurs; no two classes have the same colour and marker.

    With more than 30 classes, the most frequent 30 have a style each, and the others have none.

    Args:
      labels: the class of each point, `[n]`.
      classes: the names of the classes.

    Returns:
      styles by label, in ascending order.

    Examples:
      >>> styles = class_styles(np.arange(12))
      >>> len({(s.colour, s.marker) for s in styles.values()})
      12
    """
    known, counts = np.unique(np.asarray(labels), return_counts=True)
    most = np.sort(np.argsort(-counts, kind="stable")[: len(PALETTE) * len(MARKERS)])
    return {
        int(label): Style(
            PALETTE[i % len(PALETTE)],
            MARKERS[i // len(PALETTE)],
            drawn_class_name(int(label), classes),
        )
        for i, label in enumerate(known[most])
    }


def entitle(figure: Figure, title: str) -> None:
    """Writes the title above a figure, in several lines if it is longer than the figure is wide."""
    title = without_mathematics(title)
    characters = max(20, int(10.5 * figure.get_figwidth()))
    lines = textwrap.wrap(title, characters)
    # Lines of about the same length, rather than a last one of a single word.
    for width in range(-(-len(title) // max(1, len(lines))), characters):
        balanced = textwrap.wrap(title, width)
        if len(balanced) == len(lines):
            lines = balanced
            break
    figure.suptitle("\n".join(lines), fontsize=12)


def name_curves(figure: Figure, *, columns: int = 0) -> None:
    """Adds one legend with the curves of all panels, outside of them.

    Args:
      figure: its panels have curves with labels.
      columns: below the figure, in so many columns; 0 for a legend to the right of it.
    """
    handles: dict[str, Artist] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    if columns:
        legend = figure.legend(
            list(handles.values()), list(handles), loc="outside lower center", ncols=columns
        )
    else:
        legend = figure.legend(
            list(handles.values()),
            list(handles),
            loc="outside right center",
            ncols=1 + len(handles) // 18,
        )
    for text in legend.get_texts():
        text.set_fontsize(9)
