"""`python -m benchmarks.throughput`: training speed beside the peers, in one interleaved run.

Each contender is a process of its own that waits while another runs; rounds go through all of them
in turn, so that a machine that speeds up or slows down does so for everybody. Figures are medians
over the rounds, and ratios are to the fastest of the torch variants.
"""

import dataclasses
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any, cast

import tyro

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
    """Times jaxae beside its peers.

    Attributes:
      rows: what to time (all of it when nothing is named).
      rounds: how often each contender runs.
      out: folder for the figures as JSON.
    """

    rows: tuple[str, ...] = ()
    rounds: int = 5
    out: Path = Path("benchmarks/results")


class Contender:
    """A worker process."""

    def __init__(self, name: str, row: str):
        command = [sys.executable, "-m", "benchmarks.worker", name, row]
        self.name = name
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.speeds: list[float] = []
        self.peak_mib = 0.0
        answer = self._answer()
        self.skipped: str | None = answer.get("skipped")

    def run(self) -> None:
        stdin = cast(IO[str], self.process.stdin)
        stdin.write("run\n")
        stdin.flush()
        answer = self._answer()
        self.speeds.append(answer["speed"])
        self.peak_mib = answer["peak_mib"]

    def _answer(self) -> dict[str, Any]:
        line = cast(IO[str], self.process.stdout).readline()
        if not line:
            _, errors = self.process.communicate()
            last = errors.strip().splitlines()[-1] if errors else "it ended"
            raise SystemExit(f"{self.name} failed: {last}")
        return json.loads(line)

    def __enter__(self) -> "Contender":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.communicate()

    @property
    def speed(self) -> float:
        return statistics.median(self.speeds)


class Verdict:
    """The rows with a target, and how many of them were met."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, float, str, bool]] = []

    def add(self, title: str, value: float, target: str, *, met: bool) -> None:
        self.rows.append((title, value, target, met))
        print(f"  {'met ' if met else 'MISSED'} {title}: {value:.2f} ({target})", flush=True)


def compare(row: str, rounds: int, verdict: Verdict) -> dict[str, Any]:
    """Times everybody on one workload."""
    workload = WORKLOADS[row]
    print(f"\n{workload.title}", flush=True)
    with ExitStack() as stack:
        everybody = [
            stack.enter_context(Contender(name, row))
            for name in ("jaxae", "matmul", *workload.peers)
        ]
        runners = [c for c in everybody if c.skipped is None]
        for _ in range(rounds):
            for contender in runners:
                contender.run()
        figures: dict[str, Any] = {}
        for c in everybody:
            if c.skipped is not None:
                print(f"  {c.name:28} skipped: {c.skipped}")
                continue
            figures[c.name] = {"runs": c.speeds, "median": c.speed, "peak_mib": c.peak_mib}
            unit = "GFLOP/s" if c.name == "matmul" else "images/s"
            spread = f"{min(c.speeds):,.0f} - {max(c.speeds):,.0f}"
            print(f"  {c.name:28}{c.speed:12,.0f} {unit}  ({spread})  {c.peak_mib:,.0f} MiB")
    judge(row, workload, figures, verdict)
    return figures


def judge(row: str, workload: Workload, figures: dict[str, Any], verdict: Verdict) -> None:
    """Compares the medians with what was asked of them."""
    own = figures["jaxae"]["median"]
    torch = [f["median"] for name, f in figures.items() if name.startswith("torch")]
    if torch:
        ratio, target = own / max(torch), TARGETS.get(row)
        title = f"{workload.title}, to the best torch variant"
        if target is None:
            print(f"  {ratio:.2f} to the best torch variant")
        else:
            verdict.add(title, ratio, f"at least {target}", met=ratio >= target)
    if "pythae" in figures:
        ratio = own / figures["pythae"]["median"]
        verdict.add(
            f"{workload.title}, to pythae's trainer",
            ratio,
            f"at least {PYTHAE_TARGET}",
            met=ratio >= PYTHAE_TARGET,
        )
    if flops := workload.flops():
        fraction = own * flops / 1e9 / figures["matmul"]["median"]
        figures["fraction_of_matmul"] = fraction
        if row == "mlp-vae":
            verdict.add(
                f"{workload.title}, fraction of the matmul peak",
                fraction,
                f"at least {PEAK_TARGET}",
                met=fraction >= PEAK_TARGET,
            )
        else:
            print(f"  {fraction:.2f} of the matmul peak")


def starts(rounds: int, verdict: Verdict) -> dict[str, Any]:
    """Seconds from starting Python to the end of the first training step, and to the import."""
    print("\nstarting", flush=True)

    def seconds(code: str, cache: str) -> float:
        environment = {**os.environ, "JAXAE_CACHE": cache}
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], env=environment, check=True)
        return time.perf_counter() - started

    figures: dict[str, list[float]] = {"cold": [], "cached": [], "import": [], "import jax": []}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as cache:
            figures["cold"].append(seconds(FIRST_STEP, cache))
            figures["cached"].append(seconds(FIRST_STEP, cache))
            figures["import"].append(seconds("import jaxae", cache))
            figures["import jax"].append(seconds("import jax", cache))
    median = {name: statistics.median(values) for name, values in figures.items()}
    print(f"  import jaxae {median['import']:.2f} s, of which jax {median['import jax']:.2f} s")
    for name, target in (("cold", COLD_TARGET), ("cached", CACHED_TARGET)):
        verdict.add(
            f"first training step, {name}, s",
            median[name],
            f"at most {target}",
            met=median[name] <= target,
        )
    return figures


def machine() -> dict[str, str | int]:
    """Where and with what the figures were measured."""

    def of(package: str) -> str:
        try:
            return version(package)
        except PackageNotFoundError:
            return "not installed"

    def commit() -> str:
        command = ["git", "describe", "--always", "--dirty"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout.strip() or "unknown"

    def processor() -> str:
        try:
            lines = Path("/proc/cpuinfo").read_text().splitlines()
        except OSError:
            return platform.processor()
        return next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), "")

    import jax

    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "processor": processor(),
        "cores": os.cpu_count() or 0,
        "device": jax.devices()[0].device_kind,
        "python": platform.python_version(),
        **{package: of(package) for package in ("jax", "flax", "optax", "torch", "pythae")},
    }


def main(config: Config) -> None:
    """Times the rows, prints them, and keeps them as JSON."""
    rows: Sequence[str] = config.rows or [*WORKLOADS, "start"]
    if unknown := [row for row in rows if row not in (*WORKLOADS, "start")]:
        print(f"no row {unknown[0]!r}; there are {', '.join([*WORKLOADS, 'start'])}")
        raise SystemExit(2)
    about = machine()
    print("  ".join(f"{name} {value}" for name, value in about.items()))
    verdict = Verdict()
    figures: dict[str, Any] = {}
    for row in rows:
        if row == "start":
            figures[row] = starts(config.rounds, verdict)
        else:
            figures[row] = compare(row, config.rounds, verdict)
    config.out.mkdir(parents=True, exist_ok=True)
    result = {**about, "figures": figures, "rows": verdict.rows}
    stamp = str(about["date"]).replace(":", "").replace("+0000", "")
    (config.out / f"throughput-{stamp}.json").write_text(json.dumps(result, indent=1) + "\n")
    met = sum(row[-1] for row in verdict.rows)
    print(f"\nrows met: {met} of {len(verdict.rows)}")


if __name__ == "__main__":
    main(tyro.cli(Config))
