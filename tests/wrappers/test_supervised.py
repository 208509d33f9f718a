"""Codes whose first values are logits of classes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxae
from jaxae import Batch
from tests.cases import SHAPE, autoencoder, images

KEY = jax.random.key(3)


def test_labels_go_with_clean_images_through_a_corruption():
    base = jaxae.autoencoder(
        jaxae.networks.mlp_encoder(5, (16,)), jaxae.networks.mlp_decoder(SHAPE, (16,))
    )
    model = jaxae.supervised(base, 3)
    black = lambda key, x: jnp.zeros_like(x)
    x, labels = images(SHAPE, n=4), jnp.array([0, 1, -1, 2])
    params = model.init(jax.random.key(0), x)
    out = jaxae.denoising(model, black).loss(params, KEY, Batch(x, label=labels))
    # The code of a black image, and its image beside the clean one.
    z = base.encode(params, jnp.zeros_like(x))
    expected = base.loss(params, KEY, Batch(x, seen=jnp.zeros_like(x))).terms["distortion"]
    np.testing.assert_allclose(out.terms["distortion"], expected, rtol=1e-5)
    logits = np.asarray(z[:, :3], np.float64)
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    wanted = [-log_p[0, 0], -log_p[1, 1], 0, -log_p[3, 2]]
    np.testing.assert_allclose(out.terms["cross_entropy"], wanted, rtol=1e-5)
    np.testing.assert_array_equal(
        out.metrics["error_rate"],
        [log_p[0].argmax() != 0, log_p[1].argmax() != 1, 0, log_p[3].argmax() != 2],
    )
    inside = jaxae.supervised(jaxae.denoising(base, black), 3)
    both = inside.loss(params, KEY, Batch(x, label=labels))
    np.testing.assert_allclose(both.terms["distortion"], expected, rtol=1e-5)


def test_a_label_that_is_no_class_makes_the_loss_nan():
    base = jaxae.autoencoder(
        jaxae.networks.mlp_encoder(5, (16,)), jaxae.networks.mlp_decoder(SHAPE, (16,))
    )
    model, x = jaxae.supervised(base, 3), images(SHAPE, n=2)
    out = model.loss(model.init(KEY, x), KEY, Batch(x, label=jnp.array([1, 3])))
    assert np.isnan(out.loss).tolist() == [False, True]


def test_a_decoder_of_classes_sees_probabilities():
    model = jaxae.autoencoder(
        jaxae.networks.mlp_encoder(5, (16,)),
        jaxae.networks.categorical_code(jaxae.networks.mlp_decoder(SHAPE, (16,)), 3),
    )
    x = images(SHAPE, n=2)
    params = model.init(jax.random.key(0), x)
    z = model.encode(params, x)
    np.testing.assert_allclose(
        model.decode(params, z), model.decode(params, z.at[:, :3].add(5.0)), atol=1e-5
    )
    assert not np.allclose(model.decode(params, z), model.decode(params, z.at[:, 3:].add(5.0)))


def test_fewer_than_two_classes_are_refused():
    with pytest.raises(ValueError, match="two classes"):
        jaxae.supervised(autoencoder(), 1)
