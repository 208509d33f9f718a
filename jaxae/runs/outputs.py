"""The files that a command writes: never over others, unless it is told to, and never half."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from jaxae.runs.figures import displayable
from jaxae.runtime.files import atomic_write

SOFTWARE = "jaxae"
"""The value of Software in PNG files that a command has written."""


def output_file(
    out: str | Path,
    suffix: str,
    *,
    overwrite: bool,
    others: Sequence[str] = (),
    sources: Iterable[str | Path] = (),
) -> Path:
    """The path of a file that may be written; nothing is created yet.

    Args:
      out: the path that the user has given.
      suffix: that it has to have, such as `.png`.
      overwrite: whether the file may exist.
      others: suffixes of files beside it that are written too.
      sources: files that are read, and never replaced.

    Raises:
      ValueError: if the path has another suffix, is a folder, or cannot be written, or a file exists or is
        one of the sources.
    """
    path = Path(out).expanduser()
    if path.suffix.lower() != suffix:
        raise ValueError(f"--out must be a file name that ends in {suffix}, got {str(out)!r}")
    names = [path.name, *(path.stem + s for s in others)]
    output_folder(path.parent, names, overwrite=overwrite, sources=sources)
    return path


def output_folder(
    out: str | Path,
    names: Sequence[str],
    *,
    overwrite: bool,
    sources: Iterable[str | Path] = (),
) -> Path:
    """A folder in which files of these names may be written; nothing is created yet.

    Raises:
      ValueError: if it cannot be a folder, or one of the files exists and `overwrite` is False, or one of
        the files is one of the sources, which are read.
    """
    folder = Path(out).expanduser()
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise ValueError(f"{folder} cannot be a folder: {there} is a file; give another --out")
    if not os.access(there, os.W_OK):
        raise ValueError(f"{there} cannot be written into; give another --out")
    found = [folder / name for name in names if (folder / name).exists()]
    if any(path.is_dir() for path in found):
        raise ValueError(f"{found[0]} is a folder; give another --out")
    read = [Path(source).expanduser().resolve() for source in sources]
    for path in found:
        own = path.resolve()
        # Pictures in a folder that is given are read, and nothing else.
        inside = path.suffix in (".png", ".gif") and any(one in own.parents for one in read)
        if own in read or inside:
            raise ValueError(f"{path} is read, so it is not replaced; give another --out")
    if found and not overwrite:
        more = f" (and {len(found) - 1:,} more)" if len(found) > 1 else ""
        raise ValueError(f"{found[0]} exists already{more}; give another --out, or --overwrite")
    return folder


def write_picture(image: np.ndarray, path: Path) -> None:
    """Writes an image as a PNG file; one of two, or of more than three channels as grey levels.

    Args:
      image: `[h, w, c]`, bytes or floats in [0, 1].
      path: of the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    mark = PngInfo()
    mark.add_text("Software", SOFTWARE)
    with atomic_write(path) as partial:
        _as_pillow(image).save(partial, format="PNG", pnginfo=mark)


def is_ours(path: Path) -> bool:
    """Whether :func:`write_picture` has written a file."""
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            return bool(picture.info.get("Software") == SOFTWARE)
    except (OSError, ValueError):
        return False


def write_animation(frames: np.ndarray, path: Path, *, seconds: float, size: int = 280) -> None:
    """Writes images as a moving picture that is repeated for ever.

    A GIF has 256 colours: it shows grey images exactly, and a PNG file, which browsers play too, shows
    colours exactly.

    Args:
      frames: `[n, h, w, c]`, bytes or floats in [0, 1].
      path: of the file, `.gif` or `.png`.
      seconds: how long each image is shown.
      size: small images are enlarged to about this number of pixels, by whole pixels.
    """
    scale = max(1, size // max(frames.shape[1:3]))
    large = frames.repeat(scale, axis=1).repeat(scale, axis=2)
    first, *others = [_as_pillow(frame) for frame in large]
    options: Mapping[str, object] = {
        "save_all": True,
        "append_images": others,
        "duration": round(1000 * seconds),
        "loop": 0,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as partial:
        first.save(partial, format=path.suffix[1:].upper(), **options)


def _as_pillow(image: np.ndarray) -> Image.Image:
    pixels = np.asarray(image)
    if pixels.dtype != np.uint8 or pixels.shape[-1] not in (1, 3):
        channels = 3 if pixels.shape[-1] == 3 else 1
        pixels = displayable(pixels[None])[0, ..., :channels]
        pixels = np.round(255 * pixels).astype(np.uint8)
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
