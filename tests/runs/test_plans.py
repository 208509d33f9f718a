"""Plans of models and their pieces."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxae
from jaxae.runs import inference, pieces, plans
from jaxae.runs.plans import Plan

SHAPE = (6, 6, 1)
COMMON = {"shape": SHAPE, "latent_dim": 4, "likelihood": "bernoulli", "hidden": (8,)}
PLANS = {
    "vae": Plan(model="vae", beta=2.0, beta_warmup=0.5, steps=10, **COMMON),
    "iwae": Plan(model="vae", importance_weighted=3, dropout=0.5, sparse="l1:0.1", **COMMON),
    "autoencoder": Plan(
        model="autoencoder", contract=0.1, corrupt=("masking:0.3", "erase:0.4"), **COMMON
    ),
    "tied": Plan(model="tied_autoencoder", sparse="kl:0.1:0.2", **COMMON),
    "conv": Plan(
        **COMMON | {"model": "vae", "network": "conv", "likelihood": "laplace", "scale": 0.5}
    ),
}


@pytest.fixture(scope="module")
def images():
    return jnp.asarray(np.random.default_rng(0).random((5, *SHAPE)), jnp.float32)


@pytest.mark.parametrize("name", PLANS)
def test_the_model_of_a_plan_has_a_recipe_that_gives_the_same_model(name, images):
    model = plans.build(PLANS[name])
    again = jaxae.from_recipe(json.loads(json.dumps(jaxae.recipe_of(model))))
    losses = []
    for one in (model, again):
        params = one.init(jax.random.key(0), images)
        out = one.loss(params, jax.random.key(1), images, step=3)
        losses.append(dict(out.terms) | {"loss": out.loss})
    assert losses[0].keys() == losses[1].keys()
    for term, value in losses[0].items():
        np.testing.assert_array_equal(value, losses[1][term])


def test_a_plan_gives_the_model_that_is_built_by_hand(images):
    encoder = jaxae.networks.mlp_encoder(8, (8,))
    decoder = jaxae.networks.mlp_decoder(SHAPE, (8,))
    model = jaxae.vae(encoder, decoder, latent_dim=4)
    model = jaxae.sparse(model, 0.1, jaxae.wrappers.l1)
    model = jaxae.denoising(
        model,
        jaxae.corruptions.compose(jaxae.corruptions.masking(0.3), jaxae.corruptions.erase(0.4)),
    )
    plan = Plan(model="vae", sparse="l1:0.1", corrupt=("masking:0.3", "erase:0.4"), **COMMON)
    losses = [
        m.loss(m.init(jax.random.key(0), images), jax.random.key(1), images).loss
        for m in (model, plans.build(plan))
    ]
    np.testing.assert_array_equal(*losses)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "gan"}, "there is no model 'gan'"),
        ({"latent_dim": 0}, "positive"),
        ({"likelihood": "gauss"}, "there is no likelihood 'gauss'"),
        ({"scale": 2.0}, "not for bernoulli"),
        ({"network": "gru"}, "there is no network 'gru'"),
        ({"network": "unet"}, "no bottleneck"),
        ({"network": "conv", "gated": True}, "gated is for the network mlp"),
        ({"remat": True}, "remat is for the network resnet"),
        ({"precision": "float16"}, "float32 or bfloat16"),
        ({"hidden": (), "dropout": 0.1}, "at least one hidden layer"),
        ({"sparse": "l2:1"}, "l1:WEIGHT"),
        ({"sparse": "l1:much"}, "not a number"),
        ({"model": "vae", "sparse": "top_k:2"}, "deterministic"),
        ({"corrupt": ("blur:1",)}, "no corruption 'blur'"),
        ({"corrupt": ("masking",)}, "with its strength"),
        ({"corrupt": ("grayscale:1",)}, "no strength"),
        ({"corrupt": ("downsample:1.5",)}, "integer"),
        ({"model": "vae", "importance_weighted": 3, "beta": 2.0}, "would drop beta"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_bad_plans_are_refused(change, message):
    plan = dataclasses.replace(Plan(model="autoencoder", **COMMON), **change)
    with pytest.raises(ValueError, match=message):
        plans.build(plan)


def test_sparsity_by_its_name():
    z = jnp.array([[1.0, -2.0, 3.0]])
    l1 = pieces.sparsity("l1:0.5")
    assert (float(l1.penalty(z)[0]), l1.weight, l1.activation) == (6.0, 0.5, None)
    assert pieces.sparsity("top_k:1").activation(z).tolist() == [[0.0, 0.0, 3.0]]
    kl = pieces.sparsity("kl:2:0.1")
    assert kl.weight == 2.0
    assert float(kl.activation(jnp.zeros(()))) == 0.5
    half = 0.1 * np.log(0.1 / 0.5) + 0.9 * np.log(0.9 / 0.5)
    assert float(kl.penalty(jnp.full((4, 1), 0.5))[0]) == pytest.approx(half, rel=1e-5)


def test_corruptions_by_their_names_are_applied_in_order():
    x = jnp.arange(3 * 4 * 4 * 3.0).reshape(3, 4, 4, 3) / 144
    corrupt = pieces.corruption(("grayscale", "downsample:2"))
    grey = jaxae.corruptions.grayscale()(jax.random.key(0), x)
    expected = jaxae.corruptions.downsample(2)(jax.random.key(0), grey)
    np.testing.assert_allclose(corrupt(jax.random.key(1), x), expected, rtol=1e-6)


def test_inference_in_batches_is_that_of_all_examples(images):
    # The scale is large, so that some decoded values are outside [0, 1].
    model = plans.build(Plan(**COMMON | {"model": "vae", "likelihood": "gaussian", "scale": 1.0}))
    params = jax.tree.map(lambda p: 2 * p, model.init(jax.random.key(0), images))
    z = model.encode(params, images)
    y = model.decode(params, z)
    assert y.min() < 0
    np.testing.assert_allclose(
        inference.encode(model, params, images, batch_size=2), z, rtol=1e-5, atol=1e-6
    )
    for clip, expected in ((False, y), (True, jnp.clip(y, 0, 1))):
        for found in (
            inference.decode(model, params, z, clip=clip, batch_size=2),
            inference.reconstruct(model, params, images, clip=clip, batch_size=2),
        ):
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    drawn = inference.sample(model, params, jax.random.key(2), 40)
    assert drawn.shape == (40, *SHAPE)
    assert drawn.min() == 0
    decoded, clipped = inference.squared_errors(model, params, images, batch_size=2)
    sums = [
        float(np.square(np.asarray(images) - one).sum((1, 2, 3)).mean())
        for one in (y, np.clip(y, 0, 1))
    ]
    assert (decoded, clipped) == pytest.approx(sums, rel=1e-4)
    assert clipped < decoded


def test_evaluation_has_the_terms_of_the_loss_and_the_error_of_clipped_images(images):
    model = plans.build(Plan(model="autoencoder", contract=0.1, **COMMON))
    params = model.init(jax.random.key(0), images)
    found = inference.evaluate(model, params, jax.random.key(1), images, batch_size=2)
    y = np.clip(jaxae.reconstruct(model, params, images), 0, 1)
    error = float(np.square(np.asarray(images) - y).sum((1, 2, 3)).mean())
    assert found["squared_error"] == pytest.approx(error, rel=1e-5)
    assert found["mse"] == pytest.approx(error / 36, rel=1e-5)
    assert found["psnr"] == pytest.approx(-10 * np.log10(error / 36), rel=1e-5)
    assert found["loss"] == pytest.approx(
        found["distortion"] + 0.1 * found["contraction"], rel=1e-5
    )
    out = model.loss(params, jax.random.key(1), images, train=False)
    assert found["loss"] == pytest.approx(float(out.loss.mean()), rel=1e-5)
