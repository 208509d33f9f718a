"""Colour spaces, against scikit-image and closed forms, and the likelihood of colour classes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import skimage.color

import jaxae
from jaxae.data import colors
from tests.data.precision import all_highest

KEY = jax.random.key(0)
X = jax.random.uniform(KEY, (4, 9, 7, 3))


def test_luma():
    expected = np.asarray(X) @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(colors.luma(X)[..., 0], expected, rtol=1e-5)


def test_lab_equals_scikit_image():
    dark = X.at[0].multiply(0.03).at[1].set(1.0).at[2].set(0.0)
    for x in (X, dark):
        np.testing.assert_allclose(colors.rgb_to_lab(x), skimage.color.rgb2lab(x), atol=2e-3)
    data = np.uint8([[[[255, 0, 0]]]])
    np.testing.assert_allclose(colors.rgb_to_lab(data), skimage.color.rgb2lab(data), atol=2e-3)
    gradient = jax.grad(lambda x: colors.rgb_to_lab(x).sum())(dark)
    assert np.isfinite(gradient).all()


def test_chroma_error_is_the_error_of_a_and_b():
    y = jnp.flip(X, 0)
    lab, other = (skimage.color.rgb2lab(image)[..., 1:] for image in (X, y))
    expected = np.square(lab - other).mean((1, 2, 3))
    np.testing.assert_allclose(colors.chroma_error(X, y), expected, rtol=1e-3)


def test_from_chroma_inverts_luma_and_chroma():
    np.testing.assert_allclose(colors.from_chroma(colors.luma(X), colors.chroma(X)), X, atol=1e-6)
    expected = skimage.color.rgb2ycbcr(X)  # in the range of video, 16 to 240
    np.testing.assert_allclose(colors.chroma(X), (expected[..., 1:] - 128) / 224, atol=1e-3)


def test_with_luma_is_the_nearest_image_with_this_luma():
    grey = jax.random.uniform(jax.random.key(1), (4, 9, 7, 1))
    nearest = colors.with_luma(grey, X)
    np.testing.assert_allclose(colors.luma(nearest), grey, atol=1e-5)
    np.testing.assert_allclose(colors.with_luma(jnp.repeat(grey, 3, -1), X), nearest, atol=1e-5)
    # Every other image with this luma is further away, by the theorem of Pythagoras.
    other = colors.from_chroma(grey, 0.1 * jax.random.normal(KEY, (4, 9, 7, 2)))
    square = lambda v: np.square(np.asarray(v, np.float64)).sum()
    assert square(other - X) == pytest.approx(
        square(nearest - X) + square(other - nearest), rel=1e-4
    )


def test_colorfulness_equals_its_definition():
    x = 255 * np.asarray(X, np.float64)
    rg, yb = x[..., 0] - x[..., 1], 0.5 * (x[..., 0] + x[..., 1]) - x[..., 2]
    expected = [
        np.hypot(np.std(a), np.std(b)) + 0.3 * np.hypot(np.mean(a), np.mean(b))
        for a, b in zip(rg, yb, strict=True)
    ]
    np.testing.assert_allclose(colors.colorfulness(X), expected, rtol=1e-4)
    red = np.zeros((1, 5, 5, 3), np.uint8)
    red[..., 0] = 255
    assert float(colors.colorfulness(red)[0]) == pytest.approx(0.3 * np.hypot(255, 127.5), rel=1e-5)


@pytest.mark.parametrize(
    "function", [colors.luma, colors.chroma, colors.rgb_to_lab, colors.colorfulness]
)
def test_grey_images_are_refused(function):
    with pytest.raises(ValueError, match="3 channels .RGB., and these have 1"):
        function(X[..., :1])


@pytest.mark.parametrize("k", [2, 4, 6])
def test_color_classes_are_a_softmax_over_the_nearest_centres(k):
    centres = 0.2 * jax.random.normal(jax.random.key(2), (k, 2))
    likelihood = jaxae.likelihoods.color_classes(centres, temperature=0.5)
    outputs = jax.random.normal(KEY, (*X.shape, likelihood.outputs))
    assert likelihood.outputs == 1 + -(-k // 3)
    logits = np.asarray(outputs[..., 1:], np.float64).reshape(4, 9, 7, -1)[..., :k]
    found = np.asarray(colors.chroma(X))[..., None, :]
    nearest = np.square(found - np.asarray(centres)).sum(-1).argmin(-1)
    log_softmax = scipy.special.log_softmax(logits, axis=-1)
    expected = np.take_along_axis(log_softmax, nearest[..., None], -1).sum((1, 2, 3))
    np.testing.assert_allclose(likelihood.log_prob(outputs, X), expected, rtol=1e-4)
    color = scipy.special.softmax(logits / 0.5, axis=-1) @ np.asarray(centres)
    mean = colors.from_chroma(colors.luma(outputs[..., 0]), jnp.float32(color))
    np.testing.assert_allclose(likelihood.mean(outputs), mean, atol=1e-5)


def test_the_temperature_changes_the_mean_and_not_the_loss():
    centres = jnp.array([[-0.1, 0.2], [0.2, -0.2], [0.0, 0.05]])
    outputs = (
        jnp.zeros((1, 1, 1, 3, 2)).at[..., 0].set(0.5).at[..., 1].set(jnp.array([0.3, 0.5, 0]))
    )
    cold, hot = (jaxae.likelihoods.color_classes(centres, temperature=t) for t in (1e-3, 1e3))
    np.testing.assert_allclose(colors.chroma(cold.mean(outputs))[0, 0, 0], centres[1], atol=1e-4)
    mean = np.asarray(centres).mean(0)
    np.testing.assert_allclose(colors.chroma(hot.mean(outputs))[0, 0, 0], mean, atol=1e-4)
    x = X[:1, :1, :1]
    assert cold.log_prob(outputs, x) == hot.log_prob(outputs, x)


def test_bad_color_classes():
    with pytest.raises(ValueError, match="centres are colours"):
        jaxae.likelihoods.color_classes(np.zeros((1, 2)))
    with pytest.raises(ValueError, match="centres are colours"):
        jaxae.likelihoods.color_classes(np.zeros((5, 3)))
    with pytest.raises(ValueError, match="temperature must be positive"):
        jaxae.likelihoods.color_classes(np.zeros((5, 2)), temperature=0.0)


def test_colour_matrices_are_precise():
    assert all_highest(colors.rgb_to_lab, X)


def test_chroma_error_refuses_other_shapes():
    with pytest.raises(ValueError, match=r"\(4, 9, 7, 3\) cannot .* \(4, 9, 7, 1\)"):
        colors.chroma_error(X, X[..., :1])
