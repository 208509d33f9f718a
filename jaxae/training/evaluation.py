"""Scores of every example of a data set, in batches, each example exactly once."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, PRNGKeyArray

from jaxae.arrays import Step
from jaxae.base import Batch, Params
from jaxae.composition import Autoencoder, as_batch
from jaxae.runtime import sharding
from jaxae.runtime.devices import compiler_options
from jaxae.training.batches import Data, check_per_example, count

Score = Callable[[Params, PRNGKeyArray, Any], Mapping[str, Array]]
"""Measures of each example of a batch, `(params, key, batch) -> {name: [b]}`. The batch is an array where
the data are one, and else a :class:`jaxae.Batch`."""

EVALUATION_BATCH_SIZE = 256

Metrics = dict[str, float]


def make_evaluate(
    score: Score,
    *,
    batch_size: int = EVALUATION_BATCH_SIZE,
    mesh: Mesh | None = None,
) -> Callable[[Params, PRNGKeyArray, Data], dict[str, np.ndarray]]:
    """Scores every example exactly once, whatever the batch size.

    Args:
      score: `(params, key, x) -> {name: [b]}`, pure.
      batch_size: how many are scored together; the last batch is filled up with examples that
        have been scored already, and their second scores are dropped.
      mesh: to divide each batch over its devices.

    Returns:
      `(params, key, data) -> {name: [n]}`, the scores of the examples in their order. With the
      same key they are the same.

    Examples:
      >>> brightness = make_evaluate(lambda params, key, x: {"mean": x.mean((1, 2, 3))}, batch_size=2)
      >>> images = jnp.arange(3.0).reshape(3, 1, 1, 1)
      >>> brightness({}, jax.random.key(0), images)["mean"].tolist()
      [0.0, 1.0, 2.0]
    """
    device = jax.devices()[0] if mesh is None else mesh.devices.flat[0]
    scores = make_scores(score, batch_size=batch_size, mesh=mesh)
    options: dict[str, Any] = {"compiler_options": compiler_options(device)}
    if mesh is not None:
        options["out_shardings"] = sharding.replicated(mesh)
    scan = jax.jit(scores, **options)

    def evaluate(params: Params, key: PRNGKeyArray, data: Data) -> dict[str, np.ndarray]:
        if count(data) == 0:
            raise ValueError("there is no example to evaluate")
        return jax.device_get(scan(params, key, data))

    return evaluate


def make_scores(
    score: Score, *, batch_size: int = EVALUATION_BATCH_SIZE, mesh: Mesh | None = None
) -> Callable[[Params, PRNGKeyArray, Data], dict[str, Array]]:
    """:func:`make_evaluate` as a pure function, for use inside `jit`."""

    def scan(params: Params, key: PRNGKeyArray, data: Data) -> dict[str, Array]:
        n = count(data)
        size = min(batch_size, n)
        if mesh is not None:
            size = -(-size // mesh.size) * mesh.size
        batches = -(-n // size)
        indices = jnp.arange(batches * size).reshape(batches, size) % n
        if mesh is not None:
            indices = sharding.split(indices, mesh, axis=1)

        def body(_: None, batch: tuple[Array, Array]) -> tuple[None, dict[str, Array]]:
            i, index = batch
            taken = jax.tree.map(lambda array: array[index], data)
            # An array stays one: many scores are functions of images alone.
            batch = as_batch(taken) if isinstance(data, Batch) else as_batch(taken).x
            scores = score(params, jax.random.fold_in(key, i), batch)
            check_per_example(scores, size)
            return None, dict(scores)

        _, scores = jax.lax.scan(body, None, (jnp.arange(batches), indices))
        return {name: v.reshape(-1)[:n] for name, v in scores.items()}

    return scan


def loss_scores(
    model: Autoencoder,
) -> Callable[[tuple[Params, Step], PRNGKeyArray, Data], dict[str, Array]]:
    """A score for :func:`make_evaluate`: the loss, its terms and the metrics, without dropout.

    Its `params` are a pair `(params, step)`: the step is what scheduled weights are read at.
    """

    def score(at: tuple[Params, Step], key: PRNGKeyArray, x: Data) -> dict[str, Array]:
        params, step = at
        out = model.loss(params, key, x, step=step, train=False)
        return {"loss": out.loss, **out.terms, **out.metrics}

    return score


def means(scores: Mapping[str, np.ndarray], prefix: str = "") -> Metrics:
    """The mean of each score over all examples, summed in float64.

    Examples:
      >>> means({"loss": np.float32([1, 2])}, prefix="test/")
      {'test/loss': 1.5}
    """
    return {f"{prefix}{name}": float(np.mean(v, dtype=np.float64)) for name, v in scores.items()}
