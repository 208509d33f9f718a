"""A loss, a term or a gradient that is not finite stops the run, or its update is skipped."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxae
from jaxae.training import step as training
from jaxae.training.batches import batches_of
from tests.cases import SHAPE, images
from tests.training.helpers import (
    KEY,
    assert_close,
    bomb,
    fit,
    gaussian,
    infinite_slope,
    with_term,
)


def template(optimizer=None):
    return training.init_state(gaussian(), optimizer or optax.adam(1e-2), KEY, images(SHAPE))


def test_the_last_finite_state_is_kept(tmp_path):
    checkpoints = jaxae.Checkpoints(tmp_path)
    with pytest.raises(jaxae.NonFiniteError, match="bomb stopped being finite at step 7"):
        fit(bomb(at=7), epochs=5, checkpoints=checkpoints)
    saved = checkpoints.restore(template(), template().params)
    assert saved.state.step == 7  # two epochs of three steps, and one step
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(saved.state))
    assert len(saved.meta["history"]) == 2
    assert len(saved.meta["metrics"]["values"]["loss"]) == 1
    # The state after seven steps is what it would have been without the bomb.
    other = jaxae.Checkpoints(tmp_path / "other")
    with pytest.raises(jaxae.NonFiniteError, match="step 8"):
        fit(bomb(at=8), epochs=5, checkpoints=other)
    eight = other.restore(template(), template().params).state
    step = jax.jit(jaxae.training.make_step(gaussian(), optax.adam(1e-2)))
    train_key = jax.random.split(KEY, 3)[1]
    index = batches_of(images(SHAPE, n=13), train_key, 4, 7)[1]
    again, _ = step(saved.state, jax.random.split(train_key)[1], images(SHAPE, n=13)[index])
    assert_close(eight, again, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("placement", ["device", "host"])
def test_the_batch_that_failed_is_handed_over(placement):
    x, labels = np.asarray(images(SHAPE, n=13)), np.arange(13)
    with pytest.raises(jaxae.NonFiniteError) as caught:
        fit(bomb(at=4), x=jaxae.Batch(x, label=labels), epochs=5, placement=placement)
    assert caught.value.step == 4
    index = batches_of(x, jax.random.split(KEY, 3)[1], 4, 4)[1]
    assert isinstance(caught.value.batch, jaxae.Batch)
    np.testing.assert_array_equal(caught.value.batch.x, x[index])
    np.testing.assert_array_equal(caught.value.batch.label, index)


@pytest.mark.slow
@pytest.mark.parametrize("in_gradient", [False, True])
def test_updates_that_are_not_finite_can_be_skipped(tmp_path, in_gradient):
    """Steps 2 and 4 of nine are bad: as if they had not been made, but for the noise and the order."""
    bad = jnp.array([2, 4])
    model = infinite_slope(bad)
    if not in_gradient:
        value = lambda context: jnp.where(jnp.any(bad == context.step), jnp.inf, 0.0)
        model = with_term(gaussian(), "bomb", value)
    skipping = {"on_nonfinite": "skip", "ema": 0.9}
    fitted = fit(model, **skipping)
    assert [record.get("skipped", 0) for record in fitted.history] == [1, 1, 0]
    assert all(math.isfinite(v) for record in fitted.history for v in record.values())
    assert all(record["train/gradient_norm"] < 1e6 for record in fitted.history)
    assert fitted.state.step == 9
    # By hand.
    optimizer = jaxae.training.with_ema(optax.adam(1e-2), 0.9)
    init_key, train_key, _ = jax.random.split(KEY, 3)
    x = images(SHAPE, n=13)
    state = jaxae.training.init_state(gaussian(), optimizer, init_key, x[:1])
    step = jax.jit(jaxae.training.make_step(gaussian(), optimizer))
    for i in range(9):
        if i in (2, 4):
            state = state._replace(step=state.step + 1)
            continue
        batch = x[batches_of(x, train_key, 4, i)[i % 3]]
        state, _ = step(state, jax.random.split(train_key)[1], batch)
    assert_close(state, fitted.state, rtol=1e-3, atol=1e-5)
    # Where nothing is bad, nothing is different; and a run may skip after it was stopped.
    plain, careful = fit(gaussian()), fit(gaussian(), on_nonfinite="skip")
    assert_close(plain.state, careful.state, rtol=1e-4, atol=1e-6)
    checkpoints = jaxae.Checkpoints(tmp_path)
    with pytest.raises(jaxae.NonFiniteError, match="step 2"):
        fit(model, checkpoints=checkpoints, ema=0.9)
    resumed = fit(model, checkpoints=checkpoints, **skipping)
    assert [record.get("skipped", 0) for record in resumed.history] == [1, 1, 0]


def spike(at, height):
    """A gradient that is large and finite, whose square is not."""

    def value(context):
        total = sum(jnp.sum(leaf) for leaf in jax.tree.leaves(context.params))
        factor = jnp.where(jnp.asarray(context.step) == at, height, 0.0)
        return factor * (total - jax.lax.stop_gradient(total))

    return with_term(gaussian(), "spike", value)


def test_an_optimizer_state_that_is_not_finite_is_noticed(tmp_path):
    """Adam would divide by the root of infinity, and learn nothing for the rest of the run."""
    checkpoints = jaxae.Checkpoints(tmp_path)
    with pytest.raises(jaxae.NonFiniteError, match="the gradient stopped being finite at step 4"):
        fit(spike(4, 1e20), checkpoints=checkpoints)
    saved = checkpoints.restore(template(), template().params)
    assert saved.state.step == 4
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(saved.state))
    fitted = fit(spike(4, 1e20), on_nonfinite="skip")
    assert [record.get("skipped", 0) for record in fitted.history] == [0, 1, 0]
    # What is infinite at the beginning may stay so.
    before = {"best": jnp.inf, "w": jnp.zeros(2)}
    assert training.still_finite(before, before)
    assert not training.still_finite(before, before | {"w": jnp.array([0.0, jnp.inf])})


def test_a_gradient_whose_norm_overflows_can_be_clipped():
    """The norm of the record is then the largest float, and the run goes on."""
    optimizer = optax.chain(optax.clip(1.0), optax.sgd(1e-3))
    fitted = fit(spike(3, 1e20), optimizer=optimizer)  # the norm is that of the first step here
    assert len(fitted.history) == 3
    assert fitted.history[1]["train/gradient_norm"] > 1e37
    assert fitted.history[2]["train/gradient_norm"] < 1e6


def test_an_epoch_without_an_update_is_an_error_each_time(tmp_path):
    checkpoints = jaxae.Checkpoints(tmp_path)
    for _ in range(3):
        with pytest.raises(jaxae.NonFiniteError, match="no update of epoch 1 had a finite loss"):
            fit(bomb(at=0), on_nonfinite="skip", checkpoints=checkpoints)


def test_parameters_that_are_not_finite_are_never_saved(tmp_path):
    """The gradient is nan at the last step of an epoch, where every loss is still finite."""
    checkpoints = jaxae.Checkpoints(tmp_path)
    with pytest.raises(jaxae.NonFiniteError, match="the gradient stopped being finite at step 5"):
        fit(infinite_slope([5]), epochs=5, checkpoints=checkpoints)
    saved = checkpoints.restore(template(), template().params)
    assert saved.state.step == 5
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(saved.state))


def test_a_validation_score_that_is_not_finite_stops_the_run():
    with pytest.raises(jaxae.NonFiniteError, match="validation/bomb"):
        # The last step of the epoch is step 2; the validation is at step 3.
        fit(bomb(at=3), validation=images(SHAPE))
