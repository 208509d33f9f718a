"""What is known of a run folder, whether or not its model can be loaded."""

import json
import math
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import jax

from jaxae import __version__
from jaxae.data.messages import counted, describe_shape
from jaxae.runs.folder import read_config, read_results
from jaxae.runs.loading import TrainedRun, load_run
from jaxae.runs.tables import number
from jaxae.runtime.files import is_locked


def summarise(folder: str | Path, part: str | None = None) -> dict[str, Any]:
    """What is known of a run, as plain values.

    Args:
      folder: the run folder.
      part: of a run of several models, the one that is described.

    Returns:
      a dict with the keys `folder`, `experiment`, `dataset`, `state` (complete, training or interrupted),
      `parts`, `part`, `model`, `problem` (why the model cannot be loaded, or None), `parameters`,
      `shape`, `code_shape`, `use`, `epochs` (of the run, trained, selected), `last_epoch` (its metrics),
      `results`, `config`, `versions`, `device`, `commit` and `files`.

    Raises:
      ValueError: if it is no run folder, is damaged, or has no such part.
    """
    root = Path(folder).expanduser()
    record = read_config(root)
    config = record["config"]
    parts = [str(name) for name in record.get("parts") or []]
    if part is not None and part not in parts:
        known = f"its parts are {', '.join(parts)}" if parts else "it has no parts"
        raise ValueError(f"{folder} has no part {part!r}; {known}")
    results = read_results(root)
    run, problem = None, None
    try:
        run = load_run(root, part)
    except ValueError as error:
        problem = " ".join(str(error).split())
    history = _history(root / (run.part if run is not None else part or ""))
    state = "complete" if results is not None else "interrupted"
    if results is None and is_locked(root):
        state = "training"
    selected = (results or {}).get("best_epoch")
    return {
        "folder": str(root),
        "state": state,
        "experiment": config.get("experiment"),
        "dataset": config.get("dataset"),
        "parts": parts,
        "part": run.part if run is not None else part or "",
        "problem": problem,
        **_of_model(run),
        "epochs": {
            "all": (config if run is None else run.config).get("epochs"),
            "trained": int(history[-1].get("epoch", len(history))) if history else 0,
            "selected": selected,
        },
        "last_epoch": history[-1] if history else None,
        "results": results,
        "config": config,
        "versions": record.get("versions") or {},
        "device": record.get("device"),
        "commit": record.get("commit"),
        "files": _files(root),
    }


def in_words(found: Mapping[str, Any]) -> dict[str, str]:
    """The table that `jaxae info` prints, from :func:`summarise`."""
    epochs = found["epochs"]
    trained = epochs["trained"]
    done = f"{trained} of {epochs['all']} epochs" if epochs["all"] else counted(trained, "epoch")
    if epochs["selected"] is not None:
        done += f", epoch {epochs['selected']} is selected"
    state = {
        "complete": "complete",
        "training": "a process is training it now",
        "interrupted": f"not complete; to resume it, repeat its command with --run-dir {found['folder']}",
    }[found["state"]]
    rows = {"state": state, "experiment": str(found["experiment"]), "data": str(found["dataset"])}
    if found["shape"] is not None:
        rows["data"] += f", images of {describe_shape(found['shape'])}"
    if found["parts"]:
        main = f"; shown: {found['part']}" if found["part"] else ""
        rows["parts"] = f"{', '.join(found['parts'])}{main}"
    rows["model"] = found["model"] or f"cannot be loaded: {found['problem']}"
    if found["code_shape"] is not None:
        rows["code"] = found["code_shape"]
    if found["parameters"] is not None:
        rows["parameters"] = f"{found['parameters']:,}"
    if found["use"] is not None and found["use"].get("task") != "reconstruct":
        rows["use"] = ", ".join(
            str(v) if k == "task" else f"{k} {v}" for k, v in found["use"].items()
        )
    rows["training"] = done
    last = found["last_epoch"] or {}
    losses = {k: last[k] for k in ("train/loss", "validation/loss") if last.get(k) is not None}
    if losses:
        rows["last epoch"] = ", ".join(f"{k} {number(v)}" for k, v in losses.items())
    if protocol := (found["results"] or {}).get("protocol"):
        rows["protocol"] = str(protocol)
    rows["versions"] = _versions(found["versions"])
    if found["device"]:
        rows["device"] = str(found["device"])
    rows["files"] = "\n".join(f"{name}: {text}" for name, text in found["files"].items())
    return rows


def main_results(results: Mapping[str, Any], most: int) -> dict[str, str]:
    """Some of the results as text: those of the test images first, and numbers only."""
    numbers = {k: v for k, v in results.items() if isinstance(v, int | float) and v is not True}
    ordered = sorted(numbers, key=lambda k: 0 if k.startswith("test/") else 1)
    return {name: number(numbers[name]) for name in ordered[:most]}


def _of_model(run: TrainedRun | None) -> dict[str, Any]:
    if run is None:
        return dict.fromkeys(("model", "parameters", "shape", "code_shape", "use", "binarize"))
    sizes = [math.prod(leaf.shape) for leaf in jax.tree.leaves(run.params)]
    return {
        "model": repr(run.model),
        "parameters": sum(sizes),
        "shape": list(run.inputs.shape),
        "code_shape": _code(run),
        "use": run.use,
        "binarize": run.inputs.binarize,
    }


def _code(run: TrainedRun) -> str | None:
    """The shape of a code in words; None for a model without an encoder. Nothing is computed."""
    x = jax.ShapeDtypeStruct((1, *run.inputs.seen_shape), "float32")
    try:
        z = jax.eval_shape(run.model.encode, run.params, x)
    except ValueError:
        return None
    shapes = [leaf.shape[1:] for leaf in jax.tree.leaves(z)]
    if len(shapes) > 1:
        return f"{counted(len(shapes), 'array')}: {', '.join(map(describe_shape, shapes))}"
    return counted(shapes[0][0], "value") if len(shapes[0]) == 1 else describe_shape(shapes[0])


def _history(folder: Path) -> list[dict[str, Any]]:
    """The metrics of each epoch up to the first line that is not written completely."""
    found: list[dict[str, Any]] = []
    try:
        for line in (folder / "metrics.jsonl").read_text().splitlines():
            record = json.loads(line)
            found += [record] if isinstance(record, dict) else []
    except (OSError, ValueError):
        pass
    return found


def _files(root: Path) -> dict[str, str]:
    """What is in the folder, and its size."""
    found = {}
    for path in sorted(root.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            files = [file for file in path.rglob("*") if file.is_file()]
            size = sum(file.stat().st_size for file in files)
            found[f"{path.name}/"] = f"{counted(len(files), 'file')}, {byte_size(size)}"
        else:
            found[path.name] = byte_size(path.stat().st_size)
    return found


def byte_size(size: int | float) -> str:
    """A number of bytes in words.

    Examples:
      >>> byte_size(512), byte_size(1_500_000)
      ('512 bytes', '1.5 MB')
    """
    if size < 1000:
        return f"{size:.0f} bytes"
    for unit in ("kB", "MB"):
        size /= 1000
        if size < 1000:
            return f"{size:.3g} {unit}"
    return f"{size / 1000:,.3g} GB"


def _versions(recorded: Mapping[str, str]) -> str:
    """The versions, and what is installed now where that is another one."""
    parts = []
    for name, trained in recorded.items():
        now = __version__ if name == "jaxae" else _installed(name)
        differs = now is not None and now != trained
        parts.append(f"{name} {trained}" + (f" (now {now})" if differs else ""))
    return ", ".join(parts)


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
