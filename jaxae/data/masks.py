"""Holes in images, as pure functions `(key, shape) -> [b, h, w, 1]`, true where the image is missing.

`shape` is that of the images, `[b, h, w, c]`, and every image has a hole of its own. A hole becomes a
corruption by :func:`jaxae.corruptions.hide`. The functions below make masks; they raise a `ValueError`
for a size or a rate that is out of range.
"""

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, PRNGKeyArray

Mask: TypeAlias = Callable[[PRNGKeyArray, Sequence[int]], Bool[Array, "b h w 1"]]
"""A mask, `(key, (b, h, w, c)) -> [b, h, w, 1]`."""

SIDES = ("left", "right", "top", "bottom")
ROUGHNESS, WAVES = 0.05, 8
"""How far a torn edge strays, as a part of the image, and of how many waves it is made."""


def block(size: float = 0.5, *, centred: bool = False) -> Mask:
    """A rectangle: a piece torn out of the middle.

    Args:
      size: its sides as a part of the sides of the image, in [0, 1].
      centred: in the middle; else every place at which it is whole is equally likely.

    Examples:
      >>> block(0.5)(jax.random.key(0), (3, 8, 8, 1)).sum((1, 2, 3)).tolist()
      [16, 16, 16]
    """
    if not 0 <= size <= 1:
        raise ValueError(f"the size of the block is a part of the image, in [0, 1], got {size}")

    def mask(key: PRNGKeyArray, shape: Sequence[int]) -> Bool[Array, "b h w 1"]:
        b = _images(shape)[0]
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


def half(side: str | None = None) -> Mask:
    """Half of the image; where it cannot be halved, the smaller part.

    Args:
      side: which half is missing: left, right, top or bottom; when None, any of the four.

    Examples:
      >>> half("left")(jax.random.key(0), (1, 1, 5, 1)).ravel().tolist()
      [True, True, False, False, False]
    """
    if side is not None and side not in SIDES:
        raise ValueError(f"the side of a half is one of {', '.join(SIDES)}, not {side!r}")

    def mask(key: PRNGKeyArray, shape: Sequence[int]) -> Bool[Array, "b h w 1"]:
        b, h, w = _images(shape)
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


def pixels(rate: float) -> Mask:
    """Each pixel with this probability, all its channels together.

    Examples:
      >>> bool(0.2 < pixels(0.25)(jax.random.key(0), (10, 28, 28, 3)).mean() < 0.3)
      True
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"the rate of missing pixels is a probability, in [0, 1], got {rate}")

    def mask(key: PRNGKeyArray, shape: Sequence[int]) -> Bool[Array, "b h w 1"]:
        return jax.random.bernoulli(key, rate, (*_images(shape), 1))

    return mask


def torn(part: float = 0.5) -> Mask:
    r"""What is beyond a ragged line through the image: the torn photo.

    A pixel at :math:`p` (from the middle, in units of the sides) is missing where

    .. math:: \langle p, n\rangle + \sum_k \frac{a_k}{k} \sin(2 \pi k \langle p, t\rangle + \phi_k) > c

    for a direction n at any angle, t at a right angle to it, random waves, and the c that makes it the
    wanted part of the pixels.

    Args:
      part: of the image that is missing, in [0, 1].

    Examples:
      >>> torn(0.25)(jax.random.key(0), (3, 8, 8, 1)).sum((1, 2, 3)).tolist()
      [16, 16, 16]
    """
    if not 0 <= part <= 1:
        raise ValueError(f"the part that is torn off is in [0, 1], got {part}")

    def mask(key: PRNGKeyArray, shape: Sequence[int]) -> Bool[Array, "b h w 1"]:
        b, h, w = _images(shape)
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


def _images(shape: Sequence[int]) -> tuple[int, int, int]:
    if len(shape) != 4:
        raise ValueError(f"a mask is for images, [b, h, w, c], not for {tuple(shape)}")
    b, h, w, _ = shape
    return b, h, w
