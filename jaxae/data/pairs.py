"""Pairs of images, for models from one kind of image to another."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxae.data.array_files import from_file
from jaxae.data.images import Images
from jaxae.data.loading import check_image_size, set_aside
from jaxae.data.messages import SIZE_HINT, describe_shape
from jaxae.data.reading import find_images, read_images


class Pairs(NamedTuple):
    """Pairs of images: what a network sees, and what it should make of it.

    A model is trained on them as `jaxae.Batch(pairs.targets, seen=pairs.inputs)`.

    Attributes:
      inputs: what the network sees, `[n, h, w, c]`.
      targets: what it should produce, `[n, h, w, c']`.
    """

    inputs: np.ndarray
    targets: np.ndarray


class PairSplits(NamedTuple):
    """Three sets of pairs that have no pair in common.

    Attributes:
      train: to train on.
      validation: to select a model by.
      test: to report results on.
    """

    train: Pairs
    validation: Pairs
    test: Pairs


def load_pairs(
    inputs: str | os.PathLike[str],
    targets: str | os.PathLike[str],
    *,
    image_size: int | None = None,
) -> PairSplits:
    """Loads pairs of images and divides them into training, validation and test sets.

    A tenth of the pairs is the test set, and a tenth of the rest the validation set. The division is
    random, and the same every time.

    Args:
      inputs: a folder of images, or an `.npy` or `.npz` file as in :func:`load`.
      targets: likewise. In two folders, files with the same name (suffixes may differ) are a pair; in
        two arrays, images with the same index.
      image_size: if given, the central square of each image is resized to this height and width.

    Returns:
      :class:`PairSplits`.

    Raises:
      ValueError: if an image has no counterpart, or inputs and targets differ in number, height or
        width.

    Examples:
      >>> import tempfile
      >>> import jaxae
      >>> file = Path(tempfile.mkdtemp()) / "day.npy"
      >>> np.save(file, np.zeros((30, 8, 8, 3), np.uint8))
      >>> pairs = load_pairs(file, file)
      >>> [len(split.inputs) for split in pairs]
      [24, 3, 3]
      >>> batch = jaxae.Batch(pairs.train.targets, seen=pairs.train.inputs)
    """
    check_image_size(image_size)
    paths = [Path(os.fspath(path)).expanduser() for path in (inputs, targets)]
    rest: list[Images] = [Images(part) for part in read_pairs(paths[0], paths[1], image_size)]
    aside = []
    for purpose in ("test", "validation"):
        # Without labels the division depends on the number of images only, so pairs stay pairs.
        divided = [set_aside(part, 0.1, paths[0], purpose) for part in rest]
        rest = [kept for kept, _ in divided]
        aside.append(Pairs(divided[0][1].images, divided[1][1].images))
    return PairSplits(Pairs(rest[0].images, rest[1].images), aside[1], aside[0])


def read_pairs(inputs: Path, targets: Path, image_size: int | None) -> Pairs:
    """Reads pairs of images from two folders with the same file names, or from two array files.

    Args:
      inputs: a folder, or an `.npy` or `.npz` file.
      targets: likewise; names of files may differ in their suffix.
      image_size: as in :func:`jaxae.load`.

    Returns:
      :class:`Pairs`, in the order of the file names or of the arrays.

    Raises:
      ValueError: as :func:`load_pairs`.
    """
    if inputs.is_dir() and targets.is_dir():
        x, y = _read_two_folders(inputs, targets, image_size)
    else:
        for path in (inputs, targets):
            if not path.exists():
                raise ValueError(f"there is no folder or file {path}")
            if path.suffix.lower() not in (".npy", ".npz"):
                raise ValueError(
                    f"{path} is not an .npy or .npz file; pairs come from two folders or two such files"
                )
        x, y = (from_file(path, image_size).images for path in (inputs, targets))
    if len(x) != len(y):
        raise ValueError(
            f"{inputs} has {len(x)} images and {targets} has {len(y)}; each input needs one target"
        )
    if x.shape[1:3] != y.shape[1:3]:
        raise ValueError(
            f"{inputs} has images of {describe_shape(x.shape[1:])} and {targets} of "
            f"{describe_shape(y.shape[1:])}; {SIZE_HINT}"
        )
    return Pairs(x, y)


def _read_two_folders(
    inputs: Path, targets: Path, image_size: int | None
) -> tuple[np.ndarray, np.ndarray]:
    folders = (inputs, targets)
    by_name: list[dict[Path, Path]] = []
    for folder in folders:
        paths: dict[Path, Path] = {}
        for path in find_images(folder):
            name = path.relative_to(folder).with_suffix("")
            if name in paths:
                raise ValueError(
                    f"{folder} has two images of the same name, {paths[name].name} and {path.name}; "
                    "remove one of them"
                )
            paths[name] = path
        by_name.append(paths)
    for i, other in enumerate((targets, inputs)):
        if missing := sorted(by_name[i].keys() - by_name[1 - i].keys()):
            raise ValueError(
                f"{by_name[i][missing[0]]} has no counterpart in {other} ({len(missing)} have none); "
                "both folders need the same file names"
            )
    x, y = (
        read_images(folder, [paths[name] for name in sorted(paths)], [], image_size).images
        for folder, paths in zip(folders, by_name, strict=True)
    )
    return x, y
