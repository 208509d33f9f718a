"""Formulas against something independent: scipy, brute force, closed forms, numbers from torch."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.integrate
import scipy.stats

import jaxae

KEY = jax.random.key(0)


def normals(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


# Divergences


@pytest.mark.parametrize(("mean", "log_var"), [(0.0, 0.0), (1.5, -2.0), (-0.3, 1.2), (4.0, 0.7)])
def test_kl_standard_normal_is_the_integral(mean, log_var):
    q = scipy.stats.norm(mean, math.exp(log_var / 2))
    integral, _ = scipy.integrate.quad(
        lambda z: q.pdf(z) * (q.logpdf(z) - scipy.stats.norm.logpdf(z)), -30, 30, points=[mean]
    )
    value = jaxae.distributions.kl_standard_normal(jnp.array([mean]), jnp.array([log_var]))
    assert float(value) == pytest.approx(integral, abs=1e-5)


def test_kl_of_diagonal_gaussians_is_torch():
    # torch.distributions.kl_divergence(
    #     Normal(tensor([0.5, -1.0, 2.0]), tensor([-0.4, 0.3, 1.0]).mul(0.5).exp()),
    #     Normal(tensor([0.0, 1.0, -0.5]), tensor([0.2, -0.7, 0.5]).mul(0.5).exp()),
    # )  # torch 2.13.0: [0.1767471, 4.3866467, 1.9697689]
    value = jaxae.distributions.kl_diagonal_normal(
        jnp.array([[0.5], [-1.0], [2.0]]),
        jnp.array([[-0.4], [0.3], [1.0]]),
        jnp.array([[0.0], [1.0], [-0.5]]),
        jnp.array([[0.2], [-0.7], [0.5]]),
    )
    np.testing.assert_allclose(value, [0.1767471, 4.3866467, 1.9697689], rtol=1e-6)


def test_kl_keeps_its_digits_near_the_prior():
    # exp(v) - 1 - v = v**2 / 2 + ...; in float32, exp(1e-4) - 1 - 1e-4 would be off by 100 %.
    value = jaxae.distributions.kl_standard_normal(jnp.zeros(1), jnp.array([1e-4]))
    assert float(value) == pytest.approx(0.5 * (1e-8 / 2 + 1e-12 / 6), rel=0.2)
    mean, log_var = (jnp.asarray(1e-4 * normals(1000, 1, seed=i), jnp.float32) for i in (0, 1))
    random = jaxae.distributions.kl_standard_normal(mean, log_var)
    assert (random >= 0).all()


def test_the_three_divergences_agree():
    mean, log_var, other_mean, other_log_var = (
        jnp.asarray(normals(4, 3, seed=i), jnp.float32) for i in range(4)
    )
    diagonal = jaxae.distributions.kl_diagonal_normal(mean, log_var, other_mean, other_log_var)
    full = jaxae.distributions.kl_normal(
        mean,
        jax.vmap(jnp.diag)(jnp.exp(log_var)),
        other_mean,
        jax.vmap(jnp.diag)(jnp.exp(other_log_var)),
    )
    np.testing.assert_allclose(diagonal, full, rtol=1e-4)
    zero = jnp.zeros_like(mean)
    np.testing.assert_allclose(
        jaxae.distributions.kl_diagonal_normal(mean, log_var, zero, zero),
        jaxae.distributions.kl_standard_normal(mean, log_var),
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        jaxae.distributions.kl_standard_normal_per_dimension(mean, log_var).sum(-1),
        jaxae.distributions.kl_standard_normal(mean, log_var),
        rtol=1e-6,
    )


def test_kl_of_full_gaussians_is_the_expectation_of_the_log_ratio():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3, 3))
    first, second = a @ a.T + np.eye(3), b @ b.T + np.eye(3)
    mean, other = rng.normal(size=(2, 3))
    p = scipy.stats.multivariate_normal(mean, first)
    q = scipy.stats.multivariate_normal(other, second)
    draws = p.rvs(200_000, random_state=1)
    ratios = p.logpdf(draws) - q.logpdf(draws)
    arguments = (jnp.asarray(v, jnp.float32) for v in (mean, first, other, second))
    value = float(jaxae.distributions.kl_normal(*arguments))
    assert abs(value - ratios.mean()) < 5 * ratios.std() / math.sqrt(len(draws))
    assert math.isnan(
        float(jaxae.distributions.kl_normal(jnp.zeros(2), -jnp.eye(2), jnp.zeros(2), jnp.eye(2)))
    )


# Likelihoods

X = jnp.asarray(np.random.default_rng(0).integers(0, 256, (5, 4, 3, 2)) / 255, jnp.float32)
OUT = jnp.asarray(normals(5, 4, 3, 2, seed=1), jnp.float32)
TWO = jnp.asarray(normals(5, 4, 3, 2, 2, seed=2), jnp.float32)


def bounded(raw, bound=6.0):
    return 2 * bound / np.pi * np.arctan(np.pi * np.asarray(raw, np.float64) / (2 * bound))


def total(values):
    return np.asarray(values).reshape(5, -1).sum(1)


def test_bernoulli_is_scipy():
    x = jnp.round(X)
    probability = 1 / (1 + np.exp(-np.asarray(OUT, np.float64)))
    expected = total(scipy.stats.bernoulli.logpmf(np.asarray(x), probability))
    np.testing.assert_allclose(jaxae.likelihoods.bernoulli().log_prob(OUT, x), expected, rtol=1e-5)
    np.testing.assert_allclose(jaxae.likelihoods.bernoulli().mean(OUT), probability, rtol=1e-5)


def test_bernoulli_of_grey_levels_is_the_cross_entropy_of_the_lectures():
    xhat = 1 / (1 + np.exp(-np.asarray(OUT, np.float64)))
    expected = total(X * np.log(xhat) + (1 - X) * np.log(1 - xhat))
    np.testing.assert_allclose(jaxae.likelihoods.bernoulli().log_prob(OUT, X), expected, rtol=1e-5)


@pytest.mark.parametrize("logit", [1e4, -1e4])
@pytest.mark.parametrize("target", [0.0, 0.5, 1.0])
def test_bernoulli_is_finite_at_any_logit(logit, target):
    log_prob = lambda out: (
        jaxae.likelihoods.bernoulli().log_prob(out, jnp.full((1, 1, 1, 1), target)).sum()
    )
    value, gradient = jax.value_and_grad(log_prob)(jnp.full((1, 1, 1, 1), logit))
    assert float(value) == pytest.approx(target * logit - max(logit, 0.0))
    assert float(gradient.squeeze()) == pytest.approx(target - (logit > 0))


def test_bernoulli_is_optax_and_so_is_its_gradient():
    def ours(logits, x):
        return -jaxae.likelihoods.bernoulli().log_prob(logits, x).sum()

    def theirs(logits, x):
        return optax.sigmoid_binary_cross_entropy(logits, x).sum()

    logits = 30 * OUT
    for mine, other in zip(
        jax.value_and_grad(ours)(logits, X), jax.value_and_grad(theirs)(logits, X), strict=True
    ):
        np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("scale", [0.05, 1.0, 3.0])
def test_gaussian_and_laplace_are_scipy(scale):
    gaussian = total(scipy.stats.norm.logpdf(X, OUT, scale))
    np.testing.assert_allclose(
        jaxae.likelihoods.gaussian(scale).log_prob(OUT, X), gaussian, rtol=1e-5
    )
    laplace = total(scipy.stats.laplace.logpdf(X, OUT, scale))
    np.testing.assert_allclose(
        jaxae.likelihoods.laplace(scale).log_prob(OUT, X), laplace, rtol=1e-5
    )


def test_the_scale_is_the_factor_of_the_squared_error():
    error = jaxae.analysis.squared_error(X, OUT)
    zero = jaxae.analysis.squared_error(X, X)

    def difference(scale):
        likelihood = jaxae.likelihoods.gaussian(scale)
        return likelihood.log_prob(X, X) - likelihood.log_prob(OUT, X)

    np.testing.assert_allclose(difference(1.0), error / 2, rtol=1e-4)
    np.testing.assert_allclose(difference(math.sqrt(0.5)), error, rtol=1e-4)
    assert (zero == 0).all()


def test_learned_scales_are_scipy():
    scale = np.exp(bounded(TWO[..., 1]))
    gaussian = total(scipy.stats.norm.logpdf(X, TWO[..., 0], scale))
    np.testing.assert_allclose(
        jaxae.likelihoods.gaussian("learned").log_prob(TWO, X), gaussian, rtol=1e-4
    )
    laplace = total(scipy.stats.laplace.logpdf(X, TWO[..., 0], scale))
    np.testing.assert_allclose(
        jaxae.likelihoods.laplace("learned").log_prob(TWO, X), laplace, rtol=1e-4
    )
    assert (
        jaxae.likelihoods.gaussian("learned").outputs
        == jaxae.likelihoods.laplace("learned").outputs
        == 2
    )


def test_discretized_logistic_is_the_mass_of_the_bin():
    scale = np.exp(bounded(TWO[..., 1]))
    upper = np.where(X > 1 - 1e-3, np.inf, np.asarray(X, np.float64) + 1 / 510)
    lower = np.where(X < 1e-3, -np.inf, np.asarray(X, np.float64) - 1 / 510)
    law = scipy.stats.logistic(TWO[..., 0], scale)
    expected = total(np.log(law.cdf(upper) - law.cdf(lower)))
    np.testing.assert_allclose(
        jaxae.likelihoods.discretized_logistic().log_prob(TWO, X), expected, rtol=1e-4
    )


@pytest.mark.parametrize("location", [-0.5, 0.0, 0.3, 1.0, 2.0])
@pytest.mark.parametrize("raw", [-30.0, -3.0, 0.0, 3.0])
def test_discretized_logistic_is_a_distribution_and_has_its_mean(location, raw):
    likelihood = jaxae.likelihoods.discretized_logistic()
    levels = jnp.arange(256).reshape(256, 1, 1, 1) / 255
    outputs = jnp.broadcast_to(jnp.array([location, raw]), (256, 1, 1, 1, 2))
    log_probs = likelihood.log_prob(outputs, levels)
    assert np.isfinite(log_probs).all()
    probabilities = np.exp(np.asarray(log_probs, np.float64))
    assert probabilities.sum() == pytest.approx(1, abs=1e-4)
    mean = (probabilities * np.arange(256) / 255).sum()
    assert float(likelihood.mean(outputs[:1]).squeeze()) == pytest.approx(mean, abs=1 / 510)


def test_categorical_is_the_softmax():
    logits = jnp.asarray(normals(5, 4, 3, 2, 256), jnp.float32)
    table = np.log(scipy.special.softmax(np.asarray(logits, np.float64), axis=-1))
    level = np.round(np.asarray(X) * 255).astype(int)
    expected = total(np.take_along_axis(table, level[..., None], -1))
    np.testing.assert_allclose(
        jaxae.likelihoods.categorical().log_prob(logits, X), expected, rtol=1e-5
    )
    mean = (np.exp(table) * np.arange(256) / 255).sum(-1)
    np.testing.assert_allclose(jaxae.likelihoods.categorical().mean(logits), mean, rtol=1e-4)


LIKELIHOODS = {
    "bernoulli": jaxae.likelihoods.bernoulli(),
    "gaussian": jaxae.likelihoods.gaussian(),
    "learned gaussian": jaxae.likelihoods.gaussian("learned"),
    "laplace": jaxae.likelihoods.laplace(),
    "learned laplace": jaxae.likelihoods.laplace("learned"),
    "discretized logistic": jaxae.likelihoods.discretized_logistic(),
    "categorical": jaxae.likelihoods.categorical(),
}


@pytest.mark.parametrize("likelihood", LIKELIHOODS.values(), ids=LIKELIHOODS.keys())
@pytest.mark.parametrize("size", [0.0, 1.0, 1e4])
def test_every_likelihood_is_finite_with_a_finite_gradient(likelihood, size):
    shape = X.shape if likelihood.outputs == 1 else (*X.shape, likelihood.outputs)
    outputs = size * jnp.asarray(normals(*shape), jnp.float32)
    value, gradient = jax.value_and_grad(lambda o: likelihood.log_prob(o, X).sum())(outputs)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
    assert likelihood.log_prob(outputs.astype(jnp.bfloat16), X).dtype == jnp.float32
    mean = likelihood.mean(outputs)
    assert mean.dtype == jnp.float32
    assert mean.shape == X.shape
    assert 0 <= mean.min() <= mean.max() <= 1


@pytest.mark.parametrize("likelihood", LIKELIHOODS.values(), ids=LIKELIHOODS.keys())
def test_a_decoder_of_another_shape_is_told_so(likelihood):
    shape = (5, 4, 4, 2) if likelihood.outputs == 1 else (5, 4, 4, 2, likelihood.outputs)
    with pytest.raises(ValueError, match=r"the decoder gives \(4, 4, 2.*images of \(4, 3, 2\)"):
        likelihood.log_prob(jnp.zeros(shape), X)


def test_a_likelihood_of_data_that_is_no_image_is_not_clipped():
    np.testing.assert_array_equal(jaxae.likelihoods.gaussian(clip=False).mean(OUT), OUT)
    np.testing.assert_array_equal(jaxae.likelihoods.gaussian().mean(OUT), np.clip(OUT, 0, 1))


@pytest.mark.parametrize("scale", [0.0, -1.0, math.inf, math.nan])
@pytest.mark.parametrize("make", [jaxae.likelihoods.gaussian, jaxae.likelihoods.laplace])
def test_a_scale_must_be_positive(make, scale):
    with pytest.raises(ValueError, match="scale"):
        make(scale)


def test_a_categorical_needs_two_levels():
    with pytest.raises(ValueError, match="2 levels"):
        jaxae.likelihoods.categorical(1)


# Small functions


@pytest.mark.parametrize("bound", [1.0, 15.0])
def test_soft_clip_is_bounded_and_never_loses_its_gradient(bound):
    x = jnp.array([-1e4, -1.0, 0.0, 1e-3, 1.0, 1e4])
    y = jaxae.arrays.soft_clip(x, bound)
    assert (jnp.abs(y) <= bound * (1 + 1e-6)).all()
    assert (jax.vmap(jax.grad(lambda x: jaxae.arrays.soft_clip(x, bound)))(x) > 0).all()
    assert float(y[3]) == pytest.approx(1e-3, rel=1e-4)
    np.testing.assert_allclose(y, bounded(x, bound), rtol=1e-5)


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


def test_terms_have_one_name_each():
    out = jaxae.Output(jnp.ones(2), {"distortion": jnp.ones(2)}, jnp.zeros((2, 1)))
    with pytest.raises(ValueError, match="'distortion' is used twice"):
        out.add("distortion", jnp.ones(2))
    with pytest.raises(ValueError, match="'encoder' is used twice"):
        jaxae.arrays.merge({"encoder": 1}, {"encoder": 2})
    added = out.add("penalty", jnp.full(2, 3.0), 0.5)
    np.testing.assert_array_equal(added.loss, [2.5, 2.5])
    np.testing.assert_array_equal(added.terms["penalty"], [3.0, 3.0])


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
