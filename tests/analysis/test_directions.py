"""Attribute directions of codes that are linear in their attributes."""

import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

import jaxae


@pytest.fixture(scope="module")
def linear_codes():
    """Codes that are a sum of directions of two correlated attributes, and of noise."""
    random = np.random.default_rng(0)
    first = random.random(4000) < 0.4
    second = np.where(first, random.random(4000) < 0.8, random.random(4000) < 0.2)
    attributes = np.stack([first, second], axis=1)
    directions = np.array([[1.0, 0.0, 0.5, 0.0], [0.0, 2.0, 0.0, 0.0]])
    codes = attributes @ directions + 0.3 * random.normal(size=(4000, 4))
    return jnp.float32(codes), attributes, directions


def test_directions_of_a_linear_model(linear_codes):
    codes, attributes, directions = linear_codes
    found = jaxae.analysis.partial_directions(codes, attributes)
    np.testing.assert_allclose(found, directions, atol=0.04)
    expected = LinearRegression().fit(attributes, codes).coef_.T
    np.testing.assert_allclose(found, expected, atol=1e-4)
    # The difference of means also contains 0.6 of the direction of the correlated attribute.
    difference = jaxae.analysis.attribute_vector(codes, attributes[:, 0])
    np.testing.assert_allclose(difference, directions[0] + 0.6 * directions[1], atol=0.08)
    plain = codes[attributes[:, 0]].mean(0) - codes[~attributes[:, 0]].mean(0)
    np.testing.assert_allclose(difference, plain, atol=1e-5)


def test_identical_attributes_share_a_direction(linear_codes):
    codes, attributes, _ = linear_codes
    twice = jaxae.analysis.partial_directions(codes, np.repeat(attributes[:, :1], 2, axis=1))
    np.testing.assert_allclose(
        twice.sum(0), jaxae.analysis.attribute_vector(codes, attributes[:, 0]), atol=1e-4
    )


def test_logistic_normal(linear_codes):
    codes, attributes, _ = linear_codes
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


def test_an_offset_of_the_codes_changes_nothing(linear_codes):
    """Even if two attributes determine each other and share their direction."""
    codes, attributes, _ = linear_codes
    pair = np.stack([attributes[:, 0], ~attributes[:, 0]], axis=1)
    near, far = (jaxae.analysis.partial_directions(codes + c, pair) for c in (0.0, 100.0))
    np.testing.assert_allclose(near, far, atol=1e-3)
    difference = jaxae.analysis.attribute_vector(codes, attributes[:, 0])
    np.testing.assert_allclose(near[0] - near[1], difference, atol=1e-3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
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
