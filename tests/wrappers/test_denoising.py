"""The denoising wrapper, and the best linear denoiser against its closed form."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxae
from jaxae import Batch
from jaxae.data import corruptions

KEY = jax.random.key(0)
X = jax.random.uniform(jax.random.key(1), (6, 8, 6, 1))


def plain(shape=(8, 6, 1)):
    return jaxae.autoencoder(
        jaxae.networks.mlp_encoder(3, (8,)), jaxae.networks.mlp_decoder(shape, (8,))
    )


def test_the_target_is_clean():
    mask = corruptions.masking(0.5)
    base, model = plain(), jaxae.denoising(plain(), mask)
    params = model.init(KEY, X)
    corrupted = mask(jax.random.split(KEY)[0], X)
    changed = np.asarray(corrupted != X)
    assert 0.3 < changed.mean() < 0.7
    # It has no randomness of its own.
    expected = base.loss(params, KEY, Batch(X, seen=corrupted)).loss
    np.testing.assert_allclose(model.loss(params, KEY, X).loss, expected, rtol=1e-6)
    # What is seen is corrupted, and what is described is not.
    other = jnp.flip(X, 0)
    expected = base.loss(params, KEY, Batch(other, seen=corrupted)).loss
    found = model.loss(params, KEY, Batch(other, seen=X)).loss
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_two_corruptions_come_one_after_the_other():
    model = jaxae.denoising(
        jaxae.denoising(plain(), lambda key, x: 2 * x), lambda key, x: jnp.clip(x, 0, 1)
    )
    params = model.init(KEY, X)
    expected = plain().loss(params, KEY, Batch(X, seen=jnp.clip(2 * X, 0, 1))).loss
    np.testing.assert_allclose(model.loss(params, KEY, X).loss, expected, rtol=1e-6)


def test_missing_values_are_zeros_before_the_corruption():
    seen = []
    model = jaxae.denoising(plain(), lambda key, x: seen.append(x) or x)
    observed = jnp.ones_like(X).at[:, 0].set(0)
    batch = Batch(jnp.where(observed > 0, X, jnp.nan), observed=observed)
    params = model.init(KEY, batch)
    assert np.isfinite(model.loss(params, KEY, batch).loss).all()
    np.testing.assert_array_equal(seen[0], X * observed)


def test_noise_is_fresh_in_training_and_fixed_in_evaluation(digits):
    seen = []
    noise = corruptions.gaussian(0.1)

    def spied(key, x):
        y = noise(key, x)
        jax.debug.callback(lambda y: seen.append(np.asarray(y)), y)
        return y

    base = plain((8, 8, 1))
    model = jaxae.denoising(base, spied)
    optimizer = optax.sgd(0.0)
    state = jaxae.training.init_state(model, optimizer, KEY, digits.train.images[:1])
    seen.clear()
    step = jax.jit(jaxae.training.make_step(model, optimizer))
    for _ in range(2):
        state, _ = step(state, KEY, digits.train.images[:4])
    jax.effects_barrier()
    assert len(seen) == 2
    assert np.abs(seen[0] - seen[1]).mean() > 0.05
    evaluate = jaxae.training.make_evaluate(jaxae.training.loss_scores(model), batch_size=8)
    chex.assert_trees_all_equal(
        *(evaluate((state.params, 0), KEY, digits.test.images[:20]) for _ in range(2))
    )


def test_the_identity_changes_nothing_and_strength_matters():
    base = plain()
    params = base.init(KEY, X)
    losses = [
        jaxae.denoising(base, corruptions.gaussian(s)).loss(params, KEY, X).loss
        for s in (0.0, 0.1, 0.5)
    ]
    np.testing.assert_array_equal(losses[0], base.loss(params, KEY, X).loss)
    assert not np.allclose(losses[1], losses[2])


def test_a_corruption_may_change_the_shape():
    small = corruptions.downsample(2, keep_shape=False)
    model = jaxae.denoising(plain(), small)
    params = model.init(KEY, X)
    assert params["encoder"]["Dense_0"]["kernel"].shape[0] == 4 * 3
    assert model.loss(params, KEY, X).loss.shape == (6,)
    assert jaxae.reconstruct(model, params, small(KEY, X)).shape == X.shape
    wrong = jaxae.denoising(plain((4, 3, 1)), small)
    message = r"the decoder gives \(4, 3, 1\).*examples of \(8, 6, 1\)"
    with pytest.raises(ValueError, match=message):
        wrong.init(KEY, X)
    # With a target of its own shape it is right.
    batch = Batch(small(KEY, X), seen=X)
    params = wrong.init(KEY, batch)
    wrong.loss(params, KEY, batch)
    with pytest.raises(ValueError, match=message):
        wrong.loss(params, KEY, X)


def test_the_best_linear_denoiser_is_the_closed_form(digits):
    x = jaxae.as_float(digits.train.images)
    scale = 0.3
    found = jaxae.analysis.linear_denoiser(KEY, x, corruptions.gaussian(scale), draws=200)
    flat = np.asarray(x, np.float64).reshape(len(x), -1)
    c = np.cov(flat.T, bias=True)
    expected = np.linalg.solve(c + scale**2 * np.eye(64), c)
    np.testing.assert_allclose(found.matrix, expected, atol=0.02)
    # No affine map has a smaller error: the residual is orthogonal to what it is made from.
    noise = corruptions.gaussian(scale)
    one = jaxae.analysis.linear_denoiser(KEY, x, noise)
    noisy = noise(jax.random.split(KEY, 1)[0], x)
    residual = np.asarray(one(noisy) - x, np.float64).reshape(len(x), -1)
    assert np.abs(residual.mean(0)).max() < 1e-5
    assert np.abs(np.asarray(noisy).reshape(len(x), -1).T @ residual / len(x)).max() < 1e-4
    with pytest.raises(ValueError, match="at least one draw"):
        jaxae.analysis.linear_denoiser(KEY, x, noise, draws=0)


def test_constant_pixels_are_left_out():
    x = jnp.pad(jax.random.uniform(KEY, (50, 2, 2, 1)), ((0, 0), (1, 1), (1, 1), (0, 0)))
    found = jaxae.analysis.linear_denoiser(KEY, x, corruptions.masking(0.3))
    chex.assert_tree_all_finite(found)
    np.testing.assert_allclose(np.asarray(found(x))[:, 0], 0, atol=1e-6)
