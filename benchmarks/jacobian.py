"""`python -m benchmarks.jacobian`: the modes of the Jacobian penalty, beside those of torch.func.

It times the gradient of the mean squared norm of an MLP's Jacobian with respect to its parameters, as
a contractive penalty needs it, for several sizes of (input, hidden, code). Each contender is a process
of its own, and every round runs all of them in turn. Ratios are to the forward mode of the same size.
"""

import dataclasses
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import tyro

from benchmarks.environment import RESULTS, machine, save

SIZES = (
    (64, 256, 8),
    (784, 0, 1000),
    (784, 512, 32),
    (784, 1000, 256),
    (784, 512, 784),
    (3072, 128, 16),
)
"""Values of an image, units of the hidden layer (0: no hidden layer), dimensions of the code."""
BATCH = 64
JAXAE = ("forward", "reverse", "hutchinson")
TORCH = ("torch forward", "torch reverse")


@dataclasses.dataclass(frozen=True)
class Config:
    """Times the modes.

    Attributes:
      rounds: how often each contender runs.
      out: folder for the figures as JSON.
    """

    rounds: int = 5
    out: Path = RESULTS


def jaxae_step(mode: str, inputs: int, hidden: int, code: int) -> Callable[[], float]:
    """Milliseconds of a gradient, by jaxae."""
    import jax
    import jax.numpy as jnp

    import jaxae
    from jaxae.runtime.devices import compiler_options

    encoder = jaxae.networks.mlp_encoder(code, (hidden,) if hidden else (), activation=jnp.tanh)
    encoder = jaxae.networks.activate(encoder, jax.nn.sigmoid)
    x = jax.random.uniform(jax.random.key(0), (BATCH, inputs, 1, 1))
    params = encoder.init(jax.random.key(1), x)

    def objective(params: Any, key: jax.Array) -> jax.Array:
        function = lambda x: encoder.apply(params, x)  # noqa: E731
        return jaxae.objectives.squared_jacobian_norm(function, x, mode=mode, key=key).mean()  # type: ignore[arg-type]

    gradient = (
        jax.jit(jax.grad(objective))
        .lower(params, jax.random.key(2))
        .compile(compiler_options(jax.devices()[0]))
    )

    def once() -> float:
        started = time.perf_counter()
        jax.block_until_ready(gradient(params, jax.random.key(2)))
        return 1e3 * (time.perf_counter() - started)

    return once


def torch_step(mode: str, inputs: int, hidden: int, code: int) -> Callable[[], float]:
    """Milliseconds of a gradient, by torch.func."""
    import torch
    from torch.func import functional_call, jacfwd, jacrev, vmap

    torch.manual_seed(0)
    layers = [torch.nn.Linear(inputs, hidden), torch.nn.Tanh()] if hidden else []
    model = torch.nn.Sequential(
        *layers, torch.nn.Linear(hidden or inputs, code), torch.nn.Sigmoid()
    )
    x = torch.rand(BATCH, inputs)
    jacobian = jacfwd if mode == "torch forward" else jacrev

    def once() -> float:
        started = time.perf_counter()
        params = dict(model.named_parameters())
        function = lambda one: functional_call(model, params, (one,))  # noqa: E731
        norm = vmap(jacobian(function))(x).square().sum((1, 2)).mean()
        norm.backward()
        model.zero_grad()
        return 1e3 * (time.perf_counter() - started)

    return once


def serve(contender: str, size: str) -> None:
    """Answers each line of standard input with a time and the peak memory."""
    import resource

    inputs, hidden, code = json.loads(size)
    try:
        make = torch_step if contender in TORCH else jaxae_step
        make(contender, 8, 8, 4)()  # so that imports do not count
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        once = make(contender, inputs, hidden, code)
        once()
    except ImportError as error:
        print(json.dumps({"skipped": str(error)}), flush=True)
        return
    print(json.dumps({"ready": True}), flush=True)
    for _ in sys.stdin:
        milliseconds = statistics.median(once() for _ in range(3))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        print(json.dumps({"ms": milliseconds, "mib": peak / 1024}), flush=True)


def compare(size: tuple[int, int, int], rounds: int) -> dict[str, Any]:
    """Medians of all contenders at one size, from interleaved runs."""
    found: dict[str, Any] = {}
    with ExitStack() as stack:
        processes = {}
        for name in (*JAXAE, *TORCH):
            command = [sys.executable, "-m", "benchmarks.jacobian", "serve", name, json.dumps(size)]
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            stack.enter_context(process)
            assert process.stdout is not None
            line = process.stdout.readline()
            answer = (
                json.loads(line)
                if line
                else {"skipped": "the process ended, perhaps out of memory"}
            )
            if "ready" in answer:
                processes[name] = process
            else:
                found[name] = answer
        times: dict[str, list[float]] = {name: [] for name in processes}
        for _ in range(rounds):
            for name, process in processes.items():
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write("go\n")
                process.stdin.flush()
                answer = json.loads(process.stdout.readline())
                times[name].append(answer["ms"])
                found[name] = {"ms": statistics.median(times[name]), "mib": answer["mib"]}
        for process in processes.values():
            assert process.stdin is not None
            process.stdin.close()
    return found


def main(config: Config) -> None:
    """Measures, prints, and keeps the figures as JSON."""
    figures = {}
    for size in SIZES:
        figures[" ".join(map(str, size))] = found = compare(size, config.rounds)
        forward = found["forward"]["ms"]
        shown = "  ".join(
            f"{name} {v['ms']:.1f} ms ({v['ms'] / forward:.2f}, {v['mib']:.0f} MiB)"
            if "ms" in v
            else f"{name}: {v['skipped']}"
            for name, v in found.items()
        )
        print(f"{size}: {shown}", flush=True)
    save("jacobian", machine(), {"batch": BATCH, "figures": figures}, config.out)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(*sys.argv[2:])
    else:
        main(tyro.cli(Config, description=__doc__))
