"""Data sets as trees of arrays: how many examples there are, their order in an epoch, and batches."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Integer, PRNGKeyArray

from jaxae.arrays import Step
from jaxae.base import Batch
from jaxae.composition import as_batch
from jaxae.data.streams import Stream

Data: TypeAlias = Any
"""An array, `[n, ...]`, a :class:`jaxae.Stream`, a dict of these, or a :class:`jaxae.Batch` of them."""

Transform = Callable[[PRNGKeyArray, Array], Array]
"""What happens to x before the model sees it, `(key, x) -> x`; binarisation, for one."""


def as_data(data: Data) -> Batch:
    """The data set as a :class:`jaxae.Batch`, its arrays as they are.

    Raises:
      ValueError: for a tuple or list, which does not say what is what, if a part is no array, or the
        parts have different numbers of examples.

    Examples:
      >>> as_data(np.zeros((3, 8, 8, 1))).x.shape
      (3, 8, 8, 1)
    """
    if not isinstance(data, Batch):
        if isinstance(data, tuple | list):
            raise ValueError(
                "a tuple or list does not say what is what; give an array, or "
                "jaxae.Batch(x, label=labels), or jaxae.Batch(targets, seen=inputs)"
            )
        data = Batch(data)
    for leaf in jax.tree.leaves(data):
        if not isinstance(leaf, np.ndarray | jax.Array | Stream):
            raise ValueError(f"data are arrays or streams, not {type(leaf).__name__}")
        if leaf.ndim == 0:
            raise ValueError("data are arrays whose first axis is the example, not numbers")
    count(data)
    return data


def count(data: Data) -> int:
    """The number of examples.

    Raises:
      ValueError: if parts of the data have different numbers of examples, or there are none.
    """
    sizes = {
        jax.tree_util.keystr(path).strip(".[]'") or "x": leaf.shape[0]
        for path, leaf in jax.tree_util.tree_leaves_with_path(data)
    }
    if not sizes:
        raise ValueError("there are no data")
    if min(sizes.values()) != max(sizes.values()):
        shown = ", ".join(f"{number} in {name}" for name, number in sizes.items())
        raise ValueError(f"the parts of the data have different numbers of examples: {shown}")
    return next(iter(sizes.values()))


def check_per_example(values: Mapping[str, Any], n: int) -> None:
    """Checks that each array has one value for each of `n` examples.

    Raises:
      ValueError: naming the arrays of another shape.

    Examples:
      >>> check_per_example({"loss": jnp.zeros(2)}, 2)
      >>> check_per_example({"loss": jnp.zeros(())}, 2)
      Traceback (most recent call last):
      ValueError: losses and scores need one value for each example, shape (2,); 'loss' has shape ()
    """
    for name, value in values.items():
        if value.shape != (n,):
            raise ValueError(
                f"losses and scores need one value for each example, shape ({n},); {name!r} has shape "
                f"{value.shape}"
            )


def epoch_order(key: PRNGKeyArray, start: Step, n: int) -> Integer[Array, " n"]:
    """The order of the examples in the epoch that begins after `start` updates: of (key, start) only."""
    # One sort of 32 random bits: jax.random.permutation sorts twice, so that not even the order of two
    # examples that draw the same bits is fixed.
    return jnp.argsort(jax.random.bits(jax.random.fold_in(key, start), (n,)))


def batched(order: Any, batch_size: int) -> Any:
    """The indices of every batch of an epoch, `[steps, b]`; those left over are left out."""
    return order[: order.shape[0] // batch_size * batch_size].reshape(-1, batch_size)


def taker(data: Data) -> Callable[[Array], Data]:
    """The function that takes the examples of some indices out of arrays on the device."""
    n = count(data)
    # XLA on CPU copies rows faster than images.
    rows = jax.tree.map(lambda array: array.reshape(n, -1), data)

    def take(index: Array) -> Data:
        def of(rows: Array, array: Array) -> Array:
            chosen = rows.at[index].get(mode="promise_in_bounds")
            return chosen.reshape(len(index), *array.shape[1:])

        return jax.tree.map(of, rows, data)

    return take


def check_batch_size(batch_size: int, n: int) -> None:
    """Raises a `ValueError` unless a batch has between one and `n` examples."""
    if batch_size < 1:
        raise ValueError(f"the batch size must be positive, got {batch_size}")
    if batch_size > n:
        raise ValueError(f"the batch size {batch_size} is larger than the {n} training examples")


def transformed(batch: Batch, key: PRNGKeyArray, transform: Transform | None) -> Batch:
    """The batch with its transform applied: to `x`, and with the same key to `seen`, if there is one."""
    batch = as_batch(batch)
    if transform is None:
        return batch
    seen = None if batch.seen is None else transform(key, batch.seen)
    return batch._replace(x=transform(key, batch.x), seen=seen)
