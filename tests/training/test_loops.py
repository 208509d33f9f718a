"""Many steps in one compiled loop, or one compiled step again and again: the same training."""

import flax.linen as nn
import jax
import numpy as np
import pytest

import jaxae
from jaxae.training import evaluation, programs
from tests.cases import COLOUR, SHAPE, convs, images
from tests.training.helpers import assert_close, assert_equal, bomb, fit


class Encoder(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(4, (3, 3), strides=2)(x))
        return nn.Dense(2)(x.reshape(len(x), -1))


def flax_model():
    decoder = jaxae.networks.mlp_decoder(SHAPE, (8,))
    return jaxae.autoencoder(jaxae.networks.linen(Encoder()), decoder)


@pytest.fixture
def chosen(monkeypatch):
    """The loops that were chosen, in training and in evaluation."""
    found = []

    def choose(jaxpr, device):
        found.append(original(jaxpr, device))
        return found[-1]

    original = programs.chosen_loop
    monkeypatch.setattr(programs, "chosen_loop", choose)
    monkeypatch.setattr(evaluation, "chosen_loop", choose)
    return found


def test_the_loop_is_chosen_by_the_convolutions_of_the_model(chosen):
    x = images(COLOUR, n=8)
    fit(jaxae.autoencoder(*convs("conv", COLOUR)), x, epochs=1, validation=x)
    assert chosen == ["scan", "scan"]
    chosen.clear()
    fitted = fit(flax_model(), validation=images(SHAPE))
    assert chosen == ["step", "step"]
    scan = fit(flax_model(), validation=images(SHAPE), loop="scan")
    assert len(chosen) == 2  # it was told
    assert_close(fitted.state, scan.state, rtol=1e-4, atol=1e-6)
    for one, other in zip(fitted.history, scan.history, strict=True):
        for name in ("train/loss", "train/gradient_norm", "validation/loss"):
            assert one[name] == pytest.approx(other[name], rel=1e-4)


def test_an_accelerator_always_scans():
    class Accelerator:
        platform = "gpu"

    jaxpr = jax.make_jaxpr(lambda x: jax.lax.conv(x, x, (1, 1), "SAME"))(np.ones((1, 1, 3, 3)))
    assert programs.chosen_loop(jaxpr, jax.devices("cpu")[0]) == "step"
    untyped = getattr(programs.chosen_loop, "__wrapped__", programs.chosen_loop)
    untyped = getattr(untyped, "__wrapped__", untyped)  # without the type checker of the tests
    assert untyped(jaxpr, Accelerator()) == "scan"


def test_convolutions_are_found_in_inner_functions():
    def convolve(x):
        return jax.lax.conv(x, x, (1, 1), "SAME").sum()

    x = np.ones((1, 1, 3, 3), np.float32)
    for function in (
        jax.grad(jax.jit(convolve)),
        jax.checkpoint(convolve),
        lambda x: jax.lax.cond(x.sum() > 0, convolve, lambda x: 0.0, x),
        lambda x: jax.lax.scan(lambda c, _: (c + convolve(x), None), 0.0, None, length=2)[0],
    ):
        assert programs.chosen_loop(jax.make_jaxpr(function)(x), jax.devices("cpu")[0]) == "step"
        assert "conv_general_dilated" in str(jax.make_jaxpr(function)(x))
    dots = jax.make_jaxpr(lambda x: x @ x)(x)
    assert programs.chosen_loop(dots, jax.devices("cpu")[0]) == "scan"


@pytest.mark.parametrize("placement", ["device", "host"])
def test_single_steps_are_the_scan(placement, tmp_path):
    options = {"ema": 0.9, "validation": images(SHAPE), "placement": placement}
    scan = fit(loop="scan", **options)
    step = fit(loop="step", **options)
    assert_close(step.state, scan.state, rtol=1e-4, atol=1e-6)
    assert [r["step"] for r in step.history] == [r["step"] for r in scan.history]
    # A run that is stopped is resumed exactly, and with either loop.
    checkpoints = jaxae.Checkpoints(tmp_path)
    with pytest.raises(ZeroDivisionError):
        fit(
            loop="step",
            checkpoints=checkpoints,
            on_epoch=lambda record, state: 1 // (2 - record["epoch"]),
            **options,
        )
    resumed = fit(loop="step", checkpoints=checkpoints, **options)
    assert_equal((resumed.state, resumed.params), (step.state, step.params))
    assert resumed.best_epoch == step.best_epoch


def test_single_steps_name_what_is_not_finite():
    with pytest.raises(jaxae.NonFiniteError, match="bomb stopped being finite at step 7"):
        fit(bomb(at=7), loop="step")
