"""Measures of reconstructions against scikit-image and loops."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

import jaxae

X = jnp.asarray(np.random.default_rng(0).integers(0, 256, (5, 4, 3, 2)) / 255, jnp.float32)


OUT = jnp.asarray(np.random.default_rng(1).normal(size=(5, 4, 3, 2)), jnp.float32)


def total(values):
    return np.asarray(values).reshape(5, -1).sum(1)


def test_metrics():
    assert jaxae.analysis.psnr(1e-3) == pytest.approx(30)
    assert jaxae.analysis.psnr(0.0) == math.inf
    with pytest.raises(ValueError, match="negative"):
        jaxae.analysis.psnr(-1.0)
    assert jaxae.analysis.bits_per_dimension(10 * math.log(2), 5) == pytest.approx(2)
    assert jaxae.analysis.squared_error(X, OUT).shape == (5,)
    np.testing.assert_allclose(
        jaxae.analysis.squared_error(X, OUT),
        total((np.asarray(X) - np.asarray(OUT)) ** 2),
        rtol=1e-5,
    )


def test_ssim_is_scikit_image():
    # skimage.metrics.structural_similarity(x, y, data_range=1, gaussian_weights=True, sigma=1.5,
    # use_sample_covariance=False), scikit-image 0.26.0, on these images.
    i, j = np.mgrid[:16, :20]
    x = (0.5 + 0.5 * np.sin(0.7 * i + 0.3 * j)).astype(np.float32)
    y = np.clip(x + 0.2 * np.cos(1.1 * i - 0.5 * j), 0, 1).astype(np.float32)
    images = [jnp.asarray(image)[None, :, :, None] for image in (x, y)]
    assert float(jaxae.analysis.ssim(*images)[0]) == pytest.approx(0.91792959, abs=2e-6)
    np.testing.assert_allclose(jaxae.analysis.ssim(images[0], images[0]), 1, rtol=1e-6)
    with pytest.raises(ValueError, match="sigma must be positive"):
        jaxae.analysis.ssim(*images, sigma=0.0)
    with pytest.raises(ValueError, match="11 pixels does not fit into images of 8 x 9"):
        jaxae.analysis.ssim(jnp.zeros((1, 8, 9, 1)), jnp.zeros((1, 8, 9, 1)))
