"""Penalties, corruptions, evaluation, estimates, resumption and ensembles accept models of any kind."""

from functools import cache

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxae
from tests.pieces.examples import EXAMPLES, train

# All cases of one model in one process, which compiles it once.
pytestmark = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.xdist_group(name), pytest.mark.slow])
        for name in EXAMPLES
    ],
)

KEY = jax.random.key(0)
OPTIONS = {"batch_size": 32, "rate": 1e-2}


@cache
def example(name):
    """The model, its data, and four epochs of training."""
    model, data = EXAMPLES[name].make(), EXAMPLES[name].data()
    return model, data, train(model, data, epochs=4, **OPTIONS)


def noise(key, x):
    """Noise for each array of a tree."""
    leaves, tree = jax.tree.flatten(x)
    keys = jax.random.split(key, len(leaves))
    corrupt = jaxae.corruptions.gaussian(0.1)
    return tree.unflatten([corrupt(*pair) for pair in zip(keys, leaves, strict=True)])


def without_rate(model):
    """The same model with a beta of zero, where codes are not vectors with a normal posterior."""
    if model.objective.name == "elbo":
        return model._replace(objective=jaxae.objectives.elbo(0.0))
    return model


def test_it_learns(name):
    _, _, trained = example(name)
    losses = [record["train/loss"] for record in trained.history]
    assert losses[-1] < 0.99 * losses[0]


def test_no_key_is_used_twice(name):
    model, data, _ = example(name)

    @jax.jit
    def everything(keys, data):
        params = model.init(keys[0], data)
        if model.model.prior is not None:
            model.sample(params, keys[1], 64, condition=data.condition)
        return model.loss(params, keys[2], data).loss

    with jax.debug_key_reuse(True):
        everything.trace(jax.random.split(jax.random.key(0), 3), data)


def test_it_is_contractive_denoising_and_wasserstein(name):
    model, data, trained = example(name)
    z = model.encode(trained.params, data)
    prior = jaxae.priors.standard_normal(jaxae.arrays.as_vectors(z).shape[1])
    is_table = isinstance(data.x, dict)
    alone = jaxae.with_prior(jaxae.denoising(without_rate(model), noise), prior)
    if not (isinstance(z, jax.Array) and z.ndim == 2):
        # With a view, the prior of codes that are no vectors is not replaced by one of vectors.
        alone = jaxae.denoising(without_rate(model), noise)
        composed = jaxae.wasserstein(alone, prior, weight=2.0, view=jaxae.arrays.as_vectors)
    else:
        composed = jaxae.wasserstein(jaxae.denoising(without_rate(model), noise), prior, weight=2.0)
    composed = composed if is_table else jaxae.contractive(composed, 0.01, mode="reverse")

    @jax.jit
    def losses(params):
        return composed.loss(params, KEY, data), alone.loss(params, KEY, data)

    out, base = losses(composed.init(KEY, data))
    chex.assert_shape([out.loss, *out.terms.values()], (64,))
    chex.assert_tree_all_finite(out.loss)
    chex.assert_trees_all_equal({name: out.terms[name] for name in base.terms}, dict(base.terms))
    added = 2.0 * out.terms["mmd"] + 0.01 * out.terms.get("contraction", 0.0)
    np.testing.assert_allclose(out.loss, base.loss + added, rtol=1e-4)
    assert jnp.abs(added).max() > 0
    if is_table:
        model = jaxae.contractive(model, 0.01)
        with pytest.raises(ValueError, match="one array, not a tree"):
            model.loss(trained.params, KEY, data)


def test_it_is_evaluated_and_its_likelihood_estimated(name):
    model, data, trained = example(name)
    evaluate = jaxae.training.make_evaluate(jaxae.training.loss_scores(model), batch_size=64)
    scores = evaluate((trained.params, 8), KEY, data)
    assert {score.shape for score in scores.values()} == {(64,)}
    assert np.mean(scores["loss"]) < trained.history[0]["train/loss"]
    if missing := EXAMPLES[name].missing:
        with pytest.raises(ValueError, match=missing):
            jaxae.analysis.importance_nll(model, trained.params, KEY, data, 50)
        return
    estimate = jax.jit(
        lambda params, data: jaxae.analysis.importance_nll(model, params, KEY, data, 50, chunk=50)
    )
    nll = estimate(trained.params, data)
    assert nll.shape == (64,)
    # The bounds that are trained are above it, and not far.
    bound = scores.get("negative_elbo", scores.get("negative_iwae"))
    assert -0.1 < np.mean(bound - nll) < 0.25 * abs(np.mean(bound))


def test_two_epochs_and_two_more_are_four(name, tmp_path):
    model, data, trained = example(name)
    train(model, data, epochs=2, checkpoints=jaxae.Checkpoints(tmp_path), **OPTIONS)
    resumed = train(model, data, epochs=4, checkpoints=jaxae.Checkpoints(tmp_path), **OPTIONS)
    chex.assert_trees_all_equal(resumed.state, trained.state)


def test_two_keys_are_two_models(name):
    model, data, trained = example(name)
    keys = jnp.stack([KEY, jax.random.key(1)])
    fits = jaxae.fit_many(
        lambda _: (model, optax.adam(1e-2)),
        data,
        keys=keys,
        epochs=1,
        batch_size=32,
        progress=False,
    )
    losses = fits.history["train/loss"][:, 0]
    np.testing.assert_allclose(losses[0], trained.history[0]["train/loss"], rtol=1e-3)
    assert losses[1] != losses[0]
