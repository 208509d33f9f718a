"""A prior given to a model afterwards."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxae
from jaxae import priors
from tests.cases import CODE, SHAPE, autoencoder, fixed_draws, images, vae

KEY = jax.random.key(0)
MIXTURE = priors.gaussian_mixture(
    np.random.default_rng(0).normal(1.0, 0.5, (60, CODE)), components=2
)


def test_a_prior_makes_a_sampler_of_any_autoencoder():
    base, x = autoencoder(), images(SHAPE)
    params = base.init(KEY, x)
    with pytest.raises(ValueError, match="jaxae.with_prior"):
        base.sample(params, KEY, 2)
    z = jnp.arange(6.0).reshape(2, CODE)
    model = jaxae.with_prior(base, fixed_draws(z))
    np.testing.assert_allclose(model.sample(params, KEY, 2), base.decode(params, z), atol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: autoencoder(), "this model has no prior"),
        (lambda: jaxae.with_prior(autoencoder(), MIXTURE), "the posterior of this model has no"),
        (
            lambda: jaxae.with_prior(vae(), fixed_draws(jnp.zeros((8, CODE)))),
            "the prior of this model has no",
        ),
    ],
)
def test_the_error_names_the_piece_that_has_no_density(make, message):
    model, x = make(), images(SHAPE)
    params = model.init(KEY, x)
    for estimate in (
        model.log_weight,
        lambda *arguments: jaxae.analysis.importance_nll(model, *arguments, 5),
    ):
        with pytest.raises(ValueError, match=message):
            estimate(params, KEY, x)


def test_the_weight_is_that_of_the_new_prior():
    base, x = vae(), images(SHAPE)
    model = jaxae.with_prior(base, MIXTURE)
    params = model.init(KEY, x)
    draws = base.draws(params, KEY, x)
    z = draws.z[0]
    normal = -0.5 * jnp.sum(jnp.square(z) + math.log(2 * math.pi), axis=-1)
    mixture = MIXTURE.distribution(None, len(z)).log_prob(z)
    expected = base.log_weight(params, KEY, x) - normal + mixture
    np.testing.assert_allclose(model.log_weight(params, KEY, x), expected, rtol=1e-5, atol=1e-4)


def test_a_vae_is_trained_with_the_new_prior():
    model, x = jaxae.with_prior(vae(), MIXTURE), images(SHAPE)
    params = model.init(KEY, x)
    out = jax.vmap(lambda key: model.loss(params, key, x).loss)(jax.random.split(KEY, 4000))
    weights = jax.vmap(lambda key: model.log_weight(params, key, x))(
        jax.random.split(jax.random.key(9), 4000)
    )
    error = (out.std(0) + weights.std(0)) / math.sqrt(4000)
    assert (np.abs(out.mean(0) + weights.mean(0)) < 5 * error).all()


def test_the_prior_of_the_base_is_replaced_with_its_parameters():
    own = jaxae.Prior(
        CODE,
        lambda params, n, condition=None: jaxae.families.normal(
            jnp.broadcast_to(params["mean"], (n, CODE)), jnp.zeros((n, CODE))
        ),
        init=lambda key: {"mean": jnp.full(CODE, 7.0)},
    )
    model, x = jaxae.with_prior(vae(), own), images(SHAPE)
    params = model.init(KEY, x)
    np.testing.assert_array_equal(params["prior"]["mean"], 7.0)
    z = model.model.prior(params, 5, None).mean
    np.testing.assert_array_equal(z, jnp.full((5, CODE), 7.0))
    gradient = jax.grad(lambda params: model.loss(params, KEY, x).loss.mean())(params)
    assert (gradient["prior"]["mean"] != 0).all()
    assert "prior" not in jaxae.with_prior(model, MIXTURE).init(KEY, x)
