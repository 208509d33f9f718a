"""Dropout and noise belong to training, and no two steps share a key."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxae
from jaxae.runs import inference
from jaxae.training.evaluation import loss_scores, make_evaluate
from tests.training.helpers import KEY, by_hand, fit

X = jnp.linspace(0, 1, 48).reshape(12, 2, 2, 1)


def mode():
    """A model whose loss is 100 in training and 0 in evaluation."""

    def loss(params, key, batch, step, train):
        return (100.0 if train else 0.0) * jnp.ones(len(batch.x)) + 0 * params["w"]

    return by_hand(loss, {"w": 0.0})


def with_dropout():
    """An autoencoder, which draws no code, so that all that is random is dropout."""
    encoder = jaxae.networks.mlp_encoder(2, (32,), dropout=0.5)
    decoder = jaxae.networks.mlp_decoder((2, 2, 1), (32,), dropout=0.5)
    return jaxae.autoencoder(encoder, decoder, jaxae.likelihoods.gaussian())


def test_validation_is_in_evaluation_mode():
    options = {"optimizer": optax.sgd(0.0), "validation": X, "epochs": 1}
    (record,) = fit(mode(), X, **options).history
    assert (record["train/loss"], record["validation/loss"]) == (100, 0)
    fits = jaxae.fit_many(
        lambda _: (mode(), optax.sgd(0.0)),
        X,
        keys=jax.random.split(KEY, 2),
        epochs=1,
        batch_size=4,
        validation=X,
        progress=False,
    )
    np.testing.assert_array_equal(fits.history["validation/loss"], 0)
    np.testing.assert_array_equal(fits.history["train/loss"], 100)


@pytest.mark.parametrize("where", ["validation", "test"])
def test_nothing_is_dropped_in_evaluation(where):
    """The same scores with any key, and those of the networks without dropout."""
    model = with_dropout()
    params = model.init(KEY, X)

    def loss(key):
        if where == "test":
            return inference.evaluate(model, params, key, X)["loss"]
        scores = make_evaluate(loss_scores(model))((params, 0), key, jaxae.Batch(X))
        return scores["loss"].mean()

    first = loss(KEY)
    assert first == pytest.approx(loss(jax.random.key(1)), rel=1e-6)
    decoded = model.decode(params, model.encode(params, X))
    expected = -jaxae.likelihoods.gaussian().distribution(decoded).log_prob(X).mean()
    assert first == pytest.approx(float(expected), rel=1e-5)
    dropped = model.loss(params, KEY, X, train=True).loss.mean()
    assert abs(float(dropped) - first) > 1e-3


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("where", ["transform", "loss"])
def test_every_step_has_another_key(where, many):
    """The loss of a step is a number that is drawn in it; nothing is learned."""

    def loss(params, key, batch, step, train):
        drawn = jax.random.uniform(key) if where == "loss" else batch.x[:, 0, 0, 0]
        return drawn + 0 * params["w"] * jnp.ones(len(batch.x))

    model = by_hand(loss, {"w": 0.0})
    transform = lambda key, x: jnp.broadcast_to(jax.random.uniform(key), x.shape)
    options = {"epochs": 6, "batch_size": 1, "progress": False, "transform": transform}

    def drawn(x):
        if not many:
            fitted = fit(model, x, optimizer=optax.sgd(0.0), **options)
            return np.array([record["train/loss"] for record in fitted.history])
        fits = jaxae.fit_many(
            lambda _: (model, optax.sgd(0.0)), x, keys=jax.random.split(KEY, 2), **options
        )
        return np.ravel(fits.history["train/loss"])

    one = drawn(X[:1])
    assert len(np.unique(one)) == len(one)
    assert 0 < one.min() < one.max() < 1
    # Two steps in an epoch: the mean of two different numbers is neither.
    two = drawn(X[:2])
    assert len(np.unique(two)) == len(two)
    assert not np.intersect1d(one, two).size
