"""What run folders record of the models that they train, for comparisons."""

import dataclasses
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxae.data.messages import counted
from jaxae.runs.folder import read_config, read_results
from jaxae.runtime.files import is_locked

History = list[dict[str, Any]]

COST = ("parameters", "images_per_second", "compile_seconds", "training_seconds", "seconds")
"""Results that say what a run costs."""
TRAINING = ("best_epoch", "epochs", "validation/loss")
"""Results of a run that say how long it was trained."""
NOT_FLAGS = ("data", "part", "experiment")
"""Names in the recorded configuration that are no flags."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """One trained model: a run, or a part of a run that trains several.

    Attributes:
      name: of the folder, and of the part.
      directory: the run folder.
      part: the name of its model in the results; empty if the run has one model.
      folders: the folders of its trainings, relative to the run folder: several, if the run repeats the
        training with several seeds itself.
      experiment: that made the run.
      flags: the recorded flags.
      data: identifies the test images.
      task: what the model makes of an image, in words; empty for a plain reconstruction.
      use: the recorded task.
      histories: the lines of metrics.jsonl, of each training.
      results: by measure; empty if there are none.
      baselines: measures of other methods on the same test images, by the name of the method.
      cost: parameters, seconds and images per second, as far as they are recorded.
      protocol: how the results were computed.
      status: in words.
      notes: what a reader should know of it.
    """

    name: str
    directory: Path
    part: str = ""
    folders: tuple[str, ...] = ("",)
    experiment: str = ""
    flags: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    data: str = ""
    task: str = ""
    use: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    histories: tuple[History, ...] = ()
    results: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    baselines: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    cost: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    protocol: str = ""
    status: str = "complete"
    notes: tuple[str, ...] = ()


def is_number(value: Any) -> bool:
    """Whether a value of JSON is a finite number."""
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return numeric and math.isfinite(value)


def read(folder: str | Path, part: str | None = None) -> list[Entry]:
    """The models of a run folder, also of a run that is not complete.

    Args:
      folder: the run folder.
      part: the name of the only model that is wanted, of a run that trains several.

    Raises:
      ValueError: if the folder is no run folder, or has no such part.
    """
    directory = Path(folder).expanduser()
    record = read_config(directory)
    config = record["config"]
    results = read_results(directory) or {}
    damaged = not results and (directory / "results.json").exists()
    notes = ["its results.json is damaged; repeat the command that made it"] if damaged else []
    if record.get("continued"):
        notes.append(_continued(record["continued"]))
    parts = _parts(directory, record)
    common: dict[str, Any] = {
        "directory": directory,
        "experiment": str(config.get("experiment", "")),
        "flags": _flags(record),
        "data": test_data(config),
        "task": _task(record.get("use")),
        "use": record.get("use") or {},
        "protocol": str(results.get("protocol", "")),
    }
    name = directory.resolve().name
    measures = _by_model(results)
    own = _history(directory)
    taken = {m: [p for p in parts if _same(p, m)] for m in measures if m != "test"}
    taken = {model: found for model, found in taken.items() if found}
    baselines = {m: v for m, v in measures.items() if m != "test" and m not in taken}
    cost = {k: results[k] for k in COST if k in results}
    entries = []
    if "test" in measures or own or not (taken or parts):
        # A run of one model that is trained several times has its curves in the parts.
        rest = [p for p in parts if not any(p in found for found in taken.values())]
        folders = ("",) if own or not rest else tuple(rest)
        histories = [own] if own else [_history(directory / p) for p in rest]
        extra = {k: results[k] for k in TRAINING if k in results}
        entries.append(
            Entry(
                name=name,
                folders=folders,
                histories=tuple(h for h in histories if h),
                results=measures.get("test", {}) | extra if results else {},
                baselines=baselines,
                cost=_speed(histories) | cost,
                **common,
            )
        )
    listed = taken if results else {p: [p] for p in parts}
    for model, found in listed.items():
        histories = [_history(directory / p) for p in found]
        mine = dict(measures.get(model, {}))
        entries.append(
            Entry(
                name=f"{name}/{model}",
                part=model,
                folders=tuple(found),
                histories=tuple(h for h in histories if h),
                results={k: v for k, v in mine.items() if k not in COST},
                baselines=baselines,
                cost=_speed(histories) | {k: v for k, v in mine.items() if k in COST},
                **(common | {"flags": _own_flags(common["flags"], directory / found[0])}),
            )
        )
    if part is not None:
        wanted = [e for e in entries if part == e.part or part in e.folders]
        if not wanted:
            names = ", ".join(e.part for e in entries if e.part) or "none"
            raise ValueError(f"{directory} has no part {part!r}; its parts: {names}")
        entries = wanted
    status = "complete" if results else ""
    return [
        dataclasses.replace(
            entry, status=status or _status(directory, entry), notes=(*notes, *entry.notes)
        )
        for entry in entries
    ]


def test_data(config: Mapping[str, Any]) -> str:
    """What identifies the test images of a run: their fingerprint, or else the flags of the data."""
    data = config.get("data")
    if isinstance(data, Mapping) and "test images" in data:
        return str(data["test images"])
    names = ("dataset", "image_size", "binarize", "channels", "levels", "frames")
    return json.dumps([config.get(name) for name in names] + [data])


def _speed(histories: Sequence[History]) -> dict[str, float]:
    """What the records of the epochs say about the cost of the training."""
    records = [record for history in histories for record in history]
    seconds = [float(r["seconds"]) for r in records if is_number(r.get("seconds"))]
    images = [
        float(r["images_per_second"]) * float(r["seconds"])
        for r in records
        if is_number(r.get("images_per_second")) and is_number(r.get("seconds"))
    ]
    if not seconds or sum(seconds) <= 0:
        return {}
    found = {"training_seconds": sum(seconds)}
    return found | ({"images_per_second": sum(images) / sum(seconds)} if images else {})


def _task(use: Any) -> str:
    """A task other than reconstruction, with its options, in words."""
    if not isinstance(use, Mapping) or use.get("task", "reconstruct") == "reconstruct":
        return ""
    options = [f"{k.replace('_', ' ')} {words(v)}" for k, v in use.items() if k != "task"]
    return f"task: {', '.join([str(use['task']), *options])}"


def _flags(record: Mapping[str, Any]) -> dict[str, Any]:
    flags = {
        name: value
        for name, value in record["config"].items()
        if name not in NOT_FLAGS and not name.endswith("_data")
    }
    flags["continued"] = [
        {k: v for k, v in one.items() if k not in ("date", "version")}
        for one in record.get("continued") or []
    ]
    return flags


def _continued(stretches: Sequence[Mapping[str, Any]]) -> str:
    words = [
        f"from epoch {one.get('from_epoch')} for {counted(int(one.get('epochs', 0)), 'epoch')} at "
        f"{one.get('learning_rate')} ({one.get('schedule')})"
        for one in stretches
    ]
    ended = stretches[-1].get("complete", True)
    before = "" if ended else "; that has not ended, and the results are from before"
    return f"continued {', then '.join(words)}{before}"


def words(value: Any) -> str:
    """The value of a flag, in words."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(v, Mapping) for v in value) and value:
        return f"+{counted(sum(int(v.get('epochs', 0)) for v in value), 'epoch')}"
    if isinstance(value, list | tuple):
        return " ".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _history(directory: Path) -> History:
    """The lines of metrics.jsonl; a half-written last line is left out."""
    try:
        lines = (directory / "metrics.jsonl").read_text(errors="replace").splitlines()
    except OSError:
        return []
    history = []
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            break
        if not isinstance(record, dict) or not is_number(record.get("epoch")):
            break
        history.append(record)
    return history


def _parts(directory: Path, record: Mapping[str, Any]) -> list[str]:
    """The names of the models that are trained in a run, beside its own."""
    listed = record.get("parts")
    if isinstance(listed, list):
        return [str(name) for name in listed if (directory / str(name)).is_dir()]
    return sorted(path.parent.name for path in directory.glob("*/config.json"))


def _own_flags(flags: Mapping[str, Any], directory: Path) -> dict[str, Any]:
    """The flags of a run with the values that one of its models was trained with, as in a sweep."""
    try:
        own = _flags(read_config(directory))
    except ValueError:
        own = {}
    return {name: own.get(name, value) for name, value in flags.items()}


def _by_model(results: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The results of each model: `test/psnr` is the measure `psnr` of the model `test`.

    A run that is several runs has `code_2/test/psnr` and `code_2/mean_image/psnr`, of the same test images.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, value in results.items():
        model, _, measure = name.rpartition("/")
        if model.endswith("/validation"):
            model, measure = model.removesuffix("/validation"), f"validation/{measure}"
        model = "mean_image" if model.endswith("/mean_image") else model.removesuffix("/test")
        if model and name not in TRAINING:
            found.setdefault(model, {})[measure] = value
    return found


def _same(part: str, model: str) -> bool:
    """Whether a folder is that of a model: `rate-0.2` of `rate_0.2`, `AE-3` of `AE` with seed 3."""

    def plain(name: str) -> str:
        return re.sub(r"[ _-]+", "-", name)

    return plain(part) == plain(model) or plain(re.sub(r"-\d+$", "", part)) == plain(model)


def _status(directory: Path, entry: Entry) -> str:
    """The state of a run without results, in words."""
    epochs = [history[-1]["epoch"] for history in entry.histories]
    asked = entry.flags.get("epochs")
    done = f"after epoch {max(epochs)}" if epochs else "before the end of its first epoch"
    if epochs and is_number(asked):
        done += f" of {max(asked, *epochs)}"
    return f"training, {done}" if is_locked(directory) else f"no results, stopped {done}"
