"""A regularised autoencoder: its penalties, and samples by a density fitted afterwards."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxae
from tests.pieces.examples import SHAPE, digits, smooth_decoder, train

KEY = jax.random.key(0)


def test_the_penalties_are_of_codes_and_of_the_decoder():
    model, x = smooth_decoder(), digits(8).x
    params = model.init(KEY, x)
    out = model.loss(params, KEY, x)
    z = model.encode(params, x)
    decode = lambda z: model.decode(params, z[None])[0]
    jacobians = jax.vmap(jax.jacobian(decode))(z)
    norm = np.square(np.asarray(jacobians)).sum((1, 2, 3, 4))
    assert jacobians.shape == (8, *SHAPE, 3)
    np.testing.assert_allclose(out.terms["decoder_gradient"], norm, rtol=1e-4)
    np.testing.assert_allclose(out.terms["code_norm"], 0.5 * np.square(z).sum(1), rtol=1e-4)
    base = out.terms["distortion"]
    expected = base + 0.1 * out.terms["code_norm"] + 0.01 * out.terms["decoder_gradient"]
    np.testing.assert_allclose(out.loss, expected, rtol=1e-6)


def test_the_gradient_is_of_the_decoder_alone():
    model, x = smooth_decoder(), digits(8).x

    def term(params, name):
        return model.loss(params, KEY, x).terms[name].mean()

    gradient = jax.grad(term)(model.init(KEY, x), "code_norm")
    assert not any(leaf.any() for leaf in jax.tree.leaves(gradient["decoder"]))
    gradient = jax.grad(term)(model.init(KEY, x), "decoder_gradient")
    assert any(leaf.any() for leaf in jax.tree.leaves(gradient["decoder"]))


def test_samples_by_a_mixture_of_its_codes():
    trained = train(smooth_decoder(), digits(640), rate=1e-2)
    codes = smooth_decoder().encode(trained.params, digits(640).x)
    prior = jaxae.priors.gaussian_mixture(np.asarray(codes), components=10)
    model = jaxae.with_prior(smooth_decoder(), prior)
    samples = jnp.clip(model.sample(trained.params, KEY, 200), 0, 1)
    x = jnp.float32(digits(640).x) / 255
    # The mean and the spread of the images are those of the data.
    assert jnp.abs(samples.mean(0) - x.mean(0)).mean() < 0.05
    assert 0.5 < samples.std(0).mean() / x.std(0).mean() < 1.0
