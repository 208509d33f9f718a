"""One contender in a process of its own, which times a run on request."""

import json
import resource
import sys
from collections.abc import Callable

import numpy as np

from benchmarks.workloads import WORKLOADS, data


def main(contender: str, name: str) -> None:
    """Answers each line of standard input with a line of JSON."""
    reply = sys.stdout
    sys.stdout = sys.stderr  # other libraries print to it
    try:
        run = trainer(contender, name)
        run()  # compiles, and warms up
    except ImportError as error:
        print(json.dumps({"skipped": str(error)}), file=reply, flush=True)
        return
    print(json.dumps({"ready": True}), file=reply, flush=True)
    for _ in sys.stdin:
        speed = run()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"speed": speed, "peak_mib": peak}), file=reply, flush=True)


def trainer(contender: str, name: str) -> Callable[[], float]:
    """The function that trains, or multiplies matrices, for a while and returns its speed."""
    if contender == "matmul":
        return matmul()
    workload = WORKLOADS[name]
    images = data(workload)
    if contender in ("jaxae", "flax"):
        from benchmarks import ours

        if contender == "jaxae":
            return ours.trainer(workload, name, images)
        return ours.flax_trainer(workload, images)
    from benchmarks import peers

    if contender == "pythae":
        return peers.pythae_trainer(workload, images)
    return peers.torch_trainer(workload, name, images, contender)


def matmul() -> Callable[[], float]:
    """The highest GFLOP/s of square float32 matrix products on this machine."""
    import time

    import jax
    import jax.numpy as jnp

    product = jax.jit(lambda a: a @ a)
    matrices = [jnp.ones((n, n)) for n in (512, 1024, 2048)]

    def once(a: jax.Array) -> float:
        started = time.perf_counter()
        product(a).block_until_ready()
        return 2 * a.shape[0] ** 3 / (time.perf_counter() - started) / 1e9

    return lambda: max(float(np.median([once(a) for _ in range(9)])) for a in matrices)


if __name__ == "__main__":
    main(*sys.argv[1:])
