"""The VAE against a model whose log p(x) is known, and what each of its numbers does."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxae
from tests.cases import CODE, SHAPE, images, mlps, vae
from tests.linear_gaussian import D, K, linear_gaussian

KEY = jax.random.key(0)


def test_sampling_is_from_the_prior_through_the_decoder():
    model, params, x, _ = linear_gaussian()
    drawn = model.sample(params, KEY, 50_000).reshape(-1, D)
    np.testing.assert_allclose(drawn.mean(0), np.zeros(D), atol=0.05)
    _, w = jnp.zeros(D), model.decode(params, jnp.eye(K)).reshape(K, D).T
    np.testing.assert_allclose(np.cov(drawn.T), w @ w.T, atol=0.08)


def test_the_code_is_the_posterior_mean():
    model, params, x, _ = linear_gaussian()
    z = jax.vmap(lambda key: model.loss(params, key, x).z)(jax.random.split(KEY, 5000))
    np.testing.assert_allclose(model.encode(params, x), z.mean(0), atol=0.1)


def test_an_extreme_encoder_stays_finite():
    model, x = vae(), images(SHAPE)
    params = jax.tree.map(lambda p: 1e4 * p, model.init(KEY, x))
    gradient = jax.grad(lambda params: model.loss(params, KEY, x).loss.mean())(params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latent_dim": 0}, "latent_dim must be positive"),
        ({"samples": 0}, "at least one sample"),
        ({"beta": -1.0}, "beta"),
        ({"beta": math.nan}, "beta"),
        ({"free_bits": -0.1}, "free_bits"),
    ],
)
def test_bad_numbers(options, message):
    with pytest.raises(ValueError, match=message):
        jaxae.vae(*mlps(twice=True), **{"latent_dim": CODE} | options)


def test_encoders_of_another_width_are_refused():
    x = images(SHAPE)
    narrow = jaxae.vae(*mlps(), latent_dim=CODE)
    with pytest.raises(ValueError, match="3 means and 3 log-variances"):
        narrow.init(KEY, x)
