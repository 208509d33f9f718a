"""The type of a set of images, resizing, and checks on arrays of images: bytes, or floats in [0, 1]."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array
from PIL import Image

from jaxae.data.streams import Stream

CHUNK = 1024
"""Number of images that are looked at together, so that a memory-mapped array is read in pieces."""


class Images(NamedTuple):
    """Images with their labels and attributes.

    Attributes:
      images: `[n, h, w, c]`, bytes or float32 in [0, 1]; an array or a :class:`Stream`.
      labels: the class of each image, `[n]`, or None.
      attributes: `{name: [n]}`, whether each image has the attribute; empty if there are none.
      classes: the names of the classes, which the labels index; empty if they are not known.
      notes: sentences on how the data were read, such as their range and what was left out.

    Examples:
      >>> data = Images(np.zeros((3, 2, 2, 1), np.uint8), np.array([0, 1, 2]))
      >>> data.take(np.array([2, 0])).labels.tolist()
      [2, 0]
    """

    images: np.ndarray
    labels: np.ndarray | None = None
    attributes: Mapping[str, np.ndarray] = MappingProxyType({})
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def take(self, indices: np.ndarray) -> "Images":
        """The examples with these indices, in this order.

        Args:
          indices: `[m]`.

        Returns:
          `m` examples; their images are a :class:`Stream` if those of this set are and `m` is not 0.
        """
        labels = None if self.labels is None else self.labels[indices]
        attributes = {name: values[indices] for name, values in self.attributes.items()}
        images: Any = self.images
        if isinstance(images, Stream) and len(indices):
            images = images.take(indices)
            return self._replace(images=images, labels=labels, attributes=attributes)
        images = images[np.asarray(indices, int)]
        return self._replace(images=images, labels=labels, attributes=attributes)


def resize(image: np.ndarray, size: int) -> np.ndarray:
    """Resizes the central square of an image (bicubic, antialiased).

    Args:
      image: `[h, w, c]`, bytes or floats in [0, 1].
      size: the new height and width.

    Returns:
      `[size, size, c]`, of the same type.

    Examples:
      >>> resize(np.zeros((8, 6, 3), np.uint8), 4).shape
      (4, 4, 3)
    """
    if image.shape[:2] == (size, size):
        return image
    side = min(image.shape[:2])
    top, left = ((n - side) // 2 for n in image.shape[:2])
    square = image[top : top + side, left : left + side]
    white = 255 if image.dtype == np.uint8 else 1
    channels = [
        Image.fromarray(np.ascontiguousarray(channel)).resize(
            (size, size), Image.Resampling.BICUBIC
        )
        for channel in np.moveaxis(square, -1, 0)
    ]
    return np.clip(np.stack([np.asarray(channel) for channel in channels], axis=-1), 0, white)


def is_binary(images: np.ndarray) -> bool:
    """Whether every value is black or white: 0 or 255 in bytes, 0 or 1 in floats.

    Args:
      images: `[n, ...]`, bytes or floats in [0, 1].

    Returns:
      True or False.

    Raises:
      ValueError: if the images are neither bytes nor floats.

    Examples:
      >>> is_binary(np.uint8([0, 255])), is_binary(np.uint8([0, 128]))
      (True, False)
    """
    if images.dtype != np.uint8 and not np.issubdtype(images.dtype, np.floating):
        raise ValueError(f"images are bytes (uint8) or floats in [0, 1], not {images.dtype}")
    white = 255 if images.dtype == np.uint8 else 1
    return all(bool(((part == 0) | (part == white)).all()) for part in chunks(images))


def check_same_shape(x: Array | np.ndarray, y: Array | np.ndarray) -> None:
    """Refuses to compare images of different shapes, which would be broadcast silently.

    Raises:
      ValueError: if the shapes differ; the message names both.

    Examples:
      >>> check_same_shape(np.zeros((4, 8, 8, 3)), np.zeros((4, 8, 8, 1)))
      Traceback (most recent call last):
      ValueError: images of shape (4, 8, 8, 3) cannot be compared with images of shape (4, 8, 8, 1)
    """
    if x.shape != y.shape:
        raise ValueError(
            f"images of shape {tuple(x.shape)} cannot be compared with images of shape {tuple(y.shape)}"
        )


def chunks(images: np.ndarray) -> Iterator[np.ndarray]:
    """Views of up to 1,024 images each, so that a memory-mapped array is read in pieces."""
    return (images[i : i + CHUNK] for i in range(0, len(images), CHUNK))
