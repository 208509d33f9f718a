"""Reading images from array files: `.npy` and `.npz`."""

from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np

from jaxae.data.images import Images, chunks, from_arrays, resize
from jaxae.data.messages import first_line
from jaxae.data.streams import Stream, should_stream


def from_file(path: Path, image_size: int | None) -> Images:
    """Reads an `.npy` file of images, or an `.npz` file with the array `images`.

    An `.npz` file may also hold `labels`, `[n]`, and `attributes`, `[n, a]`, with `attribute_names`.

    Args:
      path: of the file.
      image_size: as in :func:`jaxae.load`.

    Returns:
      :class:`Images`.

    Raises:
      ValueError: if the file cannot be read or its arrays do not fit together.
    """
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    try:
        with open(path, "rb") as file:
            loaded = np.load(file, allow_pickle=False)
            labels = attributes = names = None
            if isinstance(loaded, np.ndarray):
                images = loaded
            elif "images" not in loaded:
                raise ValueError(f"it has no array 'images', only {', '.join(loaded) or 'nothing'}")
            else:
                images = loaded["images"]
                labels = loaded.get("labels")
                attributes, names = loaded.get("attributes"), loaded.get("attribute_names")
        present = [x for x in (images, labels, attributes, names) if x is not None]
        if not all(isinstance(array, np.ndarray) for array in present):
            raise ValueError("it holds members that are not arrays")
        if (attributes is None) != (names is None):
            raise ValueError("it needs both 'attributes' and 'attribute_names', or neither")
        columns = {}
        if attributes is not None and names is not None:
            if attributes.shape[1:] != names.shape:
                raise ValueError(
                    f"'attributes' has shape {attributes.shape} and 'attribute_names' {names.shape}; "
                    "each image needs a value for each name"
                )
            columns = dict(zip(map(str, names), attributes.T, strict=True))
    except Exception as error:  # numpy raises many types: of zipfile, zlib, struct, its own parser
        raise ValueError(f"{path} cannot be read: {first_line(error)}") from error
    return from_arrays(images, labels, columns, name=str(path), image_size=image_size)


class _MappedRows:
    """The rows of a memory-mapped `.npy` file; a process that it is sent to maps the file again."""

    def __init__(self, path: Path):
        self._path = path
        self.rows = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(self.rows, np.ndarray):
            raise ValueError("it is an archive, not an array")

    def __reduce__(self) -> tuple[Any, ...]:
        return (_MappedRows, (self._path,))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> np.ndarray:
        return self.rows[i]


def from_mapped(path: Path, image_size: int | None, stream: bool | None) -> Images | None:
    """Streams the images of an `.npy` file of bytes.

    Args:
      path: of the file.
      image_size: as in :func:`jaxae.load`.
      stream: as in :func:`jaxae.load`.

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
    try:
        source = _MappedRows(path)
    except Exception as error:  # as in from_file
        raise ValueError(f"{path} cannot be read: {first_line(error)}") from error
    if not should_stream(stream, source.rows.shape):
        return None
    if source.rows.dtype != np.uint8 or source.rows.ndim not in (3, 4):
        raise ValueError(
            f"{path} has {source.rows.dtype} of shape {source.rows.shape} and cannot be streamed; only "
            "bytes (uint8), [n, h, w] or [n, h, w, c], can"
        )
    # As in from_arrays: bytes that are all 0 or 1 are black and white.
    white = 255 if max(int(part.max()) for part in chunks(source.rows)) == 1 else 1
    decode = partial(_decode_row, image_size=image_size, white=white)
    return Images(cast(np.ndarray, Stream(source, decode, name=str(path))))


def _decode_row(row: np.ndarray, *, image_size: int | None, white: int) -> np.ndarray:
    image = (row if row.ndim == 3 else row[..., None]) * np.uint8(white)
    return image if image_size is None else resize(image, image_size)
