"""Lipschitz constants and speeds of decoders with known values, and collapse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxae
from tests.data.precision import all_highest

KEY = jax.random.key(0)


def linear_decoder(matrix):
    return lambda z: (z @ matrix).reshape(len(z), 2, -1, 1)


def test_lipschitz_constant_of_a_linear_decoder():
    matrix = jax.random.normal(KEY, (3, 12))
    z = jax.random.normal(jax.random.key(1), (37, 3))
    found = jaxae.analysis.lipschitz(linear_decoder(matrix), z, chunk=5)
    np.testing.assert_allclose(found, np.linalg.norm(matrix, 2), rtol=1e-5)


def test_lipschitz_constant_of_a_curved_decoder():
    """The length of the code has the constant 1, and its square 2 |z|."""
    z = jax.random.normal(KEY, (20, 3))
    length = jnp.linalg.norm(z, axis=1)
    norm = lambda z: jnp.linalg.norm(z, axis=1)[:, None]
    np.testing.assert_allclose(jaxae.analysis.lipschitz(norm, z), 1, rtol=1e-5)
    np.testing.assert_allclose(
        jaxae.analysis.lipschitz(lambda z: norm(z) ** 2, z), 2 * length, rtol=1e-5
    )


def test_path_speeds_of_a_linear_decoder():
    matrix = jax.random.normal(KEY, (3, 12))
    a, b = jax.random.normal(jax.random.key(1), (2, 9, 3))
    found = jaxae.analysis.path_speeds(linear_decoder(matrix), a, b, steps=4)
    expected = np.linalg.norm((b - a) @ matrix, axis=1) / np.linalg.norm(b - a, axis=1)
    np.testing.assert_allclose(found, np.repeat(expected[:, None], 4, axis=1), rtol=1e-4)
    assert (found <= np.linalg.norm(matrix, 2) * 1.0001).all()


def test_a_jump_has_a_high_speed():
    jump = lambda z: jnp.where(z[:, :1] > 0.6, 1.0, 0.0)
    found = jaxae.analysis.path_speeds(jump, jnp.zeros((1, 1)), jnp.ones((1, 1)), steps=4)
    np.testing.assert_allclose(found, [[0, 0, 4, 0]], atol=1e-5)


def test_path_speeds_between_equal_codes_are_nan():
    assert np.isnan(
        jaxae.analysis.path_speeds(lambda z: z, jnp.ones((1, 2)), jnp.ones((1, 2)))
    ).all()


def test_active_units_and_collapse_report():
    means = jnp.stack([jnp.linspace(-1, 1, 100), jnp.linspace(-0.01, 0.01, 100)], axis=1)
    assert jaxae.analysis.active_units(means).tolist() == [True, False]
    assert jaxae.analysis.active_units(means, threshold=1e-6).all()
    assert "7 of 16 dimensions carry nothing" in jaxae.analysis.collapse_report(
        np.array([1e-3] * 7 + [2.0] * 9)
    )
    assert "the others carry 18.0 nats" in jaxae.analysis.collapse_report(
        np.array([0.0] * 7 + [2.0] * 9)
    )
    assert "all 3 dimensions are in use" in jaxae.analysis.collapse_report(np.ones(3))
    assert "all 3 dimensions carry nothing" in jaxae.analysis.collapse_report(np.zeros(3))
    assert "1 of 3 dimensions carries nothing" in jaxae.analysis.collapse_report(
        np.array([2.0, 1.0, 0.4]), threshold=0.5
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda x: jaxae.analysis.path_speeds(
                lambda z: z, jnp.asarray(x), jnp.asarray(x), steps=0
            ),
            "at least one step",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.random.default_rng(0).normal(size=(9, 2)).astype(np.float32))


def test_products_of_jacobians_are_precise():
    assert all_highest(lambda z: jaxae.analysis.lipschitz(jnp.sin, z), jnp.ones((3, 2)))


def test_kl_per_dimension_against_an_integral():
    """Of the normal distributions that the encoder gives, by quadrature over each latent dimension."""
    model = jaxae.vae(
        jaxae.networks.mlp_encoder(4, (3,)), jaxae.networks.mlp_decoder((4, 4, 1)), latent_dim=2
    )
    x = jax.random.uniform(KEY, (3, 4, 4, 1))
    params = model.init(KEY, x)
    found = jaxae.analysis.kl_per_dimension(model, params, x)
    mean, log_var = model.draws(params, KEY, x).posterior.stats
    z = np.linspace(-12, 12, 20001)
    mean, sd = np.asarray(mean)[..., None], np.exp(np.asarray(log_var) / 2)[..., None]
    q = np.exp(-0.5 * ((z - mean) / sd) ** 2) / sd / np.sqrt(2 * np.pi)
    log_ratio = -0.5 * ((z - mean) / sd) ** 2 - np.log(sd) + 0.5 * z**2
    np.testing.assert_allclose(found, np.trapezoid(q * log_ratio, z), rtol=1e-4, atol=1e-6)


def test_kl_per_dimension_needs_a_prior():
    plain = jaxae.autoencoder(jaxae.networks.mlp_encoder(2), jaxae.networks.mlp_decoder((4, 4, 1)))
    x = jnp.zeros((2, 4, 4, 1))
    with pytest.raises(ValueError, match="has no prior"):
        jaxae.analysis.kl_per_dimension(plain, plain.init(KEY, x), x)
