"""The training loop: chunks of steps, validation, the choice of the best epoch, and saving."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxae.base import Params
from jaxae.runtime import processes
from jaxae.training.evaluation import means
from jaxae.training.feeding import Feed
from jaxae.training.progress import EpochProgress
from jaxae.training.records import EpochMetrics, Record, first_nonfinite, nonfinite_names
from jaxae.training.step import TrainState, still_finite

Tree = TypeVar("Tree")

OnEpoch = Callable[[Record, TrainState | None], Any]
Save = Callable[[int, Any, Any, dict[str, Any]], None]

SAVE_EVERY_SECONDS = 20.0
CHUNK_SECONDS = 2.0
"""Approximate seconds of training between two checks whether to stop or save."""
FIRST_CHUNK_STEPS = 16
"""Steps of the first chunk, by which the time of a step is measured."""
SAVING_SHARE = 1 / 40
"""The largest share of the time that is spent on saving, if no interval is given."""


class NonFiniteError(ValueError):
    """A loss, a term or a gradient stopped being finite; the message names it and the step.

    Attributes:
      step: the number of updates before it.
      batch: the training examples of that step, a :class:`jaxae.Batch` as they were given; None if it
        happened in validation.
    """

    def __init__(self, message: str, step: int, batch: Any = None):
        super().__init__(message)
        self.step, self.batch = step, batch


class Interrupted(KeyboardInterrupt):
    """The run was asked to stop, and its state is saved."""


class Best(NamedTuple):
    """The parameters of the best epoch so far, its validation score, and its number."""

    params: Params
    score: float
    epoch: int


class TrainingLoop:
    """The state of a training and its history, and what is done in an epoch.

    Args:
      feed: makes the steps.
      batch_at: the training examples of a step, for the error if it fails.
      state: to begin with.
      epochs: how many to train for.
      first_step: the number of updates before the first epoch.
      steps_per_epoch: the number of updates in an epoch.
      batch_size: the number of examples of a batch.
      validate: `(state, params) -> {name: [n]}`, or None.
      evaluation_params: `state -> params`, the parameters that are validated and kept.
      monitor: the validation score that the best epoch is selected by.
      patience: epochs without a better score before training stops, or None.
      on_epoch: called after each epoch, or None.
      checkpoint_every: steps between two saves, or None for about every 20 seconds.
    """

    def __init__(
        self,
        *,
        feed: Feed,
        batch_at: Callable[[int], Any],
        state: TrainState,
        epochs: int,
        first_step: int,
        steps_per_epoch: int,
        batch_size: int,
        validate: Callable[[TrainState, Params], Mapping[str, np.ndarray]] | None,
        evaluation_params: Callable[[TrainState], Params],
        monitor: str,
        patience: int | None,
        on_epoch: OnEpoch | None,
        checkpoint_every: int | None,
    ):
        self.state, self.history = state, list[Record]()
        # A copy: training donates the state, and these may be the same buffers.
        self.best = Best(copy(state.params), math.inf, 0)
        self.save: Save | None = None
        self._feed, self._batch_at, self._validate = feed, batch_at, validate
        self._evaluation_params = evaluation_params
        self._epochs, self._first_step = epochs, first_step
        self._steps_per_epoch, self._batch_size = steps_per_epoch, batch_size
        self._monitor, self._patience, self._on_epoch = monitor, patience, on_epoch
        self._checkpoint_every = checkpoint_every
        self._metrics = EpochMetrics()
        self._step = first_step
        self._stopped = False  # by on_epoch
        self._last_finite_state: Any = None
        self._saved_step: int | None = None
        self._saved_at, self._save_seconds = time.perf_counter(), 0.0

    def restore(self, state: TrainState, best: Params, meta: Mapping[str, Any]) -> None:
        """Goes on from a checkpoint. `on_epoch` is called with the records of earlier epochs."""
        self.state, self.history = state, meta["history"]
        self.best = Best(best, meta["best_score"], meta["best_epoch"])
        self._metrics = EpochMetrics(**meta["metrics"])
        self._step = self._saved_step = int(state.step)
        for record in self.history:
            current = self._on_epoch is not None and record["step"] == self._step
            self._call_on_epoch(record, copy(state) if current else None)

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, the patience is over, or `on_epoch` has stopped the training."""
        waited = len(self.history) - self.best.epoch
        patient = self._patience is None or waited < self._patience
        return self._stopped or len(self.history) >= self._epochs or not patient

    @property
    def _steps_done(self) -> int:
        """The number of updates in the current epoch."""
        return self._step - self._first_step - self._steps_per_epoch * len(self.history)

    def run(self, stop_request: Any, bar: EpochProgress) -> None:
        """Trains until it is finished, or asked to stop."""
        self._saved_at = time.perf_counter()
        longest = FIRST_CHUNK_STEPS
        while not self.finished:
            # Steps donate the state: this copy is saved if something goes wrong. The old one is freed first.
            self._last_finite_state = None
            self._last_finite_state = copy(self.state)
            if self._steps_done < self._steps_per_epoch:
                available = self._feed.steps_available(self._step)
                steps = min(longest, self._steps_until_save(), available)
                seconds = self._advance(steps)
                stopping, seconds, waited = processes.max_over_processes(
                    float(bool(stop_request)), seconds, time.perf_counter() - self._saved_at
                )
                wanted = int(CHUNK_SECONDS * steps / max(seconds, 1e-9))
                longest = max(1, min(8 * longest, wanted))
            else:  # the checkpoint is of the end of an epoch, before its validation
                stopping, waited = processes.max_over_processes(float(bool(stop_request)), 0.0)
            record = None
            if self._steps_done == self._steps_per_epoch:
                record = self._end_epoch()
            else:
                bar.at(len(self.history) + self._steps_done / self._steps_per_epoch)
            if stopping or self.finished or self._save_is_due(waited):
                self._save()
            if record is not None:
                bar(record)
                self._after_epoch(record)
            if stopping:
                raise Interrupted(self._progress())
        # A request may have come during the last validation or the last save.
        if any(processes.max_over_processes(float(bool(stop_request)))):
            raise Interrupted(self._progress())

    def _steps_until_save(self) -> int:
        if self._checkpoint_every is None:
            return self._steps_per_epoch
        return self._checkpoint_every - self._step % self._checkpoint_every

    def _save_is_due(self, waited: float) -> bool:
        if self._checkpoint_every is not None:
            return self._step % self._checkpoint_every == 0
        return waited > max(SAVE_EVERY_SECONDS, self._save_seconds / SAVING_SHARE)

    def _advance(self, steps: int) -> float:
        """Makes a number of steps, and returns how many seconds they took."""
        started = time.perf_counter()
        try:
            self.state, values = self._feed(self.state, steps)
        except KeyboardInterrupt:
            if self.save is None or jax.process_count() > 1:  # the others are not interrupted
                raise
            self.state = self._last_finite_state
            self._save()
            raise Interrupted(self._progress()) from None
        seconds = time.perf_counter() - started
        bad = first_nonfinite(values)
        if bad is not None or not still_finite(self._last_finite_state, self.state):
            self._fail(values, steps if bad is None else bad)
        self._metrics.add(values, steps, seconds)
        self._step += steps
        return seconds

    def _fail(self, values: Mapping[str, np.ndarray], bad: int) -> NoReturn:
        """Finds the last finite state, saves it, and raises.

        Before the first step `bad` whose values are not finite, parameters may have become so already.
        """
        start = self._last_finite_state
        finite, upper = 0, bad  # a number of steps after which all is finite, and an upper bound
        while finite < upper:
            middle = upper if finite == 0 and upper == bad else (finite + upper + 1) // 2
            state, _ = self._feed(copy(start), middle)
            if still_finite(start, state):
                finite, self.state = middle, state
            else:
                upper = middle - 1
        if finite == 0:
            self.state = start
        in_values = finite == bad and bad < len(values["loss"])
        names = nonfinite_names(values, bad) if in_values else ["the gradient"]
        self._metrics.add(values, finite)
        self._step += finite
        self._save()
        raise NonFiniteError(
            f"{', '.join(names)} stopped being finite at step {self._step}; try a smaller learning rate "
            "or gradient clipping, or to skip such updates",
            self._step,
            self._batch_at(self._step),
        )

    def _end_epoch(self) -> Record:
        """Validates, updates the best epoch, and adds a record to the history."""
        number = len(self.history) + 1
        if self._metrics.all_skipped:
            self._save()
            raise NonFiniteError(
                f"no update of epoch {number} had a finite loss and gradient", self._step
            )
        images = self._steps_per_epoch * self._batch_size
        record = self._metrics.record(epoch=number, step=self._step, images=images)
        score = -math.inf  # without validation, the last epoch is the best
        params = self._evaluation_params(self.state)
        if self._validate is not None:
            scores = means(self._validate(self.state, params), "validation/")
            if bad := [name for name, value in scores.items() if not math.isfinite(value)]:
                self._save()
                raise NonFiniteError(
                    f"{', '.join(bad)} stopped being finite at step {self._step}; try a smaller "
                    "learning rate or gradient clipping",
                    self._step,
                )
            record |= scores
            score = scores[f"validation/{self._monitor}"]
        self.history.append(record)
        self._metrics = EpochMetrics()
        if self._validate is None or score < self.best.score:
            self.best = Best(copy(params), score, number)
        return record

    def _after_epoch(self, record: Record) -> None:
        """Calls `on_epoch`; whatever it does, the epoch is not lost."""
        self._last_finite_state = None  # frees the memory for the copy
        try:
            self._call_on_epoch(record, copy(self.state) if self._on_epoch else None)
        except BaseException as error:
            if jax.process_count() == 1:  # a save would wait for processes that have not failed
                try:
                    self._save()
                except Exception as problem:
                    error.add_note(str(problem))
            raise
        if self._stopped:
            self._save()

    def _call_on_epoch(self, record: Record, state: TrainState | None) -> None:
        # The state is a copy: the caller may keep it, and training donates its own.
        answer = None if self._on_epoch is None else self._on_epoch(record, state)
        stop = isinstance(answer, bool | np.bool_ | jax.Array) and bool(answer)
        self._stopped |= any(processes.max_over_processes(float(stop)))

    def _save(self) -> None:
        """Saves the state, unless it is saved already."""
        if self.save is None or self._saved_step == self._step:
            return
        started = time.perf_counter()
        meta = {
            "history": self.history,
            "best_score": self.best.score,
            "best_epoch": self.best.epoch,
            "first_step": self._first_step,
            "steps_per_epoch": self._steps_per_epoch,
            "metrics": self._metrics.to_json(),
        }
        self.save(self._step, self.state, self.best.params, meta)
        self._saved_step, self._saved_at = self._step, time.perf_counter()
        # All processes save at the same time, or none.
        (self._save_seconds,) = processes.max_over_processes(self._saved_at - started)

    def _progress(self) -> str:
        done = self._steps_done
        part = f" and {done} of {self._steps_per_epoch} steps" if done else ""
        return f"saved after epoch {len(self.history)} of {self._epochs}{part}"


@jax.jit
def copy(tree: Tree) -> Tree:
    """The same arrays in buffers of their own."""
    return jax.tree.map(jnp.copy, tree)
