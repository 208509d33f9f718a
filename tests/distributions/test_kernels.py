"""Kernels and the maximum mean discrepancy against loops and permutations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxae

KEY = jax.random.key(0)


SCALES = (0.1, 0.2, 0.5, 1, 2, 5, 10)


KERNELS = {
    "imq": (
        jaxae.distributions.imq(3.0),
        lambda d: np.mean([3 * s / (3 * s + d**2) for s in SCALES]),
    ),
    "rbf": (
        jaxae.distributions.rbf(3.0),
        lambda d: np.mean([np.exp(-(d**2) / (3 * s)) for s in SCALES]),
    ),
}


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_discrepancy_is_that_of_loops(kernel):
    ours, k = KERNELS[kernel]
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(6, 3)), generator.normal(0.5, size=(9, 3))
    k_of = lambda a, b: k(np.linalg.norm(a - b))
    own = lambda z: np.mean(
        [k_of(z[i], z[j]) for i in range(len(z)) for j in range(len(z)) if i != j]
    )
    expected = own(x) + own(y) - 2 * np.mean([k_of(a, b) for a in x for b in y])
    assert float(jaxae.distributions.mmd(jnp.float32(x), jnp.float32(y), ours)) == pytest.approx(
        expected, rel=1e-4
    )


def test_the_discrepancy_in_blocks_is_the_same(monkeypatch):
    x, y = (jax.random.normal(jax.random.key(i), (50, 3)) for i in range(2))
    whole = jaxae.distributions.mmd(x, y, jaxae.distributions.imq(6.0))
    monkeypatch.setattr("jaxae.distributions.kernels.BLOCK", 16)
    np.testing.assert_allclose(
        jaxae.distributions.mmd(x, y, jaxae.distributions.imq(6.0)), whole, atol=1e-6
    )


def test_the_discrepancy_of_equal_laws_is_zero_on_average():
    draws = jax.random.normal(KEY, (4000, 2, 8, 2))
    found = np.asarray(
        jax.vmap(lambda d: jaxae.distributions.mmd(d[0], d[1], jaxae.distributions.imq(4.0)))(draws)
    )
    error = found.std() / np.sqrt(len(found))
    assert abs(found.mean()) < 4 * error
    # With its diagonals it would be 2 (1 - mean kernel) / n, which these draws would notice.
    assert 4 * error < 0.02


def test_a_permutation_test_finds_a_difference_and_none_where_there_is_none():
    mmd = jax.jit(lambda x, y: jaxae.distributions.mmd(x, y, jaxae.distributions.rbf(4.0)))

    def p_value(x, y, key):
        both = jnp.concatenate([x, y])
        found = mmd(x, y)
        usual = [
            mmd(*jnp.split(both[jax.random.permutation(k, len(both))], 2))
            for k in jax.random.split(key, 60)
        ]
        return (1 + sum(value >= found for value in usual)) / 61

    keys = jax.random.split(KEY, 20)
    draw = lambda i: jax.random.normal(keys[i], (100, 2))
    same = [float(p_value(draw(2 * i), draw(2 * i + 1), keys[i])) for i in range(8)]
    assert 0.2 < np.mean(same) < 0.8
    assert float(p_value(draw(0), draw(1) + 0.7, keys[0])) < 0.02


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_gradient_is_finite_where_points_coincide(kernel):
    x = jnp.zeros((4, 2))
    gradient = jax.grad(
        lambda x: jaxae.distributions.mmd(x, jnp.zeros((4, 2)), KERNELS[kernel][0])
    )(x)
    assert jnp.isfinite(gradient).all()


def test_numbers_out_of_range_are_refused():
    for make, scale in ((jaxae.distributions.imq, 0.0), (jaxae.distributions.rbf, -1.0)):
        with pytest.raises(ValueError, match="positive"):
            make(scale)
    with pytest.raises(ValueError, match="two draws"):
        jaxae.distributions.mmd(jnp.zeros((1, 2)), jnp.zeros((5, 2)), jaxae.distributions.rbf(1.0))
