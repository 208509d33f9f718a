"""Continuity and completeness of a latent space: two measures of how regular it is."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.analysis.neighbours import nearest, precision_recall
from jaxae.analysis.points import Points
from jaxae.analysis.regularity import lipschitz, path_speeds
from jaxae.base import Params
from jaxae.numeric import check_finite, norm


class Continuity(NamedTuple):
    """How fast and how evenly decoded images change when codes change.

    Lipschitz constants are relative to the mean speed along straight lines between decoded codes, so
    that models whose codes have different scales can be compared.

    Attributes:
      lipschitz_on: the mean local Lipschitz constant of the decoder at codes of images.
      lipschitz_off: the same halfway between two codes.
      lipschitz_largest: the largest of all.
      jump: the largest of the steps between two codes divided by their mean, averaged over lines; 1 for
        a decoder that is linear along each line.
    """

    lipschitz_on: float
    lipschitz_off: float
    lipschitz_largest: float
    jump: float


def continuity(
    decode: Callable[[Params, Array], Array],
    params: Params,
    codes: Float[Array, "n d"],
    *,
    key: PRNGKeyArray,
    lines: int = 500,
    steps: int = 32,
) -> Continuity:
    r"""Measures how evenly a decoder turns codes into images, between random pairs of codes.

    Args:
      decode: `(params, z) -> images`; each from its own code only.
      params: of the decoder.
      codes: of images, `[n, d]`.
      key: determines the pairs.
      lines: the number of pairs at most.
      steps: on each line.

    Returns:
      :class:`Continuity`.

    Raises:
      ValueError: if all codes are equal.

    Examples:
      >>> codes = jax.random.normal(jax.random.key(0), (20, 2))
      >>> found = continuity(lambda scale, z: scale * z, 3.0, codes, key=jax.random.key(1))
      >>> [round(value, 3) for value in found]
      [1.0, 1.0, 1.0, 1.0]
    """
    check_finite(codes=codes)
    order = jax.random.permutation(key, len(codes))
    start, end = (codes[i] for i in (order, jnp.roll(order, 1)))
    # Equal images have equal codes, and there is no line between these.
    distinct = jnp.flatnonzero(norm(end - start) > 0)[:lines]
    if not len(distinct):
        raise ValueError("all codes are equal: the encoder has collapsed to a constant")
    start, end = start[distinct], end[distinct]
    ends = [decode(params, z).reshape(len(start), -1) for z in (start, end)]
    distance = norm(ends[1] - ends[0]).mean()
    unit = jnp.maximum(distance, 1e-30) / norm(end - start).mean()

    # Parameters are arguments: a program that holds them as constants takes long to compile.
    @jax.jit
    def speeds(params: Params, start: Array, end: Array) -> Array:
        return path_speeds(partial(decode, params), start, end, steps=steps)

    @jax.jit
    def constants(params: Params, z: Array) -> Array:
        return lipschitz(partial(decode, params), z)

    speed = speeds(params, start, end)
    on, off = (constants(params, z) / unit for z in (start, (start + end) / 2))
    return Continuity(
        float(on.mean()),
        float(off.mean()),
        float(jnp.maximum(on.max(), off.max())),
        float(jnp.mean(speed.max(axis=1) / jnp.maximum(speed.mean(axis=1), 1e-30))),
    )


def completeness(decoded: Points, real: Points, others: Points) -> dict[str, float]:
    """Measures whether codes drawn at random decode to images like real ones.

    Args:
      decoded: decoded draws, `[n, pixels]`, or features of them.
      real: real images, `[n, pixels]`.
      others: other real images, `[n, pixels]`, which set the scale of `nearest`.

    Returns:
      `precision` and `recall`, see :func:`jaxae.analysis.precision_recall`; and `nearest`, the mean
      distance of a decoded image to the nearest real one, relative to that of the other real images
      (left out if these are copies of each other). Compare figures of equally many images only.

    Examples:
      >>> x = np.random.default_rng(0).normal(size=(60, 2))
      >>> found = completeness(x[:20], x[20:40], x[40:])
      >>> sorted(found)
      ['nearest', 'precision', 'recall']
    """
    quality = precision_recall(real, decoded)
    results = {"precision": quality.precision, "recall": quality.recall}
    usual = np.mean(nearest(others, real).distance)
    if usual > 0:
        results["nearest"] = float(np.mean(nearest(decoded, real).distance) / usual)
    return results
