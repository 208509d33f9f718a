"""One device and eight give the same numbers; a process of its own simulates eight devices."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

import jaxae
from jaxae.runtime import processes
from tests.cases import CASES, images

SCRIPT = """
import json, jax, numpy as np, optax, shutil
import jaxae
from jaxae.training import packing
from jaxae.runtime import processes, sharding
from tests.cases import CASES, images

assert jax.device_count() == 8
results = {}
for name in NAMES:
    case = CASES[name]
    x = np.asarray(images(case.shape, n=27))
    found = []
    for devices in (jax.devices()[:1], jax.devices()):
        fitted = jaxae.fit(
            case.make(), x, optimizer=optax.sgd(1e-3), epochs=2, batch_size=8, devices=devices,
            key=jax.random.key(0), validation=x[:11], progress=False,
        )
        weights = [float(abs(leaf).sum()) for leaf in jax.tree.leaves(fitted.params)]
        record = fitted.history[-1]
        found.append([*weights, record["train/loss"], record["validation/loss"]])
    results[name] = found
checkpoints = jaxae.Checkpoints(FOLDER)
fitted = jaxae.fit(case.make(), x, optimizer=optax.sgd(1e-3), epochs=1, batch_size=8,
                   key=jax.random.key(0), progress=False, checkpoints=checkpoints)
results["saved"] = [float(abs(leaf).sum()) for leaf in jax.tree.leaves(fitted.params)]
def weights(tree):
    return [float(abs(leaf).sum()) for leaf in jax.tree.leaves(tree)]


# The state divided over the devices, and what else differs on eight.
encoder, decoder = jaxae.networks.mlp_encoder(4, (512,)), jaxae.networks.mlp_decoder((8, 8, 1), (512,))
model = jaxae.autoencoder(encoder, decoder)
x = np.random.default_rng(0).integers(0, 256, (67, 8, 8, 1), np.uint8)
plain = dict(optimizer=optax.adam(1e-3), epochs=2, batch_size=32, key=jax.random.key(0),
             validation=x[:11], progress=False)
one = jaxae.fit(model, x, devices=jax.devices()[:1], **plain)
sharded = jaxae.Checkpoints(FOLDER + "/sharded")
ways = {
    "sharded": (x, {"shard_params": True, "checkpoints": sharded, "checkpoint_every": 1}),
    "accumulated": (x, {"accumulate": 4}),
    "accumulated and sharded": (x, {"accumulate": 2, "shard_params": True}),
    "host": (x, {"placement": "host"}),
    "stream": (jaxae.Stream(x, lambda image: image), {"shard_params": True}),
}
for name, (images_, options) in ways.items():
    fitted = jaxae.fit(model, images_, **plain, **options)
    record = fitted.history[-1]
    before = one.history[-1]
    results["way " + name] = [
        [*weights(one.params), before["train/loss"], before["validation/loss"]],
        [*weights(fitted.params), record["train/loss"], record["validation/loss"]],
    ]
    if name == "sharded":
        leaves = jax.tree.leaves(fitted.state)
        here = sum(leaf.addressable_shards[0].data.nbytes for leaf in leaves)
        results["part on a device"] = here / sum(leaf.nbytes for leaf in leaves)
# A run on eight devices can be resumed on one and on four.
checks = {}
for devices in (1, 4):
    more = dict(plain, epochs=3, devices=jax.devices()[:devices])
    copied = FOLDER + f"/sharded{devices}"
    shutil.copytree(FOLDER + "/sharded", copied)
    fitted = jaxae.fit(model, x, **more, checkpoints=jaxae.Checkpoints(copied))
    straight = jaxae.fit(model, x, **more)
    results[f"way from eight to {devices}"] = [weights(straight.state), weights(fitted.state)]
    spread = packing.checksums(fitted.state), packing.checksums(
        jax.device_put(fitted.state, jax.devices()[0]))
    results[f"checksum {devices}"] = spread[0].tolist() == spread[1].tolist()
state = sharding.shardings(one.state, sharding.data_mesh(), shard=True)
results["checksum"] = packing.checksums(one.state).tolist() == packing.checksums(
    jax.device_put(one.state, state)).tolist()
for options in ({"accumulate": 3}, {"accumulate": 8}):
    try:
        jaxae.fit(model, x, **plain, **options)
    except ValueError as error:
        results["accumulate " + str(options["accumulate"])] = str(error)

try:
    jaxae.fit(case.make(), images(case.shape, n=27), optimizer=optax.sgd(1e-3), epochs=1, batch_size=9,
              key=jax.random.key(0), progress=False)
except ValueError as error:
    results["error"] = str(error)
print(json.dumps(results))
"""

NAMES = ["autoencoder gaussian", "autoencoder dropout", "vae", "vae samples", "vae conv"]
NAMES += ["vae free bits", "importance weighted"]


@pytest.mark.slow
def test_one_device_is_eight(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", f"NAMES = {NAMES}\nFOLDER = {str(tmp_path)!r}\n{SCRIPT}"],
        env=os.environ
        | {"XLA_FLAGS": f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=8"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout.splitlines()[-1])
    assert "9 does not divide by the 8 devices" in results.pop("error")
    # A checkpoint of eight devices can be used on one.
    saved = results.pop("saved")
    case = CASES[NAMES[-1]]
    shapes = jax.eval_shape(case.make().init, jax.random.key(0), images(case.shape))
    best = jaxae.Checkpoints(tmp_path).best(shapes)
    assert [float(abs(leaf).sum()) for leaf in jax.tree.leaves(best)] == pytest.approx(saved)
    assert jaxae.Checkpoints(tmp_path / "none").best(shapes) is None
    with pytest.raises(ValueError, match=r"of another model or optimizer: .*; use another folder"):
        jaxae.Checkpoints(tmp_path).best({"other": shapes})
    for parts in (3, 8):
        message = f"32 does not divide by the 8 devices and {parts} parts; use a multiple of"
        assert message in results.pop(f"accumulate {parts}")
    assert [results.pop(name) for name in ("checksum", "checksum 1", "checksum 4")] == [True] * 3
    # Nearly all of the state is divided; only small arrays are not.
    assert 0.125 < results.pop("part on a device") < 0.2
    ways = ["sharded", "accumulated", "accumulated and sharded", "host", "stream"]
    ways += ["from eight to 1", "from eight to 4"]
    assert list(results) == NAMES + [f"way {way}" for way in ways]
    for name, (one, eight) in results.items():
        assert eight == pytest.approx(one, rel=2e-5), name


def test_errors_that_mean_that_another_process_has_ended(monkeypatch):
    """Orbax wraps them in errors of its own; other errors mean something else."""
    reset = OSError("transport/tcp/pair.cc: Read error [127.0.0.1]:42698: Connection reset by peer")
    wrapped = ValueError("the item could not be saved")
    wrapped.__cause__ = reset
    assert not processes.is_gone(wrapped)  # there is only one process
    monkeypatch.setattr(jax, "process_count", lambda: 4)
    for error in (reset, wrapped, processes.GoneError(), jax.errors.JaxRuntimeError("UNKNOWN")):
        assert processes.is_gone(error)
    assert not processes.is_gone(OSError("No space left on device"))
