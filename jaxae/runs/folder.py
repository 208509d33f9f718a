"""The run folder: what was asked for, what happened, and what came out of it.

config.json      the configuration, versions, device, commit
metrics.jsonl    a line for each epoch
checkpoints/     orbax: the state of the training, the best parameters, and what is known of both
nonfinite.npz    the batch of the step at which something stopped being finite, if that was so
figures/*.png
results.json     the final figures, flat; its presence means that the run is complete
"""

import contextlib
import json
import math
import platform
import subprocess
import time
import zlib
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxae import __version__
from jaxae.data.streams import Stream
from jaxae.runtime.files import atomic_write
from jaxae.training.checkpoints import Checkpoints

PACKAGES = ("jax", "flax", "optax", "orbax-checkpoint", "numpy")


class Run:
    """A run folder, new or to be resumed.

    Args:
      directory: where; made if need be.
      config: all that the result depends on, as plain values. A folder that was made with another
        configuration is refused.
      shared: the folder whose checkpoints and results count, if it is another: of several processes that
        train together one reports, and the others write where nobody looks.

    Raises:
      ValueError: if the folder belongs to another configuration (saying what differs), holds other
        files, or cannot be written.

    Examples:
      >>> import tempfile
      >>> folder = tempfile.mkdtemp()
      >>> Run(folder, {"epochs": 2}).finish({"test/loss": 1.5})
      >>> Run(folder, {"epochs": 2}).results
      {'test/loss': 1.5}
    """

    def __init__(
        self,
        directory: str | Path,
        config: Mapping[str, Any],
        *,
        shared: str | Path | None = None,
    ):
        self.directory = Path(directory).expanduser()
        self.shared = self.directory if shared is None else Path(shared).expanduser()
        self._lines: list[bytes] | None = None
        self._config = plain = json.loads(json.dumps(config))
        path = self.directory / "config.json"
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            if path.exists():
                _check_same(self.directory, json.loads(path.read_text()), plain)
            elif any(not path.name.startswith(".") for path in self.directory.iterdir()):
                raise ValueError(
                    f"{self.directory} has files in it but no config.json, so it is no run folder; "
                    "take another --run-dir"
                )
            else:
                write_json(path, {"config": plain, **environment()})
        except OSError as error:
            raise ValueError(
                f"{self.directory} cannot be a run folder: {error.strerror}"
            ) from error
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError(
                f"{path} is damaged ({type(error).__name__}); remove {self.directory} or take another "
                "--run-dir"
            ) from error
        self.checkpoints = Checkpoints(self.shared / "checkpoints")

    def part(self, name: str) -> "Run":
        """The folder of one of several models that are trained in this run."""
        return Run(self.directory / name, self._config | {"part": name}, shared=self.shared / name)

    @property
    def figures(self) -> Path:
        """The folder for figures."""
        return self.directory / "figures"

    @property
    def results(self) -> dict[str, Any] | None:
        """The results of a complete run; None while there are none."""
        path = self.shared / "results.json"
        try:
            results = json.loads(path.read_text())
        except (FileNotFoundError, ValueError, RecursionError):  # not there, or damaged
            return None
        return results if isinstance(results, dict) else None

    def log(self, record: Mapping[str, float | int | str]) -> None:
        """Makes it the line of its epoch in metrics.jsonl, and the last one.

        A run that is resumed logs what it has restored, which changes nothing, and then goes on: lines of
        epochs that were lost, or half of a line, give way.
        """
        path, number = self.directory / "metrics.jsonl", int(record["epoch"])
        if self._lines is None:
            self._lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        line = (json.dumps(_plain(record)) + "\n").encode()
        if self._lines[number - 1 : number] == [line]:
            return
        before = b"".join(self._lines[: number - 1])
        with open(path, "r+b" if path.exists() else "w+b") as file:
            file.seek(len(before))
            file.truncate()
            file.write(line)
        self._lines[number - 1 :] = [line]

    def finish(self, results: Mapping[str, Any]) -> None:
        """Writes results.json."""
        write_json(self.directory / "results.json", _plain(results))


def new_directory(experiment: str, dataset: str) -> Path:
    """A run folder of its own for a run without a name: `runs/EXPERIMENT-DATASET-TIME`."""
    stem = f"{experiment}-{Path(dataset).stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    path, count = Path("runs") / stem, 1
    while path.exists():
        count += 1
        path = Path("runs") / f"{stem}-{count}"
    return path


def fingerprint(images: np.ndarray | Stream) -> str:
    """Shape and checksum (of some 64 of the images), to notice that a data set has changed."""
    some = np.ascontiguousarray(images[:: max(1, len(images) // 64)])
    return f"{'x'.join(map(str, images.shape))}-{zlib.crc32(some.tobytes()):08x}"


def environment() -> dict[str, Any]:
    """Versions, device and commit, for the record."""
    device = jax.devices()[0]
    root = Path(__file__).parents[2]
    commit = ""
    if (root / ".git").exists():  # else the commit would be that of another project, or none
        command = ["git", "-C", str(root), "rev-parse", "HEAD"]
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            done = subprocess.run(command, capture_output=True, text=True, timeout=10)
            commit = done.stdout.strip()
    return {
        "versions": {"python": platform.python_version(), "jaxae": __version__}
        | {p: version(p) for p in PACKAGES},
        "device": f"{jax.device_count()} x {device.device_kind} ({device.platform})",
        "commit": commit or None,
    }


def write_json(path: Path, value: Any) -> None:
    """Writes a file whole or not at all."""
    text = json.dumps(value, indent=2, allow_nan=False) + "\n"
    with atomic_write(path) as partial:
        partial.write_text(text)


def _check_same(directory: Path, found: Any, config: dict[str, Any]) -> None:
    before = found.get("config") if isinstance(found, dict) else None
    if not isinstance(before, dict):
        raise ValueError(f"{directory / 'config.json'} is not the configuration of a run")
    names = [*before, *(name for name in config if name not in before)]
    differences = [
        f"{name} was {before.get(name)!r} and is {config.get(name)!r}"
        for name in names
        if before.get(name) != config.get(name)
    ]
    if differences:
        said = " ".join("; ".join(differences).split())
        said = said if len(said) < 300 else f"{said[:300]} ..."
        raise ValueError(f"{directory} belongs to another run: {said}; take another --run-dir")


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no infinity and no nan; they become null."""
    return {
        name: None if isinstance(v, float) and not math.isfinite(v) else v
        for name, v in values.items()
    }
