"""The squared norm of a Jacobian against closed forms and finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxae
from jaxae.arrays import largest_value
from jaxae.objectives import jacobian

KEY = jax.random.key(0)
MODES = ("forward", "reverse", "auto")


@pytest.mark.parametrize("mode", MODES)
def test_one_sigmoid_layer(mode):
    # ||J||^2 = sum_j (h_j (1 - h_j))^2 ||W_j||^2, lecture and Rifai et al., section 3.
    w, x = jax.random.normal(KEY, (12, 5)), jax.random.normal(jax.random.key(1), (7, 12))
    h = jax.nn.sigmoid(x @ w)
    expected = jnp.square(h * (1 - h)) @ jnp.sum(w**2, 0)
    actual = jaxae.objectives.squared_jacobian_norm(lambda x: jax.nn.sigmoid(x @ w), x, mode=mode)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["mlp", "conv"])
def test_finite_differences(mode, kind):
    encoder = getattr(jaxae.networks, f"{kind}_encoder")(3, (4,))
    x = jax.random.uniform(KEY, (2, 4, 3, 1))
    params = encoder.init(KEY, x)
    norm = jaxae.objectives.squared_jacobian_norm(lambda x: encoder.apply(params, x), x, mode=mode)
    h = 1e-2
    steps = h * jnp.eye(12).reshape(12, 1, 4, 3, 1)
    up, down = (jax.vmap(lambda s, n=n: encoder.apply(params, x + n * s))(steps) for n in (1, -1))
    expected = jnp.sum(((up - down) / (2 * h)) ** 2, (0, 2))
    np.testing.assert_allclose(norm, expected, rtol=1e-3)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("chunk", [None, 1, 5, 100])
def test_a_linear_layer_and_chunks(mode, chunk):
    # ||J||^2 = ||W||^2 everywhere.
    w, x = jax.random.normal(KEY, (12, 7)), jax.random.normal(jax.random.key(1), (3, 4, 3, 1))
    norm = jaxae.objectives.squared_jacobian_norm(
        lambda x: x.reshape(x.shape[0], -1) @ w, x, mode=mode, chunk=chunk
    )
    np.testing.assert_allclose(norm, np.full(3, jnp.sum(w**2)), rtol=1e-5)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_chunks_do_not_change_the_gradient(mode):
    encoder = jaxae.networks.mlp_encoder(5, (8,))
    x = jax.random.uniform(KEY, (3, 4, 3, 1))
    params = encoder.init(KEY, x)

    def total(params, chunk):
        return jaxae.objectives.squared_jacobian_norm(
            lambda x: encoder.apply(params, x), x, mode=mode, chunk=chunk
        ).sum()

    whole, parts = (jax.grad(total)(params, chunk) for chunk in (None, 2))
    for a, b in zip(*map(jax.tree.leaves, (whole, parts)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_chunks_bound_the_memory():
    encoder = jaxae.networks.mlp_encoder(64, (512,))
    x = jax.random.uniform(KEY, (16, 16, 16, 1))
    params = encoder.init(KEY, x)

    def memory(chunk):
        def total(params):
            norm = jaxae.objectives.squared_jacobian_norm(
                lambda x: encoder.apply(params, x), x, chunk=chunk
            )
            return norm.sum()

        compiled = jax.jit(jax.grad(total)).lower(params).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    assert memory(8) < 0.25 * memory(None)


@pytest.mark.parametrize(("probes", "chunk"), [(1, None), (3, None), (5, 2)])
def test_the_mean_of_hutchinsons_estimates_is_the_norm(probes, chunk):
    encoder = jaxae.networks.mlp_encoder(6, (16,))
    x = jax.random.uniform(KEY, (4, 5, 4, 1))
    params = encoder.init(KEY, x)
    function = lambda x: encoder.apply(params, x)
    exact = jaxae.objectives.squared_jacobian_norm(function, x)
    estimate = jax.jit(
        jax.vmap(
            lambda key: jaxae.objectives.squared_jacobian_norm(
                function, x, mode="hutchinson", key=key, probes=probes, chunk=chunk
            )
        )
    )
    draws = np.asarray(estimate(jax.random.split(jax.random.key(2), 2000)), np.float64)
    errors = draws.std(0, ddof=1) / 2000**0.5
    assert (np.abs(draws.mean(0) - exact) < 5 * errors).all()
    # The variance is 2 ||J J^T||^2 / probes, so that each probe counts.
    j = jax.vmap(jax.jacrev(lambda x: function(x[None])[0]))(x).reshape(4, 6, -1)
    gram = np.asarray(jnp.einsum("bki,bli->bkl", j, j), np.float64)
    np.testing.assert_allclose(draws.var(0), 2 * (gram**2).sum((1, 2)) / probes, rtol=0.25)


def test_auto_takes_the_cheaper_mode():
    def primitives(codes):
        w = jnp.ones((20, codes))
        traced = jax.make_jaxpr(
            lambda x: jaxae.objectives.squared_jacobian_norm(
                lambda x: jnp.tanh(x @ w), x, mode="auto"
            )
        )(jnp.ones((2, 20)))
        explicit = {
            mode: jax.make_jaxpr(
                lambda x, m=mode: jaxae.objectives.squared_jacobian_norm(
                    lambda x: jnp.tanh(x @ w), x, mode=m
                )
            )(jnp.ones((2, 20)))
            for mode in ("forward", "reverse")
        }
        return [mode for mode, jaxpr in explicit.items() if str(jaxpr) == str(traced)]

    assert primitives(2) == ["reverse"]
    assert primitives(40) == ["forward"]


def test_probes_need_a_key():
    with pytest.raises(ValueError, match="need a key"):
        jaxae.objectives.squared_jacobian_norm(lambda x: x, jnp.ones((2, 3)), mode="hutchinson")


WRAPPED = {
    "plain": lambda function: function,
    "jit": jax.jit,
    "checkpoint": jax.checkpoint,
    "scan": lambda function: (
        lambda x: jax.lax.scan(lambda _, x: (None, function(x)), None, x[None])[1][0]
    ),
}


@pytest.mark.parametrize("name", WRAPPED)
@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_the_size_of_a_chunk_is_that_of_the_widest_layer_wherever_it_is(name, mode, monkeypatch):
    """A wide layer inside of `jit`, `checkpoint` or `scan` used to be overlooked."""
    limit = 3 * 4 * 2048
    monkeypatch.setattr(jacobian, "CHUNK_VALUES", limit)
    wide, back = jnp.ones((20, 2048)), jnp.ones((2048, 20))
    function = WRAPPED[name](lambda x: jnp.tanh(x @ wide) @ back)

    def norm(x):
        return jaxae.objectives.squared_jacobian_norm(function, x, mode=mode)

    traced = jax.make_jaxpr(norm)(jnp.ones((4, 20)))
    # Without chunks there would be 20 directions.
    assert largest_value(traced.jaxpr) <= limit
