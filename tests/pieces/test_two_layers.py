"""A code of two layers, as a dict."""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

import jaxae
from tests.pieces.examples import digits, train, two_layers
from tests.pieces.two_layers import two_layer_vae

KEY = jax.random.key(0)


def linear_gaussian():
    """Linear networks with constant variances, and the exact covariance of x."""
    mlp = jaxae.networks.mlp_encoder
    model = two_layer_vae(
        *(mlp(2 * d, ()) for d in (2, 1, 2)),
        jaxae.networks.mlp_decoder((3,), ()),
        jaxae.likelihoods.gaussian(0.5),
        latent_dims=(2, 1),
    )
    params = model.init(KEY, jnp.zeros((4, 3)))

    def linear(tree, weight, log_var):
        tree = jax.tree.map(jnp.zeros_like, tree["Dense_0"])
        kernel = tree["kernel"].at[:, : weight.shape[1]].set(weight)
        return {
            "Dense_0": {"kernel": kernel, "bias": tree["bias"].at[weight.shape[1] :].set(log_var)}
        }

    a, b = jnp.array([[1.0, -0.5]]), jnp.array([[1.0, 0.3, 0.0], [-0.4, 0.8, 1.0]])
    params["down2"] = linear(params["down2"], a, -1.0)
    params["down1"]["Dense_0"] = {"kernel": b, "bias": jnp.zeros(3)}
    variance = jnp.exp(jaxae.arrays.soft_clip(jnp.float32(-1.0), 15.0))
    of_z1 = a.T @ a + variance * jnp.eye(2)
    covariance = b.T @ of_z1 @ b + 0.25 * jnp.eye(3)
    # The exact q(z2 | z1), and q(z1 | x) with the exact mean, without correlation, and wider.
    width = 1 / (1 + jnp.sum(jnp.square(a)) / variance)
    params["up2"] = linear(params["up2"], width * a.T / variance, jnp.log(width))
    inner = jnp.linalg.inv(jnp.linalg.inv(of_z1) + b @ b.T / 0.25)
    params["up1"] = linear(params["up1"], b.T @ inner / 0.25, jnp.log(1.5 * jnp.diag(inner)))
    covariance = np.asarray(covariance, np.float64)
    return model, params, (covariance + covariance.T) / 2


def test_the_importance_estimate_is_near_the_exact_likelihood():
    model, params, covariance = linear_gaussian()
    x = np.float32(np.random.default_rng(0).multivariate_normal(np.zeros(3), covariance, 20))
    exact = -scipy.stats.multivariate_normal(np.zeros(3), covariance).logpdf(x)
    nll = jaxae.analysis.importance_nll(model, params, KEY, x, 2000)
    np.testing.assert_allclose(nll, exact, atol=0.08)
    # Bounds are ordered.
    elbo = model.loss(params, KEY, jnp.tile(x, (50, 1))).loss.mean()
    iwae = jaxae.importance_weighted(model, 10).loss(params, KEY, jnp.tile(x, (50, 1))).loss.mean()
    assert exact.mean() - 0.02 < iwae < elbo - 0.05


def test_samples_have_the_covariance_of_the_model():
    model, params, covariance = linear_gaussian()
    means = model.sample(params, KEY, 20_000)
    np.testing.assert_allclose(np.cov(means.T) + 0.25 * np.eye(3), covariance, atol=0.05)


def test_the_weight_is_that_of_all_densities():
    model, x = two_layers(), digits().x
    params = model.init(KEY, x)
    draws = model.draws(params, KEY, x, 3)
    assert {name: z.shape for name, z in draws.z.items()} == {"z1": (3, 64, 3), "z2": (3, 64, 2)}
    np.testing.assert_allclose(
        draws.log_posterior, jax.vmap(draws.posterior.log_prob)(draws.z), rtol=1e-4
    )
    log_z2 = scipy.stats.norm.logpdf(draws.z["z2"]).sum(-1)
    assert draws.log_weight.shape == (3, 64)
    # p(z1 | z2) from the network itself.
    outputs = jaxae.networks.mlp_encoder(6, (16,)).apply(
        params["down2"], draws.z["z2"].reshape(-1, 2)
    )
    mean, log_var = np.split(np.asarray(outputs).reshape(3, 64, 6), 2, axis=-1)
    log_z1 = scipy.stats.norm(mean, np.exp(0.5 * log_var)).logpdf(draws.z["z1"]).sum(-1)
    np.testing.assert_allclose(draws.log_prior, log_z1 + log_z2, rtol=1e-2)


def test_it_learns_digits():
    trained = train(two_layers(), digits(640), rate=1e-2)
    assert trained.history[-1]["train/loss"] < 0.6 * trained.history[0]["train/loss"]
    z = two_layers().encode(trained.params, digits().x)
    assert sorted(z) == ["z1", "z2"]
