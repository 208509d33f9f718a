"""Conditions of networks, and models that take none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxae
from jaxae import Batch, Network
from tests.cases import CODE, SHAPE, critic, images, mlps, vae

KEY = jax.random.key(0)
IDENTITY = Network(lambda key, x: {}, lambda params, x, *, key=None: x)


def joined(x, condition, **options):
    return jaxae.networks.with_condition(IDENTITY, **options).apply({}, x, condition=condition)


def test_labels_become_one_hot_vectors_and_unknown_ones_zeros():
    found = joined(jnp.ones((3, 2)), jnp.array([2, 0, -1]), classes=3)
    np.testing.assert_array_equal(found[:, 2:], [[0, 0, 1], [1, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(found[:, :2], 1)


def test_a_condition_is_appended_to_the_last_axis():
    x, vector = jnp.ones((2, 4, 5, 3)), jnp.array([[1.0, 2.0], [3.0, 4.0]])
    found = joined(x, vector)
    assert found.shape == (2, 4, 5, 5)
    np.testing.assert_array_equal(found[1, :, :, 3:], jnp.broadcast_to(vector[1], (4, 5, 2)))
    assert joined(x, jnp.zeros((2, 4, 5, 1))).shape == (2, 4, 5, 4)
    assert joined(jnp.ones((2, 6, 3)), vector).shape == (2, 6, 5)
    # An image as the condition of a code.
    assert joined(jnp.ones((2, 7)), jnp.zeros((2, 4, 5, 1))).shape == (2, 27)


@pytest.mark.parametrize(
    ("condition", "options", "message"),
    [
        (jnp.zeros((2, 3, 5, 1)), {}, "does not fit an input"),
        (jnp.array([0, 1]), {}, "does not fit an input"),
        (jnp.array([0.0, 1.0]), {"classes": 2}, "integers, not float32"),
    ],
)
def test_other_conditions_are_refused(condition, options, message):
    with pytest.raises(ValueError, match=message):
        joined(jnp.ones((2, 4, 5, 3)), condition, **options)


def test_labels_as_bytes_are_refused_and_not_divided_by_255():
    encoder, decoder = (jaxae.networks.with_condition(part, classes=3) for part in mlps(twice=True))
    model, x = jaxae.vae(encoder, decoder, latent_dim=CODE), images(SHAPE)
    labels = np.arange(8) % 3
    model.init(KEY, Batch(x, condition=labels))
    with pytest.raises(ValueError, match="convert labels to int32"):
        model.init(KEY, Batch(x, condition=labels.astype(np.uint8)))


TAKES_NONE = {
    "vae": vae,
    "pca": lambda: jaxae.pca(CODE),
    "gan": lambda: jaxae.gan(mlps()[1], critic(), latent_dim=CODE),
}


@pytest.mark.parametrize("name", TAKES_NONE)
def test_a_condition_that_no_network_takes_is_refused(name):
    model, x = TAKES_NONE[name](), images(SHAPE)
    params = model.init(KEY, x)
    with pytest.raises(ValueError, match="there is a condition, but"):
        model.loss(params, KEY, Batch(x, condition=jnp.zeros((8, 2))))
    with pytest.raises(ValueError, match="there is a condition, but"):
        model.decode(params, jnp.zeros((8, CODE)), condition=jnp.zeros((8, 2)))
