"""A clock that is set while a checkpoint is written."""

import itertools
import time

import jax.numpy as jnp
import pytest

from jaxae.training.checkpoints import Checkpoints


@pytest.mark.parametrize("jump", [10_000, -10_000])
def test_a_jump_of_the_clock_does_not_end_a_save(tmp_path, monkeypatch, jump):
    now, calls = time.time(), itertools.count()
    monkeypatch.setattr(time, "time", lambda: now + jump * next(calls))
    checkpoints, state = Checkpoints(tmp_path), {"w": jnp.ones(3)}
    with checkpoints.writer() as save:
        for step in range(1, 4):
            save(step, state, state, {"epoch": step})
    assert next(calls) > 3  # orbax looks at the time of day
    assert checkpoints.restore(state, state).meta["epoch"] == 3
