"""Small functions on arrays, weights and dicts that all packages use."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer, PRNGKeyArray, Shaped

Step: TypeAlias = int | Integer[Array, ""]
Weight: TypeAlias = float | Callable[[Step], Float[Array, ""] | float]
"""A constant, or a schedule: any function of the step, such as those of optax."""


def at_step(weight: Weight, step: Step) -> Float[Array, ""]:
    """The value of a constant or scheduled weight at a step, in float32.

    Examples:
      >>> float(at_step(2.0, 7)), float(at_step(lambda step: 0.5 * step, 3))
      (2.0, 1.5)
    """
    return jnp.asarray(weight(step) if callable(weight) else weight, jnp.float32)


def check_weights(**weights: Weight) -> None:
    """Raises a `ValueError` that names the first constant weight that is negative or not finite.

    Examples:
      >>> check_weights(beta=1.0, r1=lambda step: 0.5)
      >>> check_weights(beta=-1.0)
      Traceback (most recent call last):
      ValueError: beta must be finite and not negative, got -1.0
    """
    for name, weight in weights.items():
        if not callable(weight) and not 0 <= weight < math.inf:
            raise ValueError(f"{name} must be finite and not negative, got {weight}")


def merge(*trees: Mapping[str, Any]) -> dict[str, Any]:
    """The union of several dicts; a name that occurs twice is an error.

    Raises:
      ValueError: if a name occurs twice; the message names it.

    Examples:
      >>> merge({"encoder": 1}, {"decoder": 2})
      {'encoder': 1, 'decoder': 2}
    """
    merged: dict[str, Any] = {}
    for tree in trees:
        if twice := sorted(merged.keys() & tree.keys()):
            raise ValueError(f"the name {', '.join(map(repr, twice))} is used twice in one model")
        merged.update(tree)
    return merged


def fold_in_name(key: PRNGKeyArray, name: str) -> PRNGKeyArray:
    """A key that depends on `key` and on a name.

    Each penalty gets its randomness this way, so that it does not depend on the order in which
    penalties were added. The number folded in is never small, so that the result differs from all
    keys of `jax.random.split`.

    Examples:
      >>> key = jax.random.key(0)
      >>> bool(fold_in_name(key, "mmd") == fold_in_name(key, "contraction"))
      False
    """
    return jax.random.fold_in(key, zlib.crc32(name.encode()) | 1 << 31)


def as_float(x: Shaped[Array | np.ndarray, "*b"]) -> Float[Array, "*b"]:
    """Images as float32 in [0, 1]: bytes are divided by 255, floats are taken as they are.

    Raises:
      ValueError: if the array holds neither bytes nor floats.

    Examples:
      >>> as_float(jnp.array([0, 255], jnp.uint8)).tolist()
      [0.0, 1.0]
    """
    x = jnp.asarray(x)
    if x.dtype == jnp.uint8:
        return x.astype(jnp.float32) / 255
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(f"images are bytes (uint8) or floats, not {x.dtype}")
    return x.astype(jnp.float32)


def soft_clip(x: Float[Array, "*b"], bound: float) -> Float[Array, "*b"]:
    r"""Bounds `x` to (-bound, bound) and keeps a gradient everywhere, in float32.

    .. math:: \tfrac{2b}{\pi} \arctan\!\left(\tfrac{\pi x}{2b}\right)

    The derivative is one at zero and decreases as `1 / x**2`, so that a value far outside still
    moves back; behind a tanh or a hard clip its gradient would vanish.

    Examples:
      >>> [round(float(value), 2) for value in soft_clip(jnp.array([0.0, 1.0, 1e4]), 10.0)]
      [0.0, 0.99, 10.0]
    """
    scale = 2 * bound / jnp.pi
    return scale * jnp.arctan(x.astype(jnp.float32) / scale)


def as_vectors(z: Any) -> Float[Array, "b d"]:
    """A code of any structure as one vector for each example: all its values, one after another.

    Examples:
      >>> as_vectors({"a": jnp.zeros((2, 3)), "b": jnp.zeros((2, 4, 5))}).shape
      (2, 23)
    """
    leaves = [leaf.reshape(leaf.shape[0], -1) for leaf in jax.tree.leaves(z)]
    return leaves[0] if len(leaves) == 1 else jnp.concatenate(leaves, axis=1)


def sum_values(x: Float[Array, "b ..."]) -> Float[Array, " b"]:
    """The sum over all axes but the first.

    Examples:
      >>> sum_values(jnp.ones((2, 3, 4))).tolist()
      [12.0, 12.0]
    """
    return jnp.sum(x, axis=tuple(range(1, x.ndim)))


def largest_value(jaxpr: Any) -> int:
    """The number of elements of the largest array in a traced function, inner functions included.

    Examples:
      >>> inner = jax.jit(lambda x: jnp.outer(x, x).sum())
      >>> largest_value(jax.make_jaxpr(lambda x: inner(x))(jnp.ones(5)).jaxpr)
      25
    """
    sizes = [1]
    for equation in jaxpr.eqns:
        sizes += [getattr(v.aval, "size", 1) for v in equation.outvars]
        for parameter in equation.params.values():
            for inner in parameter if isinstance(parameter, tuple | list) else (parameter,):
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns"):
                    sizes.append(largest_value(inner))
    return max(sizes)
