"""A run that was killed and resumed gives the result of one that was not, bit for bit, for every model."""

import json
from contextlib import contextmanager

import chex
import jax
import numpy as np
import optax
import pytest

import jaxae
from jaxae.runs.folder import Run
from tests.cases import CASES, SHAPE, images
from tests.training.helpers import gaussian, without_clocks

KEY = jax.random.key(3)
FAMILIES = [
    "autoencoder dropout",
    "vae beta schedule",
    "importance weighted",
    "contractive hutchinson",
    "denoising",
    "colorization",
    "sparse rate",
    "top k",
    "tied",
    "logistic pca",
    "adversarial labels",
    "semi-supervised adversarial",
    "gan spectral",
    "vae gan r1",
]
STEPS, EPOCHS = 3, 4


class KilledError(Exception):
    """Raised where a process would have been killed."""


class Killable(jaxae.Checkpoints):
    """Checkpoints that save nothing any more once the process is said to be killed."""

    killed = False

    @contextmanager
    def writer(self):
        with super().writer() as save:
            yield lambda *args: None if self.killed else save(*args)


def killed_in(epoch, checkpoints, log=lambda record: None):
    def on_epoch(record, state):
        log(record)
        if record["epoch"] == epoch:
            checkpoints.killed = True
            raise KilledError

    return on_epoch


def fit(case, on_epoch=None, **options):
    optimizer = optax.adam(optax.cosine_decay_schedule(1e-2, STEPS * EPOCHS))
    if case.game:
        params = jax.eval_shape(case.make().init, KEY, images(case.shape))
        critics = {name: optax.sgd(1e-2, momentum=0.9) for name in list(params)[2:]}
        optimizer = jaxae.training.partition(optimizer, **critics)
    else:
        options |= {"validation": images(case.shape, n=5, seed=1), "patience": EPOCHS}
    return jaxae.fit(
        case.make(),
        np.asarray(images(case.shape, n=4 * STEPS + 1)),
        optimizer=optimizer,
        epochs=EPOCHS,
        key=KEY,
        batch_size=4,
        devices=jax.devices()[:1],
        on_epoch=on_epoch,
        progress=False,
        **options,
    )


def same(one, other):
    chex.assert_trees_all_equal(one.state, other.state)
    chex.assert_trees_all_equal(one.params, other.params)
    assert without_clocks(one.history) == without_clocks(other.history)
    assert one.best_epoch == other.best_epoch


def logged(run):
    lines = (run.directory / "metrics.jsonl").read_text().splitlines()
    return without_clocks([json.loads(line) for line in lines])


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_a_run_killed_in_the_middle_of_an_epoch_goes_on(name, tmp_path):
    case = CASES[name]
    ema = 0.9 if case.stochastic else None
    whole = fit(case, ema=ema)
    run = Run(tmp_path, {})
    # Saved after steps 2, 4, 6, 8: killed after three epochs, it goes on from the middle of the third.
    checkpoints = Killable(run.checkpoints.directory)
    options = {"checkpoint_every": 2, "ema": ema}
    with pytest.raises(KilledError):
        fit(case, killed_in(3, checkpoints, run.log), checkpoints=checkpoints, **options)
    assert [record["epoch"] for record in logged(run)] == [1, 2, 3]
    again = Run(tmp_path, {})
    seen = []

    def on_epoch(record, state):
        again.log(record)
        seen.append(record)

    resumed = fit(case, on_epoch, checkpoints=again.checkpoints, **options)
    same(whole, resumed)
    assert [record["epoch"] for record in seen] == [1, 2, 3, 4]
    assert logged(again) == without_clocks(whole.history)


@pytest.mark.parametrize("every", [1, 2, 3, 5, 100])
def test_when_it_is_saved_changes_nothing(every, tmp_path):
    case = CASES["vae"]
    checkpoints = jaxae.Checkpoints(tmp_path)
    same(fit(case), fit(case, checkpoints=checkpoints, checkpoint_every=every))
    steps = sorted(int(p.name) for p in tmp_path.iterdir() if p.name.isdigit())
    expected = {*range(every, STEPS * EPOCHS + 1, every), STEPS * EPOCHS}
    assert steps == sorted(expected)[-2:]


def test_patience_and_the_best_epoch_survive(tmp_path):
    """The last epochs are worse, and the run is killed after one of them."""
    schedule = optax.piecewise_constant_schedule(1e-2, {9: 300.0})
    options = {
        "optimizer": optax.adam(schedule),
        "epochs": 20,
        "key": KEY,
        "batch_size": 4,
        "patience": 3,
        "validation": images(SHAPE, n=5, seed=1),
        "progress": False,
        "devices": jax.devices()[:1],
    }
    model, x = gaussian(), images(SHAPE, n=13)
    whole = jaxae.fit(model, x, **options)
    assert whole.best_epoch + 3 == len(whole.history) < 20
    checkpoints = Killable(tmp_path)
    options |= {"checkpoints": checkpoints, "checkpoint_every": 1}
    with pytest.raises(KilledError):
        jaxae.fit(model, x, on_epoch=killed_in(whole.best_epoch + 1, checkpoints), **options)
    options["checkpoints"] = jaxae.Checkpoints(tmp_path)
    same(whole, jaxae.fit(model, x, **options))
    # Once it has finished there is nothing left to do.
    assert jaxae.fit(model, x, **options).compile_seconds == 0


@pytest.mark.parametrize("placement", ["host", "stream"])
def test_images_on_the_host_or_in_a_stream(placement, tmp_path):
    case = CASES["vae"]
    x = np.random.default_rng(0).integers(0, 256, (13, *case.shape), np.uint8)
    options = {
        "optimizer": optax.adam(1e-2),
        "epochs": 3,
        "key": KEY,
        "batch_size": 4,
        "progress": False,
        "devices": jax.devices()[:1],
    }
    whole = jaxae.fit(case.make(), x, **options)
    elsewhere = jaxae.Stream(range(13), lambda i: x[i]) if placement == "stream" else x
    if placement == "host":
        options["placement"] = "host"
    same(whole, jaxae.fit(case.make(), elsewhere, **options))
    checkpoints = Killable(tmp_path)
    options |= {"checkpoints": checkpoints, "checkpoint_every": 2}
    with pytest.raises(KilledError):
        jaxae.fit(case.make(), elsewhere, on_epoch=killed_in(2, checkpoints), **options)
    # It can go on with the images in another place.
    options["checkpoints"] = jaxae.Checkpoints(tmp_path)
    same(whole, jaxae.fit(case.make(), elsewhere, **options))


def test_an_epoch_of_another_length_is_refused(tmp_path):
    case = CASES["vae"]
    checkpoints = Killable(tmp_path)
    with pytest.raises(KilledError):
        fit(case, killed_in(2, checkpoints), checkpoints=checkpoints, checkpoint_every=1)
    options = {"optimizer": optax.adam(optax.cosine_decay_schedule(1e-2, 12)), "progress": False}
    with pytest.raises(ValueError, match="an epoch had 3 steps when this was saved and has 4"):
        jaxae.fit(
            case.make(),
            images(case.shape, n=16),
            epochs=EPOCHS,
            key=KEY,
            batch_size=4,
            checkpoints=checkpoints,
            **options,
        )
