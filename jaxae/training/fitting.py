"""Training a model: epochs, validation, the choice of the best, saving and going on.

A fit is a function of its key and its arguments. It can be stopped after any step, by a signal or by a
fault, and goes on from what it has saved to the same result, bit for bit.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any, Literal, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import PRNGKeyArray

from jaxae.base import Params
from jaxae.composition import Autoencoder, as_batch
from jaxae.data.streams import Stream
from jaxae.runtime import processes, sharding
from jaxae.runtime.cache import keep_programs
from jaxae.training.batches import (
    Data,
    Transform,
    as_data,
    check_batch_size,
    count,
)
from jaxae.training.checkpoints import Checkpoints, stop_signals
from jaxae.training.ema import ema_params, with_ema
from jaxae.training.evaluation import EVALUATION_BATCH_SIZE, loss_scores, make_evaluate, means
from jaxae.training.feeding import Feed, Placement, batch_at, make_feed
from jaxae.training.monitoring import check_monitor
from jaxae.training.progress import EpochProgress
from jaxae.training.step import TrainState, init_state, make_step, still_finite

Tree = TypeVar("Tree")

Record = dict[str, int | float]
"""What is known of an epoch: its number, the step, times, and the means of losses and terms."""

SAVE_EVERY_SECONDS = 20.0
CHUNK_SECONDS = 2.0
"""So long training goes on, about, before it looks whether it should stop or save."""
SAVING = 1 / 40
"""The part of the time that saving may take, where it is not told when to."""


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
    """A loss stopped being finite; the message names the term and the step.

    Attributes:
      step: after how many updates.
      batch: the training examples of that step, as they were given; None in validation.
    """

    def __init__(self, message: str, step: int, batch: Any = None):
        super().__init__(message)
        self.step, self.batch = step, batch


class Interrupted(KeyboardInterrupt):
    """The run was asked to stop; what it has done is saved."""


def fit(
    model: Autoencoder,
    data: Data,
    *,
    optimizer: optax.GradientTransformation,
    epochs: int,
    key: PRNGKeyArray,
    batch_size: int = 128,
    validation: Data | None = None,
    monitor: str | None = None,
    patience: int | None = None,
    transform: Transform | None = None,
    ema: float | None = None,
    evaluation_batch_size: int | None = None,
    accumulate: int = 1,
    on_nonfinite: Literal["stop", "skip"] = "stop",
    placement: Placement = "device",
    workers: int = 0,
    devices: Sequence[jax.Device] | None = None,
    shard_params: bool = False,
    checkpoints: Checkpoints | None = None,
    checkpoint_every: int | None = None,
    on_epoch: Callable[[Record], Any] | None = None,
    progress: bool = True,
) -> Fit:
    """Trains a model.

    Args:
      model: any autoencoder.
      data: the training set: an array, `[n, ...]`, bytes or floats, a :class:`Stream`, or a
        :class:`Batch` of them, with labels, conditions, inputs of the encoder, or masks.
      optimizer: from optax.
      epochs: passes over the data, counted from the beginning of the run.
      key: what the run is a function of.
      batch_size: over all devices.
      validation: data that are not trained on, scored after each epoch with fixed noise.
      monitor: the validation score to select by, the name of a term or metric; smaller is better. The
        model's own (`model.monitor`, in general "loss") when None.
      patience: stop after so many epochs without a better validation score; None: never.
      transform: applied to each training batch, with fresh randomness: to `x`, and in the same way to
        `seen`, if there is one.
      ema: the decay of an exponential moving average of the parameters
        (:func:`jaxae.training.with_ema`), which is then what is validated, kept and returned; the
        training itself is the same.
      evaluation_batch_size: examples that are validated together: when None 256, or the batch size
        where the loss of an example depends on the others of its batch.
      accumulate: in how many parts a batch passes the model, for less memory (:func:`make_step`).
      on_nonfinite: "stop", or "skip" to drop an update whose loss or gradient is not finite; the
        records then say how many were `skipped`.
      placement: where the training images are kept, "device" or "host"; those of a :class:`Stream`
        are read when they are needed.
      workers: of a stream, processes that read and decode; threads of this one if there are none.
      devices: to train on, all of them when None.
      shard_params: whether parameters and optimizer are divided over the devices, and fetched when they
        are needed, for models that do not fit one.
      checkpoints: where to save. If there is something saved, the run goes on from there. SIGINT
        (Ctrl-C) and SIGTERM then save, and raise :class:`Interrupted`.
      checkpoint_every: steps from one save to the next; by default it is saved about every 20 seconds.
      on_epoch: called with the record of each epoch, those before a resumption included.
      progress: whether to show it, on standard error.

    Returns:
      a :class:`Fit`.

    Raises:
      ValueError: if a size does not fit the data, or there is no score of the model to select epochs by:
        the loss of a GAN is none.
      NonFiniteError: when a term stops being finite. The state before that step is saved.

    Examples:
      >>> import jaxae
      >>> from jaxae.networks import mlp_decoder, mlp_encoder
      >>> model = jaxae.autoencoder(mlp_encoder(2), mlp_decoder((8, 8, 1)))
      >>> images = np.zeros((20, 8, 8, 1), np.uint8)
      >>> trained = fit(model, images, optimizer=optax.adam(1e-3), epochs=2, batch_size=10,
      ...               key=jax.random.key(0), progress=False)
      >>> int(trained.state.step)
      4
    """
    for name, value in (("epochs", epochs), ("checkpoint_every", checkpoint_every)):
        if value is not None and value < 1:
            raise ValueError(f"{name} must be positive, got {value}")
    if patience is not None and patience < 1:
        raise ValueError(f"patience must be positive, got {patience}")
    if patience is not None and validation is None:
        raise ValueError("patience needs a validation set")
    if evaluation_batch_size is not None and evaluation_batch_size < 1:
        raise ValueError(f"evaluation_batch_size must be positive, got {evaluation_batch_size}")
    data = as_data(data)
    if validation is not None:
        validation = as_data(validation)
        if count(validation) == 0:
            raise ValueError("the validation set is empty")
    if any(isinstance(leaf, Stream) for leaf in jax.tree.leaves(validation)):
        raise ValueError("validation images are to be in memory; take some of the stream")
    check_batch_size(batch_size, count(data))
    if any(isinstance(leaf, Stream) for leaf in jax.tree.leaves(data)):
        placement = "stream"
    elif placement == "stream":
        raise ValueError("only a Stream can be streamed; these images are an array")
    if ema is not None:
        optimizer = with_ema(optimizer, ema)
    mesh = sharding.data_mesh(devices)
    sharding.check_divides(batch_size, mesh, accumulate)
    keep_programs()
    init_key, train_key, validation_key = jax.random.split(key, 3)

    first = as_batch(batch_at(data, train_key, batch_size, 0))
    initial = partial(init_state, model, optimizer)
    where = sharding.shardings(jax.eval_shape(initial, init_key, first), mesh, shard=shard_params)
    everywhere = sharding.replicated(mesh)
    state = jax.jit(initial, out_shardings=where)(*sharding.put((init_key, first), everywhere))
    score = loss_scores(model)
    monitor = model.monitor if monitor is None else monitor
    if validation is not None:
        at = (state.params, state.step)
        names = jax.eval_shape(score, at, validation_key, first).keys()
        monitor = check_monitor(monitor, names)
    if evaluation_batch_size is None:
        evaluation_batch_size = batch_size if model.coupled else EVALUATION_BATCH_SIZE
    held_out = None
    if validation is not None:
        held_out = sharding.put(validation, everywhere)
    step = make_step(
        model,
        optimizer,
        transform=transform,
        accumulate=accumulate,
        skip_nonfinite=on_nonfinite == "skip",
    )
    evaluate = make_evaluate(score, batch_size=evaluation_batch_size, mesh=mesh)

    def validate(state: TrainState, params: Params) -> dict[str, np.ndarray]:
        assert held_out is not None
        noise = sharding.put(validation_key, everywhere)
        return evaluate((params, state.step), noise, held_out)

    feed = make_feed(
        step,
        data,
        batch_size=batch_size,
        key=train_key,
        mesh=mesh,
        state_shardings=where,
        placement=placement,
        workers=workers,
    )
    with ExitStack() as stack:
        stack.callback(feed.close)
        training = _Training(
            feed=feed,
            batch=partial(batch_at, data, train_key, batch_size),
            state=state,
            epochs=epochs,
            steps_per_epoch=count(data) // batch_size,
            batch_size=batch_size,
            validate=None if validation is None else validate,
            kept=lambda state: state.params if ema is None else ema_params(state.opt_state),
            monitor=monitor or "loss",
            patience=patience,
            checkpoint_every=checkpoint_every,
        )
        if checkpoints is not None and (saved := checkpoints.restore(state, state.params)):
            training.go_on(saved.state, saved.best, saved.meta)
        for earlier in training.history:
            if on_epoch is not None:
                on_epoch(earlier)
        compile_seconds = 0.0
        if not training.finished():
            stop = stack.enter_context(stop_signals(enabled=checkpoints is not None))
            if checkpoints is not None:
                training.save = stack.enter_context(checkpoints.writer())
            shown = progress and processes.is_first()
            bar = stack.enter_context(EpochProgress(epochs, shown=shown))
            compile_seconds = feed.compile(training.state)
            training.run(stop, bar, on_epoch)
    return Fit(
        training.best.params, training.state, training.history, training.best.epoch, compile_seconds
    )


class Best(NamedTuple):
    """The parameters to keep, their validation score, and the epoch they are from."""

    params: Params
    score: float
    epoch: int


class _Training:
    """What changes while a model is trained, and how."""

    def __init__(
        self,
        *,
        feed: Feed,
        batch: Callable[[int], Any],
        state: TrainState,
        epochs: int,
        steps_per_epoch: int,
        batch_size: int,
        validate: Callable[[TrainState, Params], Mapping[str, np.ndarray]] | None,
        kept: Callable[[TrainState], Params],
        monitor: str,
        patience: int | None,
        checkpoint_every: int | None,
    ):
        self.state, self.history = state, list[Record]()
        # Copies: training consumes the state, and these may be the same buffers.
        self.best = Best(_copy(state.params), math.inf, 0)
        self.save: Callable[[int, Any, Any, dict[str, Any]], None] | None = None
        self._feed, self._batch, self._validate, self._kept = feed, batch, validate, kept
        self._epochs, self._steps_per_epoch = epochs, steps_per_epoch
        self._batch_size, self._patience = batch_size, patience
        self._monitor, self._checkpoint_every = monitor, checkpoint_every
        # What is known of the steps of the epoch that is not complete, and how long they took.
        self._terms: dict[str, np.ndarray] = {}
        self._seconds = 0.0
        self._step = 0
        self._good: Any = None
        self._saved_at, self._saving = time.perf_counter(), 0.0

    def go_on(self, state: TrainState, best: Params, meta: dict[str, Any]) -> None:
        """From what was saved."""
        if meta["steps_per_epoch"] != self._steps_per_epoch:
            raise ValueError(
                f"an epoch had {meta['steps_per_epoch']} steps when this was saved and has "
                f"{self._steps_per_epoch}; take the same images and batch size, or another folder"
            )
        self.state, self.history = state, meta["history"]
        self.best = Best(best, meta["best_score"], meta["best_epoch"])
        self._terms = {name: np.array(values, np.float32) for name, values in meta["terms"].items()}
        self._seconds = meta["seconds"]
        self._step = int(state.step)

    def finished(self) -> bool:
        waited = len(self.history) - self.best.epoch
        patient = self._patience is None or waited < self._patience
        return len(self.history) >= self._epochs or not patient

    def run(
        self,
        stop: Any,
        bar: EpochProgress,
        on_epoch: Callable[[Record], Any] | None,
    ) -> None:
        """Until it is finished, or asked to stop."""
        self._saved_at = time.perf_counter()
        most = 16  # at first, to see how long a step takes
        while not self.finished():
            # Steps consume the state: this is what is left to save if something goes wrong.
            self._good = None
            self._good = _copy(self.state)
            done = self._step - self._steps_per_epoch * len(self.history)
            if done < self._steps_per_epoch:
                steps = min(most, self._until_save(), self._feed.available(self._step))
                took = self._advance(steps)
                done += steps
                stopping, took, waited = processes.max_over_processes(
                    float(bool(stop)), took, time.perf_counter() - self._saved_at
                )
                most = max(1, min(8 * most, int(CHUNK_SECONDS * steps / max(took, 1e-9))))
            else:  # it was saved before it was validated
                stopping, waited = processes.max_over_processes(float(bool(stop)), 0.0)
            record = None
            if done == self._steps_per_epoch:
                record = self._end_epoch()
            else:
                bar.at(len(self.history) + done / self._steps_per_epoch)
            if stopping or self.finished() or self._due(waited):
                self._save(self.state)
            if record is not None:
                bar(record)
                if on_epoch is not None:
                    on_epoch(record)
            if stopping:
                raise Interrupted(self._where())
        if any(
            processes.max_over_processes(float(bool(stop)))
        ):  # in the last validation, or the last save
            raise Interrupted(self._where())

    def _until_save(self) -> int:
        if self._checkpoint_every is None:
            return self._steps_per_epoch
        return self._checkpoint_every - self._step % self._checkpoint_every

    def _due(self, waited: float) -> bool:
        if self._checkpoint_every is not None:
            return self._step % self._checkpoint_every == 0
        return waited > max(SAVE_EVERY_SECONDS, self._saving / SAVING)

    def _advance(self, steps: int) -> float:
        """Makes some steps, and says how many seconds they took."""
        started = time.perf_counter()
        try:
            self.state, values = self._feed(self.state, steps)
        except KeyboardInterrupt:
            if self.save is None or jax.process_count() > 1:  # the others are not interrupted
                raise
            self._save(self._good)
            raise Interrupted(self._where()) from None
        took = time.perf_counter() - started
        if (bad := _not_finite(values)) is not None or not still_finite(self._good, self.state):
            self._stop_at_fault(values, steps if bad is None else bad)
        self._remember(values, steps)
        self._step += steps
        self._seconds += took
        return took

    def _remember(self, values: Mapping[str, np.ndarray], steps: int) -> None:
        """Adds what is known of some steps to what is known of the epoch."""
        made = max((len(v) for v in self._terms.values()), default=0)
        for name in dict.fromkeys([*self._terms, *values]):
            # Whether steps are skipped may have been decided in the middle.
            before = self._terms.get(name, np.zeros(made, np.float32))
            new = values.get(name, np.zeros(steps, np.float32))
            self._terms[name] = np.concatenate([before, new[:steps]])

    def _stop_at_fault(self, values: Mapping[str, np.ndarray], bad: int) -> None:
        """Saves the last state that is sound, and raises."""
        # The first parameters that are not finite may be those before the first such term.
        sound, above = 0, bad
        while sound < above:
            middle = above if sound == 0 and above == bad else (sound + above + 1) // 2
            state, _ = self._feed(_copy(self._good), middle)
            if still_finite(self._good, state):
                sound, self.state = middle, state
            else:
                above = middle - 1
        if sound == 0:
            self.state = self._good
        at = self._step + sound
        names = (
            _names(values, bad) if sound == bad and bad < len(values["loss"]) else ["the gradient"]
        )
        self._remember(values, sound)
        self._step = at
        self._save(self.state)
        raise NonFiniteError(
            f"{', '.join(names)} stopped being finite at step {at}; try a smaller learning rate or "
            "gradient clipping, or to skip such updates",
            at,
            self._batch(at),
        )

    def _end_epoch(self) -> Record:
        """Validates, keeps the best, and adds to the history."""
        made = self._steps_per_epoch
        skipped = self._terms.get("skipped", np.zeros(made)) > 0
        if skipped.all():
            self._save(self.state)
            raise NonFiniteError(
                f"no update of epoch {len(self.history) + 1} had a finite loss and gradient",
                self._step,
            )
        terms = {name: v for name, v in self._terms.items() if name != "skipped"}
        record: Record = {
            "epoch": len(self.history) + 1,
            "step": self._step,
            "seconds": self._seconds,
            "images_per_second": made * self._batch_size / max(self._seconds, 1e-9),
            **means({name: v[~skipped] for name, v in terms.items()}, "train/"),
        }
        if skipped.any():
            record["skipped"] = int(skipped.sum())
        monitored = -math.inf
        params = self._kept(self.state)
        if self._validate is not None:
            scores = means(self._validate(self.state, params), "validation/")
            if bad := [name for name, value in scores.items() if not math.isfinite(value)]:
                self._save(self.state)
                raise NonFiniteError(
                    f"{', '.join(bad)} stopped being finite at step {self._step}; try a smaller "
                    "learning rate or gradient clipping",
                    self._step,
                )
            record |= scores
            monitored = scores[f"validation/{self._monitor}"]
        self.history.append(record)
        self._terms, self._seconds = {}, 0.0
        if self._validate is None or monitored < self.best.score:
            self.best = Best(_copy(params), monitored, len(self.history))
        return record

    def _save(self, state: TrainState) -> None:
        """Saves a state; it may be consumed afterwards."""
        if self.save is None:
            return
        started = time.perf_counter()
        meta = {
            "history": self.history,
            "best_score": self.best.score,
            "best_epoch": self.best.epoch,
            "steps_per_epoch": self._steps_per_epoch,
            "terms": {name: values.tolist() for name, values in self._terms.items()},
            "seconds": self._seconds,
        }
        self.save(self._step, state, self.best.params, meta)
        self._saved_at = time.perf_counter()
        # All processes save at the same time, or none.
        (self._saving,) = processes.max_over_processes(self._saved_at - started)

    def _where(self) -> str:
        done = self._step - self._steps_per_epoch * len(self.history)
        part = f" and {done} of {self._steps_per_epoch} steps" if done else ""
        return f"saved after epoch {len(self.history)} of {self._epochs}{part}"


@jax.jit
def _copy(tree: Tree) -> Tree:
    return jax.tree.map(jnp.copy, tree)


def _not_finite(values: Mapping[str, np.ndarray]) -> int | None:
    """The first step at which something is not finite that was not skipped."""
    ok = np.all([np.isfinite(v) for v in values.values()], axis=0)
    ok |= values.get("skipped", np.zeros(len(ok))) > 0
    return None if ok.all() else int(np.argmin(ok))


def _names(values: Mapping[str, np.ndarray], step: int) -> list[str]:
    """What is not finite at a step: the terms, or else the sum."""
    names = [name for name, v in values.items() if not np.isfinite(v[step])]
    return [name for name in names if name != "loss"] or names
