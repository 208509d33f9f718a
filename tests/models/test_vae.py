"""The VAE against a model whose log p(x) is known, and what each of its numbers does."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import jaxae
from tests.cases import CODE, SHAPE, images, mlps, vae

KEY = jax.random.key(0)
D, K, SCALE = 12, 3, 0.5


def linear_gaussian(log_var_error: float = 0.0, mean_error: float = 0.0):
    """p(z) = N(0, I), p(x | z) = N(Wz, s^2 I), W with orthogonal columns, and its exact posterior.

    The exact posterior is N(S W'x / s^2, S) with S = (I + W'W / s^2)^-1, which is diagonal here.
    """
    rng = np.random.default_rng(0)
    w = np.linalg.qr(rng.normal(size=(D, K)))[0] * np.array([2.0, 1.0, 0.3])
    variance = 1 / (1 + (w**2).sum(0) / SCALE**2)
    # What the bounded log-variance has to be before it is bounded.
    edge = 2 * 15.0 / np.pi
    raw = edge * np.tan((np.log(variance) + log_var_error) / edge)
    wj = jnp.asarray(w, jnp.float32)

    def encode(params, x, *, key=None):
        mean = x.reshape(-1, D) @ wj * jnp.asarray(variance / SCALE**2, jnp.float32) + mean_error
        return jnp.concatenate([mean, jnp.broadcast_to(jnp.float32(raw), mean.shape)], axis=-1)

    def decode(params, z, *, key=None):
        return (z @ wj.T).reshape(-1, 3, 4, 1)

    nothing = lambda key, x: {}
    model = jaxae.vae(
        jaxae.Network(nothing, encode),
        jaxae.Network(nothing, decode),
        jaxae.likelihoods.gaussian(SCALE, clip=False),
        code=K,
    )
    law = scipy.stats.multivariate_normal(np.zeros(D), w @ w.T + SCALE**2 * np.eye(D))
    x = law.rvs(7, random_state=2)
    return model, {"encoder": {}, "decoder": {}}, jnp.float32(x).reshape(7, 3, 4, 1), law.logpdf(x)


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


def test_certificate_the_importance_bound_approaches_from_below():
    model, params, x, exact = linear_gaussian(log_var_error=0.7, mean_error=0.3)

    def bound(samples, repeats=400):
        keys = jax.random.split(jax.random.key(samples), repeats)
        estimate = jax.jit(
            jax.vmap(lambda key: -jaxae.analysis.importance_nll(model, params, key, x, samples))
        )
        return np.asarray(estimate(keys), np.float64).mean()

    gaps = [exact.mean() - bound(samples) for samples in (1, 4, 16, 256)]
    assert all(later < earlier for earlier, later in zip(gaps, gaps[1:], strict=False))
    assert gaps[0] > 0.3
    assert -0.01 < gaps[-1] < 0.02


def test_the_elbo_is_the_mean_log_weight():
    model = vae()
    x = images(SHAPE)
    params = model.init(KEY, x)
    keys = jax.random.split(KEY, 4000)
    weights = jax.vmap(lambda key: model.log_weight(params, key, x))(keys)
    bounds = jax.vmap(lambda key: -model.loss(params, key, x).terms["negative_elbo"])(keys)
    spread = (weights.std(0) + bounds.std(0)) / math.sqrt(len(keys))
    assert (jnp.abs(weights.mean(0) - bounds.mean(0)) < 5 * spread).all()


@pytest.mark.parametrize("samples", [1, 2, 5, 11])
def test_exactly_so_many_samples_are_used(samples):
    model, x = vae(), images(SHAPE)
    params = model.init(KEY, x)
    chunks = -(-samples // 3) if samples >= 3 else 1
    keys = jax.random.split(KEY, chunks * min(3, samples))[:samples]
    weights = jax.vmap(lambda key: model.log_weight(params, key, x))(keys)
    expected = -(jax.scipy.special.logsumexp(weights, axis=0) - math.log(samples))
    nll = jaxae.analysis.importance_nll(
        model, params, KEY, x, samples, chunk=3
    )  # the last is not full
    np.testing.assert_allclose(nll, expected, rtol=1e-5)


def test_the_memory_of_the_nll_does_not_grow_with_the_samples():
    model = vae()
    x = jnp.zeros((256, *SHAPE))
    params = jax.eval_shape(model.init, KEY, x)

    def peak(samples):
        nll = jax.jit(
            lambda params, key, x: jaxae.analysis.importance_nll(model, params, key, x, samples)
        )
        memory = nll.lower(params, KEY, x).compile().memory_analysis()
        return memory.temp_size_in_bytes

    assert peak(100_000) < 1.5 * peak(1000) + 16 * 100_000  # the keys themselves: 8 bytes, twice


def test_importance_weighting_interpolates_between_the_elbo_and_log_p():
    model, params, x, exact = linear_gaussian(log_var_error=0.7)
    means = []
    for samples in (1, 5, 50):
        loss = jaxae.importance_weighted(model, samples).loss
        keys = jax.random.split(KEY, 500)
        out = jax.vmap(lambda key, loss=loss: loss(params, key, x))(keys)
        means.append(float(out.loss.mean()))
        # The terms report the ELBO whatever the number of samples.
        means_elbo = float(out.terms["negative_elbo"].mean())
    assert means[0] > means[1] > means[2] > -exact.mean() - 0.02
    assert means_elbo == pytest.approx(means[0], abs=0.1)


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
        *jaxae.diagonal_posterior(encoder.apply(params["encoder"], x))
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


def test_sampling_is_from_the_prior_through_the_decoder():
    model, params, x, _ = linear_gaussian()
    drawn = model.sample(params, KEY, 50_000).reshape(-1, D)
    np.testing.assert_allclose(drawn.mean(0), np.zeros(D), atol=0.05)
    _, w = jnp.zeros(D), model.decode(params, jnp.eye(K)).reshape(K, D).T
    np.testing.assert_allclose(np.cov(drawn.T), w @ w.T, atol=0.08)


def test_the_code_is_the_posterior_mean():
    model, params, x, _ = linear_gaussian()
    z = jax.vmap(lambda key: model.loss(params, key, x).latent)(jax.random.split(KEY, 5000))
    np.testing.assert_allclose(model.encode(params, x), z.mean(0), atol=0.1)


def test_an_extreme_encoder_stays_finite():
    model, x = vae(), images(SHAPE)
    params = jax.tree.map(lambda p: 1e4 * p, model.init(KEY, x))
    gradient = jax.grad(lambda params: model.loss(params, KEY, x).loss.mean())(params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_beta_schedules():
    assert jaxae.objectives.beta_schedule(2.0, 100) == 2.0
    rise = jaxae.objectives.beta_schedule(2.0, 100, warmup=0.1)
    np.testing.assert_allclose([rise(step) for step in (0, 5, 10, 99)], [0, 1, 2, 2])
    cyclical = jaxae.objectives.beta_schedule(1.0, 90, warmup=0.5, cycles=3)
    values = [float(cyclical(step)) for step in range(90)]
    np.testing.assert_allclose(values[:30], np.minimum(np.arange(30) / 15, 1), atol=1e-6)
    np.testing.assert_allclose(values[:30] * 3, values, atol=1e-6)
    model, x = vae(beta=rise), images(SHAPE)
    params = model.init(KEY, x)
    at = lambda step: model.loss(params, KEY, x, step=step)
    np.testing.assert_allclose(at(0).loss, at(0).terms["distortion"])
    np.testing.assert_allclose(
        at(10).loss, at(0).terms["distortion"] + 2 * at(0).terms["rate"], rtol=1e-5
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"code": 0}, "at least one dimension"),
        ({"samples": 0}, "at least one sample"),
        ({"beta": -1.0}, "beta"),
        ({"beta": math.nan}, "beta"),
        ({"free_bits": -0.1}, "free_bits"),
    ],
)
def test_bad_numbers(options, message):
    with pytest.raises(ValueError, match=message):
        jaxae.vae(*mlps(twice=True), **{"code": CODE} | options)


def test_bad_compositions():
    x = images(SHAPE)
    narrow = jaxae.vae(*mlps(), code=CODE)
    with pytest.raises(ValueError, match="3 means and 3 log-variances"):
        narrow.loss(narrow.init(KEY, x), KEY, x)
    plain = jaxae.autoencoder(*mlps())
    with pytest.raises(ValueError, match="no posterior"):
        jaxae.importance_weighted(plain, 5)
    with pytest.raises(ValueError, match="no posterior"):
        jaxae.analysis.importance_nll(plain, plain.init(KEY, x), KEY, x, 5)
    for samples in (0, -1):
        with pytest.raises(ValueError, match="at least one sample"):
            jaxae.importance_weighted(vae(), samples)
        with pytest.raises(ValueError, match="at least one sample"):
            jaxae.analysis.importance_nll(vae(), {}, KEY, x, samples)
    with pytest.raises(ValueError, match="in \\[0, 1\\]"):
        jaxae.objectives.beta_schedule(1.0, 10, warmup=1.5)
    with pytest.raises(ValueError, match="cycles"):
        jaxae.objectives.beta_schedule(1.0, 10, cycles=2)
    with pytest.raises(ValueError, match="positive"):
        jaxae.objectives.beta_schedule(1.0, 10, warmup=0.5, cycles=0)
