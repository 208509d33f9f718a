"""Optimizers as plain values, from which a run is continued: Adam with schedules, decay and clipping."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import jax
import optax

from jaxae.base import Params
from jaxae.training.optimizers import every

Schedule = Literal["cosine", "constant"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Adam:
    """The values that an optimizer is built from.

    Attributes:
      learning_rate: at the beginning.
      schedule: "cosine" to decay to zero over the run, or "constant".
      steps: the number of updates in the run.
      warmup_steps: updates during which the learning rate rises linearly from zero, at most half of the run.
      weight_decay: of matrices and kernels (decoupled, AdamW).
      clip_norm: the norm that gradients are scaled down to; None for no clipping.
      b1: decay of the moving average of the gradient.
      every: update only once in so many steps.
    """

    learning_rate: float
    schedule: Schedule
    steps: int
    warmup_steps: int = 0
    weight_decay: float = 0.0
    clip_norm: float | None = None
    b1: float = 0.9
    every: int = 1

    @property
    def values(self) -> dict[str, Any]:
        """These values as a dict, which JSON can hold."""
        return dataclasses.asdict(self)


class Stretch(NamedTuple):
    """A part of a training that has a schedule of its own.

    Attributes:
      begin: the number of updates before it.
      steps: the number of its updates.
      learning_rate: at its beginning.
      schedule: "cosine" or "constant".
    """

    begin: int
    steps: int
    learning_rate: float
    schedule: Schedule


def build(plan: Adam, stretches: Sequence[Stretch] = ()) -> optax.GradientTransformation:
    """Builds the optimizer of a plan.

    Its state has the same structure whatever the stretches, so that the checkpoint of a run can be read
    when the run is continued with another schedule.

    Args:
      plan: the values.
      stretches: parts of the training after the first, with schedules of their own.

    Examples:
      >>> optimizer = build(Adam(learning_rate=0.5, schedule="constant", steps=10))
      >>> params = {"w": jax.numpy.ones(2)}
      >>> updates, _ = optimizer.update(params, optimizer.init(params), params)
      >>> updates["w"].round(3).tolist()
      [-0.5, -0.5]
    """
    total = max(1, plan.steps // plan.every)
    warmup = min(plan.warmup_steps, total // 2)
    rate: optax.ScalarOrSchedule = plan.learning_rate
    if plan.schedule == "cosine":
        rate = optax.cosine_decay_schedule(plan.learning_rate, total - warmup)
    if warmup:
        begin = optax.linear_schedule(0.0, plan.learning_rate, warmup)
        rate = optax.join_schedules([begin, _schedule(rate)], [warmup])
    counted = callable(rate)  # whether the state of the run has a count of the schedule
    if stretches:
        rate = _joined(rate, stretches, plan.every)
    if callable(rate) and not counted:
        return every(_by_count_of_adam(_chain(plan, 1.0), rate), plan.every)
    return every(_chain(plan, rate), plan.every)


def learning_rate(plan: Adam, stretches: Sequence[Stretch], step: int) -> float:
    """The learning rate after so many updates, without warm-up."""
    rate: optax.ScalarOrSchedule = plan.learning_rate
    if plan.schedule == "cosine":
        rate = optax.cosine_decay_schedule(plan.learning_rate, max(1, plan.steps))
    return float(_schedule(_joined(rate, stretches, 1) if stretches else rate)(step))


def _chain(plan: Adam, rate: optax.ScalarOrSchedule) -> optax.GradientTransformation:
    parts = [] if plan.clip_norm is None else [optax.clip_by_global_norm(plan.clip_norm)]
    if plan.weight_decay > 0:
        matrices = lambda params: jax.tree.map(lambda p: p.ndim > 1, params)  # noqa: E731
        parts.append(optax.adamw(rate, b1=plan.b1, weight_decay=plan.weight_decay, mask=matrices))
    else:
        parts.append(optax.adam(rate, b1=plan.b1))
    return optax.chain(*parts)


def _joined(
    first: optax.ScalarOrSchedule, stretches: Sequence[Stretch], every: int
) -> optax.ScalarOrSchedule:
    """The learning rate over several parts of a training; a number if it is constant in all of them."""
    if not callable(first) and all(one.schedule == "constant" for one in stretches):
        return stretches[-1].learning_rate  # what is over need not be repeated
    schedules = [_schedule(first)]
    for one in stretches:
        if one.schedule == "constant":
            schedules.append(optax.constant_schedule(one.learning_rate))
        else:
            steps = max(1, one.steps // every)
            schedules.append(optax.cosine_decay_schedule(one.learning_rate, steps))
    return optax.join_schedules(schedules, [one.begin // every for one in stretches])


def _schedule(rate: optax.ScalarOrSchedule) -> optax.Schedule:
    return rate if callable(rate) else optax.constant_schedule(rate)


def _by_count_of_adam(
    optimizer: optax.GradientTransformation, rate: optax.Schedule
) -> optax.GradientTransformation:
    """Scales the updates by a schedule that is read at Adam's own count of updates.

    The state of an optimizer with a constant rate has no other count.
    """

    def update(
        updates: Params, state: optax.OptState, params: Params | None = None
    ) -> tuple[Params, optax.OptState]:
        updates, state = optimizer.update(updates, state, params)
        scale = rate(optax.tree_utils.tree_get(state, "count") - 1)
        return jax.tree.map(lambda u: scale * u, updates), state

    return optax.GradientTransformation(optimizer.init, update)


def read(values: Mapping[str, Any]) -> Adam:
    """The plan that a run folder records.

    Raises:
      ValueError: if it is not one.
    """
    try:
        return Adam(**values)
    except TypeError as error:
        raise ValueError(f"this is not a recorded optimizer: {error}") from None
