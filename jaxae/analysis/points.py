"""Sets of points: checks, and distances that are exact where it matters."""

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from jaxtyping import Array, Shaped

from jaxae.numeric import check_finite

Points: TypeAlias = Shaped[Array | np.ndarray, "_ _"]
"""Features of images, one row for each image, `[n, d]`: floats, or bytes, which are divided by 255."""

PAIRS = 2**23
"""Largest number of distances that are in memory at once."""


def as_points(**sets: Points) -> list[np.ndarray]:
    """Several sets of points in float64.

    Args:
      sets: `[n, d]` each, by the name that error messages give them.

    Returns:
      the arrays, in the same order.

    Raises:
      ValueError: if one is not a matrix of floats or bytes, or they have different numbers of
        features.

    Examples:
      >>> [x.tolist() for x in as_points(real=np.uint8([[255]]), generated=np.float32([[0.5]]))]
      [[[1.0]], [[0.5]]]
    """
    found = []
    for name, points in sets.items():
        if points.ndim != 2:
            raise ValueError(
                f"{name} points are [n, d], and these have shape {tuple(points.shape)}"
            )
        if points.dtype != np.uint8 and not np.issubdtype(points.dtype, np.floating):
            raise ValueError(f"{name} points are floats or bytes (uint8), not {points.dtype}")
        scale = 255.0 if points.dtype == np.uint8 else 1.0
        check_finite(**{f"{name} points": points})
        found.append(np.asarray(points, np.float64) / scale)
    if len({x.shape[1] for x in found}) > 1:
        shapes = " and ".join(f"{name} {x.shape}" for name, x in zip(sets, found, strict=True))
        raise ValueError(f"points must have the same number of features, and these are {shapes}")
    return found


def squared_distances(
    points: np.ndarray, others: np.ndarray
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Squared distances between two sets, by matrix products, with bounds of their rounding errors.

    Args:
      points: `[n, d]`, float64.
      others: `[m, d]`, float64.

    Yields:
      a slice of k points, their squared distances to all others, `[k, m]`, and the largest error of
      each row, `[k, 1]`.
    """
    # The expanded square loses the digits of a common offset, so that is subtracted first.
    centre = others.mean(axis=0)
    points, others = points - centre, others - centre
    own = np.sum(np.square(others), axis=1)
    precision = 4 * (points.shape[1] + 4) * np.finfo(np.float64).eps
    step = max(1, PAIRS // len(others))
    for start in range(0, len(points), step):
        rows = slice(start, min(start + step, len(points)))
        squares = np.sum(np.square(points[rows]), axis=1, keepdims=True)
        squared = squares + own - 2 * points[rows] @ others.T
        yield rows, squared, precision * (squares + own.max())


def distances(point: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The distances from one point to others, `[m]`: exactly zero between equal points."""
    return np.sqrt(np.sum(np.square(others - point), axis=1))
