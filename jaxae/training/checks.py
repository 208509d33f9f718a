"""Checks of what `fit` and `fit_many` are given, before anything is compiled."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxae.base import Batch
from jaxae.checks import check_call
from jaxae.data.streams import Stream
from jaxae.training.batches import Data, Transform, as_data, count, transformed
from jaxae.training.packing import describe, differences


def check_on_epoch(on_epoch: Callable[..., Any] | None) -> None:
    """Raises a `ValueError` unless a function can be called with a record and a state."""
    check_call("on_epoch", on_epoch, "record", "state")


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
            "validation data must be in memory: use some images of the stream, stream[:n]"
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
      >>> import numpy as np
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
