"""Spectral normalisation against singular values."""

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest

import jaxae
from jaxae import Network
from tests.cases import critic

KEY = jax.random.key(3)


def test_a_spectral_norm_is_one():
    shapes = {"dense": (30, 20), "kernel": (4, 4, 6, 10), "bias": (10,), "zero": (3, 3)}
    keys = jax.random.split(KEY, 4)
    params = {n: jax.random.normal(k, s) for (n, s), k in zip(shapes.items(), keys, strict=True)}
    params["zero"] = jnp.zeros((3, 3))
    flat, shaped = jax.flatten_util.ravel_pytree(params)
    weights = Network(
        lambda key, x: params, lambda p, x, *, key=None: jax.flatten_util.ravel_pytree(p)[0]
    )
    found = shaped(jaxae.networks.spectral_norm(weights, iterations=200).apply(params, flat))
    for name in ("dense", "kernel"):
        matrix = np.asarray(params[name]).reshape(-1, shapes[name][-1])
        largest = np.linalg.svd(matrix, compute_uv=False)[0]
        np.testing.assert_allclose(found[name], params[name] / largest, rtol=1e-3)
    np.testing.assert_array_equal(found["bias"], params["bias"])
    np.testing.assert_array_equal(found["zero"], 0)
    few = shaped(jaxae.networks.spectral_norm(weights).apply(params, flat))["dense"]
    assert 0.99 < np.linalg.svd(few, compute_uv=False)[0] < 1.1


def test_a_layer_that_starts_at_zero_has_a_gradient():
    network = Network(lambda key, x: 0.0, lambda w, x, *, key=None: x @ w)
    normed = jaxae.networks.spectral_norm(network)
    gradient = jax.grad(lambda w: normed.apply(w, jnp.ones((3, 4))).sum())(jnp.zeros((4, 2)))
    np.testing.assert_allclose(gradient, 3.0)


def test_the_gradient_of_a_spectral_norm_is_that_of_the_singular_value():
    w = jax.random.normal(KEY, (6, 4))
    network = Network(lambda key, x: w, lambda w, x, *, key=None: x @ w)
    x = jax.random.normal(jax.random.key(1), (3, 6))
    normed = jaxae.networks.spectral_norm(network, iterations=300)
    found = jax.grad(lambda w: jnp.square(normed.apply(w, x)).sum())(w)
    exact = jax.grad(lambda w: jnp.square(x @ w / jnp.linalg.norm(w, 2)).sum())(w)
    np.testing.assert_allclose(found, exact, rtol=1e-3, atol=1e-4)


def test_no_iteration_is_refused():
    with pytest.raises(ValueError, match="iteration"):
        jaxae.networks.spectral_norm(critic(), iterations=0)
