"""What every experiment shares: from a model and its data to a run that is trained, scored and reported."""

import atexit
import contextlib
import dataclasses
import io
import math
import os
import re
import shlex
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro
from rich.console import Console
from rich.table import Table

import jaxae
from experiments.shared import flags as base
from jaxae.runs import charts, figures
from jaxae.runs.folder import Run, fingerprint, new_directory
from jaxae.runtime import processes, sharding
from jaxae.runtime import supervisor as watched
from jaxae.runtime.files import atomic_write, exclusive

_ASIDE = contextlib.ExitStack()
atexit.register(_ASIDE.close)


def open_run(
    config: base.Config, data: base.Data, experiment: str, more: Mapping[str, Any] | None = None
) -> Run:
    """The run folder, with all that the result depends on in its config.json."""
    directory = config.run_dir or new_directory(experiment, config.dataset)
    values = {"experiment": experiment, **dataclasses.asdict(config)}
    # Where things are, and what is done with a run later, does not change the result.
    places = ("run_dir", "data_dir", "apply", "images", "out", "placement", "workers")
    for place in (*places, "shard_params", "distributed", "checkpoint_every", "on_nonfinite"):
        values.pop(place, None)
    values |= {"data": fingerprint(data.train)} | dict(more or {})
    processes.check_same([values, dataclasses.asdict(config), data.placement])
    if not processes.is_first():
        # One process reports; what the others write is thrown away.
        aside = _ASIDE.enter_context(tempfile.TemporaryDirectory(prefix="jaxae-"))
        return processes.raise_together(lambda: Run(aside, values, shared=directory))
    return processes.raise_together(lambda: Run(directory, values))


@contextlib.contextmanager
def resumable(run: Run) -> Iterator[None]:
    """Around all that happens in a run: one process at a time, and an interruption says how to go on."""

    def stop_now(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    main_thread = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, stop_now) if main_thread else None
    try:
        with contextlib.ExitStack() as stack:
            processes.raise_together(lambda: stack.enter_context(exclusive(run.directory)))
            yield
    except KeyboardInterrupt as stop:
        done = str(stop) if isinstance(stop, jaxae.Interrupted) else "what was saved is kept"
        where = shlex.quote(str(run.shared))
        raise jaxae.Interrupted(f"{done}; to go on, the same with --run-dir {where}") from None
    finally:
        if main_thread:
            signal.signal(signal.SIGTERM, before)


def conduct(
    name: str,
    config: base.Config,
    data: base.Data,
    work: Callable[[Run], dict[str, Any]],
    *,
    started: float,
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Opens the run folder, does the work unless its results are there already, and reports them.

    Args:
      name: of the experiment.
      config: the flags, as they are recorded.
      data: what `load` returned.
      work: from the run to its results.
      started: `time.perf_counter()` at the beginning.
      more: what the result depends on besides.
    """
    run = open_run(config, data, name, more)
    with resumable(run):
        results = run.results
        if any(processes.max_over_processes(float(results is None))) or results is None:
            if data.placed and processes.is_first():
                print(data.placed, file=sys.stderr)
            results = work(run)
            results["seconds"] = time.perf_counter() - started
            run.finish(results)
        report(run, results)
        return results


def fit(
    config: base.Config,
    run: Run,
    model: jaxae.Autoencoder,
    data: base.Data,
    *,
    monitor: str | None = None,
    supervised: bool = False,
    train: jaxae.Batch | None = None,
    validation: jaxae.Batch | None = None,
    stream: int = 0,
    optimizer: optax.GradientTransformation | None = None,
    ema: float | None = None,
) -> jaxae.Fit:
    """Trains, showing the progress and writing metrics.jsonl, checkpoints and learning curves.

    Args:
      config: the flags.
      run: where to write.
      model: what to train.
      data: what `load` returned.
      monitor: the term of the validation images that the epoch is selected by.
      supervised: whether the batches have labels.
      train: training data other than the images of `data`; the validation data are then `validation`.
      validation: see `train`; None for no validation.
      stream: another number for each of several trainings that go on from one another, so that none
        sees the randomness of the one before again.
      optimizer: another than that of the flags.
      ema: the decay of an exponential moving average of the parameters, which is then kept.

    Of a game of two players, the log says when one of them has won.
    """
    assert config.epochs is not None
    key = jax.random.key(config.seed)
    if train is None:
        train = jaxae.Batch(data.train)
        validation = None if data.validation is None else jaxae.Batch(data.validation)
        if supervised:
            labels = [np.asarray(part, np.int32) for part in data.labels]
            train = train._replace(label=labels[0])
            validation = None if validation is None else validation._replace(label=labels[1])
    said: list[str] = []

    def log(record: Mapping[str, float | int], state: Any) -> None:
        note = jaxae.training.gan_diagnosis(record)
        run.log(record if note is None else {**record, "note": note})
        if note is not None and not said:
            said.append(note)
            print(f"note: {note}", file=sys.stderr)

    try:
        fitted = jaxae.fit(
            model,
            train,
            optimizer=base.make_optimizer(config, data) if optimizer is None else optimizer,
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
        # What comes now every process does for itself.
        fitted = fitted._replace(params=sharding.gather(fitted.params))
    path = run.figures / "learning_curves.png"
    title = f"Learning curves on {Path(config.dataset).name}"
    charts.learning_curves(fitted.history, path, title=title, best_epoch=fitted.best_epoch)
    return fitted


def keep_batch(run: Run, error: jaxae.NonFiniteError) -> str:
    """Writes the training examples of the step that failed, and says where."""
    if error.batch is None:
        return ""
    leaves = jax.tree_util.tree_leaves_with_path(error.batch)
    arrays = {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}
    path = run.directory / "nonfinite.npz"
    advice = " (--on-nonfinite skip)"
    try:
        with atomic_write(path) as partial, open(partial, "wb") as file:
            np.savez_compressed(file, step=error.step, **arrays)
    except OSError as problem:
        return f"{advice}; its batch cannot be written ({problem.strerror})"
    return f"{advice}; its batch is in {path}"


def evaluate(
    model: jaxae.Autoencoder,
    fitted: jaxae.Fit,
    data: base.Data,
    score: Callable[[Any, jax.Array, jax.Array], Mapping[str, jax.Array]] | None = None,
    batch_size: int = 256,
) -> dict[str, float]:
    """The figures of the selected parameters on the test set, which is used here and only here.

    `score` adds to the loss, its terms and the reconstruction error of every image.
    """
    step = int(fitted.state.step)
    shape = data.test.shape[1:]

    def scores(params: Any, key: jax.Array, x: jax.Array) -> dict[str, jax.Array]:
        loss_key, score_key = jax.random.split(key)
        out = model.loss(params, loss_key, x, step=step, train=False)
        reconstructed = jnp.clip(jaxae.reconstruct(model, params, x), 0, 1)
        error = jaxae.analysis.squared_error(x, reconstructed)
        more = {} if score is None else score(params, score_key, x)
        return {"loss": out.loss, **out.terms, **out.metrics, **more, "squared_error": error}

    evaluator = jaxae.training.make_evaluate(
        scores, batch_size=batch_size, mesh=sharding.local_mesh()
    )
    test_scores = evaluator(fitted.params, jax.random.key(base.TEST_SEED), data.test)
    results = jaxae.training.means(test_scores, "test/")
    results["test/mse"] = results["test/squared_error"] / math.prod(shape)
    results["test/psnr"] = jaxae.analysis.psnr(results["test/mse"])
    return results


def squared_errors(model: jaxae.Autoencoder, params: Any, data: base.Data) -> tuple[float, float]:
    """The squared error of a test image, summed over its pixels: as decoded, and after clipping."""

    def errors(params: Any, key: jax.Array, x: jax.Array) -> dict[str, jax.Array]:
        y = jaxae.reconstruct(model, params, x)
        clipped = jaxae.analysis.squared_error(x, jnp.clip(y, 0, 1))
        return {"free": jaxae.analysis.squared_error(x, y), "clipped": clipped}

    scores = jaxae.training.make_evaluate(errors)(params, jax.random.key(base.TEST_SEED), data.test)
    found = jaxae.training.means(scores)
    return found["free"], found["clipped"]


def training_figures(data: base.Data, fitted: jaxae.Fit) -> dict[str, float]:
    """How long it took and how far it went, for results.json."""
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
    run: Run, model: jaxae.Autoencoder, params: Any, data: base.Data, *, title: str
) -> None:
    """Ten test images, spread over the test set, over their reconstructions."""
    shown = np.asarray(base.choose(data))
    decoded = jax.device_get(jax.jit(partial(jaxae.reconstruct, model))(params, shown))
    path = run.figures / "reconstructions.png"
    figures.rows({"input": shown, "reconstruction": decoded}, path, title=title)


def encode(
    model: jaxae.Autoencoder, params: Any, images: np.ndarray, batch_size: int = 500
) -> jax.Array:
    """The codes of many images, some at a time."""
    encode = jax.jit(model.encode)
    batches = range(0, len(images), batch_size)
    return jnp.concatenate(
        [encode(params, jaxae.as_float(images[i : i + batch_size])) for i in batches]
    )


def decode(model: jaxae.Autoencoder, params: Any, codes: jax.Array) -> np.ndarray:
    """The images of many codes, some at a time."""
    decode = jax.jit(model.decode)
    batches = range(0, len(codes), 500)
    return np.concatenate([decode(params, codes[i : i + 500]) for i in batches])


def report(run: Run, results: Mapping[str, Any]) -> None:
    """Prints the results as a table, and where the run is."""
    if not processes.is_first():
        return
    table = Table(show_header=False)
    for name, value in results.items():
        if name != "protocol":
            table.add_row(name, _number(value))
    console = Console()
    console.print(table)
    console.print(str(results.get("protocol", "")), soft_wrap=True, highlight=False)
    console.print(f"run folder: {run.directory}", soft_wrap=True, highlight=False)


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.5g}"
    return str(value)


MENDED = (ValueError, OSError, MemoryError)
"""What the user can mend."""


def command(
    main: Callable[[base.ConfigT], Any], config: type[base.ConfigT], doc: str | None
) -> None:
    """Runs an experiment from the command line.

    The exit code is 0; 2, with one line on standard error, for anything the user can mend; 130
    after an interruption.
    """
    parsed = None
    try:
        parsed = _parse(config, doc)
        if parsed.distributed:
            watched.watch()
            processes.connect()
        main(parsed)
    except (*MENDED, jax.errors.JaxRuntimeError, processes.GoneError) as error:
        message = " ".join(str(error).split())
        together = parsed is not None and parsed.distributed
        if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in message:
            message = "out of memory; try a smaller --batch-size, --hidden or --image-size"
        elif isinstance(error, jax.errors.JaxRuntimeError) and not together:
            raise
        elif together and processes.is_gone(error):
            message = watched.gone(message[:120])
        if together:
            watched.last_words(f"error: {message}")
            # Not by way of JAX, which would wait for the others: they notice, and stop too.
            if processes.is_first():
                time.sleep(3)  # it is who the others ask: first let them see that it has stopped
            _ASIDE.close()
            os._exit(2)
        print(f"error: {message}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt as stop:
        print(f"interrupted: {stop}" if str(stop) else "interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    except Exception:
        if parsed is None or not parsed.distributed:
            raise
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(watched.BROKEN)  # as above


def _parse(config: type[base.ConfigT], doc: str | None) -> base.ConfigT:
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            return tyro.cli(config, description=doc, config=(tyro.conf.AvoidSubcommands,))
    except SystemExit as stop:
        if not stop.code:
            raise
        # tyro explains itself in a box; what is wrong is in its first lines.
        lines = [re.sub(r"[│╭╮╰╯─]+", " ", line).strip() for line in errors.getvalue().splitlines()]
        kept = []
        for line in lines[1:]:
            if not line:
                break
            kept.append(line)
        raise ValueError(f"{' '.join(kept) or ' '.join(lines)} (see --help)") from None
