"""Measures of generated images, against scipy, loops and closed forms."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.ndimage
from scipy.stats import entropy as scipy_entropy

import jaxae


def features(seed, n, d=4, scale=1.0, shift=0.0):
    generator = np.random.default_rng(seed)
    mix = np.random.default_rng(100 + seed).normal(size=(d, d))
    return scale * generator.normal(size=(n, d)) @ mix + shift


def test_frechet_distance_equals_scipy():
    x, y = features(0, 300), features(1, 200, shift=0.5)
    a, b = np.cov(x.T), np.cov(y.T)
    root = scipy.linalg.sqrtm(a @ b).real
    expected = np.square(x.mean(0) - y.mean(0)).sum() + np.trace(a + b - 2 * root)
    assert jaxae.analysis.frechet_distance(x, y) == pytest.approx(expected, rel=1e-6)
    assert jaxae.analysis.frechet_distance(jnp.float32(x), y) == pytest.approx(expected, rel=1e-4)


def test_frechet_distance_of_scaled_and_shifted_points():
    x = features(0, 500)
    variances = np.trace(np.cov(x.T))
    # Of 3x + c from x: (3 - 1)^2 times the variances, and the squared move of the mean.
    moved = 3 * x + np.array([1.0, 2.0, 0.0, -2.0])
    shift = np.square((moved - x).mean(0)).sum()
    assert jaxae.analysis.frechet_distance(x, moved) == pytest.approx(
        4 * variances + shift, rel=1e-6
    )
    assert jaxae.analysis.frechet_distance(x, x) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("n", [1, 3, 4])
def test_frechet_distance_of_too_few_images(n):
    x, few = features(0, 100), features(0, n)
    with pytest.raises(ValueError, match=f"{n} generated images are too few.*4 features"):
        jaxae.analysis.frechet_distance(x, few)
    with pytest.raises(ValueError, match=f"{n} real images are too few"):
        jaxae.analysis.frechet_distance(few, x)
    jaxae.analysis.frechet_distance(x, features(1, 5))


def test_kernel_distance_by_loops():
    x, y = features(0, 7), features(1, 9, shift=0.3)[:7]
    k = lambda a, b: (a @ b / 4 + 1) ** 3
    n = 7
    off = [(i, j) for i in range(n) for j in range(n) if i != j]
    own = sum(k(x[i], x[j]) + k(y[i], y[j]) for i, j in off) / (n * (n - 1))
    cross = sum(k(a, b) for a in x for b in y) / n**2
    found = jaxae.analysis.kernel_distance(x, y)
    assert found.mean == pytest.approx(own - 2 * cross, rel=1e-9)
    assert np.isnan(found.error)


def test_kernel_distance_of_equal_distributions_and_its_error():
    x, y = (np.random.default_rng(seed).normal(size=(4000, 3)) for seed in (0, 1))
    same = jaxae.analysis.kernel_distance(x, y, block=200)
    assert abs(same.mean) < 4 * same.error
    other = jaxae.analysis.kernel_distance(x, y + 0.3, block=200)
    assert other.mean > 5 * other.error
    # The error is the standard deviation of the estimate over sets.
    means = []
    for seed in range(40):
        sets = (np.random.default_rng([seed, i]).normal(size=(1000, 3)) for i in range(2))
        means.append(jaxae.analysis.kernel_distance(*sets, block=100).mean)
    claimed = jaxae.analysis.kernel_distance(x[:1000], y[:1000], block=100).error
    assert 0.4 < claimed / np.std(means) < 2.5


def test_the_seed_changes_only_the_blocks_of_the_kernel_distance():
    x, y = features(0, 60), features(1, 60)
    blocks = [jaxae.analysis.kernel_distance(x, y, block=20, seed=seed).mean for seed in (0, 0, 1)]
    assert blocks[0] == blocks[1] != blocks[2]
    whole = [jaxae.analysis.kernel_distance(x, y, seed=seed).mean for seed in (0, 1)]
    assert whole[0] == pytest.approx(whole[1], rel=1e-9)


def test_kernel_distance_of_one_image():
    with pytest.raises(ValueError, match="at least two images"):
        jaxae.analysis.kernel_distance(features(0, 1), features(0, 5))


def test_sharpness_equals_the_variance_of_the_laplacian_of_scipy():
    x = np.random.default_rng(0).random((3, 9, 7, 3)).astype(np.float32)
    for image, found in zip(x, jaxae.analysis.sharpness(x), strict=True):
        laplacian = scipy.ndimage.laplace(image.mean(-1))[1:-1, 1:-1]
        assert float(found) == pytest.approx(laplacian.var(), rel=1e-5)


def test_blur_reduces_sharpness():
    x = np.random.default_rng(0).random((1, 16, 16, 1)).astype(np.float32)
    blurred = scipy.ndimage.gaussian_filter(x, (0, 1, 1, 0))
    assert jaxae.analysis.sharpness(blurred)[0] < 0.1 * jaxae.analysis.sharpness(x)[0]
    with pytest.raises(ValueError, match="four neighbours"):
        jaxae.analysis.sharpness(x[:, :2])


def test_class_shares_count_the_most_probable_class():
    probabilities = np.eye(4)[[0, 0, 2, 2, 2, 1]] * 0.9
    np.testing.assert_allclose(jaxae.analysis.class_shares(probabilities), [2 / 6, 1 / 6, 3 / 6, 0])


def test_entropy():
    p = np.random.default_rng(0).dirichlet(np.ones(10), size=20).astype(np.float32)
    np.testing.assert_allclose(
        jaxae.analysis.entropy(jnp.asarray(p)), scipy_entropy(p, axis=1), rtol=1e-4
    )


def test_sharpness_of_bytes():
    data = np.random.default_rng(0).integers(0, 256, (2, 6, 6, 3), np.uint8)
    expected = jaxae.analysis.sharpness(np.float32(data / 255))
    np.testing.assert_allclose(jaxae.analysis.sharpness(data), expected, rtol=1e-5)
