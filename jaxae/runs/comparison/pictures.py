"""Samples of several runs, and their reconstructions of the same test images, as PNG strips."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from PIL import Image

from jaxae.arrays import as_float
from jaxae.runs.comparison.grouping import Group
from jaxae.runs.figures import GAP, displayable
from jaxae.runs.loading import TrainedRun, load_run
from jaxae.runs.scores import TEST_SEED, spread

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


def strips(groups: Sequence[Group], seed: int = 0) -> tuple[list[Strip], dict[int, int]]:
    """Rows of test images, of their reconstructions and of samples, by one run of each group.

    A run that cannot be loaded has a row that says why.

    Args:
      groups: the runs.
      seed: of the samples.

    Returns:
      the rows, and the number of parameters of each group whose run was loaded, by index.
    """
    counts: dict[int, int] = {}
    decoded: dict[str, list[Strip]] = {}  # by the test images
    failed: list[Strip] = []
    samples: list[Strip] = []
    for i, g in enumerate(groups):
        entry = g.first
        try:
            run = load_run(entry.directory, entry.folders[0] or None)
        except ValueError as error:
            failed.append(Strip(RECONSTRUCTIONS, i, note=_short(error, entry.directory)))
            continue
        counts[i] = sum(leaf.size for leaf in jax.tree.leaves(run.params))
        try:
            x, y, seen = _reconstructed(run)
            truth, made = strip_png(x), strip_png(y)
        except (ValueError, OSError, TypeError) as error:
            failed.append(Strip(RECONSTRUCTIONS, i, note=_short(error, entry.directory)))
        else:
            name = f"test images of {Path(run.inputs.dataset).name}"
            rows = decoded.setdefault(truth, [Strip(RECONSTRUCTIONS, None, name, truth)])
            if seen is not None:
                rows.append(Strip(RECONSTRUCTIONS, i, "what the encoder sees", strip_png(seen)))
            rows.append(Strip(RECONSTRUCTIONS, i, png=made))
        if run.model.model.prior is None:
            samples.append(Strip(SAMPLES, i, note="no prior to draw codes from"))
            continue
        try:
            samples.append(Strip(SAMPLES, i, png=strip_png(run.sample(SHOWN, seed=seed))))
        except (ValueError, TypeError) as error:
            samples.append(Strip(SAMPLES, i, note=_short(error, entry.directory)))
    shown = [*(strip for rows in decoded.values() for strip in rows), *failed, *samples]
    return shown, counts


def _reconstructed(run: TrainedRun) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Test images, their reconstructions, and what the encoder sees if that is something else."""
    if run.use["task"] == "translate":
        raise ValueError(
            "it makes one kind of image from another, and its test pairs are not loaded"
        )
    images = run.load_data().test.images
    x = np.asarray(as_float(run.inputs.check(images[spread(len(images), SHOWN)])))
    corrupt = run.model.corruption
    if corrupt is None or run.use["task"] == "reconstruct":
        return x, run.reconstruct(x), None
    seen = np.asarray(corrupt(jax.random.key(TEST_SEED), jax.numpy.asarray(x)))
    shown = np.clip(seen[..., : x.shape[-1]], 0, 1)
    return x, run.reconstruct(seen), shown


def _short(error: Exception, directory: Any) -> str:
    """The message without the folder, which the row names already."""
    return " ".join(str(error).replace(f"{directory}/", "").replace(f"{directory} ", "").split())


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
