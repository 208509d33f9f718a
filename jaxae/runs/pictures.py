"""Applying a function of images to pictures of any size, grey or in colour."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxae.data.colors import luma

Painter = Callable[[jax.Array], jax.Array]
"""A function from input images to output images."""

Paint = Callable[[np.ndarray, np.ndarray | None], np.ndarray]
"""From pictures of one size, `[n, h, w, c]` bytes or floats, and their alpha channels, `[n, h, w, 1]`, to the
results, `[n, h', w', c']` in [0, 1]."""

Track = Callable[[Sequence[Any]], Iterable[Any]]
"""Passes on the elements of a sequence, and may show how many are done."""

TILE, MARGIN = 256, 64
"""The side of the tiles that large pictures are cut into, and the context around each, in pixels."""


def tiled(
    paint: Callable[[tuple[int, int]], Painter],
    x: np.ndarray,
    channels: int,
    track: Track = iter,
) -> np.ndarray:
    """Applies a painter to large images tile by tile, so that memory does not grow with their size.

    Args:
      paint: from the size of an image to the painter of images of that size.
      x: images, `[n, h, w, c]`.
      channels: of the result.
      track: passes on the elements of a sequence, here the tiles, and may show how many are done.

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
    corners = list(itertools.product(range(0, h, TILE), range(0, w, TILE)))
    for top, left in track(corners):
        i, j = (
            min(max(start - MARGIN, 0), n - side)
            for start, n, side in ((top, h, side_h), (left, w, side_w))
        )
        tile = np.asarray(function(jnp.asarray(x[:, i : i + side_h, j : j + side_w])))
        end_h, end_w = min(top + TILE, h), min(left + TILE, w)
        result[:, top:end_h, left:end_w] = tile[:, top - i : end_h - i, left - j : end_w - j]
    return result


def channels_of(images: np.ndarray, channels: int) -> np.ndarray:
    """Pictures with the channels that a model was trained on, `[m, h, w, channels]`.

    For a model of colour images, a grey picture is repeated three times. For a model of grey images, the
    red, green and blue of a colour picture are three images. :func:`picture_of` is the inverse.

    Args:
      images: pictures of one size, `[n, h, w, 1]` or `[n, h, w, 3]`.
      channels: 1 or 3, or those of the pictures.

    Raises:
      ValueError: if the pictures cannot be seen with so many channels.

    Examples:
      >>> channels_of(np.zeros((2, 4, 5, 3), np.uint8), 1).shape
      (6, 4, 5, 1)
    """
    n, h, w, own = images.shape
    if channels == own:
        return images
    if {channels, own} != {1, 3}:
        raise ValueError(
            f"it has {own} channels, and the run was trained on images with {channels}"
        )
    if channels == 1:
        return np.moveaxis(images, -1, 1).reshape(3 * n, h, w, 1)
    return np.repeat(images, 3, axis=-1)


def picture_of(images: np.ndarray, channels: int) -> np.ndarray:
    """The pictures, with so many channels, of images made by :func:`channels_of`."""
    m, h, w, own = images.shape
    if own == channels:
        return images
    if own == 1:
        return np.moveaxis(images.reshape(m // 3, 3, h, w), 1, -1)
    return np.asarray(luma(jnp.asarray(images)))


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
