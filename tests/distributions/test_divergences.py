"""Divergences of normal distributions against integrals, torch, and each other."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

import jaxae


def normals(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize(("mean", "log_var"), [(0.0, 0.0), (1.5, -2.0), (-0.3, 1.2), (4.0, 0.7)])
def test_kl_standard_normal_is_the_integral(mean, log_var):
    q = scipy.stats.norm(mean, math.exp(log_var / 2))
    integral, _ = scipy.integrate.quad(
        lambda z: q.pdf(z) * (q.logpdf(z) - scipy.stats.norm.logpdf(z)), -30, 30, points=[mean]
    )
    value = jaxae.distributions.kl_standard_normal(jnp.array([mean]), jnp.array([log_var]))
    assert float(value) == pytest.approx(integral, abs=1e-5)


def test_kl_of_diagonal_gaussians_is_torch():
    # torch.distributions.kl_divergence(
    #     Normal(tensor([0.5, -1.0, 2.0]), tensor([-0.4, 0.3, 1.0]).mul(0.5).exp()),
    #     Normal(tensor([0.0, 1.0, -0.5]), tensor([0.2, -0.7, 0.5]).mul(0.5).exp()),
    # )  # torch 2.13.0: [0.1767471, 4.3866467, 1.9697689]
    value = jaxae.distributions.kl_diagonal_normal(
        jnp.array([[0.5], [-1.0], [2.0]]),
        jnp.array([[-0.4], [0.3], [1.0]]),
        jnp.array([[0.0], [1.0], [-0.5]]),
        jnp.array([[0.2], [-0.7], [0.5]]),
    )
    np.testing.assert_allclose(value, [0.1767471, 4.3866467, 1.9697689], rtol=1e-6)


def test_kl_keeps_its_digits_near_the_prior():
    # exp(v) - 1 - v = v**2 / 2 + ...; in float32, exp(1e-4) - 1 - 1e-4 would be off by 100 %.
    value = jaxae.distributions.kl_standard_normal(jnp.zeros(1), jnp.array([1e-4]))
    assert float(value) == pytest.approx(0.5 * (1e-8 / 2 + 1e-12 / 6), rel=0.2)
    mean, log_var = (jnp.asarray(1e-4 * normals(1000, 1, seed=i), jnp.float32) for i in (0, 1))
    random = jaxae.distributions.kl_standard_normal(mean, log_var)
    assert (random >= 0).all()


def test_the_three_divergences_agree():
    mean, log_var, other_mean, other_log_var = (
        jnp.asarray(normals(4, 3, seed=i), jnp.float32) for i in range(4)
    )
    diagonal = jaxae.distributions.kl_diagonal_normal(mean, log_var, other_mean, other_log_var)
    full = jaxae.distributions.kl_normal(
        mean,
        jax.vmap(jnp.diag)(jnp.exp(log_var)),
        other_mean,
        jax.vmap(jnp.diag)(jnp.exp(other_log_var)),
    )
    np.testing.assert_allclose(diagonal, full, rtol=1e-4)
    zero = jnp.zeros_like(mean)
    np.testing.assert_allclose(
        jaxae.distributions.kl_diagonal_normal(mean, log_var, zero, zero),
        jaxae.distributions.kl_standard_normal(mean, log_var),
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        jaxae.distributions.kl_standard_normal_per_dimension(mean, log_var).sum(-1),
        jaxae.distributions.kl_standard_normal(mean, log_var),
        rtol=1e-6,
    )


def test_kl_of_full_gaussians_is_the_expectation_of_the_log_ratio():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3, 3))
    first, second = a @ a.T + np.eye(3), b @ b.T + np.eye(3)
    mean, other = rng.normal(size=(2, 3))
    p = scipy.stats.multivariate_normal(mean, first)
    q = scipy.stats.multivariate_normal(other, second)
    draws = p.rvs(200_000, random_state=1)
    ratios = p.logpdf(draws) - q.logpdf(draws)
    arguments = (jnp.asarray(v, jnp.float32) for v in (mean, first, other, second))
    value = float(jaxae.distributions.kl_normal(*arguments))
    assert abs(value - ratios.mean()) < 5 * ratios.std() / math.sqrt(len(draws))
    assert math.isnan(
        float(jaxae.distributions.kl_normal(jnp.zeros(2), -jnp.eye(2), jnp.zeros(2), jnp.eye(2)))
    )
