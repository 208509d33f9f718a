"""`python -m benchmarks.throughput`: training speed beside other libraries, in one interleaved run.

Each contender is a process of its own that waits while another runs. Every round runs all of them in
turn, so that a machine that slows down slows down all of them. Figures are medians over the rounds, and
ratios are to the fastest of the torch variants.

    python -m benchmarks.throughput --rows mlp-vae conv-vae start --tree ../before

compares this checkout with another one instead, such as an earlier commit in a git worktree.
"""

import dataclasses
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import tyro

from benchmarks.contenders import Contender, environment, take_turns
from benchmarks.environment import RESULTS, commit, machine, save
from benchmarks.workloads import WORKLOADS, Workload

TARGETS = {
    "mlp-vae": 2.5,
    "deep-ae": 2.0,
    "conv-vae": 1.2,
    "conv-vae-64": 1.0,
    "contractive-wide": 3.0,
    "contractive-deep": 3.0,
    "contractive-deep-reverse": 3.0,
}
PYTHAE_TARGET, PEAK_TARGET, COLD_TARGET, CACHED_TARGET = 3.5, 0.75, 5.0, 1.5

FIRST_STEP = """
import jax, optax, jaxae, numpy as np
from benchmarks.ours import model
from benchmarks.workloads import WORKLOADS
images = np.zeros((128, 28, 28, 1), np.uint8)
jaxae.fit(model(WORKLOADS["mlp-vae"], "mlp-vae"), images, optimizer=optax.adam(1e-3), epochs=1,
          batch_size=128, key=jax.random.key(0), progress=False)
"""


@dataclasses.dataclass(frozen=True)
class Config:
    """Times jaxae beside other libraries, or beside another checkout.

    Attributes:
      rows: what to time (all of it when nothing is named).
      rounds: how often each contender runs.
      tree: another checkout of this repository to compare with, in place of the other libraries.
      out: folder for the figures as JSON.
    """

    rows: tuple[str, ...] = ()
    rounds: int = 5
    tree: Path | None = None
    out: Path = RESULTS


class Targets:
    """The rows that have a target, and whether they met it."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, float, str, bool]] = []

    def add(self, title: str, value: float, target: str, *, met: bool) -> None:
        self.rows.append((title, value, target, met))
        print(f"  {'met ' if met else 'MISSED'} {title}: {value:.2f} ({target})", flush=True)


def compare(row: str, rounds: int, targets: Targets) -> dict[str, Any]:
    """Times all contenders on one workload."""
    workload = WORKLOADS[row]
    figures = measure(row, rounds, ("jaxae", "matmul", *workload.peers))
    check_targets(row, workload, figures, targets)
    return figures


def compare_trees(row: str, rounds: int, tree: Path) -> dict[str, Any]:
    """Times this checkout and another one on one workload."""
    figures = measure(row, rounds, ("jaxae",), tree)
    own, other = (found["runs"] for found in figures.values())
    # Two runs of one round are close in time: their ratio varies less than the speeds.
    ratios = [a / b for a, b in zip(own, other, strict=True)]
    print(
        f"  {statistics.median(ratios):.3f} times the speed of {tree.name} "
        f"({min(ratios):.3f} - {max(ratios):.3f})",
        flush=True,
    )
    return figures


def measure(
    row: str, rounds: int, names: Sequence[str], tree: Path | None = None
) -> dict[str, Any]:
    """The speeds of contenders on one workload, and of the first of them in another checkout."""
    print(f"\n{WORKLOADS[row].title}", flush=True)
    with ExitStack() as stack:
        contenders = [stack.enter_context(Contender(name, row)) for name in names]
        if tree is not None:
            contenders.append(stack.enter_context(Contender(names[0], row, tree)))
        take_turns([c for c in contenders if c.skipped is None], rounds)
        figures: dict[str, Any] = {}
        for c in contenders:
            if c.skipped is not None:
                print(f"  {c.name:28} skipped: {c.skipped}")
                continue
            figures[c.name] = {"runs": c.speeds, "median": c.speed, "peak_mib": c.peak_mib}
            unit = "GFLOP/s" if c.name == "matmul" else "images/s"
            spread = f"{min(c.speeds):,.0f} - {max(c.speeds):,.0f}"
            print(f"  {c.name:28}{c.speed:12,.0f} {unit}  ({spread})  {c.peak_mib:,.0f} MiB")
    return figures


def check_targets(row: str, workload: Workload, figures: dict[str, Any], targets: Targets) -> None:
    """Compares the medians with the targets."""
    own = figures["jaxae"]["median"]
    torch = [f["median"] for name, f in figures.items() if name.startswith("torch")]
    if torch:
        ratio, target = own / max(torch), TARGETS.get(row)
        title = f"{workload.title}, to the best torch variant"
        if target is None:
            print(f"  {ratio:.2f} to the best torch variant")
        else:
            targets.add(title, ratio, f"at least {target}", met=ratio >= target)
    if "pythae" in figures:
        ratio = own / figures["pythae"]["median"]
        targets.add(
            f"{workload.title}, to pythae's trainer",
            ratio,
            f"at least {PYTHAE_TARGET}",
            met=ratio >= PYTHAE_TARGET,
        )
    if flops := workload.flops():
        fraction = own * flops / 1e9 / figures["matmul"]["median"]
        figures["fraction_of_matmul"] = fraction
        if row == "mlp-vae":
            targets.add(
                f"{workload.title}, fraction of the matmul peak",
                fraction,
                f"at least {PEAK_TARGET}",
                met=fraction >= PEAK_TARGET,
            )
        else:
            print(f"  {fraction:.2f} of the matmul peak")


def first_steps(rounds: int, tree: Path | None = None) -> dict[str, list[float]]:
    """Seconds from starting Python to the end of the first training step, and of imports."""
    names = ("this",) if tree is None else ("this", tree.name)
    figures: dict[str, list[float]] = {}

    def add(name: str, what: str, code: str, cache: str) -> None:
        where = None if name == "this" else tree
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-c", code],
            env=environment(where, JAXAE_CACHE=cache),
            cwd=where,
            check=True,
        )
        key = what if tree is None else f"{what}, {name}"
        figures.setdefault(key, []).append(time.perf_counter() - started)

    for i in range(rounds):
        for name in names[:: -1 if i % 2 else 1]:
            with tempfile.TemporaryDirectory() as cache:
                add(name, "cold", FIRST_STEP, cache)
                add(name, "cached", FIRST_STEP, cache)
                add(name, "import", "import jaxae", cache)
                add(name, "import jax", "import jax", cache)
    return figures


def starts(rounds: int, targets: Targets) -> dict[str, list[float]]:
    """Compares the time to the first training step with its targets."""
    print("\nstart", flush=True)
    figures = first_steps(rounds)
    median = {name: statistics.median(values) for name, values in figures.items()}
    print(f"  import jaxae {median['import']:.2f} s, of which jax {median['import jax']:.2f} s")
    for name, target in (("cold", COLD_TARGET), ("cached", CACHED_TARGET)):
        targets.add(
            f"first training step, {name}, s",
            median[name],
            f"at most {target}",
            met=median[name] <= target,
        )
    return figures


def compare_starts(rounds: int, tree: Path) -> dict[str, list[float]]:
    """Times the first training step of this checkout and of another one."""
    print("\nstart", flush=True)
    figures = first_steps(rounds, tree)
    for name, values in sorted(figures.items()):
        spread = f"{min(values):.2f} - {max(values):.2f}"
        print(f"  {name:28}{statistics.median(values):8.2f} s  ({spread})", flush=True)
    return figures


def main(config: Config) -> None:
    """Times the rows, prints them, and keeps them as JSON."""
    rows: Sequence[str] = config.rows or [*WORKLOADS, "start"]
    if unknown := [row for row in rows if row not in (*WORKLOADS, "start")]:
        print(
            f"error: there is no row {unknown[0]!r}; there are {', '.join([*WORKLOADS, 'start'])}"
        )
        raise SystemExit(2)
    tree = None if config.tree is None else config.tree.resolve()
    if tree is not None and not (tree / "benchmarks" / "worker.py").exists():
        print(f"error: {config.tree} is no checkout of this repository: it has no benchmarks")
        raise SystemExit(2)
    about = machine()
    print("  ".join(f"{name} {value}" for name, value in about.items()))
    if tree is not None:
        about[f"commit of {tree.name}"] = commit(tree)
    targets = Targets()
    figures: dict[str, Any] = {}
    for row in rows:
        if tree is not None:
            figures[row] = (
                compare_starts(config.rounds, tree)
                if row == "start"
                else compare_trees(row, config.rounds, tree)
            )
        elif row == "start":
            figures[row] = starts(config.rounds, targets)
        else:
            figures[row] = compare(row, config.rounds, targets)
    save("throughput", about, {"figures": figures, "rows": targets.rows}, config.out)
    if tree is None:
        met = sum(row[-1] for row in targets.rows)
        print(f"\nrows met: {met} of {len(targets.rows)}")


if __name__ == "__main__":
    main(tyro.cli(Config))
