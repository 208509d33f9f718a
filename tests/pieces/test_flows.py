"""Planar and inverse autoregressive flows as posteriors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxae
from tests.pieces.examples import CODE, digits, train, vae
from tests.pieces.iaf import autoregressive, iaf
from tests.pieces.planar_flow import planar_flow

KEY = jax.random.key(0)
CONTEXT = 4
FLOWS = {"planar": (planar_flow(CODE), 2 * CODE), "iaf": (iaf(CODE), 2 * CODE + CONTEXT)}
flows = pytest.mark.parametrize("name", FLOWS)


def far_from_identity(posterior, scale=0.7):
    params = posterior.init(KEY)
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(KEY, len(leaves))
    noise = [jax.random.normal(k, a.shape) for k, a in zip(keys, leaves, strict=True)]
    return tree.unflatten([a + scale * n for a, n in zip(leaves, noise, strict=True)])


@flows
def test_the_log_determinant_is_that_of_automatic_differentiation(name):
    posterior, outputs = FLOWS[name]
    params = far_from_identity(posterior)
    outputs = jax.random.normal(KEY, (1, outputs))

    def draw(mean):
        # Draws move with the mean of the normal distribution, by the flow's Jacobian.
        shifted = outputs.at[0, :CODE].set(mean)
        z, log_q = posterior.distribution(shifted, params).draw(KEY)
        return z[0], log_q[0]

    jacobian = jax.jacobian(lambda mean: draw(mean)[0])(outputs[0, :CODE])
    sign, log_det = jnp.linalg.slogdet(jacobian)
    _, log_start = jaxae.posteriors.gaussian(CODE).distribution(outputs[:, : 2 * CODE]).draw(KEY)
    assert sign == 1
    assert abs(log_det) > 0.1
    np.testing.assert_allclose(draw(outputs[0, :CODE])[1], log_start[0] - log_det, rtol=1e-4)


@flows
def test_the_density_integrates_to_one(name):
    posterior, outputs = FLOWS[name]
    n = 20_000
    outputs = jnp.tile(jax.random.normal(KEY, (outputs,)).at[CODE : 2 * CODE].set(0.0), (n, 1))
    z, log_q = posterior.distribution(outputs, far_from_identity(posterior, 0.3)).draw(KEY)
    # E_q[p(z) / q(z)] = 1 for the density p of a normal distribution that is narrower than q.
    p = jaxae.families.normal(
        jnp.tile(z.mean(0), (n, 1)), jnp.tile(jnp.log(0.1 * z.var(0)), (n, 1))
    )
    ratio = jnp.exp(p.log_prob(z) - log_q)
    assert abs(ratio.mean() - 1) < 4 * ratio.std() / np.sqrt(n) < 0.2


@flows
def test_the_identity_flow_is_the_plain_vae(name):
    posterior, outputs = FLOWS[name]
    x = digits().x
    model = vae(outputs, posterior=posterior)
    params = model.init(KEY, x)
    zero = {"planar": "u", "iaf": ("v", "d")}[name]
    for leaf in zero:
        params["posterior"][leaf] = jnp.zeros_like(params["posterior"][leaf])
    # The plain VAE, its KL divergence from the draws too.
    normal = jaxae.posteriors.gaussian(CODE)
    drawn = lambda outputs, params=None: normal.distribution(outputs[:, : 2 * CODE])._replace(
        kl=None
    )
    plain = vae(outputs, posterior=normal._replace(distribution=drawn))
    for train_ in (True, False):
        a, b = (m.loss(params, KEY, x, train=train_) for m in (model, plain))
        jax.tree.map(lambda u, v: np.testing.assert_allclose(u, v, rtol=1e-5), a.terms, b.terms)


def test_autoregressive_layers_are_triangular():
    params = jax.tree.map(lambda leaf: leaf[0], far_from_identity(iaf(CODE)))
    context = jax.random.normal(KEY, (1, CONTEXT))
    for backwards in (False, True):
        layer = lambda z, b=backwards: autoregressive(params, z[None], context, backwards=b)[0][0]
        jacobian = np.asarray(jax.jacobian(layer)(jnp.ones(CODE)))
        jacobian = jacobian.T if backwards else jacobian
        np.testing.assert_array_equal(np.triu(jacobian, 1), 0)
        assert np.abs(jacobian[np.tril_indices(CODE, -1)]).min() > 1e-3


def test_a_flow_has_a_density_at_its_own_draws_only():
    model = vae(posterior=planar_flow(CODE))
    params = model.init(KEY, digits().x)
    with pytest.raises(ValueError, match="its own draws only"):
        jaxae.draw(
            model.model, params, KEY, jaxae.Batch(jnp.zeros((2, 8, 8, 1))), stop_density=True
        )


@pytest.mark.parametrize("name", ["planar", "iaf"])
def test_a_flow_finds_a_posterior_that_is_not_normal(name):
    """p(x | z) depends on the product of two latent values: a curved posterior."""

    def describe(params, z, *, key=None):
        return (z[:, :1] * z[:, 1:]) * 1.0

    decoder = jaxae.Network(lambda key, z: {}, describe)
    x = jnp.full((64, 1), 2.0)
    bounds = {}
    for kind in ("normal", name):
        posterior = {"normal": None, "planar": planar_flow(2, 8), "iaf": iaf(2, 4)}[kind]
        outputs = 4 + (CONTEXT if kind == "iaf" else 0)
        encoder = jaxae.networks.mlp_encoder(outputs, ())
        likelihood = jaxae.likelihoods.gaussian(0.3)
        model = jaxae.vae(encoder, decoder, likelihood, latent_dim=2, posterior=posterior)
        trained = train(model, jnp.tile(x, (10, 1)), epochs=60, rate=2e-2)
        bounds[kind] = trained.history[-1]["train/negative_elbo"]
    assert bounds[name] < bounds["normal"] - 0.1
