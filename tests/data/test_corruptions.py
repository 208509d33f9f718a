"""Corruptions: their distributions, and where in the image they act."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxae.data import corruptions

KEY = jax.random.key(0)
N = 4000
GREY = jnp.full((N, 4, 3, 1), 0.4)

ALL = {
    "gaussian": corruptions.gaussian(0.3),
    "gaussian clipped": corruptions.gaussian(0.3, clip=True),
    "masking": corruptions.masking(0.3),
    "salt and pepper": corruptions.salt_and_pepper(0.3),
    "erase": corruptions.erase(0.5),
    "composed": corruptions.compose(corruptions.erase(0.5), corruptions.gaussian(0.3)),
}


@pytest.mark.parametrize("name", ALL)
def test_shape_type_key_and_independence(name):
    corrupt = ALL[name]
    x = jax.random.uniform(KEY, (6, 7, 5, 3))
    y = corrupt(KEY, x)
    assert (y.shape, y.dtype) == (x.shape, x.dtype)
    np.testing.assert_array_equal(corrupt(KEY, x), y)
    assert not np.array_equal(corrupt(jax.random.key(1), x), y)
    # Each example has its own noise, which does not depend on the size of the batch.
    same = corrupt(KEY, jnp.broadcast_to(x[:1], x.shape))
    assert len(np.unique(np.asarray(same).reshape(6, -1), axis=0)) > 1
    if name != "composed":
        np.testing.assert_array_equal(corrupt(KEY, x[:3]), y[:3])
    with jax.debug_key_reuse(True):
        jax.jit(corrupt).trace(KEY, x)


def test_gaussian():
    y = np.asarray(ALL["gaussian"](KEY, GREY))
    # Mean and variance of N(0.4, 0.09), within five standard errors.
    count = y.size
    assert abs(y.mean() - 0.4) < 5 * 0.3 / count**0.5
    assert abs(y.var() - 0.09) < 5 * 0.09 * (2 / count) ** 0.5
    clipped = np.asarray(ALL["gaussian clipped"](KEY, GREY))
    np.testing.assert_array_equal(clipped, np.clip(y, 0, 1))


def test_masking():
    y = np.asarray(ALL["masking"](KEY, GREY))
    assert set(np.unique(y)) == {0.0, np.float32(0.4)}
    assert abs((y == 0).mean() - 0.3) < 5 * (0.21 / y.size) ** 0.5


def test_salt_and_pepper():
    y = np.asarray(ALL["salt and pepper"](KEY, GREY))
    for value, probability in ((0, 0.15), (1, 0.15), (np.float32(0.4), 0.7)):
        error = 5 * (probability * (1 - probability) / y.size) ** 0.5
        assert abs((y == value).mean() - probability) < error


def test_erase():
    x = jnp.ones((N, 7, 5, 2))
    y = np.asarray(corruptions.erase(0.6, value=0.25)(KEY, x))
    gone = y == 0.25
    assert (gone.any(-1) == gone.all(-1)).all()
    rows, columns = gone[..., 0].any(2), gone[..., 0].any(1)
    # A whole block of 4 x 3 in 7 x 5 pixels; all 4 x 3 places are equally likely.
    assert (rows.sum(1) == 4).all()
    assert (columns.sum(1) == 3).all()
    assert (gone[..., 0] == rows[:, :, None] & columns[:, None, :]).all()
    counts = np.zeros((4, 3))
    np.add.at(counts, (rows.argmax(1), columns.argmax(1)), 1)
    assert abs(counts - N / 12).max() < 5 * (N / 12) ** 0.5
    assert (y[~gone] == 1).all()


def test_grayscale():
    x = jax.random.uniform(KEY, (3, 4, 5, 3))
    grey = np.asarray(x) @ np.array([0.299, 0.587, 0.114], np.float32)
    np.testing.assert_allclose(
        corruptions.grayscale()(KEY, x), grey[..., None].repeat(3, -1), rtol=1e-5
    )
    # The weights are those of Pillow's "L".
    bytes_ = np.round(255 * np.asarray(x)).astype(np.uint8)
    pillow = np.asarray(Image.fromarray(bytes_[0]).convert("L"))
    ours = corruptions.grayscale()(KEY, jnp.asarray(bytes_[:1] / np.float32(255)))
    assert np.abs(255 * np.asarray(ours)[0, ..., 0] - pillow).max() <= 1


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_downsample(factor):
    x = jax.random.uniform(KEY, (1, 12, 24, 1))
    small = corruptions.downsample(factor, keep_shape=False)(KEY, x)
    image = Image.fromarray(np.asarray(x)[0, ..., 0])
    size = (24 // factor, 12 // factor)
    expected = np.asarray(image.resize(size, Image.Resampling.BICUBIC))
    np.testing.assert_allclose(small[0, ..., 0], expected, atol=2e-3)
    assert corruptions.downsample(factor)(KEY, x).shape == x.shape
    odd = jnp.full((2, 7, 5, 3), 0.5)
    np.testing.assert_allclose(corruptions.downsample(factor)(KEY, odd), odd, atol=1e-5)


def test_compose_applies_the_first_corruption_first():
    x = jnp.full((50, 4, 4, 3), 0.5)
    first = corruptions.compose(corruptions.masking(1.0), corruptions.gaussian(0.1))
    assert 0 < float(jnp.abs(first(KEY, x)).mean()) < 0.2
    second = corruptions.compose(corruptions.gaussian(0.1), corruptions.masking(1.0))
    assert float(jnp.abs(second(KEY, x)).max()) == 0
    noise = corruptions.gaussian(1.0)
    twice = corruptions.compose(noise, noise)(KEY, x) - x
    assert float(twice.std()) == pytest.approx(2**0.5, rel=0.1)  # with equal keys it would be 2


@pytest.mark.parametrize(
    "corruption", [corruptions.gaussian, corruptions.masking, corruptions.erase]
)
def test_zero_strength_changes_nothing(corruption):
    x = jax.random.uniform(KEY, (5, 4, 4, 1))
    np.testing.assert_array_equal(corruption(0.0)(KEY, x), x)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: corruptions.gaussian(-1.0), "scale of the noise"),
        (lambda: corruptions.gaussian(float("nan")), "scale of the noise"),
        (lambda: corruptions.masking(1.5), "probability, in"),
        (lambda: corruptions.salt_and_pepper(-0.1), "probability, in"),
        (lambda: corruptions.erase(1.1), "fraction of the image"),
        (lambda: corruptions.erase(0.5, value=2.0), "fill value must be in"),
        (lambda: corruptions.downsample(1), "needs a factor of 2 or more, got 1"),
        (lambda: corruptions.compose(), "at least one corruption"),
        (lambda: corruptions.grayscale()(KEY, jnp.zeros((1, 2, 2, 1))), "3 channels"),
        (lambda: corruptions.erase()(KEY, jnp.zeros((4, 9))), "needs the shape of images"),
    ],
)
def test_bad_strengths(make, message):
    with pytest.raises(ValueError, match=message):
        make()
