"""Interpolations, grids, traversals and random codes, against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

import jaxae
from tests.data.precision import all_highest

KEY = jax.random.key(0)


@pytest.mark.parametrize("dimensions", [2, 3, 50])
def test_slerp_equals_its_closed_form(dimensions):
    a, b = np.asarray(jax.random.normal(KEY, (2, 7, dimensions)), np.float64)
    t = np.array([0.0, 0.2, 0.5, 0.9, 1.0])
    cosine = (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
    angle = np.arccos(cosine)[:, None]
    expected = [(np.sin((1 - s) * angle) * a + np.sin(s * angle) * b) / np.sin(angle) for s in t]
    found = jaxae.analysis.slerp(jnp.float32(a), jnp.float32(b), jnp.float32(t))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_slerp_keeps_lengths_and_lerp_does_not():
    a, b = jax.random.normal(KEY, (2, 20, 16))
    b = b * jnp.linalg.norm(a, axis=-1, keepdims=True) / jnp.linalg.norm(b, axis=-1, keepdims=True)
    t = jnp.linspace(0, 1, 9)
    lengths = jnp.linalg.norm(jaxae.analysis.slerp(a, b, t), axis=-1) / jnp.linalg.norm(a, axis=-1)
    np.testing.assert_allclose(lengths, 1, rtol=1e-5)
    assert (
        jnp.linalg.norm(jaxae.analysis.lerp(a, b, t)[4], axis=-1) < jnp.linalg.norm(a, axis=-1)
    ).all()
    # The same angle in each step.
    path = jaxae.analysis.slerp(a, b, t)
    steps = jnp.linalg.norm(jnp.diff(path, axis=0), axis=-1)
    np.testing.assert_allclose(steps, jnp.broadcast_to(steps[0], steps.shape), rtol=1e-3)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([1.0, 2.0], [1.0, 2.0]),
        ([1.0, 2.0], [3.0, 6.0]),
        ([1.0, 2.0], [-1.0, -2.0]),
        ([0.0, 0.0], [1.0, 2.0]),
        ([1.0, 2.0], [0.0, 0.0]),
        ([0.0, 0.0], [0.0, 0.0]),
        ([1.0, 2.0], [1.0, 2.0001]),
    ],
)
def test_slerp_of_parallel_opposite_and_zero_codes(a, b):
    a, b, t = jnp.array(a), jnp.array(b), jnp.linspace(0, 1, 5)
    np.testing.assert_allclose(
        jaxae.analysis.slerp(a, b, t), jaxae.analysis.lerp(a, b, t), atol=1e-4
    )
    gradient = jax.grad(lambda a, b: jaxae.analysis.slerp(a, b, t).sum(), argnums=(0, 1))(a, b)
    assert np.isfinite(gradient).all()


def test_lerp_passes_through_both_ends():
    a, b = jax.random.normal(KEY, (2, 3, 5))
    path = jaxae.analysis.lerp(a, b, jnp.array([0.0, 0.25, 1.0]))
    np.testing.assert_array_equal(path[0], a)
    np.testing.assert_array_equal(path[2], b)
    np.testing.assert_allclose(path[1], 0.75 * a + 0.25 * b, rtol=1e-6)


@pytest.mark.parametrize("n", [1, 2, 19])
def test_quantiles_have_equal_probability(n):
    values = np.asarray(jaxae.analysis.normal_quantiles(n), np.float64)
    np.testing.assert_allclose(norm.cdf(values), (np.arange(n) + 0.5) / n, atol=1e-5)


def test_the_plane_has_the_layout_of_an_image():
    grid = jaxae.analysis.plane(jnp.array([1.0, 2.0, 3.0]), jnp.array([-1.0, 1.0]))
    assert grid.shape == (2, 3, 2)
    assert grid[0, 0].tolist() == [1.0, 1.0]  # top left: small x, large y
    assert grid[1, 2].tolist() == [3.0, -1.0]
    images = jaxae.analysis.decode_grid(lambda z: z[:, None, None, :1], grid)
    np.testing.assert_array_equal(images[..., 0, 0, 0], grid[..., 0])


def test_traversals_change_one_dimension():
    z = jnp.array([1.0, 2.0, 3.0])
    values = jnp.array([[7.0, 8.0], [9.0, 10.0], [11.0, 12.0]])
    path = np.asarray(jaxae.analysis.traversals(z, values))
    for i in range(3):
        np.testing.assert_array_equal(path[i, :, i], values[i])
        others = [j for j in range(3) if j != i]
        np.testing.assert_array_equal(path[i][:, others], np.tile(z[jnp.array(others)], (2, 1)))


def test_draws_have_the_mean_and_covariance_of_the_codes():
    random = np.random.default_rng(0)
    codes = jnp.float32(3 + random.normal(size=(500, 3)) @ random.normal(size=(3, 3)))
    drawn = jaxae.analysis.draw_like(KEY, codes, 40_000)
    np.testing.assert_allclose(drawn.mean(0), codes.mean(0), atol=0.06)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(codes.T), atol=0.15)
    assert np.isfinite(jaxae.analysis.draw_like(KEY, jnp.ones((5, 3)), 4)).all()  # no variance
    assert jaxae.analysis.draw_like(KEY, codes[:, :1], 4).shape == (4, 1)
    with pytest.raises(ValueError, match="at least two codes, got 1"):
        jaxae.analysis.draw_like(KEY, codes[:1], 4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: jaxae.analysis.normal_quantiles(0), "at least one"),
        (
            lambda: jaxae.analysis.traversals(jnp.ones(3), jnp.ones((1, 2))),
            r"values of shape \(3, n\)",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("scale", [1e-15, 1.0, 1e3, 1e15])
def test_draws_of_correlated_codes_at_any_scale(scale):
    """Codes of three dimensions in a plane have a singular covariance, which is not factorised."""
    random = np.random.default_rng(0)
    plane = random.normal(size=(200, 2)) @ np.array([[1.0, 1.0, 0.0], [0.0, 1e-2, 1.0]])
    codes = jnp.float32(scale * (plane + 1))
    drawn = np.asarray(jaxae.analysis.draw_like(KEY, codes, 20_000), np.float64) / scale
    assert np.isfinite(drawn).all()
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(plane.T), atol=0.06)
    # The third basis vector is perpendicular to the plane.
    normal = np.cross([1.0, 1.0, 0.0], [0.0, 1e-2, 1.0])
    np.testing.assert_allclose((drawn - 1 - plane.mean(0)) @ normal, 0, atol=2e-3)


def test_draws_of_dimensions_with_very_different_scales():
    random = np.random.default_rng(0)
    scales = np.array([1e-6, 1.0, 1e6])
    codes = jnp.float32(random.normal(size=(300, 3)) * scales)
    drawn = np.asarray(jaxae.analysis.draw_like(KEY, codes, 20_000))
    np.testing.assert_allclose(drawn.std(0), np.asarray(codes).std(0), rtol=0.03)


def test_products_of_draws_are_precise():
    assert all_highest(lambda z: jaxae.analysis.draw_like(KEY, z, 3), jnp.ones((5, 2)))


def test_ways_between_codes_go_through_all_of_them():
    codes = jax.random.normal(jax.random.key(0), (4, 3))
    for spherical in (False, True):
        ways = jaxae.analysis.between(codes, 5, spherical=spherical)
        assert ways.shape == (3, 5, 3)
        np.testing.assert_allclose(ways[:, 0], codes[:-1], atol=1e-6)
        np.testing.assert_allclose(ways[:, -1], codes[1:], atol=1e-6)
    unit = codes / jnp.linalg.norm(codes, axis=1, keepdims=True)
    arc = jnp.linalg.norm(jaxae.analysis.between(unit, 5, spherical=True), axis=-1)
    np.testing.assert_allclose(arc, 1, atol=1e-5)
    with pytest.raises(ValueError, match="fewer than two codes, got 1"):
        jaxae.analysis.between(codes[:1], 5)
    with pytest.raises(ValueError, match="at least two steps, its ends, got 1"):
        jaxae.analysis.between(codes, 1)
