"""Training that begins from given parameters or a given state, and what `on_epoch` may do."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxae
from tests.cases import SHAPE, images
from tests.training.helpers import assert_close, assert_equal, fit, recorder, without_clocks


@pytest.fixture(scope="module")
def trained():
    return fit(epochs=2)


def test_given_parameters_are_trained_on_with_a_fresh_optimizer(trained):
    given = jax.tree.map(np.asarray, trained.params)
    one = fit(params=given, epochs=1, optimizer=optax.sgd(0.0))
    assert_equal(one.params, given)
    # The first step is that of a new optimizer, at step 0.
    fitted = fit(params=trained.params, epochs=1)
    assert fitted.state.step == 3
    assert fitted.state.opt_state[0].count == 3
    assert fitted.history[0]["train/loss"] < trained.history[0]["train/loss"]
    # They are not consumed.
    assert np.isfinite(jax.tree.leaves(trained.params)[0]).all()


def test_a_given_state_goes_on(trained):
    """Two epochs and two further epochs are the four epochs of one run."""
    whole = fit(epochs=4)
    further = fit(state=trained.state, epochs=2)
    assert_equal(further.state, whole.state)
    assert [record["epoch"] for record in further.history] == [1, 2]
    for mine, theirs in zip(
        without_clocks(further.history), without_clocks(whole.history[2:]), strict=True
    ):
        assert mine | {"epoch": 0} == theirs | {"epoch": 0}
    assert further.best_epoch == 2
    assert np.isfinite(jax.tree.leaves(trained.state.params)[0]).all()  # not consumed


def test_a_given_state_makes_whole_epochs_whatever_its_step(trained, tmp_path):
    """Of other data, whose epochs begin elsewhere; and it can be resumed."""
    x = np.arange(10.0)[:, None, None, None] / 10 * np.ones((10, *SHAPE))
    state = trained.state._replace(step=trained.state.step + 1)  # 7 steps, of 5 an epoch
    options = {"x": np.float32(x), "batch_size": 2, "state": state}
    whole = fit(epochs=4, **options)
    assert [record["step"] for record in whole.history] == [12, 17, 22, 27]
    checkpoints = jaxae.Checkpoints(tmp_path)
    fit(epochs=2, checkpoints=checkpoints, checkpoint_every=4, **options)
    for placement in ("device", "host"):
        resumed = fit(epochs=4, checkpoints=checkpoints, placement=placement, **options)
        assert_equal(resumed.state, whole.state)
        assert without_clocks(resumed.history) == without_clocks(whole.history)


def test_an_epoch_from_a_given_state_visits_every_example():
    x = 2.0 ** jnp.arange(6)[:, None]
    for placement in ("device", "host"):
        start = jaxae.training.init_state(recorder(), optax.sgd(0.0), jax.random.key(0), x)
        state = start._replace(step=jnp.int32(5))
        fitted = fit(
            recorder(), np.asarray(x), state=state, batch_size=2, optimizer=optax.sgd(0.0),
            placement=placement,
        )  # fmt: skip
        for record in fitted.history:
            assert record["train/loss"] == x.mean()


def test_checkpoints_have_priority(trained, tmp_path):
    options = {"checkpoints": jaxae.Checkpoints(tmp_path)}
    first = fit(epochs=1, **options)
    zeros = jax.tree.map(jnp.zeros_like, trained.params)
    again = fit(epochs=1, params=zeros, **options)
    assert_equal(again.params, first.params)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: {"params": f.params, "state": f.state}, "both say where to begin"),
        (lambda f: {"params": f.state}, "params must be the dict from model.init"),
        (
            lambda f: {"params": jax.tree.map(lambda p: p[..., None], f.params)},
            r"is float32\[.*,1\] and should be float32\[",
        ),
        (lambda f: {"params": {}}, r"is not there and should be float32"),
        (
            lambda f: {"params": jax.tree.map(lambda p: p.astype(jnp.float16), f.params)},
            "is float16.* and should be float32",
        ),
        (lambda f: {"state": f.state._replace(params={})}, r"\.params.*not there and should be"),
        (lambda f: {"state": f.state, "optimizer": optax.sgd(1.0)}, r"\.opt_state.*be not there"),
        (lambda f: {"state": f.state, "ema": 0.9}, r"\.opt_state\[0\].* should be not there"),
    ],
)
def test_what_does_not_fit_is_named(trained, change, message):
    with pytest.raises(ValueError, match=message):
        fit(**change(trained))


def test_on_epoch_gets_a_state_that_it_may_keep():
    kept = []
    fitted = fit(on_epoch=lambda record, state: kept.append((record["epoch"], state)))
    assert [(epoch, int(state.step)) for epoch, state in kept] == [(1, 3), (2, 6), (3, 9)]
    assert_equal(kept[-1][1], fitted.state)
    losses = [float(jax.tree.leaves(state.params)[0].sum()) for _, state in kept]
    assert len(set(losses)) == 3


@pytest.mark.parametrize("answer", [True, np.True_, jnp.array(True)])
def test_on_epoch_may_stop(answer, tmp_path):
    stop = lambda record, state: answer if record["epoch"] == 2 else False
    checkpoints = jaxae.Checkpoints(tmp_path)
    fitted = fit(on_epoch=stop, checkpoints=checkpoints, checkpoint_every=100)
    assert len(fitted.history) == fitted.best_epoch == 2
    assert_equal(fitted.params, fitted.state.params)
    # It is saved, and stays stopped; asked for the same again, it goes on only without the stop.
    again = fit(on_epoch=stop, checkpoints=jaxae.Checkpoints(tmp_path))
    assert again.compile_seconds == 0
    assert_equal(again.state, fitted.state)
    whole = fit(checkpoints=jaxae.Checkpoints(tmp_path))
    assert_equal(whole.state, fit().state)


def test_what_on_epoch_returns_else_does_not_stop():
    assert len(fit(on_epoch=lambda record, state: (record, 1)).history) == 3


def test_an_exception_in_on_epoch_loses_nothing(tmp_path):
    def broken(record, state):
        if record["epoch"] == 2:
            raise ZeroDivisionError("a mistake")

    checkpoints = jaxae.Checkpoints(tmp_path)
    with pytest.raises(ZeroDivisionError, match="a mistake"):
        fit(on_epoch=broken, checkpoints=checkpoints, checkpoint_every=100)
    seen = []
    resumed = fit(
        checkpoints=checkpoints,
        on_epoch=lambda record, state: seen.append((record["epoch"], state is None)),
    )
    # Two epochs are not trained again; of the last one, whose state is there, it is given.
    assert seen == [(1, True), (2, False), (3, False)]
    assert_equal(resumed.state, fit().state)


@pytest.mark.parametrize("wrong", [lambda record: None, [].append, lambda: None])
def test_on_epoch_has_two_arguments(wrong):
    with pytest.raises(ValueError, match=r"on_epoch\(record, state\)"):
        fit(on_epoch=wrong)


def test_validation_from_the_start_of_given_parameters(trained):
    """The best of this run is what is returned, not that of the run before."""
    options = {"validation": images(SHAPE, n=5, seed=1)}
    fitted = fit(state=trained.state, optimizer=optax.adam(1e-2), **options)
    scores = [record["validation/loss"] for record in fitted.history]
    assert fitted.best_epoch == int(np.argmin(scores)) + 1
    assert_close(fitted.history[-1]["step"], 15)
