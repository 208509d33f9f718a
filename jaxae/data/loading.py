"""Loading a data set by name, folder or file, and dividing it into training, validation and test sets."""

import difflib
import os
import warnings
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from jaxae.data.array_files import from_mapped, read_splits
from jaxae.data.folders import from_folder
from jaxae.data.images import Images
from jaxae.data.layouts import Channels, check_channels
from jaxae.data.levels import check_levels
from jaxae.data.messages import SIZE_HINT, DataWarning, describe_shape

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
    channels: Channels | None = None,
    frames: Literal["first", "all"] = "first",
    levels: int | None = None,
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
        - an `.npy` file of images, `[n, h, w]` or `[n, h, w, c]`, bytes or floats in [0, 1], or as in
          :func:`jaxae.data.from_arrays`;
        - an `.npz` file with such an array `images`, and optionally `labels`, `[n]`, and
          `attributes`, `[n, a]`, 0 or 1, together with `attribute_names`, `[a]`; or with arrays for its
          splits, such as `x_train`, `y_train`, `x_test` and `y_test`.
      data_dir: the folder of tfds data sets; by default `TFDS_DATA_DIR` or `~/tensorflow_datasets`.
      image_size: if given, the central square of each image is resized to this height and width.
      validation_fraction: of the training set, if the data set has no validation set.
      stream: whether the training images are a :class:`Stream`, which is read and decoded during
        training; possible for tfds data sets, folders and `.npy` files of integers. None: only if the
        images would take more than half of the free memory.
      channels: of array files, "first" for `[n, c, h, w]` and "last" for `[n, h, w, c]`; needed where
        the shape can be read in both ways.
      frames: of image files that hold several images (TIFF stacks, animations), the first or all.
      levels: the value of white in array files and image files, if it is not that of the type, such as
        4095 for 12 bits in uint16.

    Returns:
      :class:`Splits`, whose images are `[n, h, w, c]` and whose labels are numbered 0, 1, .... The notes
      of the training set say how the data were read.

    Warns:
      DataWarning: if some of the data are left out, or are read in a way that may not be meant.

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
    check_channels(channels)
    check_levels(levels)
    if frames not in ("first", "all"):
        raise ValueError(f'frames must be "first" or "all", got {frames!r}')
    is_path = isinstance(name, os.PathLike)
    if not is_path and not isinstance(name, str):
        raise ValueError(
            f"load takes a name or a path, not {type(name).__name__}; an array is checked and converted by "
            "jaxae.data.from_arrays(images, labels)"
        )
    name = os.fspath(name)
    path = _path(name, is_path)
    if path is None:
        what = f"{name} is a data set of tensorflow_datasets"
        refuse(what, channels=channels, frames=frames, levels=levels)
        # Imported here because it imports tfds, which takes seconds.
        from jaxae.data.datasets import prepared

        splits = prepared.read(name, data_dir, image_size, stream)
    elif path.suffix.lower() in (".npy", ".npz"):
        refuse(f"{name} is an array file", frames=frames)
        mapped = from_mapped(path, image_size, stream, channels=channels, levels=levels)
        splits = (
            {"train": mapped}
            if mapped is not None
            else read_splits(path, image_size, channels=channels, levels=levels)
        )
    else:
        refuse(f"{name} is a folder", channels=channels)
        splits = from_folder(path, image_size, stream, frames=frames, levels=levels)
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
    return Splits(train, validation._replace(notes=()), test._replace(notes=()))


def refuse(
    what: str,
    *,
    channels: Channels | None = None,
    frames: str = "first",
    levels: int | None = None,
) -> None:
    """Raises a `ValueError` for options that are given and do not apply to the data.

    `what` says what they are, as a clause.
    """
    for option, given, where in (
        ("channels", channels is not None, "array files"),
        ("frames", frames != "first", "folders"),
        ("levels", levels is not None, "array files and folders"),
    ):
        if given:
            raise ValueError(
                f"{option} (--{option} in a command) is for {where}, and {what}; leave it out"
            )


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
            f"{name} has only {n} training image{'s' * (n != 1)}: too few to set aside a {purpose} set"
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


def _path(name: str, is_path: bool) -> Path | None:
    """The file or folder that is meant, or None for a data set of tfds.

    A `Path`, a name with a separator that is not `DATA_SET/CONFIG`, and a name that no data set has are
    paths. A folder in the working directory that has the name of a data set gives a warning.
    """
    path = Path(name).expanduser()
    if path.suffix.lower() in (".npy", ".npz"):
        return path
    if is_path and path.is_dir():
        return path
    # Imported here because it imports tfds, which takes seconds.
    from jaxae.data.datasets import builders

    names = builders.names()
    first, _, rest = name.partition("/")
    is_data_set = first.split(":")[0] in names
    if path.is_dir():
        if not is_data_set:
            return path
        if rest and not builders.has_config(first.split(":")[0], rest.split(":")[0]):
            warnings.warn(
                f"{name} is read as the folder of this name, as the data set {first} has no configuration "
                f"{rest!r}",
                DataWarning,
                stacklevel=3,
            )
            return path
        if name.endswith("/"):
            return path
        warnings.warn(
            f"{name} is read as the data set of this name, not as the folder; for the folder, give "
            f"./{name}",
            DataWarning,
            stacklevel=3,
        )
    if is_data_set:
        return None
    if path.exists():
        raise ValueError(f"{path} is neither a folder of images nor an .npy or .npz file")
    if os.sep in name:
        raise ValueError(f"there is no folder or file {path}")
    near = difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise ValueError(
        f"there is no data set {name!r}; {hint}{' and '.join(EMBEDDED)} need no download; otherwise "
        "give the name of a tfds image data set, a folder of images, or an .npy or .npz file"
    )
