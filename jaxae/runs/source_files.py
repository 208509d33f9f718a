"""Picture files as images of a run, in one range; what cannot be read is named."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxae.data import image_files
from jaxae.data.image_files import Content
from jaxae.data.listing import list_folder, no_images
from jaxae.data.messages import counted
from jaxae.data.ranges import Ranges, decide
from jaxae.data.split_folders import split_of
from jaxae.runs.inputs import Inputs


class File(NamedTuple):
    """A picture file, and its class, if its folder says so."""

    path: Path
    label: str = ""


def files_of(folder: Path, notes: list[str]) -> Iterator[File]:
    """The pictures in a folder and its subfolders; what is left out is added to the notes.

    Raises:
      ValueError: if there are none.
    """
    listing = list_folder(folder)
    if not listing.images:
        raise ValueError(no_images(folder, listing))
    if left_out := [str(part) for part in listing.left_out if not part.harmless]:
        notes.append(f"{folder}: left out: {', '.join(left_out)}")
    parts = {item.path: item.folders for item in listing.images}
    # The folders of splits are no classes, and neither is one that all pictures share.
    while all(parts.values()) and (
        len({names[0] for names in parts.values()}) == 1
        or all(split_of(names[0]) is not None for names in parts.values())
    ):
        parts = {path: names[1:] for path, names in parts.items()}
    return (File(path, names[0] if names else "") for path, names in parts.items())


def read_files(
    inputs: Inputs,
    files: Sequence[File],
    levels: int | None,
    notes: list[str],
    failed: list[str],
) -> list[tuple[np.ndarray | None, tuple[int, ...]]]:
    """Each picture as an image of the run, or None, and its own shape; large ones are not kept."""
    look = partial(_look, inputs)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(look, files))
    contents = [one[0] for one in found if isinstance(one, tuple)]
    measured = [each for content in contents for each in content.levels]
    ranges = decide(measured, levels)
    notes += [*ranges.notes, *ranges.doubts] if measured else []
    if clear := [content for content in contents if content.header.transparent]:
        notes.append(f"{counted(len(clear), 'picture')} with transparency, which is dropped")
    if stacks := [content for content in contents if content.header.frames > 1]:
        notes.append(
            f"{counted(len(stacks), 'file')} with several images: the first of each is read"
        )
    results: list[tuple[np.ndarray | None, tuple[int, ...]]] = []
    for file, one in zip(files, found, strict=True):
        if isinstance(one, str):
            failed.append(one)
            results.append((None, ()))
            continue
        content, image = one
        again = image is None or any(
            ranges.white.get(each.kind, 255) != 255 for each in content.levels
        )
        if again:
            image = _attempt(file.path, partial(_read_again, inputs, file.path, ranges))
        if isinstance(image, str):
            failed.append(image)
            results.append((None, ()))
        else:
            results.append((image, content.header.shape))
    return results


def _look(inputs: Inputs, file: File) -> tuple[Content, Any] | str:
    """A file without its pixels, and the image of the run, if its range is known already."""

    def read() -> tuple[Content, Any]:
        content = image_files.read_content(file.path, every_frame=False, ranges=Ranges())
        image = inputs.prepare([content.images[0]])[0] if content.images else None
        return content._replace(images=()), image

    return _attempt(file.path, read)


def _read_again(inputs: Inputs, path: Path, ranges: Ranges) -> np.ndarray:
    return inputs.prepare([image_files.read_image(path, 0, ranges)])[0]


def _attempt(path: Path, function: Callable[[], Any]) -> Any:
    """What a function returns, or its error in a line that names the file."""
    try:
        return function()
    except ValueError as error:
        said = " ".join(str(error).split())
        return said if str(path) in said else f"{path}: {said}"
