"""Archives of arrays (`.npz`): which array is which, and their size before they are unpacked."""

import re
import zipfile
from collections.abc import Iterable, Sequence
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from jaxae.data.streams import host_memory

IMAGE_WORDS = {"images", "image", "imgs", "img", "x", "data", "pixels"}
"""Words by which the name of an array says that it holds images."""

LABEL_WORDS = {"labels", "label", "y", "target", "targets", "class", "classes"}
"""Words by which the name of an array says that it holds labels."""

SPLIT_WORDS = {
    **dict.fromkeys(("train", "training", "tr"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "te"), "test"),
}
"""Words by which the name of an array says which split it belongs to."""

ATTRIBUTES = ("attributes", "attribute_names")
"""Names of the arrays of attributes."""


class Roles(NamedTuple):
    """The roles of the arrays in an archive.

    Attributes:
      images: name of the images of each split; the split is `train` if there is one only.
      labels: names of the labels.
      rest: names of all other arrays.
    """

    images: dict[str, str]
    labels: dict[str, str]
    rest: tuple[str, ...]


def find_roles(names: Sequence[str]) -> Roles:
    """Finds images and labels by the names of the arrays.

    Args:
      names: of all arrays in an archive.

    Returns:
      :class:`Roles`.

    Raises:
      ValueError: if no array, or more than one, can be the images of a split.

    Examples:
      >>> find_roles(["x_train", "y_train", "x_test", "y_test"])[:2]
      ({'train': 'x_train', 'test': 'x_test'}, {'train': 'y_train', 'test': 'y_test'})
      >>> find_roles(["X", "y"])[:2]
      ({'train': 'X'}, {'train': 'y'})
    """
    found: dict[str, dict[str | None, list[str]]] = {"images": {}, "labels": {}}
    for name in names:
        if (role := _role(name)) is not None:
            found[role[0]].setdefault(role[1], []).append(name)
    images, labels = found["images"], found["labels"]
    if not images and set(names) == {"arr_0"}:
        images = {None: ["arr_0"]}
    for several in (images, labels):
        for split, candidates in several.items():
            # The names that the documentation gives come first.
            for first in ("images", "labels"):
                if split is None and first in candidates:
                    several[split] = [first]
    advice = "name the arrays images and labels, or x_train, y_train, x_test and y_test (and x_val, y_val)"
    listed = ", ".join(names) or "nothing"
    if not images:
        raise ValueError(f"it has no array 'images', only {listed}; {advice}")
    for several in (images, labels):
        for candidates in several.values():
            if len(candidates) > 1:
                raise ValueError(
                    f"it is not clear which of {' and '.join(candidates)} to read; {advice}"
                )
    if len(images) > 1 and None in images:
        raise ValueError(f"it has images with and without the name of a split ({listed}); {advice}")
    if None not in images and "train" not in images:
        raise ValueError(f"it has no training images, only {listed}; {advice}")
    chosen = {split or "train": several[0] for split, several in images.items()}
    theirs = {
        (split or "train"): several[0] for split, several in labels.items() if split in images
    }
    used = {*chosen.values(), *theirs.values(), *ATTRIBUTES}
    return Roles(chosen, theirs, tuple(name for name in names if name not in used))


def _role(name: str) -> tuple[str, str | None] | None:
    """Whether an array holds images or labels, and of which split, by its name."""
    words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]
    if len(words) == 1 and (joined := re.fullmatch(r"([xy])([a-z]+)|([a-z]+)([xy])", words[0])):
        one, two, three, four = joined.groups()
        letter, split = (one, two) if one else (four, three)
        if split in SPLIT_WORDS:
            words = [letter, split]
    splits = [SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS]
    others = [word for word in words if word not in SPLIT_WORDS]
    if len(splits) > 1 or len(others) > 1 or "/" in name:
        return None
    split = splits[0] if splits else None
    if not others:
        return ("images", split) if split else None
    if others[0] in IMAGE_WORDS:
        return "images", split
    return ("labels", split) if others[0] in LABEL_WORDS else None


def array_names(archive: zipfile.ZipFile) -> list[str]:
    """Names of the arrays in an archive, without the suffix `.npy`."""
    return [name.removesuffix(".npy") for name in archive.namelist() if not name.endswith("/")]


def read_arrays(archive: zipfile.ZipFile, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Reads arrays, after their sizes have been compared with the archive and with the free memory.

    A few kilobytes may claim to unpack to any size.

    Raises:
      ValueError: if an array claims to be larger than it is, or all of them do not fit the memory.
    """
    total = 0
    members = {name: _member(archive, name) for name in names}
    for name, info in members.items():
        with archive.open(info) as file:
            size = declared_size(file)
            if size != info.file_size - file.tell():
                raise ValueError(
                    f"its array {name!r} should have {in_words(size)} but the archive holds "
                    f"{in_words(max(info.file_size - file.tell(), 0))} of it"
                )
        total += size
    check_memory(total)
    arrays = {}
    for name, info in members.items():
        with archive.open(info) as file:
            arrays[name] = np.lib.format.read_array(file, allow_pickle=False)
    return arrays


def _member(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    try:
        return archive.getinfo(f"{name}.npy")
    except KeyError:
        raise ValueError(f"it holds members that are not arrays: {name}") from None


def declared_size(file: BinaryIO | Any) -> int:
    """Number of bytes of the values of an array by its header, which is read.

    Raises:
      ValueError: if this is not the header of an array, or the array holds Python objects.
    """
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    # Version 3.0 is for the names of fields outside of Latin-1, and images have no fields.
    if read is None:
        raise ValueError(f"array files of version {version} are not supported")
    shape, _, dtype = read(file)
    if dtype.hasobject:
        raise ValueError(
            "it holds Python objects, as np.save writes where images differ in size; resize them to one "
            "size, or save each as an image file in a folder"
        )
    if any(n < 0 for n in shape):
        raise ValueError(f"its shape {shape} has a negative size")
    size = dtype.itemsize
    for n in shape:
        size *= n
    return size


def check_memory(size: int) -> None:
    """Raises a `ValueError` if arrays of this many bytes do not fit the free memory."""
    if size > (free := host_memory()):
        raise ValueError(
            f"it would take {in_words(size)} of memory, but {in_words(free)} are free; save fewer or "
            "smaller images, or bytes (uint8) in an .npy file, which is streamed"
        )


def in_words(size: int) -> str:
    """A number of bytes in words.

    Examples:
      >>> in_words(3 * 2**30), in_words(5)
      ('3.0 GiB', '5 bytes')
    """
    for unit, name in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB")):
        if size >= unit:
            return f"{size / unit:,.1f} {name}"
    return f"{size} bytes"
