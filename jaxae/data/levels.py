"""The range of the values of images: which value is white."""

from collections.abc import Sequence

import numpy as np

from jaxae.data.images import chunks
from jaxae.data.ranges import DARK, darkness


def check_levels(levels: int | None) -> None:
    """Raises a `ValueError` if the level of white is given and is not positive."""
    if levels is not None and levels < 1:
        raise ValueError(f"levels, the value of white, must be positive, got {levels}")


def find_white(
    parts: Sequence[np.ndarray], name: str, levels: int | None = None
) -> tuple[float, str, str]:
    """The value that is white in arrays of images, which are read alike.

    Args:
      parts: arrays of one type, such as the splits of a data set.
      name: how error messages refer to them.
      levels: the value of white, if the user gives it.

    Returns:
      the value, a note on how it was decided, and a warning; the note and the warning may be empty.

    Raises:
      ValueError: if values are not finite, are out of range, or do not show which value is white.

    Examples:
      >>> find_white([np.uint16([0, 65535])], "the array")[0], find_white([np.uint8([7])], "", 7)[0]
      (65535.0, 7.0)
    """
    dtype = parts[0].dtype
    if np.issubdtype(dtype, np.bool_):
        return 1.0, "booleans were read as black and white", ""
    if not (np.issubdtype(dtype, np.integer) or np.issubdtype(dtype, np.floating)):
        raise ValueError(
            f"{name} has type {dtype}; convert the images to uint8, bool, or floats in [0, 1]"
        )
    smallest, largest, whole = _extremes(parts, name)
    is_float = np.issubdtype(dtype, np.floating)
    if levels is not None:
        if smallest < 0 or largest > levels:
            raise ValueError(
                f"{name} has values from {smallest:.6g} to {largest:.6g}, which are not in [0, "
                f"{levels}], the range that levels={levels} (--levels {levels}) gives"
            )
        if levels > 1 and (largest < 1 or (largest == 1 and not whole)) and is_float:
            raise ValueError(f"{name} has floats in [0, 1] already; leave out levels (--levels)")
        if not is_float and dtype != np.bool_ and levels > np.iinfo(dtype).max:
            raise ValueError(
                f"{name} has type {dtype}, whose values are at most {np.iinfo(dtype).max}, so that "
                f"levels={levels} (--levels {levels}) cannot be white"
            )
        return float(levels), f"values of 0 to {levels} were read as black to white", ""
    if is_float:
        return _white_of_floats(smallest, largest, whole, dtype, name)
    if largest == 1 and smallest >= 0:
        return 1.0, "values of 0 and 1 were read as black and white", ""
    if dtype == np.uint8:
        return 255.0, "", _dark(smallest, largest, 255, name)
    said = f"{name} has type {dtype} and values from {smallest:.15g} to {largest:.15g}"
    if smallest < 0:
        raise ValueError(f"{said}; convert the images to bytes (uint8) or to floats in [0, 1]")
    for white in (255, 65535):
        if DARK * white < largest <= white:
            return float(white), f"values of 0 to {white} ({dtype}) were read as black to white", ""
    likely = 2 ** max(int(largest).bit_length(), 1) - 1
    raise ValueError(
        f"{said}, and it is not clear which value is white: give it, such as levels={likely} "
        f"(--levels {likely} in a command), or convert the images to bytes (uint8)"
    )


def _white_of_floats(
    smallest: float, largest: float, whole: bool, dtype: np.dtype, name: str
) -> tuple[float, str, str]:
    if smallest >= 0 and largest <= 1:
        return 1.0, "", _dark(smallest, largest, 1, name)
    if smallest >= 0 and whole and DARK * 255 < largest <= 255:
        note = f"whole numbers from 0 to 255 ({dtype}) were read as black to white"
        return 255.0, note, ""
    remedy = "scale the images to [0, 1]"
    if smallest >= 0 and largest < 1.1:
        remedy += ", or clip them to it: np.clip(images, 0, 1)"
    elif smallest >= 0:
        white = 255 if largest <= 255 else 2 ** int(largest).bit_length() - 1
        remedy += f", or give the value of white, such as levels={white} (--levels {white})"
    elif smallest >= -1 and largest <= 1:
        remedy += ": (x + 1) / 2, if -1 is black"
    raise ValueError(f"{name} has floats from {smallest:.8g} to {largest:.8g}; {remedy}")


def _extremes(parts: Sequence[np.ndarray], name: str) -> tuple[float, float, bool]:
    """The smallest and the largest value, and whether all are whole numbers."""
    smallest, largest, whole = [], [], True
    for part in parts:
        is_float = np.issubdtype(part.dtype, np.floating)
        for chunk in chunks(part):
            if is_float:
                if not np.isfinite(chunk).all():
                    raise ValueError(f"{name} has values that are not finite (NaN or infinite)")
                whole = whole and bool((chunk == np.rint(chunk)).all())
            smallest.append(float(chunk.min()))
            largest.append(float(chunk.max()))
    return min(smallest), max(largest), whole


def _dark(smallest: float, largest: float, white: int, name: str) -> str:
    said = darkness(smallest, largest, white)
    return f"{name} {said}" if said else ""


def scale(images: np.ndarray, white: float) -> np.ndarray:
    """Images of any real type as bytes (integers, booleans) or float32 in [0, 1] (floats).

    Args:
      images: `[...]`, from 0 to `white`.
      white: as :func:`find_white` found it.

    Returns:
      bytes, rounded to 256 levels, or float32.

    Examples:
      >>> scale(np.uint16([0, 4095]), 4095.0).tolist(), scale(np.array([0.0, 5.0]), 10.0).tolist()
      ([0, 255], [0.0, 0.5])
    """
    is_float = np.issubdtype(images.dtype, np.floating)
    if is_float and white == 1:
        return np.ascontiguousarray(images, np.float32)
    if images.dtype == np.uint8 and white == 255:
        return np.ascontiguousarray(images)
    scaled = np.empty(images.shape, np.float32 if is_float else np.uint8)
    for target, source in zip(chunks(scaled), chunks(images), strict=True):
        if is_float:
            target[...] = source.astype(np.float64) / white
        else:
            target[...] = np.rint(source.astype(np.float64) * (255 / white))
    return scaled
