"""A small `fit`, and models written by hand, that the tests of training share."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxae
from tests.cases import SHAPE, autoencoder, images, vae

KEY = jax.random.key(0)
CLOCKS = ("seconds", "images_per_second")


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


def gaussian():
    """An autoencoder whose loss does not depend on the key."""
    return autoencoder(jaxae.likelihoods.gaussian())


def by_hand(loss, params, **options):
    """A model that is nothing but a loss: `loss(params, key, batch, step, train) -> [b]`.

    `params` is a tree, or a function of a key and a batch.
    """

    def init(key, batch):
        return params(key, batch) if callable(params) else jax.tree.map(jnp.asarray, params)

    def apply(model, params, key, batch, step, train):
        return jaxae.Output(loss(params, key, batch, step, train), {}), None

    model = jaxae.Model(init, None, None, lambda *args, **kwargs: None)
    return jaxae.Autoencoder(model, jaxae.Objective("by hand", apply, **options))


def recorder():
    """A model whose loss is the first value of each example."""

    def loss(params, key, batch, step, train):
        return batch.x.reshape(len(batch.x), -1)[:, 0] + 0 * params["w"]

    return by_hand(loss, {"w": 0.0})


def with_term(model, name, value, weight=1.0):
    """The model with one more term, `value(context) -> scalar or [b]`."""

    def apply(context):
        b = len(jax.tree.leaves(context.batch.x)[0])
        return [jaxae.Term(name, value(context) * jnp.ones(b), weight)]

    return model.add(jaxae.Penalty(name, apply))


def bomb(at):
    """An autoencoder with a term that is nan from one step on."""
    return with_term(
        gaussian(), "bomb", lambda c: jnp.where(jnp.asarray(c.step) >= at, jnp.nan, 0.0)
    )


def infinite_slope(steps):
    """An autoencoder whose gradient is not finite at some steps, where its loss is."""

    def value(context):
        bad = jnp.any(jnp.asarray(steps) == context.step)
        zero = sum(jnp.sum(leaf) for leaf in jax.tree.leaves(context.params)) * 0
        return jnp.sqrt(jnp.where(bad, zero, 1.0)) - 1.0

    return with_term(gaussian(), "root", value)


def without_clocks(history):
    return [{k: v for k, v in record.items() if k not in CLOCKS} for record in history]


def assert_close(one, other, **tolerance):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, **tolerance)


def assert_equal(one, other):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)
