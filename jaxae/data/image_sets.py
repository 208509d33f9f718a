"""Sets of image files: read in threads into an array, or as a stream, in one range and one colour space."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from jaxae.data.image_files import Content, Header, read_content, read_header, read_image
from jaxae.data.images import resize
from jaxae.data.messages import SIZE_HINT, describe_shape
from jaxae.data.ranges import DARK, Levels, Ranges, decide
from jaxae.data.streams import Stream, should_stream

SMALL_FILE = 32 * 1024
"""Size in bytes below which more threads cost more time than they save."""

T = TypeVar("T")


class FileSet(NamedTuple):
    """Image files that have been opened, and not been scaled yet.

    Attributes:
      name: how error messages refer to the set.
      paths: of the files.
      headers: of the files.
      levels: of all images.
      contents: of the files, or None if they are streamed.
      frames: which images of a file are read, "first" or "all".
      image_size: as in :func:`jaxae.load`.
    """

    name: str
    paths: Sequence[Path]
    headers: list[Header]
    levels: list[Levels]
    contents: list[Content] | None
    frames: str
    image_size: int | None

    @property
    def counts(self) -> np.ndarray:
        """Numbers of images that are read from each file."""
        if self.frames == "first":
            return np.ones(len(self.paths), int)
        return np.array([header.frames for header in self.headers])

    @property
    def channels(self) -> int:
        """Three if one of the images is in colour, otherwise one."""
        shapes = [header.shape for header in self.headers]
        if self.contents is not None:
            shapes += [image.shape for content in self.contents for image in content.images]
        return max(shape[-1] for shape in shapes)


def check_reading(frames: Any, levels: Any) -> None:
    """Raises a `ValueError` if the options of reading image files are out of range."""
    if frames not in ("first", "all"):
        raise ValueError(f"frames must be 'first' or 'all', got {frames!r}")
    is_whole = isinstance(levels, int | np.integer) and not isinstance(levels, bool)
    if levels is not None and not (is_whole and levels >= 1):
        raise ValueError(f"levels must be a positive integer, got {levels!r}")


def look_at(
    name: str,
    paths: Sequence[Path],
    *,
    image_size: int | None = None,
    stream: bool | None = False,
    frames: str = "first",
) -> FileSet:
    """Opens image files: reads them into memory, or only their headers, for a stream.

    Args:
      name: how error messages refer to the set.
      paths: of the files.
      image_size: as in :func:`jaxae.load`.
      stream: as in :func:`jaxae.load`.
      frames: which images of a file are read, "first" or "all".

    Returns:
      :class:`FileSet`.

    Raises:
      ValueError: if a file cannot be read.
    """
    every = frames == "all"
    if stream is not False:
        first = read_image(paths[0])
        shape = first.shape if image_size is None else (image_size, image_size, first.shape[-1])
        headers = None
        if stream or every:
            headers = in_threads(partial(read_header, every_frame=every), paths)
        count = sum(header.frames for header in headers) if headers and every else len(paths)
        if should_stream(stream, (count, *shape)):
            headers = _with_channels(headers or in_threads(read_header, paths), every)
            levels = _streamed_levels(paths, headers, every)
            return FileSet(name, paths, headers, levels, None, frames, image_size)
    read = partial(read_content, every_frame=every, ranges=Ranges(), image_size=image_size)
    contents = in_threads(read, paths)
    levels = [measured for content in contents for measured in content.levels]
    headers = [content.header for content in contents]
    return FileSet(name, paths, headers, levels, contents, frames, image_size)


def _with_channels(headers: list[Header], every: bool) -> list[Header]:
    """Reads pixels where only they tell whether an image is grey, until one is found in colour."""
    read = partial(read_content, every_frame=every, ranges=Ranges())
    if any(header.shape[-1] == 3 and not header.open for header in headers):
        return headers
    found = list(headers)
    for i, header in enumerate(headers):
        if header.open:
            found[i] = read(header.path).header._replace(transparent=header.transparent)
            if found[i].shape[-1] == 3:
                break
    return found


def _streamed_levels(paths: Sequence[Path], headers: list[Header], every: bool) -> list[Levels]:
    """8-bit files are read until one shows that their range is that of bytes; of the others, all are."""
    read = partial(read_content, every_frame=every, ranges=Ranges(), image_size=1)
    deep = [header.path for header in headers if header.deep]
    levels = [each for content in in_threads(read, deep) for each in content.levels]
    for header in headers:
        if not header.deep:
            levels += (found := read(header.path).levels)
            if max(each.high for each in found) >= DARK * 255:
                break
    return levels


def decide_ranges(sets: Sequence[FileSet], levels: int | None) -> Ranges:
    """The levels of white, over all files of all sets, as in :func:`decide`."""
    return decide(chain.from_iterable(files.levels for files in sets), levels)


def finish(files: FileSet, ranges: Ranges, channels: int) -> Any:
    """The images of files that :func:`look_at` has opened.

    Args:
      files: from :func:`look_at`.
      ranges: the levels of white.
      channels: one or three.

    Returns:
      `[n, h, w, channels]`, bytes, or a :class:`Stream` of them.

    Raises:
      ValueError: if two images have different sizes; it names both files.
    """
    shape = (files.image_size, files.image_size) if files.image_size else files.headers[0].shape[:2]
    if files.contents is None:
        for header in files.headers:
            if files.image_size is None and header.shape[:2] != shape:
                raise ValueError(_sizes(files.paths[0], shape, header.path, header.shape, channels))
        items = [
            (path, frame)
            for path, count in zip(files.paths, files.counts, strict=True)
            for frame in range(count)
        ]
        decode = partial(
            _decode,
            ranges=ranges,
            channels=channels,
            image_size=files.image_size,
            first=(files.paths[0], shape),
        )
        return Stream(items, decode, name=files.name)
    again = [
        i
        for i, content in enumerate(files.contents)
        if len(content.images) < len(content.levels)
        or any(ranges.white.get(each.kind, 255) != 255 for each in content.levels)
    ]
    read = partial(
        read_content,
        every_frame=files.frames == "all",
        ranges=ranges,
        image_size=files.image_size,
    )
    contents = list(files.contents)
    for i, content in zip(again, in_threads(read, [files.paths[i] for i in again]), strict=True):
        contents[i] = content
    total = sum(len(content.images) for content in contents)
    images = np.empty((total, *contents[0].images[0].shape[:2], channels), np.uint8)
    position = 0
    for path, content in zip(files.paths, contents, strict=True):
        for image in content.images:
            if image.shape[:2] != images.shape[1:3]:
                first = images.shape[1:]
                raise ValueError(_sizes(files.paths[0], first, path, image.shape, channels))
            images[position] = image
            position += 1
    return images


def _sizes(first: Path, expected: Any, path: Path, found: Any, channels: int) -> str:
    return (
        f"{first} is {describe_shape((*expected[:2], channels))} and {path} is "
        f"{describe_shape((*found[:2], channels))}; {SIZE_HINT}"
    )


def _decode(
    item: tuple[Path, int],
    *,
    ranges: Ranges,
    channels: int,
    image_size: int | None,
    first: tuple[Path, tuple[int, ...]],
) -> np.ndarray:
    path, frame = item
    image = read_image(path, frame, ranges)
    if image_size is not None:
        image = resize(image, image_size)
    elif image.shape[:2] != first[1]:
        raise ValueError(_sizes(*first, path, image.shape, channels))
    return np.broadcast_to(image, (*image.shape[:2], channels))


def in_threads(function: Callable[[Path], T], paths: Sequence[Path]) -> list[T]:
    """Applies a function to files in threads, and returns the results in order."""
    sizes = [os.path.getsize(path) for path in paths[:: 1 + len(paths) // 16] if path.exists()]
    # For small files most of the time is Python's, which one thread runs at a time: tasks of many files
    # and few threads, just enough to wait for a slow disk, save the switching.
    small = bool(sizes) and float(np.median(sizes)) < SMALL_FILE
    step = 64 if small else 4
    tasks = [paths[i : i + step] for i in range(0, len(paths), step)]
    with ThreadPoolExecutor(4 if small else None) as pool:
        done = pool.map(lambda task: [function(path) for path in task], tasks)
        return [result for part in done for result in part]
