"""Every likelihood at its kinks and extremes, beside its closed form in float64.

A formula that is right almost everywhere may have another gradient at one point, such as that of `abs` at
zero, and a last layer that starts at zero starts at that point.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from jaxae import likelihoods


def bernoulli(outputs, x):
    return x * outputs - np.logaddexp(0, outputs)


def continuous_bernoulli(outputs, x):
    """x l + log(l / (exp(l) - 1)), whose limit at zero is zero."""
    if outputs == 0:
        return np.float64(0)
    size = abs(outputs)
    return x * outputs - max(outputs, 0) + np.log(size) - np.log(-np.expm1(-size))


def bounded(raw):
    return 12 / np.pi * np.arctan(np.pi * raw / 12)


def gaussian(scale, outputs, x):
    location, log_scale = (outputs, np.log(scale)) if scale else (outputs[0], bounded(outputs[1]))
    return -0.5 * ((x - location) / np.exp(log_scale)) ** 2 - log_scale - 0.5 * np.log(2 * np.pi)


def laplace(scale, outputs, x):
    location, log_scale = (outputs, np.log(scale)) if scale else (outputs[0], bounded(outputs[1]))
    return -np.abs(x - location) / np.exp(log_scale) - log_scale - np.log(2)


def discretized_logistic(outputs, x):
    """The logarithm of a difference of two sigmoids, on the side where both are small."""
    scale = np.exp(bounded(outputs[1]))
    upper, lower = ((x + half - outputs[0]) / scale for half in (1 / 510, -1 / 510))
    if x < 1 / 510:
        return scipy.special.log_expit(upper)
    if x > 1 - 1 / 510:
        return scipy.special.log_expit(-lower)
    if upper + lower > 0:
        upper, lower = -lower, -upper
    larger, smaller = scipy.special.log_expit(upper), scipy.special.log_expit(lower)
    return larger + np.log(-np.expm1(smaller - larger))


def categorical(outputs, x):
    return scipy.special.log_softmax(outputs)[round(x * (len(outputs) - 1))]


LOGITS = [0.0, -0.0, 0.05, 0.1, -0.1, 1.0, -1.0, 30.0, -30.0, 1e4, -1e4]
RAW = [0.0, 3.0, -3.0, 1e4, -1e4]
LOCATIONS = [0.0, 0.5, 1.0, -3.0, 1e4, -1e4]
PAIRS = [(location, raw) for location in LOCATIONS for raw in RAW]
FOUR = [(0.0, 0.0, 0.0, 0.0), (1e4, 0.0, -1e4, 0.0), (-30.0, 30.0, 1.0, 1.0)]
GREYS, ENDS = [0.0, 1 / 255, 0.5, 0.3, 254 / 255, 1.0], [0.0, 1 / 3, 2 / 3, 1.0]

# The likelihood, its closed form, decoder outputs of a pixel, and pixels.
CASES = {
    "bernoulli": (likelihoods.bernoulli(), bernoulli, LOGITS, GREYS),
    "continuous_bernoulli": (
        likelihoods.continuous_bernoulli(),
        continuous_bernoulli,
        LOGITS,
        GREYS,
    ),
    "gaussian": (likelihoods.gaussian(), functools.partial(gaussian, 1.0), LOCATIONS, GREYS),
    "gaussian(1e-6)": (
        likelihoods.gaussian(1e-6),
        functools.partial(gaussian, 1e-6),
        [0.0, 1.0],
        [0.0, 1.0],
    ),
    "laplace": (likelihoods.laplace(), functools.partial(laplace, 1.0), LOCATIONS, GREYS),
    "gaussian learned": (
        likelihoods.gaussian("learned"),
        functools.partial(gaussian, None),
        PAIRS,
        GREYS,
    ),
    "laplace learned": (
        likelihoods.laplace("learned"),
        functools.partial(laplace, None),
        PAIRS,
        GREYS,
    ),
    "discretized_logistic": (
        likelihoods.discretized_logistic(),
        discretized_logistic,
        PAIRS,
        GREYS,
    ),
    "categorical": (likelihoods.categorical(4), categorical, FOUR, ENDS),
}


def slopes(closed, outputs, x):
    """The gradient by central differences, in float64; at a kink, half the sum of both slopes."""
    outputs = np.asarray(outputs, np.float64)
    found = np.zeros(outputs.shape)
    for index in np.ndindex(outputs.shape):
        step = np.zeros(outputs.shape)
        step[index] = 1e-6 * max(1.0, abs(outputs[index]) * 1e-3)
        above, below = (closed(outputs + sign * step, x) for sign in (1, -1))
        found[index] = (above - below) / (2 * step[index])
    return found


def of_pixels(likelihood):
    """The log-density of pixels, one for each example, and its gradient by the outputs."""

    def log_prob(outputs, x):
        found = likelihood.distribution(outputs[:, None, None, None]).log_prob(
            x[:, None, None, None]
        )
        return found.sum(), found

    return jax.jit(jax.value_and_grad(log_prob, has_aux=True))


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_those_of_the_closed_form(name):
    likelihood, closed, outputs, pixels = CASES[name]
    grid = [(np.float32(o), np.float32(x)) for o in outputs for x in pixels]
    all_outputs, all_x = (jnp.asarray(np.stack(part)) for part in zip(*grid, strict=True))
    (_, values), gradients = of_pixels(likelihood)(all_outputs, all_x)
    for (o, x), value, gradient in zip(
        grid, np.asarray(values), np.asarray(gradients), strict=True
    ):
        o, x = np.asarray(o, np.float64), np.float64(x)
        size = 1 + np.abs(o).max()
        expected, slope = closed(o, x), slopes(closed, o, x)
        assert value == pytest.approx(expected, rel=2e-4, abs=2e-6 * size), (o, x)
        np.testing.assert_allclose(
            gradient, slope, rtol=1e-3, atol=2e-4 * max(1, np.abs(slope).max()), err_msg=(o, x)
        )


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("x", [0.0, 1 / 3])
def test_a_last_layer_that_starts_at_zero_trains_like_the_closed_form(name, x):
    """All-black images too: with the slope of `abs` at zero they stay at 64 log 2 for ever."""
    likelihood, closed, outputs, _ = CASES[name]
    if name == "gaussian(1e-6)":
        pytest.skip("no step length suits it")
    x = np.float32(x)
    gradient = of_pixels(likelihood)
    ours = jnp.zeros((1, *np.shape(outputs[0])))
    theirs = np.zeros(np.shape(outputs[0]))
    rate = 1e-5 if name == "discretized_logistic" else 0.01
    for _ in range(20):
        ours = ours + rate * gradient(ours, jnp.full(1, x))[1]
        theirs = theirs + rate * slopes(closed, theirs, np.float64(x))
    np.testing.assert_allclose(ours[0], theirs, rtol=1e-2, atol=1e-5)
    start = closed(np.zeros_like(theirs), x)
    assert closed(theirs, x) > start or (x == 0 and name in ("gaussian", "laplace"))


@pytest.mark.parametrize("logit", [0.0999, -0.0999, 0.1001, 0.05, 1e-4, 0.0])
def test_the_mean_of_continuous_bernoulli_where_a_series_takes_over(logit):
    """The mean is the derivative of log((exp(l) - 1) / l), to the last digits of float32."""
    logit = float(np.float32(logit))
    expected = 0.5 if logit == 0 else 1 / -np.expm1(-logit) - 1 / logit
    found = likelihoods.continuous_bernoulli().mean(jnp.full((1, 1), logit))
    assert float(found[0, 0]) == pytest.approx(expected, abs=5e-7 if abs(logit) < 0.1 else 2e-6)


@pytest.mark.parametrize("logit", [0.0, 0.0099, -0.0099, 0.0101, 5.0])
def test_draws_of_continuous_bernoulli_invert_its_distribution_function(logit):
    """One uniform number for each value, also where a series takes over."""
    key = jax.random.key(0)
    found = likelihoods.continuous_bernoulli().distribution(jnp.full((1, 1000), logit)).draw(key)[0]
    u = np.asarray(jax.random.uniform(key, (1, 1000)), np.float64)
    expected = u if logit == 0 else np.log1p(u * np.expm1(logit)) / logit
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("make", [likelihoods.gaussian, likelihoods.laplace])
def test_the_smallest_optimal_scale_is_the_bound(make):
    """Without any error the scale would be zero."""
    found = make("optimal").distribution(jnp.zeros((1, 1))).log_prob(jnp.zeros((1, 1)))
    constant = np.log(2 * np.pi) / 2 if make is likelihoods.gaussian else np.log(2)
    assert float(found[0]) == pytest.approx(likelihoods.LOG_SCALE_BOUND - constant, rel=1e-5)
