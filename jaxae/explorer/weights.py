"""Parameters with fewer bits, as far as the results stay the same, and arrays packed for a page."""

import base64
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from jaxae.base import Params

BITS = (6, 8, 10)
"""Bits of the mantissa that are tried; ten are those of float16."""
SMALL = 1024
"""Arrays with fewer values stay in float32."""


def rounded(params: Params, bits: int) -> Params:
    """Parameters whose larger arrays are float16 numbers with so many bits of mantissa.

    Examples:
      >>> w = np.full(2000, 0.1, np.float32)
      >>> float(rounded(w, 10)[0]), float(rounded(w, 6)[0])
      (0.0999755859375, 0.099609375)
    """

    def shorten(leaf: Any) -> np.ndarray:
        array = np.asarray(leaf)
        if array.size < SMALL or array.dtype != np.float32:
            return array
        dropped = 23 - bits
        integers = array.view(np.uint32).astype(np.uint64) + (1 << (dropped - 1))
        array = ((integers >> dropped) << dropped).astype(np.uint32).view(np.float32)
        with np.errstate(over="ignore"):  # an infinite weight fails the comparison
            return array.astype(np.float16).astype(np.float32)

    return jax.tree.map(shorten, params)


def shortest(
    params: Params, results: Callable[[Params], Sequence[np.ndarray]], tolerances: Sequence[float]
) -> tuple[Params, int, list[float]]:
    """Parameters with as few bits as the results allow.

    Args:
      params: of float32.
      results: arrays that are computed with parameters.
      tolerances: how far each array may be from that of the full parameters.

    Returns:
      the parameters, the bits of their mantissa (23 for float32), and the largest difference of each
      result.
    """
    exact = results(params)
    for bits in BITS:
        found = rounded(params, bits)
        with np.errstate(invalid="ignore"):  # infinity less infinity
            differences = [
                float(np.max(np.abs(a - b), initial=0.0))
                for a, b in zip(results(found), exact, strict=True)
            ]
        # A difference that is nan is not within any tolerance.
        if all(d <= limit for d, limit in zip(differences, tolerances, strict=True)):
            return found, bits, differences
    return params, 23, [0.0] * len(exact)


def pack(arrays: Sequence[np.ndarray]) -> tuple[str, list[list[Any]]]:
    """Arrays of float32 as text, and what it consists of.

    Arrays whose values are float16 numbers take two bytes for each. The first bytes of all their values
    come before the second ones, since they are alike; then everything is compressed.

    Returns:
      the text (base64 of zlib), and for each array its kind, "h" for half or "f", and its size.
    """
    parts, kinds = [], []
    for array in arrays:
        with np.errstate(over="ignore"):
            half = array.astype(np.float16)
        exact = array.size >= SMALL and np.array_equal(half.astype(np.float32), array)
        kinds.append(["h" if exact else "f", int(array.size)])
        octets = (
            half.reshape(-1, 1).view(np.uint8) if exact else array.reshape(-1, 1).view(np.uint8)
        )
        parts.append(np.ascontiguousarray(octets.T).tobytes())
    return base64.b64encode(zlib.compress(b"".join(parts), 9)).decode(), kinds


def floats(array: np.ndarray) -> str:
    """An array of float32 as base64."""
    return base64.b64encode(np.ascontiguousarray(array, "<f4").tobytes()).decode()
