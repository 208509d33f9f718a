"""Loading a data set by name, folder or file, and dividing it into training, validation and test sets."""

import difflib
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxae.data.array_files import from_file, from_mapped
from jaxae.data.folders import from_folder
from jaxae.data.images import Images
from jaxae.data.messages import SIZE_HINT, describe_shape

EMBEDDED = ("mnist5k", "digits")
"""Names of the data sets that need no download."""

MAX_SET_ASIDE = 20_000
"""Largest number of images that are set aside for validation or test: more are not more precise."""


class Splits(NamedTuple):
    """Three sets of images that have no image in common.

    Attributes:
      train: to train on.
      validation: to select a model by; empty for a validation fraction of zero.
      test: to report results on.
    """

    train: Images
    validation: Images
    test: Images


def load(
    name: str | os.PathLike[str],
    *,
    data_dir: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    validation_fraction: float = 0.1,
    stream: bool | None = False,
) -> Splits:
    """Loads a data set, divided into training, validation and test sets.

    Splits that the data set has are kept. If it has no test set, a tenth of the training set becomes
    one; if it has no validation set, a fraction of the training set becomes one; each has at most
    20,000 images. The division is random but the same every time, and each class is divided in the
    same proportion.

    Args:
      name: one of

        - `mnist5k` or `digits`, which need no download;
        - the name of any tfds data set with images;
        - a folder of images, which may have the subfolders `train`, `validation` and `test`, and
          below these a subfolder for each class;
        - an `.npy` file of images, `[n, h, w]` or `[n, h, w, c]`, bytes or floats in [0, 1];
        - an `.npz` file with such an array `images`, and optionally `labels`, `[n]`, and
          `attributes`, `[n, a]`, 0 or 1, together with `attribute_names`, `[a]`.
      data_dir: the folder of tfds data sets; by default `TFDS_DATA_DIR` or `~/tensorflow_datasets`.
      image_size: if given, the central square of each image is resized to this height and width.
      validation_fraction: of the training set, if the data set has no validation set.
      stream: whether the training images are a :class:`Stream`, which is read and decoded during
        training; possible for tfds data sets, folders and `.npy` files of bytes. None: only if the
        images would take more than half of the free memory.

    Returns:
      :class:`Splits`, whose images are `[n, h, w, c]`.

    Raises:
      ValueError: if there is no such data set, or it cannot be read; the message says what to change
        or to install.

    Examples:
      >>> digits = load("digits")
      >>> digits.train.images.shape, digits.test.images.dtype
      ((1298, 8, 8, 1), dtype('uint8'))
    """
    check_image_size(image_size)
    if not 0 <= validation_fraction < 1:
        raise ValueError(f"the validation fraction must be in [0, 1), got {validation_fraction}")
    splits = _find(str(name), data_dir, image_size, stream)
    shape = splits["train"].images.shape[1:]
    for split, data in splits.items():
        if data.images.shape[1:] != shape:
            raise ValueError(
                f"{name} has train images of {describe_shape(shape)} and {split} images of "
                f"{describe_shape(data.images.shape[1:])}; {SIZE_HINT}"
            )
    train = splits["train"]
    test = splits.get("test")
    if test is None:
        train, test = set_aside(train, 0.1, name, "test")
    validation = splits.get("validation")
    if validation is None:
        train, validation = set_aside(train, validation_fraction, name, "validation")
    return Splits(train, validation, test)


def check_image_size(image_size: int | None) -> None:
    """Raises a `ValueError` if there is an image size and it is not positive."""
    if image_size is not None and image_size < 1:
        raise ValueError(f"the image size must be positive, got {image_size}")


def set_aside(data: Images, fraction: float, name: Any, purpose: str) -> tuple[Images, Images]:
    """Divides a set of images in two, each class in the same proportion, the same way every time.

    Args:
      data: the images.
      fraction: of the images to set aside: one image at least, 20,000 at most; none for zero.
      name: how an error message refers to the data.
      purpose: what the images are set aside for, for the error message.

    Returns:
      the rest, and what was set aside, which is in memory even if the data are streamed.

    Raises:
      ValueError: if no image would be left.
    """
    n = len(data.images)
    count = max(1, min(MAX_SET_ASIDE, round(fraction * n))) if fraction > 0 else 0
    if n - count < 1:
        raise ValueError(
            f"{name} has only {n} image{'s' * (n != 1)}: too few to set aside a {purpose} set"
        )
    random = np.random.default_rng(0).permutation(n)
    if data.labels is not None:
        # Sorted by relative rank within the class, so that any prefix is balanced.
        labels = data.labels[random]
        rank = np.empty(n)
        for value in np.unique(labels):
            members = np.flatnonzero(labels == value)
            rank[members] = (np.arange(len(members)) + 0.5) / len(members)
        random = random[np.argsort(rank, kind="stable")]
    aside, rest = random[:count], random[count:]
    chosen = data.take(np.sort(aside))
    # It is evaluated often, so it is read into memory.
    return data.take(np.sort(rest)), chosen._replace(images=chosen.images[:])


def _find(
    name: str, data_dir: Any, image_size: int | None, stream: bool | None
) -> dict[str, Images]:
    path = Path(name).expanduser()
    if path.suffix.lower() in (".npy", ".npz"):
        if (mapped := from_mapped(path, image_size, stream)) is not None:
            return {"train": mapped}
        return {"train": from_file(path, image_size)}
    # Imported here because it imports tfds, which takes seconds.
    from jaxae.data.datasets import builders, prepared

    names = builders.names()
    if name.split("/")[0].split(":")[0] in names:
        return prepared.read(name, data_dir, image_size, stream)
    if path.is_dir():
        return from_folder(path, image_size, stream)
    if path.exists():
        raise ValueError(f"{path} is neither a folder of images nor an .npy or .npz file")
    if os.sep in name:
        raise ValueError(f"there is no folder or file {path}")
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise ValueError(
        f"there is no data set {name!r}; {hint}{' and '.join(EMBEDDED)} need no download; otherwise "
        "give the name of a tfds image data set, a folder of images, or an .npy or .npz file"
    )
