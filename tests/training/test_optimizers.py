"""Optimizers that ask for the loss, or whose evaluation parameters are others than those they train."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxae
from jaxae.training import every, loss_scores, make_evaluate, partition, with_ema
from tests.cases import SHAPE, images, vae
from tests.training.helpers import KEY, assert_close, assert_equal, by_hand, fit, without_clocks

X = np.random.default_rng(0).normal(size=(24, 4)) * [3.0, 1.0, 0.3, 0.1]
Y = X @ [1.0, -2.0, 3.0, -4.0] + 0.5
DATA = jaxae.Batch(np.float32(X), label=np.float32(Y))


def regression():
    """Least squares, which has a solution without error; badly scaled."""

    def loss(params, key, batch, step, train):
        return jnp.square(batch.x @ params["w"] + params["b"]["bias"] - batch.label)

    return by_hand(loss, {"w": jnp.zeros(4), "b": {"bias": 0.0}})


def losses(optimizer, epochs=30, batch_size=24, **options):
    fitted = fit(
        regression(), DATA, optimizer=optimizer, epochs=epochs, batch_size=batch_size, **options
    )
    return [record["train/loss"] for record in fitted.history]


def test_lbfgs_converges_faster_than_gradient_descent():
    largest = np.linalg.eigvalsh(2 * np.c_[X, np.ones(24)].T @ np.c_[X, np.ones(24)] / 24)[-1]
    descent = losses(optax.sgd(1 / largest))
    lbfgs = losses(optax.lbfgs())
    assert descent[-1] > 0.1
    assert lbfgs[-1] < 1e-6 * descent[-1]


@pytest.mark.parametrize(
    "options",
    [
        {"accumulate": 2},
        {"ema": 0.5},
        {"on_nonfinite": "skip"},
        {"optimizer": partition(optax.lbfgs())},
        {"placement": "host"},
        {"loop": "step"},
    ],
    ids=lambda options: next(iter(options)),
)
def test_options_do_not_change_lbfgs(options):
    expected = losses(optax.lbfgs(), epochs=5)
    assert losses(**{"optimizer": optax.lbfgs(), "epochs": 5} | options) == pytest.approx(
        expected, rel=1e-3
    )


def test_lbfgs_of_one_network_keeps_the_others_fixed():
    """Its line search sees the loss as a function of its own parameters."""
    optimizer = partition(optax.lbfgs(), b=optax.sgd(0.0))
    fitted = fit(regression(), DATA, optimizer=optimizer, epochs=25, batch_size=24)
    assert fitted.params["b"]["bias"] == 0
    best = np.linalg.lstsq(X, Y, rcond=None)[0]
    assert fitted.history[-1]["train/loss"] == pytest.approx(np.mean((X @ best - Y) ** 2), rel=1e-4)


def test_lbfgs_once_in_two_steps():
    found = losses(every(optax.lbfgs(), 2), epochs=10)
    assert found[0::2] == pytest.approx(found[1::2], rel=1e-4)
    assert len(set(found[0::2])) == 5
    assert found[-1] < 0.1 * found[0]


def test_the_polyak_step_size_needs_no_tuning():
    found = losses(optax.polyak_sgd(max_learning_rate=10.0), epochs=60)
    assert found[-1] < 0.1 * found[0]


def test_the_learning_rate_falls_on_a_plateau():
    plateau = optax.contrib.reduce_on_plateau(factor=0.5, patience=2)
    assert losses(optax.chain(optax.adam(0.3), plateau))[-1] < 0.1 * losses(optax.sgd(0.0))[0]
    stuck = optax.chain(optax.sgd(0.0), plateau)  # the loss stays what it is
    fitted = fit(regression(), DATA, optimizer=stuck, epochs=7, batch_size=24)
    assert fitted.state.opt_state[1].scale == 0.5**3


def spy():
    """Keeps what the optimizer is given, and what is found with `value_fn`."""

    def update(updates, state, params=None, *, value, grad, value_fn, **extra):
        found = jax.value_and_grad(value_fn)(params)
        return updates, {"given": (value, grad), "found": found}

    def init(params):
        both = (jnp.zeros(()), params)
        return {"given": both, "found": both}

    return optax.GradientTransformationExtraArgs(init, update)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_loss_is_evaluated_on_the_same_batch_with_the_same_noise(accumulate):
    """Also behind an average, and with dropout."""
    model = jaxae.vae(
        jaxae.networks.mlp_encoder(4, (8,), dropout=0.5),
        jaxae.networks.mlp_decoder(SHAPE, (8,)),
        latent_dim=2,
    )
    optimizer = optax.chain(spy(), optax.sgd(1e-2))
    fitted = fit(
        model, optimizer=optimizer, ema=0.9, accumulate=accumulate, transform=jaxae.data.binarize
    )
    kept = fitted.state.opt_state.inner[0]
    assert float(kept["given"][0]) > 0
    assert_close(kept["given"], kept["found"], rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "optimizer",
    [
        optax.lbfgs(),
        optax.chain(optax.sgd(1e-2), optax.contrib.reduce_on_plateau(patience=1)),
        partition(optax.polyak_sgd(f_min=5.0), decoder=optax.lbfgs(memory_size=2)),
    ],
    ids=["lbfgs", "plateau", "partition"],
)
def test_their_state_is_saved(optimizer, tmp_path):
    options = {"optimizer": optimizer}
    whole = fit(epochs=4, **options)
    fit(epochs=2, checkpoints=jaxae.Checkpoints(tmp_path), **options)
    resumed = fit(epochs=4, checkpoints=jaxae.Checkpoints(tmp_path), **options)
    assert_equal(whole.state, resumed.state)
    assert without_clocks(whole.history) == without_clocks(resumed.history)


def test_schedule_free_optimizers_are_evaluated_at_their_own_parameters():
    optimizer = optax.contrib.schedule_free_adamw(1e-2, warmup_steps=2)
    hook = optax.contrib.schedule_free_eval_params
    options = {"optimizer": optimizer, "validation": images(SHAPE, n=5, seed=1)}
    fitted = fit(evaluation_params=hook, **options)
    assert fitted.best_epoch == 3
    expected = hook(fitted.state.opt_state, fitted.state.params)
    assert_close(fitted.params, expected, rtol=1e-5)
    difference = jax.tree.map(lambda a, b: abs(a - b).max(), expected, fitted.state.params)
    assert max(jax.tree.leaves(difference)) > 1e-3
    scores = make_evaluate(loss_scores(vae()))((expected, 9), _validation_key(), _validation())
    assert fitted.history[-1]["validation/loss"] == pytest.approx(scores["loss"].mean(), rel=1e-5)
    with pytest.raises(ValueError, match="ema and evaluation_params both say what is evaluated"):
        fit(evaluation_params=hook, ema=0.9, **options)
    with pytest.raises(ValueError, match="evaluation_params do not fit the model"):
        fit(evaluation_params=lambda opt_state, params: {"other": jnp.zeros(2)}, **options)


def _validation():
    return jaxae.Batch(images(SHAPE, n=5, seed=1))


def _validation_key():
    return jax.random.split(KEY, 3)[2]


def test_an_average_passes_on_what_its_optimizer_asks_for():
    optimizer = with_ema(optax.polyak_sgd(), 0.9)
    params = {"w": jnp.ones(2)}
    updates, _ = optimizer.update(params, optimizer.init(params), params, value=1.0)
    assert_close(updates["w"], -0.5 * jnp.ones(2), rtol=1e-6)  # the loss over the squared norm
