"""Samples of several runs, and their reconstructions of the same test images, as PNG strips."""

import base64
import io
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from jaxae.runs.comparison import Group
from jaxae.runs.figures import GAP, displayable

SHOWN = 10
"""Images in a strip."""
LARGEST = 96
"""Larger images are made smaller, to so many pixels along the longer side."""

RECONSTRUCTIONS, SAMPLES = "Reconstructions of the same test images", "Samples"


class Strip(NamedTuple):
    """A row of images.

    Attributes:
      heading: of the rows that belong together.
      group: the index of the group of runs; None for the data.
      name: of the row, in place of the flags of the group.
      png: base64; empty if there is no picture.
      note: why there is no picture, or what is special about it.
    """

    heading: str
    group: int | None
    name: str = ""
    png: str = ""
    note: str = ""


def strips(groups: Sequence[Group], load: Callable[..., Any]) -> Iterator[Strip]:
    """Rows of test images, of their reconstructions and of samples, one run of each group.

    Args:
      groups: the runs.
      load: :func:`jaxae.load_run`.

    Yields:
      the rows, one after the other, in the order in which they are computed.
    """
    raise NotImplementedError


def strip_png(images: np.ndarray) -> str:
    """One PNG of several images side by side, with transparent gaps, in base64.

    Args:
      images: `[n, h, w, c]`, bytes or floats in [0, 1].
    """
    shown = np.round(255 * displayable(images)).astype(np.uint8)
    n, h, w, _ = shown.shape
    if max(h, w) > LARGEST:
        scale = LARGEST / max(h, w)
        size = max(1, round(w * scale)), max(1, round(h * scale))
        shown = np.stack([np.asarray(Image.fromarray(image).resize(size)) for image in shown])
        n, h, w, _ = shown.shape
    gap = max(1, round(GAP * w))
    picture = np.zeros((h, SHOWN * (w + gap) - gap, 4), np.uint8)
    for i, image in enumerate(shown[:SHOWN]):
        left = i * (w + gap)
        picture[:, left : left + w, :3] = image
        picture[:, left : left + w, 3] = 255
    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()
