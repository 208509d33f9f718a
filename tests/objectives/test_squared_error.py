"""The squared error that a loss reports beside its nats."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxae

KEY = jax.random.key(0)


def noise(shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize(
    "likelihood", [jaxae.likelihoods.gaussian(0.3), jaxae.likelihoods.laplace()]
)
def test_records_have_the_squared_error(likelihood):
    """The loss of a Gaussian likelihood is mostly its constant, so that its curve looks flat."""
    model = jaxae.autoencoder(
        jaxae.networks.mlp_encoder(2), jaxae.networks.mlp_decoder((4, 3, 1)), likelihood
    )
    x = jaxae.as_float(noise((20, 4, 3, 1)))
    params = model.init(KEY, x)
    expected = np.square(np.asarray(x) - model.decode(params, model.encode(params, x)))
    seen = jaxae.Batch(x, observed=jnp.asarray(noise((20, 4, 3, 1)) % 2, jnp.float32))
    out = model.loss(params, KEY, x)
    np.testing.assert_allclose(
        out.metrics["squared_error"], expected.sum(axis=(1, 2, 3)), rtol=1e-4
    )
    known = model.loss(params, KEY, seen)
    decoded = model.decode(params, model.encode(params, seen))
    error = np.asarray(seen.observed) * np.square(np.asarray(x) - decoded)
    np.testing.assert_allclose(known.metrics["squared_error"], error.sum(axis=(1, 2, 3)), rtol=1e-4)
    gradient = jax.grad(lambda p: model.loss(p, KEY, x).metrics["squared_error"].sum())(params)
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(gradient))
    fitted = jaxae.fit(
        model,
        x,
        validation=x,
        optimizer=optax.sgd(0.0),
        epochs=1,
        batch_size=20,
        key=KEY,
        progress=False,
    )
    record = fitted.history[0]
    at = np.square(np.asarray(x) - jaxae.reconstruct(model, fitted.params, x))
    for part in ("train", "validation"):
        assert record[f"{part}/squared_error"] == pytest.approx(
            at.sum(axis=(1, 2, 3)).mean(), rel=1e-4
        )


def test_draws_of_a_vae_and_other_likelihoods():
    """Of several draws the error is that of the first; where a mean costs something there is none."""
    x = jaxae.as_float(noise((6, 4, 3, 1)))
    networks = jaxae.networks.mlp_encoder(4), jaxae.networks.mlp_decoder((4, 3, 1))
    for likelihood, options in (
        (jaxae.likelihoods.gaussian(), {"samples": 3}),
        (jaxae.likelihoods.gaussian("optimal"), {}),
        (jaxae.likelihoods.bernoulli(), {}),
    ):
        model = jaxae.vae(*networks, likelihood, latent_dim=2, **options)
        params = model.init(KEY, x)
        metrics = model.loss(params, KEY, x, train=False).metrics
        if likelihood.name.startswith("bernoulli"):
            assert "squared_error" not in metrics
            continue
        z = model.draws(params, KEY, x, samples=options.get("samples", 1)).z[0]
        decoded = np.asarray(model.decode(params, z))
        expected = np.square(np.asarray(x) - decoded).sum(axis=(1, 2, 3))
        np.testing.assert_allclose(metrics["squared_error"], expected, rtol=1e-4)
