"""Arrays of images of any layout and range as :class:`Images`."""

import warnings
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from jaxae.data.images import Images, resize
from jaxae.data.labels import number_labels
from jaxae.data.layouts import Channels, channels_first, channels_last, check_channels
from jaxae.data.levels import check_levels, find_white, scale
from jaxae.data.messages import DataWarning
from jaxae.data.ranges import uneven


class Arrays(NamedTuple):
    """The arrays of a split before they are converted.

    Attributes:
      images: `[n, h, w]`, `[n, h, w, c]` or `[n, c, h, w]`.
      labels: `[n]`, `[n, 1]` or one-hot, or None.
      attributes: `{name: [n]}`.
      name: how error messages refer to the images.
    """

    images: np.ndarray
    labels: np.ndarray | None
    attributes: Mapping[str, np.ndarray]
    name: str


def from_arrays(
    images: np.ndarray,
    labels: np.ndarray | None = None,
    attributes: Mapping[str, np.ndarray] = MappingProxyType({}),
    *,
    name: str = "the array",
    image_size: int | None = None,
    channels: Channels | None = None,
    levels: int | None = None,
) -> Images:
    """Checks an array of images and converts it to `[n, h, w, c]`, bytes or float32.

    Booleans, and integers that are all 0 or 1, become black (0) and white (255). Integers of other types
    than bytes, and floats that are whole numbers, are read where their range is certain: up to 255 or up
    to 65,535, with values in the upper half. The labels are numbered 0, 1, ..., and the notes say what
    was decided.

    Args:
      images: `[n, h, w]`, `[n, h, w, c]` or `[n, c, h, w]`; bytes, booleans, floats in [0, 1], or others
        as above.
      labels: `[n]`, `[n, 1]` or one-hot `[n, k]`, numbers or text; -1 marks an unknown class. Or None.
      attributes: `{name: [n]}`, booleans or 0 and 1.
      name: how error messages refer to the array.
      image_size: if given, the central square of each image is resized to this height and width.
      channels: "first" for `[n, c, h, w]`, "last" for `[n, h, w, c]`; needed where the shape can be read
        in both ways.
      levels: the value of white, if it is not that of the type: 4095 for 12 bits.

    Returns:
      :class:`Images`.

    Raises:
      ValueError: if the array is empty, has another shape or type, has values out of range, or can be
        read in several ways, or if the labels or attributes do not match the images.

    Examples:
      >>> from_arrays(np.zeros((5, 3, 4), bool)).images.shape
      (5, 3, 4, 1)
      >>> data = from_arrays(np.zeros((2, 3, 8, 8)), np.array(["cat", "ant"]), channels="first")
      >>> data.images.shape, data.labels.tolist(), data.classes
      ((2, 8, 8, 3), [1, 0], ('ant', 'cat'))
    """
    arrays = Arrays(np.asarray(images), labels, attributes, name)
    found = from_splits({"train": arrays}, name, image_size, channels, levels)
    return found["train"]


def from_splits(
    splits: Mapping[str, Arrays],
    name: str,
    image_size: int | None = None,
    channels: Channels | None = None,
    levels: int | None = None,
) -> dict[str, Images]:
    """Converts the arrays of several splits, all with one layout, one range and one numbering of classes.

    Args:
      splits: by name.
      name: how error messages refer to all of them.
      image_size: as in :func:`from_arrays`.
      channels: as in :func:`from_arrays`.
      levels: as in :func:`from_arrays`.

    Returns:
      :class:`Images` of each split; the split `train` has the notes.

    Raises:
      ValueError: as :func:`from_arrays`, or if the arrays differ in type.
    """
    check_channels(channels)
    check_levels(levels)
    parts = {}
    for split, arrays in splits.items():
        first = channels_first(arrays.images.shape, arrays.name, channels)
        parts[split] = channels_last(arrays.images, first)
    types = {split: arrays.images.dtype.newbyteorder("=") for split, arrays in splits.items()}
    if len(set(types.values())) > 1:
        listed = " and ".join(f"{splits[s].name} has type {t}" for s, t in types.items())
        raise ValueError(f"{listed}; save the images of all splits in one type")
    refer = next(iter(splits.values())).name if len(splits) == 1 else name
    white, note, warning = find_white(list(parts.values()), refer, levels)
    doubts = [warning] if warning else []
    largest = {split: float(part.max()) for split, part in parts.items() if len(parts) > 1}
    doubts += [f"{name}: {text}" for text in uneven(largest, white)]
    for text in doubts:
        warnings.warn(text, DataWarning, stacklevel=3)
    for split, arrays in splits.items():
        _check_columns(arrays, len(parts[split]))
    labels, classes, said = number_labels({s: a.labels for s, a in splits.items()}, refer)
    notes = [note] if note else []
    if any(arrays.images.ndim == 4 for arrays in splits.values()) and channels == "first":
        notes.append("the second axis was read as the channels")
    shapes = [arrays.images.shape for arrays in splits.values()]
    if len(shapes[0]) == 3 and shapes[0][0] in (3, 4):
        notes.append(f"shape {shapes[0]} was read as {shapes[0][0]} grey images")
    if (count := next(iter(parts.values())).shape[-1]) not in (1, 3):
        notes.append(f"images of {count} channels")
    converted = {}
    for split, arrays in splits.items():
        # Resized before it is rounded to bytes would be more exact, and take eight times the memory.
        images = scale(parts[split], white)
        if image_size is not None:
            images = np.stack([resize(image, image_size) for image in images])
        attributes = {key: values.astype(bool) for key, values in arrays.attributes.items()}
        converted[split] = Images(images, labels[split], attributes, classes)
    converted["train"] = converted["train"]._replace(notes=(*notes, *said, *doubts))
    return converted


def _check_columns(arrays: Arrays, n: int) -> None:
    labels, name = arrays.labels, arrays.name
    if labels is not None and (labels.ndim not in (1, 2) or len(labels) != n):
        raise ValueError(f"{name} has {n} images, but labels of shape {labels.shape}")
    for attribute, values in arrays.attributes.items():
        if values.shape != (n,):
            raise ValueError(
                f"{name} has {n} images, but the attribute {attribute} has shape {values.shape}"
            )
        if not np.isin(values, (0, 1)).all():
            raise ValueError(
                f"{name}: the attribute {attribute} has values other than 0 or 1; an image has an "
                "attribute (1) or not (0)"
            )


def row_decoder(
    array: np.ndarray, name: str, channels: Any, levels: int | None
) -> tuple[bool, float, tuple[str, ...]]:
    """How the rows of a memory-mapped array are decoded: whether channels are first, white, and notes."""
    first = channels_first(array.shape, name, channels)
    white, note, warning = find_white([array], name, levels)
    if warning:
        warnings.warn(warning, DataWarning, stacklevel=3)
    return first, white, tuple(text for text in (note, warning) if text)
