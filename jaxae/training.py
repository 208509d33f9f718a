"""Training: one step, one epoch in a single `jit`, one evaluator, and `fit` around them.

Every random number is a function of (key, step): no generator has state, so that a run that was
stopped and resumed draws the same permutations and the same noise as one that was not.
"""

import functools
import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias, TypeVar

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from jax.stages import Wrapped
from jaxtyping import Array, Float, Integer, PRNGKeyArray

from jaxae import parallel
from jaxae.averaging import average as averages
from jaxae.averaging import averaged
from jaxae.base import Autoencoder, Params, Step, as_float
from jaxae.cache import keep_programs
from jaxae.checkpoint import Checkpoints, stop_signals
from jaxae.progress import EpochProgress

Tree = TypeVar("Tree")

Examples: TypeAlias = Array | np.ndarray | tuple[Array | np.ndarray, Array | np.ndarray]
"""Images, `[n, ...]`; or a pair, images and the targets to make of them: other images, `[n, ...]`,
or labels, `[n]`."""

Transform = Callable[[PRNGKeyArray, Array], Array]
"""What happens to a batch before the model sees it, `(key, x) -> x`; binarisation, for one."""

Score = Callable[[Params, PRNGKeyArray, Any], Mapping[str, Array]]
"""What is known of each example of a batch, `(params, key, x) -> {name: [b]}`; of pairs, `x` is
a pair."""

Metrics = dict[str, float]
Record = dict[str, int | float]
"""What is known of an epoch: its number, the step, times, and the means of losses and terms."""


class TrainState(NamedTuple):
    """All that training carries from one step to the next.

    Attributes:
      step: how many updates were made, int32.
      params: of the model.
      opt_state: of the optimizer.
    """

    step: Integer[Array, ""]
    params: Params
    opt_state: optax.OptState


class Fit(NamedTuple):
    """What `fit` returns.

    Attributes:
      params: the parameters with the best validation score (the last ones without validation).
      state: the state after the last epoch.
      history: a record of each epoch.
      best_epoch: the epoch that `params` are from.
      compile_seconds: how long the compilation took.
    """

    params: Params
    state: TrainState
    history: list[Record]
    best_epoch: int
    compile_seconds: float


class NonFiniteError(ValueError):
    """A loss stopped being finite; the message names the term and the step."""


class Interrupted(KeyboardInterrupt):
    """The run was asked to stop; everything up to the end of the epoch is saved."""


def init_state(
    model: Autoencoder,
    optimizer: optax.GradientTransformation,
    key: PRNGKeyArray,
    x: Array | np.ndarray,
) -> TrainState:
    """The state before the first step; `x` is a few images, for their shape."""
    params = model.init(key, as_float(x))
    return TrainState(jnp.zeros((), jnp.int32), params, optimizer.init(params))


def make_step(
    model: Autoencoder,
    optimizer: optax.GradientTransformation,
    *,
    transform: Transform | None = None,
) -> Callable[[TrainState, PRNGKeyArray, Examples], tuple[TrainState, dict[str, Array]]]:
    """One update of the parameters as a pure function, to be compiled by the caller.

    Args:
      model: any autoencoder.
      optimizer: from optax.
      transform: applied to the images first, with fresh randomness each step.

    Returns:
      `(state, key, x) -> (state, metrics)`; `x` is images or a pair of images and targets, the
      randomness of the step is `fold_in(key,
      state.step)`, and the metrics are the mean loss and the mean of every term, in nats.

    Examples:
      >>> import jaxae
      >>> model = jaxae.autoencoder(jaxae.mlp_encoder(2), jaxae.mlp_decoder((8, 8, 1)))
      >>> optimizer = optax.adam(1e-3)
      >>> images = jnp.zeros((4, 8, 8, 1))
      >>> state = init_state(model, optimizer, jax.random.key(0), images)
      >>> step = jax.jit(make_step(model, optimizer))
      >>> state, metrics = step(state, jax.random.key(1), images)
      >>> int(state.step), sorted(metrics)
      (1, ['distortion', 'loss'])
    """

    def step(
        state: TrainState, key: PRNGKeyArray, x: Examples
    ) -> tuple[TrainState, dict[str, Array]]:
        transform_key, loss_key = jax.random.split(jax.random.fold_in(key, state.step))
        x, target = _as_floats(x)
        if transform is not None:
            x = transform(transform_key, x)

        def objective(params: Params) -> tuple[Array, dict[str, Array]]:
            out = model.loss(params, loss_key, x, target=target, step=state.step, train=True)
            chex.assert_shape([out.loss, *out.terms.values()], (x.shape[0],))
            return jnp.mean(out.loss), {name: jnp.mean(v) for name, v in out.terms.items()}

        (loss, terms), gradient = jax.value_and_grad(objective, has_aux=True)(state.params)
        updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        return TrainState(state.step + 1, params, opt_state), {"loss": loss, **terms}

    return step


def make_epoch(
    model: Autoencoder,
    optimizer: optax.GradientTransformation,
    batch_size: int,
    *,
    transform: Transform | None = None,
    mesh: Mesh | None = None,
) -> Wrapped:
    """A whole epoch as one compiled program: a permutation, and a scan over its batches.

    Args:
      model: any autoencoder.
      optimizer: from optax.
      batch_size: the batch over all devices; examples left over wait for the next permutation.
      transform: as in :func:`make_step`.
      mesh: to divide each batch over its devices.

    Returns:
      `(state, key, images) -> (state, metrics)`, compiled; the state is donated, `images` are
      bytes or floats on the device, `[n, h, w, c]`, or a pair of them and their targets, and each of
      the metrics is `[steps]`.

    Raises:
      ValueError: if a batch is larger than the data, or does not divide by the devices.
    """
    step = make_step(model, optimizer, transform=transform)
    if mesh is not None:
        parallel.check_divides(batch_size, mesh)

    @partial(jax.jit, donate_argnums=0)
    def epoch(
        state: TrainState, key: PRNGKeyArray, images: Examples
    ) -> tuple[TrainState, dict[str, Array]]:
        n = count(images)
        check_batch_size(batch_size, n)
        order_key, step_key = jax.random.split(key)
        # One sort of 32 random bits: jax.random.permutation sorts twice, so that not even the order
        # of two examples that draw the same bits is fixed.
        order = jnp.argsort(jax.random.bits(jax.random.fold_in(order_key, state.step), (n,)))
        batches = order[: n // batch_size * batch_size].reshape(-1, batch_size)
        if mesh is not None:
            batches = parallel.split_last_axis(batches, mesh)
        # XLA on CPU copies rows faster than images.
        rows = jax.tree.map(lambda array: array.reshape(n, -1), images)

        def body(state: TrainState, index: Array) -> tuple[TrainState, dict[str, Array]]:
            def take(rows: Array, array: Array) -> Array:
                chosen = rows.at[index].get(mode="promise_in_bounds")
                return chosen.reshape(batch_size, *array.shape[1:])

            return step(state, step_key, jax.tree.map(take, rows, images))

        return jax.lax.scan(body, state, batches)

    return epoch


def make_evaluate(
    score: Score,
    *,
    batch_size: int = 256,
    mesh: Mesh | None = None,
) -> Callable[[Params, PRNGKeyArray, Examples], dict[str, np.ndarray]]:
    """Scores every example exactly once, whatever the batch size.

    Args:
      score: `(params, key, x) -> {name: [b]}`, pure.
      batch_size: how many are scored together; the last batch is filled up with examples that
        have been scored already, and their second scores are dropped.
      mesh: to divide each batch over its devices.

    Returns:
      `(params, key, images) -> {name: [n]}`, the scores of the examples in their order. With the
      same key they are the same.

    Examples:
      >>> brightness = make_evaluate(lambda params, key, x: {"mean": x.mean((1, 2, 3))}, batch_size=2)
      >>> images = jnp.arange(3.0).reshape(3, 1, 1, 1)
      >>> brightness({}, jax.random.key(0), images)["mean"].tolist()
      [0.0, 1.0, 2.0]
    """
    device = jax.devices()[0] if mesh is None else mesh.devices.flat[0]
    scores = make_scores(score, batch_size=batch_size, mesh=mesh)
    scan = jax.jit(scores, compiler_options=compiler_options(device))

    def evaluate(params: Params, key: PRNGKeyArray, images: Examples) -> dict[str, np.ndarray]:
        if count(images) == 0:
            raise ValueError("there is no example to evaluate")
        return jax.device_get(scan(params, key, images))

    return evaluate


def make_scores(
    score: Score, *, batch_size: int = 256, mesh: Mesh | None = None
) -> Callable[[Params, PRNGKeyArray, Examples], dict[str, Array]]:
    """:func:`make_evaluate` as a pure function, for use inside `jit`."""

    def scan(params: Params, key: PRNGKeyArray, images: Examples) -> dict[str, Array]:
        n = count(images)
        size = min(batch_size, n)
        if mesh is not None:
            size = -(-size // mesh.size) * mesh.size
        batches = -(-n // size)
        indices = jnp.arange(batches * size).reshape(batches, size) % n
        if mesh is not None:
            indices = parallel.split_last_axis(indices, mesh)

        def body(_: None, batch: tuple[Array, Array]) -> tuple[None, dict[str, Array]]:
            i, index = batch
            x, target = _as_floats(jax.tree.map(lambda array: array[index], images))
            examples: Examples = x if target is None else (x, target)
            scores = score(params, jax.random.fold_in(key, i), examples)
            chex.assert_shape(list(scores.values()), (size,))
            return None, dict(scores)

        _, scores = jax.lax.scan(body, None, (jnp.arange(batches), indices))
        return {name: v.reshape(-1)[:n] for name, v in scores.items()}

    return scan


def loss_scores(
    model: Autoencoder,
) -> Callable[[tuple[Params, Step], PRNGKeyArray, Examples], dict[str, Array]]:
    """A score for :func:`make_evaluate`: the loss and its terms, without dropout.

    Its `params` are a pair `(params, step)`: the step is what scheduled weights are read at.
    """

    def score(at: tuple[Params, Step], key: PRNGKeyArray, x: Examples) -> dict[str, Array]:
        params, step = at
        images, target = _as_floats(x)
        out = model.loss(params, key, images, target=target, step=step, train=False)
        return {"loss": out.loss, **out.terms}

    return score


def means(scores: Mapping[str, np.ndarray], prefix: str = "") -> Metrics:
    """The mean of each score over all examples, summed in float64.

    Examples:
      >>> means({"loss": np.float32([1, 2])}, prefix="test/")
      {'test/loss': 1.5}
    """
    return {f"{prefix}{name}": float(np.mean(v, dtype=np.float64)) for name, v in scores.items()}


def fit(
    model: Autoencoder,
    images: Examples,
    *,
    optimizer: optax.GradientTransformation,
    epochs: int,
    key: PRNGKeyArray,
    batch_size: int = 128,
    validation: Examples | None = None,
    monitor: str = "loss",
    patience: int | None = None,
    transform: Transform | None = None,
    average: float | None = None,
    devices: Sequence[jax.Device] | None = None,
    checkpoints: Checkpoints | None = None,
    on_epoch: Callable[[Record], Any] | None = None,
    progress: bool = True,
) -> Fit:
    """Trains a model.

    Args:
      model: any autoencoder.
      images: the training set, `[n, h, w, c]`, bytes or floats in [0, 1]; or a pair of it and the
        targets, which are images too, or labels, `[n]`.
      optimizer: from optax.
      epochs: passes over the data, counted from the beginning of the run.
      key: what the run is a function of.
      batch_size: over all devices.
      validation: images (or pairs) that are not trained on, scored after each epoch with fixed noise.
      monitor: the validation score to select by: "loss" or the name of a term; smaller is better.
      patience: stop after so many epochs without a better validation score; None: never.
      transform: applied to the images of each training batch, with fresh randomness.
      average: the decay of an exponential moving average of the parameters (:func:`averaged`), which is
        then what is validated, kept and returned; the training itself is the same.
      devices: to train on, all of them when None.
      checkpoints: where to save. If there is something saved, the run goes on from there. SIGINT
        (Ctrl-C) and SIGTERM then end the epoch, save, and raise :class:`Interrupted`.
      on_epoch: called with the record of each epoch, those before a resumption included.
      progress: whether to show it, on standard error.

    Returns:
      a :class:`Fit`.

    Raises:
      ValueError: if a size does not fit the data, or `monitor` is not a score of the model that epochs
        can be selected by, which the loss of a game is not.
      NonFiniteError: when a term stops being finite. The state before that epoch is saved.

    Examples:
      >>> import jaxae
      >>> model = jaxae.autoencoder(jaxae.mlp_encoder(2), jaxae.mlp_decoder((8, 8, 1)))
      >>> images = np.zeros((20, 8, 8, 1), np.uint8)
      >>> trained = fit(model, images, optimizer=optax.adam(1e-3), epochs=2, batch_size=10,
      ...               key=jax.random.key(0), progress=False)
      >>> int(trained.state.step)
      4
    """
    if epochs < 1:
        raise ValueError(f"epochs must be positive, got {epochs}")
    if patience is not None and patience < 1:
        raise ValueError(f"patience must be positive, got {patience}")
    if patience is not None and validation is None:
        raise ValueError("patience needs a validation set")
    if validation is not None and count(validation) == 0:
        raise ValueError("the validation set is empty")
    check_batch_size(batch_size, count(images))
    if average is not None:
        optimizer = averaged(optimizer, average)
    mesh = parallel.data_mesh(devices)
    parallel.check_divides(batch_size, mesh)
    keep_programs()
    init_key, train_key, validation_key = jax.random.split(key, 3)

    first, target = _as_floats(jax.tree.map(lambda array: array[:1], images))
    state = jax.jit(partial(init_state, model, optimizer))(init_key, first)
    score = loss_scores(model)
    if validation is not None:
        at = (state.params, state.step)
        # Two: a model that compares the examples of a batch has nothing to say of one.
        two = jax.tree.map(lambda array: jnp.repeat(array, 2, axis=0), (first, target))
        examples: Examples = two[0] if target is None else two
        check_monitor(monitor, jax.eval_shape(score, at, validation_key, examples).keys())
    best = Best(state.params, math.inf, 0)
    history: list[Record] = []
    if checkpoints is not None and (saved := checkpoints.restore(state, state.params)):
        state = saved.state
        best = Best(saved.best, saved.meta["best_score"], saved.meta["best_epoch"])
        history = saved.meta["history"]
    for earlier in history:
        if on_epoch is not None:
            on_epoch(earlier)
    state, best_params = parallel.replicate((state, best.params), mesh)
    # Copies: the first epoch consumes the state, and these may be the same buffers.
    best = best._replace(params=_copy(best_params))
    data, held_out = (
        None if part is None else parallel.replicate(jax.tree.map(jnp.asarray, part), mesh)
        for part in (images, validation)
    )
    evaluate = make_evaluate(score, mesh=mesh)

    def kept(state: TrainState) -> Params:
        return state.params if average is None else averages(state.opt_state)

    def save(state: TrainState) -> None:
        if checkpoints is not None:
            meta = {"history": history, "best_score": best.score, "best_epoch": best.epoch}
            checkpoints.save(int(state.step), state, best.params, meta)

    def finished() -> bool:
        waited = len(history) - best.epoch
        return len(history) >= epochs or (patience is not None and waited >= patience)

    if finished():
        return Fit(best.params, state, history, best.epoch, compile_seconds=0.0)
    with (
        stop_signals(enabled=checkpoints is not None) as stop,
        EpochProgress(epochs, shown=progress) as bar,
    ):
        started = time.perf_counter()
        epoch = make_epoch(model, optimizer, batch_size, transform=transform, mesh=mesh)
        compiled = epoch.lower(state, train_key, data).compile(
            compiler_options(mesh.devices.flat[0])
        )
        compile_seconds = time.perf_counter() - started
        saved_at = time.perf_counter()
        while not finished():
            # The epoch consumes the state: this is what is left to save if something goes wrong.
            good = _copy(state)
            started = time.perf_counter()
            try:
                state, metrics = compiled(state, train_key, data)
                values = jax.device_get(metrics)
            except KeyboardInterrupt:
                save(good)
                raise Interrupted(f"saved after epoch {len(history)} of {epochs}") from None
            seconds = time.perf_counter() - started
            record: Record = {
                "epoch": len(history) + 1,
                "step": int(state.step),
                "seconds": seconds,
                "images_per_second": len(values["loss"]) * batch_size / seconds,
                **means(values, "train/"),
            }
            monitored = -math.inf
            try:
                _check_finite(values, int(good.step))
                if not _all_finite(state.params):
                    raise NonFiniteError(f"the parameters {_STOPPED} {int(good.step)} or later")
                if held_out is not None:
                    at = (kept(state), state.step)
                    scores = means(evaluate(at, validation_key, held_out), "validation/")
                    _check_finite(scores, int(state.step))
                    record |= scores
                    monitored = scores[f"validation/{monitor}"]
            except NonFiniteError:
                save(good)
                raise
            history.append(record)
            if held_out is None or monitored < best.score:
                best = Best(_copy(kept(state)), monitored, len(history))
            if finished() or stop or time.perf_counter() - saved_at > SAVE_EVERY_SECONDS:
                save(state)
                saved_at = time.perf_counter()
            bar(record)
            if on_epoch is not None:
                on_epoch(record)
            if stop:
                raise Interrupted(f"saved after epoch {len(history)} of {epochs}")
    return Fit(best.params, state, history, best.epoch, compile_seconds)


SAVE_EVERY_SECONDS = 20.0


@functools.cache
def compiler_options(device: jax.Device) -> dict[str, Any]:
    """What XLA should know of a device, of the options that this version of it has.

    On CPU, to leave only single matrix products to YNNPACK: its sums over a middle axis are far
    slower than XLA's own (benchmarks/README.md). Not to use registers of 512 bits: that was 6 %
    faster, and in jax 0.10.2 its arctan is wrong in most places.
    """
    if device.platform != "cpu":
        return {}
    options = {
        "xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT",
    }
    return {name: value for name, value in options.items() if _is_known({name: value})}


def _is_known(options: dict[str, Any]) -> bool:
    empty = jax.jit(lambda: None).lower()
    try:
        empty.compile(options)
    except jax.errors.JaxRuntimeError:
        return False
    return True


class Best(NamedTuple):
    """The parameters to keep, their validation score, and the epoch they are from."""

    params: Params
    score: float
    epoch: int


def count(examples: Examples) -> int:
    """How many there are.

    Raises:
      ValueError: if images and targets differ in number.
    """
    sizes = [array.shape[0] for array in jax.tree.leaves(examples)]
    if min(sizes) != max(sizes):
        raise ValueError(f"there are {sizes[0]} images and {sizes[1]} targets")
    return sizes[0]


def _as_floats(examples: Examples) -> tuple[Array, Array | None]:
    """Images and targets, both as floats in [0, 1]; labels as they are, and None for no targets."""
    x, target = examples if isinstance(examples, tuple) else (examples, None)
    if target is not None:
        target = jnp.asarray(target) if target.ndim == 1 else as_float(target)
    return as_float(x), target


def check_monitor(monitor: str, names: Collection[str]) -> None:
    """Raises a `ValueError` unless epochs can be selected by this score of the model."""
    if monitor not in names:
        raise ValueError(f"cannot monitor {monitor!r}; the model has {', '.join(names)}")
    if monitor == "loss" and any(name.endswith("_fooled") for name in names):
        raise ValueError(
            "the loss of a game is the sum of what two players want, and no epoch is better by it; "
            "monitor a term, such as 'distortion', or leave out the validation"
        )


def check_batch_size(batch_size: int, n: int) -> None:
    """Raises a `ValueError` unless a batch has between one and `n` examples."""
    if batch_size < 1:
        raise ValueError(f"the batch size must be positive, got {batch_size}")
    if batch_size > n:
        raise ValueError(f"the batch size {batch_size} is larger than the {n} training examples")


@jax.jit
def _copy(tree: Tree) -> Tree:
    return jax.tree.map(jnp.copy, tree)


@jax.jit
def _all_finite(tree: Params) -> Array:
    return jnp.all(jnp.array([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]))


def _check_finite(values: Mapping[str, Float[np.ndarray, "*steps"] | float], step: int) -> None:
    """Raises for the first step at which a value is not finite, and names a term before the sum."""
    finite = {name: np.isfinite(np.atleast_1d(v)) for name, v in values.items()}
    bad = {name: int(np.argmin(ok)) for name, ok in finite.items() if not ok.all()}
    if bad:
        first = min(bad.values())
        names = [name for name, i in bad.items() if i == first]
        terms = [name for name in names if not name.endswith("loss")] or names
        raise NonFiniteError(
            f"{', '.join(terms)} {_STOPPED} {step + first}; "
            "try a smaller learning rate or gradient clipping"
        )


_STOPPED = "stopped being finite at step"
