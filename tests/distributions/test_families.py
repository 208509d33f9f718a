"""Laws of distributions: draws, densities, means and divergences of every family agree.

No network is involved, so that a new family is tested in a second: it adds a line to `FAMILIES`.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import jaxae
from jaxae import families, likelihoods, posteriors, priors

KEY = jax.random.key(0)
N = 20_000
UNIT = np.linspace(0, 1, 2001)
LINE = np.linspace(-20, 20, 4_001)
PLANE = np.stack(np.meshgrid(*2 * [np.linspace(-7, 7, 141)], indexing="ij"), -1).reshape(-1, 2)


class Family(NamedTuple):
    """A distribution, and the points at which its density is added up.

    Attributes:
      make: `n -> Distribution` of n independent examples that are distributed alike.
      points: all values, or a grid, `[m, d]`.
      cell: the volume of a cell of the grid; 1 for a sum over all values.
    """

    make: object
    points: np.ndarray
    cell: float = 1.0


def line(make):
    return Family(make, LINE[:, None], LINE[1] - LINE[0])


def plane(make):
    return Family(make, PLANE, 0.1**2)


def from_outputs(likelihood, *outputs, params=None):
    """A likelihood of one value."""

    def make(n):
        shape = (n, 1) if len(outputs) == 1 else (n, 1, len(outputs))
        return likelihood.distribution(jnp.broadcast_to(jnp.float32(outputs), shape), params)

    return make


def levels(k):
    return (np.arange(k) / (k - 1))[:, None]


def of_prior(prior, label=None):
    def make(n):
        return prior.distribution(None, n, None if label is None else jnp.full(n, label))

    return make


def repeated(*values):
    return lambda n: families.normal(*(jnp.full((n, 1), value) for value in values))


def posterior_of_outputs(n):
    """The posterior's own parametrisation, its log-variance bounded."""
    return posteriors.gaussian(1).distribution(jnp.broadcast_to(jnp.array([0.7, -0.9]), (n, 2)))


MIXTURE = priors.gaussian_mixture(
    np.random.default_rng(0).normal([[1.0, -1.0]], [[0.8, 0.3]], (60, 2)), components=3
)
FAMILIES = {
    "normal": line(repeated(0.5, 0.8)),
    "standard normal": line(lambda n: families.standard_normal((n, 1))),
    "gaussian posterior": line(posterior_of_outputs),
    "prior standard_normal": line(of_prior(priors.standard_normal(1))),
    "prior petals": plane(of_prior(priors.petals(3, radius=1.5, length=0.6, width=0.3))),
    "prior petals, a class": plane(of_prior(priors.petals(3, length=0.6, width=0.3), 2)),
    "prior gaussian_mixture": plane(of_prior(MIXTURE)),
    "prior categorical": Family(of_prior(priors.categorical(4)), np.eye(4)),
    "prior categorical, a class": Family(of_prior(priors.categorical(4), 1), np.eye(4)),
    "bernoulli": Family(from_outputs(likelihoods.bernoulli(), 0.8), levels(2)),
    "bernoulli at zero": Family(from_outputs(likelihoods.bernoulli(), 0.0), levels(2)),
    "gaussian": line(from_outputs(likelihoods.gaussian(0.7), 1.2)),
    "gaussian learned": line(from_outputs(likelihoods.gaussian("learned"), 1.2, -0.5)),
    "gaussian shared": line(
        from_outputs(likelihoods.gaussian("shared"), 1.2, params={"log_scale": jnp.float32(0.4)})
    ),
    "laplace": line(from_outputs(likelihoods.laplace(0.7), 0.2)),
    "laplace learned": line(from_outputs(likelihoods.laplace("learned"), 0.2, -0.5)),
    "laplace shared": line(
        from_outputs(likelihoods.laplace("shared"), 0.2, params={"log_scale": jnp.float32(-0.4)})
    ),
    "discretized_logistic": Family(
        from_outputs(likelihoods.discretized_logistic(), 0.3, -2.0), levels(256)
    ),
    "discretized_logistic at the edge": Family(
        from_outputs(likelihoods.discretized_logistic(), 1.02, -3.5), levels(256)
    ),
    "categorical": Family(
        from_outputs(likelihoods.categorical(5), 0.3, -2.0, 1.0, 0.0, 0.5), levels(5)
    ),
}
FAMILIES |= {
    f"continuous_bernoulli at {logit}": Family(
        from_outputs(likelihoods.continuous_bernoulli(), logit), UNIT[:, None], UNIT[1]
    )
    for logit in (0.0, 0.07, -0.0999, 0.1001, -3.0, 15.0)
}
every = pytest.mark.parametrize("name", FAMILIES)


@lru_cache
def density(name):
    """The probability of each point or cell, in float64."""
    family = FAMILIES[name]
    points = jnp.asarray(family.points, jnp.float32)
    log_prob = np.asarray(family.make(len(points)).log_prob(points), np.float64)
    if family.points is UNIT or name.startswith("continuous"):
        weights = np.full(len(points), family.cell)
        weights[[0, -1]] /= 2
        return np.exp(log_prob) * weights
    return np.exp(log_prob) * family.cell


@every
def test_a_density_integrates_to_one(name):
    assert density(name).sum() == pytest.approx(1, abs=1e-4)


@every
def test_a_draw_has_the_density_that_it_says(name):
    p = FAMILIES[name].make(N)
    y, log_prob = p.draw(KEY)
    np.testing.assert_allclose(log_prob, p.log_prob(y), rtol=1e-4, atol=1e-4)
    assert log_prob.shape == (N,)
    assert y.dtype == log_prob.dtype == jnp.float32
    other, _ = p.draw(jax.random.key(1))
    assert not np.array_equal(y, other) or name == "prior categorical, a class"


@every
def test_draws_are_distributed_as_the_density(name):
    """Pearson's test, on the first coordinate in at most 20 bins of equal probability."""
    family = FAMILIES[name]
    y = np.asarray(family.make(N).draw(KEY)[0], np.float64)
    places, which = np.unique(family.points[:, 0], return_inverse=True)
    mass = np.bincount(which, density(name))
    if len(places) > 20:
        bins = np.minimum((20 * np.cumsum(mass) / mass.sum()).astype(int), 19)
        edges = (places[1:] + places[:-1])[np.diff(bins) > 0] / 2
        found = np.bincount(np.searchsorted(edges, y[:, 0]), minlength=len(edges) + 1)
        expected = np.bincount(np.searchsorted(edges, places), mass, minlength=len(edges) + 1)
    else:
        nearest = np.abs(y[:, :1] - places).argmin(1)
        found, expected = np.bincount(nearest, minlength=len(places)), mass
    kept = expected > 1e-5
    assert found[~kept].sum() <= 5
    expected = np.asarray(expected[kept], np.float64)
    expected = expected / expected.sum() * found[kept].sum()
    assert kept.sum() == 1 or scipy.stats.chisquare(found[kept], expected).pvalue > 1e-4


@every
def test_the_mean_is_that_of_the_draws(name):
    family = FAMILIES[name]
    p = family.make(N)
    if p.mean is None:
        pytest.skip("its mean is not known")
    y = np.asarray(p.draw(KEY)[0], np.float64)
    error = y.std(0) / math.sqrt(N)
    # The mean of a discretised logistic is known to half a level.
    slack = 1 / 510 if "discretized" in name else 1e-5
    assert (np.abs(y.mean(0) - np.asarray(p.mean[0], np.float64)) < 5 * error + slack).all()
    if "discretized" not in name:
        exact = density(name) @ family.points
        np.testing.assert_allclose(p.mean[0], exact, atol=2e-4)


INDEPENDENT = [name for name in FAMILIES if FAMILIES[name].make(1).elementwise is not None]


def test_all_likelihoods_are_products_over_values():
    assert set(INDEPENDENT) >= {name for name in FAMILIES if "prior" not in name}


@pytest.mark.parametrize("name", INDEPENDENT)
def test_the_values_add_up(name):
    p = FAMILIES[name].make(N)
    y, log_prob = p.draw(KEY)
    each = p.elementwise(y)
    assert each.shape == y.shape
    np.testing.assert_allclose(each.sum(axis=1), log_prob, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", INDEPENDENT)
def test_missing_values_are_left_out(name):
    p = FAMILIES[name].make(N)
    y, log_prob = p.draw(KEY)
    observed = (jnp.arange(N) % 3 != 0)[:, None]
    missing = jnp.where(observed, y, jnp.nan)
    found = p.log_prob_of(missing, observed.astype(jnp.float32))
    np.testing.assert_allclose(found, jnp.where(observed[:, 0], log_prob, 0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(p.log_prob_of(y, jnp.ones((N, 1))), log_prob, rtol=1e-5, atol=1e-6)


LIKELIHOODS = {
    "bernoulli": likelihoods.bernoulli(),
    "continuous_bernoulli": likelihoods.continuous_bernoulli(),
    "gaussian": likelihoods.gaussian(),
    "gaussian learned": likelihoods.gaussian("learned"),
    "gaussian shared": likelihoods.gaussian("shared"),
    "laplace": likelihoods.laplace(),
    "discretized_logistic": likelihoods.discretized_logistic(),
    "categorical": likelihoods.categorical(8),
}


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_the_gradient_does_not_see_missing_values(name):
    likelihood = LIKELIHOODS[name]
    params = None if likelihood.init is None else likelihood.init(KEY, jnp.zeros((4, 3)))
    shape = (4, 3) if likelihood.outputs == 1 else (4, 3, likelihood.outputs)
    outputs = jax.random.normal(KEY, shape)
    x = jnp.round(7 * jax.random.uniform(jax.random.key(1), (4, 3))) / 7
    observed = jnp.ones((4, 3)).at[0, 1].set(0).at[2].set(0)

    def total(outputs, params, fill):
        x_known = jnp.where(observed > 0, x, fill)
        return likelihood.distribution(outputs, params).log_prob_of(x_known, observed)

    values = [total(outputs, params, fill) for fill in (jnp.nan, 0.25, 1e6)]
    for value in values[1:]:
        np.testing.assert_allclose(values[0], value, rtol=1e-5)
    assert np.asarray(values[0])[2] == 0
    gradient = jax.grad(lambda *a: total(*a).sum(), argnums=0)(outputs, params, jnp.nan)
    assert np.isfinite(gradient).all()
    assert (np.asarray(gradient)[0, 1] == 0).all()
    assert (np.asarray(gradient)[2] == 0).all()
    assert (np.asarray(gradient)[1] != 0).any()


def test_missing_values_need_values_that_are_independent():
    p = of_prior(MIXTURE)(2)
    with pytest.raises(ValueError, match="factorises over the values"):
        p.log_prob_of(jnp.zeros((2, 2)), jnp.ones((2, 2)))
    best = likelihoods.gaussian("optimal").distribution(jnp.zeros((2, 2)))
    with pytest.raises(ValueError, match="factorises over the values"):
        best.log_prob_of(jnp.zeros((2, 2)), jnp.ones((2, 2)))
    with pytest.raises(ValueError, match="no density"):
        families.point(jnp.zeros((2, 2))).log_prob_of(jnp.zeros((2, 2)))
    with pytest.raises(ValueError, match="no density"):
        of_prior(priors.swiss_roll(3))(2).log_prob_of(jnp.zeros((2, 2)))
    assert of_prior(priors.swiss_roll(3))(2).draw(KEY)[1] is None


def normals(seed, shape=(4, 3)):
    mean, log_var = jax.random.normal(jax.random.key(seed), (2, *shape))
    return families.normal(mean, log_var)


DIVERGENCES = {
    "normal from standard": (normals(0), families.standard_normal((4, 3))),
    "normal from normal": (normals(0), normals(1)),
    "standard from normal": (families.standard_normal((4, 3)), normals(1)),
    "standard from standard": (families.standard_normal((4, 3)), families.standard_normal((4, 3))),
    "grids of codes": (normals(0, (4, 2, 3, 2)), normals(1, (4, 2, 3, 2))),
}


@pytest.mark.parametrize("name", DIVERGENCES)
def test_a_divergence_is_its_monte_carlo_estimate(name):
    p, q = DIVERGENCES[name]
    exact = np.asarray(p.kl(q)).reshape(4, -1).sum(1)

    def ratio(key):
        z, log_p = p.draw(key)
        return log_p - q.log_prob(z)

    ratios = np.asarray(jax.vmap(ratio)(jax.random.split(KEY, 20_000)), np.float64)
    error = ratios.std(0) / math.sqrt(len(ratios))
    assert (np.abs(ratios.mean(0) - exact) < 5 * error + 1e-5).all()
    assert (exact >= 0).all()


def test_there_is_no_closed_form_where_the_other_family_is_unknown():
    assert normals(0).kl(of_prior(MIXTURE)(4)) is None
    assert families.point(jnp.zeros((4, 3))).kl is None


def test_a_density_may_be_asked_for_at_many_draws_at_once():
    """Importance-weighted bounds evaluate the prior at `[k, b, d]`."""
    z = jax.random.normal(KEY, (5, 4, 2))
    for prior in (priors.standard_normal(2), priors.petals(3), MIXTURE):
        p = prior.distribution(None, 4, None)
        together = jax.vmap(p.log_prob)(z)
        assert together.shape == (5, 4)
        np.testing.assert_allclose(together[2], p.log_prob(z[2]), rtol=1e-5)


def test_draws_of_a_reparameterised_family_have_a_derivative():
    for name, family in FAMILIES.items():
        if "normal" in name and "prior" not in name:
            assert family.make(1).reparameterised is True
    slope = jax.grad(lambda mean: families.normal(mean, jnp.zeros((1, 1))).draw(KEY)[0].sum())
    assert slope(jnp.zeros((1, 1))) == 1
    assert of_prior(MIXTURE)(2).reparameterised is False
    for likelihood, one in ((likelihoods.bernoulli(), False), (likelihoods.gaussian(), True)):
        assert likelihood.distribution(jnp.zeros((2, 3))).reparameterised is one


CENTRES = jnp.array([[-0.2, 0.3], [0.2, 0.0], [0.0, 0.0]])


def test_classes_of_colours_are_a_distribution_over_classes():
    likelihood = likelihoods.color_classes(CENTRES, temperature=1.0)
    outputs = jnp.zeros((1, 1, 1, 3, 2)).at[..., 0].set(0.5)
    outputs = outputs.at[..., 1].set(jnp.array([0.4, -1.0, 0.9]))
    expected = np.asarray(jax.nn.softmax(jnp.array([0.4, -1.0, 0.9])))

    def image(k):
        luma = jnp.full((1, 1, 1, 1), 0.5)
        return jaxae.data.colors.from_chroma(luma, CENTRES[k].reshape(1, 1, 1, 2))

    found = [float(jnp.exp(likelihood.log_prob(outputs, image(k))[0])) for k in range(3)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    many = likelihood.distribution(jnp.broadcast_to(outputs, (4000, 1, 1, 3, 2)))
    y, log_prob = many.draw(KEY)
    assert log_prob is None  # the grey level is given: this is no density of images
    chroma = np.asarray(jaxae.data.colors.chroma(y)).reshape(-1, 1, 2)
    nearest = np.linalg.norm(chroma - np.asarray(CENTRES), axis=2).argmin(1)
    counts = np.bincount(nearest, minlength=3)
    expected = 4000 * expected.astype(np.float64) / expected.sum(dtype=np.float64)
    assert scipy.stats.chisquare(counts, expected).pvalue > 1e-4
