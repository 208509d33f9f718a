"""Bounds on log p(x), on a model where it is known in closed form."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxae
from jaxae import Batch, objectives
from tests.cases import CODE, SHAPE, images, mlps, vae
from tests.linear_gaussian import linear_gaussian

KEY = jax.random.key(0)


@pytest.mark.parametrize("seed", range(5))
def test_certificate_the_weight_of_the_exact_posterior_is_log_p_for_any_key(seed):
    model, params, x, exact = linear_gaussian()
    log_weight = model.log_weight(params, jax.random.key(seed), x)
    np.testing.assert_allclose(log_weight, exact, atol=1e-4)
    nll = jaxae.analysis.importance_nll(model, params, jax.random.key(seed), x, samples=3)
    np.testing.assert_allclose(nll, -exact, atol=1e-4)


def test_certificate_the_elbo_of_the_exact_posterior_is_log_p():
    model, params, x, exact = linear_gaussian()
    elbo = jax.vmap(lambda key: -model.loss(params, key, x).loss)(jax.random.split(KEY, 20_000))
    error = elbo.std(0) / math.sqrt(len(elbo))
    assert (np.abs(elbo.mean(0) - exact) < 5 * error + 1e-4).all()


def test_the_elbo_is_the_mean_log_weight():
    model = vae()
    x = images(SHAPE)
    params = model.init(KEY, x)
    keys = jax.random.split(KEY, 4000)
    weights = jax.vmap(lambda key: model.log_weight(params, key, x))(keys)
    bounds = jax.vmap(lambda key: -model.loss(params, key, x).terms["negative_elbo"])(keys)
    spread = (weights.std(0) + bounds.std(0)) / math.sqrt(len(keys))
    assert (jnp.abs(weights.mean(0) - bounds.mean(0)) < 5 * spread).all()


def loss_of(**options):
    """Loss and terms with the same parameters and noise, whatever the options."""
    model, x = vae(**options), images(SHAPE)
    params = jax.tree.map(lambda p: 3 * p, model.init(KEY, x))
    return model.loss(params, jax.random.key(1), x)


def test_beta_weights_the_rate_and_nothing_else():
    one, four = loss_of(beta=1.0), loss_of(beta=4.0)
    np.testing.assert_allclose(four.loss, one.loss + 3 * one.terms["rate"], rtol=1e-5)
    np.testing.assert_allclose(one.loss, one.terms["negative_elbo"], rtol=1e-6)
    for name, term in one.terms.items():
        np.testing.assert_array_equal(four.terms[name], term)
    assert (one.terms["rate"] >= 0).all()


def test_free_bits_are_on_the_mean_of_the_batch_and_the_raw_kl_is_reported():
    x = images(SHAPE)
    params = vae().init(KEY, x)
    encoder, _ = mlps(twice=True)
    kl = jaxae.distributions.kl_standard_normal_per_dimension(
        *jaxae.posteriors.gaussian(CODE).distribution(encoder.apply(params["encoder"], x)).stats
    )
    bits = float(jnp.sort(kl.mean(0))[:2].mean())  # one dimension is below, the others are above
    out = vae(free_bits=bits).loss(params, jax.random.key(1), x)
    felt = np.maximum(kl.mean(0), bits).sum()
    assert (kl.max(0) > bits).all()  # a clamp for each example would be another number
    np.testing.assert_allclose((out.loss - out.terms["distortion"]).mean(), felt, rtol=1e-5)
    np.testing.assert_allclose(out.terms["rate"], kl.sum(-1), rtol=1e-5)


def test_more_samples_have_less_variance():
    def spread(samples):
        model, x = vae(samples=samples), images(SHAPE)
        params = jax.tree.map(lambda p: 3 * p, model.init(KEY, x))
        keys = jax.random.split(KEY, 500)
        return jax.vmap(lambda key: model.loss(params, key, x).loss)(keys).std(0)

    np.testing.assert_allclose(spread(16) / spread(1), 1 / 4, rtol=0.25)


def test_bounds_are_ordered_and_tend_to_log_p():
    """ELBO <= IWAE with 2 <= 8 <= 64 draws <= log p(x), each as the mean over many keys."""
    base, params, x, exact = linear_gaussian(log_var_error=0.7, mean_error=0.3)

    def bound(model, repeats=1500):
        loss = jax.jit(jax.vmap(lambda key: -model.loss(params, key, x).loss))
        found = np.asarray(loss(jax.random.split(KEY, repeats)), np.float64)
        return found.mean(0), found.std(0) / math.sqrt(repeats)

    models = [base, *(jaxae.importance_weighted(base, k) for k in (2, 8, 64))]
    (bounds, errors) = zip(*map(bound, models), strict=True)
    for lower, higher, error in zip(bounds, bounds[1:], errors, strict=False):
        assert (lower < higher + 4 * error).all()
        assert lower.mean() < higher.mean()
    assert (bounds[-1] < exact + 4 * errors[-1]).all()
    assert bounds[0].mean() < exact.mean() - 0.3
    assert bounds[-1].mean() > exact.mean() - 0.05
    # With one draw it is the ELBO.
    one, error = bound(jaxae.importance_weighted(base, 1))
    assert (np.abs(one - bounds[0]) < 5 * (error + errors[0])).all()


def test_the_importance_weighted_bound_is_that_of_its_draws():
    model, x = jaxae.importance_weighted(vae(), 5), images(SHAPE)
    params = model.init(KEY, x)
    out = model.loss(params, KEY, x, train=False)
    weights = model.draws(params, KEY, x, 5).log_weight
    expected = math.log(5) - jax.scipy.special.logsumexp(weights, axis=0)
    np.testing.assert_allclose(out.loss, expected, rtol=1e-5)
    np.testing.assert_allclose(out.terms["negative_iwae"], expected, rtol=1e-5)
    np.testing.assert_allclose(out.terms["negative_elbo"], -weights.mean(0), rtol=1e-5)


def test_without_a_closed_form_the_rate_is_that_of_the_draws():
    """The same two normal distributions, the closed form of their divergence hidden."""
    base, x = vae(samples=2000), images(SHAPE)
    params = jax.tree.map(lambda p: 3 * p, base.init(KEY, x))

    def hidden(*arguments, **options):
        return base.model.posterior(*arguments, **options)._replace(kl=None)

    model = base._replace(model=base.model._replace(posterior=hidden))
    exact, estimate = (m.loss(params, KEY, x).terms for m in (base, model))
    np.testing.assert_allclose(estimate["rate"], exact["rate"], rtol=0.1, atol=0.05)
    np.testing.assert_array_equal(estimate["distortion"], exact["distortion"])


def with_draws(kind):
    """A VAE whose posterior says that its draws are not a differentiable function of the encoder."""
    base = vae()

    def posterior(*arguments, **options):
        q = base.model.posterior(*arguments, **options)
        return q._replace(reparameterised=kind, kl=None)

    return base._replace(model=base.model._replace(posterior=posterior))


@pytest.mark.parametrize("kind", [False, "straight-through"])
def test_draws_that_are_not_reparameterised_are_refused_by_bounds(kind):
    """The gradient of the encoder would be wrong, or zero."""
    base, x = with_draws(kind), images(SHAPE)
    params = base.init(KEY, x)
    with pytest.raises(ValueError, match="encoder's gradient would be wrong"):
        base.loss(params, KEY, x)
    with pytest.raises(ValueError, match="encoder's gradient would be wrong"):
        base._replace(objective=objectives.iwae(3)).loss(params, KEY, x)
    # As an estimate of log p(x) they are as good as any.
    estimate = jaxae.analysis.importance_nll(base, params, KEY, x, 5)
    np.testing.assert_allclose(
        estimate, jaxae.analysis.importance_nll(vae(), params, KEY, x, 5), rtol=1e-6
    )


def test_a_beta_of_zero_needs_no_density():
    swiss = jaxae.priors.swiss_roll(3)
    encoder, decoder = jaxae.networks.mlp_encoder(4, (16,)), mlps()[1]
    x = images(SHAPE)
    free = jaxae.vae(encoder, decoder, latent_dim=2, prior=swiss, beta=0.0)
    params = free.init(KEY, x)
    assert sorted(free.loss(params, KEY, x).terms) == ["distortion"]
    with pytest.raises(ValueError, match="the prior of this model has no density"):
        jaxae.vae(encoder, decoder, latent_dim=2, prior=swiss).loss(params, KEY, x)
    with pytest.raises(ValueError, match="the prior of this model has no density"):
        objectives.iwae(2).apply(free.model, params, KEY, Batch(x), 0, True)


def test_a_scaled_objective_keeps_its_terms():
    x = images(SHAPE)
    params = vae().init(KEY, x)
    plain = vae().loss(params, KEY, x)
    for weight in (0.25, lambda step: 0.05 * step):
        model = vae()._replace(objective=objectives.scaled(objectives.elbo(), weight))
        out = model.loss(params, KEY, x, step=5)
        np.testing.assert_allclose(out.loss, 0.25 * plain.loss, rtol=1e-6)
        for name, value in plain.terms.items():
            np.testing.assert_array_equal(out.terms[name], value)


@pytest.mark.parametrize("samples", [0, -1])
def test_a_bound_needs_a_sample(samples):
    for make in (objectives.iwae, lambda samples: objectives.elbo(samples=samples)):
        with pytest.raises(ValueError, match="at least one sample"):
            make(samples)
