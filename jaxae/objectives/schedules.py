"""Schedules of weights."""

import math

import optax

from jaxae.arrays import Weight, check_weights
from jaxae.recipes import constructor


@constructor("objectives.beta_schedule")
def beta_schedule(beta: float, steps: int, *, warmup: float = 0.0, cycles: int = 1) -> Weight:
    """A weight that rises linearly from 0 and then stays constant, once or in several cycles.

    Args:
      beta: the final value.
      steps: the number of updates in the run.
      warmup: the fraction of each cycle in which the weight rises, in [0, 1]; 0 gives a constant.
      cycles: the number of cycles; 1 is the usual warm-up.

    Returns:
      a constant or a function of the step.

    Raises:
      ValueError: if a number is out of range, or there are cycles without a warm-up.

    Examples:
      >>> beta = beta_schedule(4.0, 100, warmup=0.5, cycles=2)
      >>> [round(float(beta(step)), 2) for step in (0, 5, 25, 49, 50, 55, 99)]
      [0.0, 0.8, 4.0, 4.0, 0.0, 0.8, 4.0]

    References:
      Bowman et al., `Generating Sentences from a Continuous Space
      <https://arxiv.org/abs/1511.06349>`_; Fu et al., `Cyclical Annealing Schedule
      <https://arxiv.org/abs/1903.10145>`_.
    """
    if not 0 <= warmup <= 1:
        raise ValueError(f"the warm-up is a fraction of the run, in [0, 1], got {warmup}")
    if cycles < 1:
        raise ValueError(f"the number of cycles must be positive, got {cycles}")
    check_weights(beta=beta)
    if warmup == 0:
        if cycles > 1:
            raise ValueError("cycles of beta need a warm-up in each of them")
        return beta
    length = steps / cycles
    rise = optax.linear_schedule(0.0, beta, max(1, round(warmup * length)))
    starts = [round(length * cycle) for cycle in range(1, cycles)]
    return optax.join_schedules([rise] * cycles, starts)


@constructor("objectives.exponential_schedule")
def exponential_schedule(start: float, end: float, steps: int) -> Weight:
    """A weight that changes from `start` to `end` by the same factor in each of so many steps.

    Afterwards it goes on in the same way.

    Raises:
      ValueError: if a number is not positive.

    Examples:
      >>> weight = exponential_schedule(1.0, 100.0, 10)
      >>> [round(float(weight(step)), 3) for step in (0, 5, 10)]
      [1.0, 10.0, 100.0]
    """
    if not all(0 < value < math.inf for value in (start, end, steps)):
        raise ValueError(f"start, end and steps must be positive, got {start}, {end} and {steps}")
    return optax.exponential_decay(start, steps, end / start)
