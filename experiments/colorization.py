"""Colorization: predicts the colours of grey images.

    python -m experiments.colorization --dataset cifar10
    python -m experiments.colorization --dataset cifar10 --classes 96

The grey level is 0.299 R + 0.587 G + 0.114 B. The result keeps it, except where values are clipped to
[0, 1]; only the colour is predicted. The baselines are the grey image itself and the best affine function
of its levels.

The squared error is minimal at the mean of all colours that an object may have, which is paler than each of
them. With --classes the model predicts probabilities of this number of colours instead (the K-means centres
of the colours of training images): its images are more vivid and have a larger squared error. colorfulness
is the measure of Hasler and Süsstrunk; chroma_error is the mean squared error of a and b in CIE Lab.

`jaxae reconstruct RUN picture.png --out colored` predicts the colours of a picture at the size of the
training images, and combines them with the grey levels of the picture at its own size. Colours of the picture
are ignored.

Measured (the first command; CIFAR-10 test, 240,000 training images shown, one core of two shared with
another training, jax 0.10.2): mse 0.00475 and 23.24 dB in 30 minutes (without averaging over the mirrored
image 0.00479); grey 0.00662, affine 0.00620. chroma_error 142 (grey 197), colorfulness 15.7.
--classes 96 after one epoch, a fifth of the training: mse 0.00519, colorfulness 18.2.

Lectures: colorization on CIFAR-10, with figures of the truth, the grey input and the prediction.
"""

import experiments  # noqa: F401  # isort: skip  (finds the packages, also for a script)

import dataclasses
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.cluster import MiniBatchKMeans

import jaxae
from experiments.shared import datasets
from experiments.shared import image_to_image as common
from jaxae.data import colors
from jaxae.runs.command import command

FITTED, PIXELS = 1000, 200_000
"""Training images that the affine map is fitted to, and pixels of training images that the classes of
colours are computed from."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(common.Config):
    """Flags of colorization."""

    dataset: str = "cifar10"
    """Train on this data set of images in colour, given as in the other experiments: by a name of
    tensorflow_datasets, a folder, or a file."""
    classes: int | None = None
    """Predict the probabilities of this number of colours. The images are more vivid than those of
    the default, which is to predict one colour, and have a larger squared error."""
    temperature: float = 0.4
    """Average over the colours of --classes at this temperature: 1 gives the mean colour, values
    near 0 the most probable one."""


def task(config: Config, centres: np.ndarray | None) -> common.Task:
    """From grey to colour; `centres` are the colours of the classes, if there are any."""
    plain = common.Task(
        name="colorization",
        use={"task": "colorize"},
        result="colorized",
        description="colorization, colours computed from the grey levels",
        corrupt=jaxae.corruptions.grayscale(),
        input_shape=lambda shape: shape,
        combine=jaxae.networks.colorize,
        displayed=lambda x: x,
        baselines=baselines,
        scores=scores,
        images=240_000,
    )
    if centres is None:
        return plain
    return plain._replace(
        combine=jaxae.networks.keep,
        likelihood=jaxae.likelihoods.color_classes(
            jnp.asarray(centres), temperature=config.temperature
        ),
        likelihood_name=f"{len(centres)} classes of colours, temperature {config.temperature:g},",
    )


def scores(truth: jax.Array, image: jax.Array, seen: jax.Array) -> dict[str, jax.Array]:
    """Scores of colour alone."""
    return {
        "chroma_error": colors.chroma_error(truth, image),
        "colorfulness": colors.colorfulness(image),
    }


def baselines(targets: np.ndarray) -> dict[str, common.Painter]:
    """The grey image, and the best affine function of its levels for each channel."""
    images = jaxae.as_float(targets[datasets.spread(len(targets), FITTED)])
    grey = np.asarray(colors.luma(images), np.float64).ravel()
    colours = np.asarray(images, np.float64).reshape(-1, 3)
    centred = grey - grey.mean()
    variance = centred @ centred
    fitted = centred @ (colours - colours.mean(axis=0)) / variance if variance > 0 else np.zeros(3)
    slope = jnp.asarray(fitted, jnp.float32)
    offset = jnp.asarray(colours.mean(axis=0) - fitted * grey.mean(), jnp.float32)
    return {"grey": lambda x: x, "affine": lambda x: x * slope + offset}


def find_centres(config: Config, images: np.ndarray) -> np.ndarray | None:
    """The colours of the classes, if there are any: K-means centres of colours of training pixels."""
    if config.classes is None:
        return None
    chosen = jaxae.as_float(images[datasets.spread(len(images), 2000)])
    pixels = np.asarray(colors.chroma(chosen)).reshape(-1, 2)
    pixels = pixels[datasets.spread(len(pixels), PIXELS)]
    distinct = len(np.unique(pixels.round(4), axis=0))
    if distinct < config.classes:
        raise ValueError(
            f"--classes {config.classes}: {config.dataset} has only {distinct} colours"
        )
    found = MiniBatchKMeans(config.classes, n_init=3, batch_size=4096, random_state=0).fit(pixels)
    return np.asarray(found.cluster_centers_, np.float32)


def check(config: Config) -> None:
    """Raises for flags that exclude each other."""
    if config.classes is None:
        if config.temperature != Config.temperature:
            raise ValueError("--temperature needs --classes")
        return
    if config.classes < 2:
        raise ValueError(f"--classes must be at least 2, got {config.classes}")
    if not config.residual:
        raise ValueError("--classes keeps the grey levels of the input; leave out --no-residual")
    if config.likelihood is not None or config.scale is not None:
        raise ValueError("--classes defines the likelihood; leave out --likelihood and --scale")


def main(config: Config) -> dict[str, Any]:
    """Trains a model, compares it with the baselines, and writes the run folder."""
    started = time.perf_counter()
    check(config)
    data = datasets.load(config, default=16)
    if data.test.shape[-1] != 3:
        raise ValueError(f"the images of {config.dataset} are grey, and colorization needs colours")
    centres = find_centres(config, data.train)
    return common.train(config, task(config, centres), data, started=started)


if __name__ == "__main__":
    command(main, Config, __doc__)
