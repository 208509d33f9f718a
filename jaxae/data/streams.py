"""Images that are read and decoded when they are asked for: data larger than memory."""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from jaxae.runtime import processes

TOGETHER = 64
"""Images that a thread reads at once."""


class Stream:
    """Images, `[n, h, w, c]` bytes, that stay where they are until they are asked for.

    It is indexed as an array is, by a number, a slice or an array of numbers, and gives arrays; `take`
    gives a stream of some of them. :func:`jaxae.fit` trains on it as on an array.

    Args:
      source: with a length, and a record for each number: a tfds data source, a list of files.
      decode: from a record to an image, `[h, w, c]` bytes. (For workers in processes of their own, a
        function that can be pickled.)
      indices: of the records that are meant, in this order; all when None.
      name: what the errors call it.

    Raises:
      ValueError: if it is empty, or, when it is read, if an image has another shape than the first.

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
        self._one: tuple[int, ...] | None = None
        self._one = self.read(np.zeros(1, int)).shape[1:]

    @property
    def shape(self) -> tuple[int, ...]:
        """`(n, h, w, c)`."""
        assert self._one is not None
        return (len(self), *self._one)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: Any) -> np.ndarray:
        if isinstance(index, int | np.integer):
            return self.read(np.arange(len(self))[index].reshape(1))[0]
        chosen = np.arange(len(self))[index]
        if len(chosen) == 0:
            return np.empty((0, *self.shape[1:]), np.uint8)
        parts = [chosen[i : i + TOGETHER] for i in range(0, len(chosen), TOGETHER)]
        with ThreadPoolExecutor() as pool:
            return np.concatenate(list(pool.map(self.read, parts)))

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[i] for i in range(len(self)))

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        raise ValueError(
            f"{self._name} is read while training, and this needs all its images in memory: take "
            "--placement host, and a smaller --image-size if they are too large for it"
        )

    def take(self, indices: np.ndarray) -> "Stream":
        """A stream of some of the images, in this order."""
        return Stream(self._source, self._decode, self._indices[indices], name=self._name)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Some images, one after the other, in this thread."""
        numbers = [int(number) for number in self._indices[indices]]
        together = getattr(self._source, "__getitems__", None)
        at = numbers[0]
        try:
            records = together(numbers) if together else [self._source[i] for i in numbers]
            images = []
            for at, record in zip(numbers, records, strict=True):
                images.append(self._checked(self._decode(record), at))
        except ValueError:
            raise  # it says what is wrong
        except Exception as error:  # what a reader of files and a decoder of images may raise
            reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
            raise ValueError(f"{self._name}: image {at} cannot be read: {reason}") from error
        return np.stack(images)

    def _checked(self, image: np.ndarray, number: int) -> np.ndarray:
        if image.dtype != np.uint8:
            raise ValueError(f"{self._name}: image {number} is {image.dtype}, not bytes")
        if self._one is not None and image.shape != self._one:
            shapes = [" x ".join(map(str, shape)) for shape in (image.shape, self._one)]
            raise ValueError(
                f"{self._name}: image {number} is {shapes[0]} and the first is {shapes[1]}; give an "
                "image size"
            )
        return image


def streamed(stream: bool | None, shape: tuple[int, ...]) -> bool:
    """Whether images of this shape, in bytes, are to be streamed: if asked, or, if None, if they are large.

    Examples:
      >>> streamed(None, (1000, 8, 8, 1)), streamed(True, (1000, 8, 8, 1))
      (False, True)
    """
    if stream is None:
        # All processes that train together do the same.
        stream = any(processes.max_over_processes(float(math.prod(shape) > host_memory() / 2)))
    return stream


def host_memory() -> int:
    """The bytes that are free on this machine."""
    import psutil  # only where it is asked

    return psutil.virtual_memory().available
