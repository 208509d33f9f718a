"""The protocol of `on_epoch`, with which other services log."""

import re
import sys
import types
from pathlib import Path

import jax
import numpy as np
import optax
import pytest

import jaxae

README = Path(jaxae.__file__).parent / "training" / "README.md"
IMAGES = np.random.default_rng(0).random((24, 4, 4, 1), np.float32)


def model():
    networks = jaxae.networks
    return jaxae.autoencoder(networks.mlp_encoder(2, (4,)), networks.mlp_decoder((4, 4, 1), (4,)))


class Service:
    """What the example of the README uses of W&B: a log in which steps only go up."""

    def __init__(self):
        self.logged, self.finished = {}, False

    def init(self, **settings):
        assert settings["project"] == "digits"
        return self

    def log(self, metrics, step):
        if step > max(self.logged, default=0):
            self.logged[step] = dict(metrics)

    def finish(self):
        self.finished = True


def test_the_example_of_the_readme_logs_each_epoch(monkeypatch):
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len([line for line in code.splitlines() if line]) <= 10
    service = Service()
    module = types.ModuleType("wandb")
    module.init = service.init
    monkeypatch.setitem(sys.modules, "wandb", module)
    names = {"jaxae": jaxae, "optax": optax, "key": jax.random.key(0)}
    names |= {"model": model(), "images": IMAGES}
    exec(code.replace("epochs=20", "epochs=2, batch_size=12, progress=False"), names)
    assert service.finished
    history = names["fitted"].history
    assert [*service.logged] == [1, 2]
    for record, metrics in zip(history, service.logged.values(), strict=True):
        assert metrics == {name: record[name] for name in record if name != "epoch"}
        assert metrics["train/loss"] == record["train/loss"]


def test_a_record_and_a_copy_of_the_state_are_given(tmp_path):
    calls = []

    def train(epochs, stop_at=None):
        def on_epoch(record, state):
            calls.append((record, state))
            return record["epoch"] == stop_at

        calls.clear()
        return jaxae.fit(
            model(),
            IMAGES,
            optimizer=optax.sgd(0.1),
            epochs=epochs,
            batch_size=12,
            key=jax.random.key(0),
            validation=IMAGES[:6],
            checkpoints=jaxae.Checkpoints(tmp_path),
            on_epoch=on_epoch,
            progress=False,
        )

    fitted = train(5, stop_at=2)
    assert len(fitted.history) == 2
    records, states = zip(*calls, strict=True)
    assert [record["epoch"] for record in records] == [1, 2]
    assert [record["step"] for record in records] == [2, 4]
    assert {"seconds", "images_per_second", "train/loss", "validation/loss"} <= records[0].keys()
    assert all(isinstance(value, int | float) for value in records[0].values())
    # States are copies: that of the first epoch is not what training made of it since.
    assert [int(state.step) for state in states] == [2, 4]
    first, last = (jax.tree.leaves(state.params)[0] for state in states)
    assert not np.array_equal(first, last)
    np.testing.assert_array_equal(last, jax.tree.leaves(fitted.state.params)[0])
    # A run that goes on calls it again for the earlier epochs, without their states.
    train(3)
    assert [record["epoch"] for record, _ in calls] == [1, 2, 3]
    assert calls[0][1] is None
    assert int(calls[2][1].step) == 6
    assert calls[0][0] == pytest.approx(records[0])
