"""The steps of every experiment: open the run folder, train, evaluate on the test set, report."""

import contextlib
import dataclasses
import math
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxae
from experiments.shared.datasets import TEST_SEED, Data, as_trained, choose, spread
from experiments.shared.findings import findings
from experiments.shared.flags import Config
from experiments.shared.optimizers import adam
from jaxae.data.corruptions import Corruption
from jaxae.runs import curves, figures, inference, optimizers, pieces, recording, tensorboard
from jaxae.runs.command import report, resumable, temporary_directory
from jaxae.runs.folder import Run, new_directory, read_config
from jaxae.runs.identity import fingerprint
from jaxae.runs.inputs import Inputs
from jaxae.runs.plans import Plan
from jaxae.runtime import processes, sharding
from jaxae.runtime.files import atomic_write
from jaxae.training import progress
from jaxae.training.evaluation import Score

# Flags that say where things are, and how the machine is used, do not change the results.
WITHOUT_EFFECT = (
    *("run_dir", "data_dir", "placement", "workers", "shard_params"),
    *("distributed", "checkpoint_every", "on_nonfinite", "log"),
)


STREAMED_CODES = 10_000
"""Images of a stream whose codes are described."""

MEAN_IMAGES = 5000
"""Test images from which the error of the mean image is computed, at most."""


def open_run(
    config: Config,
    data: Data,
    experiment: str,
    more: Mapping[str, Any] | None = None,
    plan: Plan | None = None,
) -> Run:
    """The run folder; its config.json has everything that the results depend on."""
    directory = config.run_dir or new_directory(experiment, config.dataset)
    flags = dataclasses.asdict(config)
    values = {"experiment": experiment} | {
        name: value for name, value in flags.items() if name not in WITHOUT_EFFECT
    }
    defaults = {
        field.name: field.default
        for field in dataclasses.fields(config)
        if field.name not in WITHOUT_EFFECT
    }
    # Values are recorded in place of the defaults that depend on the data and on other flags.
    for name, value in resolved(data, plan).items():
        if name in values and values[name] is None:
            values[name] = defaults[name] = value
    values |= {"data": fingerprints(data)} | dict(more or {})
    processes.check_same([values, flags, data.placement])
    options: dict[str, Any] = {
        "defaults": defaults,
        "not_longer": lambda epochs: why_not_longer(config, data, epochs),
    }
    if not processes.is_first():
        # Only the first process reports; what the others write is removed at the end.
        aside = temporary_directory()
        return processes.raise_together(lambda: Run(aside, values, shared=directory, **options))
    run = processes.raise_together(lambda: Run(directory, values, **options))
    for note in run.notes:
        print(f"note: {note}", file=sys.stderr)
    if run.results is None and read_config(run.directory).get("continued"):
        raise ValueError(
            f"{run.directory} is being continued by jaxae continue, which has not ended; repeat that command"
        )
    return run


def resolved(data: Data, plan: Plan | None) -> dict[str, Any]:
    """What is taken for flags that are None, by their names."""
    values: dict[str, Any] = {"batch_size": data.batch_size}
    if plan is not None:
        values |= {"likelihood": plan.likelihood, "scale": plan.scale}
        if plan.likelihood in ("gaussian", "laplace") and plan.scale is None:
            values["scale"] = 1.0
        if plan.model != "tied_autoencoder":
            values["hidden"] = pieces.WIDTHS.get(plan.network)
    return values


def fingerprints(data: Data) -> dict[str, str]:
    """The fingerprints of the images and the labels of the three splits."""
    splits = ("training", "validation", "test")
    arrays = dict(zip(splits, (data.train, data.validation, data.test), strict=True))
    named = {f"{name} images": array for name, array in arrays.items()}
    named |= {f"{name} labels": array for name, array in zip(splits, data.labels, strict=True)}
    return {name: fingerprint(array) for name, array in named.items() if array is not None}


def why_not_longer(config: Config, data: Data, epochs: int) -> str | None:
    """Why a run of so many epochs cannot be trained for more; None if it can, with the same result.

    It has to be the same as training for all epochs at once.
    """
    if config.run_dir and read_config(config.run_dir).get("continued"):
        return "it was continued by jaxae continue, which trains it for more epochs"
    if not config.can_go_on:
        return "in this experiment other parts depend on the number of epochs"
    if config.schedule != "constant":
        return (
            "the cosine schedule has already lowered the learning rate to zero; only a run with "
            "--schedule constant can be trained longer"
        )
    if getattr(config, "beta_warmup", 0) > 0:
        return "--beta-warmup is a fraction of the whole run"
    if getattr(config, "patience", None) is not None:
        return "--patience has decided on the end of the run"
    if config.warmup_steps > epochs * (len(data.train) // data.batch_size) // 2:
        return "--warmup-steps was cut to half of the run"
    return None


def conduct(
    name: str,
    config: Config,
    data: Data,
    work: Callable[[Run], dict[str, Any]],
    *,
    show: Callable[[dict[str, Any]], None],
    started: float,
    more: Mapping[str, Any] | None = None,
    plan: Plan | None = None,
    use: Mapping[str, Any] | None = None,
    part: str = "",
) -> dict[str, Any]:
    """Opens the run folder, does the work unless the run is complete, and reports the results.

    Args:
      name: of the experiment.
      config: the flags, as they are recorded.
      data: what `datasets.load` returned.
      work: from the run to its results.
      show: prints the results that a reader needs first, in words.
      started: `time.perf_counter()` at the beginning.
      more: other values that the results depend on.
      plan: what the model is built from, if it is built from a plan.
      use: what the run is for, see :mod:`jaxae.runs.painting`.
      part: the model that is loaded from the run, if it trains several.
    """
    run = open_run(config, data, name, more, plan)
    with resumable(run):
        run.describe(use=dict(use or {"task": "reconstruct"}), part=part)
        results = run.results
        if any(processes.max_over_processes(float(results is None))) or results is None:
            if data.placed and processes.is_first():
                print(data.placed, file=sys.stderr)
            results = work(run)
            if data.classes:
                results["classes"] = list(data.classes)
            results["seconds"] = time.perf_counter() - started
            # JSON has neither infinity nor nan; a resumed run reports the same as the run itself.
            results = {
                k: None if isinstance(v, float) and not math.isfinite(v) else v
                for k, v in results.items()
            }
            run.finish(results)
        elif config.log is not None and processes.is_first():
            print(
                f"note: the run is complete, so --log {config.log} writes nothing; use another --run-dir",
                file=sys.stderr,
            )
        show(results)
        report(run, results, findings(results))
        return results


def stage(text: str) -> contextlib.AbstractContextManager[None]:
    """Says on standard error what is being computed, in the first process only."""
    return progress.stage(text, shown=processes.is_first())


def fit(
    config: Config,
    run: Run,
    model: jaxae.Autoencoder,
    data: Data,
    *,
    name: str = "",
    monitor: str | None = None,
    supervised: bool = False,
    train: jaxae.Batch | None = None,
    validation: jaxae.Batch | None = None,
    stream: int = 0,
    optimizer: optax.GradientTransformation | None = None,
    ema: float | None = None,
) -> jaxae.Fit:
    """Trains a model, and writes metrics.jsonl, checkpoints and learning curves.

    For an adversarial game, the log has a note where one of the players has won.

    Args:
      config: the flags.
      run: the run folder.
      model: any autoencoder.
      data: what `datasets.load` returned.
      name: of the model, in the lines of the log, if the run trains several.
      monitor: the validation score by which the epoch is selected; the model's own when None.
      supervised: whether the batches have labels.
      train: training data other than the images of `data`; `validation` then replaces its validation
        images.
      validation: see `train`; None for no validation.
      stream: a different number for each of several trainings that continue one another, so that each
        has random numbers of its own.
      optimizer: replaces the optimizer of the flags.
      ema: decay of an exponential moving average of the parameters, which replaces them in the end.

    Raises:
      ValueError: if a loss or a gradient is not finite; its batch is in nonfinite.npz.
    """
    assert config.epochs is not None
    key = jax.random.key(config.seed)
    own_data = train is not None
    if train is None:
        train = jaxae.Batch(data.train)
        validation = None if data.validation is None else jaxae.Batch(data.validation)
        if supervised:
            labels = [jnp.asarray(part, jnp.int32) for part in data.labels]
            train = train._replace(label=labels[0])
            validation = None if validation is None else validation._replace(label=labels[1])
    inputs = describe_inputs(config, data, train, model.corruption)
    recording.record_run(run, model, inputs)
    plan = adam(config, data)
    described = None if own_data or optimizer is not None else plan
    run.describe(
        training=training_record(config, data, described, monitor, supervised, stream, ema)
    )
    printed = False
    board = None
    if config.log == "tensorboard" and processes.is_first():
        board = tensorboard.TensorBoard(run.directory / "tensorboard")

    def log(record: Mapping[str, float | int], state: Any) -> None:
        nonlocal printed
        note = jaxae.training.gan_diagnosis(record)
        run.log(record if note is None else {**record, "note": note})
        if board is not None:
            board(record)
        if note is not None and not printed:
            printed = True
            print(f"note: {name}: {note}" if name else f"note: {note}", file=sys.stderr)

    try:
        fitted = jaxae.fit(
            model,
            train,
            optimizer=optimizers.build(plan) if optimizer is None else optimizer,
            epochs=config.epochs,
            key=jax.random.fold_in(key, stream) if stream else key,
            batch_size=data.batch_size,
            validation=validation,
            monitor=monitor,
            patience=getattr(config, "patience", None),
            transform=data.transform,
            ema=ema,
            accumulate=config.accumulate,
            on_nonfinite=config.on_nonfinite,
            placement=data.placement,
            workers=config.workers,
            shard_params=config.shard_params,
            checkpoints=run.checkpoints,
            checkpoint_every=config.checkpoint_every,
            on_epoch=log,
            progress=name or True,
        )
        if jax.process_count() > 1:
            # From here on each process evaluates on its own.
            fitted = fitted._replace(params=sharding.gather(fitted.params))
        if board is not None:
            with stage("writing images and codes for TensorBoard"):
                examples, classes = logged(data, train, validation)
                board.describe(
                    model, fitted.params, examples, epoch=fitted.best_epoch, labels=classes
                )
    except jaxae.NonFiniteError as error:
        raise ValueError(f"{error}{keep_batch(run, error)}") from error
    finally:
        if board is not None:
            board.close()
    recording.record_codes(
        run,
        model,
        fitted.params,
        int(fitted.state.step),
        lambda: encoded_examples(data, train),
    )
    curves.learning_curves(
        fitted.history,
        run.figures / "learning_curves.png",
        title=f"{f'{name}: learning' if name else 'Learning'} curves on {Path(config.dataset).name}",
        best_epoch=fitted.best_epoch,
        total=model.monitor is not None,
    )
    return fitted


def training_record(
    config: Config,
    data: Data,
    plan: optimizers.Adam | None,
    monitor: str | None,
    supervised: bool,
    stream: int,
    ema: float | None,
) -> dict[str, Any]:
    """How the model is trained, in plain values from which `jaxae continue` goes on, or why it cannot.

    Args:
      config: the flags.
      data: what `datasets.load` returned.
      plan: the optimizer; None if that, or the training data, are made by the experiment.
      monitor: as of `fit`, like the others.
      supervised: whether the batches have labels.
      stream: not zero for one of several trainings that continue one another.
      ema: decay of the average of the parameters.
    """
    if plan is None:
        return {"why_not": "its training data or its optimizer are made by the experiment"}
    changed = data.transform not in (None, jaxae.data.binarize)
    if stream or data.validation is None or (changed and not data.augment):
        return {"why_not": "its training images are chosen or augmented by the experiment"}
    if data.placement == "stream":
        return {"why_not": "its training images are a stream"}
    return {
        "optimizer": plan.values,
        "batch_size": data.batch_size,
        "seed": config.seed,
        "monitor": monitor,
        "supervised": supervised,
        "ema": ema,
        "accumulate": config.accumulate,
        "on_nonfinite": config.on_nonfinite,
        "augment": list(data.augment),
    }


def logged(
    data: Data, train: jaxae.Batch, validation: jaxae.Batch | None
) -> tuple[jaxae.Batch, np.ndarray | None]:
    """The examples whose codes and reconstructions are logged, and their classes, by name if known."""
    examples, labels = (
        (train, data.labels[0]) if validation is None else (validation, data.labels[1])
    )
    if labels is None or len(labels) != examples.x.shape[0]:
        return examples, None
    if data.classes and labels.min() >= 0:
        labels = np.asarray(data.classes)[labels]
    return examples, labels


def describe_inputs(
    config: Config, data: Data, train: jaxae.Batch, corruption: Corruption | None = None
) -> Inputs:
    """How the images of this run are prepared."""
    path = Path(config.dataset).expanduser()
    seen = None if train.seen is None else tuple(train.seen.shape[1:])
    if corruption is not None and seen is None:
        x = jax.ShapeDtypeStruct((1, *train.x.shape[1:]), jnp.float32)
        hidden = jax.eval_shape(corruption, jax.random.key(0), x).shape[1:]
        seen = hidden if hidden != tuple(train.x.shape[1:]) else None
    return Inputs(
        shape=tuple(train.x.shape[1:]),
        seen=seen,
        image_size=config.image_size,
        bytes=train.x.dtype == np.uint8,
        binarize=getattr(config, "binarize", False),
        dataset=str(path.resolve()) if path.exists() else config.dataset,
        data_dir=None if config.data_dir is None else str(Path(config.data_dir).resolve()),
        channels=config.channels,
        frames=config.frames,
        levels=config.levels,
        classes=data.classes,
    )


def encoded_examples(data: Data, train: jaxae.Batch) -> jaxae.Batch:
    """The training examples whose codes are described: all, or some of a stream."""
    if data.placement == "stream":
        return jaxae.Batch(as_trained(data, data.train[spread(len(data.train), STREAMED_CODES)]))
    if getattr(data, "binary", False) and data.transform is not None:
        return jaxae.Batch(as_trained(data, data.train))
    return train._replace(label=None)


def keep_batch(run: Run, error: jaxae.NonFiniteError) -> str:
    """Writes the batch of the step that failed to nonfinite.npz; returns the end of the message."""
    if error.batch is None:
        return ""
    leaves = jax.tree_util.tree_leaves_with_path(error.batch)
    arrays = {
        jax.tree_util.keystr(path, simple=True, separator="/") or "x": np.asarray(leaf)
        for path, leaf in leaves
    }
    path = run.directory / "nonfinite.npz"
    advice = " (--on-nonfinite skip)"
    try:
        with atomic_write(path) as partial, open(partial, "wb") as file:
            np.savez_compressed(file, allow_pickle=False, step=error.step, **arrays)
    except OSError as problem:
        return f"{advice}; its batch cannot be written ({problem.strerror})"
    return f"{advice}; its batch is in {path}"


def evaluate(
    model: jaxae.Autoencoder,
    fitted: jaxae.Fit,
    data: Data,
    score: Score | None = None,
    batch_size: int = 256,
) -> dict[str, float]:
    """The measures of the selected parameters on the test set, which is used here and only here.

    A loss that depends on the batch is evaluated at the batch size of the training. See
    :func:`jaxae.runs.inference.evaluate`.
    """
    if model.coupled:
        batch_size = min(batch_size, data.batch_size)
    with stage(f"evaluating {len(data.test):,} test images"):
        found = inference.evaluate(
            model,
            fitted.params,
            jax.random.key(TEST_SEED),
            data.test,
            step=int(fitted.state.step),
            score=score,
            batch_size=batch_size,
        )
    results = {f"test/{name}": value for name, value in found.items()}
    return results | {"mean_image/squared_error": error_of_the_mean_image(data.test)}


def error_of_the_mean_image(images: Any) -> float:
    """The squared error of the mean of some images, which a model that has learned anything is below."""
    chosen = spread(len(images), MEAN_IMAGES)
    batches = [chosen[i : i + 500] for i in range(0, len(chosen), 500)]

    def floats(index: np.ndarray) -> np.ndarray:
        return np.asarray(jaxae.as_float(images[index]), np.float64)

    mean = sum(floats(index).sum(axis=0) for index in batches) / len(chosen)
    return sum(float(np.square(floats(index) - mean).sum()) for index in batches) / len(chosen)


def training_figures(data: Data, fitted: jaxae.Fit) -> dict[str, float]:
    """The length and the speed of the training, and the validation loss of the selected epoch."""
    history = fitted.history
    images = data.batch_size * history[-1]["step"]
    selected = history[fitted.best_epoch - 1]
    held_out = {k: v for k, v in selected.items() if k == "validation/loss"}
    return held_out | {
        "best_epoch": fitted.best_epoch,
        "epochs": len(history),
        "parameters": sum(p.size for p in jax.tree.leaves(fitted.params)),
        "images_per_second": images / sum(record["seconds"] for record in history),
        "compile_seconds": fitted.compile_seconds,
    }


def figure_reconstructions(
    run: Run, model: jaxae.Autoencoder, params: Any, data: Data, *, title: str
) -> None:
    """Draws ten test images, spread evenly over the test set, above their reconstructions."""
    shown = np.asarray(choose(data))
    decoded = inference.reconstruct(model, params, shown)
    path = run.figures / "reconstructions.png"
    figures.rows({"test images": shown, "reconstructions": decoded}, path, title=title)
