"""Continuity and completeness of latent spaces."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxae.analysis.latent_report import completeness, continuity

KEY = jax.random.key(1)


def test_continuity_of_a_linear_decoder():
    """It has the same Lipschitz constant everywhere and no jumps; the unit is the mean line's."""
    random = np.random.default_rng(0)
    matrix = jnp.float32(random.normal(size=(2, 12)))
    z = jnp.float32(random.normal(size=(300, 2)))
    found = continuity(lambda matrix, z: (z @ matrix).reshape(-1, 2, 6, 1), matrix, z, key=KEY)
    assert found.jump == pytest.approx(1, abs=1e-3)
    assert found.lipschitz_on == pytest.approx(found.lipschitz_off, rel=1e-4)
    norm = np.linalg.norm(matrix, 2)
    order = jax.random.permutation(KEY, 300)
    lines = z[jnp.roll(order, 1)] - z[order]
    unit = np.linalg.norm(lines @ matrix, axis=1).mean() / np.linalg.norm(lines, axis=1).mean()
    assert found.lipschitz_on == pytest.approx(norm / unit, rel=1e-3)


def test_continuity_of_a_step():
    """All change is in one of the steps, so the jump is the number of steps."""
    z = jnp.linspace(-1, 1, 50)[:, None]
    found = continuity(lambda _, z: jnp.sign(z) + 1e-6 * z, {}, z, key=KEY, steps=8)
    across = np.mean(np.asarray(z)[:, 0] > 0)
    assert 8 * 2 * across * (1 - across) < found.jump < 8


def test_equal_codes_are_an_error():
    with pytest.raises(ValueError, match="all codes are equal"):
        continuity(lambda _, z: z, {}, jnp.ones((30, 4)), key=KEY)


def test_completeness_of_right_and_wrong_draws():
    random = np.random.default_rng(0)

    def draws(n):
        return 0.5 + 0.05 * random.normal(size=(n, 4)) * np.array([1.0, 2, 1, 1])

    real, others = draws(2000), draws(2000)
    right = completeness(draws(2000), real, others)
    assert right["nearest"] == pytest.approx(1, abs=0.1)
    assert right["precision"] > 0.85
    assert right["recall"] > 0.85
    wrong = completeness(random.normal(size=(2000, 4)), real, others)
    assert wrong["nearest"] > 10
    assert wrong["precision"] < 0.05


def test_copies_of_real_images_set_no_scale():
    x = np.random.default_rng(0).normal(size=(20, 3))
    assert "nearest" not in completeness(x + 1, x, x)
