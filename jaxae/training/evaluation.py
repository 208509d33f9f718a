"""Scores of every example of a data set, in batches, each example exactly once."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Integer, PRNGKeyArray

from jaxae.arguments import checked
from jaxae.arrays import Step, merge
from jaxae.base import Batch, Params
from jaxae.checks import check_params, check_positive, check_tree, check_values, native
from jaxae.composition import Autoencoder, as_batch
from jaxae.runtime import sharding
from jaxae.runtime.devices import compiler_options
from jaxae.training.batches import Data, Transform, check_per_example, count, transformed
from jaxae.training.programs import Loop, chosen_loop

Score = Callable[[Params, PRNGKeyArray, Any], Mapping[str, Array]]
"""Measures of each example of a batch, `(params, key, batch) -> {name: [b]}`. The batch is a
:class:`jaxae.Batch` if the data are one, and else an array or a tree of arrays like the data."""

EVALUATION_BATCH_SIZE = 256

Metrics = dict[str, float]


@checked
def make_evaluate(
    score: Score,
    *,
    batch_size: int = EVALUATION_BATCH_SIZE,
    mesh: Mesh | None = None,
    loop: Loop = "auto",
) -> Callable[[Params, PRNGKeyArray, Data], dict[str, np.ndarray]]:
    """A function that scores every example exactly once, whatever the batch size.

    Args:
      score: `(params, key, batch) -> {name: [b]}`, pure.
      batch_size: how many examples are scored together. The last batch is filled up with examples from
        the beginning of the data, and their second scores are dropped. Where the score of an example
        depends on the others of its batch, the batch size and these examples matter.
      mesh: the devices that each batch is divided over.
      loop: "scan" for a loop inside one compiled program; "step" for a compiled function of one batch;
        "auto" for "step" where XLA's loops are slow (its own convolutions on CPU), and else "scan".

    Returns:
      `(params, key, data) -> {name: [n]}`, the scores of the examples in their order. The same key gives
      the same scores.

    Raises:
      ValueError: if the score is no function, or the batch size is not positive; by the function, if
        the data are not arrays of examples, or not what the model of `loss_scores` describes.

    Examples:
      >>> brightness = make_evaluate(lambda params, key, x: {"mean": x.mean((1, 2, 3))}, batch_size=2)
      >>> images = jnp.arange(3.0).reshape(3, 1, 1, 1)
      >>> brightness({}, jax.random.key(0), images)["mean"].tolist()
      [0.0, 1.0, 2.0]
    """
    check_positive(batch_size=batch_size)
    check = getattr(score, "check", None)
    device = jax.devices()[0] if mesh is None else mesh.devices.flat[0]
    options: dict[str, Any] = {"compiler_options": compiler_options(device)}
    if mesh is not None:
        options["out_shardings"] = sharding.replicated(mesh)
    scan = jax.jit(make_scores(score, batch_size=batch_size, mesh=mesh), **options)

    def one(params: Params, key: PRNGKeyArray, data: Data, i: Array) -> dict[str, Array]:
        index = _batch_indices(count(data), batch_size, mesh)[i]
        if mesh is not None:
            index = sharding.split(index, mesh)
        return _score_batch(score, params, key, data, i, index)

    step = jax.jit(one, **options)

    @checked
    def evaluate(params: Params, key: PRNGKeyArray, data: Data) -> dict[str, np.ndarray]:
        nonlocal loop
        data = _checked_data(data)
        if check is not None:
            check(params, data)
        n = count(data)
        if n == 0:
            raise ValueError("there is no example to evaluate")
        if loop == "auto":
            loop = chosen_loop(scan.trace(params, key, data).jaxpr, device)
        if loop == "scan":
            return jax.device_get(scan(params, key, data))
        numbers: list[Any] = [np.int32(i) for i in range(-(-n // _size(n, batch_size, mesh)))]
        if mesh is not None:
            numbers = sharding.put(numbers, sharding.replicated(mesh))
        parts = jax.device_get([step(params, key, data, i) for i in numbers])
        return {name: np.concatenate([part[name] for part in parts])[:n] for name in parts[0]}

    return evaluate


def _checked_data(data: Data) -> Data:
    if not isinstance(data, Batch):
        check_tree(data)
    return jax.tree.map(native, data)


def make_scores(
    score: Score, *, batch_size: int = EVALUATION_BATCH_SIZE, mesh: Mesh | None = None
) -> Callable[[Params, PRNGKeyArray, Data], dict[str, Array]]:
    """:func:`make_evaluate` as a pure function, a scan, for use inside `jit`."""

    def scores(params: Params, key: PRNGKeyArray, data: Data) -> dict[str, Array]:
        n = count(data)
        indices = _batch_indices(n, batch_size, mesh)
        if mesh is not None:
            indices = sharding.split(indices, mesh, axis=1)

        def body(_: None, batch: tuple[Array, Array]) -> tuple[None, dict[str, Array]]:
            return None, _score_batch(score, params, key, data, *batch)

        _, found = jax.lax.scan(body, None, (jnp.arange(len(indices)), indices))
        return {name: v.reshape(-1)[:n] for name, v in found.items()}

    return scores


def _size(n: int, batch_size: int, mesh: Mesh | None) -> int:
    """The number of examples that are scored together."""
    size = min(batch_size, n)
    return size if mesh is None else -(-size // mesh.size) * mesh.size


def _batch_indices(n: int, batch_size: int, mesh: Mesh | None) -> Integer[Array, "batches b"]:
    """The examples of each batch; the last batch is filled up with the first examples."""
    size = _size(n, batch_size, mesh)
    batches = -(-n // size)
    return jnp.arange(batches * size).reshape(batches, size) % n


def _score_batch(
    score: Score, params: Params, key: PRNGKeyArray, data: Data, i: Array, index: Array
) -> dict[str, Array]:
    batch = as_batch(jax.tree.map(lambda array: array[index], data))
    # Many scores are functions of images alone: if the data are an array, so is the batch.
    found = score(params, jax.random.fold_in(key, i), batch if isinstance(data, Batch) else batch.x)
    check_per_example(found, len(index))
    return dict(found)


@checked
def loss_scores(
    model: Autoencoder, transform: Transform | None = None
) -> Callable[[tuple[Params, Step], PRNGKeyArray, Data], dict[str, Array]]:
    """A score for :func:`make_evaluate`: the loss, its terms and the metrics, without dropout.

    Its `params` are a pair `(params, step)`; scheduled weights are evaluated at the step.

    Args:
      model: any autoencoder.
      transform: applied to the batch first; its noise depends on the key of the evaluation alone.

    Returns:
      the score. :func:`make_evaluate` calls its `check(params, data)` before anything is compiled.

    Raises:
      ValueError: if the model is none.
    """

    def score(at: tuple[Params, Step], key: PRNGKeyArray, x: Data) -> dict[str, Array]:
        params, step = at
        if transform is not None:
            transform_key, key = jax.random.split(key)
            x = transformed(as_batch(x), transform_key, transform)
        out = model.loss(params, key, x, step=step, train=False)
        return merge({"loss": out.loss}, out.terms, out.metrics)

    def check(at: Any, x: Data) -> None:
        if not isinstance(at, tuple) or len(at) != 2:
            raise ValueError(
                "the params of a loss are a pair, (params, step), for scheduled weights"
            )
        check_params(at[0])
        if transform is None:
            check_values(model.model.unit, x if isinstance(x, Batch) else Batch(x))

    score.check = check  # type: ignore[attr-defined]
    return score


def means(scores: Mapping[str, np.ndarray], prefix: str = "") -> Metrics:
    """The mean of each score over all examples, summed in float64.

    Examples:
      >>> means({"loss": np.float32([1, 2])}, prefix="test/")
      {'test/loss': 1.5}
    """
    return {f"{prefix}{name}": float(np.mean(v, dtype=np.float64)) for name, v in scores.items()}
