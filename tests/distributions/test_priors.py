"""Priors against their moments and shapes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import kstest

from jaxae.distributions import priors

KEY = jax.random.key(0)
N = 20_000


def test_the_normal_prior_is_normal():
    z = np.asarray(priors.standard_normal(3).sample(KEY, N))
    for column in z.T:
        assert kstest(column, "norm").pvalue > 1e-3


@pytest.mark.parametrize("label", [0, 3, 7])
def test_a_petal_is_where_it_belongs(label):
    prior = priors.petals(8, radius=3.0, length=0.5, width=0.1)
    z = np.asarray(prior.sample(KEY, N, condition=jnp.full(N, label)))
    angle = 2 * np.pi * label / 8
    axes = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    along, across = (z @ axes.T).T
    assert along.mean() == pytest.approx(3.0, abs=0.02)
    assert across.mean() == pytest.approx(0.0, abs=0.01)
    assert along.std() == pytest.approx(0.5, rel=0.03)
    assert across.std() == pytest.approx(0.1, rel=0.03)


def test_a_swiss_roll_is_as_dense_everywhere():
    prior = priors.swiss_roll(10, turns=2.0, width=1e-3)
    z = np.asarray(prior.sample(KEY, N))
    t = np.linalg.norm(z, axis=1) / 2
    # The length of the roll up to t goes with t^2 but near the middle.
    assert kstest(np.square(np.clip(t, 0, 1)), "uniform").statistic < 0.02
    angle = np.arctan2(z[:, 1], z[:, 0])
    off = np.angle(np.exp(1j * (angle - 4 * np.pi * t)))
    assert np.abs(off[t > 0.2]).max() < 0.05
    piece = np.asarray(prior.sample(KEY, N, condition=jnp.full(N, 9)))
    assert np.linalg.norm(piece, axis=1).min() > 2 * np.sqrt(0.9) - 0.01


@pytest.mark.parametrize("prior", [priors.petals(5), priors.swiss_roll(5), priors.categorical(5)])
def test_a_code_without_a_label_is_of_any_class(prior):
    assert prior.classes == 5
    free = np.asarray(prior.sample(KEY, N, condition=jnp.full(N, -1)))
    np.testing.assert_array_equal(free, prior.sample(KEY, N))
    of_classes = [
        np.asarray(prior.sample(KEY, N, condition=jnp.full(N, label))) for label in range(5)
    ]
    means = np.stack([z.mean(0) for z in of_classes])
    np.testing.assert_allclose(free.mean(0), means.mean(0), atol=0.03)


def test_a_mixture_is_fitted_to_codes():
    generator = np.random.default_rng(0)
    codes = np.concatenate(
        [generator.normal(5, 0.2, (3000, 2)), generator.normal(-5, 1, (1000, 2))]
    )
    z = np.asarray(priors.gaussian_mixture(codes, components=2).sample(KEY, N))
    right = z[:, 0] > 0
    assert right.mean() == pytest.approx(0.75, abs=0.02)
    assert z[right].std(0) == pytest.approx(0.2, rel=0.05)
    assert z[~right].mean(0) == pytest.approx(-5, rel=0.05)
    np.testing.assert_allclose(np.cov(z.T), np.cov(codes.T), rtol=0.05, atol=0.5)


def test_a_mixture_has_the_density_of_scikit_learn():
    from sklearn.mixture import GaussianMixture

    units = np.array([1.0, 0.1, 3.0])
    standard = np.random.default_rng(0).normal(size=(300, 3))
    standard = (standard - standard.mean(axis=0)) / standard.std(axis=0)
    fitted = GaussianMixture(4, random_state=0).fit(standard)
    z = np.random.default_rng(1).normal(size=(50, 3))
    expected = fitted.score_samples(z) - np.log(units).sum()
    # At any scale: scikit-learn itself adds 1e-6 to the variances of codes.
    for scale in (1.0, 1e-6, 1e6):
        found = priors.gaussian_mixture(scale * units * standard + 2 * scale, components=4)
        of_z = jnp.float32(scale * units * z + 2 * scale)
        log_prob = found.distribution(None, 50).log_prob(of_z) + 3 * np.log(scale)
        np.testing.assert_allclose(log_prob, expected, rtol=1e-4, atol=2e-3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: priors.standard_normal(0), "one dimension"),
        (lambda: priors.petals(3, width=0.0), "positive"),
        (lambda: priors.swiss_roll(0), "positive"),
        (lambda: priors.categorical(1), "two classes"),
        (lambda: priors.gaussian_mixture(np.zeros((30, 2)), components=10), "30 codes are too few"),
        (lambda: priors.gaussian_mixture(np.zeros((30, 2)), components=0), "one component"),
    ],
)
def test_what_is_out_of_range_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
