"""`python -m benchmarks.devices`: several devices, placements of the images, and the cost of saving.

The losses of one training on 1, 2, 4 and 8 devices, which are simulated on this processor, so that
their agreement is real and their speed is not; images/s for each placement of the images; and the cost
of a save after an epoch, beside epochs of the same training without one.
"""

import json
import os
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


def trained(n: int, epochs: int, row: str = "mlp-vae", images: object = None, **options: object):
    """A workload fitted to `n` digits, and its seconds without compilation."""
    if images is None:
        digits = jaxae.load("mnist5k").train.images
        images = np.resize(digits, (n, *digits.shape[1:]))
    started = time.perf_counter()
    fitted = jaxae.fit(
        ours.model(WORKLOADS[row], row),
        images,
        optimizer=optax.adam(1e-3),
        epochs=epochs,
        batch_size=128,
        key=jax.random.key(0),
        progress=False,
        **options,
    )
    return fitted, time.perf_counter() - started - fitted.compile_seconds


def devices(count: int, shard_params: bool) -> dict[str, float]:
    """The loss of each of three epochs on this number of devices."""
    assert jax.device_count() == count
    fitted, _ = trained(4000, 3, shard_params=shard_params)
    return {f"epoch {i}": r["train/loss"] for i, r in enumerate(fitted.history, 1)}


def placements() -> dict[str, float]:
    """Images/s for each placement of the images."""
    streamed = jaxae.load("mnist5k", stream=True).train.images
    speeds = {}
    for name in ("device", "host", "stream"):
        images = streamed if name == "stream" else np.asarray(streamed[:])
        where = {} if name == "stream" else {"placement": name}
        fitted, _ = trained(0, 6, images=images, **where)
        speeds[name] = float(np.median([r["images_per_second"] for r in fitted.history[1:]]))
    return speeds


def saving(row: str, n: int, rounds: int = 25) -> dict[str, float]:
    """The cost of saving after every epoch of MNIST, 60,000 images.

    The cost does not depend on the length of an epoch, and is measured best with short epochs, of `n`
    images. The first of every four epochs ends with a save, which is written while the second trains;
    the other two are the reference.
    """
    marks = []
    with tempfile.TemporaryDirectory() as folder:
        trained(
            n,
            4 * rounds + 5,
            row,
            checkpoints=jaxae.Checkpoints(folder),
            checkpoint_every=4 * (n // 128),
            on_epoch=lambda *_: marks.append(time.perf_counter()),
        )
    seconds = np.diff(marks)[6:][: 4 * (rounds - 1)].reshape(-1, 4)  # the first save compiles
    costs = seconds[:, 0] + seconds[:, 1] - seconds[:, 2] - seconds[:, 3]
    save, epoch = float(np.median(costs)), float(np.median(seconds[:, 2:])) * 60_000 / n
    return {"save": save, "epoch of 60,000": epoch, "overhead": save / epoch}


def in_a_process(call: str, count: int = 1) -> dict[str, float]:
    """Runs a call in a new process with this number of devices."""
    flags = os.environ.get("XLA_FLAGS", "")
    code = f"import json; from benchmarks import devices; print(json.dumps(devices.{call}))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | {"XLA_FLAGS": f"{flags} --xla_force_host_platform_device_count={count}"},
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> int:
    """Measures, prints and keeps the figures as JSON; returns 1 if losses differ or saving costs 3 %."""
    figures: dict[str, dict[str, float]] = {}
    calls = [(f"devices({n}, {s})", n) for s in (False, True) for n in (1, 2, 4, 8)]
    calls += [
        ("placements()", 1),
        ("saving('mlp-vae', 12_800, 60)", 1),
        ("saving('conv-vae', 6_400)", 1),
    ]
    for call, count in calls:
        figures[call] = in_a_process(call, count)
        shown = (f"{name} {value:,.7g}" for name, value in figures[call].items())
        print(f"{call:28}", "  ".join(shown), flush=True)
    one = figures["devices(1, False)"]
    losses = [found for call, found in figures.items() if call.startswith("devices")]
    apart = max(abs(found[e] / one[e] - 1) for found in losses for e in one)
    costs = max(found["overhead"] for call, found in figures.items() if call.startswith("saving"))
    print(
        f"losses differ by {apart:.1e} at most; saving after every epoch costs {costs:.1%} at most"
    )
    save("devices", machine(), {"figures": figures})
    return 0 if apart < 1e-5 and costs < 0.03 else 1


if __name__ == "__main__":
    raise SystemExit(main())
