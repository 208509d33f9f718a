"""Steps, epochs, evaluation and fit."""

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
from jaxae.runtime import devices
from jaxae.training import loop
from jaxae.training import step as training
from tests.cases import SHAPE, autoencoder, images, vae
from tests.training.helpers import (
    KEY,
    assert_close,
    assert_equal,
    fit,
    gaussian,
    recorder,
    with_term,
    without_clocks,
)


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


def test_an_incomplete_last_batch_is_left_out():
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
    assert_close(after.params, state.params, atol=1e-6)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(start.params))


def test_bytes_and_floats_are_the_same_images():
    levels = np.random.default_rng(0).integers(0, 256, (8, *SHAPE), np.uint8)
    as_bytes = fit(x=levels).history[-1]["train/loss"]
    as_floats = fit(x=levels / np.float32(255)).history[-1]["train/loss"]
    assert as_bytes == pytest.approx(as_floats, rel=1e-5)


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
    fitted = fit(gaussian(), epochs=12, patience=2, **options)
    scores = [record["validation/loss"] for record in fitted.history]
    assert fitted.best_epoch == int(np.argmin(scores)) + 1
    assert len(fitted.history) == fitted.best_epoch + 2 < 12
    evaluate = jaxae.training.make_evaluate(jaxae.training.loss_scores(gaussian()))
    best = evaluate((fitted.params, 0), KEY, options["validation"])["loss"].mean()
    assert best == pytest.approx(min(scores), rel=1e-4)


def test_without_validation_the_last_parameters_are_kept():
    fitted = fit()
    assert fitted.best_epoch == 3
    assert_equal(fitted.params, fitted.state.params)


def test_selection_is_by_the_monitored_score():
    opposite = lambda context: context.draws.log_likelihood[0]
    model = with_term(gaussian(), "opposite", opposite, weight=0.0)
    options = {"validation": images(SHAPE, n=5, seed=1), "epochs": 5}
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
    resumed = fit(
        epochs=6, checkpoints=checkpoints, on_epoch=lambda r, s: seen.append(r), **options
    )
    assert [record["epoch"] for record in seen] == [1, 2, 3, 4, 5, 6]
    assert_equal((whole.state, whole.params), (resumed.state, resumed.params))
    assert without_clocks(whole.history) == without_clocks(resumed.history)
    again = fit(epochs=6, checkpoints=checkpoints, **options)
    assert again.compile_seconds == 0
    assert again.best_epoch == whole.best_epoch


def test_a_signal_during_the_last_validation_stops_the_run(tmp_path, monkeypatch):
    end = loop.TrainingLoop._end_epoch

    def interrupted(self):
        record = end(self)
        if record["epoch"] == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return record

    monkeypatch.setattr(loop.TrainingLoop, "_end_epoch", interrupted)
    with pytest.raises(jaxae.Interrupted, match="saved after epoch 3 of 3"):
        fit(checkpoints=jaxae.Checkpoints(tmp_path))
    assert len(fit(checkpoints=jaxae.Checkpoints(tmp_path)).history) == 3


def test_a_batch_in_parts_is_the_batch():
    model, x = gaussian(), images(SHAPE, n=25)
    options = {"x": x, "batch_size": 12, "optimizer": optax.sgd(1e-3)}
    one, four = (fit(model, accumulate=parts, **options) for parts in (1, 4))
    for a, b in zip(one.history, four.history, strict=True):
        assert b["train/loss"] == pytest.approx(a["train/loss"], rel=1e-5)
        assert b["train/gradient_norm"] == pytest.approx(a["train/gradient_norm"], rel=1e-4)
    assert_close(one.params, four.params, rtol=1e-4, atol=1e-6)
    # Each part has noise of its own.
    losses = [
        fit(vae(), x=x, batch_size=12, accumulate=parts).history[0]["train/loss"]
        for parts in (1, 2)
    ]
    assert losses[0] != losses[1]
    with pytest.raises(ValueError, match="12 does not divide by the 1 devices and 5 parts"):
        fit(model, accumulate=5, **options)
    with pytest.raises(ValueError, match="accumulate, the number of parts, must be positive"):
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


def test_the_gradient_norm_is_in_every_record():
    """At a learning rate of zero it is the norm of the same gradient at each step."""
    model, x = gaussian(), images(SHAPE, n=4)
    optimizer = optax.chain(optax.clip_by_global_norm(1e-3), optax.sgd(0.0))
    fitted = fit(model, x, optimizer=optimizer, validation=x)
    loss = lambda params: model.loss(params, KEY, x).loss.mean()
    expected = optax.global_norm(jax.grad(loss)(fitted.params))
    for record in fitted.history:
        assert record["train/gradient_norm"] == pytest.approx(float(expected), rel=1e-5)
        assert "validation/gradient_norm" not in record


def test_a_term_may_not_have_the_name_of_a_metric_of_training():
    model = with_term(gaussian(), "gradient_norm", lambda context: 0.0)
    with pytest.raises(ValueError, match="the name 'gradient_norm' is used twice"):
        fit(model)


def test_compiler_options_are_those_that_this_xla_knows():
    cpu = jax.devices("cpu")[0]
    assert all(devices._is_known({name: v}) for name, v in devices.compiler_options(cpu).items())
    assert not devices._is_known({"xla_cpu_no_such_option": 1})

    class Accelerator:
        platform = "gpu"

    untyped = getattr(devices.compiler_options, "__wrapped__", devices.compiler_options)
    untyped = getattr(untyped, "__wrapped__", untyped)  # without the type checker of the tests
    assert untyped(Accelerator()) == {}


OPTIMISED = """
import jax, jax.numpy as jnp, numpy as np, scipy.special as scipy
from jax.scipy import special
from jaxae.runtime.devices import compiler_options

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
    """With XLA's optimisations, which the other tests turn off: with one of its options arctan was
    wrong, and with it every VAE."""
    environment = os.environ | {"XLA_FLAGS": ""}
    done = subprocess.run(
        [sys.executable, "-c", OPTIMISED], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
