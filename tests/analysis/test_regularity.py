"""Regularity of decoders whose constants are known, and of point sets whose answers are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import entropy as scipy_entropy

import jaxae

KEY = jax.random.key(0)


def linear(matrix):
    return lambda z: (z @ matrix).reshape(len(z), 2, -1, 1)


def test_the_lipschitz_constant_of_a_linear_decoder():
    matrix = jax.random.normal(KEY, (3, 12))
    z = jax.random.normal(jax.random.key(1), (37, 3))
    found = jaxae.analysis.lipschitz(linear(matrix), z, chunk=5)
    np.testing.assert_allclose(found, np.linalg.norm(matrix, 2), rtol=1e-5)


def test_the_lipschitz_constant_of_a_curved_decoder():
    """Of the length of the code: 1 in its direction, however far away; of its square: 2 |z|."""
    z = jax.random.normal(KEY, (20, 3))
    length = jnp.linalg.norm(z, axis=1)
    norm = lambda z: jnp.linalg.norm(z, axis=1)[:, None]
    np.testing.assert_allclose(jaxae.analysis.lipschitz(norm, z), 1, rtol=1e-5)
    np.testing.assert_allclose(
        jaxae.analysis.lipschitz(lambda z: norm(z) ** 2, z), 2 * length, rtol=1e-5
    )


def test_speeds():
    matrix = jax.random.normal(KEY, (3, 12))
    a, b = jax.random.normal(jax.random.key(1), (2, 9, 3))
    found = jaxae.analysis.path_speeds(linear(matrix), a, b, steps=4)
    expected = np.linalg.norm((b - a) @ matrix, axis=1) / np.linalg.norm(b - a, axis=1)
    np.testing.assert_allclose(found, np.repeat(expected[:, None], 4, axis=1), rtol=1e-4)
    assert (found <= np.linalg.norm(matrix, 2) * 1.0001).all()


def test_a_jump_is_a_fast_step():
    jump = lambda z: jnp.where(z[:, :1] > 0.6, 1.0, 0.0)
    found = jaxae.analysis.path_speeds(jump, jnp.zeros((1, 1)), jnp.ones((1, 1)), steps=4)
    np.testing.assert_allclose(found, [[0, 0, 4, 0]], atol=1e-5)


def test_speeds_of_nothing():
    assert np.isnan(
        jaxae.analysis.path_speeds(lambda z: z, jnp.ones((1, 2)), jnp.ones((1, 2)))
    ).all()


def brute_force(real, generated, k):
    def radii(points):
        d = np.linalg.norm(points[:, None] - points, axis=-1)
        return np.sort(d, axis=1)[:, k]

    def inside(points, centres):
        d = np.linalg.norm(points[:, None] - centres, axis=-1)
        return (d <= radii(centres)).any(axis=1).mean()

    return inside(generated, real), inside(real, generated)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_precision_and_recall_by_brute_force(k):
    random = np.random.default_rng(0)
    real = random.normal(size=(120, 3)).astype(np.float32)
    generated = (random.normal(size=(80, 3)) * 0.7 + 0.5).astype(np.float32)
    found = jaxae.analysis.precision_recall(real, generated, neighbours=k)
    np.testing.assert_allclose(found, brute_force(real, generated, k), atol=1e-9)
    assert 0.1 < min(found) < max(found)


def test_precision_and_recall_of_gaussians():
    """The same law: both high. One mode of two: precise, half of it covered. Far away: neither."""
    random = np.random.default_rng(1)

    def around(centre, n):
        return random.normal(size=(n, 2)).astype(np.float32) + centre

    real = np.concatenate([around(-10, 400), around(10, 400)])
    both = jaxae.analysis.precision_recall(
        real, np.concatenate([around(-10, 400), around(10, 400)])
    )
    assert min(both) > 0.9
    one = jaxae.analysis.precision_recall(real, around(-10, 800))
    assert one.precision > 0.9
    assert one.recall == pytest.approx(0.5, abs=0.06)
    blurred = jaxae.analysis.precision_recall(real, np.float32(40) * around(0, 800))
    assert blurred.precision < 0.05
    assert jaxae.analysis.precision_recall(real, around(1000, 800)) == (0, 0)


def test_copies_of_a_point_have_a_ball_of_radius_zero():
    real = np.zeros((4, 2), np.float32)
    assert jaxae.analysis.precision_recall(real, real) == (1, 1)
    assert jaxae.analysis.precision_recall(real, real + 1) == (0, 0)


def test_nearest_distances():
    random = np.random.default_rng(0)
    a, b = random.normal(size=(30, 5)), random.normal(size=(50, 5))
    expected = np.linalg.norm(a[:, None] - b, axis=-1).min(1)
    np.testing.assert_allclose(jaxae.analysis.nearest(a, b).distance, expected, rtol=1e-6)


def test_entropy():
    p = np.random.default_rng(0).dirichlet(np.ones(10), size=20).astype(np.float32)
    np.testing.assert_allclose(
        jaxae.analysis.entropy(jnp.asarray(p)), scipy_entropy(p, axis=1), rtol=1e-4
    )


def test_active_units_and_the_report():
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
        (lambda x: jaxae.analysis.precision_recall(x[:3], x), "3 real images"),
        (lambda x: jaxae.analysis.precision_recall(x, x[:2]), "2 generated images"),
        (lambda x: jaxae.analysis.precision_recall(x, x, neighbours=0), "real images"),
        (
            lambda x: jaxae.analysis.path_speeds(
                lambda z: z, jnp.asarray(x), jnp.asarray(x), steps=0
            ),
            "one step",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.random.default_rng(0).normal(size=(9, 2)).astype(np.float32))
