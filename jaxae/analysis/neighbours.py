"""Nearest neighbours between two sets of images: precision and recall, and copies of training images."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxae.analysis.points import Points, as_points, distances, squared_distances


class Quality(NamedTuple):
    """Precision and recall of generated images.

    Attributes:
      precision: the fraction of the generated images that are near a real one.
      recall: the fraction of the real images that are near a generated one.
    """

    precision: float
    recall: float


class Nearest(NamedTuple):
    """Nearest neighbours.

    Attributes:
      which: the index of the nearest other point, `[n]`, or of several, `[n, k]`.
      distance: the Euclidean distance to it, of the same shape.
    """

    which: Int[np.ndarray, " n *k"]
    distance: Float[np.ndarray, " n *k"]


def precision_recall(real: Points, generated: Points, *, neighbours: int = 3) -> Quality:
    r"""Precision and recall of generated images, by nearest neighbours.

    Around each member of a set there is a ball that reaches to its k-th nearest other member.
    Precision is the fraction of the generated images that lie in a ball of a real image, and recall
    the fraction of the real images that lie in a ball of a generated one.

    Args:
      real: features of real images, `[n, d]`; for digits, pixels are enough.
      generated: the same features of generated images, `[m, d]`. The results depend on `n` and `m`:
        compare only results of equal sizes.
      neighbours: k.

    Returns:
      :class:`Quality`, both in [0, 1].

    Raises:
      ValueError: if a set has not more than k members, or the numbers of features differ.

    Examples:
      >>> real = np.arange(8.0)[:, None]
      >>> precision_recall(real, np.array([[0.1], [1.1], [1.9], [3.1], [50.0]]))
      Quality(precision=0.8, recall=1.0)

    References:
      Kynkäänniemi et al., `Improved Precision and Recall Metric for Assessing Generative Models
      <https://arxiv.org/abs/1904.06991>`_.
    """
    for name, points in (("real", real), ("generated", generated)):
        if not 1 <= neighbours < len(points):
            raise ValueError(
                f"{len(points)} {name} images have no neighbour number {neighbours}; give more images, "
                "or fewer neighbours but at least 1"
            )
    real, generated = as_points(real=real, generated=generated)
    return Quality(
        _fraction_inside(generated, real, _radii(real, neighbours)),
        _fraction_inside(real, generated, _radii(generated, neighbours)),
    )


def nearest(points: Points, others: Points) -> Nearest:
    """Finds for each point the nearest other point, such as the training image most like a sample.

    Args:
      points: `[n, d]`.
      others: `[m, d]`.

    Returns:
      :class:`Nearest`; of several at the same distance, the first.

    Raises:
      ValueError: if the numbers of features differ, or there are no other points.

    Examples:
      >>> nearest(np.zeros((1, 2)), np.array([[6.0, 8.0], [3.0, 4.0]])).distance.tolist()
      [5.0]
    """
    if len(others) == 0:
        raise ValueError("there are no other points to search")
    points, others = as_points(points=points, others=others)
    which, distance = np.zeros(len(points), int), np.zeros(len(points))
    for rows, squared, error in squared_distances(points, others):
        possible = squared <= squared.min(axis=1, keepdims=True) + 2 * error
        for i, candidates in enumerate(possible, rows.start):
            indices = np.flatnonzero(candidates)
            found = distances(points[i], others[indices])
            which[i], distance[i] = indices[found.argmin()], found.min()
    return Nearest(which, distance)


def k_nearest(points: Points, others: Points, k: int) -> Nearest:
    """Finds for each point the k nearest other points, such as the training images most like a picture.

    Args:
      points: `[n, d]`.
      others: `[m, d]`.
      k: how many, at most m.

    Returns:
      :class:`Nearest`, whose arrays are `[n, k]`, the nearest first; of several at the same distance, those
      that come first.

    Raises:
      ValueError: if the numbers of features differ, or there are fewer than k other points.

    Examples:
      >>> k_nearest(np.zeros((1, 2)), np.array([[6.0, 8.0], [3.0, 4.0], [0.0, 9.0]]), 2).which.tolist()
      [[1, 2]]
    """
    if not 1 <= k <= len(others):
        raise ValueError(f"k must be from 1 to the number of other points, {len(others)}, got {k}")
    points, others = as_points(points=points, others=others)
    which, distance = np.zeros((len(points), k), int), np.zeros((len(points), k))
    for rows, squared, error in squared_distances(points, others):
        possible = squared <= np.partition(squared, k - 1, axis=1)[:, k - 1 : k] + 2 * error
        for i, candidates in enumerate(possible, rows.start):
            indices = np.flatnonzero(candidates)
            found = distances(points[i], others[indices])
            first = np.argsort(found, kind="stable")[:k]
            which[i], distance[i] = indices[first], found[first]
    return Nearest(which, distance)


def _radii(points: np.ndarray, neighbours: int) -> np.ndarray:
    """The distance of each point to its k-th nearest other point, `[n]`."""
    radii = np.empty(len(points))
    for rows, squared, _ in squared_distances(points, points):
        index = np.arange(rows.start, rows.stop)
        squared[np.arange(len(index)), index] = np.inf  # a point is not its own neighbour
        near = np.argpartition(squared, neighbours - 1, axis=1)[:, :neighbours]
        for i in index:
            radii[i] = distances(points[i], points[near[i - rows.start]]).max()
    return radii


def _fraction_inside(points: np.ndarray, centres: np.ndarray, radii: np.ndarray) -> float:
    """The fraction of the points that lie in at least one ball."""
    inside = np.zeros(len(points), bool)
    for rows, squared, error in squared_distances(points, centres):
        margin = squared - np.square(radii)
        inside[rows] = (margin < -error).any(axis=1)
        for i in rows.start + np.flatnonzero(~inside[rows]):
            # What rounding leaves open, such as a ball of radius zero, is decided by differences.
            unsure = np.flatnonzero(margin[i - rows.start] <= error[i - rows.start])
            inside[i] = (distances(points[i], centres[unsure]) <= radii[unsure]).any()
    return float(inside.mean())
