"""Reading images from array files: `.npy` and `.npz`."""

import warnings
import zipfile
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np

from jaxae.data.archives import (
    ATTRIBUTES,
    array_names,
    check_memory,
    declared_size,
    find_roles,
    in_words,
    read_arrays,
)
from jaxae.data.conversion import Arrays, from_splits, row_decoder
from jaxae.data.images import Images, resize
from jaxae.data.layouts import Channels, channels_last, check_channels
from jaxae.data.levels import check_levels, scale
from jaxae.data.messages import DataWarning, first_line
from jaxae.data.streams import Stream, should_stream


def from_file(
    path: Path,
    image_size: int | None,
    *,
    channels: Channels | None = None,
    levels: int | None = None,
) -> Images:
    """Reads an array file that is not divided into splits; see :func:`read_splits`.

    Raises:
      ValueError: as :func:`read_splits`, or if the file has several splits.
    """
    splits = read_splits(path, image_size, channels=channels, levels=levels)
    if len(splits) > 1:
        raise ValueError(
            f"{path} has the splits {', '.join(splits)}, and one array of images is needed"
        )
    return splits["train"]


def read_splits(
    path: Path,
    image_size: int | None,
    *,
    channels: Channels | None = None,
    levels: int | None = None,
) -> dict[str, Images]:
    """Reads an `.npy` file of images, or an `.npz` file with images, labels and splits.

    An `.npz` file has the array `images` and possibly `labels`, and `attributes`, `[n, a]`, with
    `attribute_names`, `[a]`; or the arrays of its splits, such as `x_train`, `y_train`, `x_test` and
    `y_test`, or `train_images`, `train_labels`, `val_images` and so on.

    Args:
      path: of the file.
      image_size: as in :func:`jaxae.load`.
      channels: as in :func:`jaxae.load`.
      levels: as in :func:`jaxae.load`.

    Returns:
      :class:`Images` of each split; `train` if there are no splits.

    Raises:
      ValueError: if the file cannot be read, does not fit the memory, or its arrays do not fit together.
    """
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    try:
        splits, notes = _read(path)
    except Exception as error:  # numpy raises many types: of zipfile, zlib, struct, its own parser
        raise ValueError(f"{path} cannot be read: {first_line(error)}") from error
    found = from_splits(splits, str(path), image_size, channels, levels)
    train = found["train"]
    return found | {"train": train._replace(notes=(*notes, *train.notes))}


def _read(path: Path) -> tuple[dict[str, Arrays], list[str]]:
    with open(path, "rb") as file:
        if not zipfile.is_zipfile(file):
            file.seek(0)
            size = declared_size(file)
            check_memory(_checked_size(size, path.stat().st_size - file.tell()))
            file.seek(0)
            images = np.lib.format.read_array(file, allow_pickle=False)
            return {"train": Arrays(images, None, {}, str(path))}, []
    with zipfile.ZipFile(path) as archive:
        names = array_names(archive)
        roles = find_roles(names)
        present = [name for name in ATTRIBUTES if name in names]
        if len(present) == 1:
            raise ValueError("it needs both 'attributes' and 'attribute_names', or neither")
        wanted = [*roles.images.values(), *roles.labels.values(), *present]
        arrays = read_arrays(archive, wanted)
    columns = {}
    if present:
        attributes, attribute_names = arrays["attributes"], arrays["attribute_names"]
        if attributes.shape[1:] != attribute_names.shape:
            raise ValueError(
                f"'attributes' has shape {attributes.shape} and 'attribute_names' "
                f"{attribute_names.shape}; each image needs a value for each name"
            )
        if len(roles.images) > 1:
            raise ValueError("it has splits, and 'attributes' of images without splits")
        columns = dict(zip(map(str, attribute_names), attributes.T, strict=True))
    notes = []
    if roles.rest:
        left_out = (
            f"{path}: {', '.join(roles.rest)} ignored, because only images and labels are read"
        )
        notes.append(left_out)
        if any(name.isidentifier() for name in roles.rest):
            warnings.warn(left_out, DataWarning, stacklevel=4)
    if set(roles.images.values()) != {"images"}:
        parts = [*roles.images.values(), *roles.labels.values()]
        notes.append(f"read from the arrays {', '.join(parts)}")
    splits = {}
    for split, name in roles.images.items():
        labels = arrays[roles.labels[split]] if split in roles.labels else None
        refer = str(path) if name == "images" else f"the array {name} of {path}"
        splits[split] = Arrays(arrays[name], labels, columns, refer)
    return splits, notes


def _checked_size(size: int, available: int) -> int:
    if size > available:
        raise ValueError(
            f"it should have {in_words(size)} of values, but it has {in_words(max(available, 0))}"
        )
    return size


class _MappedRows:
    """The rows of a memory-mapped `.npy` file; a process that it is sent to maps the file again."""

    def __init__(self, path: Path):
        self._path = path
        if zipfile.is_zipfile(path):
            raise ValueError("it is an archive, not an array")
        with open(path, "rb") as file:
            size = _checked_size(declared_size(file), path.stat().st_size - file.tell())
        # An empty array cannot be mapped.
        self.rows = np.load(path, mmap_mode="r" if size else None, allow_pickle=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_MappedRows, (self._path,))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> np.ndarray:
        return self.rows[i]


def from_mapped(
    path: Path,
    image_size: int | None,
    stream: bool | None,
    *,
    channels: Channels | None = None,
    levels: int | None = None,
) -> Images | None:
    """Streams the images of an `.npy` file of integers or booleans.

    Args:
      path: of the file.
      image_size: as in :func:`jaxae.load`.
      stream: as in :func:`jaxae.load`.
      channels: as in :func:`jaxae.load`.
      levels: as in :func:`jaxae.load`.

    Returns:
      :class:`Images` with a stream, or None if the file should be read into memory.

    Raises:
      ValueError: if the images should be streamed, and this file cannot be.
    """
    if stream is False or not path.is_file():
        return None
    if path.suffix.lower() == ".npz":
        if stream:
            raise ValueError(
                f"{path} is an archive and cannot be streamed; save the images as an .npy file of bytes"
            )
        return None
    check_channels(channels)
    check_levels(levels)
    try:
        source = _MappedRows(path)
    except Exception as error:  # as in read_splits
        raise ValueError(f"{path} cannot be read: {first_line(error)}") from error
    rows = source.rows
    floats = np.issubdtype(rows.dtype, np.floating)
    if not should_stream(stream, (*rows.shape, rows.dtype.itemsize)) or (stream is None and floats):
        return None
    # What cannot be read at all is refused with the words that it has in memory.
    first, white, notes = row_decoder(rows, str(path), channels, levels)
    if floats:
        raise ValueError(
            f"{path} has {rows.dtype} of shape {rows.shape} and cannot be streamed; only bytes (uint8) "
            "and other integers can: save round(255 x) as bytes"
        )
    decode = partial(_decode_row, image_size=image_size, white=white, first=first)
    return Images(cast(np.ndarray, Stream(source, decode, name=str(path))), notes=notes)


def _decode_row(
    row: np.ndarray, *, image_size: int | None, white: float, first: bool
) -> np.ndarray:
    image = scale(channels_last(row[None], first), white)[0]
    return image if image_size is None else resize(image, image_size)
