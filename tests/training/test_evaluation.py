"""Scores of every example, and the validation in `fit` and `fit_many`."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxae
from jaxae.training import loss_scores, make_evaluate, means
from tests.cases import SHAPE, images, vae
from tests.training.helpers import KEY, by_hand, fit

X = images(SHAPE, n=13)
HELD_OUT = images(SHAPE, n=10, seed=1)


@pytest.mark.parametrize("loop", ["scan", "step"])
def test_every_example_is_scored_once(loop):
    x = jnp.arange(11.0).reshape(11, 1, 1, 1)
    score = lambda params, key, x: {"value": x[:, 0, 0, 0]}
    for batch_size in (1, 3, 11, 64):
        evaluate = make_evaluate(score, batch_size=batch_size, loop=loop)
        np.testing.assert_array_equal(evaluate({}, KEY, x)["value"], np.arange(11))
    with pytest.raises(ValueError, match="no example"):
        make_evaluate(score)({}, KEY, x[:0])


def test_the_loop_does_not_change_the_noise():
    score = lambda params, key, x: {"noise": jax.random.normal(key, x.shape[:1])}
    x = jnp.zeros((11, 2))
    one, other = (
        make_evaluate(score, batch_size=4, loop=loop)({}, KEY, x)["noise"]
        for loop in ("scan", "step")
    )
    np.testing.assert_array_equal(one, other)
    assert len(set(one.tolist())) == 11


def test_a_mean_over_unequal_batches_is_over_the_examples():
    # The mean of means of batches would differ: the last batch of four has three examples.
    values = np.float32(np.random.default_rng(0).normal(size=11))
    score = lambda params, key, x: {"value": x[:, 0, 0, 0]}
    scores = make_evaluate(score, batch_size=4)({}, KEY, values.reshape(11, 1, 1, 1))
    assert means(scores)["value"] == pytest.approx(values.mean(dtype=np.float64), abs=1e-7)


def batch_mean(coupled):
    """A model whose loss says how many examples were scored together."""

    def loss(params, key, batch, step, train):
        b = len(batch.x)
        return jnp.full(b, 100.0 * b) + batch.x.mean() + 0 * params["w"]

    return by_hand(loss, {"w": 0.0}, coupled=coupled)


def many(model, **options):
    fits = jaxae.fit_many(
        lambda _: (model, optax.sgd(0.0)),
        X,
        keys=jax.random.split(KEY, 2),
        epochs=1,
        batch_size=4,
        validation=HELD_OUT,
        progress=False,
        **options,
    )
    return fits.history["validation/loss"][0, 0]


@pytest.mark.parametrize(
    ("coupled", "given", "used"), [(True, None, 4), (False, None, 10), (True, 5, 5), (False, 3, 3)]
)
def test_coupled_losses_are_evaluated_at_the_batch_size_of_training(coupled, given, used):
    model = batch_mean(coupled)
    options = {"evaluation_batch_size": given}
    fitted = fit(model, X, optimizer=optax.sgd(0.0), validation=HELD_OUT, epochs=1, **options)
    for found in (fitted.history[0]["validation/loss"], many(model, **options)):
        assert found == pytest.approx(100 * used + float(HELD_OUT.mean()), abs=0.2)


def test_free_bits_are_evaluated_at_the_batch_size_of_training():
    model = vae(free_bits=0.5)
    fitted = fit(model, validation=HELD_OUT, epochs=1)
    state, key = fitted.state, jax.random.split(KEY, 3)[2]

    def expected(size):
        evaluate = make_evaluate(loss_scores(model), batch_size=size)
        return evaluate((state.params, state.step), key, jaxae.Batch(HELD_OUT))["loss"].mean()

    assert fitted.history[0]["validation/loss"] == pytest.approx(expected(4), rel=1e-5)
    assert abs(expected(4) - expected(10)) > 1e-4


def test_validation_may_have_a_transform_whose_noise_is_fixed():
    """Dynamic binarisation: the same pixels in every epoch, and not those of training."""

    def loss(params, key, batch, step, train):
        seen = batch.x.reshape(len(batch.x), -1)
        # Binary pixels, and a number that names them.
        return (seen @ jnp.linspace(0, 1, 30)) + 1e6 * jnp.sum(seen * (1 - seen), 1)

    model = by_hand(lambda params, *rest: loss(params, *rest) + 0 * params["w"], {"w": 0.0})
    binarize = {"transform": jaxae.data.binarize, "validation_transform": jaxae.data.binarize}
    options = {"optimizer": optax.sgd(0.0), "validation": HELD_OUT}
    fitted = fit(model, X, **binarize, **options)
    scores = [record["validation/loss"] for record in fitted.history]
    assert 0 < scores[0] < 100
    assert scores == scores[:1] * 3
    assert len({record["train/loss"] for record in fitted.history}) == 3
    gray = fit(model, X, transform=jaxae.data.binarize, **options)
    assert gray.history[0]["validation/loss"] > 1e5
    found = many(model, **binarize)
    assert 0 < found < 100


def test_initialisation_sees_a_real_batch_after_the_transform():
    """As data-dependent initialisations need it; also in `fit_many`, and from a stream."""
    first = []

    def loss(params, key, batch, step, train):
        return (batch.x.mean() - params["mean"]) ** 2 * jnp.ones(len(batch.x))

    model = by_hand(loss, lambda key, batch: {"mean": batch.x.mean()})
    double = lambda key, x: 2 * x + jax.random.uniform(key)
    x = np.random.default_rng(0).integers(0, 256, (12, 2, 2, 1), np.uint8)
    options = {"optimizer": optax.sgd(0.0), "epochs": 1, "batch_size": 12, "transform": double}
    for data in (x, jaxae.Stream(x, lambda image: image)):
        fitted = fit(model, data, **options)
        # One batch has all examples: its loss is zero, up to the order of sums.
        assert fitted.history[0]["train/loss"] < 1e-10
        first.append(float(fitted.params["mean"]))
    assert first[0] == pytest.approx(first[1])
    fits = jaxae.fit_many(
        lambda _: (model, optax.sgd(0.0)),
        x,
        keys=jnp.stack([KEY, jax.random.key(5)]),
        epochs=1,
        batch_size=12,
        transform=double,
        progress=False,
    )
    assert fits.params["mean"][0] == pytest.approx(first[0], rel=1e-5)
    assert fits.history["train/loss"].max() < 1e-10
    # With smaller batches, it is the same for both functions.
    options |= {"batch_size": 3}
    three = jaxae.fit_many(
        lambda _: (model, optax.sgd(0.0)),
        x,
        keys=KEY[None],
        epochs=1,
        batch_size=3,
        transform=double,
        progress=False,
    )
    alone = fit(model, x, **options)
    assert three.params["mean"][0] == pytest.approx(float(alone.params["mean"]), rel=1e-5)
    assert three.history["train/loss"][0, 0] == pytest.approx(
        alone.history[0]["train/loss"], rel=1e-4
    )
