"""Applying a function of images to picture files of any size, grey or in colour."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from jaxae.arrays import as_float
from jaxae.data import image_files
from jaxae.data.colors import luma
from jaxae.runtime.files import atomic_write

Painter = Callable[[jax.Array], jax.Array]
"""A function from input images to output images."""

TILE, MARGIN = 256, 64
"""The side of the tiles that large pictures are cut into, and the context around each, in pixels."""


def apply(
    files: Sequence[str | Path],
    out: str | Path,
    paint: Callable[[np.ndarray, np.ndarray | None], np.ndarray],
    suffix: str,
    *,
    uses_alpha: bool = False,
) -> None:
    """Applies a function to picture files, and writes each result as `NAME-suffix.png`.

    A picture that fails does not stop the others. No file is overwritten or left half-written.

    Args:
      files: the pictures.
      out: the folder of the results; it is created if it does not exist.
      paint: from a picture, `[h, w, c]` bytes, and its alpha channel to the result, `[h, w, 3]` in
        [0, 1].
      suffix: what is appended to the names of the files.
      uses_alpha: whether `paint` uses the alpha channel; if not, a message says that it is left out.

    Raises:
      ValueError: at the end, if any picture failed, with the reason for each.
    """
    out = Path(out).expanduser()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"{out} cannot be a folder: {error.strerror}") from error
    failed = []
    for name in files:
        path = Path(name).expanduser()
        try:
            picture, alpha = image_files.read_image(path), image_files.read_alpha(path)
        except ValueError as error:
            failed.append(str(error))
            continue
        if alpha is not None and not uses_alpha:
            print(f"{path}: its alpha channel is ignored", file=sys.stderr)
        try:
            print(save(paint(picture, alpha), out, f"{path.stem}-{suffix}"))
        except (ValueError, OSError) as error:
            failed.append(f"{path}: {error}")
        except (MemoryError, jax.errors.JaxRuntimeError) as error:
            if not (isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)):
                raise
            failed.append(f"{path}: too large for the memory; make it smaller first")
    if failed:
        done = len(files) - len(failed)
        raise ValueError(f"{done} of {len(files)} pictures done; {'; '.join(failed)}")


def save(image: np.ndarray, folder: Path, stem: str) -> Path:
    """Writes `[h, w, 1]` or `[h, w, 3]` as a PNG file, under a name that no file has yet.

    Values are clipped to [0, 1].
    """
    path, number = folder / f"{stem}.png", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}.png"
    pixels = np.round(255 * np.clip(image, 0, 1)).astype(np.uint8)
    with atomic_write(path) as partial:
        pil = Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels)
        pil.save(partial, format="PNG")
    return path


def tiled(paint: Callable[[tuple[int, int]], Painter], x: np.ndarray, channels: int) -> np.ndarray:
    """Applies a painter to large images tile by tile, so that memory does not grow with their size.

    Args:
      paint: from the size of an image to the painter of images of that size.
      x: images, `[n, h, w, c]`.
      channels: of the result.

    Returns:
      the results, `[n, h, w, channels]`. Each tile is computed with 64 pixels of context on every side.
    """
    h, w = x.shape[1:3]
    side_h, side_w = (min(n, TILE + 2 * MARGIN) for n in (h, w))
    if (side_h, side_w) == (h, w):
        return np.asarray(paint((h, w))(jnp.asarray(x)))
    # Tiles at the borders have the size of the others, so that one program is compiled for all.
    function = paint((side_h, side_w))
    result = np.empty((len(x), h, w, channels), np.float32)
    for top in range(0, h, TILE):
        for left in range(0, w, TILE):
            i, j = (
                min(max(start - MARGIN, 0), n - side)
                for start, n, side in ((top, h, side_h), (left, w, side_w))
            )
            tile = np.asarray(function(jnp.asarray(x[:, i : i + side_h, j : j + side_w])))
            end_h, end_w = min(top + TILE, h), min(left + TILE, w)
            result[:, top:end_h, left:end_w] = tile[:, top - i : end_h - i, left - j : end_w - j]
    return result


def channels_of(picture: np.ndarray, channels: int) -> np.ndarray:
    """A picture as images with the channels that a model was trained on, `[n, h, w, channels]`.

    For a model of colour images, a grey picture is repeated three times. For a model of grey images, the
    red, green and blue of a colour picture are three images. :func:`picture_of` is the inverse.

    Examples:
      >>> channels_of(np.zeros((4, 5, 3), np.uint8), 1).shape
      (3, 4, 5, 1)
    """
    x = np.asarray(as_float(picture))
    if channels == x.shape[-1]:
        return x[None]
    if channels == 1:
        return np.moveaxis(x, -1, 0)[..., None]
    return np.repeat(x, 3, axis=-1)[None]


def picture_of(images: np.ndarray, channels: int) -> np.ndarray:
    """The picture, with so many channels, of images made by :func:`channels_of`."""
    if len(images) > 1:
        return np.moveaxis(images[..., 0], 0, -1)
    if channels == 1 and images.shape[-1] == 3:
        return np.asarray(luma(jnp.asarray(images[0])))
    return images[0]


def near(size: tuple[int, int], trained: tuple[int, ...], *, exactly: bool) -> tuple[int, int]:
    """The size at which a model sees a picture: near that of its training images.

    Args:
      size: height and width of the picture.
      trained: the shape of the training images.
      exactly: True for a network with a bottleneck, which takes images of one size only. Otherwise the
        picture keeps its proportions, and a picture smaller than the training images keeps its size.

    Examples:
      >>> near((200, 100), (50, 50, 3), exactly=False)
      (100, 50)
    """
    if exactly:
        return trained[0], trained[1]
    scale = min(1.0, min(trained[:2]) / min(size))
    h, w = (max(1, round(scale * n)) for n in size)
    return h, w


def resized(x: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Images, `[n, h, w, c]` floats, resized by cubic interpolation with antialiasing."""
    shape = (len(x), *size, x.shape[-1])
    return np.asarray(jax.image.resize(jnp.asarray(x), shape, "cubic"))
