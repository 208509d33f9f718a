"""One device and eight give the same numbers: run in a process of its own that has eight."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

import jaxae
from tests.cases import CASES, images

SCRIPT = """
import json, jax, numpy as np, optax
import jaxae
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
try:
    jaxae.fit(case.make(), x, optimizer=optax.sgd(1e-3), epochs=1, batch_size=9,
              key=jax.random.key(0), progress=False)
except ValueError as error:
    results["error"] = str(error)
print(json.dumps(results))
"""

NAMES = ["autoencoder gaussian", "autoencoder dropout", "vae", "vae samples", "vae conv"]
NAMES += ["vae free bits", "importance weighted"]


def test_one_device_is_eight(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", f"NAMES = {NAMES}\nFOLDER = {str(tmp_path)!r}\n{SCRIPT}"],
        env=os.environ
        | {"XLA_FLAGS": f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=8"},
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout.splitlines()[-1])
    assert "9 does not divide by the 8 devices" in results.pop("error")
    # What eight devices have saved, one can use.
    saved = results.pop("saved")
    case = CASES[NAMES[-1]]
    shapes = jax.eval_shape(case.make().init, jax.random.key(0), images(case.shape))
    best = jaxae.Checkpoints(tmp_path).best(shapes)
    assert [float(abs(leaf).sum()) for leaf in jax.tree.leaves(best)] == pytest.approx(saved)
    assert jaxae.Checkpoints(tmp_path / "none").best(shapes) is None
    with pytest.raises(ValueError, match=r"of another model or optimizer: .*; take another folder"):
        jaxae.Checkpoints(tmp_path).best({"other": shapes})
    assert list(results) == NAMES
    for name, (one, eight) in results.items():
        assert eight == pytest.approx(one, rel=2e-5), name
