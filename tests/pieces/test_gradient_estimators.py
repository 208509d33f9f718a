"""Objectives whose gradient is not that of one bound: DReG and PIWAE."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxae
from tests.pieces.dreg import dreg
from tests.pieces.examples import digits, train, vae, vq
from tests.pieces.piwae import miwae_bound, piwae

KEY = jax.random.key(0)


def miwae(bounds, samples):
    """The bound that PIWAE's encoder is trained by, for both networks."""

    def apply(model, params, key, batch, step, train):
        draws = jaxae.draw(model, params, key, batch, bounds * samples, train=train)
        loss = -miwae_bound(draws.log_weight, bounds)
        return jaxae.Output(loss, {"negative_miwae": loss}), draws

    return jaxae.Objective("miwae", apply)


@cache
def trained():
    """Parameters near an optimum, where the variance of gradients matters, and a few examples."""
    return train(vae(), digits(640), rate=1e-2).params, jnp.float32(digits(4).x) / 255


def gradients(objective, keys):
    """Of each key the gradients of encoder and decoder, as vectors, `[keys, values]`."""
    params, x = trained()
    model = vae()._replace(objective=objective)

    def flat(tree):
        return jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(tree)])

    def one(key):
        gradient = jax.grad(lambda params: model.loss(params, key, x).loss.mean())(params)
        return flat(gradient["encoder"]), flat(gradient["decoder"])

    return jax.jit(partial(jax.lax.map, one, batch_size=50))(keys)


def test_dreg_has_the_same_gradient_with_less_variance():
    n = 400
    keys = jax.random.split(KEY, n)
    encoder, decoder = gradients(dreg(16), keys)
    plain_encoder, plain_decoder = gradients(jaxae.objectives.iwae(16), keys)
    np.testing.assert_allclose(decoder, plain_decoder, rtol=1e-3, atol=1e-4)
    std, plain_std = encoder.std(0), plain_encoder.std(0)
    assert np.linalg.norm(std) < 0.6 * np.linalg.norm(plain_std)
    # The means agree within the error of so many draws: the mean squared z-score is one.
    error = jnp.sqrt((jnp.square(std) + jnp.square(plain_std)) / n)
    alive = plain_std > 1e-6
    z_scores = ((encoder.mean(0) - plain_encoder.mean(0)) / error)[alive]
    assert alive.mean() > 0.5
    assert jnp.mean(jnp.square(z_scores)) < 1.5


def test_the_value_of_dreg_is_the_bound():
    params, x = trained()
    a = vae()._replace(objective=dreg(16)).loss(params, KEY, x)
    b = vae()._replace(objective=jaxae.objectives.iwae(16)).loss(params, KEY, x)
    np.testing.assert_allclose(a.loss, b.loss, rtol=1e-6)
    np.testing.assert_array_equal(a.z, b.z)


def test_piwae_has_a_gradient_of_each_bound():
    keys = jax.random.split(KEY, 2)
    encoder, decoder = gradients(piwae(3, 5), keys)
    iwae_encoder, iwae_decoder = gradients(jaxae.objectives.iwae(15), keys)
    miwae_encoder, miwae_decoder = gradients(miwae(3, 5), keys)
    np.testing.assert_allclose(decoder, iwae_decoder, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(encoder, miwae_encoder, rtol=1e-4, atol=1e-5)
    assert not np.allclose(encoder, iwae_encoder, rtol=1e-2, atol=1e-3)
    assert not np.allclose(decoder, miwae_decoder, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("objective", [dreg(4), piwae(2, 2)])
def test_a_density_and_a_derivative_are_needed(objective):
    model, x = vq()._replace(objective=objective), digits().x
    with pytest.raises(ValueError, match="density"):
        model.loss(model.init(KEY, x), KEY, x)
