"""Generative adversarial networks: two gradients, a penalty, and what is generated."""

import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxae
from tests.cases import CODE, SHAPE, critic, gradient_of, images, mlps

KEY = jax.random.key(3)


def losses(model, x, **options):
    params = model.init(jax.random.key(0), x)
    return np.asarray(model.loss(params, KEY, x, **options).loss)


def test_the_gradient_is_that_of_two_losses_computed_apart():
    generator, judge = mlps()[1], critic()
    model = jaxae.gan(generator, judge, latent_dim=CODE, r1=0.7)
    x = images(SHAPE)
    params = model.init(jax.random.key(0), x)
    z = jax.random.normal(jax.random.split(KEY)[0], (8, CODE))

    def of_generator(own, other):
        fake = jax.nn.sigmoid(generator.apply(own, z))
        return -jnp.log(jax.nn.sigmoid(judge.apply(other, fake))).mean()

    def of_judge(own, other):
        fake = jax.nn.sigmoid(generator.apply(other, z))
        gradients = jax.vmap(jax.grad(lambda p: judge.apply(own, p[None])[0, 0]))(x)
        real, fake = judge.apply(own, x)[:, 0], judge.apply(own, fake)[:, 0]
        cross_entropy = -jnp.log(jax.nn.sigmoid(real)) - jnp.log(1 - jax.nn.sigmoid(fake))
        return (cross_entropy + 0.35 * jnp.square(gradients).sum((1, 2, 3))).mean()

    a, b = params["decoder"], params["discriminator"]
    expected = {
        "decoder": jax.grad(of_generator)(a, b),
        "discriminator": jax.grad(of_judge)(b, a),
    }
    chex.assert_trees_all_close(gradient_of(model, params, KEY, x), expected, rtol=1e-4, atol=1e-6)


def ring(n, key, modes=8):
    """Points around a circle of normal distributions, as images of one pixel with two channels."""
    which_key, noise_key = jax.random.split(key)
    angle = 2 * jnp.pi * jax.random.randint(which_key, (n,), 0, modes) / modes
    centres = 0.5 + 0.35 * jnp.stack([jnp.cos(angle), jnp.sin(angle)], 1)
    return (centres + 0.02 * jax.random.normal(noise_key, (n, 2)))[:, None, None, :]


@pytest.mark.slow
def test_a_gan_covers_a_ring_of_eight_modes(optimised):
    x = ring(4096, jax.random.key(1))
    wide = {"hidden": (128, 128)}
    model = jaxae.gan(
        jaxae.networks.mlp_decoder((1, 1, 2), **wide),
        jaxae.networks.mlp_encoder(1, **wide),
        latent_dim=8,
        r1=0.003,
    )
    adam = lambda: optax.adam(1e-3, b1=0.5)
    fitted = jaxae.fit(
        model,
        np.asarray(jnp.clip(x, 0, 1)),
        optimizer=jaxae.training.partition(adam(), discriminator=adam()),
        epochs=200,
        batch_size=256,
        key=jax.random.key(0),
        ema=0.99,
        progress=False,
    )
    drawn = np.asarray(model.sample(fitted.params, jax.random.key(5), 2000)).reshape(-1, 2)
    angle = 2 * np.pi * np.arange(8) / 8
    centres = 0.5 + 0.35 * np.stack([np.cos(angle), np.sin(angle)], 1)
    distance = np.linalg.norm(drawn[:, None] - centres, axis=2)
    near = distance.min(axis=1) < 0.1
    shares = np.bincount(distance.argmin(axis=1)[near], minlength=8) / len(drawn)
    assert near.mean() > 0.7
    assert shares.min() > 0.05


def test_a_penalty_in_some_steps_is_the_penalty_on_average():
    x = images(SHAPE)
    of = lambda every: jaxae.gan(mlps()[1], critic(), latent_dim=CODE, r1=1.0, r1_every=every)
    params = of(1).init(jax.random.key(0), x)
    term = lambda every, **options: np.asarray(
        of(every).loss(params, KEY, x, **options).terms["discriminator_r1_penalty"]
    )
    always = term(1)
    assert (always > 0).all()
    seldom = np.stack([term(4, step=step) for step in range(8)])
    assert (seldom[[0, 4]] > 0).all()
    assert (seldom[[1, 2, 3, 5, 6, 7]] == 0).all()
    np.testing.assert_allclose(seldom.mean(axis=0), always, rtol=1e-5)
    np.testing.assert_allclose(term(4, step=1, train=False), always, rtol=1e-5)


def test_every_number_changes_something():
    x = images(SHAPE)
    models = [
        jaxae.gan(mlps()[1], critic(), latent_dim=CODE, **options) for options in ({}, {"r1": 1.0})
    ]
    for a, b in itertools.combinations([losses(model, x) for model in models], 2):
        assert not np.allclose(a, b)


@pytest.mark.parametrize("make", [jaxae.likelihoods.gaussian, jaxae.likelihoods.laplace])
def test_outputs_outside_of_the_unit_interval_have_a_gradient(make):
    """A mean clipped to [0, 1] would leave the generator without one."""
    bias = jaxae.Network(
        lambda key, z: jnp.full(SHAPE, 1.5),
        lambda params, z, *, key=None: jnp.broadcast_to(params, (len(z), *SHAPE)),
    )
    model, x = jaxae.gan(bias, critic(), make(), latent_dim=CODE), images(SHAPE)
    gradient = gradient_of(model, model.init(KEY, x), KEY, x)["decoder"]
    assert np.count_nonzero(gradient) == gradient.size


def test_there_is_no_encoder():
    model, x = jaxae.gan(mlps()[1], critic(), latent_dim=CODE), images(SHAPE)
    params = model.init(KEY, x)
    assert model.monitor is None
    for function in (model.encode, lambda params, x: model.log_weight(params, KEY, x)):
        with pytest.raises(ValueError, match="no encoder"):
            function(params, x)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"latent_dim": 0}, "latent_dim"), ({"r1_every": 0}, "r1_every"), ({"r1": -1.0}, "r1")],
)
def test_numbers_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        jaxae.gan(mlps()[1], critic(), **{"latent_dim": 2} | options)
