"""Common parts of colorization, super-resolution, inpainting and translation: image to image.

A :class:`Task` defines what the network sees of an image (a corruption of it, or the other image of a
pair), how the result is composed of that and of the network's output, the baselines, and further scores.
The model is a denoising autoencoder.
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

import jaxae
from experiments.shared import datasets, flags, from_flags, optimizers, running
from experiments.shared.measuring import Scores, corrupted, measure
from experiments.shared.tables import print_results
from jaxae.data import augmentations
from jaxae.data.corruptions import Corruption
from jaxae.networks.skip_input import Combine
from jaxae.runs import figures
from jaxae.runs.folder import Run
from jaxae.runs.identity import fingerprint
from jaxae.runs.painting import painter
from jaxae.runs.pictures import Painter


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(flags.ModelConfig):
    """Flags of the image-to-image experiments."""

    network: flags.NetworkName = "unet"
    """Use this architecture for the encoder and the decoder: a U-Net (unet), or one with a
    bottleneck: residual blocks (resnet), strided convolutions (conv) or fully connected layers
    (mlp)."""
    hidden: tuple[int, ...] | None = None
    """Use these numbers of channels at each depth of the U-Net, from half the image size downwards,
    or these widths in the other architectures. The default depends on the architecture."""
    blocks: int | None = None
    """Use this number of residual blocks at each depth of the U-Net. The default is 2."""
    residual: bool = True
    """Predict a correction that is added to the input, and keep the values that are known. With
    --no-residual the network predicts the whole image."""
    code: flags.LatentDim = 64
    """Use codes with this number of latent dimensions, if the architecture has a bottleneck."""
    symmetries: int | None = None
    """Transform training images at random by this number of symmetries, and average the results
    over them: 2 (mirrored), 4 (also upside down), 8 (also turned by 90 degrees) or 1 (none). The
    default depends on the task."""

    epochs: int | None = None
    """Train for this number of passes over the training set. The default depends on the experiment
    and on the size of the training set."""
    batch_size: int | None = None
    """Compute each training step on this number of examples, over all devices. The default is 16,
    or all examples if there are fewer."""
    learning_rate: float = 2e-3
    """Start with this learning rate of the optimizer Adam."""
    warmup_steps: int = 200
    """Raise the learning rate linearly from zero during this number of training steps."""


class Task(NamedTuple):
    """Definition of an image-to-image experiment: its inputs, its results, and their scores.

    Attributes:
      name: of the experiment.
      use: what a trained run does to pictures, see :mod:`jaxae.runs.painting`.
      result: the name of the computed images in figures and file names.
      description: for titles and the protocol.
      corrupt: from images to what the network sees; None where the data are pairs.
      input_shape: from the shape of a target to the shape of what the network sees.
      combine: of the network's input and its output; None where the input is no part of the result.
      displayed: from what the network sees to images for figures.
      baselines: from the training targets to the methods to compare with, by name.
      source: from the true images to what the input is made of, as images of the same size, where that is
        not what the network sees; None for no row of its own.
      scores: further scores, in addition to squared error and ssim.
      images: the number of training images shown by default.
      channels, blocks: of the U-Net by default.
      symmetries: the number of symmetries used by default.
      most_symmetries: the number of symmetries that the task has.
      likelihood, likelihood_name: for a task with a likelihood of its own.
    """

    name: str
    use: Mapping[str, Any]
    result: str
    description: str
    corrupt: Corruption | None
    input_shape: Callable[[tuple[int, ...]], tuple[int, ...]]
    combine: Combine | None
    displayed: Painter
    baselines: Callable[[np.ndarray], dict[str, Painter]]
    source: Painter | None = None
    scores: Scores = lambda truth, image, seen: {}
    images: int = 300_000
    channels: tuple[int, ...] = (48, 96, 192)
    blocks: int = 2
    symmetries: int = 2
    most_symmetries: int = 8
    likelihood: jaxae.Likelihood | None = None
    likelihood_name: str = ""


def build(config: Config, task: Task, shape: tuple[int, ...]) -> jaxae.Autoencoder:
    """The model for targets of this shape; a U-Net has the same parameters for every shape."""
    distribution, _ = likelihood(config, task)
    input_shape = task.input_shape(shape)
    if config.network == "unet":
        if config.code != type(config).code:
            raise ValueError("--code is for networks with a bottleneck; --network unet has none")
        channels = task.channels if config.hidden is None else config.hidden
        options = from_flags.network_options(config)
        options["blocks"] = task.blocks if config.blocks is None else config.blocks
        encoder = jaxae.networks.unet_encoder(channels, **options)
        decoder = jaxae.networks.unet_decoder(
            shape, channels[::-1], outputs=distribution.outputs, **options
        )
    else:
        if config.blocks is not None:
            raise ValueError(f"--blocks is for --network unet, not for {config.network}")
        encoder, decoder = from_flags.networks(config, shape, distribution.outputs, config.code)
    if task.combine is not None and config.residual:
        # The input consists of pixel values, so the first output must be the mean of the likelihood.
        if config.likelihood not in (None, "gaussian", "laplace"):
            raise ValueError(
                f"--likelihood {config.likelihood} cannot be combined with the input; add --no-residual"
            )
        encoder, decoder = jaxae.networks.with_input(encoder, decoder, input_shape, task.combine)
    return jaxae.autoencoder(encoder, decoder, distribution)


def likelihood(config: Config, task: Task) -> tuple[jaxae.Likelihood, str]:
    """The likelihood of the task or of the flags, and its name."""
    if task.likelihood is not None:
        return task.likelihood, task.likelihood_name
    return from_flags.likelihood(config, "gaussian"), config.likelihood or "gaussian"


def symmetries(config: Config, task: Task, shape: tuple[int, ...]) -> int:
    """The number of symmetries that are used for images of this shape."""
    if config.symmetries is None:
        count = min(task.symmetries, task.most_symmetries)
        return count if shape[0] == shape[1] else min(count, 4)
    if config.symmetries not in augmentations.SYMMETRIES:
        raise ValueError(f"--symmetries must be 1, 2, 4 or 8, got {config.symmetries}")
    if config.symmetries == 8 and shape[0] != shape[1]:
        raise ValueError("--symmetries 8 needs square images; give an --image-size, or 4")
    if config.symmetries > task.most_symmetries:
        raise ValueError(
            f"--symmetries {config.symmetries}: this task ({task.description}) has "
            f"{task.most_symmetries}"
        )
    return config.symmetries


def train(
    config: Config,
    task: Task,
    data: datasets.Data,
    *,
    started: float,
    pairs: jaxae.data.PairSplits | None = None,
) -> dict[str, Any]:
    """Trains a model, compares it with the baselines, and writes the run folder.

    Args:
      config: the flags.
      task: what to do.
      data: what `datasets.load` returned.
      started: `time.perf_counter()` at the beginning.
      pairs: inputs and targets to train on, to validate and to test, where the task has no corruption.
    """
    if config.binarize:
        raise ValueError("--binarize is not for image-to-image experiments; leave it out")
    shape = data.test.shape[1:] if pairs is None else pairs.test.targets.shape[1:]
    count = symmetries(config, task, shape)
    config = optimizers.with_epochs(config, data, task.images, most=400)
    distribution, name = likelihood(config, task)
    if task.likelihood is None:
        from_flags.check_levels(name, distribution, data.test)
    model = build(config, task, shape)
    if task.corrupt is not None:
        # A corruption that does not fit these images is an error before the run folder exists.
        jax.eval_shape(task.corrupt, jax.random.key(0), jaxae.as_float(data.test[:1]))
        model = jaxae.denoising(model, task.corrupt)
        test = corrupted(task.corrupt, data.test), data.test
    else:
        assert pairs is not None
        test = pairs.test
    if count > 1:
        data = data._replace(transform=jaxae.augmentations.random_symmetry(count))

    def work(run: Run) -> dict[str, Any]:
        if pairs is None:
            fitted = running.fit(config, run, model, data)
        else:
            fitted = running.fit(
                config,
                run,
                model,
                data,
                train=jaxae.Batch(pairs.train.targets, seen=pairs.train.inputs),
                validation=jaxae.Batch(pairs.validation.targets, seen=pairs.validation.inputs),
            )
        once = painter(model, fitted.params, 1)
        averaged = painter(model, fitted.params, count)
        baselines = task.baselines(data.train if pairs is None else pairs.train.targets)
        methods = {"test": averaged} | ({"once": once} if count > 1 else {}) | baselines
        results: dict[str, Any] = {}
        for method, function in methods.items():
            with running.stage(f"{_words(method, task)}: {len(test[0]):,} test images"):
                found = measure(test, function, task.scores)
            results |= {f"{method}/{k}": v for k, v in found.items()}
        results |= running.training_figures(data, fitted)
        results["protocol"] = protocol(task, data.protocol, name, count)
        draw(config, run, task, test, averaged, baselines, results)
        return results

    # The inputs of pairs are the images of `data`; the run depends on their targets as well.
    more = None if pairs is None else {"targets_data": fingerprint(pairs.train.targets)}

    def show(results: dict[str, Any]) -> None:
        methods = dict.fromkeys(name.partition("/")[0] for name in results if "/mse" in name)
        print_results(
            f"{Path(config.dataset).name}, {task.description}: test images",
            results,
            (
                *("mse", "psnr", "ssim", "hole_mse", "hole_psnr"),
                *("chroma_error", "colorfulness"),
            ),
            {method: _words(method, task) for method in methods},
        )

    use = {**task.use, "symmetries": count}
    return running.conduct(
        task.name, config, data, work, show=show, started=started, more=more, use=use
    )


def _words(method: str, task: Task) -> str:
    """The name of a method in a table."""
    names = {"test": task.result, "once": f"{task.result}, once"}
    return names.get(method, method.replace("_", " "))


def protocol(task: Task, about: str, name: str, count: int) -> str:
    """A description of what the figures mean."""
    averaged = (
        f"; test: the mean over {count} symmetries of the input, once: without that"
        if count > 1
        else ""
    )
    return (
        f"{about}; {task.description}; {name} likelihood{averaged}; mse per value in [0, 1] after "
        "clipping; psnr in dB of the mean mse, image_psnr the mean over images, each at most 100; ssim "
        "the mean over images"
    )


def draw(
    config: Config,
    run: Run,
    task: Task,
    test: tuple[np.ndarray, np.ndarray],
    paint: Painter,
    baselines: Mapping[str, Painter],
    results: Mapping[str, Any],
) -> None:
    """Draws inputs, results, true images, and the results of the baselines."""
    chosen = datasets.spread(len(test[0]), 10)
    x, truth = (jaxae.as_float(part[chosen]) for part in test)
    shown = np.asarray(task.displayed(x))
    others = {k: np.clip(np.asarray(method(x)), 0, 1) for k, method in baselines.items()}
    rows = {} if task.source is None else {"low resolution": np.asarray(task.source(truth))}
    # A baseline that returns its input has no row of its own: its name and score are those of the input.
    same = [name for name, image in others.items() if np.array_equal(image, shown)]
    names = ["input"] if task.source is None or not same else []
    rows["\n".join([*names, *(scored(name, results) for name in same)])] = shown
    rows[scored(task.result, results, "test")] = np.clip(paint(x), 0, 1)
    rows |= {"truth": np.asarray(truth)}
    rows |= {scored(name, results): image for name, image in others.items() if name not in same}
    title = f"{Path(config.dataset).name}: {task.description}; PSNR of all test images"
    figures.rows(rows, run.figures / f"{task.result}.png", title=title)


def scored(name: str, results: Mapping[str, Any], key: str | None = None) -> str:
    """The name of a method with its score on all test images, for a row of a figure."""
    score = f"{results[f'{key or name}/psnr']:.2f} dB"
    words = name.replace("_", " ")
    return score if name == "input" else f"{words}\n{score}"
