"""`python -m benchmarks.scaling`: how cost grows with sizes, and the cost of other work than training.

Images/s and memory against batch size and data size; several models in one program and one after
the other; loading MNIST; the importance-sampled likelihood.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time

import jax
import numpy as np
import optax

import jaxae
from benchmarks import ours
from benchmarks.environment import machine, save
from benchmarks.workloads import WORKLOADS

ROW = "mlp-vae"


def train(batch: int, n: int) -> dict[str, float]:
    """Median speed of some epochs of `n` digits, and the peak memory of the process."""
    digits = jaxae.load("mnist5k").train.images
    images = np.resize(digits, (n, *digits.shape[1:]))
    fitted = jaxae.fit(
        ours.model(WORKLOADS[ROW], ROW),
        images,
        optimizer=optax.adam(1e-3),
        epochs=1 + max(3, 100_000 // n),
        batch_size=batch,
        key=jax.random.key(0),
        progress=False,
    )
    speeds = [record["images_per_second"] for record in fitted.history[1:]]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"images_per_second": float(np.median(speeds)), "peak_mib": peak}


def many(models: int) -> dict[str, float]:
    """Model-images per second of `fit_many`, and of `fit` called once for each model."""
    digits = jaxae.load("mnist5k").train.images
    images = np.resize(digits, (12_800, *digits.shape[1:]))
    model, optimizer = ours.model(WORKLOADS[ROW], ROW), optax.adam(1e-3)
    keys, epochs = jax.random.split(jax.random.key(0), models), 3
    seconds = {"together": 0.0, "apart": 0.0}
    for _ in range(2):  # the first time compiles
        started = time.perf_counter()
        options = {"epochs": epochs, "batch_size": 128, "progress": False}
        jaxae.fit_many(lambda _: (model, optimizer), images, keys=keys, **options)
        seconds["together"] = time.perf_counter() - started
        started = time.perf_counter()
        for key in keys:
            jaxae.fit(model, images, optimizer=optimizer, key=key, **options)
        seconds["apart"] = time.perf_counter() - started
    return {name: models * epochs * len(images) / s for name, s in seconds.items()}


def likelihood(samples: int, images: int) -> dict[str, float]:
    """Images/s of the importance-sampled log-likelihood."""
    model = ours.model(WORKLOADS[ROW], ROW)
    x = jaxae.as_float(jaxae.load("mnist5k").test.images[:images])
    params = model.init(jax.random.key(0), x)
    estimate = jax.jit(
        lambda params, key, x: jaxae.analysis.importance_nll(model, params, key, x, samples)
    )
    jax.block_until_ready(estimate(params, jax.random.key(1), x))
    started = time.perf_counter()
    jax.block_until_ready(estimate(params, jax.random.key(1), x))
    return {"images_per_second": len(x) / (time.perf_counter() - started)}


def loading() -> dict[str, float]:
    """Seconds to load MNIST, the first time and from the cache."""
    with tempfile.TemporaryDirectory() as cache:
        os.environ["JAXAE_CACHE"] = cache
        seconds = {}
        for name in ("first", "cached"):
            started = time.perf_counter()
            jaxae.load("mnist")
            seconds[name] = time.perf_counter() - started
    return seconds


def in_a_process(call: str) -> dict[str, float]:
    """Runs a call in a new process, so that its peak memory is its own."""
    code = f"import json; from benchmarks import scaling; print(json.dumps(scaling.{call}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        return {"skipped": done.stderr.strip().splitlines()[-1]}  # type: ignore[dict-item]
    return json.loads(done.stdout)


def main() -> None:
    """Measures, prints, and keeps the figures as JSON."""
    figures = {}
    calls = [f"train({batch}, 16384)" for batch in (32, 128, 512, 2048)]
    calls += [f"train(128, {n})" for n in (4096, 65_536, 262_144)]
    calls += ["many(4)", "likelihood(5000, 64)", "loading()"]
    for call in calls:
        figures[call] = in_a_process(call)
        shown = (f"{k} {v:,.2f}" if isinstance(v, float) else v for k, v in figures[call].items())
        print(f"{call:26}", "  ".join(shown), flush=True)
    save("scaling", machine(), {"figures": figures})


if __name__ == "__main__":
    main()
