"""Measures of reconstructions, against scikit-image and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from skimage.metrics import structural_similarity

import jaxae
from tests.data.precision import all_highest

KEY = jax.random.key(0)


def images(height=26, width=20):
    """Three pairs: close, independent, and of low contrast."""
    random = np.random.default_rng(0)
    i, j = np.mgrid[:height, :width]
    waves = 0.5 + 0.5 * np.sin(0.7 * i + 0.3 * j)
    x = np.stack([waves, random.random((height, width)), 0.9 + 0.01 * waves])
    y = np.stack(
        [x[0] + 0.2 * np.cos(1.1 * i - 0.5 * j), random.random((height, width)), 0 * waves + 0.9]
    )
    return (np.clip(v, 0, 1).astype(np.float32)[..., None] for v in (x, y))


@pytest.mark.parametrize("sigma", [0.8, 1.5, 2.7])
def test_ssim_of_each_example_equals_scikit_image(sigma):
    x, y = images()
    options = {"gaussian_weights": True, "use_sample_covariance": False, "data_range": 1}
    expected = [
        structural_similarity(np.float64(a[..., 0]), np.float64(b[..., 0]), sigma=sigma, **options)
        for a, b in zip(x, y, strict=True)
    ]
    found = jaxae.analysis.ssim(x, y, sigma=sigma)
    assert found.shape == (3,)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert np.ptp(expected) > 0.3  # an average over the batch is none of them


def test_ssim_is_at_most_one():
    ones = jnp.ones((1, 12, 12, 1))
    # Of constant images it is the luminance term alone.
    luminance = (2 * 0.995 + 1e-4) / (1 + 0.995**2 + 1e-4)
    found = float(jaxae.analysis.ssim(ones, 0.995 * ones)[0])
    assert found == pytest.approx(luminance, abs=1e-6)
    assert found <= 1
    x = jax.random.uniform(KEY, (20, 16, 16, 3))
    near = jnp.clip(x + 1e-4 * jax.random.normal(KEY, x.shape), 0, 1)
    assert (jaxae.analysis.ssim(x, near) <= 1).all()
    np.testing.assert_array_equal(jaxae.analysis.ssim(x, x), 1)
    step = jnp.where(jnp.arange(16)[:, None] < 8, 0.0, 1.0) * jnp.ones((1, 16, 16, 1))
    np.testing.assert_array_equal(jaxae.analysis.ssim(step, step), 1)


def test_ssim_of_bytes_and_colour():
    data = np.random.default_rng(0).integers(0, 256, (2, 12, 13, 3), np.uint8)
    other = data[::-1]
    found = jaxae.analysis.ssim(data, other)
    np.testing.assert_allclose(found, jaxae.analysis.ssim(data / np.float32(255), other), atol=1e-6)
    channels = [jaxae.analysis.ssim(data[..., [c]], other[..., [c]]) for c in range(3)]
    np.testing.assert_allclose(found, np.mean(channels, axis=0), atol=1e-6)


def test_products_are_precise():
    x = jnp.ones((1, 12, 12, 1))
    assert all_highest(jaxae.analysis.ssim, x, x)
    assert all_highest(
        lambda x: jaxae.analysis.linear_denoiser(KEY, x, jaxae.corruptions.gaussian(0.1))(x),
        x[:, :3, :3],
    )


@pytest.mark.parametrize("measure", [jaxae.analysis.squared_error, jaxae.analysis.ssim])
@pytest.mark.parametrize("shape", [(4, 12, 12, 1), (1, 12, 12, 3), (4, 12, 3), (4, 1, 12, 3)])
def test_shapes_that_would_be_broadcast_are_refused(measure, shape):
    # Without the checks of annotations, which are active in tests only.
    x, y = jnp.zeros((4, 12, 12, 3)), jnp.zeros(shape)
    unchecked = getattr(measure, "__wrapped__", measure)
    while hasattr(unchecked, "__wrapped__"):
        unchecked = unchecked.__wrapped__
    with pytest.raises(ValueError, match=r"\(4, 12, 12, 3\) cannot be compared") as caught:
        unchecked(x, y)
    assert str(shape) in str(caught.value)


def test_other_types_are_refused():
    x = np.zeros((1, 12, 12, 1), int)
    for measure in (jaxae.analysis.squared_error, jaxae.analysis.ssim):
        with pytest.raises(ValueError, match="bytes .uint8. or floats, not int"):
            measure(x, x)


def test_squared_error_of_bytes():
    data = np.uint8([[0, 51], [255, 0]]).reshape(2, 2, 1, 1)
    found = jaxae.analysis.squared_error(data, np.zeros((2, 2, 1, 1), np.float32))
    np.testing.assert_allclose(found, [0.04, 1.0], rtol=1e-6)


def test_ssim_of_bright_images_with_low_contrast():
    """The variances are small differences of large numbers, unless images are centred first."""
    random = np.random.default_rng(0)
    x, y = np.float32(np.clip(0.95 + 0.01 * random.standard_normal((2, 30, 30)), 0, 1))
    options = {"gaussian_weights": True, "use_sample_covariance": False, "data_range": 1}
    expected = structural_similarity(np.float64(x), np.float64(y), sigma=1.5, **options)
    found = jaxae.analysis.ssim(x[None, ..., None], y[None, ..., None])
    np.testing.assert_allclose(found, [expected], atol=2e-6)


def test_squared_error_of_signals():
    """Floats of any unit can be compared, since no range is assumed."""
    x, y = np.random.default_rng(0).uniform(0, 9, (2, 3, 16, 2)).astype(np.float32)
    found = jaxae.analysis.squared_error(x, y)
    np.testing.assert_allclose(found, ((x - y) ** 2).sum((1, 2)), rtol=1e-5)
