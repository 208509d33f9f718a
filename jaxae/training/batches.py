"""Data sets as trees of arrays: the number of examples, their order in an epoch, and batches."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Integer, PRNGKeyArray

from jaxae.arrays import Step
from jaxae.base import Batch
from jaxae.checks import check_positive, check_tree, native
from jaxae.composition import as_batch
from jaxae.data.streams import Stream

Data: TypeAlias = Any
"""An array, `[n, ...]`, a :class:`jaxae.Stream`, a dict of these, or a :class:`jaxae.Batch` of them."""

Transform = Callable[[PRNGKeyArray, Any], Any]
"""A random change of x before the model sees it, `(key, x) -> x`, such as binarisation."""


def as_data(data: Data) -> Batch:
    """The data set as a :class:`jaxae.Batch`. Arrays of another byte order are converted.

    Raises:
      ValueError: for splits, a tuple or a list, which do not say which array is which; if a part is not
        an array of numbers; or if the parts have different numbers of examples.

    Examples:
      >>> as_data(np.zeros((3, 8, 8, 1))).x.shape
      (3, 8, 8, 1)
    """
    if not isinstance(data, Batch):
        check_tree(data)
        data = Batch(data)
    data = jax.tree.map(_checked_array, data)
    count(data)
    return data


def _checked_array(leaf: Any) -> Any:
    if isinstance(leaf, Stream):
        return leaf
    leaf = native(leaf)
    if leaf.ndim == 0:
        raise ValueError(
            "the first axis of data is the example, but a part of the data is a single number"
        )
    return leaf


def count(data: Data) -> int:
    """The number of examples.

    Raises:
      ValueError: if parts of the data have different numbers of examples, or there are no parts.
    """
    sizes = {
        jax.tree_util.keystr(path).strip(".[]'") or "x": leaf.shape[0]
        for path, leaf in jax.tree_util.tree_leaves_with_path(data)
    }
    if not sizes:
        raise ValueError("the data contain no array")
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
    """The order of the examples in the epoch that begins after `start` updates.

    It is a function of the key and of `start` alone.
    """
    # One sort of 32 random bits. jax.random.permutation sorts twice, so that even examples that draw
    # the same bits are in random order, which makes no difference here.
    return jnp.argsort(jax.random.bits(jax.random.fold_in(key, start), (n,)))


def batched(order: Any, batch_size: int) -> Any:
    """The indices of every batch of an epoch, `[steps, b]`; an incomplete last batch is left out."""
    return order[: order.shape[0] // batch_size * batch_size].reshape(-1, batch_size)


def taker(data: Data) -> Callable[[Array], Data]:
    """A function from indices to the examples at these indices, for arrays on the device."""
    n = count(data)
    # XLA on CPU copies rows faster than images.
    rows = jax.tree.map(lambda array: array.reshape(n, -1), data)

    def take(index: Array) -> Data:
        def take_rows(rows: Array, array: Array) -> Array:
            chosen = rows.at[index].get(mode="promise_in_bounds")
            return chosen.reshape(len(index), *array.shape[1:])

        return jax.tree.map(take_rows, rows, data)

    return take


def batches_of(
    data: Data, key: PRNGKeyArray, batch_size: int, step: int, first_step: int = 0
) -> Integer[np.ndarray, "steps b"]:
    """The indices of all batches of the epoch that contains a step.

    Args:
      data: the training set.
      key: of the training.
      batch_size: the number of examples of a batch.
      step: the number of updates before the step.
      first_step: the number of updates before the first epoch.
    """
    n = count(data)
    start = step - (step - first_step) % (n // batch_size)
    # On one device of this process, whatever the mesh is.
    with jax.default_device(jax.local_devices()[0]):
        order = _epoch_order(jax.random.split(key)[0], np.int32(start), n)
    return batched(np.asarray(order), batch_size)


def batch_at(data: Data, key: PRNGKeyArray, batch_size: int, step: int, first_step: int = 0) -> Any:
    """The examples of the batch after `step` updates, on all processes."""
    batches = batches_of(data, key, batch_size, step, first_step)
    return host_examples(data, batches[(step - first_step) % len(batches)])


def host_examples(data: Data, index: np.ndarray) -> Any:
    """The examples at some indices, as NumPy arrays."""
    return jax.tree.map(lambda array: np.asarray(array[index]), data)


def spread_indices(n: int, size: int) -> Integer[np.ndarray, " size"]:
    """Indices of a few examples, evenly spread: data may be sorted by class.

    Parameters that depend on data are initialised from these.

    Examples:
      >>> spread_indices(10, 4).tolist()
      [0, 3, 6, 9]
    """
    return np.linspace(0, n - 1, size).astype(int)


_epoch_order = jax.jit(epoch_order, static_argnums=2)


def check_batch_size(batch_size: int, n: int) -> None:
    """Raises a `ValueError` unless a batch has between one and `n` examples."""
    if n == 0:
        raise ValueError("the training set is empty")
    check_positive(batch_size=batch_size)
    if batch_size > n:
        raise ValueError(f"the batch size {batch_size} is larger than the {n} training examples")


def transformed(batch: Data, key: PRNGKeyArray, transform: Transform | None) -> Batch:
    """The batch with its transform applied to `x`, and with the same key to `seen`, if there is one."""
    batch = as_batch(batch)
    if transform is None:
        return batch
    if batch.observed is not None:
        raise ValueError(
            "a transform moves the values of x and not the mask in observed; apply it to the data instead"
        )
    seen = None if batch.seen is None else transform(key, batch.seen)
    return batch._replace(x=transform(key, batch.x), seen=seen)


def transform_key(train_key: PRNGKeyArray, step: Step) -> PRNGKeyArray:
    """The key of the transform at a step of a training whose key is `train_key`."""
    return step_keys(jax.random.split(train_key)[1], step)[0]


def step_keys(key: PRNGKeyArray, step: Step) -> tuple[PRNGKeyArray, PRNGKeyArray]:
    """The keys of the transform and of the loss at a step."""
    transform, loss = jax.random.split(jax.random.fold_in(key, step))
    return transform, loss
