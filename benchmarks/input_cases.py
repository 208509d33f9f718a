"""The cases of :mod:`benchmarks.inputs`: what they write, and the expected outcome."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

SIDE, PER_CLASS = 8, 12


class Truth(NamedTuple):
    """What was written, known without reading the files.

    Attributes:
      groups: images of each class (`class:NAME`), split (`split:NAME`) or all (`all`), as bytes.
      shape: of an image.
      tolerance: of mean grey levels, for formats that lose some.
    """

    groups: dict[str, np.ndarray]
    shape: tuple[int, ...] = (SIDE, SIDE, 1)
    tolerance: float = 0.6


class Expected(NamedTuple):
    """The expected outcome of a case: the right data, a message, or both.

    Attributes:
      flags: of the command, such as `--dataset`.
      truth: the right data, or None if nothing can be read from these files.
      words: that must be printed (on standard error, or in the line that describes the data).
      both: whether the data must be right **and** the words be printed; otherwise either is enough.
    """

    flags: tuple[str, ...]
    truth: Truth | None = None
    words: tuple[str, ...] = ()
    both: bool = False


Case = Callable[[Path], Expected]
"""Writes files into a folder, which is the working directory of the command."""


def pictures(count: int, channels: int = 0, seed: int = 0, side: int = SIDE) -> np.ndarray:
    """Random bytes, `[count, side, side(, channels)]`, brightest in one corner and in one channel.

    A transposition, an inversion or another order of the axes changes :func:`statistics`.
    """
    shape = (count, side, side, max(channels, 1))
    x = np.random.default_rng(seed).integers(0, 120, shape)
    x[:, : side // 2, : side // 4] += 60
    x[..., 0] += 70
    x[0, 0, 0, 0], x[0, 0, 0, -1] = 255, 0
    x = x.clip(0, 255).astype(np.uint8)
    return x if channels else x[..., 0]


def by_class(names: Sequence[Any], channels: int = 0) -> dict[str, np.ndarray]:
    """Images of each class; each class has its own grey level and number of images."""
    return {
        f"class:{name}": np.maximum(pictures(PER_CLASS + i, channels, i), np.uint8(9 * i))
        for i, name in enumerate(names)
    }


def statistics(images: np.ndarray) -> list[float]:
    """Number of images, mean grey level, and that of a corner of the first channel, which is brighter."""
    levels = np.asarray(images, np.float64)
    if images.dtype != np.uint8:
        levels = 255 * levels
    if levels.ndim == 3:
        levels = levels[..., None]
    side = levels.shape[1]
    corner = levels[:, : side // 2, : side // 4, 0]
    return [float(len(levels)), float(levels.mean()), float(corner.mean())]


def problem(expected: Expected, found: dict[str, Any] | None, said: str) -> str:
    """What is wrong with the outcome of a case, after its kind; empty if it is correct or reported.

    Args:
      expected: the expected outcome.
      found: what the command read, or None if it stopped.
      said: everything that it printed, with the description of the data.
    """
    if "Traceback" in said:
        return f"traceback: {said.strip().splitlines()[-1][:150]}"
    missing = [word for word in expected.words if word.lower() not in said.lower()]
    wrong = difference(expected.truth, found)
    spoken = bool(expected.words) and not missing
    if expected.both:
        if not wrong and spoken:
            return ""
    elif (expected.truth is not None and not wrong) or spoken:
        return ""
    about = wrong or f"nothing says {' and '.join(map(repr, missing))}"
    if found is None:
        return f"refused: {about}; {' '.join(said.split())[:300]}"
    return f"silent: {about}"


def difference(truth: Truth | None, found: dict[str, Any] | None) -> str:
    """Where the data that were read differ from what was written; empty if they do not."""
    if found is None:
        return "nothing was read"
    if truth is None:
        return f"{found['groups'].get('all')} were read from files that cannot be read"
    if tuple(found["shape"]) != truth.shape:
        return f"images of {tuple(found['shape'])}, written were {truth.shape}"
    classes = [name for name in truth.groups if name.startswith("class:")]
    if classes and (names := [n for n in found["groups"] if n.startswith("class:")]) != classes:
        return f"classes {names}, written were {classes}"
    for name, images in truth.groups.items():
        right, read = statistics(images), found["groups"].get(name)
        if read is None or read[0] != right[0]:
            return f"{name}: {read and int(read[0])} images, written were {int(right[0])}"
        if max(abs(a - b) for a, b in zip(read[1:], right[1:], strict=True)) > truth.tolerance:
            return f"{name}: mean levels {read[1:]}, written were {right[1:]}"
    return ""
