"""Masks of missing pixels: pure functions `(key, shape) -> [b, h, w, 1]`, true where pixels are missing.

The functions below return masks, and raise a `ValueError` if a parameter is out of range. A mask takes
the shape of the images, `[b, h, w, c]`, and draws missing pixels for each image independently.
:func:`jaxae.corruptions.hide` makes a corruption of a mask.
"""

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, PRNGKeyArray

from jaxae.recipes import constructor

Mask: TypeAlias = Callable[[PRNGKeyArray, Sequence[int]], Bool[Array, "b h w 1"]]
"""A mask, `(key, (b, h, w, c)) -> [b, h, w, 1]`."""

SIDES = ("left", "right", "top", "bottom")
"""Sides of an image."""

ROUGHNESS, WAVES = 0.05, 8
"""The amplitude of a torn edge, as a fraction of the image, and the number of its sine waves."""


@constructor("masks.block")
def block(size: float = 0.5, *, centred: bool = False) -> Mask:
    """A rectangle.

    Args:
      size: its height and width as a fraction of those of the image, in [0, 1].
      centred: whether it is in the middle; if False, all places inside the image are equally likely.

    Returns:
      a mask.

    Raises:
      ValueError: if the size is not in [0, 1].

    Examples:
      >>> block(0.5)(jax.random.key(0), (3, 8, 8, 1)).sum((1, 2, 3)).tolist()
      [16, 16, 16]
    """
    if not 0 <= size <= 1:
        raise ValueError(
            f"the size of the block must be a fraction of the image, in [0, 1], got {size}"
        )

    def mask(key: PRNGKeyArray, shape: Sequence[int]) -> Bool[Array, "b h w 1"]:
        b = _check_images(shape)[0]
        inside = jnp.ones((b, 1, 1, 1), bool)
        for axis, axis_key in zip((1, 2), jax.random.split(key), strict=True):
            n = shape[axis]
            side = round(size * n)
            if centred:
                start = jnp.full((b, 1, 1, 1), (n - side) // 2)
            else:
                start = jax.random.randint(axis_key, (b, 1, 1, 1), 0, n - side + 1)
            place = jnp.arange(n).reshape([-1 if a == axis else 1 for a in range(4)])
            inside &= (start <= place) & (place < start + side)
        return inside

    return mask


@constructor("masks.half")
def half(side: str | None = None) -> Mask:
    """Half of the image; of an odd number of rows or columns, the smaller half.

    Args:
      side: which half is missing: left, right, top or bottom; None: a random one for each image.

    Returns:
      a mask.

    Raises:
      ValueError: if there is no such side.

    Examples:
      >>> half("left")(jax.random.key(0), (1, 1, 5, 1)).ravel().tolist()
      [True, True, False, False, False]
    """
    if side is not None and side not in SIDES:
        raise ValueError(f"the side must be one of {', '.join(SIDES)}, not {side!r}")

    def mask(key: PRNGKeyArray, shape: Sequence[int]) -> Bool[Array, "b h w 1"]:
        b, h, w = _check_images(shape)
        row, column = jnp.arange(h)[:, None, None], jnp.arange(w)[None, :, None]
        whole = jnp.zeros((h, w, 1), bool)
        halves = jnp.stack(
            [
                whole | (column < w // 2),
                whole | (column >= w - w // 2),
                whole | (row < h // 2),
                whole | (row >= h - h // 2),
            ]
        )
        if side is not None:
            return jnp.broadcast_to(halves[SIDES.index(side)], (b, h, w, 1))
        return halves[jax.random.randint(key, (b,), 0, len(SIDES))]

    return mask


@constructor("masks.pixels")
def pixels(rate: float) -> Mask:
    """Each pixel independently with probability `rate`, in all of its channels.

    Args:
      rate: in [0, 1].

    Returns:
      a mask.

    Raises:
      ValueError: if the rate is not a probability.

    Examples:
      >>> bool(0.2 < pixels(0.25)(jax.random.key(0), (10, 28, 28, 3)).mean() < 0.3)
      True
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"the rate of missing pixels must be a probability, in [0, 1], got {rate}")

    def mask(key: PRNGKeyArray, shape: Sequence[int]) -> Bool[Array, "b h w 1"]:
        return jax.random.bernoulli(key, rate, (*_check_images(shape), 1))

    return mask


@constructor("masks.torn")
def torn(part: float = 0.5) -> Mask:
    r"""One side of a ragged line through the image, as if the image were torn.

    A pixel at :math:`p` (relative to the centre, in units of height and width) is missing where

    .. math:: \langle p, n\rangle + \sum_k \frac{a_k}{k} \sin(2 \pi k \langle p, t\rangle + \phi_k) > c

    where n is a random direction, t is perpendicular to it, the amplitudes and phases of the waves are
    random, and c is such that the wanted fraction of the pixels is missing.

    Args:
      part: the fraction of the pixels that is missing, in [0, 1].

    Returns:
      a mask.

    Raises:
      ValueError: if the fraction is not in [0, 1].

    Examples:
      >>> torn(0.25)(jax.random.key(0), (3, 8, 8, 1)).sum((1, 2, 3)).tolist()
      [16, 16, 16]
    """
    if not 0 <= part <= 1:
        raise ValueError(f"the part that is missing must be a fraction in [0, 1], got {part}")

    def mask(key: PRNGKeyArray, shape: Sequence[int]) -> Bool[Array, "b h w 1"]:
        b, h, w = _check_images(shape)
        angle_key, phase_key, size_key = jax.random.split(key, 3)
        angle = jax.random.uniform(angle_key, (b, 1), maxval=2 * math.pi)
        y = ((jnp.arange(h) + 0.5) / h - 0.5)[:, None]
        x = ((jnp.arange(w) + 0.5) / w - 0.5)[None, :]
        x, y = (jnp.broadcast_to(v, (h, w)).reshape(-1) for v in (x, y))
        across = jnp.cos(angle) * x + jnp.sin(angle) * y
        along = jnp.cos(angle) * y - jnp.sin(angle) * x
        k = jnp.arange(1, WAVES + 1)
        phase = jax.random.uniform(phase_key, (b, WAVES, 1), maxval=2 * math.pi)
        size = jax.random.normal(size_key, (b, WAVES, 1)) / k[:, None]
        waves = jnp.sin(2 * math.pi * k[:, None] * along[:, None] + phase)
        field = across + ROUGHNESS * jnp.sum(size * waves, axis=1)
        rank = jnp.argsort(jnp.argsort(-field, axis=1), axis=1)
        return (rank < round(part * h * w)).reshape(b, h, w, 1)

    return mask


def _check_images(shape: Sequence[int]) -> tuple[int, int, int]:
    if len(shape) != 4:
        raise ValueError(f"a mask needs the shape of images, [b, h, w, c], got {tuple(shape)}")
    b, h, w, _ = shape
    return b, h, w
