"""Steps, epochs, evaluation and fit."""

import json
import math
import os
import signal
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxae
from jaxae.training import fitting
from jaxae.training import step as training
from jaxae.training.feeding import batches_of
from tests.cases import SHAPE, autoencoder, images, vae

KEY = jax.random.key(0)


def fit(model=None, x=None, **options):
    defaults = {
        "optimizer": optax.adam(1e-2),
        "epochs": 3,
        "key": KEY,
        "batch_size": 4,
        "progress": False,
        "devices": jax.devices()[:1],
    }
    x = images(SHAPE, n=13) if x is None else x
    return jaxae.fit(model or vae(), x, **defaults | options)


def recorder():
    """A model that reports which images it has seen: its loss is their first pixel."""

    def loss(params, key, x, *, target=None, step=0, train=True):
        seen = x[:, 0, 0, 0]
        return jaxae.Output(seen + 0 * params["w"], {}, seen[:, None])

    nothing = lambda *args: None
    return jaxae.Autoencoder(lambda key, x: {"w": jnp.zeros(())}, nothing, nothing, loss)


def test_an_epoch_is_a_fresh_permutation():
    # The mean of a batch of one is the image itself.
    model, optimizer = recorder(), optax.sgd(0.0)
    x = jnp.arange(10.0).reshape(10, 1, 1, 1)
    state = training.init_state(model, optimizer, KEY, x)
    epoch = jaxae.training.make_epoch(model, optimizer, batch_size=1)
    orders = []
    for _ in range(2):
        state, metrics = epoch(state, KEY, x)
        orders.append(metrics["loss"].tolist())
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(10))
    assert orders[0] != orders[1] != list(range(10))


def test_examples_left_over_wait_for_the_next_permutation():
    model, optimizer = recorder(), optax.sgd(0.0)
    state = training.init_state(model, optimizer, KEY, images(SHAPE))
    epoch = jaxae.training.make_epoch(model, optimizer, batch_size=3)
    state, metrics = epoch(state, KEY, images(SHAPE, n=8))
    assert metrics["loss"].shape == (2,)
    assert state.step == 2


def test_an_epoch_is_its_steps_and_the_state_is_donated():
    model, optimizer = vae(), optax.adam(1e-2)
    x = images(SHAPE, n=8)
    start = training.init_state(model, optimizer, KEY, x)
    order_key, step_key = jax.random.split(KEY)
    order = jnp.argsort(jax.random.bits(jax.random.fold_in(order_key, 0), (8,)))
    step = jax.jit(jaxae.training.make_step(model, optimizer))
    state = start
    losses = []
    for i in range(2):
        state, metrics = step(state, step_key, x[order[4 * i : 4 * i + 4]])
        losses.append(metrics["loss"])
    epoch = jaxae.training.make_epoch(model, optimizer, batch_size=4)
    after, metrics = epoch(start, KEY, x)
    np.testing.assert_allclose(metrics["loss"], jnp.stack(losses), rtol=1e-5)
    for a, b in zip(jax.tree.leaves(after.params), jax.tree.leaves(state.params), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(start.params))


def test_bytes_and_floats_are_the_same_images():
    levels = np.random.default_rng(0).integers(0, 256, (8, *SHAPE), np.uint8)
    as_bytes = fit(x=levels).history[-1]["train/loss"]
    as_floats = fit(x=levels / np.float32(255)).history[-1]["train/loss"]
    assert as_bytes == pytest.approx(as_floats, rel=1e-5)


def test_evaluation_scores_every_example_once():
    x = jnp.arange(11.0).reshape(11, 1, 1, 1)
    for batch_size in (1, 3, 11, 64):
        score = lambda params, key, x: {"value": x[:, 0, 0, 0]}
        scores = jaxae.training.make_evaluate(score, batch_size=batch_size)({}, KEY, x)
        np.testing.assert_array_equal(scores["value"], np.arange(11))
    with pytest.raises(ValueError, match="no example"):
        jaxae.training.make_evaluate(score)({}, KEY, x[:0])


def test_a_mean_over_unequal_batches_is_over_the_examples():
    # Means of batch means would be off: the last batch of four has three examples.
    values = np.float32(np.random.default_rng(0).normal(size=11))
    score = lambda params, key, x: {"value": x[:, 0, 0, 0]}
    scores = jaxae.training.make_evaluate(score, batch_size=4)({}, KEY, values.reshape(11, 1, 1, 1))
    assert jaxae.training.means(scores)["value"] == pytest.approx(
        values.mean(dtype=np.float64), abs=1e-7
    )


def test_fit_learns_and_keeps_a_record(digits):
    fitted = fit(
        autoencoder(jaxae.likelihoods.bernoulli(), shape=(8, 8, 1)),
        digits.train.images,
        epochs=5,
        batch_size=32,
        validation=digits.validation.images,
    )
    assert [record["epoch"] for record in fitted.history] == [1, 2, 3, 4, 5]
    first, last = fitted.history[0], fitted.history[-1]
    assert last["train/loss"] < first["train/loss"]
    assert last["validation/loss"] < first["validation/loss"]
    assert last["step"] == 5 * (len(digits.train.images) // 32)
    assert {"train/distortion", "validation/distortion", "images_per_second"} <= last.keys()


def test_the_best_epoch_is_kept_and_training_stops():
    # A learning rate that is far too large after the third epoch.
    schedule = optax.piecewise_constant_schedule(1e-2, {9: 300.0})
    options = {"validation": images(SHAPE, n=5, seed=1), "optimizer": optax.adam(schedule)}
    fitted = fit(autoencoder(jaxae.likelihoods.gaussian()), epochs=12, patience=2, **options)
    scores = [record["validation/loss"] for record in fitted.history]
    assert fitted.best_epoch == int(np.argmin(scores)) + 1
    assert len(fitted.history) == fitted.best_epoch + 2 < 12
    evaluate = jaxae.training.make_evaluate(
        jaxae.training.loss_scores(autoencoder(jaxae.likelihoods.gaussian()))
    )
    best = evaluate((fitted.params, 0), KEY, options["validation"])["loss"].mean()
    assert best == pytest.approx(min(scores), rel=1e-4)


def test_without_validation_the_last_parameters_are_kept():
    fitted = fit()
    assert fitted.best_epoch == 3
    for a, b in zip(
        jax.tree.leaves(fitted.params), jax.tree.leaves(fitted.state.params), strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_selection_is_by_the_monitored_score():
    base = autoencoder(jaxae.likelihoods.gaussian())

    def loss(*args, **kwargs):
        out = base.loss(*args, **kwargs)
        return out.add("opposite", -out.loss, weight=0.0)

    options = {"validation": images(SHAPE, n=5, seed=1), "epochs": 5}
    model = base._replace(loss=loss)
    assert fit(model, **options).best_epoch == 5
    assert fit(model, monitor="opposite", **options).best_epoch == 1


@pytest.mark.parametrize(
    "options",
    [
        {"key": jax.random.key(1)},
        {"optimizer": optax.adam(3e-3)},
        {"batch_size": 5},
        {"transform": jaxae.data.binarize},
        {"model": vae(beta=0.1)},
        {"model": vae(samples=4)},
        {"model": vae(free_bits=1.0)},
        {"model": vae(jaxae.likelihoods.gaussian(0.5))},
        {"x": images(SHAPE, n=13, seed=3)},
    ],
    ids=lambda options: next(iter(options)),
)
def test_every_option_changes_the_result(options):
    assert fit().history[-1]["train/loss"] != fit(**options).history[-1]["train/loss"]


def test_a_run_is_a_function_of_its_key():
    assert fit().history[-1]["train/loss"] == fit().history[-1]["train/loss"]


def test_resuming_is_exact(tmp_path):
    checkpoints = jaxae.Checkpoints(tmp_path)
    options = {"validation": images(SHAPE, n=5, seed=1)}
    whole = fit(epochs=6, **options)
    fit(epochs=2, checkpoints=checkpoints, **options)
    seen = []
    resumed = fit(epochs=6, checkpoints=checkpoints, on_epoch=seen.append, **options)
    assert [record["epoch"] for record in seen] == [1, 2, 3, 4, 5, 6]
    for a, b in zip(jax.tree.leaves(whole.state), jax.tree.leaves(resumed.state), strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(jax.tree.leaves(whole.params), jax.tree.leaves(resumed.params), strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(whole.history, resumed.history, strict=True):
        timing = ("seconds", "images_per_second")
        assert {k: v for k, v in a.items() if k not in timing} == {
            k: v for k, v in b.items() if k not in timing
        }
    again = fit(epochs=6, checkpoints=checkpoints, **options)
    assert again.compile_seconds == 0
    assert again.best_epoch == whole.best_epoch


def bomb(at: int):
    """An autoencoder with a term that is nan from one step on."""
    base = autoencoder(jaxae.likelihoods.gaussian())

    def loss(params, key, x, *, target=None, step=0, train=True):
        out = base.loss(params, key, x, target=target, step=step, train=train)
        value = jnp.where(jnp.asarray(step) >= at, jnp.nan, 0.0) * jnp.ones_like(out.loss)
        return out.add("bomb", value)

    return base._replace(loss=loss)


def test_a_term_that_is_not_finite_stops_the_run_and_the_last_good_state_is_kept(tmp_path):
    checkpoints = jaxae.Checkpoints(tmp_path)
    with pytest.raises(jaxae.NonFiniteError, match="bomb stopped being finite at step 7"):
        fit(bomb(at=7), epochs=5, checkpoints=checkpoints)
    model = autoencoder(jaxae.likelihoods.gaussian())
    template = training.init_state(model, optax.adam(1e-2), KEY, images(SHAPE))
    saved = checkpoints.restore(template, template.params)
    assert saved.state.step == 7  # two epochs of three steps, and one step
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(saved.state))
    assert len(saved.meta["history"]) == 2
    assert len(saved.meta["terms"]["loss"]) == 1
    # The state after seven steps is what it would have been without the bomb.
    other = jaxae.Checkpoints(tmp_path / "other")
    with pytest.raises(jaxae.NonFiniteError, match="step 8"):
        fit(bomb(at=8), epochs=5, checkpoints=other)
    eight = other.restore(template, template.params).state
    step = jax.jit(jaxae.training.make_step(model, optax.adam(1e-2)))
    feed = batches_of(images(SHAPE, n=13), jax.random.split(KEY, 3)[1], 4, 7)[1]
    step_key = jax.random.split(jax.random.split(KEY, 3)[1])[1]
    again, _ = step(saved.state, step_key, images(SHAPE, n=13)[feed])
    for a, b in zip(jax.tree.leaves(eight), jax.tree.leaves(again), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_the_batch_that_failed_is_handed_over():
    x = np.asarray(images(SHAPE, n=13))
    with pytest.raises(jaxae.NonFiniteError) as caught:
        fit(bomb(at=4), x=x, epochs=5)
    train_key = jax.random.split(KEY, 3)[1]
    assert caught.value.step == 4
    np.testing.assert_array_equal(caught.value.batch, x[batches_of(x, train_key, 4, 4)[1]])
    labels = np.arange(13)
    with pytest.raises(jaxae.NonFiniteError) as caught:
        fit(bomb(at=0), x=(x, labels), epochs=1, placement="host")
    first = batches_of(x, train_key, 4, 0)[0]
    np.testing.assert_array_equal(caught.value.batch[1], first)
    np.testing.assert_array_equal(caught.value.batch[0], x[first])


@pytest.mark.parametrize("in_gradient", [False, True])
def test_updates_that_are_not_finite_can_be_skipped(tmp_path, in_gradient):
    """Steps 2 and 4 of nine are bad: it is as if they had not been made, but for the noise and the order."""
    base = autoencoder(jaxae.likelihoods.gaussian())

    def loss(params, key, x, *, target=None, step=0, train=True):
        out = base.loss(params, key, x, target=target, step=step, train=train)
        bad = (jnp.asarray(step) == 2) | (jnp.asarray(step) == 4)
        if in_gradient:  # which is not finite where the loss is
            zero = sum(jnp.sum(leaf) for leaf in jax.tree.leaves(params)) * 0
            return out._replace(loss=out.loss + jnp.sqrt(jnp.where(bad, zero, 1.0)) - 1.0)
        return out.add("bomb", jnp.where(bad, jnp.inf, 0.0) * jnp.ones_like(out.loss))

    model = base._replace(loss=loss)
    skipping = {"on_nonfinite": "skip", "average": 0.9}
    fitted = fit(model, **skipping)
    assert [record.get("skipped", 0) for record in fitted.history] == [1, 1, 0]
    assert all(math.isfinite(v) for record in fitted.history for v in record.values())
    assert fitted.state.step == 9
    # By hand.
    optimizer = jaxae.training.with_ema(optax.adam(1e-2), 0.9)
    init_key, train_key, _ = jax.random.split(KEY, 3)
    x = images(SHAPE, n=13)
    state = jaxae.training.init_state(base, optimizer, init_key, x[:1])
    step = jax.jit(jaxae.training.make_step(base, optimizer))
    for i in range(9):
        if i in (2, 4):
            state = state._replace(step=state.step + 1)
            continue
        batch = x[batches_of(x, train_key, 4, i)[i % 3]]
        state, _ = step(state, jax.random.split(train_key)[1], batch)
    for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(fitted.state), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
    # Where nothing is bad, nothing is different; and it is all the same after a stop.
    plain, careful = fit(base), fit(base, on_nonfinite="skip")
    for a, b in zip(jax.tree.leaves(plain.state), jax.tree.leaves(careful.state), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    checkpoints = jaxae.Checkpoints(tmp_path)
    with pytest.raises(jaxae.NonFiniteError, match="step 2"):
        fit(model, checkpoints=checkpoints, average=0.9)
    resumed = fit(model, checkpoints=checkpoints, **skipping)
    assert [record.get("skipped", 0) for record in resumed.history] == [1, 1, 0]
    with pytest.raises(jaxae.NonFiniteError, match="no update of epoch 1 had a finite loss"):
        fit(bomb(at=0), on_nonfinite="skip")


def spike(at, height):
    """A gradient that is large and finite, whose square is not."""
    base = autoencoder(jaxae.likelihoods.gaussian())

    def loss(params, key, x, *, target=None, step=0, train=True):
        out = base.loss(params, key, x, target=target, step=step, train=train)
        total = sum(jnp.sum(leaf) for leaf in jax.tree.leaves(params))
        factor = jnp.where(jnp.asarray(step) == at, height, 0.0)
        return out._replace(loss=out.loss + factor * (total - jax.lax.stop_gradient(total)))

    return base._replace(loss=loss)


def test_an_optimizer_that_is_not_finite_any_more_is_noticed(tmp_path):
    """Adam would divide by the root of infinity, and nothing would be learnt for the rest of the run."""
    checkpoints = jaxae.Checkpoints(tmp_path)
    with pytest.raises(jaxae.NonFiniteError, match="the gradient stopped being finite at step 4"):
        fit(spike(4, 1e20), checkpoints=checkpoints)
    template = training.init_state(
        autoencoder(jaxae.likelihoods.gaussian()), optax.adam(1e-2), KEY, images(SHAPE)
    )
    saved = checkpoints.restore(template, template.params)
    assert saved.state.step == 4
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(saved.state))
    fitted = fit(spike(4, 1e20), on_nonfinite="skip")
    assert [record.get("skipped", 0) for record in fitted.history] == [0, 1, 0]
    # What begins infinite may stay so.
    plateau = optax.chain(optax.sgd(1e-3), optax.contrib.reduce_on_plateau())
    assert np.isinf(jax.tree.leaves(plateau.init({}))).any()
    before = {"best": jnp.inf, "w": jnp.zeros(2)}
    assert training.still_finite(before, before)
    assert not training.still_finite(before, before | {"w": jnp.array([0.0, jnp.inf])})


def test_an_epoch_without_an_update_stays_refused(tmp_path):
    checkpoints = jaxae.Checkpoints(tmp_path)
    for _ in range(3):
        with pytest.raises(jaxae.NonFiniteError, match="no update of epoch 1"):
            fit(bomb(at=0), on_nonfinite="skip", checkpoints=checkpoints)


def test_a_signal_during_the_last_validation_is_heard(tmp_path, monkeypatch):
    end = fitting._Training._end_epoch

    def interrupted(self):
        record = end(self)
        if record["epoch"] == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return record

    monkeypatch.setattr(fitting._Training, "_end_epoch", interrupted)
    with pytest.raises(jaxae.Interrupted, match="saved after epoch 3 of 3"):
        fit(checkpoints=jaxae.Checkpoints(tmp_path))
    assert len(fit(checkpoints=jaxae.Checkpoints(tmp_path)).history) == 3


def test_a_batch_in_parts_is_the_batch():
    model, x = autoencoder(jaxae.likelihoods.gaussian()), images(SHAPE, n=25)
    options = {"x": x, "batch_size": 12, "optimizer": optax.sgd(1e-3)}
    one, four = (fit(model, accumulate=parts, **options) for parts in (1, 4))
    for a, b in zip(one.history, four.history, strict=True):
        assert b["train/loss"] == pytest.approx(a["train/loss"], rel=1e-5)
    for a, b in zip(jax.tree.leaves(one.params), jax.tree.leaves(four.params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    # The parts have noise of their own.
    assert fit(vae(), x=x, batch_size=12, accumulate=2).history != fit(vae(), x=x, batch_size=12)
    with pytest.raises(ValueError, match="12 does not divide by the 1 devices and 5 parts"):
        fit(model, accumulate=5, **options)
    with pytest.raises(ValueError, match="at least one part"):
        jaxae.training.make_step(model, optax.sgd(1.0), accumulate=0)


def test_parts_take_less_memory():
    widths = (256, 256, 256)
    model = jaxae.autoencoder(
        jaxae.networks.mlp_encoder(2, widths), jaxae.networks.mlp_decoder((4, 4, 1), widths)
    )
    optimizer = optax.sgd(1e-3)
    x = np.zeros((4096, 4, 4, 1), np.float32)
    state = jaxae.training.init_state(model, optimizer, KEY, x[:1])
    memory = []
    for parts in (1, 8):
        step = jax.jit(jaxae.training.make_step(model, optimizer, accumulate=parts))
        compiled = step.lower(state, KEY, x).compile()
        memory.append(compiled.memory_analysis().temp_size_in_bytes)
    assert memory[1] < 0.7 * memory[0]


def test_parameters_that_are_not_finite_are_never_saved(tmp_path):
    """The gradient is nan at the last step of an epoch, where every loss is still finite."""
    base = autoencoder(jaxae.likelihoods.gaussian())

    def loss(params, key, x, *, target=None, step=0, train=True):
        out = base.loss(params, key, x, target=target, step=step, train=train)
        wanted = jnp.asarray(step) == 5
        zero = sum(jnp.sum(leaf) for leaf in jax.tree.leaves(params)) * 0
        root = jnp.sqrt(jnp.where(wanted, zero, 1.0)) - 1.0  # its slope at zero is infinite
        return out._replace(loss=out.loss + root)

    checkpoints = jaxae.Checkpoints(tmp_path)
    with pytest.raises(jaxae.NonFiniteError, match="the gradient stopped being finite at step 5"):
        fit(base._replace(loss=loss), epochs=5, checkpoints=checkpoints)
    template = training.init_state(base, optax.adam(1e-2), KEY, images(SHAPE))
    saved = checkpoints.restore(template, template.params)
    assert saved.state.step == 5
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(saved.state))


def test_a_validation_score_that_is_not_finite_stops_the_run():
    with pytest.raises(jaxae.NonFiniteError, match="validation/bomb"):
        # The last step of the epoch is step 2; the validation is at step 3.
        fit(bomb(at=3), validation=images(SHAPE))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs must be positive"),
        ({"batch_size": 0}, "batch size must be positive"),
        ({"batch_size": 14}, "larger than the 13 training examples"),
        ({"patience": 0, "validation": images(SHAPE)}, "patience must be positive"),
        ({"patience": 2}, "needs a validation set"),
        ({"checkpoint_every": 0}, "checkpoint_every must be positive"),
        ({"placement": "stream"}, "only a Stream can be streamed"),
        (
            {"validation": jaxae.Stream([0], lambda i: np.zeros(SHAPE, np.uint8))},
            "validation images are to be in memory",
        ),
        ({"validation": images(SHAPE)[:0]}, "validation set is empty"),
        ({"x": np.zeros((13, *SHAPE), np.int32)}, "bytes .uint8. or floats, not int32"),
        ({"monitor": "rate!", "validation": images(SHAPE)}, "cannot monitor 'rate!'.*distortion"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        fit(**options)


@pytest.mark.parametrize("score", [math.inf, -math.inf, 1.5])
def test_checkpoints_keep_what_json_cannot_say(tmp_path, score):
    checkpoints = jaxae.Checkpoints(tmp_path)
    assert checkpoints.restore({}, {}) is None
    meta = {"best_score": score, "best_epoch": 1, "history": [{"epoch": 1}]}
    checkpoints.save(1, {"w": jnp.ones(2)}, {"w": jnp.ones(2)}, meta)
    assert checkpoints.restore({"w": jnp.ones(2)}, {"w": jnp.ones(2)}).meta == meta
    json.dumps(meta["history"], allow_nan=False)


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    checkpoints = jaxae.Checkpoints(tmp_path)
    checkpoints.save(1, {"w": jnp.ones(2)}, {"w": jnp.ones(2)}, {})
    message = r"of another model or optimizer: \['state'\]\['w'\] was float32\[2\] and is not there"
    with pytest.raises(ValueError, match=message):
        checkpoints.restore({"v": jnp.ones(2)}, {"w": jnp.ones(2)})
    with pytest.raises(
        ValueError, match=r"\['state'\]\['w'\] was float32\[2\] and is float32\[3\]"
    ):
        checkpoints.restore({"w": jnp.ones(3)}, {"w": jnp.ones(2)})
    assert checkpoints.restore({"w": jnp.ones(2)}, {"w": jnp.ones(2)}) is not None


def test_compiler_options_are_those_that_this_xla_knows():
    cpu = jax.devices("cpu")[0]
    assert all(training._is_known({name: v}) for name, v in training.compiler_options(cpu).items())
    assert not training._is_known({"xla_cpu_no_such_option": 1})

    class Accelerator:
        platform = "gpu"

    untyped = getattr(training.compiler_options, "__wrapped__", training.compiler_options)
    untyped = getattr(untyped, "__wrapped__", untyped)  # without the checker of the tests
    assert untyped(Accelerator()) == {}


OPTIMISED = """
import jax, jax.numpy as jnp, numpy as np, scipy.special as scipy
from jax.scipy import special
from jaxae.training.step import compiler_options

x = np.random.default_rng(0).normal(size=(128, 40)).astype(np.float32)
functions = {
    "arctan": (jnp.arctan, np.arctan), "exp": (jnp.exp, np.exp), "expm1": (jnp.expm1, np.expm1),
    "log1p": (lambda x: jnp.log1p(x * x), lambda x: np.log1p(x * x)), "tanh": (jnp.tanh, np.tanh),
    "sin": (jnp.sin, np.sin), "cos": (jnp.cos, np.cos), "erf": (special.erf, scipy.erf),
    "sqrt": (lambda x: jnp.sqrt(x * x), np.abs), "inverse": (lambda x: 1 / (2 + x * x), None),
    "rsqrt": (lambda x: jax.lax.rsqrt(1 + x * x), lambda x: (1 + x * x) ** -0.5),
    "sigmoid": (jax.nn.sigmoid, scipy.expit), "arctan2": (lambda x: jnp.arctan2(x, 0.3), None),
    "softplus": (jax.nn.softplus, lambda x: np.logaddexp(x, 0)), "gammaln": (special.gammaln, scipy.gammaln),
}
for name, (ours, theirs) in functions.items():
    compiled = jax.jit(ours, compiler_options=compiler_options(jax.devices()[0]))(x)
    expected = theirs(x.astype(np.float64)) if theirs else ours(x)
    np.testing.assert_allclose(compiled, expected, rtol=2e-4, atol=2e-5, err_msg=name)
"""


def test_fit_compiles_to_the_right_numbers():
    """With XLA's optimisations, which the tests are otherwise without: one of its options has been
    wrong about arctan, and with it about every VAE."""
    environment = os.environ | {"XLA_FLAGS": ""}
    done = subprocess.run(
        [sys.executable, "-c", OPTIMISED], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_pairs_are_kept_together():
    """A model whose loss is the squared distance of a label from what its image says."""
    n = 37
    x = np.arange(n, dtype=np.float32)[:, None, None, None] / n * np.ones((1, 2, 2, 1), np.float32)
    labels = np.arange(n)
    seen = []

    def loss(params, key, x, *, target=None, step=0, train=True):
        jax.debug.callback(lambda x, t: seen.append((np.array(x), np.array(t))), x, target)
        error = jnp.square(params["w"] * x.mean((1, 2, 3)) * n - target)
        return jaxae.Output(error, {}, x.reshape(len(x), -1))

    model = jaxae.Autoencoder(lambda key, x: {"w": jnp.float32(0.5)}, None, None, loss)
    options = {"optimizer": optax.sgd(0.0), "epochs": 2, "key": KEY, "progress": False}
    fitted = jaxae.fit(
        model, (x, labels), batch_size=5, validation=(x[::3], labels[::3]), **options
    )
    jax.effects_barrier()
    for image, label in seen:
        np.testing.assert_allclose(image.mean((1, 2, 3)) * n, label, rtol=1e-5)
    # Paired images are floats in [0, 1], whatever they come as; labels are as they are.
    expected = np.mean((0.5 * labels[::3]) ** 2)
    assert fitted.history[0]["validation/loss"] == pytest.approx(expected, rel=1e-5)
    evaluate = jaxae.training.make_evaluate(jaxae.training.loss_scores(model), batch_size=8)
    scores = evaluate(({"w": jnp.float32(1.0)}, 0), KEY, (x, labels))
    np.testing.assert_allclose(scores["loss"], 0, atol=1e-6)
    with pytest.raises(ValueError, match="37 images and 36 targets"):
        jaxae.fit(model, (x, labels[1:]), **options)


def test_targets_that_are_images():
    model = autoencoder(jaxae.likelihoods.gaussian())
    bytes_ = (255 * np.asarray(images(SHAPE, 8))).round().astype(np.uint8)
    optimizer = optax.sgd(1e-3)
    state = jaxae.training.init_state(model, optimizer, KEY, bytes_)
    step = jax.jit(jaxae.training.make_step(model, optimizer))
    target = bytes_[::-1].copy()
    _, metrics = step(state, KEY, (bytes_, target))
    expected = model.loss(
        state.params, KEY, jaxae.as_float(bytes_), target=jaxae.as_float(target)
    ).loss.mean()
    assert float(metrics["loss"]) == pytest.approx(float(expected), rel=1e-5)
