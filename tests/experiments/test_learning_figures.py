"""The squared error of the learning curves is that of the images."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxae
from experiments.shared.learning_figures import squared_error

X = jax.random.uniform(jax.random.key(0), (5, 4, 4, 1))


def model(likelihood):
    encoder = jaxae.networks.mlp_encoder(2, (3,))
    decoder = jaxae.networks.mlp_decoder((4, 4, 1), (3,), outputs=likelihood.outputs)
    return jaxae.autoencoder(encoder, decoder, likelihood)


@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_squared_errors_from_nats(scale):
    one = model(jaxae.likelihoods.gaussian(scale))
    params = one.init(jax.random.key(1), X)
    convert = squared_error(one, params, jaxae.Batch(X))
    distortion = one.loss(params, jax.random.key(2), X, train=False).terms["distortion"]
    expected = np.square(X - jaxae.reconstruct(one, params, X)).sum((1, 2, 3))
    np.testing.assert_allclose([convert(float(d)) for d in distortion], expected, rtol=1e-4)


@pytest.mark.parametrize(
    "likelihood",
    [
        jaxae.likelihoods.bernoulli(),
        jaxae.likelihoods.laplace(),
        jaxae.likelihoods.gaussian("learned"),
        jaxae.likelihoods.gaussian("shared"),
    ],
)
def test_no_squared_error_where_nats_do_not_tell_it(likelihood):
    one = model(likelihood)
    params = one.init(jax.random.key(1), X)
    assert squared_error(one, params, jaxae.Batch(X)) is None


def test_inputs_that_have_another_shape():
    pairs = jaxae.Batch(X, seen=jnp.zeros((5, 2, 2, 3)))
    one = model(jaxae.likelihoods.gaussian())
    params = one.init(jax.random.key(1), pairs)
    assert squared_error(one, params, pairs) is not None
    hidden = jaxae.denoising(one, jaxae.corruptions.hide(jaxae.data.masks.half("left")))
    params = hidden.init(jax.random.key(1), X)
    assert squared_error(hidden, params, jaxae.Batch(X)) is not None
