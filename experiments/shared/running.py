"""The steps of every experiment: open the run folder, train, evaluate on the test set, report."""

import dataclasses
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
from experiments.shared.datasets import TEST_SEED, Data, choose
from experiments.shared.flags import Config
from experiments.shared.optimizers import make_optimizer
from jaxae.runs import curves, figures, inference
from jaxae.runs.command import report, resumable, temporary_directory
from jaxae.runs.folder import Run, fingerprint, new_directory
from jaxae.runtime import processes, sharding
from jaxae.runtime.files import atomic_write
from jaxae.training.evaluation import Score

# Flags that say where things are, or what is done with a run later, do not change its results.
WITHOUT_EFFECT = (
    *("run_dir", "data_dir", "apply", "images", "out", "placement", "workers", "shard_params"),
    *("distributed", "checkpoint_every", "on_nonfinite"),
)


def open_run(
    config: Config,
    data: Data,
    experiment: str,
    more: Mapping[str, Any] | None = None,
    recipe: Mapping[str, Any] | None = None,
) -> Run:
    """The run folder; its config.json has everything that the results depend on."""
    directory = config.run_dir or new_directory(experiment, config.dataset)
    flags = dataclasses.asdict(config)
    values = {"experiment": experiment} | {
        name: value for name, value in flags.items() if name not in WITHOUT_EFFECT
    }
    values |= {"data": fingerprint(data.train)} | dict(more or {})
    processes.check_same([values, flags, data.placement])
    if not processes.is_first():
        # Only the first process reports; what the others write is removed at the end.
        aside = temporary_directory()
        return processes.raise_together(lambda: Run(aside, values, recipe=recipe, shared=directory))
    return processes.raise_together(lambda: Run(directory, values, recipe=recipe))


def conduct(
    name: str,
    config: Config,
    data: Data,
    work: Callable[[Run], dict[str, Any]],
    *,
    started: float,
    more: Mapping[str, Any] | None = None,
    recipe: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Opens the run folder, does the work unless the run is complete, and reports the results.

    Args:
      name: of the experiment.
      config: the flags, as they are recorded.
      data: what `datasets.load` returned.
      work: from the run to its results.
      started: `time.perf_counter()` at the beginning.
      more: other values that the results depend on.
      recipe: the values that the model is built from, see :mod:`jaxae.runs.recipes`.
    """
    run = open_run(config, data, name, more, recipe)
    with resumable(run):
        results = run.results
        if any(processes.max_over_processes(float(results is None))) or results is None:
            if data.placed and processes.is_first():
                print(data.placed, file=sys.stderr)
            results = work(run)
            if data.classes:
                results["classes"] = list(data.classes)
            results["seconds"] = time.perf_counter() - started
            run.finish(results)
        report(run, results)
        return results


def fit(
    config: Config,
    run: Run,
    model: jaxae.Autoencoder,
    data: Data,
    *,
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
    if train is None:
        train = jaxae.Batch(data.train)
        validation = None if data.validation is None else jaxae.Batch(data.validation)
        if supervised:
            labels = [jnp.asarray(part, jnp.int32) for part in data.labels]
            train = train._replace(label=labels[0])
            validation = None if validation is None else validation._replace(label=labels[1])
    printed = False

    def log(record: Mapping[str, float | int], state: Any) -> None:
        nonlocal printed
        note = jaxae.training.gan_diagnosis(record)
        run.log(record if note is None else {**record, "note": note})
        if note is not None and not printed:
            printed = True
            print(f"note: {note}", file=sys.stderr)

    try:
        fitted = jaxae.fit(
            model,
            train,
            optimizer=make_optimizer(config, data) if optimizer is None else optimizer,
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
        )
    except jaxae.NonFiniteError as error:
        raise ValueError(f"{error}{keep_batch(run, error)}") from error
    if jax.process_count() > 1:
        # From here on each process evaluates on its own.
        fitted = fitted._replace(params=sharding.gather(fitted.params))
    path = run.figures / "learning_curves.png"
    title = f"Learning curves on {Path(config.dataset).name}"
    curves.learning_curves(
        fitted.history,
        path,
        title=title,
        best_epoch=fitted.best_epoch,
        total=model.monitor is not None,
    )
    return fitted


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
    found = inference.evaluate(
        model,
        fitted.params,
        jax.random.key(TEST_SEED),
        data.test,
        step=int(fitted.state.step),
        score=score,
        batch_size=batch_size,
    )
    return {f"test/{name}": value for name, value in found.items()}


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
    figures.rows({"input": shown, "reconstruction": decoded}, path, title=title)
