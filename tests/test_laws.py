"""The laws of an autoencoder, over every constructor (see cases.py)."""

from functools import lru_cache, partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxae
from tests.cases import CASES, images

# All laws of one case before the next, in one process: it is compiled once, and then forgotten.
pytestmark = pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in CASES],
    scope="module",
)

KEY = jax.random.key(7)
OPTIMIZER = optax.adam(1e-2)


@lru_cache(maxsize=1)
def compiled(name):
    """A case's model, parameters and images; its loss and its step, compiled once for all the laws."""
    case = CASES[name]
    model, x = case.make(), images(case.shape)
    state = jax.jit(partial(jaxae.training.init_state, model, OPTIMIZER))(jax.random.key(0), x)
    loss = jax.jit(model.loss, static_argnames="train")
    traces, one_step = [], jaxae.training.make_step(model, OPTIMIZER)

    @jax.jit
    def step(*arguments):
        traces.append(name)
        return one_step(*arguments)

    return case, model, state.params, x, loss, (state, step, traces)


@pytest.fixture
def case(name):
    return compiled(name)[0]


@pytest.fixture
def model(name):
    return compiled(name)[1]


@pytest.fixture
def params(name):
    return compiled(name)[2]


@pytest.fixture
def x(name):
    return compiled(name)[3]


@pytest.fixture
def loss(name):
    return compiled(name)[4]


@pytest.fixture
def start(name):
    return compiled(name)[5]


def test_the_loss_is_one_number_for_each_example(case, model, params, x, loss):
    for train in (True, False):
        out = loss(params, KEY, x, train=train)
        chex.assert_shape([out.loss, *out.terms.values()], (len(x),))
        chex.assert_type([out.loss, *out.terms.values()], jnp.float32)
        chex.assert_tree_all_finite(out)
    if not case.encodes:
        with pytest.raises(ValueError, match="has no encoder"):
            model.encode(params, x)
        return
    z = jax.jit(model.encode)(params, x)
    assert out.latent.shape == z.shape == (len(x), z.shape[1])
    decoded = jax.jit(model.decode)(params, z)
    assert decoded.shape == x.shape
    assert decoded.dtype == jnp.float32
    assert 0 <= decoded.min() <= decoded.max() <= 1


def test_examples_do_not_mix(case, params, x, loss):
    # (Not the negative, which a symmetric model may find as likely.)
    other = x.at[1].set(0.5 * x[1])
    for train in (True, False):
        before, after = (loss(params, KEY, images, train=train).loss for images in (x, other))
        assert before[1] != after[1]
        same = np.allclose(np.delete(before, 1), np.delete(after, 1), rtol=1e-5)
        assert same or case.coupled


def test_the_same_key_gives_the_same_loss(case, params, x, loss):
    one, again, other = (loss(params, jax.random.key(i), x, train=True).loss for i in (7, 7, 8))
    np.testing.assert_array_equal(one, again)
    assert np.array_equal(one, other) != case.stochastic


def test_no_key_is_used_twice(model, x):
    optimizer = optax.adam(1e-3)

    @jax.jit
    def everything(keys, x):
        state = jaxae.training.init_state(model, optimizer, keys[0], x)
        model.loss(state.params, keys[1], x, train=False)
        if model.log_weight is not None:
            jaxae.analysis.importance_nll(model, state.params, keys[2], x, 5)
        if model.sample is not None:
            model.sample(state.params, keys[3], 2)
        epoch = jaxae.training.make_epoch(
            model, optimizer, batch_size=4, transform=jaxae.data.binarize
        )
        return epoch(state, keys[4], x)

    with jax.debug_key_reuse(True):
        everything.trace(jax.random.split(jax.random.key(0), 5), x)


def test_jit_is_eager(model, params, x, loss):
    eager = model.loss(params, KEY, x)
    # bfloat16 bodies are rounded in other places once operations are fused.
    tolerance = 1e-5
    if any(leaf.dtype == jnp.bfloat16 for leaf in _intermediate_types(model, params, x)):
        tolerance = 2e-2
    chex.assert_trees_all_close(
        loss(params, KEY, x, train=True), eager, rtol=tolerance, atol=tolerance
    )


def _intermediate_types(model, params, x):
    jaxpr = jax.make_jaxpr(lambda params, x: model.loss(params, KEY, x))(params, x)
    return [v.aval for equation in jaxpr.eqns for v in equation.outvars]


@jax.numpy_dtype_promotion("strict")
def test_no_type_is_promoted_silently(case, model, x):
    params = jax.eval_shape(model.init, KEY, x)
    jax.eval_shape(jax.grad(lambda params: model.loss(params, KEY, x).loss.mean()), params)
    if case.encodes:
        jax.eval_shape(lambda params: jaxae.reconstruct(model, params, x), params)
    if model.log_weight is not None:
        jax.eval_shape(
            lambda params: jaxae.analysis.importance_nll(model, params, KEY, x, 3), params
        )
    if model.sample is not None:
        jax.eval_shape(lambda params: model.sample(params, KEY, 3), params)


def test_a_step_is_traced_once(start, x):
    state, step, traces = start
    for _ in range(3):
        state, _ = step(state, KEY, x)
    assert state.step == 3
    assert len(traces) == 1


def test_every_parameter_has_a_gradient(case, model, params, x):
    if not case.trained:
        pytest.skip("it is fitted, not trained")
    # A hundredth of a run in, so that a schedule that begins at zero is not zero.
    loss = lambda params: model.loss(params, KEY, x, step=1).loss.mean()
    gradient = jax.jit(jax.grad(loss))(params)
    chex.assert_tree_all_finite(gradient)
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        assert jnp.abs(leaf).max() > 0, jax.tree_util.keystr(path)


def test_overfits_eight_images(case, model, x, start):
    if not case.trained:
        pytest.skip("it is fitted, not trained")
    state, step, _ = start
    losses = []
    for _ in range(300):
        state, metrics = step(state, KEY, x)
        losses.append(metrics["loss"])
    if not case.encodes:
        return  # what it learns is tested by what it generates, in test_games
    decoded = jax.jit(partial(jaxae.reconstruct, model))(state.params, x)
    error = jaxae.analysis.squared_error(x, decoded).mean()
    trivial = jaxae.analysis.squared_error(x, jnp.broadcast_to(x.mean(0), x.shape)).mean()
    assert error < 0.75 * trivial
    assert case.game or np.mean(losses[-20:]) < np.mean(losses[:20])


def test_two_steps_and_two_more_are_four(start, x, tmp_path):
    state, step, _ = start
    before = state
    for i in range(4):
        if i == 2:
            checkpoints = jaxae.Checkpoints(tmp_path)
            checkpoints.save(2, state, state.params, {})
        state, _ = step(state, KEY, x)
    resumed = checkpoints.restore(before, before.params).state
    for _ in range(2):
        resumed, _ = step(resumed, KEY, x)
    chex.assert_trees_all_equal(resumed, state)


def test_evaluation_does_not_depend_on_padding(case, model, params):
    x = images(case.shape, n=10)
    score = jaxae.training.loss_scores(model)
    evaluate = jaxae.training.make_evaluate(score, batch_size=4)
    four = evaluate((params, 0), KEY, x)
    assert {v.shape for v in four.values()} == {(10,)}
    for i in range(2):
        part = jax.jit(score)((params, 0), jax.random.fold_in(KEY, i), x[4 * i : 4 * i + 4])
        for name, value in part.items():
            np.testing.assert_allclose(four[name][4 * i : 4 * i + 4], value, rtol=2e-2, atol=2e-2)
    if not case.coupled:
        # What the last batch is filled up with is of no account.
        changed = evaluate((params, 0), KEY, x.at[:2].set(0.5))
        np.testing.assert_allclose(four["loss"][8:], changed["loss"][8:], rtol=1e-5)


def test_target_is_what_is_reconstructed(params, x, loss):
    as_usual = loss(params, KEY, x, train=False).loss
    itself = loss(params, KEY, x, target=x, train=False).loss
    other = loss(params, KEY, x, target=1 - x, train=False).loss
    np.testing.assert_allclose(as_usual, itself, rtol=1e-5)
    assert not np.allclose(as_usual, other)


def test_where_there_is_a_posterior_there_is_a_prior(model, params, x):
    if model.log_weight is not None:
        assert model.sample is not None
        assert model.log_weight(params, KEY, x).shape == (len(x),)
    if model.sample is not None:
        drawn = jax.jit(model.sample, static_argnums=2)(params, KEY, 5)
        assert drawn.shape == (5, *x.shape[1:])
        assert 0 <= drawn.min() <= drawn.max() <= 1
