"""Discrete codes: a codebook with straight-through gradients, and relaxed categorical variables."""

import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxae
from tests.pieces.examples import digits, gumbel, train, vq
from tests.pieces.gumbel_softmax import relaxed, uniform_one_hot
from tests.pieces.vq_vae import quantised

KEY = jax.random.key(0)


def test_the_nearest_entry_is_found():
    posterior = quantised(tokens=5, dim=3, entries=16)
    params, outputs = posterior.init(KEY), jax.random.normal(KEY, (20, 15))
    z = posterior.distribution(outputs, params).draw(KEY)[0]
    codebook = np.asarray(params["codebook"])
    for e, found in zip(
        np.asarray(outputs).reshape(-1, 3), np.asarray(z).reshape(-1, 3), strict=True
    ):
        distances = [np.linalg.norm(e - entry) for entry in codebook]
        np.testing.assert_allclose(found, codebook[np.argmin(distances)], atol=1e-6)


def test_gradients_go_straight_through():
    model, x = vq(), digits().x
    params = model.init(KEY, x)

    def gradient(name):
        return jax.grad(lambda params: model.loss(params, KEY, x).terms[name].mean())(params)

    def is_zero(tree):
        return all(not leaf.any() for leaf in jax.tree.leaves(tree))

    distortion, codebook, commitment = map(gradient, ("distortion", "codebook", "commitment"))
    # That of the encoder is the gradient at the code, as if it had not been quantised.
    batch = jaxae.Batch(jnp.float32(x) / 255)
    e, nearest, _ = model.model.posterior(params, batch).stats

    def outputs(encoder):
        return model.model.posterior(params | {"encoder": encoder}, batch).stats[0]

    def distortion_at(z):
        return -model.model.likelihood(params, z).log_prob(batch.x).mean()

    expected = jax.vjp(outputs, params["encoder"])[1](jax.grad(distortion_at)(nearest))[0]
    chex.assert_trees_all_close(distortion["encoder"], expected, rtol=1e-3, atol=1e-5)
    assert is_zero(distortion["posterior"])
    assert not is_zero(codebook["posterior"])
    assert is_zero((codebook["encoder"], codebook["decoder"], commitment["posterior"]))
    assert not is_zero(commitment["encoder"])
    distance = jnp.sum(jnp.square(e - nearest), axis=(1, 2))
    out = model.loss(params, KEY, x)
    np.testing.assert_allclose(out.terms["commitment"], distance, rtol=1e-5)
    np.testing.assert_allclose(
        out.loss, out.terms["distortion"] + 4 * np.log(8) + 1.25 * distance, rtol=1e-5
    )


def test_bounds_that_differentiate_through_the_density_are_refused():
    model, x = jaxae.importance_weighted(vq(), 5), digits().x
    with pytest.raises(ValueError, match="straight-through"):
        model.loss(model.init(KEY, x), KEY, x)


def test_a_vq_vae_learns_digits_and_samples_its_codebook():
    model, data = vq(), digits(640)
    trained = train(model, data, rate=1e-2)
    x = jnp.float32(data.x) / 255
    error = jaxae.analysis.squared_error(x, jaxae.reconstruct(model, trained.params, x)).mean()
    assert error < 0.75 * jaxae.analysis.squared_error(x, 0 * x + x.mean(0)).mean()
    z = model.model.prior(trained.params, 10, None).draw(KEY)[0]
    codebook = trained.params["posterior"]["codebook"]
    assert (z[:, :, None] == codebook).all(-1).any(-1).all()
    assert model.sample(trained.params, KEY, 10).shape == (10, 8, 8, 1)


def test_the_divergence_is_that_of_the_categorical_variables():
    logits = jax.random.normal(KEY, (5, 2, 3))
    prior = uniform_one_hot(2, 3).distribution(None, 5)
    p = np.asarray(jax.nn.softmax(logits))
    # Over all 9 codes.
    joint = [p[:, 0, i] * p[:, 1, j] for i, j in itertools.product(range(3), repeat=2)]
    exact = sum(q * np.log(9 * q) for q in joint)
    kl = relaxed(logits, 0.5).kl(prior)
    np.testing.assert_allclose(kl.sum(-1), exact, rtol=1e-5)
    assert relaxed(logits, 0.5).kl(jaxae.families.standard_normal((5, 6))) is None


def test_the_relaxed_gradient_is_near_the_exact_one():
    logits = jnp.array([[[0.5, -0.3, 0.1], [0.0, 1.0, -1.0]]])
    values = jax.random.normal(KEY, (3, 3))
    # A multilinear function of two variables of three classes.
    function = lambda z: jnp.einsum("nij,i,j->n", values[None], z[0, 0], z[0, 1])[0]
    exact = jax.grad(lambda logits: function(jax.nn.softmax(logits)))(logits)

    def estimate(logits, temperature):
        draws = jax.vmap(lambda key: function(relaxed(logits, temperature).draw(key)[0]))
        return draws(jax.random.split(KEY, 20_000)).mean()

    errors = [jnp.abs(jax.grad(estimate)(logits, t) - exact).max() for t in (0.1, 5.0)]
    assert errors[0] < 0.15 * jnp.abs(exact).max() < errors[1]


def test_the_temperature_is_scheduled():
    model, x = gumbel(), digits().x
    params = model.init(KEY, x)
    sharpness = [
        model.loss(params, KEY, x, step=step).z.max(-1).mean() for step in (0, 100, 10_000, 20_000)
    ]
    assert sharpness[0] < sharpness[1] - 0.02 < sharpness[2] - 0.04
    assert sharpness[2] == sharpness[3]
    out = model.loss(params, KEY, x)
    np.testing.assert_allclose(out.z.sum(-1), 1, rtol=1e-5)
    trained = train(model, digits(640), rate=1e-2)
    assert trained.history[-1]["train/loss"] < 0.8 * trained.history[0]["train/loss"]
