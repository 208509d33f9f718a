"""Applying a function of images to picture files, folders of pictures, and arrays of images."""

import functools
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from jaxae.data import array_files, image_files
from jaxae.data.layouts import Channels
from jaxae.data.listing import list_folder, no_images
from jaxae.data.messages import counted
from jaxae.data.ranges import Ranges, decide
from jaxae.runs.inputs import Inputs
from jaxae.runs.notes import warnings_as_notes
from jaxae.runs.outputs import write_picture
from jaxae.runs.pictures import Paint, Track
from jaxae.runtime.files import atomic_write

ARRAYS = (".npy", ".npz")
"""Suffixes of the files that are read as arrays of images."""

NAMED = 20
"""The largest number of files that failed that an error names."""

CHUNK = 250
"""The number of images of an array that are converted together."""


class Picture(NamedTuple):
    """A picture, or several of one size.

    Attributes:
      images: `[n, h, w, c]`, bytes or floats in [0, 1].
      alpha: their opacity, `[n, h, w, 1]` in [0, 1]; None if it is not used.
      notes: what was left out or decided when the file was read.
    """

    images: np.ndarray
    alpha: np.ndarray | None
    notes: tuple[str, ...] = ()


def is_array(path: Path) -> bool:
    """Whether a file is read as an array of images."""
    return path.suffix.lower() in ARRAYS


def name_results(
    names: Iterable[str | Path], out: str | Path, result: str, *, overwrite: bool = False
) -> dict[Path, Path]:
    """The files that are read, and the file that is written for each, before anything is computed.

    Args:
      names: picture files, array files, and folders of pictures, which may have subfolders.
      out: the folder of the results. Its subfolders are those of the given folders. Within a folder that
        is given, it is not read.
      result: the end of the names of the results: `NAME-result.png`, or `NAME-result.npz` for an array.
      overwrite: whether files that exist are replaced.

    Raises:
      ValueError: if two results would have the same name, one exists (unless `overwrite`) or would replace
        one of the pictures, or a folder has no pictures.
    """
    out = Path(out).expanduser()
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file; --out is a folder")
    targets: dict[Path, Path] = {}
    by_target: dict[Path, Path] = {}
    for path, folder in _listed(names, out):
        ending = "npz" if is_array(path) else "png"
        target = out / folder / f"{path.stem}-{result}.{ending}"
        if (other := by_target.setdefault(target, path)) != path:
            raise ValueError(
                f"{other} and {path} would both be written to {target}; rename one of them, or do them one "
                "after the other with two folders --out"
            )
        targets[path] = target
    if not targets:
        raise ValueError(f"there are no pictures but those in {out}, which are results")
    sources = {path.resolve() for path in targets}
    for target in by_target:
        if target.resolve() in sources:
            raise ValueError(
                f"{target} is one of the pictures and would be replaced; use another --out"
            )
    existing = [target for target in by_target if target.exists()]
    if existing and not overwrite:
        more = f" (and {len(existing) - 1:,} more)" if len(existing) > 1 else ""
        raise ValueError(f"{existing[0]} exists already{more}; give another --out, or --overwrite")
    return targets


def apply(
    targets: Mapping[Path, Path],
    paint: Paint,
    inputs: Inputs,
    *,
    channels: Channels | None = None,
    levels: int | None = None,
    uses_alpha: bool = False,
    track: Track = iter,
    track_chunks: Track = iter,
) -> None:
    """Applies a function to picture files, and writes and prints each result.

    A picture that fails does not stop the others. No file is left half-written.

    Args:
      targets: from the files that are read to those that are written, see :func:`name_results`.
      paint: the function of pictures.
      inputs: how the images of the run were read: the level of white, and the layout of arrays whose
        shape is ambiguous.
      channels: the layout of arrays, if it is another one.
      levels: the level of white, if it is another one.
      uses_alpha: whether `paint` uses the alpha channel; if not, a note says that it is left out. The
        alpha channel of an array is its last channel.
      track: passes on the files, and may show how many are done.
      track_chunks: the same for the parts of an array.

    Raises:
      ValueError: at the end, if any picture failed, with the reason for each.
    """
    levels = inputs.levels if levels is None else levels
    for folder in {target.parent for target in targets.values()}:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"{folder} cannot be a folder: {error.strerror}") from error
    failed = []
    for path in track(list(targets)):
        try:
            if not path.exists():
                raise ValueError(f"there is no file or folder {path}")
            if is_array(path):
                picture = read_array(path, inputs, channels, levels, uses_alpha)
            else:
                picture = read_picture(path, levels, uses_alpha)
            for note in picture.notes:
                print(f"note: {note}", file=sys.stderr)
        except ValueError as error:
            failed.append(str(error))
            continue
        try:
            result = _in_chunks(paint, picture, track_chunks)
            _write(result if is_array(path) else result[0], targets[path])
            print(targets[path], flush=True)
        except (ValueError, OSError) as error:
            failed.append(f"{path}: {error}")
        except (MemoryError, jax.errors.JaxRuntimeError) as error:
            if not (isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)):
                raise
            failed.append(f"{path}: too large for the memory; make it smaller first")
    if failed:
        done = len(targets) - len(failed)
        more = f"; and {len(failed) - NAMED:,} more" if len(failed) > NAMED else ""
        raise ValueError(
            f"{done:,} of {counted(len(targets), 'file')} done; {'; '.join(failed[:NAMED])}{more}"
        )


def read_picture(path: Path, levels: int | None, uses_alpha: bool) -> Picture:
    """Reads the first image of a picture file, with this level of white if it is known.

    Raises:
      ValueError: if it cannot be read as an image, or nothing or everything is missing where that matters.
    """
    content = image_files.read_content(path, every_frame=False, ranges=Ranges())
    ranges = decide(content.levels, levels)
    images = content.images
    if not images or ranges.white:
        images = image_files.read_content(path, every_frame=False, ranges=ranges).images
    header, notes = content.header, []
    if header.frames > 1:
        notes.append(f"{path}: only the first of its {header.frames} images is used")
    if header.transparent and not uses_alpha:
        notes.append(f"{path}: its alpha channel is ignored")
    notes += [
        f"{path}: white is taken to be {white:,}, by its largest level"
        for kind, white in ranges.white.items()
        if levels is None and white not in (1, 255, 65535)
    ]
    if not uses_alpha:
        return Picture(images[0][None], None, tuple(notes))
    alpha = image_files.read_alpha(path)
    if alpha is None:
        alpha = np.ones((*images[0].shape[:2], 1), np.float32)
    return Picture(images[0][None], _checked_alpha(alpha[None], path), tuple(notes))


def read_array(
    path: Path,
    inputs: Inputs,
    channels: Channels | None,
    levels: int | None,
    uses_alpha: bool,
) -> Picture:
    """Reads an array file of images.

    Raises:
      ValueError: if it cannot be read, its layout is not clear, or as :func:`read_picture`.
    """
    with warnings_as_notes():
        load = functools.partial(array_files.from_file, path, None, levels=levels)
        try:
            images = np.asarray(load(channels=channels).images)
        except ValueError as error:
            trained: Channels | None = inputs.channels
            if channels is not None or trained is None or "ambiguous" not in str(error):
                raise
            images = np.asarray(load(channels=trained).images)
    if not uses_alpha:
        return Picture(images, None)
    if images.shape[-1] not in (inputs.shape[-1] + 1, 2, 4):
        raise ValueError(
            f"{path} has images of {images.shape[-1]} channels; the last channel of an array has to be the "
            "opacity, which is 0 where a pixel is missing"
        )
    alpha = images[..., -1:]
    alpha = alpha / np.float32(255) if alpha.dtype == np.uint8 else alpha
    return Picture(images[..., :-1], _checked_alpha(alpha, path))


def _checked_alpha(alpha: np.ndarray, path: Path) -> np.ndarray:
    if (alpha >= 0.5).all():
        raise ValueError(f"{path}: nothing is missing: no pixel is transparent")
    if (alpha < 0.5).all(axis=(1, 2, 3)).any():
        raise ValueError(f"{path}: everything is missing: all pixels are transparent")
    return alpha


def _listed(names: Iterable[str | Path], out: Path) -> Iterator[tuple[Path, Path]]:
    """Files, and the folder of each below the one that was given; without earlier results."""
    for name in dict.fromkeys(names):
        path = Path(name).expanduser()
        if not path.is_dir():
            yield path, Path()
            continue
        listing = list_folder(path)
        if not listing.images:
            raise ValueError(no_images(path, listing))
        for left_out in listing.left_out:
            if not left_out.harmless:
                print(f"note: {path}: {left_out} left out", file=sys.stderr)
        results = out.resolve() if path.resolve() in out.resolve().parents else None
        for item in listing.images:
            if results is None or results not in item.path.resolve().parents:
                yield item.path, item.path.relative_to(path).parent


def _in_chunks(paint: Paint, picture: Picture, track: Track) -> np.ndarray:
    images, alpha = picture.images, picture.alpha
    parts = [slice(i, i + CHUNK) for i in range(0, len(images), CHUNK)]
    return np.concatenate(
        [paint(images[part], None if alpha is None else alpha[part]) for part in track(parts)]
    )


def _write(result: np.ndarray, path: Path) -> None:
    """Writes a picture `[h, w, 1]` or `[h, w, 3]` as PNG, or images as the array `images` of an .npz file.

    Values are clipped to [0, 1].
    """
    clipped = np.clip(result, 0, 1)
    if result.ndim < 4:
        write_picture(np.round(255 * clipped).astype(np.uint8), path)
        return
    with atomic_write(path) as partial, open(partial, "wb") as file:
        np.savez(file, images=np.float32(clipped))
