"""Likelihoods against scipy, optax, brute force and limits."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.integrate
import scipy.special
import scipy.stats

import jaxae
from jaxae import likelihoods


def normals(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


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
    np.testing.assert_allclose(likelihoods.bernoulli().log_prob(OUT, x), expected, rtol=1e-5)
    np.testing.assert_allclose(likelihoods.bernoulli().mean(OUT), probability, rtol=1e-5)


def test_bernoulli_of_grey_levels_is_the_cross_entropy_of_the_lectures():
    xhat = 1 / (1 + np.exp(-np.asarray(OUT, np.float64)))
    expected = total(X * np.log(xhat) + (1 - X) * np.log(1 - xhat))
    np.testing.assert_allclose(likelihoods.bernoulli().log_prob(OUT, X), expected, rtol=1e-5)


@pytest.mark.parametrize("logit", [1e4, -1e4])
@pytest.mark.parametrize("target", [0.0, 0.5, 1.0])
def test_bernoulli_is_finite_at_any_logit(logit, target):
    log_prob = lambda out: (
        likelihoods.bernoulli().log_prob(out, jnp.full((1, 1, 1, 1), target)).sum()
    )
    value, gradient = jax.value_and_grad(log_prob)(jnp.full((1, 1, 1, 1), logit))
    assert float(value) == pytest.approx(target * logit - max(logit, 0.0))
    assert float(gradient.squeeze()) == pytest.approx(target - (logit > 0))


def test_bernoulli_is_optax_and_so_is_its_gradient():
    def ours(logits, x):
        return -likelihoods.bernoulli().log_prob(logits, x).sum()

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
    np.testing.assert_allclose(likelihoods.gaussian(scale).log_prob(OUT, X), gaussian, rtol=1e-5)
    laplace = total(scipy.stats.laplace.logpdf(X, OUT, scale))
    np.testing.assert_allclose(likelihoods.laplace(scale).log_prob(OUT, X), laplace, rtol=1e-5)


def test_the_scale_is_the_factor_of_the_squared_error():
    error = jaxae.analysis.squared_error(X, OUT)
    zero = jaxae.analysis.squared_error(X, X)

    def difference(scale):
        likelihood = likelihoods.gaussian(scale)
        return likelihood.log_prob(X, X) - likelihood.log_prob(OUT, X)

    np.testing.assert_allclose(difference(1.0), error / 2, rtol=1e-4)
    np.testing.assert_allclose(difference(math.sqrt(0.5)), error, rtol=1e-4)
    assert (zero == 0).all()


def test_learned_scales_are_scipy():
    scale = np.exp(bounded(TWO[..., 1]))
    gaussian = total(scipy.stats.norm.logpdf(X, TWO[..., 0], scale))
    np.testing.assert_allclose(
        likelihoods.gaussian("learned").log_prob(TWO, X), gaussian, rtol=1e-4
    )
    laplace = total(scipy.stats.laplace.logpdf(X, TWO[..., 0], scale))
    np.testing.assert_allclose(likelihoods.laplace("learned").log_prob(TWO, X), laplace, rtol=1e-4)
    assert likelihoods.gaussian("learned").outputs == likelihoods.laplace("learned").outputs == 2


def test_discretized_logistic_is_the_mass_of_the_bin():
    scale = np.exp(bounded(TWO[..., 1]))
    upper = np.where(X > 1 - 1e-3, np.inf, np.asarray(X, np.float64) + 1 / 510)
    lower = np.where(X < 1e-3, -np.inf, np.asarray(X, np.float64) - 1 / 510)
    law = scipy.stats.logistic(TWO[..., 0], scale)
    expected = total(np.log(law.cdf(upper) - law.cdf(lower)))
    np.testing.assert_allclose(
        likelihoods.discretized_logistic().log_prob(TWO, X), expected, rtol=1e-4
    )


@pytest.mark.parametrize("location", [-0.5, 0.0, 0.3, 1.0, 2.0])
@pytest.mark.parametrize("raw", [-30.0, -3.0, 0.0, 3.0])
def test_discretized_logistic_is_a_distribution_and_has_its_mean(location, raw):
    likelihood = likelihoods.discretized_logistic()
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
    np.testing.assert_allclose(likelihoods.categorical().log_prob(logits, X), expected, rtol=1e-5)
    mean = (np.exp(table) * np.arange(256) / 255).sum(-1)
    np.testing.assert_allclose(likelihoods.categorical().mean(logits), mean, rtol=1e-4)


LIKELIHOODS = {
    "bernoulli": likelihoods.bernoulli(),
    "gaussian": likelihoods.gaussian(),
    "continuous Bernoulli": likelihoods.continuous_bernoulli(),
    "optimal gaussian": likelihoods.gaussian("optimal"),
    "optimal laplace": likelihoods.laplace("optimal"),
    "learned gaussian": likelihoods.gaussian("learned"),
    "laplace": likelihoods.laplace(),
    "learned laplace": likelihoods.laplace("learned"),
    "discretized logistic": likelihoods.discretized_logistic(),
    "categorical": likelihoods.categorical(),
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
    assert not likelihood.unit or 0 <= mean.min() <= mean.max() <= 1


@pytest.mark.parametrize("likelihood", LIKELIHOODS.values(), ids=LIKELIHOODS.keys())
def test_a_decoder_of_another_shape_is_told_so(likelihood):
    shape = (5, 4, 4, 2) if likelihood.outputs == 1 else (5, 4, 4, 2, likelihood.outputs)
    with pytest.raises(ValueError, match=r"the decoder gives \(4, 4, 2.*examples of \(4, 3, 2\)"):
        likelihood.log_prob(jnp.zeros(shape), X)


@pytest.mark.parametrize("make", [likelihoods.gaussian, likelihoods.laplace])
def test_a_mean_outside_of_the_unit_interval_has_a_gradient(make):
    np.testing.assert_array_equal(make().mean(OUT), OUT)
    far = jnp.full((1, 2, 2, 1), 1.5)
    gradient = jax.grad(lambda outputs: jnp.square(make().mean(outputs)).sum())(far)
    np.testing.assert_allclose(gradient, 3.0)


@pytest.mark.parametrize("scale", [0.0, -1.0, math.inf, math.nan])
@pytest.mark.parametrize("make", [likelihoods.gaussian, likelihoods.laplace])
def test_a_scale_must_be_positive(make, scale):
    with pytest.raises(ValueError, match="scale"):
        make(scale)


def test_a_categorical_needs_two_levels():
    with pytest.raises(ValueError, match="2 levels"):
        likelihoods.categorical(1)


# Kinks: abs'(0) is 1 and maximum'(0) is 1/2 in JAX. All likelihoods at theirs: test_kinks.py.


@pytest.mark.parametrize("logit", [0.0, 1e-6, -1e-6, 3.0])
@pytest.mark.parametrize("target", [0.0, 0.3, 1.0])
def test_bernoulli_has_both_derivatives_of_optax_at_a_logit_of_zero(logit, target):
    x = jnp.full((1, 1), target)
    ours = lambda logit: -likelihoods.bernoulli().log_prob(jnp.full((1, 1), logit), x)[0]
    theirs = lambda logit: optax.sigmoid_binary_cross_entropy(logit, jnp.float32(target))
    first, second = jax.grad(ours), jax.grad(jax.grad(ours))
    assert first(logit) == pytest.approx(float(jax.grad(theirs)(logit)), abs=1e-6)
    p = 1 / (1 + math.exp(-logit))
    assert first(logit) == pytest.approx(p - target, abs=1e-6)
    assert second(logit) == pytest.approx(p * (1 - p), abs=1e-6)


def test_laplace_at_its_mode_pulls_nowhere():
    """The derivative of |x - m| at zero is no number; zero keeps a mean that is exact where it is."""
    zero = jnp.zeros((1, 1))
    at = jax.grad(lambda m: likelihoods.laplace(0.5).log_prob(m, zero).sum())
    assert float(at(zero)[0, 0]) == 0
    assert float(at(zero + 1e-6)[0, 0]) == -2
    assert float(at(zero - 1e-6)[0, 0]) == 2


def continuous_bernoulli(logit, x):
    """Its log-density and mean from the definition, in float64."""
    if logit == 0:
        return 0.0, 0.5
    size = abs(logit)
    constant = np.log(size) - np.log1p(-np.exp(-size)) - max(logit, 0.0)
    mean = -1 / np.expm1(-size) - 1 / size
    return x * logit + constant, mean if logit > 0 else 1 - mean


LOGITS = (0.0, 1e-4, -1e-4, 0.0999, 0.1, 0.1001, -0.1, 1.0, -5.0, 30.0, -200.0, 1e4)


@pytest.mark.parametrize("x", [0.0, 0.3, 1.0])
def test_continuous_bernoulli_is_its_definition(x):
    outputs = jnp.array(LOGITS, jnp.float32)[:, None]
    found = likelihoods.continuous_bernoulli().log_prob(outputs, jnp.full(outputs.shape, x))
    logits = np.asarray(outputs[:, 0], np.float64)
    exact = [continuous_bernoulli(logit, float(np.float32(x))) for logit in logits]
    np.testing.assert_allclose(found, [value for value, _ in exact], rtol=2e-6, atol=2e-6)
    means = likelihoods.continuous_bernoulli().mean(outputs)[:, 0]
    np.testing.assert_allclose(means, [mean for _, mean in exact], rtol=2e-5, atol=1e-6)


def test_the_derivative_of_continuous_bernoulli_is_the_residual():
    """d log p / d logit = x - mean, at the ends of the series and at a logit of zero too."""
    outputs, x = jnp.array(LOGITS, jnp.float32)[:, None], jnp.float32(0.3)
    likelihood = likelihoods.continuous_bernoulli()
    slope = jax.grad(lambda o: likelihood.log_prob(o, jnp.full(o.shape, x)).sum())(outputs)
    np.testing.assert_allclose(slope, x - likelihood.mean(outputs), atol=3e-5)
    curvature = jax.vmap(
        jax.grad(
            jax.grad(lambda o: likelihood.log_prob(o.reshape(1, 1), jnp.full((1, 1), x)).sum())
        )
    )(jnp.float32(LOGITS[:8]))
    # Minus the variance of the density, by quadrature.
    grid = np.linspace(0, 1, 20_001)
    for logit, found in zip(LOGITS[:8], curvature, strict=True):
        weights = np.exp(logit * grid)
        weights[[0, -1]] /= 2
        weights /= weights.sum()
        mean = weights @ grid
        assert found == pytest.approx(-(weights @ (grid - mean) ** 2), abs=2e-4)


# Scales


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gaussian", "laplace"])
def test_the_optimal_scale_is_the_best_of_all(name):
    make = getattr(likelihoods, name)
    location, x = OUT, X
    best = make("optimal").log_prob(location, x).sum()
    scales = np.exp(np.linspace(-1, 1, 401)) * float(jnp.abs(x - location).mean())
    all_scales = [float(make(float(scale)).log_prob(location, x).sum()) for scale in scales]
    assert best == pytest.approx(max(all_scales), abs=0.02)
    assert best >= max(all_scales) - 1e-2
    # The gradient is that at the best scale, which is a stationary point (the envelope theorem).
    scale = float(scales[np.argmax(all_scales)])
    found = jax.grad(lambda o: make("optimal").log_prob(o, x).sum())(location)
    expected = jax.grad(lambda o: make(scale).log_prob(o, x).sum())(location)
    np.testing.assert_allclose(found, expected, rtol=0.02, atol=1e-3)


def test_an_optimal_scale_couples_the_examples_and_is_for_training_alone():
    likelihood = likelihoods.gaussian("optimal")
    assert likelihood.coupled
    assert not likelihoods.gaussian("shared").coupled
    one = likelihood.log_prob(OUT[:2], X[:2])
    assert not np.allclose(likelihood.log_prob(OUT, X)[:2], one)
    with pytest.raises(ValueError, match='use "shared" or "learned"'):
        likelihood.distribution(OUT).draw(jax.random.key(0))
    exact = likelihood.log_prob(X, X)  # no error at all: the scale is bounded
    assert np.isfinite(exact).all()


@pytest.mark.parametrize("make", [likelihoods.gaussian, likelihoods.laplace])
def test_a_shared_scale_is_one_parameter_that_is_learned(make):
    model = jaxae.autoencoder(
        jaxae.networks.mlp_encoder(2, (8,)),
        jaxae.networks.mlp_decoder((4, 3, 2), (8,)),
        make("shared"),
    )
    params = model.init(jax.random.key(0), X)
    assert jax.tree.map(jnp.shape, params["likelihood"]) == {"log_scale": ()}
    decoded = jaxae.reconstruct(model, params, X)

    @jax.jit
    def step(raw):
        loss = lambda raw: model.loss(
            params | {"likelihood": {"log_scale": raw}}, jax.random.key(1), X
        ).loss.mean()
        return raw - 0.02 * jax.grad(loss)(raw)

    raw = jnp.float32(0.0)
    for _ in range(200):
        raw = step(raw)
    # Trained, it is the optimal scale of these reconstructions.
    error = np.asarray(X - decoded, np.float64)
    best = np.abs(error).mean() if make is likelihoods.laplace else np.sqrt(np.square(error).mean())
    assert np.exp(bounded(raw)) == pytest.approx(best, rel=1e-2)


def test_scales_have_four_kinds():
    for make in (likelihoods.gaussian, likelihoods.laplace):
        assert [make(s).outputs for s in (1.0, "learned", "shared", "optimal")] == [1, 2, 1, 1]
