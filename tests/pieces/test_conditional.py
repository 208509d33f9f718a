"""A VAE that is given the class."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import jaxae
from tests.pieces.conditional_vae import conditional_vae
from tests.pieces.examples import train

KEY = jax.random.key(0)


def model():
    return conditional_vae((8, 8, 1), 10, latent_dim=3)


def test_samples_are_of_the_class_that_was_asked_for(digits, optimised):
    data = jaxae.Batch(digits.train.images, condition=digits.train.labels)
    trained = train(model(), data, epochs=20, rate=5e-3)
    labels = jnp.tile(jnp.arange(10), 20)
    samples = model().sample(trained.params, KEY, 200, condition=labels)
    classifier = LogisticRegression(max_iter=500)
    classifier.fit(digits.train.images.reshape(-1, 64) / 255, digits.train.labels)
    found = classifier.predict(np.asarray(samples).reshape(-1, 64))
    assert np.mean(found == labels) >= 0.8
    # A code keeps the handwriting and not the class: with another label it is another digit.
    x, label = digits.test.images[:100], digits.test.labels[:100]
    z = model().encode(trained.params, x, condition=label)
    other = model().decode(trained.params, z, condition=(label + 1) % 10)
    found = classifier.predict(np.asarray(other).reshape(-1, 64))
    assert np.mean(found == (label + 1) % 10) >= 0.7


def test_a_condition_that_is_missing_is_named():
    x = jnp.zeros((4, 8, 8, 1))
    with pytest.raises(ValueError, match="there is no condition"):
        model().init(KEY, x)
    batch = jaxae.Batch(x, condition=jnp.arange(4))
    params = model().init(KEY, batch)
    for forgotten in (
        lambda: model().loss(params, KEY, x),
        lambda: model().encode(params, x),
        lambda: model().sample(params, KEY, 4),
        lambda: jaxae.reconstruct(model(), params, x),
        lambda: jaxae.analysis.importance_nll(model(), params, KEY, x, 5),
    ):
        with pytest.raises(ValueError, match="there is no condition"):
            forgotten()
    assert jaxae.reconstruct(model(), params, batch).shape == x.shape
