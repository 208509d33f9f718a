"""The classes of images: labels of any kind, numbered 0, 1, ..., with their names kept."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxae.data.messages import DataWarning
from jaxae.data.naming import class_name, natural_order, unseen, written_alike

UNLABELLED = -1
"""The label of an image whose class is not known."""

MISSING = {"nan", "none", "null", "<na>", "n/a"}
"""What libraries of tables write for a cell that is empty."""


def number_labels(
    labels: Mapping[str, np.ndarray | None], name: str
) -> tuple[dict[str, np.ndarray | None], tuple[str, ...], list[str]]:
    """Numbers the classes of all splits alike: 0, 1, ..., in the order of their values.

    Numbers 0, 1, ... without gaps stay as they are. Others (from 1, with gaps, negative, beyond 32
    bits), booleans, floats that are whole numbers, text, and one-hot rows are numbered, and their values
    are the names. The label -1 stays -1, for an image without a label, unless the values are -1 and 1 or
    there are other negative ones; empty text is such a label too. Spaces around text are dropped.

    Args:
      labels: of each split, `[n]`, `[n, 1]` or one-hot `[n, k]`; None for a split without.
      name: how error messages refer to the data.

    Returns:
      the numbers, `[n]` each; the names of the classes, empty if they are the numbers; notes. The
      numbers are None if no image has a label.

    Warns:
      DataWarning: if a class has no training images, or two names are written alike.

    Raises:
      ValueError: if labels are fractions, NaN, several for an image, or of another type.

    Examples:
      >>> number_labels({"train": np.array([10, 2, 10])}, "it")[:2]
      ({'train': array([1, 0, 1])}, ('2', '10'))
    """
    given = {split: _flat(part, name) for split, part in labels.items() if part is not None}
    if not given:
        return dict(labels), (), []
    kinds = {"text" if part.dtype.kind in "US" else "numbers" for part in given.values()}
    if len(kinds) > 1:
        raise ValueError(
            f"{name} has labels that are text in one split and numbers in another; save both as one type"
        )
    values, inverse = {}, {}
    for split, part in given.items():
        found, inverse[split] = np.unique(part, return_inverse=True)
        values[split] = [_value(v, name) for v in found]
    distinct = set().union(*values.values())
    notes = []
    negative = {v for v in distinct if not isinstance(v, str) and v < 0}
    unlabelled = negative == {UNLABELLED} and distinct != {-1, 1}
    if unlabelled:
        distinct.remove(UNLABELLED)
        if not distinct:
            return dict.fromkeys(labels), (), ["no image has a label: all labels are -1 or empty"]
    is_text = "text" in kinds
    classes: list[Any] = natural_order(map(str, distinct)) if is_text else sorted(distinct)
    number = {value: i for i, value in enumerate(classes)} | (
        {UNLABELLED: UNLABELLED} if unlabelled else {}
    )
    numbered = {
        split: np.array([number[v] for v in values[split]], np.int64)[inverse[split].reshape(-1)]
        for split in given
    }
    if unlabelled:
        count = sum(int((part == UNLABELLED).sum()) for part in numbered.values())
        notes.append(f"{count} images have no label ({'empty text' if is_text else '-1'})")
    doubts = written_alike(classes) if is_text else []
    if missing := [value for value in classes if is_text and value.lower() in MISSING]:
        doubts.append(
            f"{missing[0]!r} is read as the name of a class; if these images have no label, save empty text"
        )
    doubts += unseen(
        {split: {str(v) for v in part if v in distinct} for split, part in values.items()}
    )
    for text in doubts:
        warnings.warn(f"{name}: {text}", DataWarning, stacklevel=4)
    names = tuple(map(str, classes))
    if names == tuple(map(str, range(len(names)))):
        names = ()
    elif not is_text:
        notes.append(f"labels from {names[0]} to {names[-1]} were numbered from 0")
    notes.append(f"{len(classes)} class{'es' * (len(classes) != 1)}{_some(names)}")
    return {split: numbered.get(split) for split in labels}, names, [*notes, *doubts]


def _some(names: tuple[str, ...], most: int = 12) -> str:
    if not names:
        return ""
    shown = ", ".join(names[:most])
    return f": {shown}{', ...' if len(names) > most else ''}"


def _flat(labels: np.ndarray, name: str) -> np.ndarray:
    """Labels as `[n]`, of integers, whole floats or text."""
    labels = np.asarray(labels)
    if labels.dtype == object and labels.size and all(isinstance(v, str) for v in labels.flat):
        labels = labels.astype(str)
    kind = labels.dtype.kind
    if kind not in "biufUS":
        raise ValueError(f"{name} has labels of type {labels.dtype}; save numbers or text")
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    elif labels.ndim == 2 and kind in "biuf":
        if not (np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all()):
            raise ValueError(
                f"{name} has labels of shape {labels.shape} that are not one-hot (a single 1 in each "
                "row); save the number of the class, [n], or several properties of an image as "
                "'attributes' with 'attribute_names'"
            )
        labels = labels.argmax(axis=1)
    if labels.ndim != 1:
        raise ValueError(
            f"{name} has labels of shape {labels.shape}; give one label for each image, [n]"
        )
    if kind == "f":
        if not np.isfinite(labels).all():
            raise ValueError(
                f"{name} has labels that are NaN or infinite; -1 marks an unknown class"
            )
        if not (labels == np.rint(labels)).all():
            raise ValueError(
                f"{name} has labels that are fractions, such as {labels[labels != np.rint(labels)][0]}; "
                "labels are numbers or names of classes"
            )
    return labels


def _value(value: Any, name: str) -> int | str:
    """A label as a number without a limit of size, or as text."""
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError:
            raise ValueError(f"{name} has labels that are bytes, but not UTF-8 text") from None
    if not isinstance(value, str):
        return int(value)
    # Columns of fixed width and tables leave spaces around a name, or nothing but spaces.
    return class_name(value.strip()) or UNLABELLED
