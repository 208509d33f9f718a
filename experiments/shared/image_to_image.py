"""Making one image from another: what colorization, super-resolution, inpainting and translation share.

A task defines the input of the network (a corrupted image, or the other image of a pair), how the output
image is composed of this input and of the network's output, the baselines, and the measures. The model is
trained as a denoising autoencoder.
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import tyro

import jaxae
from experiments.shared import datasets, flags, from_flags, optimizers, running
from experiments.shared.measuring import Scores, corrupted, measure, painter
from jaxae.data import augmentations
from jaxae.data.corruptions import Corruption
from jaxae.networks.skip_input import Combine
from jaxae.runs import figures
from jaxae.runs.folder import Run, fingerprint, write_json
from jaxae.runs.pictures import Painter


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(flags.ModelConfig):
    """Flags of the experiments that make one image from another."""

    network: flags.NetworkName = "unet"
    """Architecture: a U-Net, or a network with a bottleneck: residual blocks (resnet), strided
    convolutions (conv), or fully connected layers (mlp)."""
    hidden: tuple[int, ...] | None = None
    """Channels at each depth of the U-Net, beginning at half the size of the image; for other
    architectures, the widths or channels of the encoder."""
    blocks: int | None = None
    """Number of residual blocks at each depth of the U-Net."""
    residual: bool = True
    """Let the network predict only the change of its input, and keep the values of the output that are
    known. With --no-residual it predicts all values."""
    code: flags.LatentDim = 64
    """Number of latent dimensions, the size of the code, of networks with a bottleneck."""
    symmetries: int | None = None
    """Number of symmetries of an image: 1 for none, 2 for mirror images, 4 for images upside down as
    well, 8 for images on their side as well. Training images are transformed at random, and results
    are averages over all symmetries."""

    epochs: int | None = None
    """Number of passes over the training set. The default depends on the task and on the number of images."""
    batch_size: int | None = None
    """Number of examples in a step, over all devices. The default is 16, or all examples if there are
    fewer."""
    learning_rate: float = 2e-3
    """Initial learning rate of Adam."""
    warmup_steps: int = 200
    """Number of steps in which the learning rate rises linearly from zero."""

    apply: str | None = None
    """The folder of a trained run. It is applied to the pictures given as arguments, and nothing is
    trained."""
    images: tyro.conf.Positional[tuple[str, ...]] = ()
    """The pictures for --apply, of any size."""
    out: str | None = None
    """The folder in which --apply writes the results."""


class Task(NamedTuple):
    """The inputs and outputs of a network, and the measures of its outputs.

    Attributes:
      name: of the experiment.
      answer: the name of the result in figures.
      words: a description of the task, for titles and the protocol.
      corrupt: from images to the inputs of the network; None where the data are pairs.
      seen: from the shape of a target to the shape of an input of the network.
      combine: composes the network's output and its input; None where the input is no part of the result.
      look: from inputs of the network to images that can be displayed.
      baselines: from the training targets to the methods that the model is compared with, by name.
      scores: measures of images in addition to squared error and SSIM.
      images: the default number of images trained on, counting each once in every epoch.
      channels, blocks: the defaults of the U-Net.
      symmetries: the default number of symmetries.
      most_symmetries: the number of symmetries of the task.
      likelihood, likelihood_name: a likelihood that replaces that of the flags.
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
    """The model for targets of this shape; a U-Net has the same parameters for all shapes."""
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
        # Known values of the image become the mean of the likelihood.
        if config.likelihood not in (None, "gaussian", "laplace"):
            raise ValueError(
                f"--likelihood {config.likelihood} cannot keep values of the input; add --no-residual"
            )
        encoder, decoder = jaxae.networks.with_input(encoder, decoder, seen, task.combine)
    return jaxae.autoencoder(encoder, decoder, distribution)


def likelihood(config: Config, task: Task) -> tuple[jaxae.Likelihood, str]:
    """The likelihood of the task, or else of the flags, and its name."""
    if task.likelihood is not None:
        return task.likelihood, task.likelihood_name
    return from_flags.likelihood(config, "gaussian"), config.likelihood or "gaussian"


def symmetries(config: Config, task: Task, shape: tuple[int, ...]) -> int:
    """The number of symmetries used for images of this shape."""
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
    """Trains a model, evaluates it and the baselines, and writes the run folder.

    Args:
      config: the flags.
      task: the task.
      data: what `datasets.load` returned.
      started: `time.perf_counter()` at the beginning.
      pairs: inputs and targets for training, validation and test, where the task has no corruption.
      record: what `--apply` needs to know of this run, in addition to its configuration.
    """
    if config.binarize:
        raise ValueError("--binarize is for models of images as they are; leave it out")
    shape = data.test.shape[1:] if pairs is None else pairs.test[1].shape[1:]
    count = symmetries(config, task, shape)
    config = optimizers.with_epochs(config, data, task.images, most=400)
    distribution, name = likelihood(config, task)
    if task.likelihood is None:
        from_flags.check_levels(name, distribution, data.test)
    plain = build(config, task, shape)
    if task.corrupt is not None:
        # A corruption that does not go with these images raises before the run folder is created.
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

    # The fingerprint of `data` is that of the inputs alone.
    more = None if pairs is None else {"targets_data": fingerprint(pairs.train[1])}
    return running.conduct(task.name, config, data, work, started=started, more=more)


def protocol(config: Config, task: Task, about: str, name: str, count: int) -> str:
    """A description of the results, for results.json."""
    averaged = (
        f"; test: the mean over {count} symmetries of the input, once: without symmetries"
        if count > 1
        else ""
    )
    return (
        f"{about}; {task.words}; {name} likelihood{averaged}; mse per value in [0, 1] after clipping; "
        "psnr in dB of the mean mse, image_psnr the mean over images of their psnr, each at most 100; "
        "ssim a mean over images"
    )


def draw(
    config: Config,
    run: Run,
    task: Task,
    test: tuple[np.ndarray, np.ndarray],
    answer: Painter,
    baselines: Mapping[str, Painter],
) -> None:
    """Draws inputs, results, the truth, and the results of the baselines."""
    chosen = datasets.spread(len(test[0]), 10)
    x, truth = (jaxae.as_float(part[chosen]) for part in test)
    shown = np.asarray(task.look(x))
    others = {k: np.clip(np.asarray(paint(x)), 0, 1) for k, paint in baselines.items()}
    # A baseline equal to the input is not drawn twice; its name is added to that of the input.
    same = [name for name, image in others.items() if np.array_equal(image, shown)]
    rows = {" ".join(["input", *(f"({name})" for name in same)]): shown}
    rows |= {task.answer: np.clip(answer(x), 0, 1), "truth": np.asarray(truth)}
    rows |= {name: image for name, image in others.items() if name not in same}
    rows = {name.replace("_", " "): image for name, image in rows.items()}
    title = f"{Path(config.dataset).name}: {task.words}"
    figures.rows(rows, run.figures / f"{task.answer}.png", title=title)
