"""Estimates of log p(x), on a model where it is known, and by brute force."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxae
from tests.cases import CODE, SHAPE, conditioned, images, mlps, vae, with_missing
from tests.linear_gaussian import linear_gaussian

KEY = jax.random.key(0)


def test_certificate_the_importance_bound_approaches_from_below():
    model, params, x, exact = linear_gaussian(log_var_error=0.7, mean_error=0.3)

    def bound(samples, repeats=400):
        keys = jax.random.split(jax.random.key(samples), repeats)
        estimate = jax.jit(
            jax.vmap(lambda key: -jaxae.analysis.importance_nll(model, params, key, x, samples))
        )
        return np.asarray(estimate(keys), np.float64).mean()

    gaps = [exact.mean() - bound(samples) for samples in (1, 4, 16, 256)]
    assert all(later < earlier for earlier, later in zip(gaps, gaps[1:], strict=False))
    assert gaps[0] > 0.3
    assert -0.01 < gaps[-1] < 0.02


def test_the_memory_of_the_nll_does_not_grow_with_the_samples():
    model = vae()
    x = jnp.zeros((256, *SHAPE))
    params = jax.eval_shape(model.init, KEY, x)

    def peak(samples):
        nll = jax.jit(
            lambda params, key, x: jaxae.analysis.importance_nll(model, params, key, x, samples)
        )
        memory = nll.lower(params, KEY, x).compile().memory_analysis()
        return memory.temp_size_in_bytes

    assert peak(100_000) < 1.5 * peak(1000) + 16 * 100_000  # the keys themselves: 8 bytes, twice


@pytest.mark.parametrize("seed", range(3))
def test_the_estimate_with_the_exact_posterior_is_log_p_for_any_key(seed):
    model, params, x, exact = linear_gaussian()
    nll = jaxae.analysis.importance_nll(model, params, jax.random.key(seed), x, samples=3)
    np.testing.assert_allclose(nll, -exact, atol=1e-4)


@pytest.mark.parametrize("samples", [1, 2, 5, 11])
def test_exactly_so_many_samples_are_used(samples):
    model, x = vae(), images(SHAPE)
    params = model.init(KEY, x)
    chunk = min(3, samples)
    keys = jax.random.split(KEY, -(-samples // chunk))
    draws = [model.draws(params, key, x, chunk).log_weight for key in keys]
    weights = jnp.concatenate(draws)[:samples]
    expected = -(jax.scipy.special.logsumexp(weights, axis=0) - math.log(samples))
    nll = jaxae.analysis.importance_nll(model, params, KEY, x, samples, chunk=3)
    np.testing.assert_allclose(nll, expected, rtol=1e-5)


def test_the_memory_is_bounded_by_the_widest_layer():
    """A table of 7 columns and networks of 1,024 units: by its columns alone a chunk would be 5 GB."""
    encoder = jaxae.networks.mlp_encoder(4, (1024,))
    decoder = jaxae.networks.mlp_decoder((7,), (1024,))
    model = jaxae.vae(encoder, decoder, jaxae.likelihoods.gaussian(), latent_dim=2)
    x = jnp.zeros((1000, 7))
    params = jax.eval_shape(model.init, KEY, x)
    nll = jax.jit(lambda *arguments: jaxae.analysis.importance_nll(model, *arguments, 5000))
    memory = nll.lower(params, KEY, x).compile().memory_analysis()
    assert memory.temp_size_in_bytes < 200e6


def by_brute_force(model, params, batch, samples=3000):
    """One draw at a time, each with a key of its own, from the pieces of the model."""

    def weight(key):
        q = model.model.posterior(params, batch)
        z, log_q = q.draw(key)
        log_p = model.model.prior(params, len(z), batch.condition).log_prob(z)
        likelihood = model.model.likelihood(params, z, batch.condition)
        return likelihood.log_prob_of(batch.x, batch.observed) + log_p - log_q

    weights = jax.jit(jax.vmap(weight))(jax.random.split(jax.random.key(5), samples))
    return math.log(samples) - jax.scipy.special.logsumexp(weights, axis=0)


def test_the_estimate_takes_a_condition():
    networks = (jaxae.networks.with_condition(part, classes=3) for part in mlps(twice=True))
    model = jaxae.vae(*networks, latent_dim=CODE)
    batch = conditioned(images(SHAPE))
    params = model.init(KEY, batch)
    found = jaxae.analysis.importance_nll(model, params, KEY, batch, 3000)
    np.testing.assert_allclose(found, by_brute_force(model, params, batch), atol=0.1)
    other = batch._replace(condition=(batch.condition + 1) % 3)
    assert (
        jnp.abs(found - jaxae.analysis.importance_nll(model, params, KEY, other, 3000)) > 0.2
    ).any()
    with pytest.raises(ValueError, match="there is no condition"):
        jaxae.analysis.importance_nll(model, params, KEY, batch.x, 5)


def test_the_estimate_leaves_missing_values_out():
    model, batch = vae(), with_missing(images(SHAPE))
    params = model.init(KEY, batch)
    found = jaxae.analysis.importance_nll(model, params, KEY, batch, 3000)
    np.testing.assert_allclose(found, by_brute_force(model, params, batch), atol=0.1)
    with pytest.raises(ValueError, match="at least one sample"):
        jaxae.analysis.importance_nll(model, params, KEY, batch, 0)


def test_a_likelihood_of_the_whole_batch_has_no_log_p():
    model, x = vae(jaxae.likelihoods.gaussian("optimal")), images(SHAPE)
    with pytest.raises(ValueError, match="depends on the whole batch"):
        jaxae.analysis.importance_nll(model, model.init(KEY, x), KEY, x, 5)
