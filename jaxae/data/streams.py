"""Streams: images that are read and decoded when they are needed, for data larger than memory."""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from jaxae.data.messages import SIZE_HINT, describe_shape, first_line
from jaxae.runtime import processes

IMAGES_PER_TASK = 64
"""Number of images that a thread reads at once."""


class Stream:
    """Images, `[n, h, w, c]` bytes, that are read and decoded when they are indexed.

    A stream is indexed like an array, by an integer, a slice or an array of integers, and returns
    arrays; `take` returns a stream of some of the images. :func:`jaxae.fit` trains on a stream as on
    an array.

    Args:
      source: an indexable collection of records, such as a tfds data source or a list of files.
      decode: from a record to an image, `[h, w, c]` bytes. To read in worker processes, this function
        must be picklable.
      indices: which records the stream has, in this order; by default all.
      name: how error messages refer to the stream.

    Raises:
      ValueError: if the stream is empty; when images are read, if one cannot be decoded or has
        another shape than the first.

    Examples:
      >>> squares = Stream([1, 2, 3], lambda i: np.full((2, 2, 1), i, np.uint8))
      >>> squares.shape, squares[1].max(), squares[:2].shape
      ((3, 2, 2, 1), np.uint8(2), (2, 2, 2, 1))
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(
        self,
        source: Any,
        decode: Callable[[Any], np.ndarray],
        indices: np.ndarray | None = None,
        *,
        name: str = "the stream",
    ):
        self._source, self._decode, self._name = source, decode, name
        self._indices = np.arange(len(source)) if indices is None else np.asarray(indices)
        if len(self._indices) == 0:
            raise ValueError(f"{name} is empty")
        self._image_shape: tuple[int, ...] | None = None
        self._image_shape = self.read(np.zeros(1, int)).shape[1:]

    @property
    def shape(self) -> tuple[int, ...]:
        """`(n, h, w, c)`."""
        assert self._image_shape is not None
        return (len(self), *self._image_shape)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: Any) -> np.ndarray:
        if isinstance(index, int | np.integer):
            return self.read(np.arange(len(self))[index].reshape(1))[0]
        chosen = np.arange(len(self))[index]
        if len(chosen) == 0:
            return np.empty((0, *self.shape[1:]), np.uint8)
        parts = [chosen[i : i + IMAGES_PER_TASK] for i in range(0, len(chosen), IMAGES_PER_TASK)]
        with ThreadPoolExecutor() as pool:
            return np.concatenate(list(pool.map(self.read, parts)))

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[i] for i in range(len(self)))

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        raise ValueError(
            f"{self._name} is streamed, and this operation needs all of its images in memory; load it "
            "with stream=False (--placement host in a command), with a smaller image size if it is "
            "too large for the memory"
        )

    def take(self, indices: np.ndarray) -> "Stream":
        """A stream of the images with these indices, in this order.

        Args:
          indices: `[m]`.

        Returns:
          a stream of `m` images.
        """
        return Stream(self._source, self._decode, self._indices[indices], name=self._name)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Reads images one after another, in the thread that calls this.

        Args:
          indices: `[m]`, of images of this stream.

        Returns:
          `[m, h, w, c]`.

        Raises:
          ValueError: if an image cannot be decoded, is not of bytes, or has another shape than the
            first.
        """
        numbers = [int(number) for number in self._indices[indices]]
        read_many = getattr(self._source, "__getitems__", None)
        current = numbers[0]
        try:
            records = read_many(numbers) if read_many else [self._source[i] for i in numbers]
            images = []
            for current, record in zip(numbers, records, strict=True):
                images.append(self._checked(self._decode(record), current))
        except ValueError:
            raise  # its message names the cause
        except Exception as error:  # readers of files and decoders of images may raise anything
            raise ValueError(
                f"{self._name}: image {current} cannot be read: {first_line(error)}"
            ) from error
        return np.stack(images)

    def _checked(self, image: np.ndarray, number: int) -> np.ndarray:
        if image.dtype != np.uint8:
            raise ValueError(
                f"{self._name}: image {number} is {image.dtype}, not bytes; only bytes (uint8) are streamed"
            )
        if self._image_shape is not None and image.shape != self._image_shape:
            raise ValueError(
                f"{self._name}: image {number} is {describe_shape(image.shape)} and the first is "
                f"{describe_shape(self._image_shape)}; {SIZE_HINT}"
            )
        return image


def should_stream(stream: bool | None, shape: tuple[int, ...]) -> bool:
    """Whether to stream images, all processes that train together alike.

    Args:
      stream: True or False; None: if the images take more than half of the free memory.
      shape: of all images together, of one byte a value.

    Returns:
      True or False.

    Examples:
      >>> should_stream(None, (1000, 8, 8, 1)), should_stream(True, (1000, 8, 8, 1))
      (False, True)
    """
    if stream is None:
        too_large = float(math.prod(shape) > host_memory() / 2)
        stream = any(processes.max_over_processes(too_large))
    return stream


def host_memory() -> int:
    """Free memory of this machine, in bytes."""
    import psutil  # imported only where memory is asked for

    return psutil.virtual_memory().available
