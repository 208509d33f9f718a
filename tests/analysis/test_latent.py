"""Moving about in latent space: closed forms, and a linear model whose directions are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm
from sklearn.linear_model import LinearRegression, LogisticRegression

import jaxae

KEY = jax.random.key(0)


@pytest.mark.parametrize("dimensions", [2, 3, 50])
def test_slerp_is_its_closed_form(dimensions):
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
def test_slerp_where_there_is_no_arc(a, b):
    a, b, t = jnp.array(a), jnp.array(b), jnp.linspace(0, 1, 5)
    np.testing.assert_allclose(
        jaxae.analysis.slerp(a, b, t), jaxae.analysis.lerp(a, b, t), atol=1e-4
    )
    gradient = jax.grad(lambda a, b: jaxae.analysis.slerp(a, b, t).sum(), argnums=(0, 1))(a, b)
    assert np.isfinite(gradient).all()


def test_lerp_ends_at_its_ends():
    a, b = jax.random.normal(KEY, (2, 3, 5))
    path = jaxae.analysis.lerp(a, b, jnp.array([0.0, 0.25, 1.0]))
    np.testing.assert_array_equal(path[0], a)
    np.testing.assert_array_equal(path[2], b)
    np.testing.assert_allclose(path[1], 0.75 * a + 0.25 * b, rtol=1e-6)


@pytest.mark.parametrize("n", [1, 2, 19])
def test_each_cell_of_the_grid_has_the_same_probability(n):
    values = np.asarray(jaxae.analysis.normal_quantiles(n), np.float64)
    np.testing.assert_allclose(norm.cdf(values), (np.arange(n) + 0.5) / n, atol=1e-5)


def test_the_plane_is_laid_out_as_a_picture():
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


@pytest.fixture(scope="module")
def linear_world():
    """Codes that are a sum of directions, of attributes that go together, and of noise."""
    random = np.random.default_rng(0)
    first = random.random(4000) < 0.4
    second = np.where(first, random.random(4000) < 0.8, random.random(4000) < 0.2)
    attributes = np.stack([first, second], axis=1)
    directions = np.array([[1.0, 0.0, 0.5, 0.0], [0.0, 2.0, 0.0, 0.0]])
    codes = attributes @ directions + 0.3 * random.normal(size=(4000, 4))
    return jnp.float32(codes), attributes, directions


def test_directions_of_a_linear_model(linear_world):
    codes, attributes, directions = linear_world
    found = jaxae.analysis.partial_directions(codes, attributes)
    np.testing.assert_allclose(found, directions, atol=0.04)
    expected = LinearRegression().fit(attributes, codes).coef_.T
    np.testing.assert_allclose(found, expected, atol=1e-4)
    # The difference of means has what goes along with the attribute: 0.6 of the other direction.
    difference = jaxae.analysis.attribute_vector(codes, attributes[:, 0])
    np.testing.assert_allclose(difference, directions[0] + 0.6 * directions[1], atol=0.08)
    plain = codes[attributes[:, 0]].mean(0) - codes[~attributes[:, 0]].mean(0)
    np.testing.assert_allclose(difference, plain, atol=1e-5)


def test_attributes_that_always_go_together_share_a_direction(linear_world):
    codes, attributes, _ = linear_world
    twice = jaxae.analysis.partial_directions(codes, np.repeat(attributes[:, :1], 2, axis=1))
    np.testing.assert_allclose(
        twice.sum(0), jaxae.analysis.attribute_vector(codes, attributes[:, 0]), atol=1e-4
    )


def test_the_logistic_normal(linear_world):
    codes, attributes, _ = linear_world
    has = attributes[:, 0]
    found = np.asarray(jaxae.analysis.logistic_normal(codes, has))
    x = np.asarray(codes)
    scaled = (x - x.mean(0)) / x.std(0)
    w = LogisticRegression(class_weight="balanced").fit(scaled, has).coef_[0] / x.std(0)
    cosine = found @ w / np.linalg.norm(found) / np.linalg.norm(w)
    assert cosine == pytest.approx(1, abs=1e-4)
    difference = np.asarray(jaxae.analysis.attribute_vector(codes, has))
    assert found @ w == pytest.approx(difference @ w, rel=1e-3)
    # Regularisation changes it.
    other = np.asarray(jaxae.analysis.logistic_normal(codes, has, regularization=1e-4))
    assert not np.allclose(found, other, atol=1e-3)


def test_draws_like_the_codes():
    random = np.random.default_rng(0)
    codes = jnp.float32(3 + random.normal(size=(500, 3)) @ random.normal(size=(3, 3)))
    drawn = jaxae.analysis.draw_like(KEY, codes, 40_000)
    np.testing.assert_allclose(drawn.mean(0), codes.mean(0), atol=0.06)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(codes.T), atol=0.15)
    assert np.isfinite(jaxae.analysis.draw_like(KEY, jnp.ones((5, 3)), 4)).all()
    assert jaxae.analysis.draw_like(KEY, codes[:, :1], 4).shape == (4, 1)
    with pytest.raises(ValueError, match="no covariance"):
        jaxae.analysis.draw_like(KEY, codes[:1], 4)


def test_where_the_codes_are_does_not_matter(linear_world):
    """Also for attributes that determine each other, whose direction is shared."""
    codes, attributes, _ = linear_world
    pair = np.stack([attributes[:, 0], ~attributes[:, 0]], axis=1)
    near, far = (jaxae.analysis.partial_directions(codes + c, pair) for c in (0.0, 100.0))
    np.testing.assert_allclose(near, far, atol=1e-3)
    difference = jaxae.analysis.attribute_vector(codes, attributes[:, 0])
    np.testing.assert_allclose(near[0] - near[1], difference, atol=1e-3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: jaxae.analysis.normal_quantiles(0), "at least one"),
        (lambda: jaxae.analysis.traversals(jnp.ones(3), jnp.ones((1, 2))), "as many rows"),
        (
            lambda: jaxae.analysis.attribute_vector(jnp.ones((3, 2)), np.zeros(3, bool)),
            "no example has",
        ),
        (
            lambda: jaxae.analysis.logistic_normal(jnp.ones((3, 2)), np.ones(3, bool)),
            "every example has",
        ),
        (
            lambda: jaxae.analysis.partial_directions(jnp.ones((3, 2)), np.ones((3, 1), bool)),
            "every",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
