"""Splits of tfds data sets as arrays: decoded once, and memory-mapped from then on."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from jaxae.data.datasets.builders import attribute_features, label_feature
from jaxae.data.images import Images, chunks, resize
from jaxae.data.messages import SIZE_HINT
from jaxae.runtime.cache import cache_dir

RECORDS = 1024
"""Number of records that are read at once."""


def decoded(builder: Any, split: str, key: str, image_size: int | None) -> Images:
    """A split in memory-mapped arrays, which are written when it is first asked for.

    Args:
      builder: of a prepared data set.
      split: a split that it has.
      key: of the feature that is the image.
      image_size: as in :func:`jaxae.load`.

    Returns:
      :class:`Images`.

    Raises:
      ValueError: if its images have several sizes or are not bytes, or there are none.
    """
    files = sorted(Path(builder.data_path).glob(f"*-{split}.*")) + [
        Path(builder.data_path) / "dataset_info.json"
    ]
    state = repr([(f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files])
    version = (
        f"{state} {key} {image_size}{' with attributes' if attribute_features(builder) else ''}"
    )
    stamp = hashlib.sha256(version.encode()).hexdigest()[:12]
    beside = Path(builder.data_path) / f"jaxae-{split}-{stamp}"
    elsewhere = cache_dir() / "decoded" / f"{builder.name}-{split}-{stamp}"
    for folder in (beside, elsewhere):
        if (cached := _open_cache(folder)) is not None:
            return cached
    folder = beside if os.access(builder.data_path, os.W_OK) else elsewhere
    try:
        _write_cache(folder, builder, split, key, image_size)
    except ValueError as error:
        raise ValueError(f"{builder.name}: {error}") from error
    cached = _open_cache(folder)
    if cached is None:
        raise ValueError(f"{builder.name}: {folder} was written and cannot be read back")
    return cached


def read_columns(source: Any, builder: Any) -> tuple[np.ndarray | None, dict[str, np.ndarray]]:
    """The labels (or None) and the attributes of all records, `[n]` each."""
    reader = _Columns(builder)
    if reader:
        for records in batched(source):
            reader.add(records)
    return reader.labels, reader.attributes


class _Columns:
    """Labels and attributes, collected from records; false if the data set has neither."""

    def __init__(self, builder: Any):
        self._label = label_feature(builder)
        self._feature, names = attribute_features(builder) or ("", [])
        self._labels: list[int] = []
        self._attributes: dict[str, list[bool]] = {name: [] for name in names}

    def __bool__(self) -> bool:
        return self._label is not None or bool(self._attributes)

    def add(self, records: Sequence[Any]) -> None:
        if self._label is not None:
            self._labels += [int(record[self._label]) for record in records]
        for name, values in self._attributes.items():
            values += [bool(record[self._feature][name]) for record in records]

    @property
    def labels(self) -> np.ndarray | None:
        return None if self._label is None else np.array(self._labels)

    @property
    def attributes(self) -> dict[str, np.ndarray]:
        return {name: np.array(values) for name, values in self._attributes.items()}


def _open_cache(folder: Path) -> Images | None:
    try:
        images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
        has_labels = (folder / "labels.npy").exists()
        labels = np.load(folder / "labels.npy", allow_pickle=False) if has_labels else None
        attributes = {}
        if (folder / "attributes.npz").exists():
            with np.load(folder / "attributes.npz", allow_pickle=False) as file:
                attributes = dict(file)
    except (OSError, ValueError, BadZipFile):
        return None
    return Images(images, labels, attributes)


def _write_cache(folder: Path, builder: Any, split: str, key: str, image_size: int | None) -> None:
    source = builder.as_data_source(split=split)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder.parent))
    try:
        columns = _write_arrays(temporary, builder, source, split, key, image_size)
        if columns.labels is not None:
            np.save(temporary / "labels.npy", columns.labels)
        if columns.attributes:
            arrays: dict[str, Any] = columns.attributes
            np.savez(temporary / "attributes.npz", **arrays)
        if _open_cache(folder) is not None:  # another process was first
            return
        shutil.rmtree(folder, ignore_errors=True)  # if it exists, it is damaged
        try:
            os.replace(temporary, folder)
        except OSError:
            if _open_cache(folder) is None:
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_arrays(
    folder: Path, builder: Any, source: Any, split: str, key: str, image_size: int | None
) -> _Columns:
    """Writes `images.npy` and returns the other columns."""
    images: np.memmap | None = None
    columns = _Columns(builder)
    start = 0
    for records in batched(source):
        part = [np.asarray(record[key]) for record in records]
        if image_size is not None:
            part = [resize(image, image_size) for image in part]
        shape = part[0].shape if images is None else images.shape[1:]
        for image in part:
            if image.shape != shape:
                raise ValueError(f"its images have several sizes; {SIZE_HINT}")
            if image.dtype != np.uint8:
                raise ValueError(f"its images are {image.dtype}; only bytes (uint8) are read")
        if images is None:
            path = folder / "images.npy"
            images = np.lib.format.open_memmap(path, "w+", np.uint8, (len(source), *shape))
        images[start : start + len(part)] = part
        start += len(part)
        columns.add(records)
    if images is None:
        raise ValueError(f"its split {split!r} is empty")
    if max(int(chunk.max()) for chunk in chunks(images)) == 1:
        for chunk in chunks(images):  # black and white, such as binarized_mnist
            chunk *= 255
    images.flush()
    return columns


def batched(source: Any) -> Iterator[Sequence[Any]]:
    """The records of a tfds data source, up to 1,024 at a time."""
    return (
        source.__getitems__(range(i, min(i + RECORDS, len(source))))
        for i in range(0, len(source), RECORDS)
    )
