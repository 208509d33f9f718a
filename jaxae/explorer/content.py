"""What a page shows of a run: codes with their images, directions in latent space, draws of the prior."""

import base64
import io
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from jaxae.analysis.directions import partial_directions
from jaxae.arrays import as_float
from jaxae.data.images import Images
from jaxae.data.messages import DataWarning

POINTS = 1000
"""Test images that a page shows, at most."""
ATTRIBUTE_IMAGES = 5000
"""Test images from which the directions of attributes are computed, at most."""
LARGEST_CODE = 2048
"""Values of a code, at most."""
DRAWS = 200
"""Random codes that a page has."""
PNG_BYTES = 1_500_000
"""A sprite that is larger becomes a JPEG."""


class Content(NamedTuple):
    """What a page shows.

    Attributes:
      codes: `[n, d]`.
      images: `[n, h, w, c]`, bytes, those of the codes; None if the codes are draws.
      labels: the class of each, or None.
      classes: their names.
      directions: `{attribute: [d]}`.
      attributes: `{attribute: [n]}`, whether each image has it.
      draws: random codes, `[m, d]`.
      drawn_from: where the draws are from, in words.
      note: what is missing, in a sentence; empty if nothing is.
    """

    codes: np.ndarray
    images: np.ndarray | None
    labels: np.ndarray | None
    classes: tuple[str, ...]
    directions: dict[str, np.ndarray]
    attributes: dict[str, np.ndarray]
    draws: np.ndarray
    drawn_from: str
    note: str = ""


def gather(run: Any, data: Images | None, data_dir: str | Path | None = None) -> Content:
    """The content of a page on a trained run.

    Args:
      run: a trained run, see :func:`jaxae.load_run`.
      data: images with labels, attributes and classes; by default those of the run's own test set.
      data_dir: where that is.

    Raises:
      ValueError: if the codes of the run are no vectors, or there is nothing that a code could be
        drawn from.
    """
    note = ""
    if data is None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DataWarning)  # the training has said it
                splits = run.load_data(data_dir=data_dir)
            data = next(part for part in reversed(splits) if len(part.images))
        except (ValueError, OSError, StopIteration) as error:
            reason = " ".join(str(error).split())
            note = f"The data set was not found, so the page has no test images ({reason:.200})."
    prior = _prior_draws(run)
    codes, images, labels, directions, attributes = None, None, None, {}, {}
    classes = tuple(run.inputs.classes)
    if data is not None and encodes(run):
        codes, images, labels, directions, attributes = _of_images(run, data)
        classes = tuple(data.classes) or classes
    if codes is None:
        codes = prior if prior is not None else _around_mean(run)
    draws, drawn_from = (prior, "the prior") if prior is not None else (_normal(codes), "the codes")
    return Content(
        codes, images, labels, classes, directions, attributes, draws[:DRAWS], drawn_from, note
    )


def encodes(run: Any) -> bool:
    """Whether the model has an encoder."""
    return run.model.model.posterior is not None


def _prior_draws(run: Any) -> np.ndarray | None:
    """Draws from the prior; None if there is none, or only one for each class."""
    model = run.model.model
    if model.prior is None or model.conditional_prior:
        return None
    z, _ = model.prior(run.params, 500).draw(jax.random.key(0))
    if not isinstance(z, jax.Array) or z.ndim != 2:
        raise ValueError("the explorer needs codes that are vectors, and the prior draws others")
    return np.asarray(z, np.float32)


def _of_images(run: Any, data: Images) -> Any:
    chosen = np.unique(np.linspace(0, len(data.images) - 1, ATTRIBUTE_IMAGES).astype(int))
    if not data.attributes:
        chosen = np.unique(np.linspace(0, len(data.images) - 1, POINTS).astype(int))
    part = data.take(chosen)
    x = np.asarray(part.images[:])
    codes = run.encode(x)
    vectors = isinstance(codes, np.ndarray | jax.Array) and codes.ndim == 2
    if not vectors or codes.shape[1] > LARGEST_CODE:
        shapes = ", ".join(str(tuple(leaf.shape[1:])) for leaf in jax.tree.leaves(codes))
        raise ValueError(
            f"the explorer needs codes that are vectors of at most {LARGEST_CODE:,} values, and those of "
            f"this run have the shape {shapes}"
        )
    codes = np.asarray(codes, np.float32)
    if not np.isfinite(codes).all():
        raise ValueError("some codes of the test images are not finite")
    varying = {k: v.astype(bool) for k, v in part.attributes.items() if 0 < v.sum() < len(v)}
    directions: dict[str, np.ndarray] = {}
    if varying:
        found = partial_directions(jnp.asarray(codes), np.stack(list(varying.values()), axis=1))
        directions = dict(zip(varying, np.asarray(found), strict=True))
    shown = np.unique(np.linspace(0, len(x) - 1, POINTS).astype(int))
    labels = None if part.labels is None else np.asarray(part.labels)[shown]
    attributes = {name: has[shown] for name, has in varying.items()}
    return codes[shown], as_bytes(x[shown]), labels, directions, attributes


def _around_mean(run: Any) -> np.ndarray:
    if run.code_mean is None:
        raise ValueError(
            "the explorer needs codes: the data set of the run was not found, the model has no prior, and "
            "the run did not record the mean of its codes; give the folder of the data with --data-dir"
        )
    mean, std = np.asarray(run.code_mean), np.asarray(run.code_std)
    noise = np.random.default_rng(0).normal(size=(500, mean.size))
    return (mean.reshape(-1) + noise * std.reshape(-1)).astype(np.float32)


def _normal(codes: np.ndarray) -> np.ndarray:
    """Draws of a normal distribution with the mean and the covariance of codes."""
    generator = np.random.default_rng(0)
    centred = codes - codes.mean(axis=0)
    weights = generator.normal(size=(DRAWS, len(codes))) / math.sqrt(max(len(codes) - 1, 1))
    return (codes.mean(axis=0) + weights @ centred).astype(np.float32)


def as_bytes(images: np.ndarray) -> np.ndarray:
    """Images as bytes: those of floats are clipped to [0, 1].

    Examples:
      >>> as_bytes(np.array([-1.0, 0.5, 2.0])).tolist()
      [0, 128, 255]
    """
    if images.dtype == np.uint8:
        return images
    x = np.nan_to_num(np.asarray(as_float(images)))
    return np.floor(255 * np.clip(x, 0, 1) + 0.5).astype(np.uint8)


def principal_axes(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The mean of codes, their principal directions in rows, and the standard deviation along each.

    Examples:
      >>> mean, axes, spread = principal_axes(np.array([[1.0, 0.0], [1.0, 4.0], [1.0, 8.0]]))
      >>> mean.tolist(), abs(axes[0]).tolist(), spread.round(2).tolist()
      ([1.0, 4.0], [0.0, 1.0], [4.0, 0.0])
    """
    mean = codes.mean(axis=0, dtype=np.float64)
    centred = codes - mean
    covariance = centred.T @ centred / max(len(codes) - 1, 1)
    values, vectors = np.linalg.eigh(covariance)
    axes = vectors.T[::-1]
    largest = np.take_along_axis(axes, abs(axes).argmax(axis=1, keepdims=True), axis=1)
    return mean, axes * np.sign(largest), np.sqrt(np.maximum(values[::-1], 0))


def sprite(images: np.ndarray) -> tuple[str, int]:
    """All images in one, row by row, as a data URL; and the number of columns.

    Args:
      images: `[n, h, w, c]`, bytes, with one or three channels.
    """
    n, h, w, c = images.shape
    columns = math.ceil(math.sqrt(n * h / w))
    rows = math.ceil(n / columns)
    canvas = np.zeros((rows * columns, h, w, c), np.uint8)
    canvas[:n] = images
    canvas = canvas.reshape(rows, columns, h, w, c).swapaxes(1, 2).reshape(rows * h, columns * w, c)
    picture = Image.fromarray(canvas[..., 0] if c == 1 else canvas)
    data = _encoded(picture, "PNG", optimize=True)
    kind = "png"
    if len(data) > PNG_BYTES:
        kind, data = "jpeg", _encoded(picture, "JPEG", quality=88, subsampling=0)
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}", columns


def _encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def border_level(images: Sequence[Any] | np.ndarray) -> float:
    """The median of the pixels at the borders of images, in [0, 1]: the colour of their background."""
    x = np.asarray(images)
    border = np.concatenate([x[:, [0, -1]].ravel(), x[:, :, [0, -1]].ravel()])
    return float(np.median(border)) / 255
