"""Pairs of images, for models from one kind of image to another."""

import os
import warnings
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from jaxae.data.array_files import from_file
from jaxae.data.folders import about_files, about_left_out
from jaxae.data.image_sets import check_reading, decide_ranges, finish, look_at
from jaxae.data.images import Images
from jaxae.data.layouts import Channels, check_channels
from jaxae.data.listing import list_folder, no_images
from jaxae.data.loading import check_image_size, refuse, set_aside
from jaxae.data.messages import SIZE_HINT, DataWarning, describe_shape
from jaxae.data.split_folders import divide


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
    channels: Channels | None = None,
    frames: Literal["first", "all"] = "first",
    levels: int | None = None,
) -> PairSplits:
    """Loads pairs of images, divided into training, validation and test sets.

    Two folders may have subfolders for the splits, as in :func:`load`. Otherwise a tenth of the pairs is
    the test set, and a tenth of the rest the validation set. This division is random, and the same every
    time.

    Args:
      inputs: a folder of images, or an `.npy` or `.npz` file as in :func:`load`.
      targets: likewise. In two folders, files with the same name (suffixes may differ) are a pair; in
        two arrays, images with the same index.
      image_size: if given, the central square of each image is resized to this height and width.
      channels: of array files, as in :func:`load`.
      frames: of image files that hold several images (TIFF stacks, animations), the "first" or "all".
      levels: the value of white, as in :func:`load`. By default it is decided from all files of both
        folders together, and from each of two arrays.

    Returns:
      :class:`PairSplits`.

    Warns:
      DataWarning: if some of the data are left out, or on how they were read.

    Raises:
      ValueError: if an image has no counterpart, or inputs and targets differ in number, height or
        width; if an option does not apply to folders or to array files.

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
    check_reading(frames, levels)
    check_channels(channels)
    paths = [Path(os.fspath(path)).expanduser() for path in (inputs, targets)]
    found = read_pairs(
        paths[0], paths[1], image_size, channels=channels, frames=frames, levels=levels
    )
    train = found["train"]
    aside = {}
    for purpose in ("test", "validation"):
        if purpose in found:
            aside[purpose] = found[purpose]
            continue
        # Without labels the division depends on the number of images only, so pairs stay pairs.
        divided = [set_aside(Images(part), 0.1, paths[0], purpose) for part in train]
        train = Pairs(*(kept.images for kept, _ in divided))
        aside[purpose] = Pairs(*(chosen.images for _, chosen in divided))
    return PairSplits(train, aside["validation"], aside["test"])


def read_pairs(
    inputs: Path,
    targets: Path,
    image_size: int | None,
    *,
    channels: Channels | None = None,
    frames: str = "first",
    levels: int | None = None,
) -> dict[str, Pairs]:
    """Reads pairs of images from two folders with the same file names, or from two array files.

    Args:
      inputs: a folder, or an `.npy` or `.npz` file.
      targets: likewise; names of files may differ in their suffix.
      image_size: as in :func:`jaxae.load`.
      channels: as in :func:`load_pairs`.
      frames: as in :func:`load_pairs`.
      levels: as in :func:`load_pairs`.

    Returns:
      the splits that the folders have; if they have none, everything is in `train`. Pairs are in the
      order of the file names or of the arrays.

    Raises:
      ValueError: as :func:`load_pairs`.
    """
    if inputs.is_dir() and targets.is_dir():
        refuse(f"{inputs} and {targets} are folders", channels=channels)
        return _read_two_folders(inputs, targets, image_size, frames, levels)
    for path in (inputs, targets):
        if not path.exists():
            raise ValueError(f"there is no folder or file {path}")
        if path.suffix.lower() not in (".npy", ".npz"):
            raise ValueError(
                f"{path} is not an .npy or .npz file; pairs come from two folders or two such files"
            )
    refuse(f"{inputs} and {targets} are array files", frames=frames)
    found = [
        from_file(path, image_size, channels=channels, levels=levels) for path in (inputs, targets)
    ]
    for path, data in zip((inputs, targets), found, strict=True):
        for note in data.notes:
            # What was left out has been said already, with the path.
            if not note.startswith(str(path)):
                warnings.warn(f"{path}: {note}", DataWarning, stacklevel=3)
    x, y = (data.images for data in found)
    if len(x) != len(y):
        raise ValueError(
            f"{inputs} has {len(x)} images and {targets} has {len(y)}; each input needs one target"
        )
    _check_same_size(inputs, targets, x.shape, y.shape)
    return {"train": Pairs(x, y)}


def _check_same_size(inputs: Path, targets: Path, x: tuple[int, ...], y: tuple[int, ...]) -> None:
    if x[1:3] != y[1:3]:
        raise ValueError(
            f"{inputs} has images of {describe_shape(x[1:])} and {targets} of "
            f"{describe_shape(y[1:])}; {SIZE_HINT}"
        )


def _read_two_folders(
    inputs: Path, targets: Path, image_size: int | None, frames: str, levels: int | None
) -> dict[str, Pairs]:
    folders = (inputs, targets)
    divisions = [_list_split_folder(folder) for folder in folders]
    splits = [list(division) for division in divisions]
    if set(splits[0]) != set(splits[1]):
        raise ValueError(
            f"{inputs} has the splits {', '.join(sorted(splits[0]))} and {targets} has "
            f"{', '.join(sorted(splits[1]))}; both folders need the same"
        )
    looked_at = {}
    for split in splits[0]:
        names = _matched_names(folders, [division[split] for division in divisions])
        both = [
            look_at(
                str(folder),
                [division[split][name] for name in names],
                image_size=image_size,
                frames=frames,
            )
            for folder, division in zip(folders, divisions, strict=True)
        ]
        for i in np.flatnonzero(both[0].counts != both[1].counts)[:1]:
            raise ValueError(
                f"{both[0].paths[i]} holds {both[0].counts[i]} images and {both[1].paths[i]} holds "
                f"{both[1].counts[i]}; each input needs one target"
            )
        looked_at[split] = both
    every = [files for both in looked_at.values() for files in both]
    ranges = decide_ranges(every, levels)
    for text in about_files(every, ranges):
        warnings.warn(f"{inputs} and {targets}: {text}", DataWarning, stacklevel=3)
    channels = [max(both[side].channels for both in looked_at.values()) for side in (0, 1)]
    pairs = {}
    for split, both in looked_at.items():
        x, y = (finish(files, ranges, c) for files, c in zip(both, channels, strict=True))
        _check_same_size(inputs, targets, x.shape, y.shape)
        pairs[split] = Pairs(x, y)
    return pairs


def _list_split_folder(folder: Path) -> dict[str, dict[Path, Path]]:
    """The files of each split, by the path that a file must share with its counterpart."""
    listing = list_folder(folder)
    if not listing.images:
        raise ValueError(no_images(folder, listing))
    division = divide(folder, listing.images)
    for text in [*about_left_out(listing, division), *division.doubts]:
        warnings.warn(f"{folder}: {text}", DataWarning, stacklevel=4)
    splits: dict[str, dict[Path, Path]] = {}
    for split, items in division.splits.items():
        paths = splits.setdefault(split, {})
        for item in items:
            name = Path(*item.folders, item.path.stem)
            if name in paths:
                raise ValueError(
                    f"{folder} has two images of the same name, {paths[name].name} and "
                    f"{item.path.name}; remove one of them"
                )
            paths[name] = item.path
    return splits


def _matched_names(folders: tuple[Path, Path], files: list[dict[Path, Path]]) -> list[Path]:
    """The names that both folders have, in the order of the first."""
    for i, other in enumerate(reversed(folders)):
        if missing := [name for name in files[i] if name not in files[1 - i]]:
            raise ValueError(
                f"{files[i][missing[0]]} has no counterpart in {other} ({len(missing)} have none); "
                "both folders need the same file names"
            )
    return list(files[0])
