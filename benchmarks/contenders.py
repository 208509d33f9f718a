"""Worker processes that take turns."""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, cast


class Contender:
    """A worker process (benchmarks/worker.py) that trains when it is told to and waits otherwise.

    Args:
      name: what it trains with, such as "jaxae" or "torch".
      row: which workload.
      tree: another checkout of this repository, whose code it runs in place of this one's.
    """

    def __init__(self, name: str, row: str, tree: Path | None = None):
        self.name = name if tree is None else f"{name}, {tree.name}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", name, row],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tree,
            env=environment(tree),
        )
        self.speeds: list[float] = []
        self.peak_mib = 0.0
        self.skipped: str | None = self._answer().get("skipped")

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
            last = errors.strip().splitlines()[-1] if errors.strip() else "the process ended"
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


def environment(tree: Path | None, **more: str) -> dict[str, str]:
    """The environment of a process that imports the packages of `tree`, by default of this checkout."""
    return {**os.environ, "PYTHONPATH": str((tree or Path()).resolve()), **more}


def take_turns(runners: Sequence[Contender], rounds: int) -> None:
    """Runs each contender once in every round, in reversed order in every second round."""
    for i in range(rounds):
        for contender in runners[:: -1 if i % 2 else 1]:
            contender.run()
