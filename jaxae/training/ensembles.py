"""Training many models in one program: an ensemble over seeds, or a sweep over hyper-parameters."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray

from jaxae.arguments import checked
from jaxae.base import Params
from jaxae.checks import check_call, check_key, check_positive, check_values
from jaxae.composition import Autoencoder
from jaxae.data.streams import Stream
from jaxae.runtime.cache import enable_compilation_cache
from jaxae.runtime.devices import compiler_options
from jaxae.training import checks
from jaxae.training.batches import (
    Data,
    Transform,
    as_data,
    check_batch_size,
    count,
    spread_indices,
    taker,
    transform_key,
    transformed,
)
from jaxae.training.evaluation import EVALUATION_BATCH_SIZE, loss_scores, make_scores
from jaxae.training.loop import NonFiniteError
from jaxae.training.monitoring import check_comparable, check_monitor, varying
from jaxae.training.progress import EpochProgress
from jaxae.training.step import (
    GRADIENT_NORM,
    NORM_EVERY,
    NOT_COMPUTED,
    TrainState,
    init_state,
    make_epoch,
)

Make = Callable[[Any], tuple[Autoencoder, optax.GradientTransformation]]


class ManyFits(NamedTuple):
    """What `fit_many` returns; the first axis of every array is the model.

    Attributes:
      params: the parameters with the best validation score (the last ones without validation).
      state: the state after the last epoch.
      history: each metric, `[models, epochs]`; the names are those of the records of `fit`.
      best_epoch: the epochs that `params` are from; 0, and the initial parameters, for a model whose
        validation score was never finite.
    """

    params: Params
    state: TrainState
    history: dict[str, Float[np.ndarray, "models epochs"]]
    best_epoch: Int[np.ndarray, " models"]


@checked
def fit_many(
    make: Make,
    data: Data,
    *,
    keys: Key[Array, "*models"],
    values: Any = None,
    epochs: int,
    batch_size: int = 128,
    validation: Data | None = None,
    monitor: str | None = None,
    transform: Transform | None = None,
    validation_transform: Transform | None = None,
    evaluation_batch_size: int | None = None,
    progress: bool = True,
) -> ManyFits:
    """Trains a model for each key in one compiled program: `fit` under `vmap`.

    Each model has its own initialisation, order of the examples and noise. It is the model that `fit`
    trains with this key, up to the order of sums. The models share one copy of the data. On a GPU or TPU,
    many small models cost little more than one.

    Args:
      make: a function from one of the values to a model and its optimizer. The value is traced: it may be
        a learning rate, or a weight as the schedule ``lambda step: value``, but not a shape.
      data: the training set: an array, `[n, ...]`, or a :class:`jaxae.Batch` of arrays.
      keys: one for each model, `[models]`, from `jax.random.split`.
      values: a tree of arrays, `[models, ...]`, for `make`; None if only the keys vary.
      epochs: passes over the data.
      batch_size: of each model.
      validation: data that are not trained on, scored after each epoch with the same noise each time.
      monitor: the validation score to select by; smaller is better. The model's own when None.
      transform: applied to each training batch, with fresh randomness.
      validation_transform: applied to the validation data, with noise that is the same in every epoch.
      evaluation_batch_size: as in :func:`fit`.
      progress: whether to show it, on standard error.

    Returns:
      a :class:`ManyFits`.

    Raises:
      ValueError: if the numbers of keys and values differ, or an argument does not fit the data or the
        model; the message says what to do.
      NonFiniteError: when the losses of all models are not finite. That of a single one may be: a sweep over
        learning rates is meant to find out where.

    Examples:
      >>> import jaxae
      >>> from jaxae.networks import mlp_decoder, mlp_encoder
      >>> model = jaxae.autoencoder(mlp_encoder(2), mlp_decoder((8, 8, 1)))
      >>> images = np.zeros((20, 8, 8, 1), np.uint8)
      >>> fits = fit_many(lambda rate: (model, optax.adam(rate)), images,
      ...                 keys=jax.random.split(jax.random.key(0), 3),
      ...                 values=jnp.array([1e-4, 1e-3, 1e-2]),
      ...                 epochs=2, batch_size=10, progress=False)
      >>> fits.history["train/loss"].shape
      (3, 2)
    """
    check_key(keys, "keys", ndim=1)
    check_call("transform", transform, "key", "x")
    check_call("validation_transform", validation_transform, "key", "x")
    check_positive(epochs=epochs, evaluation_batch_size=evaluation_batch_size)
    n = keys.shape[0]
    if any(jnp.ndim(leaf) == 0 or len(leaf) != n for leaf in jax.tree.leaves(values)):
        raise ValueError(f"there are {n} keys, so each of the values must have {n} rows")
    data = as_data(data)
    if any(isinstance(leaf, Stream) for leaf in jax.tree.leaves(data)):
        raise ValueError(
            "many models share data in memory; use some images of the stream, stream[:n]"
        )
    check_batch_size(batch_size, count(data))
    first_model = _checked_make(make, jax.tree.map(lambda leaf: leaf[0], values))
    if transform is None:
        check_values(first_model.model.unit, data)
    else:
        some = jax.tree.map(lambda array: jnp.asarray(array[:batch_size]), data)
        check_values(first_model.model.unit, transformed(some, keys[0], transform))
    if validation is not None:
        validation = checks.check_validation(data, validation, transform, validation_transform)
        if validation_transform is None:
            check_values(first_model.model.unit, validation, "validation x")
    enable_compilation_cache()

    def start(one: tuple[PRNGKeyArray, Any], data: Data) -> tuple[TrainState, Array, Array]:
        key, value = one
        init_key, train_key, validation_key = jax.random.split(key, 3)
        index = jnp.asarray(spread_indices(count(data), batch_size))
        first = transformed(taker(data)(index), transform_key(train_key, 0), transform)
        return init_state(*make(value), init_key, first), train_key, validation_key

    def epoch(one: tuple[TrainState, PRNGKeyArray, Any], x: Data) -> tuple[TrainState, Any]:
        state, key, value = one
        norm_every = min(NORM_EVERY, count(x) // batch_size)
        run_epoch = make_epoch(*make(value), batch_size, transform=transform, norm_every=norm_every)
        state, metrics = run_epoch(state, key, x)
        return state, {
            name: jnp.mean(v, where=v != NOT_COMPUTED if name == GRADIENT_NORM else None)
            for name, v in metrics.items()
        }

    def evaluate(one: tuple[TrainState, PRNGKeyArray, Any], x: Data) -> dict[str, Array]:
        state, key, value = one
        model = make(value)[0]
        size = evaluation_batch_size
        if size is None:
            size = batch_size if model.coupled else EVALUATION_BATCH_SIZE
        score = make_scores(loss_scores(model, validation_transform), batch_size=size)
        scores = score((state.params, state.step), key, x)
        return {name: jnp.mean(v) for name, v in scores.items()}

    examples = jax.tree.map(jnp.asarray, data)
    held_out = None if validation is None else jax.tree.map(jnp.asarray, validation)
    options = compiler_options(jax.devices()[0])
    compiled = partial(jax.jit, compiler_options=options)
    state, train_keys, validation_keys = compiled(_each(start))((keys, values), examples)
    run, score = compiled(_each(epoch)), compiled(_each(evaluate))
    if held_out is not None:
        if monitor is None and first_model.monitor == "loss":
            check_comparable(varying(first_model, epochs * (count(data) // batch_size)))
        names = jax.eval_shape(score, (state, validation_keys, values), held_out).keys()
        monitor = check_monitor(first_model.monitor if monitor is None else monitor, names)
    best, best_score, best_epoch = state.params, np.full(n, np.inf), np.zeros(n, int)
    history: list[dict[str, np.ndarray]] = []
    with EpochProgress(epochs, shown=progress) as bar:
        for number in range(1, epochs + 1):
            started = time.perf_counter()
            state, metrics = run((state, train_keys, values), examples)
            record = {f"train/{name}": v for name, v in jax.device_get(metrics).items()}
            seconds = time.perf_counter() - started
            monitored = np.full(n, -number)  # without validation, the last is the best
            if held_out is not None:
                scores = jax.device_get(score((state, validation_keys, values), held_out))
                record |= {f"validation/{name}": v for name, v in scores.items()}
                monitored = scores[monitor]
            if not np.isfinite(record["train/loss"]).any():
                steps = number * (count(data) // batch_size)
                raise NonFiniteError(
                    f"none of the {n} losses is finite after epoch {number}", steps
                )
            better = monitored < best_score
            best = _choose(better, state.params, best)
            best_score = np.where(better, monitored, best_score)
            best_epoch = np.where(better, number, best_epoch)
            history.append(record)
            images_per_second = n * (count(data) // batch_size * batch_size) / seconds
            means = {name: float(np.nanmean(v)) for name, v in record.items()}
            bar({"epoch": number, "images_per_second": images_per_second, **means})
    stacked = {name: np.stack([record[name] for record in history], 1) for name in history[0]}
    return ManyFits(best, state, stacked, best_epoch)


def _checked_make(make: Make, value: Any) -> Autoencoder:
    """The first model, if `make` returns a model and an optimizer."""
    made = make(value)
    if not (
        type(made) in (tuple, list)
        and len(made) == 2
        and isinstance(made[0], Autoencoder)
        and isinstance(made[1], optax.GradientTransformation)
    ):
        raise ValueError(
            "make must return a model and its optimizer, such as (jaxae.vae(...), optax.adam(1e-3)), not "
            f"{made if isinstance(made, int | float | str) else type(made).__name__}"
        )
    return made[0]


def _each(function: Callable[[Any, Data], Any]) -> Callable[[Any, Data], Any]:
    """A function over the first axis of its first argument: at once, but on CPU one after the other.

    One model keeps a CPU busy, and batched products are slower there than single ones (measured: 0.8 of
    the speed for an MLP, 0.4 for convolutions).
    """
    if jax.default_backend() == "cpu":
        return lambda many, x: jax.lax.map(lambda one: function(one, x), many)
    return jax.vmap(function, (0, None))


@jax.jit
def _choose(better: Array, new: Params, old: Params) -> Params:
    def choose(a: Array, b: Array) -> Array:
        return jnp.where(better.reshape(-1, *[1] * (a.ndim - 1)), a, b)

    return jax.tree.map(choose, new, old)
