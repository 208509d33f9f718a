"""Recipes: the calls that made a model give the same model again, and nothing else is run."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxae
from jaxae import recipes
from tests.cases import CASES, SHAPE, images, mlps, vae


def again(model):
    return jaxae.from_recipe(json.loads(json.dumps(jaxae.recipe_of(model), allow_nan=False)))


def program(model, case):
    """The traced loss, and the arrays in it."""
    batch, key = case.data(4), jax.random.key(0)
    params = jax.eval_shape(model.init, key, batch)
    loss = jax.make_jaxpr(lambda p, k, b: model.loss(p, k, b, step=3).loss)(params, key, batch)
    return str(loss.jaxpr), jax.tree.leaves(loss.consts)


@pytest.mark.parametrize("name", [name for name in CASES if "by hand" not in name])
def test_a_recipe_gives_the_same_model(name):
    case = CASES[name]
    model = case.make()
    rebuilt = again(model)
    assert repr(rebuilt) == repr(model)
    assert jaxae.recipe_of(rebuilt) == jaxae.recipe_of(model)
    if name.count(",") > 3:  # a composition, of pieces that the other cases have
        return
    (text, constants), (same, others) = program(model, case), program(rebuilt, case)
    assert text == same
    for one, other in zip(constants, others, strict=True):
        np.testing.assert_array_equal(one, other)


def test_every_name_is_that_of_a_public_function():
    for name in recipes._CONSTRUCTORS:
        found = jaxae
        for part in name.split("."):
            found = getattr(found, part)
        assert found is recipes._CONSTRUCTORS[name], name
    for name, function in recipes._NAMED.items():
        package, _, last = name.partition(".")
        assert getattr(getattr(jaxae, package), last) is function


def test_every_public_constructor_is_recorded():
    missing = []
    for package in ("networks", "likelihoods", "priors", "posteriors", "corruptions", "masks"):
        module = getattr(jaxae, package)
        for name in dir(module):
            made = getattr(module, name)
            if name.startswith(("_", "check")) or not callable(made) or isinstance(made, type):
                continue
            inside = getattr(made, "__module__", "").startswith(f"{module.__name__}")
            known = f"{package}.{name}" in {*recipes._CONSTRUCTORS, *recipes._NAMED}
            if inside and not known and name != "gaussian_mixture":
                missing.append(f"{package}.{name}")
    assert missing == []


def test_a_fitted_prior_is_recorded_by_its_values():
    codes = np.random.default_rng(0).normal(size=(60, 3)) * [1, 5, 1e-3]
    model = jaxae.with_prior(
        jaxae.autoencoder(*mlps()), jaxae.priors.gaussian_mixture(codes, components=2)
    )
    params = model.init(jax.random.key(0), images(SHAPE))
    drawn = [m.sample(params, jax.random.key(1), 5) for m in (model, again(model))]
    np.testing.assert_array_equal(*drawn)


def test_what_was_changed_has_no_recipe():
    model = vae()
    for changed in (
        model._replace(monitor=None),
        model.add(jaxae.Penalty("own", lambda context: ())),
        jaxae.denoising(model._replace(monitor=None), jaxae.corruptions.masking(0.1)),
    ):
        with pytest.raises(ValueError, match="changed after jaxae.vae had made it"):
            jaxae.recipe_of(changed)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: jaxae.networks.activate(mlps()[0], lambda z: z), "'function' of .*activate"),
        (lambda: jaxae.denoising(vae(), lambda key, x: x), "'corruption' of jaxae.denoising"),
        (lambda: jaxae.autoencoder(jaxae.Network(min, max), mlps()[1]), "'encoder' of .* not made"),
        (lambda: jaxae.Batch(1), "not made by a constructor"),
        (lambda: 3, "not something that a constructor"),
        (
            lambda: jaxae.likelihoods.color_classes(np.linspace(-0.1, 0.1, 120_000).reshape(-1, 2)),
            "120,000 values, too many",
        ),
    ],
    ids=["activation", "corruption", "network", "batch", "number", "array"],
)
def test_what_a_recipe_cannot_hold_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        jaxae.recipe_of(make())


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"call": "os.system", "command": "true"}, "no constructor 'os.system'"),
        ({"call": "fit"}, "no constructor 'fit'"),
        ({"call": "networks.mlp_encoder", "latent_dim": 2, "colour": 1}, "no argument 'colour'"),
        ({"call": "networks.mlp_encoder"}, "does not accept what the recipe gives"),
        ({"call": "networks.mlp_encoder", "latent_dim": 0}, "."),
        ({"call": ["vae"]}, "names no constructor"),
        ({}, "names no constructor"),
        (
            {"call": "networks.activate", "network": {"function": "eval"}, "function": None},
            "not a v",
        ),
        ({"call": "autoencoder", "encoder": {"x": 1}, "decoder": 2}, "not a value of a recipe"),
        (
            {"call": "autoencoder", "encoder": 3, "decoder": {"method": "loss", "of": 1}},
            "not a val",
        ),
        (
            {"call": "classifier", "encode": {"method": "encode", "of": 1}, "pretrained": {}},
            "not a value",
        ),
        (
            {"call": "autoencoder", "encoder": 3, "decoder": {"method": "encode", "of": "text"}},
            "not a value",
        ),
        ({"call": "networks.mlp_encoder", "latent_dim": 2, "item": 1.5}, "no result of number 1.5"),
        ({"call": "networks.mlp_encoder", "latent_dim": 2, "item": 7}, "no result of number 7"),
        ({"call": "autoencoder", "encoder": {"call": {}}, "decoder": 1}, "no constructor {}"),
        ({"call": "corruptions.compose", "corruptions": 2.5}, "does not accept"),
        ({"call": "corruptions.gaussian", "sigma": {"dtype": "object"}}, "not a value"),
        ({"call": "corruptions.gaussian", "sigma": {"array": [[]], "dtype": "O"}}, "not a value"),
        (
            {"call": "corruptions.gaussian", "sigma": {"array": [10**400], "dtype": "float32"}},
            "not a value",
        ),
        (
            {
                "call": "deep_clustering",
                "base": 1,
                "pretrained": {"params": {"a": {"shape": [10**6, 10**6], "dtype": "float32"}}},
            },
            "too large",
        ),
    ],
    ids=str,
)
def test_bad_recipes_are_refused(recipe, message):
    with pytest.raises(ValueError, match=message):
        jaxae.from_recipe(recipe)


def test_recipes_that_are_nested_deeply_are_refused():
    recipe = {"call": "priors.standard_normal", "latent_dim": 2}
    for _ in range(5000):
        recipe = {"call": "networks.activate", "network": recipe, "function": None}
    with pytest.raises(ValueError, match="nested too deeply"):
        jaxae.from_recipe(recipe)


def test_parameters_of_a_recipe_are_nan_so_that_no_training_starts_from_them():
    base = jaxae.autoencoder(*mlps())
    pretrained = base.init(jax.random.key(0), images(SHAPE))
    model = again(jaxae.deep_clustering(base, pretrained, jnp.eye(3)))
    params = model.init(jax.random.key(0), images(SHAPE))
    assert jnp.isnan(params["encoder"]["Dense_0"]["kernel"]).all()
    np.testing.assert_array_equal(params["centres"], jnp.eye(3))
