"""A classifier of the images, trained here, that judges what is generated: how sure, what, how near."""

import dataclasses
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax
import numpy as np

import jaxae
from experiments.shared import datasets, flags, optimizers, running
from jaxae.runs.folder import Run

FEATURES = 64
IMAGES = 300_000
PRESENT = 0.2
"""A class is present if a classifier sees it at least this part of as often as in the test images."""
INCEPTION_BATCH = 50
COPIES = 1000
"""Of so many generated images the nearest training image is looked for."""


class Judge:
    """A classifier with its features.

    Args:
      config: the flags, of which it takes the seed.
      run: where it is trained, in the part `judge`.
      data: images with labels.
      network: from images to features, before the last activation.
    """

    def __init__(self, config: flags.Config, run: Run, data: datasets.Data, network: jaxae.Network):
        x = jaxae.as_float(data.train[:1])
        fresh = network.init(jax.random.key(config.seed), x)
        classes = datasets.count_classes(data)
        model = jaxae.classifier(
            lambda params, x: jax.nn.gelu(network.apply(params, x)), fresh, classes
        )
        # Whatever the flags of the models: figures of different runs are to be compared.
        settings = dataclasses.replace(
            config,
            epochs=None,
            batch_size=None,
            learning_rate=1e-3,
            schedule="cosine",
            warmup_steps=0,
            weight_decay=0.0,
            clip_norm=None,
        )
        size = datasets.batch_size(settings, len(data.train), 128)
        data = data._replace(batch_size=size)
        settings = optimizers.with_epochs(settings, data, IMAGES, most=50)
        # By the cross-entropy and not by the error: what is asked is how sure it is.
        fitted = running.fit(settings, run.part("judge"), model, data, supervised=True)
        self._encode = partial(jax.jit(model.encode), fitted.params)
        self._decode = partial(jax.jit(model.decode), fitted.params)

    def features(self, images: np.ndarray) -> np.ndarray:
        """What its last layer sees of images, `[n, d]`."""
        return _in_batches(self._encode, images)

    def classify(self, features: np.ndarray) -> np.ndarray:
        """The probabilities of the classes from features, `[n, classes]`."""
        return np.asarray(self._decode(features))

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Those of the classes of images, `[n, classes]`."""
        return self.classify(self.features(images))


def certainty(probabilities: np.ndarray) -> dict[str, float]:
    """How sure a classifier is of images."""
    return {
        "confidence": float(probabilities.max(axis=1).mean()),
        "entropy": float(jaxae.analysis.entropy(jax.numpy.asarray(probabilities)).mean()),
    }


def make_fidelity(
    judge: Judge | None,
    real: np.ndarray,
    train: np.ndarray,
    *,
    dataset: str,
    inception: Callable[[jax.Array], jax.Array] | None = None,
) -> Callable[..., dict[str, float]]:
    """Compares generated images with test images, and with the training images they might copy.

    What is needed of the test images is worked out once.

    Args:
      judge: without one, precision and recall are in pixels, and what takes classes is left out.
      real: test images.
      train: the training images.
      dataset: whose name the Fréchet distance gets.
      inception: the features of the FID itself, if there are any.

    Returns:
      `(generated, copies=True) -> figures`, of images in [0, 1], as many as test images; `copies` is
      whether to look for the training images nearest to them.
    """
    real, seen = np.asarray(jaxae.as_float(real)), flat(train)
    some = flat(real[datasets.spread(len(real), COPIES)])
    apart = jaxae.analysis.nearest(some, seen).distance.mean()
    space = flat(real) if judge is None else judge.features(real)
    usual = None if judge is None else jaxae.analysis.class_shares(judge.classify(space))
    wide = None if inception is None else _in_batches(inception, real, INCEPTION_BATCH)

    def fidelity(generated: np.ndarray, copies: bool = True) -> dict[str, float]:
        results = {"sharpness": float(jaxae.analysis.sharpness(generated).mean())}
        if copies and apart > 0:  # not where test images are copies of training images
            near = jaxae.analysis.nearest(flat(generated[:COPIES]), seen).distance.mean()
            results["nearest_training_image"] = float(near / apart)
        own = flat(generated) if judge is None else judge.features(generated)
        if judge is not None and usual is not None:
            results |= distances(f"_{Path(dataset).stem}_cnn", space, own)
            probabilities = judge.classify(own)
            results |= certainty(probabilities)
            shares, there = jaxae.analysis.class_shares(probabilities), usual > 0
            results["classes"] = int((shares[there] >= PRESENT * usual[there]).sum())
            results["smallest_class"] = float((shares[there] / usual[there]).min())
        if inception is not None and wide is not None:
            results |= distances("", wide, _in_batches(inception, generated, INCEPTION_BATCH))
        results["precision"], results["recall"] = jaxae.analysis.precision_recall(space, own)
        return results

    return fidelity


def distances(name: str, real: np.ndarray, generated: np.ndarray) -> dict[str, float]:
    """Those of two sets of features; FID and KID without a name are over those of Inception."""
    kernel = jaxae.analysis.kernel_distance(real, generated)
    found = {
        f"fid{name}": jaxae.analysis.frechet_distance(real, generated),
        f"kid{name}": kernel.mean,
    }
    return found | ({f"kid{name}_error": kernel.error} if np.isfinite(kernel.error) else {})


def flat(images: np.ndarray) -> np.ndarray:
    """Images as rows of floats in [0, 1]."""
    return np.asarray(jaxae.as_float(images)).reshape(len(images), math.prod(images.shape[1:]))


def _in_batches(
    function: Callable[[jax.Array], jax.Array], images: np.ndarray, size: int = 500
) -> np.ndarray:
    batches = range(0, len(images), size)
    return np.concatenate([function(jaxae.as_float(images[i : i + size])) for i in batches])
