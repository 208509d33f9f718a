"""Exponential moving averages of parameters against weighted sums."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxae

KEY = jax.random.key(0)


def test_the_discrepancy_of_equal_laws_is_zero_on_average():
    draws = jax.random.normal(KEY, (4000, 2, 8, 2))
    found = np.asarray(
        jax.vmap(lambda d: jaxae.distributions.mmd(d[0], d[1], jaxae.distributions.imq(4.0)))(draws)
    )
    error = found.std() / np.sqrt(len(found))
    assert abs(found.mean()) < 4 * error
    # With its diagonals it would be 2 (1 - mean kernel) / n, which these draws would notice.
    assert 4 * error < 0.02


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.999])
def test_an_average_is_the_weighted_sum(decay):
    optimizer = jaxae.training.with_ema(optax.adam(0.1), decay)
    plain = optax.adam(0.1)
    params = twin = {"w": jnp.array([1.0, -2.0])}
    state, other = optimizer.init(params), plain.init(twin)
    visited = []
    for step in range(7):
        gradient = {"w": jnp.sin(params["w"] * (step + 1))}
        updates, state = optimizer.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
        updates, other = plain.update(gradient, other, twin)
        twin = optax.apply_updates(twin, updates)
        visited.append(np.asarray(params["w"], np.float64))
    np.testing.assert_array_equal(params["w"], twin["w"])  # the training is the same
    weights = decay ** np.arange(6, -1, -1.0)
    expected = np.average(visited, axis=0, weights=weights)
    np.testing.assert_allclose(jaxae.training.ema_params(state)["w"], expected, rtol=1e-5)


def test_fit_keeps_and_validates_the_average():
    x = np.asarray(jax.random.randint(KEY, (40, 8, 8, 1), 0, 256), np.uint8)
    model = jaxae.autoencoder(jaxae.networks.mlp_encoder(2), jaxae.networks.mlp_decoder((8, 8, 1)))
    options = {"optimizer": optax.adam(1e-2), "epochs": 3, "key": KEY, "batch_size": 10}
    options |= {"validation": x[:20], "progress": False}
    with_it = jaxae.fit(model, x[20:], ema=0.9, **options)
    without = jaxae.fit(model, x[20:], **options)
    pairs = zip(*(jax.tree.leaves(f.state.params) for f in (with_it, without)), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)
    assert with_it.best_epoch == 3
    ema = jaxae.training.ema_params(with_it.state.opt_state)
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-8)
    jax.tree.map(close, with_it.params, ema)  # compiled or not, the last digit may differ
    out = model.loss(ema, KEY, jaxae.as_float(x[:20]), train=False)
    recorded = with_it.history[-1]["validation/loss"]
    assert recorded == pytest.approx(float(out.loss.mean()), rel=1e-5)
    assert recorded != without.history[-1]["validation/loss"]
