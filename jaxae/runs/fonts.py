"""Names in figures that the font of figures cannot draw: another font, or something else in their place."""

import functools
import sys

from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

from jaxae.runtime import processes

NO_LETTERS = ("last resort", "lastresort")
"""Beginnings of the names of fonts whose glyphs are boxes."""

_said: set[str] = set()


def can_draw(text: str) -> bool:
    r"""Whether there is a font for the letters of a text.

    Examples:
      >>> can_draw("Größe 3"), can_draw("\udce4")
      (True, False)
    """
    missing = _missing(text)
    return not missing or _other_font(missing) is not None


def say_once(text: str) -> None:
    """Prints a note once, in the first process."""
    if text not in _said and processes.is_first():
        _said.add(text)
        # Half of a letter, which a file name in another encoding has, cannot be printed.
        print(f"note: {text}".encode("utf-8", "replace").decode(), file=sys.stderr)


def make_drawable(figure: Figure) -> None:
    """Gives texts a font that has their letters; if there is none, `?` replaces the letters."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            _make_ticks_drawable(axis)
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        if not (missing := _missing(text.get_text())):
            continue
        if (font := _other_font(missing)) is not None:
            text.set_fontfamily([FontProperties().get_name(), font])
        else:
            text.set_text(_replaced(text.get_text()))


def _make_ticks_drawable(axis: Axis) -> None:
    """The labels of an axis are written anew when it is drawn, so that they are changed at their source."""
    labels = [label.get_text() for label in axis.get_ticklabels()]
    if not all(map(can_draw, labels)):
        axis.set_ticks(
            axis.get_ticklocs(),
            [label if can_draw(label) else _replaced(label) for label in labels],
        )


def _replaced(text: str) -> str:
    missing = _missing(text)
    replaced = "".join("?" if letter in missing else letter for letter in text)
    say_once(f"no font of this machine has the letters {missing}; figures show ? in their place")
    return replaced


def _missing(text: str) -> str:
    """The letters that the font of figures lacks, each once."""
    if text.isascii():
        return ""
    known = _letters(findfont(FontProperties()))
    return "".join(sorted({c for c in text if ord(c) not in known and not c.isspace()}))


@functools.cache
def _letters(path: str) -> frozenset[int]:
    return frozenset(FT2Font(path).get_charmap())


@functools.cache
def _other_font(letters: str) -> str | None:
    """The name of a font on this machine that has all these letters."""
    for entry in fontManager.ttflist:
        if entry.name.lower().startswith(NO_LETTERS):
            continue
        try:
            known = _letters(entry.fname)
        except (OSError, RuntimeError):  # the list may be older than the files
            continue
        if all(ord(letter) in known for letter in letters):
            return entry.name
    return None
