"""The run folder: the configuration, metrics, checkpoints, figures and results of a run.

config.json      the configuration, the recipe of the model, its inputs, versions, device, commit
codes.json       the mean and the standard deviation of the training codes
metrics.jsonl    a line for each epoch
checkpoints/     orbax: the state of the training and the best parameters
nonfinite.npz    the batch at which a loss or a gradient was not finite, if that happened
figures/*.png
results.json     the final measures; it exists once the run is complete
.results.crc32   the checksum of results.json, by which damage is noticed
"""

import contextlib
import json
import math
import platform
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

import jaxae
from jaxae.runs.identity import compare
from jaxae.runtime.files import atomic_write, exclusive
from jaxae.training.checkpoints import Checkpoints

LAYOUT = 2
"""Version of the run folder; incremented on every incompatible change."""

CHECKSUM = ".results.crc32"
"""The checksum of results.json, in a file of its own so that the results stay plain JSON."""

PACKAGES = ("jax", "flax", "optax", "orbax-checkpoint", "numpy")


class Run:
    """A run folder, new or to be resumed.

    Args:
      directory: the folder; it is created if it does not exist.
      config: everything the results depend on, as plain values. A folder that was created with another
        configuration is refused, see :func:`jaxae.runs.identity.compare`.
      shared: the folder of the checkpoints and results, if it is another one: of several processes
        that train together only the first writes there, and the others write to a temporary folder.
      defaults: the values of names of `config` that an older version of jaxae did not record.
      not_longer: from the recorded number of epochs to the reason why training for more epochs is not the
        same as training for all of them at once; None if it is the same, and the run can go on. By
        default there is a reason.

    Attributes:
      notes: lines for the user on what the folder and `config` do not have in common.

    Raises:
      ValueError: if the folder belongs to another configuration (the message says what differs) or to
        another version of jaxae, contains other files, or cannot be written.

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
        defaults: Mapping[str, Any] | None = None,
        not_longer: Callable[[int], str | None] = lambda epochs: "its results depend on the epochs",
    ):
        self.directory = Path(directory).expanduser()
        self.shared = self.directory if shared is None else Path(shared).expanduser()
        self._lines: list[bytes] | None = None
        self.notes: tuple[str, ...] = ()
        self._config = plain = json.loads(json.dumps(config))
        self._defaults = json.loads(json.dumps({} if defaults is None else defaults))
        path = self.directory / "config.json"
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            if path.exists():
                self._join(read_config(self.directory), not_longer)
            elif any(not path.name.startswith(".") for path in self.directory.iterdir()):
                raise ValueError(
                    f"{self.directory} has files in it but no config.json, so it is not a run folder; "
                    "use another --run-dir"
                )
            else:
                write_json(path, {"layout": LAYOUT, "config": plain} | environment())
        except OSError as error:
            raise ValueError(
                f"{self.directory} cannot be used as a run folder: {error.strerror}"
            ) from error
        self.checkpoints = Checkpoints(self.shared / "checkpoints")

    def describe(self, **record: Any) -> None:
        """Records what :func:`jaxae.load_run` needs to know, in config.json: `recipe`, `inputs`, `use` ..."""
        path = self.directory / "config.json"
        found = read_config(self.directory)
        new = found | json.loads(json.dumps(record))
        if new != found:
            write_json(path, new)

    def part(self, name: str) -> "Run":
        """The folder of one of several models that are trained in this run."""
        config = self._config | {"part": name}
        parts = read_config(self.directory).get("parts", [])
        if name not in parts:
            self.describe(parts=[*parts, name])
        return Run(
            self.directory / name,
            config,
            shared=self.shared / name,
            defaults=self._defaults,
        )

    def _join(
        self,
        found: dict[str, Any],
        not_longer: Callable[[int], str | None],
    ) -> None:
        """Checks that the folder is of this run, which may train for more epochs than before."""
        before = found["config"]
        differences, ignored = compare(before, self._config, self._defaults)
        if ignored:
            version = (found.get("versions") or {}).get("jaxae", "unknown")
            writer = "another revision" if version == jaxae.__version__ else f"version {version}"
            self.notes = (
                f"{self.directory} was started by {writer} of jaxae, and this version does not have the "
                f"same flags; their defaults are assumed: {', '.join(ignored)}",
            )
        epochs = before.get("epochs"), self._config.get("epochs")
        if list(differences) == ["epochs"] and None not in epochs and epochs[1] > epochs[0]:
            if (reason := not_longer(epochs[0])) is not None:
                raise ValueError(
                    f"{self.directory} cannot be trained longer: {differences['epochs']}, and {reason}; "
                    "use another --run-dir"
                )
            with exclusive(self.directory):
                (self.directory / "results.json").unlink(missing_ok=True)
                write_json(self.directory / "config.json", found | {"config": self._config})
            return
        if differences:
            first, *others = differences.values()
            first = " ".join(first.split())
            first = first if len(first) < 300 else f"{first[:300]} ..."
            more = (
                f" (and {len(others)} more, {', '.join(list(differences)[1:4])}" if others else ""
            )
            more += (", ...)" if len(others) > 3 else ")") if others else ""
            raise ValueError(
                f"{self.directory} belongs to another run: {first}{more}; use another --run-dir"
            )

    @property
    def figures(self) -> Path:
        """The folder for figures."""
        return self.directory / "figures"

    @property
    def results(self) -> dict[str, Any] | None:
        """The results of a complete run, or None."""
        return read_results(self.shared)

    def log(self, record: Mapping[str, float | int | str]) -> None:
        """Writes the line of an epoch to metrics.jsonl, and removes the lines after it.

        A resumed run first logs the epochs that it has restored, whose lines are unchanged. When it goes
        on, lines of epochs that were not saved, and half-written lines, are replaced.
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
        path = self.directory / "results.json"
        content = (json.dumps(_plain(results), indent=2, allow_nan=False) + "\n").encode()
        # The checksum first: results exist once the run is complete.
        for name, data in (
            (CHECKSUM, f"{zlib.crc32(content):08x}\n".encode()),
            (path.name, content),
        ):
            with atomic_write(path.with_name(name)) as partial:
                partial.write_bytes(data)


def read_config(directory: str | Path) -> dict[str, Any]:
    """The contents of config.json, of which `config` is the configuration.

    Raises:
      ValueError: if there is none, it is damaged, or another version of jaxae wrote it.
    """
    path = Path(directory).expanduser() / "config.json"
    try:
        found = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(f"{directory} is not a run folder: {_why_not(path.parent)}") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(
            f"{path} is damaged and cannot be read as JSON; restore it, or train the run in another folder"
        ) from error
    if not isinstance(found, dict) or not isinstance(found.get("config"), dict):
        raise ValueError(f"{path} is not the configuration of a run")
    # Folders of the first layout did not record its version.
    if (layout := found.get("layout", 1)) != LAYOUT:
        raise ValueError(
            f"{directory} was written by another version of jaxae (layout {layout!r:.20}; this version "
            f"uses {LAYOUT}); use that version, or use another folder"
        )
    return found


def _why_not(directory: Path) -> str:
    """Why a folder without config.json is no run folder, and which may be meant."""
    if not directory.exists():
        return "there is no such folder"
    if not directory.is_dir():
        return "it is a file"
    runs = sorted(path.parent for path in directory.glob("*/config.json"))
    return "it has no config.json" + (f"; {runs[0]} is one" if runs else "")


def read_results(directory: Path) -> dict[str, Any] | None:
    """The results in a run folder, or None if there are none or they are damaged."""
    path = directory / "results.json"
    try:
        content = path.read_bytes()
        # Folders of earlier versions have no checksum.
        sidecar = path.with_name(CHECKSUM)
        intact = not sidecar.exists() or int(sidecar.read_text(), 16) == zlib.crc32(content)
        results = json.loads(content) if intact else None
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError):
        results = None
    if isinstance(results, dict):
        return results
    print(f"damaged: {path}; the results are computed again", file=sys.stderr)
    return None


def new_directory(experiment: str, dataset: str) -> Path:
    """A new run folder for a run without a name: `runs/EXPERIMENT-DATASET-TIME`."""
    stem = f"{experiment}-{Path(dataset).stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    path, count = Path("runs") / stem, 1
    while path.exists():
        count += 1
        path = Path("runs") / f"{stem}-{count}"
    return path


def environment() -> dict[str, Any]:
    """Versions, device and commit, for the record."""
    device = jax.devices()[0]
    root = Path(__file__).parents[2]
    commit = ""
    if (root / ".git").exists():  # otherwise git would find the commit of another project
        command = ["git", "-C", str(root), "rev-parse", "HEAD"]
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            done = subprocess.run(command, capture_output=True, text=True, timeout=10)
            commit = done.stdout.strip()
    return {
        "versions": {"python": platform.python_version(), "jaxae": jaxae.__version__}
        | {p: version(p) for p in PACKAGES},
        "device": f"{jax.device_count()} x {device.device_kind} ({device.platform})",
        "commit": commit or None,
    }


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file completely or not at all."""
    text = json.dumps(value, indent=2, allow_nan=False) + "\n"
    with atomic_write(path) as partial:
        partial.write_text(text)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has neither infinity nor nan, which become null."""
    return {
        name: None if isinstance(v, float) and not math.isfinite(v) else v
        for name, v in values.items()
    }
