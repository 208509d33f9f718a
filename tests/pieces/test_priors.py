"""The VampPrior, and codes on a sphere."""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.integrate
import scipy.stats
from scipy.special import logsumexp

import jaxae
from tests.pieces import power_spherical
from tests.pieces.examples import CODE, digits, train, vae
from tests.pieces.vamp_prior import vamp_prior

KEY = jax.random.key(0)


def test_the_vamp_prior_is_the_mixture_of_posteriors():
    model, x = vamp_prior(vae(), 5), digits().x
    params = model.init(KEY, x)
    inputs = params["prior"]["inputs"]
    assert all(np.isclose(i, x / 255, atol=1e-6).all((1, 2, 3)).any() for i in inputs)
    mean, log_var = map(np.asarray, model.model.posterior(params, jaxae.Batch(inputs)).stats)
    z, log_p = jax.jit(lambda params: model.model.prior(params, 7, None).draw(KEY))(params)
    each = scipy.stats.norm(mean, np.exp(0.5 * log_var)).logpdf(np.asarray(z)[:, None]).sum(-1)
    np.testing.assert_allclose(log_p, logsumexp(each, axis=1) - np.log(5), rtol=1e-4)


def test_draws_of_the_vamp_prior_have_its_density():
    model, x = vamp_prior(vae(), 3), digits().x
    params = model.init(KEY, x)
    params["encoder"] = jax.tree.map(lambda leaf: 3 * leaf, params["encoder"])
    z, log_p = model.model.prior(params, 20_000, None).draw(KEY)
    # Of a narrower distribution inside of one component, so that the ratio is bounded.
    inputs = jaxae.Batch(params["prior"]["inputs"][:1])
    mean, log_var = model.model.posterior(params, inputs).stats
    p = jaxae.families.normal(mean + 0 * z, log_var - 0.5 + 0 * z)
    ratio = jnp.exp(p.log_prob(z) - log_p)
    assert abs(ratio.mean() - 1) < 4 * ratio.std() / np.sqrt(len(z)) < 0.2


def test_with_the_data_as_pseudo_inputs_the_rate_is_the_mutual_information():
    # Then p(z) is the aggregate posterior, and the information about which of n is at most log n.
    x = digits(8).x
    model = vamp_prior(vae(), 8)
    params = model.init(KEY, x)
    params["prior"]["inputs"] = jnp.float32(x) / 255
    for scale, low, high in (
        (0.0, -1e-3, 1e-3),
        (1.0, 1e-3, np.log(8)),
        (30.0, 2.0, np.log(8) + 1e-3),
    ):
        scaled = params | {
            "encoder": jax.tree.map(lambda leaf, s=scale: s * leaf, params["encoder"])
        }
        draws = model.draws(scaled, KEY, x, 200)
        assert low <= jnp.mean(draws.log_posterior - draws.log_prior) <= high


def test_the_pseudo_inputs_are_trained():
    model, x = vamp_prior(vae(), 5), digits().x
    gradient = jax.grad(lambda params: model.loss(params, KEY, x).loss.mean())(model.init(KEY, x))
    assert jnp.all(jnp.abs(gradient["prior"]["inputs"]).max((1, 2, 3)) > 0)
    trained = train(model, digits(640), rate=1e-2)
    assert trained.history[-1]["train/loss"] < 0.8 * trained.history[0]["train/loss"]


def spheres(n: int, dim: int, concentration: float):
    mean = power_spherical.unit(jnp.arange(1.0, dim + 1))
    mean = jnp.tile(mean, (n, 1))
    return power_spherical.power_spherical(mean, jnp.full(n, concentration))


def test_the_power_spherical_density():
    for dim, concentration in ((3, 2.0), (5, 20.0)):
        q = spheres(5000, dim, concentration)
        x, log_q = jax.jit(q.draw)(KEY)
        np.testing.assert_allclose(jnp.linalg.norm(x, axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(log_q, q.log_prob(x), rtol=1e-5, atol=1e-5)
        # The area of the ring of all x with this cosine times the density there, integrated.
        ring = np.exp(power_spherical.log_area(dim - 1))

        def density(t, dim=dim, q=q, ring=ring):
            x = t * q.mean
            return ring * (1 - t * t) ** ((dim - 3) / 2) * np.exp(q.log_prob(x)[0])

        assert abs(scipy.integrate.quad(density, -1, 1, epsabs=1e-5)[0] - 1) < 1e-3
        cosine = jnp.sum(x * q.mean, axis=1)
        a, b = (dim - 1) / 2 + concentration, (dim - 1) / 2
        assert scipy.stats.kstest((1 + cosine) / 2, scipy.stats.beta(a, b).cdf).pvalue > 0.01
        # Around the mean all directions are as likely.
        rest = x - cosine[:, None] * q.mean
        assert jnp.linalg.norm(rest.mean(0)) < 4 / np.sqrt(len(x))


def test_the_divergence_from_the_uniform_distribution():
    assert np.isclose(power_spherical.log_area(3), np.log(4 * np.pi))
    for dim, concentration in ((3, 2.0), (5, 20.0)):
        q, uniform = spheres(20_000, dim, concentration), power_spherical.uniform(dim)
        x, log_q = q.draw(KEY)
        prior = uniform.distribution(None, 20_000)
        difference = log_q - prior.log_prob(x)
        error = difference.std() / np.sqrt(20_000)
        assert abs(difference.mean() - q.kl(prior)[0, 0]) < 4 * error + 1e-4
        # At a concentration of zero it is the uniform distribution.
        assert abs(spheres(1, dim, 0.0).kl(prior)[0, 0]) < 1e-4
        assert q.kl(jaxae.families.standard_normal((1, dim))) is None


def test_draws_on_the_sphere_are_reparameterised():
    # E[mean x] = (a - b) / (a + b) in closed form, and its derivative.
    mean = jnp.tile(power_spherical.unit(jnp.ones(3)), (20_000, 1))

    def cosine(concentration):
        q = power_spherical.power_spherical(mean, jnp.full(20_000, concentration))
        return jnp.mean(jnp.sum(q.draw(KEY)[0] * mean, axis=1))

    exact = lambda k: k / (k + 2.0)
    value, slope = jax.value_and_grad(cosine)(3.0)
    assert abs(value - exact(3.0)) < 0.01
    assert abs(slope - jax.grad(exact)(3.0)) < 0.01


def test_a_vae_with_codes_on_the_sphere():
    q = power_spherical.posterior(CODE)
    model = vae(CODE + 1, posterior=q, prior=power_spherical.uniform(CODE))
    trained = train(model, digits(640), rate=1e-2)
    z = model.encode(trained.params, digits().x)
    np.testing.assert_allclose(jnp.linalg.norm(z, axis=1), 1, atol=1e-5)
    nll = jaxae.analysis.importance_nll(model, trained.params, KEY, digits().x, 50)
    blank = model.init(KEY, digits().x)
    assert nll.mean() < jaxae.analysis.importance_nll(model, blank, KEY, digits().x, 50).mean() - 8
