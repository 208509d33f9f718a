"""What every experiment shares: its flags, how it gets from them to a trained model, and its report."""

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
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro
from rich.console import Console
from rich.table import Table

import jaxae
from jaxae import charts, corruptions, feeding, figures, parallel
from jaxae.feeding import Placement
from jaxae.files import exclusive, whole
from jaxae.networks import Activation
from jaxae.runs import Run, fingerprint, new_directory

MAX_IMAGE_SIZE = 4096

# The test set is binarised and scored with the same draws for every run, and not with those that
# a run of any seed trains with.
BINARIZE_SEED, TEST_SEED, SAMPLE_SEED = 1_618_033_988, 2_718_281_828, 3_141_592_653

NetworkName = Literal["mlp", "conv", "resnet", "unet"]
LikelihoodName = Literal["bernoulli", "gaussian", "laplace", "discretized_logistic", "categorical"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """The flags that all experiments have."""

    dataset: str = "mnist5k"
    """mnist5k or digits (no download), any tfds image data set, a folder of images, or an .npy or
    .npz file."""
    data_dir: str | None = None
    """Where tfds data sets are prepared; by default TFDS_DATA_DIR or ~/tensorflow_datasets."""
    image_size: int | None = None
    """Crop to the square in the middle and resize it to this many pixels."""

    epochs: int | None = 100
    """Passes over the training set."""
    batch_size: int | None = None
    """Examples in a step, over all devices; by default 128, or fewer if there are fewer."""
    learning_rate: float = 3e-3
    """Of Adam, at the start."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """The learning rate falls to zero over the run along a half-cosine, or stays."""
    rise: int = 0
    """Steps at the start in which the learning rate rises from zero."""
    weight_decay: float = 0.0
    """Decoupled weight decay on matrices and kernels, not on biases."""
    clip_norm: float | None = None
    """Clip the gradient to this global norm."""
    accumulate: int = 1
    """In how many parts a batch passes the model, one after the other, for less memory."""
    on_nonfinite: Literal["stop", "skip"] = "stop"
    """When a loss or a gradient is not finite: stop and write the batch, or drop that update and count."""
    placement: Literal["auto", "device", "host", "stream"] = "auto"
    """Where the training images are: on the device; in the host's memory; or where they are kept, from
    which every batch is read and decoded. By default the first of these that they fit."""
    workers: int = 0
    """Processes that read and decode a stream; threads of this one if there are none."""
    shard_params: bool = False
    """Divide parameters and optimizer over the devices, for models that do not fit one."""
    distributed: bool = False
    """Train together with processes on other hosts; see README."""
    checkpoint_every: int | None = None
    """Steps from one save to the next; by default it is saved about every 20 seconds."""
    seed: int = 0
    """What the run is a function of."""
    run_dir: str | None = None
    """Where the run is written; given again, the run goes on from where it stopped. By default a
    new folder under runs/."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig(Config):
    """The flags of an experiment whose networks and likelihood can be chosen."""

    binarize: bool = False
    """Make each pixel black or white, with its grey level as the probability of white: afresh for
    every training batch, once and for all for validation and test."""

    network: NetworkName = "mlp"
    """Fully connected, strided convolutions, residual blocks, or a U-Net, which has no bottleneck
    and so is for making one image of another."""
    hidden: tuple[int, ...] | None = None
    """Widths of the encoder's hidden layers, or its channels at each depth; the decoder mirrors
    them. By default 400; 32 64; 32 64 128; or 48 96 192."""
    gated: bool = False
    """Give every hidden unit of an mlp a second, linear one to be multiplied with."""
    code: int = 20
    """Size of the code."""
    dropout: float = 0.0
    """Probability that a hidden unit is dropped while training."""
    likelihood: LikelihoodName | None = None
    """What the decoder's outputs mean. By default bernoulli (cross-entropy) for one channel; for
    more, gaussian (squared error) for an autoencoder, and for a VAE discretized_logistic (bytes) or
    gaussian with a learned scale (floats)."""
    scale: float | Literal["learned"] | None = None
    """Standard deviation of gaussian, or scale of laplace: a number (by default 1, half the squared
    error), or "learned"."""

    patience: int | None = None
    """Stop after this many epochs without a better validation bound."""
    remat: bool = False
    """Compute the inside of residual blocks again for their gradients, and do not keep it: less memory."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """What the networks' inner layers compute in; parameters and losses are always float32."""


ConfigT = TypeVar("ConfigT", bound=Config)


class Data(NamedTuple):
    """The splits as the model gets them, and what is done to each training batch."""

    train: np.ndarray
    validation: np.ndarray | None
    test: np.ndarray
    transform: Callable[[jax.Array, jax.Array], jax.Array] | None
    batch_size: int
    binary: bool
    protocol: str
    labels: tuple[np.ndarray | None, ...] = (None, None, None)
    attributes: tuple[Mapping[str, np.ndarray], ...] = ({}, {}, {})
    placement: Placement = "device"
    placed: str = ""  # why the images are there, if it was left open


def check(config: Config) -> None:
    """Raises for a flag that is out of range, before anything is read or written."""
    positive = ("epochs", "batch_size", "code", "patience", "image_size", "accumulate")
    for name in (*positive, "checkpoint_every"):
        value = getattr(config, name, None)
        if value is not None and value < 1:
            raise ValueError(f"--{name.replace('_', '-')} must be positive, got {value}")
    if config.epochs is None and type(config).epochs is not None:
        raise ValueError("--epochs must be a number")
    for name in ("rise", "workers"):
        if getattr(config, name) < 0:
            raise ValueError(f"--{name} must not be negative, got {getattr(config, name)}")
    if config.distributed and config.run_dir is None:
        raise ValueError("--distributed needs a --run-dir that all processes can read")
    for name in ("learning_rate", "clip_norm"):
        value = getattr(config, name)
        if value is not None and not 0 < value < math.inf:
            raise ValueError(f"--{name.replace('_', '-')} must be positive, got {value}")
    if not 0 <= config.weight_decay < math.inf:
        raise ValueError(f"--weight-decay must not be negative, got {config.weight_decay}")
    if not 0 <= config.seed < 2**32:
        raise ValueError(f"--seed must be in [0, 2**32), got {config.seed}")
    if config.image_size is not None and config.image_size > MAX_IMAGE_SIZE:
        raise ValueError(f"--image-size must be at most {MAX_IMAGE_SIZE}, got {config.image_size}")
    if config.batch_size is not None:
        parallel.check_divides(config.batch_size, parallel.data_mesh(), config.accumulate)


def load(config: Config, *, hold_out: bool = True, default: int = 128) -> Data:
    """The images, binarised if asked for; `protocol` says in words what the figures are about.

    Args:
      config: the flags.
      hold_out: False to train on the validation images too, where nothing is selected.
      default: the batch size, unless the flags give one.
    """
    check(config)
    if not hold_out and getattr(config, "patience", None) is not None:
        raise ValueError("--patience needs validation images, and here none are held out")
    stream = {"auto": None, "stream": True}.get(config.placement, False)
    splits = parallel.together(
        lambda: jaxae.load(
            config.dataset, data_dir=config.data_dir, image_size=config.image_size, stream=stream
        )
    )
    train, validation, test = (split.images for split in splits)
    where, why = placement(config, train, validation if hold_out else None)
    binary = jaxae.is_binary(test if where == "stream" else train)
    levels = "binary pixels" if binary else "grey levels" if train.shape[-1] == 1 else "colours"
    transform = None
    if getattr(config, "binarize", False):
        if binary:
            raise ValueError(f"{config.dataset} is black and white already; leave out --binarize")
        transform = jaxae.binarize
        keys = jax.random.split(jax.random.key(BINARIZE_SEED))
        # Fixed, and the same for all seeds, so that figures can be compared.
        validation, test = (
            (255 * np.asarray(jaxae.binarize(key, jaxae.as_float(jnp.asarray(x))))).astype(np.uint8)
            for key, x in zip(keys, (validation, test), strict=True)
        )
        levels = "dynamically binarised pixels (the test set binarised once)"
        binary = True
    shape = " x ".join(map(str, test.shape[1:]))
    protocol = f"{len(test)} test images of {config.dataset}, {shape}, {levels}"
    if not hold_out:
        if where == "stream":
            raise ValueError(
                "this experiment trains on the validation images too, which are not streamed; take "
                "--placement host"
            )
        train = np.concatenate([train, validation])
        protocol += f"; {len(train)} to train on, none held out"
    size = batch_size(config, len(train), default)
    labels = [split.labels for split in splits]
    attributes = [split.attributes for split in splits]
    held_out = validation if hold_out else None
    if not hold_out:
        if labels[0] is not None and labels[1] is not None:
            labels[0] = np.concatenate([labels[0], labels[1]])
        attributes[0] = {
            name: np.concatenate([has, attributes[1][name]]) for name, has in attributes[0].items()
        }
    return Data(
        train,
        held_out,
        test,
        transform,
        size,
        binary,
        protocol,
        tuple(labels),
        tuple(attributes),
        where,
        why,
    )


def batch_size(config: Config, examples: int, default: int) -> int:
    """The batch size of the flags, or the default, if there are as many examples."""
    if config.batch_size is None:
        share = parallel.data_mesh().size * config.accumulate
        return max(1, min(default, examples) // share) * share
    if config.batch_size > examples:
        raise ValueError(
            f"--batch-size {config.batch_size} is larger than the {examples} training examples"
        )
    return config.batch_size


def likelihood(config: ModelConfig, default: str) -> jaxae.Likelihood:
    """The likelihood that the flags name."""
    name = config.likelihood or default
    if name in ("gaussian", "laplace"):
        scale = None if config.scale == "learned" else 1.0 if config.scale is None else config.scale
        return {"gaussian": jaxae.gaussian, "laplace": jaxae.laplace}[name](scale)
    if config.scale is not None:
        raise ValueError(f"--scale goes with gaussian or laplace, not with {name}")
    plain = {
        "bernoulli": jaxae.bernoulli,
        "discretized_logistic": jaxae.discretized_logistic,
        "categorical": jaxae.categorical,
    }
    return plain[name]()


def check_levels(name: str, distribution: jaxae.Likelihood, images: np.ndarray) -> None:
    """Raises if a likelihood over the 256 levels of a byte is asked for on floats."""
    if distribution.levels == 256 and images.dtype != np.uint8:
        raise ValueError(f"--likelihood {name} is for bytes, and these images are floats")


def networks(
    config: ModelConfig,
    shape: tuple[int, ...],
    outputs: int,
    code_outputs: int,
    *,
    overcomplete: bool = False,
    activation: Activation | None = None,
) -> tuple[jaxae.Network, jaxae.Network]:
    """Encoder and decoder for images of this shape; the decoder has the encoder's widths reversed.

    Args:
      config: the flags.
      shape: of one image.
      outputs: how many the likelihood wants for each value.
      code_outputs: what the encoder gives: the code, or twice the code for a VAE.
      overcomplete: whether a code may have more values than an image.
      activation: another than gelu.
    """
    if config.network == "unet":
        raise ValueError(
            "--network unet has no bottleneck; it is for making one image of another, as in "
            "experiments.denoising"
        )
    if config.code > (values := math.prod(shape)) and not overcomplete:
        raise ValueError(f"--code {config.code} is larger than the {values} values of an image")
    defaults = {"mlp": (400,), "conv": (32, 64), "resnet": (32, 64, 128)}
    hidden = defaults[config.network] if config.hidden is None else config.hidden
    if not hidden and (config.dropout > 0 or config.gated):
        raise ValueError("--hidden without a layer leaves nothing for --dropout and --gated")
    makers: dict[str, tuple[Callable[..., jaxae.Network], Callable[..., jaxae.Network]]] = {
        "mlp": (jaxae.mlp_encoder, jaxae.mlp_decoder),
        "conv": (jaxae.conv_encoder, jaxae.conv_decoder),
        "resnet": (jaxae.resnet_encoder, jaxae.resnet_decoder),
    }
    make_encoder, make_decoder = makers[config.network]
    options = network_options(config)
    if activation is not None:
        options["activation"] = activation
    encoder = make_encoder(code_outputs, hidden, **options)
    decoder = make_decoder(shape, hidden[::-1], outputs=outputs, **options)
    return encoder, decoder


def network_options(config: ModelConfig) -> dict[str, Any]:
    """What is said of the layers: dropout, precision, gates."""
    dtype = jnp.bfloat16 if config.precision == "bfloat16" else jnp.float32
    options: dict[str, Any] = {"dropout": config.dropout, "dtype": dtype}
    if config.gated:
        if config.network != "mlp":
            raise ValueError(f"--gated goes with --network mlp, not with {config.network}")
        options["gated"] = True
    if config.remat:
        if config.network != "resnet":
            raise ValueError(f"--remat goes with --network resnet, not with {config.network}")
        options["remat"] = True
    return options


def with_epochs(config: ConfigT, data: Data, images: float, *, most: int = 10**6) -> ConfigT:
    """The flags; unless they give the epochs, with as many as show this number of images."""
    if config.epochs is not None:
        return config
    return dataclasses.replace(config, epochs=min(most, max(1, round(images / len(data.train)))))


def steps(config: Config, data: Data) -> int:
    """How many updates the run makes."""
    assert config.epochs is not None
    return config.epochs * (len(data.train) // data.batch_size)


def make_optimizer(
    config: Config, data: Data, *, b1: float = 0.9, every: int = 1
) -> optax.GradientTransformation:
    """Adam with the schedule, the weight decay and the clipping that the flags ask for.

    Args:
      config: the flags.
      data: what `load` returned.
      b1: the decay of the mean gradient.
      every: it moves once in so many steps.
    """
    total = max(1, steps(config, data) // every)
    rise = min(config.rise, total // 2)
    rate: optax.ScalarOrSchedule = config.learning_rate
    if config.schedule == "cosine":
        rate = optax.cosine_decay_schedule(config.learning_rate, total - rise)
    if rise:
        after = rate if callable(rate) else optax.constant_schedule(rate)
        begin = optax.linear_schedule(0.0, config.learning_rate, rise)
        rate = optax.join_schedules([begin, after], [rise])
    parts = [] if config.clip_norm is None else [optax.clip_by_global_norm(config.clip_norm)]
    if config.weight_decay > 0:
        matrices = lambda params: jax.tree.map(lambda p: p.ndim > 1, params)  # noqa: E731
        parts.append(optax.adamw(rate, b1=b1, weight_decay=config.weight_decay, mask=matrices))
    else:
        parts.append(optax.adam(rate, b1=b1))
    return jaxae.every(optax.chain(*parts), every)


def game_optimizer(
    config: Config, data: Data, *, critic_steps: int = 1, **rates: float
) -> optax.GradientTransformation:
    """An optimizer for each player of a game, which forget fast, since the other one moves.

    Args:
      config: the flags, of which the learning rate is that of all networks not named.
      data: what `load` returned.
      critic_steps: those move once in so many steps.
      rates: the learning rates of the networks that are named.
    """
    named = {
        name: make_optimizer(dataclasses.replace(config, learning_rate=rate), data, b1=0.5)
        for name, rate in rates.items()
    }
    return jaxae.players(make_optimizer(config, data, b1=0.5, every=critic_steps), **named)


def known_labels(data: Data, count: int, seed: int) -> np.ndarray:
    """The labels of some training images, as many of each class as of any other; -1 for the others.

    Raises:
      ValueError: if there are fewer than classes, or more than images.
    """
    labels = np.asarray(data.labels[0])
    if not count_classes(data) <= count <= len(labels):
        raise ValueError(
            f"--labels must be from {count_classes(data)}, one for each class, to {len(labels)}, all "
            f"training images, got {count}"
        )
    chosen = jaxae.balanced_order(labels, seed)[:count]
    known = np.full(len(labels), -1, np.int32)
    known[chosen] = labels[chosen]
    return known


_ASIDE = contextlib.ExitStack()
atexit.register(_ASIDE.close)


def open_run(
    config: Config, data: Data, experiment: str, more: Mapping[str, Any] | None = None
) -> Run:
    """The run folder, with all that the result depends on in its config.json."""
    directory = config.run_dir or new_directory(experiment, config.dataset)
    values = {"experiment": experiment, **dataclasses.asdict(config)}
    # Where things are, and what is done with a run later, does not change the result.
    places = ("run_dir", "data_dir", "apply", "images", "out", "placement", "workers")
    for place in (*places, "shard_params", "distributed", "checkpoint_every", "on_nonfinite"):
        values.pop(place, None)
    values |= {"data": fingerprint(data.train)} | dict(more or {})
    parallel.check_same([values, dataclasses.asdict(config), data.placement])
    if not parallel.is_first():
        # One process reports; what the others write is thrown away.
        aside = _ASIDE.enter_context(tempfile.TemporaryDirectory(prefix="jaxae-"))
        return parallel.together(lambda: Run(aside, values, shared=directory))
    return parallel.together(lambda: Run(directory, values))


@contextlib.contextmanager
def resumable(run: Run) -> Iterator[None]:
    """Around all that happens in a run: one process at a time, and an interruption says how to go on."""

    def stop_now(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    main_thread = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, stop_now) if main_thread else None
    try:
        with contextlib.ExitStack() as stack:
            parallel.together(lambda: stack.enter_context(exclusive(run.directory)))
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
    config: Config,
    data: Data,
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
        if any(parallel.agree(float(results is None))) or results is None:
            if data.placed and parallel.is_first():
                print(data.placed, file=sys.stderr)
            results = work(run)
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
    monitor: str = "loss",
    supervised: bool = False,
    targets: tuple[np.ndarray, np.ndarray | None] | None = None,
    stream: int = 0,
    optimizer: optax.GradientTransformation | None = None,
    average: float | None = None,
) -> jaxae.Fit:
    """Trains, showing the progress and writing metrics.jsonl, checkpoints and learning curves.

    Args:
      config: the flags.
      run: where to write.
      model: what to train.
      data: what `load` returned.
      monitor: the term of the validation images that the epoch is selected by.
      supervised: whether the model gets the labels as its targets.
      targets: of the training and of the validation images, if they are something else; without the
        second nothing is validated.
      stream: another number for each of several trainings that go on from one another, so that none
        sees the randomness of the one before again.
      optimizer: another than that of the flags.
      average: the decay of an average of the parameters, which is then what is kept.

    Of a game of two players, the log says when one of them has won.
    """
    assert config.epochs is not None
    key = jax.random.key(config.seed)
    train: Any = data.train
    held_out: Any = data.validation
    if supervised:
        labels = [np.asarray(part, np.int32) for part in data.labels]
        train = data.train, labels[0]
        held_out = None if data.validation is None else (data.validation, labels[1])
    if targets is not None:
        train = data.train, targets[0]
        held_out = None if targets[1] is None else (data.validation, targets[1])
    said: list[str] = []

    def log(record: Mapping[str, float | int]) -> None:
        note = jaxae.verdict(record)
        run.log(record if note is None else {**record, "note": note})
        if note is not None and not said:
            said.append(note)
            print(f"note: {note}", file=sys.stderr)

    try:
        fitted = jaxae.fit(
            model,
            train,
            optimizer=make_optimizer(config, data) if optimizer is None else optimizer,
            epochs=config.epochs,
            key=jax.random.fold_in(key, stream) if stream else key,
            batch_size=data.batch_size,
            validation=held_out,
            monitor=monitor,
            patience=getattr(config, "patience", None),
            transform=data.transform,
            average=average,
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
        fitted = fitted._replace(params=parallel.gather(fitted.params))
    path = run.figures / "learning_curves.png"
    title = f"Learning curves on {Path(config.dataset).name}"
    charts.learning_curves(fitted.history, path, title=title, best_epoch=fitted.best_epoch)
    return fitted


def placement(config: Config, images: Any, held_out: Any = None) -> tuple[Placement, str]:
    """Where the training images are to be, and why, if it was left open."""
    if config.workers and not isinstance(images, jaxae.Stream):
        raise ValueError("--workers read a stream: take --placement stream")
    if config.placement != "auto":
        return config.placement, ""
    where, why = feeding.fits(images, jax.local_devices(), held_out)
    return where, f"placement: {where} ({why})"


def keep_batch(run: Run, error: jaxae.NonFiniteError) -> str:
    """Writes the training examples of the step that failed, and says where."""
    if error.batch is None:
        return ""
    parts = jax.tree.leaves(error.batch)
    arrays: dict[str, Any] = dict(zip(("images", "targets"), parts, strict=False))
    path = run.directory / "nonfinite.npz"
    advice = " (--on-nonfinite skip)"
    try:
        with whole(path) as partial, open(partial, "wb") as file:
            np.savez_compressed(file, step=error.step, **arrays)
    except OSError as problem:
        return f"{advice}; its batch cannot be written ({problem.strerror})"
    return f"{advice}; its batch is in {path}"


def evaluate(
    model: jaxae.Autoencoder,
    fitted: jaxae.Fit,
    data: Data,
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
        error = jaxae.squared_error(x, jaxae.reconstruct(model, params, x))
        more = {} if score is None else score(params, score_key, x)
        return {"loss": out.loss, **out.terms, **more, "squared_error": error}

    evaluator = jaxae.make_evaluate(scores, batch_size=batch_size, mesh=parallel.local_mesh())
    test_scores = evaluator(fitted.params, jax.random.key(TEST_SEED), data.test)
    results = jaxae.means(test_scores, "test/")
    results["test/mse"] = results["test/squared_error"] / math.prod(shape)
    results["test/psnr"] = jaxae.psnr(results["test/mse"])
    return results


def squared_errors(model: jaxae.Autoencoder, params: Any, data: Data) -> tuple[float, float]:
    """The squared error of a test image, summed over its pixels: as decoded, and after clipping."""

    def errors(params: Any, key: jax.Array, x: jax.Array) -> dict[str, jax.Array]:
        y = jaxae.reconstruct(model, params, x)
        clipped = jaxae.squared_error(x, jnp.clip(y, 0, 1))
        return {"free": jaxae.squared_error(x, y), "clipped": clipped}

    scores = jaxae.make_evaluate(errors)(params, jax.random.key(TEST_SEED), data.test)
    found = jaxae.means(scores)
    return found["free"], found["clipped"]


def check_components(code: int, data: Data) -> None:
    """Raises if PCA cannot have so many components."""
    values = math.prod(data.train.shape[1:])
    if code > min(values, len(data.train)):
        raise ValueError(
            f"--code {code} is more than PCA can have: there are {len(data.train)} images of "
            f"{values} values"
        )


def count_classes(data: Data) -> int:
    """How many classes the labels name; 0 without labels."""
    return max((1 + int(np.max(part)) for part in data.labels if part is not None), default=0)


def check_average(config: Config) -> None:
    """Raises if the decay of an average is out of range."""
    if not 0 <= (average := getattr(config, "average", 0)) < 1:
        raise ValueError(f"--average must be in [0, 1), got {average}")


def check_labels(config: Config, data: Data) -> None:
    """Raises unless every image has one of at least two classes."""
    for labels in data.labels:
        if labels is None:
            raise ValueError(f"{config.dataset} has no labels, and codes are judged by classes")
        if not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0:
            raise ValueError(
                f"the labels of {config.dataset} are not the numbers of classes, 0, 1, ..."
            )
    if len(np.unique(np.asarray(data.labels[0]))) < 2:
        raise ValueError(f"all images of {config.dataset} have the same label")


def training_figures(data: Data, fitted: jaxae.Fit) -> dict[str, float]:
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
    run: Run, model: jaxae.Autoencoder, params: Any, data: Data, *, title: str
) -> None:
    """Ten test images, spread over the test set, over their reconstructions."""
    shown = np.asarray(choose(data))
    decoded = jax.device_get(jax.jit(lambda x: jaxae.reconstruct(model, params, x))(shown))
    path = run.figures / "reconstructions.png"
    figures.rows({"input": shown, "reconstruction": decoded}, path, title=title)


CORRUPTIONS: dict[str, Callable[..., corruptions.Corruption]] = {
    "gaussian": corruptions.gaussian,
    "masking": corruptions.masking,
    "salt_and_pepper": corruptions.salt_and_pepper,
    "erase": corruptions.erase,
    "grayscale": corruptions.grayscale,
    "downsample": corruptions.downsample,
}


def corruption(flags: tuple[str, ...]) -> corruptions.Corruption:
    """The corruption that flags such as `masking:0.3` name, one after the other."""
    return corruptions.compose(*(_corruption(flag) for flag in flags))


def _corruption(flag: str) -> corruptions.Corruption:
    name, _, strength = flag.partition(":")
    if name not in CORRUPTIONS:
        raise ValueError(f"there is no corruption {name!r}, only {', '.join(CORRUPTIONS)}")
    if name == "grayscale":
        if strength:
            raise ValueError("grayscale has no strength")
        return corruptions.grayscale()
    if not strength:
        raise ValueError(f"a corruption is written with its strength, such as {name}:0.3")
    value = number(strength, flag)
    if name == "downsample":
        if value != int(value):
            raise ValueError(f"downsampling is by a whole number, not by {strength}")
        return corruptions.downsample(int(value))
    return CORRUPTIONS[name](value)


def number(text: str, flag: str) -> float:
    """A finite number in a flag."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{text!r} in {flag!r} is no number")
    return value


def spread(total: int, count: int) -> np.ndarray:
    """Some indices, evenly spread: data may be sorted by class."""
    return np.linspace(0, total - 1, min(count, total)).astype(int)


def choose(data: Data, count: int = 10) -> jax.Array:
    """A few test images for figures."""
    return jaxae.as_float(data.test[spread(len(data.test), count)])


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


def as_trained(data: Data, images: np.ndarray) -> jax.Array:
    """Training images as the model sees them, with what is drawn afresh in training drawn once."""
    x = jaxae.as_float(images)
    return x if data.transform is None else data.transform(jax.random.key(BINARIZE_SEED), x)


def report(run: Run, results: Mapping[str, Any]) -> None:
    """Prints the results as a table, and where the run is."""
    if not parallel.is_first():
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


def command(main: Callable[[ConfigT], Any], config: type[ConfigT], doc: str | None) -> None:
    """Runs an experiment from the command line.

    The exit code is 0; 2, with one line on standard error, for anything the user can mend; 130
    after an interruption.
    """
    parsed = None
    try:
        parsed = _parse(config, doc)
        if parsed.distributed:
            parallel.connect()
        main(parsed)
    except (ValueError, OSError, MemoryError, jax.errors.JaxRuntimeError) as error:
        message = " ".join(str(error).split())
        together = parsed is not None and parsed.distributed
        if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in message:
            message = "out of memory; try a smaller --batch-size, --hidden or --image-size"
        elif isinstance(error, jax.errors.JaxRuntimeError) and not together:
            raise
        elif isinstance(error, jax.errors.JaxRuntimeError):
            message = (
                f"another process is gone ({message[:120]}); what was saved is kept: to go on, start "
                "all of them again with the same --run-dir"
            )
        print(f"error: {message}", file=sys.stderr)
        if together:
            # Not by way of JAX, which would wait for the others: they notice, and stop too.
            sys.stderr.flush()
            if parallel.is_first():
                time.sleep(3)  # it is who the others ask: first let them see that it has stopped
            _ASIDE.close()
            os._exit(2)
        raise SystemExit(2) from None
    except KeyboardInterrupt as stop:
        print(f"interrupted: {stop}" if str(stop) else "interrupted", file=sys.stderr)
        raise SystemExit(130) from None


def _parse(config: type[ConfigT], doc: str | None) -> ConfigT:
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
