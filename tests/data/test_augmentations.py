"""Random transforms, against scipy and numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import affine_transform

import jaxae
from jaxae.data import augmentations
from tests.data.precision import all_highest

KEY = jax.random.key(0)


@pytest.fixture
def x():
    return jax.random.uniform(KEY, (6, 9, 11, 2))


def test_zero_strengths_change_nothing(x):
    np.testing.assert_allclose(jaxae.augmentations.random_affine()(KEY, x), x, atol=1e-5)


def test_affine_equals_scipy(x):
    """With the same draws, the matrix written out, and the interpolation of scipy."""
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
def test_images_are_moved_independently(x, option):
    same = jnp.broadcast_to(x[:1], x.shape)
    moved = np.asarray(jaxae.augmentations.random_affine(**option)(KEY, same))
    assert moved.shape == x.shape
    assert all(not np.allclose(moved[0], other, atol=1e-3) for other in moved[1:])
    again = np.asarray(jaxae.augmentations.random_affine(**option)(jax.random.key(1), same))
    assert not np.allclose(moved, again, atol=1e-3)
    assert moved.min() >= -1e-6
    assert moved.max() <= 1 + 1e-6


def test_half_of_the_images_are_flipped(x):
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


def test_symmetries_are_those_of_a_square():
    x = jnp.arange(9.0).reshape(1, 3, 3, 1)
    found = {np.asarray(augmentations.symmetry(x, i)).tobytes() for i in range(8)}
    turned = [np.rot90(x, k, (1, 2)) for k in range(4)]
    expected = {np.ascontiguousarray(y).tobytes() for t in turned for y in (t, t[:, ::-1])}
    assert found == expected
    assert len(found) == 8


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_random_symmetries_are_equally_likely(count):
    x = jnp.tile(jnp.arange(9.0).reshape(1, 3, 3, 1), (1600, 1, 1, 1))
    found = np.asarray(jaxae.augmentations.random_symmetry(count)(KEY, x))
    expected = [np.asarray(augmentations.symmetry(x[:1], i))[0] for i in range(count)]
    share = [np.mean([np.array_equal(y, e) for y in found]) for e in expected]
    assert sum(share) == 1
    np.testing.assert_allclose(share, 1 / count, atol=0.04)


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_a_self_ensemble_is_equivariant(count):
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
        with pytest.raises(ValueError, match="symmetries is 1, 2, 4 or 8, not 3"):
            make(3)
    with pytest.raises(ValueError, match="only square images have 8"):
        jaxae.augmentations.random_symmetry(8)(KEY, jnp.zeros((1, 2, 3, 1)))


def test_binarisation_has_the_grey_level_as_its_mean():

    x = jnp.array([[0.0, 0.25, 0.9, 1.0]]) * jnp.ones((20_000, 1))
    drawn = np.asarray(jaxae.data.binarize(jax.random.key(0), x))
    assert set(np.unique(drawn)) == {0.0, 1.0}
    np.testing.assert_allclose(drawn.mean(0), x[0], atol=0.015)


def test_all_shifts_by_whole_pixels_are_equally_likely():
    x = jnp.zeros((9000, 5, 6, 2)).at[:, 2, 3].set(jnp.array([0.5, 1.0]))
    y = np.asarray(jaxae.augmentations.random_shift(1)(jax.random.key(0), x))
    assert (y.sum((1, 2)) == [0.5, 1.0]).all()
    place = y[..., 1].reshape(len(y), -1).argmax(1)
    counts = np.bincount(place, minlength=30).reshape(5, 6)
    near = counts[1:4, 2:5]
    assert near.sum() == 9000
    assert abs(near - 1000).max() < 5 * 1000**0.5
    corner = jnp.zeros((500, 3, 3, 1)).at[:, 0, 0].set(1.0)
    shifted = np.asarray(jaxae.augmentations.random_shift(2)(jax.random.key(1), corner))
    assert 0 < shifted.sum() < 500  # what leaves the image is gone
    np.testing.assert_array_equal(jaxae.augmentations.random_shift(0)(jax.random.key(0), x), x)
    with pytest.raises(ValueError, match="must not be negative"):
        jaxae.augmentations.random_shift(-1)


TRANSFORMS = {
    "shift": augmentations.random_shift(3),
    "affine": augmentations.random_affine(rotation=20.0, scale=0.2, shear=0.3, shift=2.0),
    "flip": augmentations.random_flip,
    "symmetry": augmentations.random_symmetry(8),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_images_with_different_channels_are_moved_alike(name):
    """`fit` transforms `x` and `seen` with the same key, whatever their channels."""
    transform = TRANSFORMS[name]
    x = jax.random.uniform(KEY, (8, 9, 9, 3))
    moved = transform(jax.random.key(1), x)
    assert not np.allclose(moved, x, atol=1e-2)
    for channels in (x[..., :1], jnp.concatenate([x, x], axis=-1)):
        found = transform(jax.random.key(1), channels)
        np.testing.assert_allclose(found, jnp.tile(moved, 2)[..., : found.shape[-1]], atol=1e-6)


def test_fit_moves_the_input_with_the_target():
    grey = jax.random.uniform(KEY, (8, 9, 9, 1))
    batch = jaxae.Batch(jnp.repeat(grey, 3, axis=-1), seen=grey)
    for transform in TRANSFORMS.values():
        moved = jaxae.training.batches.transformed(batch, jax.random.key(1), transform)
        np.testing.assert_allclose(moved.x, jnp.repeat(moved.seen, 3, axis=-1), atol=1e-6)
        assert not np.allclose(moved.x, batch.x, atol=1e-2)


def test_coordinates_are_precise():
    assert all_highest(lambda x: TRANSFORMS["affine"](KEY, x), jnp.ones((1, 4, 4, 1)))
