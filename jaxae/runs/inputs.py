"""How the images of a run are prepared, so that others can be prepared in the same way."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxae.arrays import as_float
from jaxae.data.augmentations import binarize
from jaxae.data.colors import luma
from jaxae.data.images import is_binary, resize
from jaxae.data.messages import describe_shape

BINARIZE_SEED = 1_618_033_988
"""Test images are binarised with the same draws in all runs, so that results can be compared."""

ROUNDING, NOISY = 1e-4, 5.0
"""How far floats may be outside [0, 1]: by rounding, and in noisy images."""


class Inputs(NamedTuple):
    """What the images of a run are like.

    Attributes:
      shape: of one image that the model describes, `(h, w, c)`.
      seen: the shape of what the encoder sees, if it is another one.
      image_size: the height and width that images were resized to; None if they were not.
      bytes: whether they were bytes, which are divided by 255.
      binarize: whether each pixel is made black or white at random, by its grey level.
      dataset, data_dir: where they are from.
      channels, frames, levels: how the data were read, see :func:`jaxae.load`.
      classes: the names of the classes, where known.
    """

    shape: tuple[int, ...]
    seen: tuple[int, ...] | None = None
    image_size: int | None = None
    bytes: bool = True
    binarize: bool = False
    dataset: str = ""
    data_dir: str | None = None
    channels: Any = None
    frames: Any = "first"
    levels: int | None = None
    classes: tuple[str, ...] = ()

    @property
    def seen_shape(self) -> tuple[int, ...]:
        """The shape of what the encoder sees."""
        return self.shape if self.seen is None else self.seen

    def prepare(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """Pictures as images that the encoder can see.

        A picture of another size is cut to the square in its middle and resized, as in training.

        Args:
          pictures: `[h, w, 1]` or `[h, w, 3]` each, bytes or floats in [0, 1].

        Returns:
          `[n, *seen_shape]`, of the type of the pictures.

        Raises:
          ValueError: if a picture has another size and the images of the run are not square, or their
            channels are not those of a picture.

        Examples:
          >>> Inputs((8, 8, 1)).prepare([np.zeros((20, 30, 3), np.uint8)]).shape
          (1, 8, 8, 1)
        """
        return np.stack([self._prepare(np.asarray(picture)) for picture in pictures])

    def _prepare(self, picture: np.ndarray) -> np.ndarray:
        # A picture has no channel that says where it has a hole.
        h, w, c = self.seen_shape if self.seen_shape[-1] in (1, 3) else self.shape
        if picture.ndim != 3 or picture.shape[-1] not in (1, 3) or c not in (1, 3):
            raise ValueError(
                f"a picture of shape {describe_shape(picture.shape)} cannot be made an input of "
                f"{describe_shape((h, w, c))}; pictures have 1 or 3 channels"
            )
        if picture.shape[-1] != c:
            picture = np.repeat(picture, 3, axis=-1) if c == 3 else _grey(picture)
        if picture.shape[:2] == (h, w):
            return picture
        if h != w:
            raise ValueError(
                f"the picture is {picture.shape[0]} x {picture.shape[1]}, and the run was trained on "
                f"images of {h} x {w}, which are not square; resize it first"
            )
        return resize(picture, h)

    def check(self, x: Any, *, noisy: bool = False) -> np.ndarray | jax.Array:
        """Images as the encoder sees them, `[n, *seen_shape]`, of an array `[n, h, w, c]` or `[n, h, w]`.

        Args:
          x: bytes, or floats in [0, 1].
          noisy: whether floats may be somewhat outside, as those of images with noise are.

        Raises:
          ValueError: if it is not an array of such images.
        """
        array = x if isinstance(x, jax.Array) else np.asarray(x)
        if array.dtype == np.bool_:
            array = array.astype(np.float32)
        if array.ndim == 3 and self.seen_shape[-1] == 1 and len(self.seen_shape) == 3:
            array = array[..., None]
        if array.ndim and len(array) == 0:
            raise ValueError(
                f"there are no images in an array of shape {list(array.shape)}; the run needs an array "
                f"[n, {', '.join(map(str, self.seen_shape))}]"
            )
        if array.shape[1:] not in (self.seen_shape, self.shape):
            raise ValueError(
                f"the run was trained on images of {describe_shape(self.seen_shape)}, so it needs an array "
                f"[n, {', '.join(map(str, self.seen_shape))}], not {list(array.shape)}; for pictures of "
                "other sizes, use TrainedRun.prepare"
            )
        _check_range(array, NOISY if noisy else ROUNDING)
        if self.binarize and not is_binary(np.asarray(array)):
            key = jax.random.split(jax.random.key(BINARIZE_SEED))[1]
            # As a whole, before batches are made, so that the draws are those of the test images.
            array = np.asarray(binarize(key, as_float(jnp.asarray(array))))
        return array


def _check_range(array: np.ndarray | jax.Array, beyond: float) -> None:
    """Raises a `ValueError` unless values are bytes, or floats in [0, 1] and a little beyond."""
    if array.dtype == np.uint8:
        return
    low, high = float(array.min()), float(array.max())
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise ValueError(f"images are uint8 or floats in [0, 1], not {array.dtype}")
    if not -beyond <= low <= high <= 1 + beyond:
        raise ValueError(
            f"the images have values from {low:.4g} to {high:.4g}; floats must be in [0, 1], and bytes "
            "(0 to 255) of type uint8"
        )


def _grey(picture: np.ndarray) -> np.ndarray:
    grey = np.asarray(luma(as_float(jnp.asarray(picture))))
    return np.round(255 * grey).astype(np.uint8) if picture.dtype == np.uint8 else grey
