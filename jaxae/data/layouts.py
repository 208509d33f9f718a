"""The axes of an array of images: which of them are the channels."""

import math
from typing import Literal, TypeAlias

import numpy as np

Channels: TypeAlias = Literal["first", "last"]
"""Where the axis of the channels is: `[n, c, h, w]` or `[n, h, w, c]`."""


def check_channels(channels: str | None) -> None:
    """Raises a `ValueError` unless `channels` is "first", "last" or None."""
    if channels not in (None, "first", "last"):
        raise ValueError(f'channels must be "first" or "last", got {channels!r}')


def channels_first(shape: tuple[int, ...], name: str, channels: Channels | None = None) -> bool:
    """Whether the channels of an array of images are its second axis, `[n, c, h, w]`.

    The layout is inferred only if it is unambiguous: `[n, h, w, c]` with fewer channels than
    rows, or of square images with up to four channels.

    Args:
      shape: of the array.
      name: how error messages refer to the array.
      channels: the layout, if the user gives it.

    Returns:
      True or False; False for an array without channels, `[n, h, w]`.

    Raises:
      ValueError: if the array is empty, has another number of axes, or can be read in two ways.

    Examples:
      >>> channels_first((5, 8, 8, 3), "the array"), channels_first((5, 3, 8, 8), "it", "first")
      (False, True)
      >>> channels_first((5, 3, 8, 8), "the array")  # doctest: +ELLIPSIS
      Traceback (most recent call last):
      ValueError: the array has the ambiguous shape (5, 3, 8, 8): for images of 8 x 8 with 3 channels, ...
    """
    if len(shape) not in (3, 4):
        raise ValueError(
            f"{name} has shape {shape}; images are [n, h, w] or [n, h, w, c]{_flattened(shape)}"
        )
    if 0 in shape:
        raise ValueError(f"{name} is empty: its shape is {shape}")
    if len(shape) == 3:
        _check_not_one_image(shape, name)
        return False
    if channels is not None:
        return channels == "first"
    _, a, b, c = shape
    if a == b == c == 1 or (a == b != c and c <= 4) or (c < a and (a == b or a > 4)):
        return False
    raise ValueError(
        f"{name} has the ambiguous shape {shape}: for images of {b} x {c} with {a} channel"
        f'{"s" * (a != 1)}, give channels="first" (--channels first in a command); for images of '
        f'{a} x {b} with {c} channel{"s" * (c != 1)}, give channels="last" (--channels last)'
        f"{_last_is_number(shape)}"
    )


def channels_last(images: np.ndarray, first: bool) -> np.ndarray:
    """A view of an array of images as `[n, h, w, c]`; see :func:`channels_first`."""
    if images.ndim == 3:
        return images[..., None]
    return np.moveaxis(images, 1, -1) if first else images


def _check_not_one_image(shape: tuple[int, ...], name: str) -> None:
    a, b, c = shape
    if c in (3, 4) and min(a, b) >= 8:
        raise ValueError(
            f"{name} has the ambiguous shape {shape}: save one image of {a} x {b} with {c} channels as "
            f"[1, h, w, c], and {a} grey images of {b} x {c} as [n, h, w, 1]"
        )
    if a == b != c and a > 4:
        raise ValueError(
            f"{name} has the ambiguous shape {shape}: save {a} grey images of {b} x {c} as [n, h, w, 1], and "
            f"{c} grey images of {a} x {b}, as MATLAB stores them, as np.moveaxis(images, -1, 0)"
        )


def _last_is_number(shape: tuple[int, ...]) -> str:
    """The end of a message on arrays whose last axis may number the images, as in MATLAB files."""
    if len(shape) == 4 and shape[2] in (1, 3, 4) and shape[3] > 4:
        return "; if the last axis numbers the images, save np.moveaxis(images, -1, 0)"
    return ""


def _flattened(shape: tuple[int, ...]) -> str:
    """The end of a message on rows that may be flattened images."""
    if len(shape) == 2:
        for c, text in ((1, ""), (3, ", 3")):
            side = math.isqrt(shape[1] // c)
            if side > 3 and side * side * c == shape[1]:
                first = f' (or (-1, 3, {side}, {side}) and channels="first")' if c == 3 else ""
                return (
                    f"; if each row is an image of {side} x {side}, save it reshaped to (-1, {side}, "
                    f"{side}{text}){first}"
                )
    return ""
