"""Training a run for more epochs, from what its folder records, with a learning rate schedule of its own."""

import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxae
from jaxae.base import Batch
from jaxae.data.messages import counted
from jaxae.runs import curves, figures, inference, optimizers, recording
from jaxae.runs.evaluation import evaluate_run
from jaxae.runs.folder import Run, read_config, write_json
from jaxae.runs.loading import TrainedRun, load_run
from jaxae.runs.optimizers import Adam, Schedule, Stretch
from jaxae.runs.scores import spread
from jaxae.runs.training_data import TrainingData, encoded, training_data
from jaxae.runtime.files import atomic_write, exclusive
from jaxae.training.feeding import fits
from jaxae.training.fitting import Fit, fit
from jaxae.training.loop import Interrupted
from jaxae.training.progress import stage
from jaxae.training.step import init_state

WITHOUT_MODEL = ("mean_image", "corrupted", "median_filter", "linear")
"""Beginnings of the names of results that do not depend on the model, and so stay the same."""


class Wanted(NamedTuple):
    """What is asked for.

    Attributes:
      epochs: how many more.
      learning_rate: at their beginning; None for that of the run.
      schedule: None for that of the run.
    """

    epochs: int
    learning_rate: float | None = None
    schedule: Schedule | None = None


def why_not(record: Mapping[str, Any], part: str | None = None) -> str | None:
    """Why a run cannot be continued from what its config.json records; None if it can."""
    training = record.get("training")
    if record.get("parts") and "recipe" not in record or part:
        return (
            "it trains several models and compares them after the same training; train it again "
            "with more --epochs in another folder"
        )
    if not isinstance(training, Mapping):
        return "it does not record how it was trained, as runs of earlier versions do not"
    task = (record.get("use") or {}).get("task", "reconstruct")
    if task not in ("reconstruct", "denoise"):
        return f"its evaluation (task: {task}) needs more than the run records"
    return training.get("why_not")


def continue_run(folder: str | Path, wanted: Wanted, *, part: str | None = None) -> dict[str, Any]:
    """Trains a finished or stopped run for more epochs, and evaluates it again.

    The state of the optimizer is kept. What was asked for is recorded first, so that the same call
    goes on where an interrupted one was. The old results become results-EPOCH.json at the end.

    Args:
      folder: the run folder.
      wanted: how many epochs, and the schedule.
      part: refused; a run that trains several models compares them.

    Returns:
      the new results.

    Raises:
      ValueError: if the run cannot be continued, or is being continued in another way; the message says why.
      Interrupted: after SIGINT or SIGTERM.
    """
    root = Path(folder).expanduser()
    if wanted.epochs < 1:
        raise ValueError(f"--epochs must be positive, got {wanted.epochs}")
    if wanted.learning_rate is not None and not 0 < wanted.learning_rate < math.inf:
        raise ValueError(f"--learning-rate must be positive, got {wanted.learning_rate}")
    if (reason := why_not(read_config(root), part)) is not None:
        raise ValueError(f"{folder} cannot be continued: {reason}")
    started = time.perf_counter()
    try:
        with exclusive(root):
            return _continue(root, wanted, started)
    except Interrupted as stop:
        raise Interrupted(f"{stop}; to go on, repeat the command") from None


def _continue(root: Path, wanted: Wanted, started: float) -> dict[str, Any]:
    loaded = load_run(root)
    with stage("reading the data"):
        data = training_data(loaded)
    record = read_config(root)
    training = record["training"]
    plan = optimizers.read(training["optimizer"])
    run = Run(root, record["config"])
    steps_per_epoch = len(data.splits.train.images) // training["batch_size"]
    continued = _begin(root, record, wanted, loaded, plan, data, steps_per_epoch)
    now = continued[-1]
    stretches = _stretches(continued, steps_per_epoch)
    total = now["from_epoch"] + now["epochs"]
    print(
        f"continuing from epoch {now['from_epoch']} for {counted(now['epochs'], 'epoch')}, learning rate "
        f"{now['learning_rate']:g} ({now['schedule']})",
        file=sys.stderr,
    )
    fitted = _fit(run, loaded, training, data, optimizers.build(plan, stretches), total)
    loaded = load_run(root)
    recording.record_codes(
        run, loaded.model, fitted.params, int(fitted.state.step), lambda: encoded(data)
    )
    curves.learning_curves(
        fitted.history,
        run.figures / "learning_curves.png",
        title=f"Learning curves on {Path(loaded.inputs.dataset).name}",
        best_epoch=fitted.best_epoch,
        total=loaded.model.monitor is not None,
    )
    _draw(run, loaded, data, now["from_epoch"], total)
    aside = root / f"results-{now['from_epoch']}.json"
    # After an interruption at the very end, the results are new already, and the old ones are aside.
    old = json.loads(aside.read_text()) if aside.exists() else run.results
    results = _results(loaded, fitted, data, training, old, now)
    results["seconds"] = (old or {}).get("seconds", 0.0) + time.perf_counter() - started
    if old is not None and not aside.exists():
        with atomic_write(aside) as partial:
            partial.write_bytes((root / "results.json").read_bytes())
    run.finish(results)
    continued[-1] = now | {"complete": True}
    run.describe(continued=continued)
    return results


def _begin(
    root: Path,
    record: dict[str, Any],
    wanted: Wanted,
    loaded: TrainedRun,
    plan: Adam,
    data: TrainingData,
    steps_per_epoch: int,
) -> list[dict[str, Any]]:
    """The recorded continuations; the last is the one to make, which is recorded unless it is already."""
    continued = [dict(one) for one in record.get("continued") or []]
    if continued and not continued[-1].get("complete"):
        under_way = continued[-1]
        same: dict[str, Any] = {"epochs": wanted.epochs}
        same |= {} if wanted.learning_rate is None else {"learning_rate": wanted.learning_rate}
        same |= {} if wanted.schedule is None else {"schedule": wanted.schedule}
        if any(under_way[name] != value for name, value in same.items()):
            raise ValueError(
                f"{root} is being continued for {counted(under_way['epochs'], 'epoch')} (learning rate "
                f"{under_way['learning_rate']:g}, {under_way['schedule']}), which have not ended; first "
                f"repeat jaxae continue with --epochs {under_way['epochs']}"
            )
        return continued
    epoch, step = _saved_at(root, loaded, plan, record["training"], data, steps_per_epoch)
    last = continued[-1] if continued else None
    rate, schedule = wanted.learning_rate, wanted.schedule
    if schedule is None:
        schedule = plan.schedule if last is None else last["schedule"]
    if rate is None:
        rate = plan.learning_rate if last is None else last["learning_rate"]
    new = {
        "from_epoch": epoch,
        "from_step": step,
        "epochs": wanted.epochs,
        "learning_rate": rate,
        "schedule": schedule,
        "date": time.strftime("%Y-%m-%d"),
        "version": jaxae.__version__,
        "complete": False,
    }
    write_json(root / "config.json", read_config(root) | {"continued": [*continued, new]})
    return [*continued, new]


def _stretches(continued: Sequence[Mapping[str, Any]], steps_per_epoch: int) -> list[Stretch]:
    return [
        Stretch(
            begin=one["from_step"],
            steps=(one["from_epoch"] + one["epochs"]) * steps_per_epoch - one["from_step"],
            learning_rate=one["learning_rate"],
            schedule=one["schedule"],
        )
        for one in continued
    ]


def _saved_at(
    root: Path,
    loaded: TrainedRun,
    plan: Adam,
    training: Mapping[str, Any],
    data: TrainingData,
    steps_per_epoch: int,
) -> tuple[int, int]:
    """The number of epochs and of updates of the newest checkpoint."""
    batch = Batch(np.asarray(data.splits.train.images[:2]))
    key = jax.random.key(0)
    optimizer = optimizers.build(plan)
    if training.get("ema") is not None:
        optimizer = jaxae.training.with_ema(optimizer, training["ema"])
    shapes = jax.eval_shape(
        lambda: init_state(loaded.model, optimizer, key, loaded.model.batch(batch))
    )
    state = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
    saved = Run(root, read_config(root)["config"]).checkpoints.restore(state, state.params)
    if saved is None:
        raise ValueError(f"{root} has no checkpoint to continue from")
    if saved.meta["steps_per_epoch"] != steps_per_epoch:
        raise ValueError(
            f"an epoch of {root} had {saved.meta['steps_per_epoch']} steps and would have "
            f"{steps_per_epoch}; the data have changed"
        )
    return len(saved.meta["history"]), int(saved.state.step)


def _fit(
    run: Run,
    loaded: TrainedRun,
    training: Mapping[str, Any],
    data: TrainingData,
    optimizer: Any,
    epochs: int,
) -> Fit:
    """The training goes on from its last checkpoint, up to so many epochs in all."""
    splits = data.splits
    train, validation = Batch(splits.train.images), Batch(splits.validation.images)
    if training["supervised"]:
        train, validation = (
            batch._replace(label=jnp.asarray(part.labels, jnp.int32))
            for batch, part in ((train, splits.train), (validation, splits.validation))
        )
    placement, _ = fits(splits.train.images, jax.local_devices(), splits.validation.images)
    try:
        return fit(
            loaded.model,
            train,
            optimizer=optimizer,
            epochs=epochs,
            key=jax.random.key(training["seed"]),
            batch_size=training["batch_size"],
            validation=validation,
            monitor=training["monitor"],
            transform=data.transform,
            ema=training["ema"],
            accumulate=training["accumulate"],
            on_nonfinite=training["on_nonfinite"],
            placement=placement,
            checkpoints=run.checkpoints,
            on_epoch=lambda record, state: run.log(record),
        )
    except jaxae.NonFiniteError as error:
        raise ValueError(f"{error}; the state before it is saved") from error


def _results(
    loaded: TrainedRun,
    fitted: Fit,
    data: TrainingData,
    training: Mapping[str, Any],
    old: Mapping[str, Any] | None,
    now: Mapping[str, Any],
) -> dict[str, Any]:
    """The measures that the experiment reports, of the new parameters."""
    samples = int(loaded.config.get("nll_samples") or 0)
    table = evaluate_run(loaded, data.splits, samples=samples, codes=False)
    found = {f"test/{name}": value for name, value in table.results.items()}
    before = old or {}
    if before:
        found = {name: value for name, value in found.items() if name in before}
    elif loaded.use["task"] == "reconstruct":
        found.pop("test/ssim", None)  # which only experiments that make images report
    kept = {k: v for k, v in before.items() if k.partition("/")[0] in WITHOUT_MODEL}
    history = fitted.history
    selected = history[fitted.best_epoch - 1]
    images = training["batch_size"] * (history[-1]["step"])
    results = found | kept | {k: v for k, v in selected.items() if k == "validation/loss"}
    results |= {
        "best_epoch": fitted.best_epoch,
        "epochs": len(history),
        "parameters": sum(p.size for p in jax.tree.leaves(fitted.params)),
        "images_per_second": images / sum(record["seconds"] for record in history),
        "compile_seconds": fitted.compile_seconds,
        "protocol": _protocol(before, now),
    }
    if "classes" in before:
        results["classes"] = before["classes"]
    lost = [name for name in before if name not in results and name != "seconds"]
    if lost:
        print(
            f"note: not computed again: {', '.join(lost[:6])}{' ...' if len(lost) > 6 else ''}; the "
            f"experiment computes them, and the old values are in results-{now['from_epoch']}.json",
            file=sys.stderr,
        )
    return results


def _protocol(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    words = (
        f"continued from epoch {now['from_epoch']} for {counted(now['epochs'], 'epoch')}, learning rate "
        f"{now['learning_rate']:g} ({now['schedule']})"
    )
    return f"{before['protocol']}; {words}" if before.get("protocol") else words


def _draw(run: Run, loaded: TrainedRun, data: TrainingData, before: int, epochs: int) -> None:
    """Draws the reconstructions and samples again; the other figures are moved to `figures/epoch-BEFORE`.

    They show the old parameters, and only the experiment can draw them.
    """
    drawn = ("learning_curves.png", "reconstructions.png", "samples.png")
    old = [path for path in sorted(run.figures.glob("*.png")) if path.name not in drawn]
    if old:
        aside = run.figures / f"epoch-{before}"
        aside.mkdir(exist_ok=True)
        for path in old:
            path.replace(aside / path.name)
        print(
            f"note: figures of the model after {counted(before, 'epoch')}, which are not drawn again, "
            f"are in {aside}",
            file=sys.stderr,
        )
    title = f"{Path(loaded.inputs.dataset).name}, {counted(epochs, 'epoch')}"
    images = data.splits.test.images
    if loaded.use["task"] == "reconstruct":
        shown = np.asarray(jaxae.as_float(images[spread(len(images), 10)]))
        figures.rows(
            {"test images": shown, "reconstructions": loaded.reconstruct(shown)},
            run.figures / "reconstructions.png",
            title=f"{title}: test images and their reconstructions",
        )
    if loaded.model.model.prior is not None:
        key = jax.random.key(3_141_592_653)
        drawn = inference.sample(loaded.model, loaded.params, key, 60)
        path = run.figures / "samples.png"
        figures.grid(drawn, path, title=f"{title}: samples, decoded draws from the prior")
