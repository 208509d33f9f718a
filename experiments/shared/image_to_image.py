"""What colorization, super-resolution, inpainting and translation share: one image out of another.

A task says what the network sees of an image (a corruption, or the other half of a pair), how the answer
is put together from that and from the network's image, what it has to beat, and how it is judged. The
training is that of a denoising autoencoder.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tyro

import jaxae
from experiments.shared import datasets, flags, from_flags, optimizers, running
from jaxae.data import augmentations
from jaxae.data.corruptions import Corruption
from jaxae.networks.skip_input import Combine
from jaxae.runs import figures
from jaxae.runs.folder import Run, fingerprint, write_json

Painter = Callable[[jax.Array], jax.Array]
"""From what the network sees to an image."""
Scores = Callable[[jax.Array, jax.Array, jax.Array], Mapping[str, jax.Array]]
"""`(truth, image, seen) -> {name: [b]}`."""

SSIM_WINDOW = 11
BATCH, PAINTED = 250, 50
"""How many images are corrupted and scored together, and how many go through a network."""
LEAST_ERROR = 1e-10
"""The PSNR of a single image stops at 100 decibels: an image without an error has none."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(flags.ModelConfig):
    """Flags of the experiments that make one image of another."""

    network: flags.NetworkName = "unet"
    """A U-Net; or a network with a bottleneck: residual blocks, strided convolutions, fully
    connected."""
    hidden: tuple[int, ...] | None = None
    """Channels at each depth of the U-Net, from half the image's size downwards, or widths as
    elsewhere."""
    blocks: int | None = None
    """Residual blocks at each depth of the U-Net."""
    residual: bool = True
    """Let the network predict what to change of its input, and keep what is known of the answer;
    --no-residual: everything."""
    code: int = 64
    """Size of the code, where there is a bottleneck."""
    symmetries: int | None = None
    """Mirror (2), turn upside down (4) and on its side (8) training images at random, and average over
    these in the end; 1: neither."""

    epochs: int | None = None
    """Passes over the training set; by default as many as show a certain number of images."""
    batch_size: int | None = None
    """Examples in a step, over all devices; by default 16, or fewer if there are fewer."""
    learning_rate: float = 2e-3
    """Of Adam, at the start."""
    warmup_steps: int = 200
    """Steps at the start in which the learning rate rises from zero."""

    apply: str | None = None
    """The folder of a trained run, to be used on IMAGES; nothing is trained."""
    images: tyro.conf.Positional[tuple[str, ...]] = ()
    """Pictures for --apply, of any size."""
    out: str | None = None
    """Where --apply writes what it makes of them."""


class Task(NamedTuple):
    """What is made of what, and how it is judged.

    Attributes:
      name: of the experiment.
      answer: what the result is called in figures.
      words: what is done, for titles and the protocol.
      corrupt: from images to what the network sees; None where the data are pairs.
      seen: the shape of one image as the network sees it, of the shape of a target.
      combine: of the network's image and its input; None where the input is no part of the answer.
      look: from what the network sees to something that can be looked at.
      baselines: from the targets of the training to what the model has to beat, by name.
      scores: of an image beside the truth, besides squared error and ssim.
      images: how many are shown in a training by default.
      channels, blocks: of the U-Net by default.
      symmetries: how many are used by default.
      most_symmetries: how many the task has.
      likelihood, likelihood_name: where the task has one of its own.
    """

    name: str
    answer: str
    words: str
    corrupt: Corruption | None
    seen: Callable[[tuple[int, ...]], tuple[int, ...]]
    combine: Combine | None
    look: Painter
    baselines: Callable[[np.ndarray], dict[str, Painter]]
    scores: Scores = lambda truth, image, seen: {}
    images: int = 300_000
    channels: tuple[int, ...] = (48, 96, 192)
    blocks: int = 2
    symmetries: int = 2
    most_symmetries: int = 8
    likelihood: jaxae.Likelihood | None = None
    likelihood_name: str = ""


def build(config: Config, task: Task, shape: tuple[int, ...]) -> jaxae.Autoencoder:
    """The model for targets of this shape: the parameters of a U-Net are those of any shape."""
    distribution, _ = likelihood(config, task)
    seen = task.seen(shape)
    if config.network == "unet":
        if config.code != type(config).code:
            raise ValueError("--code goes with a network that has a bottleneck, not with unet")
        channels = task.channels if config.hidden is None else config.hidden
        options = from_flags.network_options(config)
        options["blocks"] = task.blocks if config.blocks is None else config.blocks
        encoder = jaxae.networks.unet_encoder(channels, **options)
        decoder = jaxae.networks.unet_decoder(
            shape, channels[::-1], outputs=distribution.outputs, **options
        )
    else:
        if config.blocks is not None:
            raise ValueError(f"--blocks goes with --network unet, not with {config.network}")
        encoder, decoder = from_flags.networks(config, shape, distribution.outputs, config.code)
    if task.combine is not None and config.residual:
        # What is known are values of the image: a likelihood must take them as its mean.
        if config.likelihood not in (None, "gaussian", "laplace"):
            raise ValueError(
                f"--likelihood {config.likelihood} has no room for the input; add --no-residual"
            )
        encoder, decoder = jaxae.networks.with_input(encoder, decoder, seen, task.combine)
    return jaxae.autoencoder(encoder, decoder, distribution)


def likelihood(config: Config, task: Task) -> tuple[jaxae.Likelihood, str]:
    """What the outputs of the network mean, and its name."""
    if task.likelihood is not None:
        return task.likelihood, task.likelihood_name
    return from_flags.likelihood(config, "gaussian"), config.likelihood or "gaussian"


def symmetries(config: Config, task: Task, shape: tuple[int, ...]) -> int:
    """How many symmetries are used for images of this shape."""
    if config.symmetries is None:
        count = min(task.symmetries, task.most_symmetries)
        return count if shape[0] == shape[1] else min(count, 4)
    if config.symmetries not in augmentations.SYMMETRIES:
        raise ValueError(f"--symmetries must be 1, 2, 4 or 8, got {config.symmetries}")
    if config.symmetries == 8 and shape[0] != shape[1]:
        raise ValueError("--symmetries 8 is for square images; give an --image-size, or 4")
    if config.symmetries > task.most_symmetries:
        raise ValueError(
            f"--symmetries {config.symmetries}: this task ({task.words}) has {task.most_symmetries}"
        )
    return config.symmetries


def train(
    config: Config,
    task: Task,
    data: datasets.Data,
    *,
    started: float,
    pairs: jaxae.data.PairSplits | None = None,
    record: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Trains a model, measures it beside its baselines, and writes the run folder.

    Args:
      config: the flags.
      task: what to do.
      data: what `datasets.load` returned.
      started: `time.perf_counter()` at the beginning.
      pairs: inputs and targets to train on, to validate and to test, where the task has no corruption.
      record: what `apply` has to know of this run besides its configuration.
    """
    if config.binarize:
        raise ValueError("--binarize is for models of images as they are; leave it out")
    shape = data.test.shape[1:] if pairs is None else pairs.test[1].shape[1:]
    count = symmetries(config, task, shape)
    config = optimizers.with_epochs(config, data, task.images, most=400)
    distribution, name = likelihood(config, task)
    if task.likelihood is None:
        datasets.check_levels(name, distribution, data.test)
    plain = build(config, task, shape)
    if task.corrupt is not None:
        # What cannot be done to these images is refused before there is a folder.
        jax.eval_shape(task.corrupt, jax.random.key(0), jaxae.as_float(data.test[:1]))
        model = jaxae.denoising(plain, task.corrupt)
        test = corrupted(task.corrupt, data.test), data.test
    else:
        assert pairs is not None
        model = plain
        test = pairs.test
    if count > 1:
        data = data._replace(transform=jaxae.augmentations.random_symmetry(count))

    def work(run: Run) -> dict[str, Any]:
        write_json(run.directory / "task.json", {"shape": shape, **(record or {})})
        if pairs is None:
            fitted = running.fit(config, run, model, data)
        else:
            train, validation = (
                jaxae.Batch(targets, seen=inputs)
                for inputs, targets in (pairs.train, pairs.validation)
            )
            fitted = running.fit(config, run, model, data, train=train, validation=validation)
        once = painter(model, fitted.params, 1)
        answer = painter(model, fitted.params, count)
        baselines = task.baselines(data.train if pairs is None else pairs.train[1])
        methods = {"test": answer} | ({"once": once} if count > 1 else {}) | baselines
        results: dict[str, Any] = {}
        for method, function in methods.items():
            found = measure(test, function, task.scores)
            results |= {f"{method}/{k}": v for k, v in found.items()}
        results |= running.training_figures(data, fitted)
        results["protocol"] = protocol(config, task, data.protocol, name, count)
        draw(config, run, task, test, answer, baselines)
        return results

    # The inputs of pairs are `data` already; what is made of them counts as much.
    more = None if pairs is None else {"targets_data": fingerprint(pairs.train[1])}
    return running.conduct(task.name, config, data, work, started=started, more=more)


def protocol(config: Config, task: Task, about: str, name: str, count: int) -> str:
    """What the figures are about, in words."""
    averaged = (
        f"; test: the mean over {count} symmetries of the input, once: without that"
        if count > 1
        else ""
    )
    return (
        f"{about}; {task.words}; {name} likelihood{averaged}; mse per value in [0, 1] after clipping; "
        "psnr in dB of the mean mse, image_psnr the mean of the images' own, each at most 100; ssim a "
        "mean over images"
    )


def corrupted(corrupt: Corruption, x: np.ndarray) -> np.ndarray:
    """What the network sees of images: the same for every run and every method."""
    key = jax.random.key(datasets.TEST_SEED)
    run = jax.jit(corrupt)
    return np.concatenate(
        [
            np.asarray(run(jax.random.fold_in(key, i), jaxae.as_float(x[i : i + BATCH])))
            for i in range(0, len(x), BATCH)
        ]
    )


def painter(model: jaxae.Autoencoder, params: Any, count: int) -> Painter:
    """What a model makes of what it sees, averaged over so many symmetries."""
    # The network is compiled once for all symmetries, and for as many images as a cache can hold.
    reconstruct = jax.jit(functools.partial(jaxae.reconstruct, model))
    paint = jaxae.augmentations.self_ensemble(lambda x: reconstruct(params, x), count)
    return lambda x: jnp.concatenate([paint(x[i : i + PAINTED]) for i in range(0, len(x), PAINTED)])


def measure(
    pairs: tuple[np.ndarray, np.ndarray], paint: Painter, scores: Scores
) -> dict[str, float]:
    """How near images come to the truth, each image clipped to [0, 1]."""
    seen, truth = pairs
    fits = min(truth.shape[1:3]) >= SSIM_WINDOW
    parts: dict[str, list[np.ndarray]] = {}
    values = math.prod(truth.shape[1:])
    for i in range(0, len(truth), BATCH):
        x, x_seen = (jaxae.as_float(part[i : i + BATCH]) for part in (truth, seen))
        y = jnp.clip(jnp.asarray(paint(x_seen)), 0, 1)
        found = {"mse": jaxae.analysis.squared_error(x, y) / values}
        if fits:
            found["ssim"] = jaxae.analysis.ssim(x, y)
        for name, score in (found | dict(scores(x, y, x_seen))).items():
            parts.setdefault(name, []).append(np.asarray(score))
    every = {name: np.concatenate(part) for name, part in parts.items()}
    results = jaxae.training.means(every)
    results["psnr"] = jaxae.analysis.psnr(results["mse"])
    own = -10 * np.log10(np.maximum(every["mse"], LEAST_ERROR))
    results["image_psnr"] = float(own.mean(dtype=np.float64))
    if "hole_values" in every:
        # Holes differ in size: the error of all missing values together.
        error = float(every["hole_error"].sum(dtype=np.float64))
        results["hole_mse"] = error / float(every["hole_values"].sum(dtype=np.float64))
        results["hole_psnr"] = jaxae.analysis.psnr(results["hole_mse"])
        del results["hole_error"], results["hole_values"]
    return results


def draw(
    config: Config,
    run: Run,
    task: Task,
    test: tuple[np.ndarray, np.ndarray],
    answer: Painter,
    baselines: Mapping[str, Painter],
) -> None:
    """What was seen, what was made of it, the truth, and what the baselines made of it."""
    chosen = datasets.spread(len(test[0]), 10)
    x, truth = (jaxae.as_float(part[chosen]) for part in test)
    shown = np.asarray(task.look(x))
    others = {k: np.clip(np.asarray(paint(x)), 0, 1) for k, paint in baselines.items()}
    # A baseline that leaves the input as it is gives it its name.
    same = [name for name, image in others.items() if np.array_equal(image, shown)]
    rows = {" ".join(["input", *(f"({name})" for name in same)]): shown}
    rows |= {task.answer: np.clip(answer(x), 0, 1), "truth": np.asarray(truth)}
    rows |= {name: image for name, image in others.items() if name not in same}
    rows = {name.replace("_", " "): image for name, image in rows.items()}
    title = f"{Path(config.dataset).name}: {task.words}"
    figures.rows(rows, run.figures / f"{task.answer}.png", title=title)
