"""Adversarial autoencoders: two gradients in one loss, labels, and numbers."""

import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxae
from jaxae import Batch, Network
from tests.cases import (
    CODE,
    SHAPE,
    adversarial,
    autoencoder,
    critic,
    fixed_draws,
    gradient_of,
    images,
    mlps,
)

NORMAL = jaxae.priors.standard_normal(CODE)

KEY = jax.random.key(3)


def test_the_gradient_is_that_of_two_losses_computed_apart():
    draws = jax.random.normal(jax.random.key(8), (8, CODE))
    prior = fixed_draws(draws)
    base, judge = autoencoder(), critic()
    model = jaxae.adversarial(base, judge, prior, weight=3.0, r1=0.7)
    x = images(SHAPE)
    params = model.init(jax.random.key(0), x)

    def of_encoder(own, other):
        z = base.encode(own, x)
        fool = -jnp.log(jax.nn.sigmoid(judge.apply(other, z)[:, 0]))
        return (base.loss(own, KEY, x).loss + 3.0 * fool).mean()

    def of_judge(own, other):
        z = base.encode(other, x)
        real, fake = judge.apply(own, draws)[:, 0], judge.apply(own, z)[:, 0]
        gradients = jax.vmap(jax.grad(lambda p: judge.apply(own, p[None])[0, 0]))(draws)
        cross_entropy = -jnp.log(jax.nn.sigmoid(real)) - jnp.log(1 - jax.nn.sigmoid(fake))
        return (cross_entropy + 0.35 * jnp.square(gradients).sum(1)).mean()

    makers = {name: params[name] for name in ("encoder", "decoder")}
    judged = params["discriminator"]
    expected = jax.grad(of_encoder)(makers, judged) | {
        "discriminator": jax.grad(of_judge)(judged, makers)
    }
    found = gradient_of(model, params, KEY, x)
    chex.assert_trees_all_close(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_labels_choose_the_part_of_the_prior():
    prior = jaxae.priors.petals(4)
    asked = []

    def watch(params, n, condition=None):
        if condition is not None:
            asked.append(condition.tolist())
        return prior.distribution(params, n, condition)

    seen = []
    judge = critic()

    def watched(params, z, *, key=None):
        seen.append(z)
        return judge.apply(params, z, key=key)

    base = jaxae.autoencoder(jaxae.networks.mlp_encoder(2, (16,)), mlps()[1])
    model = jaxae.adversarial(
        base, Network(judge.init, watched), prior._replace(distribution=watch), labels=True
    )
    x = images(SHAPE, n=4)
    params = model.init(jax.random.key(0), x)
    seen.clear()
    labels = jnp.array([2, -1, 0, 3])
    with jax.disable_jit():
        out = model.loss(params, KEY, Batch(x, label=labels))
        plain = model.loss(params, KEY, x)
    assert asked == [[2, -1, 0, 3], [-1] * 4]
    np.testing.assert_array_equal(seen[0][:, 2:].argmax(1), [2, 4, 0, 3])
    np.testing.assert_array_equal(seen[0][:, 2:], seen[1][:, 2:])
    # The images themselves are reconstructed.
    np.testing.assert_allclose(out.terms["distortion"], plain.terms["distortion"], rtol=1e-6)


def test_the_r1_penalty_is_by_the_code_and_not_by_the_label():
    only_labels = Network(lambda key, x: jnp.float32(5.0), lambda p, z, *, key=None: p * z[:, 2:3])
    base = jaxae.autoencoder(jaxae.networks.mlp_encoder(2, (16,)), mlps()[1])
    model = jaxae.adversarial(base, only_labels, jaxae.priors.petals(3), labels=True, r1=1.0)
    x = images(SHAPE, n=3)
    out = model.loss(model.init(KEY, x), KEY, Batch(x, label=jnp.array([0, 1, 3])))
    np.testing.assert_array_equal(out.terms["discriminator_r1_penalty"], 0)
    assert np.isnan(out.loss).tolist() == [False, False, True]  # there is no class 3


def test_the_loss_of_two_players_selects_no_epoch():
    model, x = adversarial(autoencoder()), images(SHAPE)
    options = {"optimizer": optax.adam(1e-3), "epochs": 1, "key": KEY, "batch_size": 4}
    with pytest.raises(ValueError, match="which epoch is better; monitor a term"):
        jaxae.fit(model, x, validation=x, progress=False, **options)
    fitted = jaxae.fit(model, x, validation=x, monitor="distortion", progress=False, **options)
    assert "validation/discriminator_loss" in fitted.history[0]


def test_two_discriminators_need_two_names():
    with pytest.raises(ValueError, match="has a penalty 'discriminator' already"):
        adversarial(adversarial(autoencoder()))
    model = adversarial(autoencoder(), name="encoder")
    with pytest.raises(ValueError, match="'encoder' is used twice"):
        model.init(KEY, images(SHAPE))


def test_every_number_changes_something():
    x, judge = images(SHAPE), critic()
    make = lambda **options: jaxae.adversarial(autoencoder(), judge, NORMAL, **options)
    models = [make(), make(weight=2.0), make(r1=1.0), make(weight=lambda step: 0.5 * step)]
    found = [np.asarray(m.loss(m.init(KEY, x), KEY, x, step=6).loss) for m in models]
    for a, b in itertools.combinations(found, 2):
        assert not np.allclose(a, b)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"weight": -1.0}, "weight"), ({"r1": float("nan")}, "r1"), ({"labels": True}, "no classes")],
)
def test_numbers_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        jaxae.adversarial(autoencoder(), critic(), NORMAL, **options)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            adversarial(autoencoder(), prior=jaxae.priors.standard_normal(2)),
            "codes of the posterior have the shape",
        ),
        (
            jaxae.adversarial(autoencoder(), jaxae.networks.mlp_encoder(2, (8,)), NORMAL),
            "one logit for each example",
        ),
    ],
)
def test_shapes_that_do_not_fit_are_refused(model, message):
    x = images(SHAPE)
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(lambda: model.loss(model.init(KEY, x), KEY, x))
