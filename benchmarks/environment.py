"""Where a benchmark ran, and the file that keeps its figures."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path("benchmarks/results")


def machine() -> dict[str, str | int]:
    """The date, commit, processor and versions of a measurement."""

    def of(package: str) -> str:
        try:
            return version(package)
        except PackageNotFoundError:
            return "not installed"

    def processor() -> str:
        try:
            lines = Path("/proc/cpuinfo").read_text().splitlines()
        except OSError:
            return platform.processor()
        return next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), "")

    import jax

    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(Path()),
        "processor": processor(),
        "cores": os.cpu_count() or 0,
        "device": jax.devices()[0].device_kind,
        "python": platform.python_version(),
        **{package: of(package) for package in ("jax", "flax", "optax", "torch", "pythae")},
    }


def commit(tree: Path) -> str:
    """The commit of a checkout."""
    command = ["git", "-C", str(tree), "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def save(
    name: str, about: Mapping[str, Any], result: Mapping[str, Any], folder: Path = RESULTS
) -> None:
    """Writes figures to `NAME-DATE.json`."""
    stamp = str(about["date"]).replace(":", "").replace("+0000", "")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{stamp}.json"
    path.write_text(json.dumps({**about, **result}, indent=1) + "\n")
