"""The laws of an autoencoder, over every constructor and a sample of compositions (see cases.py)."""

from functools import lru_cache, partial
from typing import NamedTuple

import chex
import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxae
from tests.cases import CASES, CHOICES, allowed, covering

# All laws of a case run one after the other in one process: it is compiled once, and then dropped.
MARKS = {
    name: [pytest.mark.xdist_group(name), *([pytest.mark.slow] if case.slow else [])]
    for name, case in CASES.items()
}


def laws_of(names):
    return [pytest.param(name, marks=MARKS[name]) for name in names]


laws = pytest.mark.parametrize("name", laws_of(CASES), scope="module")
# Laws that depend on the structure of parameters and losses, of which these cases have every kind.
FEW = [
    "vae",
    "vae conv",
    "vae free bits",
    "semi-supervised adversarial",
    "gan conv r1",
    "logistic pca",
]
FEW += ["deep clustering", "autoencoder dropout", next(name for name in CASES if "missing" in name)]
few_laws = pytest.mark.parametrize("name", laws_of(FEW), scope="module")

KEY = jax.random.key(7)


class KeptGradient(NamedTuple):
    gradient: chex.ArrayTree


def keep_gradient():
    """An optimizer that changes nothing and keeps the last gradient in its state."""
    return optax.GradientTransformation(
        lambda params: KeptGradient(jax.tree.map(jnp.zeros_like, params)),
        lambda updates, state, params=None: (updates, KeptGradient(updates)),
    )


OPTIMIZER = optax.chain(keep_gradient(), optax.adam(1e-2))


class Compiled:
    """A case, and the functions of its model, each compiled once for all laws."""

    def __init__(self, name):
        self.case = CASES[name]
        self.model = model = self.case.make()
        self.batch = self.case.data()
        init = jax.jit(partial(jaxae.training.init_state, model, OPTIMIZER))
        self.start = init(jax.random.key(0), self.batch)
        self.traces = []
        one_step = jaxae.training.make_step(model, OPTIMIZER)

        @jax.jit
        def step(*arguments):
            self.traces.append(name)
            return one_step(*arguments)

        self.step = step
        if self.case.trained:
            # Two steps away from layers that are initialised to zero.
            for _ in range(2):
                self.start, _ = step(self.start, KEY, self.batch)
        self.params = self.start.params
        self.has_density = has_density(model, self.params, self.batch)

        @partial(jax.jit, static_argnames="train")
        def loss(params, key, batch, *, train=True):
            return model.loss(params, key, batch, train=train)

        self.loss = loss

        @jax.jit
        def derived(params, key, batch):
            """Whatever else is derived from a model."""
            found = {}
            if self.case.encodes:
                found["z"] = model.encode(params, batch)
                found["decoded"] = model.decode(params, found["z"], condition=batch.condition)
            if model.model.prior is not None:
                n, condition = len(batch.x), batch.condition
                found["sample"] = model.sample(params, key, n, condition=condition)
            if self.has_density:
                found["log_weight"] = model.log_weight(params, key, batch)
            return found

        self.derived = derived


def has_density(model, params, batch):
    """Whether log p(x) can be estimated; if it cannot, the error must say why."""
    if model.model.coupled:
        return False
    try:
        jax.eval_shape(partial(model.log_weight, key=KEY, batch=batch), params)
    except ValueError as error:
        reason = str(error)
    else:
        return True
    assert "cannot be bounded" in reason or "no encoder" in reason
    return False


@lru_cache(maxsize=1)
def compiled(name):
    return Compiled(name)


def known(batch):
    """x, with zeros where it is missing."""
    return batch.x if batch.observed is None else jnp.where(batch.observed > 0, batch.x, 0)


@laws
def test_the_loss_is_one_number_for_each_example(name):
    c = compiled(name)
    b, x = len(c.batch.x), c.batch.x
    for train in (True, False):
        out = c.loss(c.params, KEY, c.batch, train=train)
        reported = [out.loss, *out.terms.values(), *out.metrics.values()]
        chex.assert_shape(reported, (b,))
        chex.assert_type(reported, jnp.float32)
        chex.assert_tree_all_finite(out)
    found = c.derived(c.params, KEY, c.batch)
    chex.assert_tree_all_finite(found)
    if c.case.encodes:
        assert jax.tree.map(jnp.shape, out.z) == jax.tree.map(jnp.shape, found["z"])
        assert all(len(leaf) == b for leaf in jax.tree.leaves(out.z))
        assert found["decoded"].shape == (x.shape if c.case.decodes else (b, 3))
        assert found["decoded"].dtype == jnp.float32
    else:
        with pytest.raises(ValueError, match="has no encoder"):
            c.model.encode(c.params, x)
    if c.model.model.prior is None:
        with pytest.raises(ValueError, match="has no prior"):
            c.model.sample(c.params, KEY, 3)
    else:
        assert found["sample"].shape == x.shape
    if "log_weight" in found:
        assert found["log_weight"].shape == (b,)


@laws
def test_examples_do_not_mix_or_the_model_says_so(name):
    c = compiled(name)
    x = c.batch.x
    # (Not the negative, which a symmetric model may find as likely.)
    other = c.batch._replace(x=x.at[1].set(0.5 * x[1]))
    if c.batch.seen is not None:
        other = other._replace(seen=c.batch.seen.at[1].set(0.5 * c.batch.seen[1]))
    for train in (True, False):
        before, after = (c.loss(c.params, KEY, data, train=train).loss for data in (c.batch, other))
        assert before[1] != after[1]
        same = np.allclose(np.delete(before, 1), np.delete(after, 1), rtol=1e-5)
        assert same or c.model.coupled


@laws
def test_the_same_key_gives_the_same_loss(name):
    c = compiled(name)
    one, again, other = (c.loss(c.params, jax.random.key(i), c.batch).loss for i in (7, 7, 8))
    np.testing.assert_array_equal(one, again)
    assert np.array_equal(one, other) != c.case.stochastic


@laws
def test_no_key_is_used_twice_and_no_type_is_promoted(name):
    c = compiled(name)
    optimizer = optax.sgd(1e-3)
    # With an input of its own, a transform has one key for both on purpose; a mask takes none.
    transform = jaxae.data.binarize
    if c.batch.seen is not None or c.batch.observed is not None:
        transform = None

    @jax.jit
    def everything(keys, batch):
        n, condition = len(batch.x), batch.condition
        state = jaxae.training.init_state(c.model, optimizer, keys[0], batch)
        c.model.loss(state.params, keys[1], batch, train=False)
        if c.case.encodes:
            jaxae.reconstruct(c.model, state.params, batch)
        if c.has_density:
            jaxae.analysis.importance_nll(c.model, state.params, keys[2], batch, 5)
        if c.model.model.prior is not None:
            c.model.sample(state.params, keys[3], n, condition=condition)
        epoch = jaxae.training.make_epoch(c.model, optimizer, batch_size=4, transform=transform)
        return epoch(state, keys[4], batch)

    with jax.debug_key_reuse(True), jax.numpy_dtype_promotion("strict"):
        everything.trace(jax.random.split(jax.random.key(0), 5), c.batch)


@few_laws
def test_jit_is_eager(name):
    c = compiled(name)
    eager = c.model.loss(c.params, KEY, c.batch)
    types = jax.make_jaxpr(lambda params: c.model.loss(params, KEY, c.batch))(c.params)
    # bfloat16 bodies are rounded in other places once operations are fused.
    half = "bf16" in str(types)
    tolerance = 2e-2 if half else 1e-5
    chex.assert_trees_all_close(
        c.loss(c.params, KEY, c.batch), eager, rtol=tolerance, atol=tolerance
    )


@laws
def test_every_parameter_has_a_gradient(name):
    c = compiled(name)
    if not c.case.trained:
        pytest.skip("it is fitted, not trained")
    # Not at the first step of a schedule, whose weight may begin at zero.
    state, _ = c.step(c.start, KEY, c.batch)
    gradient = state.opt_state[0].gradient
    chex.assert_tree_all_finite(gradient)
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        assert jnp.abs(leaf).max() > 0, jax.tree_util.keystr(path)


@laws
def test_overfits_eight_examples(name):
    c = compiled(name)
    if not c.case.trained:
        pytest.skip("it is fitted, not trained")
    state, losses, x = c.start, [], known(c.batch)
    trivial = jaxae.analysis.squared_error(x, jnp.broadcast_to(x.mean(0), x.shape)).mean()
    # Dropout, missing values and importance weights take longer than most.
    for _ in range(6):
        for _ in range(150):
            state, metrics = c.step(state, KEY, c.batch)
            losses.append(metrics["loss"])
        if not {"distortion", "negative_iwae", "cross_entropy"} & metrics.keys():
            break  # what a GAN learns is tested by what it generates, in models/test_gan.py
        if not c.case.decodes:
            done = metrics["error_rate"] == 0
        else:
            decoded = c.derived(state.params, KEY, c.batch)["decoded"]
            if c.batch.observed is not None:
                decoded = jnp.where(c.batch.observed > 0, decoded, 0)
            done = jaxae.analysis.squared_error(x, decoded).mean() < 0.75 * trivial
        if done:
            break
    else:
        pytest.fail("it has not learned eight examples")
    assert state.step == c.start.step + len(losses)
    assert len(c.traces) == 1  # over all laws of this case
    assert c.case.game or np.mean(losses[-20:]) < np.mean(losses[:20])


@few_laws
def test_two_steps_and_two_more_are_four(name, tmp_path):
    c = compiled(name)
    state = c.start
    for i in range(4):
        if i == 2:
            checkpoints = jaxae.Checkpoints(tmp_path)
            checkpoints.save(2, state, state.params, {})
        state, _ = c.step(state, KEY, c.batch)
    resumed = checkpoints.restore(c.start, c.start.params).state
    for _ in range(2):
        resumed, _ = c.step(resumed, KEY, c.batch)
    chex.assert_trees_all_equal(resumed, state)


@few_laws
def test_evaluation_does_not_depend_on_padding(name):
    c = compiled(name)
    data = c.case.data(n=12)
    score = jaxae.training.loss_scores(c.model)
    evaluate = jaxae.training.make_evaluate(score, batch_size=8)
    found = evaluate((c.params, 0), KEY, data)
    assert {v.shape for v in found.values()} == {(12,)}
    first = jax.tree.map(lambda leaf: leaf[:8], data)
    out = c.loss(c.params, jax.random.fold_in(KEY, 0), first, train=False)
    for name, value in {"loss": out.loss, **out.terms, **out.metrics}.items():
        np.testing.assert_allclose(found[name][:8], value, rtol=2e-2, atol=2e-2)
    if not c.model.coupled:
        # What the last batch is filled up with does not matter.
        other = data._replace(x=data.x.at[:4].set(0.5))
        changed = evaluate((c.params, 0), KEY, other)
        np.testing.assert_allclose(found["loss"][8:], changed["loss"][8:], rtol=1e-5)


@pytest.mark.parametrize("name", ["vae conv", "denoising unet", "contractive hutchinson"])
def test_a_step_lowers_for_accelerators(name):
    case = CASES[name]
    model, batch = case.make(), case.data()
    optimizer = optax.adam(1e-3)
    step = jaxae.training.make_step(model, optimizer)
    state = jax.eval_shape(
        partial(jaxae.training.init_state, model, optimizer), jax.random.key(0), batch
    )

    def one(state, seed, batch):
        return step(state, jax.random.key(seed), batch)

    exported = jax.export.export(jax.jit(one), platforms=["cuda", "tpu"])(
        state, jnp.uint32(0), batch
    )
    assert exported.platforms == ("cuda", "tpu")


def test_every_two_choices_meet_in_one_composition():
    rows = covering()
    assert len(rows) < 40
    for a in CHOICES:
        for b in CHOICES:
            met = {(row[a], row[b]) for row in rows}
            wanted = {(x, y) for x in CHOICES[a] for y in CHOICES[b] if allowed({a: x, b: y})}
            assert a == b or met == wanted
