"""Which grey level of an image file is white: decided once for all files of a data set."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

BIT_DEPTHS = (1, 8, 10, 12, 14, 16)
"""Usual bit depths of cameras, scanners and microscopes."""

DARK = 0.5
"""Images whose largest value is below this share of white may have another white."""


class Levels(NamedTuple):
    """The range of the levels in one image file.

    Attributes:
      path: of the file.
      kind: how the file stores a level: "8-bit", "16-bit", "32-bit", "float", or "16-bit colour", of
        which only the upper 8 bits are read.
      low: the smallest level.
      high: the largest level.
      whole: whether all levels are whole numbers.
      stretched: whether the levels are bytes that were stretched to 16 bits, which are multiples of 257.
      white: the level of white, if the file gives it.
    """

    path: Path
    kind: str
    low: float | int
    high: float | int
    whole: bool = True
    stretched: bool = False
    white: int | None = None


class Ranges(NamedTuple):
    """The level of white for each kind of file.

    Attributes:
      white: `{kind: level}`; a kind that is missing is of bytes with white at 255.
      notes: the decisions, in sentences.
      doubts: the decisions that could be wrong, in sentences.
    """

    white: Mapping[str, int] = {}
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


def darkness(smallest: float | int, largest: float | int, white: float | int) -> str:
    """The end of a sentence on images that are so dark that white may be another value; else empty.

    Examples:
      >>> darkness(0, 99, 255)[:53]
      'is dark: its largest value is 99, where 255 is white;'
      >>> darkness(0, 200, 255), darkness(7, 7, 255)
      ('', '')
    """
    if not 0 < largest < DARK * white or smallest == largest:
        return ""
    likely = 2 ** int(largest).bit_length() - 1
    remedy = (
        f"give the value of white, such as levels={likely} (--levels {likely})"
        if white > 1
        else "scale the images"
    )
    return (
        f"is dark: its largest value is {largest:.4g}, where {white:.0f} is white; if that is not "
        f"meant, {remedy}"
    )


def uneven(largest: Mapping[str, float | int], white: float | int) -> list[str]:
    """A sentence on splits that are dark where others are not, as if they had another white, if any.

    Args:
      largest: the largest value of each split.
      white: the value that is white in all of them.

    Examples:
      >>> uneven({"train": 1, "test": 255}, 255)[0][:76]
      'the train images are dark: they have values up to 1, and others up to 255; i'
    """
    brightest = max(largest.values(), default=0)
    dark = {name: high for name, high in largest.items() if 0 < high < DARK * white <= brightest}
    if not dark:
        return []
    return [
        f"the {' and '.join(dark)} images are dark: they have values up to {max(dark.values()):.4g}, and "
        f"others up to {brightest:.4g}; if white is not the same in all splits, scale them alike"
    ]


def measure(path: Path, kind: str, raw: np.ndarray, white: int | None = None) -> Levels:
    """The levels of one image.

    Args:
      path: of the file.
      kind: as in :class:`Levels`.
      raw: the image, as it is stored.
      white: the level of white, if the file gives it.

    Raises:
      ValueError: if levels are negative or not finite.
    """
    low, high = float(raw.min()), float(raw.max())
    if not np.isfinite([low, high]).all():
        raise ValueError("it has levels that are not finite")
    if low < 0:
        raise ValueError(
            f"it has levels from {low:.6g} to {high:.6g}; shift them so that none is negative"
        )
    floats = np.issubdtype(raw.dtype, np.floating)
    whole = not floats or bool((raw == np.round(raw)).all())
    stretched = kind == "16-bit" and high > 0 and not (raw % 257).any()
    return Levels(path, kind, low, high, whole, stretched, white)


def decide(files: Iterable[Levels], levels: int | None = None) -> Ranges:
    """Decides the level of white for each kind of file.

    Unless it is given, white is the largest level of the smallest usual bit depth that all files
    of the kind fit into: 12-bit images in 16-bit files have white at 4,095. Bytes have white at 255,
    unless all are 0 or 1.

    Args:
      files: all files of the data set.
      levels: the level of white, if the user gives it. It does not apply to bytes if it is over 255.

    Returns:
      :class:`Ranges`.

    Raises:
      ValueError: if a file has larger levels than the user gives, or the range cannot be decided.

    Examples:
      >>> found = decide([Levels(Path("a.png"), "16-bit", 0, 900), Levels(Path("b.png"), "16-bit", 0, 3000)])
      >>> found.white
      {'16-bit': 4095}
    """
    by_kind: dict[str, list[Levels]] = {}
    for file in files:
        if file.white is None:
            by_kind.setdefault(file.kind, []).append(file)
    white: dict[str, int] = {}
    notes: list[str] = []
    doubts: list[str] = []
    for kind, several in sorted(by_kind.items()):
        largest = max(several, key=lambda file: file.high)
        if kind == "16-bit colour":
            _check_colours(largest)
        elif levels is not None and (kind != "8-bit" or levels <= 255):
            if largest.high > levels:
                raise ValueError(
                    f"{largest.path} has the level {largest.high:.6g}, which is larger than levels="
                    f"{levels} (--levels {levels} in a command)"
                )
            white[kind] = levels
            notes.append(f"levels: white is {levels:,} in {kind} files, as given")
        elif kind == "8-bit":
            if largest.high == 1:
                white[kind] = 1
                notes.append("levels: all bytes are 0 or 1, and are read as black and white")
            elif said := darkness(min(file.low for file in several), largest.high, 255):
                doubts.append(f"levels: the set of images {said}")
        else:
            white[kind] = _guess(kind, several, largest)
            said = (
                f"levels: the {kind} files have values from {min(file.low for file in several):.6g} to "
                f"{largest.high:.6g}, and white is taken to be {white[kind]:,}"
            )
            full = 1 if kind == "float" else 65535
            if white[kind] == full:
                notes.append(said)
            else:
                doubts.append(
                    f"{said}; if that is wrong, give levels= (--levels in a command), for example 65535"
                )
    return Ranges(white, tuple(notes), tuple(doubts))


def _guess(kind: str, files: list[Levels], largest: Levels) -> int:
    high = largest.high
    if kind == "float" and high <= 1:
        return 1
    if kind == "float" and high < 16 and not all(file.whole for file in files):
        raise ValueError(
            f"{largest.path} has floats up to {high:.6g}; scale the images to [0, 1], or give the level "
            "of white by levels= (--levels in a command)"
        )
    if kind == "16-bit" and (high == 0 or all(file.stretched or not file.high for file in files)):
        return 65535
    for bits in BIT_DEPTHS:
        if high <= 2**bits - 1:
            return 2**bits - 1 if high else 255
    raise ValueError(
        f"{largest.path} has levels up to {high:.6g}, which do not fit into 16 bits; give the level of "
        "white by levels= (--levels in a command)"
    )


def _check_colours(largest: Levels) -> None:
    if largest.high < 64:
        raise ValueError(
            f"{largest.path} has 16-bit colours with levels below {256 * (int(largest.high) + 1)}, of which "
            "only the upper 8 bits can be read; convert the files to 8-bit colours"
        )


def to_bytes(raw: np.ndarray, white: int, *, inverted: bool = False) -> np.ndarray:
    """Scales levels from 0 to white to bytes, rounded.

    Args:
      raw: the levels.
      white: the level of white.
      inverted: whether white is 0 and black is `white`.

    Returns:
      bytes, of the same shape.

    Examples:
      >>> to_bytes(np.array([0, 2048, 4095]), 4095).tolist()
      [0, 128, 255]
    """
    levels = np.asarray(raw, np.float64)
    if inverted:
        levels = white - levels
    return np.clip(np.round(levels * (255 / white)), 0, 255).astype(np.uint8)
