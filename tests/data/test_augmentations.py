"""Moved images: against scipy, and what stays the same."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import affine_transform

import jaxae
from jaxae.data import augmentations

KEY = jax.random.key(0)


@pytest.fixture
def x():
    return jax.random.uniform(KEY, (6, 9, 11, 2))


def test_nothing_asked_nothing_done(x):
    np.testing.assert_allclose(jaxae.augmentations.random_affine()(KEY, x), x, atol=1e-5)


def test_affine_by_scipy(x):
    """The same draws, the matrix written out, and scipy's interpolation."""
    found = jaxae.augmentations.random_affine(rotation=20.0, scale=0.2, shear=0.3, shift=2.0)(
        KEY, x
    )
    draws = np.asarray(jax.random.uniform(KEY, (6, 6), minval=-1.0, maxval=1.0), np.float64)
    for i, draw in enumerate(draws):
        angle = np.radians(20) * draw[0]
        down, right = 1.2 ** draw[1:3]
        turn = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        matrix = np.array(turn) @ [[down, 0], [0.3 * draw[3], right]]
        centre = np.array([4.0, 5.0])
        offset = centre + 2 * draw[4:] - matrix @ centre
        for channel in range(2):
            image = np.asarray(x[i, ..., channel], np.float64)
            # A border of zeros, so that both interpolate towards zero at the edge.
            padded = np.pad(image, 8)
            expected = affine_transform(
                padded, matrix, offset + 8 - matrix @ np.array([8.0, 8.0]), order=1
            )[8:-8, 8:-8]
            np.testing.assert_allclose(found[i, ..., channel], expected, atol=1e-4)


@pytest.mark.parametrize(
    "option", [{"rotation": 10.0}, {"scale": 0.2}, {"shear": 0.3}, {"shift": 2.0}]
)
def test_each_strength_moves_each_image_its_own_way(x, option):
    same = jnp.broadcast_to(x[:1], x.shape)
    moved = np.asarray(jaxae.augmentations.random_affine(**option)(KEY, same))
    assert moved.shape == x.shape
    assert all(not np.allclose(moved[0], other, atol=1e-3) for other in moved[1:])
    again = np.asarray(jaxae.augmentations.random_affine(**option)(jax.random.key(1), same))
    assert not np.allclose(moved, again, atol=1e-3)
    assert moved.min() >= -1e-6
    assert moved.max() <= 1 + 1e-6


def test_flips(x):
    x = jnp.tile(x, (50, 1, 1, 1))
    flipped = np.asarray(jaxae.augmentations.random_flip(KEY, x))
    mirrored = np.array([np.array_equal(a, b[:, ::-1]) for a, b in zip(flipped, x, strict=True)])
    kept = np.array([np.array_equal(a, b) for a, b in zip(flipped, x, strict=True)])
    assert (mirrored ^ kept).all()
    assert 0.35 < mirrored.mean() < 0.65


@pytest.mark.parametrize("name", ["rotation", "scale", "shear", "shift"])
@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf")])
def test_bad_strengths(name, bad):
    with pytest.raises(ValueError, match=f"the {name} must be finite"):
        jaxae.augmentations.random_affine(**{name: bad})


def test_the_eight_symmetries_are_those_of_the_square():
    x = jnp.arange(9.0).reshape(1, 3, 3, 1)
    found = {np.asarray(augmentations.symmetry(x, i)).tobytes() for i in range(8)}
    turned = [np.rot90(x, k, (1, 2)) for k in range(4)]
    expected = {np.ascontiguousarray(y).tobytes() for t in turned for y in (t, t[:, ::-1])}
    assert found == expected
    assert len(found) == 8


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_random_symmetries_are_the_first_ones_equally_often(count):
    x = jnp.tile(jnp.arange(9.0).reshape(1, 3, 3, 1), (1600, 1, 1, 1))
    found = np.asarray(jaxae.augmentations.random_symmetry(count)(KEY, x))
    expected = [np.asarray(augmentations.symmetry(x[:1], i))[0] for i in range(count)]
    share = [np.mean([np.array_equal(y, e) for y in found]) for e in expected]
    assert sum(share) == 1
    np.testing.assert_allclose(share, 1 / count, atol=0.04)


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_a_self_ensemble_has_the_symmetries_and_is_exact_for_functions_that_have_them(count):
    x = jax.random.uniform(KEY, (2, 5, 5, 3))
    np.testing.assert_allclose(
        jaxae.augmentations.self_ensemble(jnp.square, count)(x), x**2, rtol=1e-5
    )
    weights = jnp.arange(15.0).reshape(5, 3)
    mean = jaxae.augmentations.self_ensemble(
        lambda x: jnp.cumsum(jnp.cumsum(x, 1), 2) * weights, count
    )
    for i in range(count):
        np.testing.assert_allclose(
            mean(augmentations.symmetry(x, i)), augmentations.symmetry(mean(x), i), rtol=1e-4
        )
    wide = x[:, :, :3]
    if count < 8:
        doubled = jaxae.augmentations.self_ensemble(lambda x: jnp.concatenate([x, x], -1), count)(
            wide
        )
        np.testing.assert_allclose(doubled[..., :3], wide, rtol=1e-6)


def test_bad_symmetries():
    for make in (
        jaxae.augmentations.random_symmetry,
        lambda count: jaxae.augmentations.self_ensemble(jnp.square, count),
    ):
        with pytest.raises(ValueError, match="1, 2, 4 or 8 symmetries"):
            make(3)
    with pytest.raises(ValueError, match="only square images"):
        jaxae.augmentations.random_symmetry(8)(KEY, jnp.zeros((1, 2, 3, 1)))
