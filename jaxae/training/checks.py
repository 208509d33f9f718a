"""Checks of what `fit` and `fit_many` are given, before anything is compiled."""

import inspect
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxae.base import Batch
from jaxae.composition import Autoencoder
from jaxae.data.streams import Stream
from jaxae.training.batches import Data, Transform, as_data, count, transformed
from jaxae.training.packing import describe, differences

CHECKED_VALUES = 2**27
"""About how many values of an array are checked; of larger arrays, rows at equal distances."""
ROUNDING = 1e-4
"""How far outside of [0, 1] a value may be."""


def check_positive(**numbers: int | None) -> None:
    """Raises a `ValueError` that names the first number that is neither None nor positive.

    Examples:
      >>> check_positive(epochs=3, patience=None)
      >>> check_positive(epochs=0)
      Traceback (most recent call last):
      ValueError: epochs must be positive, got 0
    """
    for name, number in numbers.items():
        if number is not None and number < 1:
            raise ValueError(f"{name} must be positive, got {number}")


def check_key(key: Any, name: str = "key", ndim: int = 0) -> None:
    """Raises a `ValueError` unless a key is one of `jax.random.key`, or an array of them.

    Examples:
      >>> check_key(jax.random.key(0))
      >>> check_key(0)
      Traceback (most recent call last):
      ValueError: key must be a key of JAX, not int; use jax.random.key(0)
    """
    one, several = "jax.random.key(0)", "jax.random.split(jax.random.key(0), models)"
    advice = f"use {several if ndim else one}"
    if not isinstance(key, jax.Array):
        raise ValueError(f"{name} must be a key of JAX, not {type(key).__name__}; {advice}")
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        raise ValueError(f"{name} must be a typed key, not an array of {key.dtype}; {advice}")
    if key.ndim != ndim:
        wanted = "one key" if ndim == 0 else "one key for each model, [models]"
        raise ValueError(f"{name} must be {wanted}, got the shape {key.shape}; {advice}")


def check_on_epoch(on_epoch: Callable[..., Any] | None) -> None:
    """Raises a `ValueError` unless a function can be called with a record and a state."""
    if on_epoch is None:
        return
    try:
        inspect.signature(on_epoch).bind(None, None)
    except TypeError as error:
        raise ValueError(
            "on_epoch is called with the record of an epoch and the state, on_epoch(record, state)"
        ) from error
    except ValueError:  # some functions written in C have no signature
        return


def check_values(model: Autoencoder, data: Batch, name: str = "x") -> None:
    """Raises a `ValueError` if known values of `x` are not finite, or not what the model describes.

    Args:
      model: says whether values outside of [0, 1] have a meaning.
      data: a batch, or a data set.
      name: what the error calls the values.
    """
    unit = model.model.unit
    leaves = jax.tree_util.tree_leaves_with_path(data.x)
    known = jax.tree.leaves(data.observed) or [None] * len(leaves)
    for (path, leaf), observed in zip(leaves, known, strict=True):
        where = name + jax.tree_util.keystr(path)
        if isinstance(leaf, Stream) or leaf.dtype == np.uint8:
            continue
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            if unit:
                raise ValueError(
                    f"{where} is {leaf.dtype}, and this model describes values in [0, 1]; give bytes "
                    "(uint8), which are divided by 255, or floats in [0, 1]"
                )
            continue
        low, high = _extremes(leaf, observed)
        if not math.isfinite(low + high):
            raise ValueError(
                f"{where} has values that are not finite; if they are missing, say which values are "
                "known: jaxae.Batch(x, observed=mask)"
            )
        if unit and (low < -ROUNDING or high > 1 + ROUNDING):
            advice = "divide by 255" if low >= 0 and 1.5 < high <= 255 else "scale them to [0, 1]"
            raise ValueError(
                f"{where} has values from {low:.4g} to {high:.4g}, and this model describes values in "
                f"[0, 1]; {advice}"
            )


def _extremes(array: Any, observed: Any) -> tuple[float, float]:
    """The smallest and the largest value, of those that are known."""
    rows = slice(None, None, max(1, -(-array.size // CHECKED_VALUES)))
    some = array[rows]
    if observed is not None:  # where values are missing, x may be anything
        some = jnp.where(jnp.asarray(observed[rows]) > 0, some, 0)
    return float(some.min()), float(some.max())


def check_validation(
    data: Batch,
    validation: Data,
    transform: Transform | None = None,
    validation_transform: Transform | None = None,
) -> Batch:
    """The validation data as a batch, if they fit the training data.

    Raises:
      ValueError: if they are empty or streamed, or their fields or the shapes of their examples, after
        the transforms, are not those of the training data.
    """
    validation = as_data(validation)
    if count(validation) == 0:
        raise ValueError("the validation set is empty")
    if any(isinstance(leaf, Stream) for leaf in jax.tree.leaves(validation)):
        raise ValueError(
            "validation data must be in memory: take some images of the stream, stream[:n]"
        )
    fields, others = (
        {name for name, field in batch._asdict().items() if field is not None}
        for batch in (data, validation)
    )
    for name in sorted(fields ^ others):
        have, lack = ("training", "validation") if name in fields else ("validation", "training")
        raise ValueError(
            f"the {have} data have {name!r} and the {lack} data do not; give both the same fields"
        )
    found = _example_shapes(data, transform), _example_shapes(validation, validation_transform)
    if different := differences(*found, ("has the shape", "in validation")):
        raise ValueError(f"examples for training and validation differ: {'; '.join(different)}")
    return validation


def _example_shapes(data: Batch, transform: Transform | None) -> dict[str, str]:
    def example(leaf: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((1, *leaf.shape[1:]), jax.dtypes.canonicalize_dtype(leaf.dtype))

    batch = jax.eval_shape(
        lambda batch: transformed(batch, jax.random.key(0), transform),
        jax.tree.map(example, data),
    )
    return {
        jax.tree_util.keystr(path)[1:]: f"[{', '.join(map(str, leaf.shape[1:]))}]"
        for path, leaf in jax.tree_util.tree_leaves_with_path(batch)
    }


def matching(given: Any, expected: Any, name: str) -> Any:
    """The leaves of a tree in the structure of another, whose shapes and types they must have.

    Args:
      given: arrays of JAX or NumPy.
      expected: arrays, or their shapes.
      name: what the error calls the tree.

    Raises:
      ValueError: naming the first difference.

    Examples:
      >>> matching({"w": np.zeros(2, np.float32)}, {"w": jnp.zeros(3)}, "params")
      Traceback (most recent call last):
      ValueError: params are not those of this model and optimizer: ['w'] is float32[2] and should be
      float32[3]
    """
    given = jax.tree.map(
        lambda leaf: leaf if isinstance(leaf, jax.Array) else jnp.asarray(leaf), given
    )
    found, wanted = describe(given), describe(expected)
    if different := differences(found, wanted, ("is", "should be")):
        raise ValueError(f"{name} are not those of this model and optimizer: {different[0]}")
    leaves = dict(zip(found, jax.tree.leaves(given), strict=True))
    return jax.tree.unflatten(jax.tree.structure(expected), [leaves[path] for path in wanted])
