"""Sparsity penalties against scipy and numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.special import rel_entr

import jaxae

KEY = jax.random.key(0)
X = jax.random.uniform(jax.random.key(1), (6, 4, 3, 1))


def plain(**options):
    encoder = jaxae.networks.mlp_encoder(5, (8,), **options)
    return jaxae.autoencoder(
        jaxae.networks.activate(encoder, jax.nn.sigmoid),
        jaxae.networks.mlp_decoder((4, 3, 1), (8,)),
    )


def test_l1():
    z = jax.random.normal(KEY, (7, 4))
    np.testing.assert_allclose(jaxae.wrappers.l1(z), np.abs(np.asarray(z)).sum(1), rtol=1e-6)


@pytest.mark.parametrize("rate", [0.05, 0.5])
def test_the_divergence_of_rates_is_scipy(rate):
    z = jax.random.uniform(KEY, (9, 4))
    mean = np.asarray(z, np.float64).mean(0)
    expected = (rel_entr(rate, mean) + rel_entr(1 - rate, 1 - mean)).sum()
    found = jaxae.wrappers.kl_sparsity(rate)(z)
    np.testing.assert_allclose(found, np.full(9, expected), rtol=1e-5)
    gradient = jax.grad(lambda z: jaxae.wrappers.kl_sparsity(rate)(z).mean())(jnp.zeros((3, 2)))
    assert np.isfinite(gradient).all()
    assert np.isnan(jaxae.wrappers.kl_sparsity(rate)(z - 3)).all()


def test_a_unit_that_is_off_is_asked_to_come_back():
    # Logits of -16: a mean of 1e-7, below where the divergence is bounded.
    loss = lambda logits: jaxae.wrappers.kl_sparsity(0.2)(jax.nn.sigmoid(logits)).mean()
    gradient = jax.grad(loss)(jnp.full((4, 2), -16.0))
    assert np.isfinite(gradient).all()
    assert (np.asarray(gradient) < -1e-3).all()


def test_the_penalty_and_its_weight():
    base = plain()
    params = base.init(KEY, X)
    out = base.loss(params, KEY, X)
    for weight in (0.5, lambda step: 0.25 * step):
        for penalty in (jaxae.wrappers.l1, jaxae.wrappers.kl_sparsity(0.1)):
            found = jaxae.sparse(base, weight, penalty).loss(params, KEY, X, step=2)
            np.testing.assert_allclose(found.terms["sparsity"], penalty(out.z))
            expected = out.loss + 0.5 * penalty(out.z)
            np.testing.assert_allclose(found.loss, expected, rtol=1e-6)


def test_top_k():
    z = jax.random.normal(KEY, (20, 9))
    kept = np.asarray(jaxae.wrappers.top_k(3)(z))
    for row, original in zip(kept, np.asarray(z), strict=True):
        largest = np.argsort(original)[-3:]
        assert set(np.flatnonzero(row)) == set(largest)
        np.testing.assert_array_equal(row[largest], original[largest])
    # The gradient goes through what is kept, and nowhere else.
    gradient = jax.grad(lambda z: jaxae.wrappers.top_k(3)(z).sum())(z)
    np.testing.assert_array_equal(gradient, kept != 0)
    np.testing.assert_array_equal(jaxae.wrappers.top_k(9)(z), z)


def test_training_makes_codes_sparse(digits):
    x = digits.train.images[:256]
    measured = []
    for weight in (0.0, 1.0):
        base = jaxae.autoencoder(
            jaxae.networks.activate(jaxae.networks.mlp_encoder(16, (32,)), jax.nn.relu),
            jaxae.networks.mlp_decoder((8, 8, 1), (32,)),
        )
        model = jaxae.sparse(base, weight, jaxae.wrappers.l1)
        fitted = jaxae.fit(
            model, x, optimizer=optax.adam(1e-2), epochs=10, batch_size=64, key=KEY, progress=False
        )
        measured.append(
            float(jaxae.wrappers.l1(model.encode(fitted.params, jaxae.as_float(x))).mean())
        )
    assert measured[1] < 0.5 * measured[0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: jaxae.sparse(plain(), -1.0, jaxae.wrappers.l1), "not negative"),
        (lambda: jaxae.sparse(plain(), float("nan"), jaxae.wrappers.l1), "not negative"),
        (lambda: jaxae.wrappers.kl_sparsity(0.0), r"in \(0, 1\)"),
        (lambda: jaxae.wrappers.kl_sparsity(1.0), r"in \(0, 1\)"),
        (lambda: jaxae.wrappers.top_k(0), "must be positive, got 0"),
    ],
)
def test_bad_numbers(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_k_larger_than_the_code_is_found_when_initialised():
    encoder = jaxae.networks.activate(jaxae.networks.mlp_encoder(5, (8,)), jaxae.wrappers.top_k(6))
    model = jaxae.autoencoder(encoder, jaxae.networks.mlp_decoder((4, 3, 1), (8,)))
    with pytest.raises(ValueError, match="k = 6 is larger than the code, which has 5 values"):
        model.init(KEY, X)
