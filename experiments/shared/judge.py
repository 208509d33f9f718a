"""Measures of generated images by a classifier that is trained on the data set."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

import jaxae
from experiments.shared import datasets, flags, optimizers, running
from jaxae.runs import inference
from jaxae.runs.folder import Run

FEATURES = 64
IMAGES = 300_000
PRESENT = 0.2
"""A class counts as generated if its share of the generated images is at least this part of its share of
the test images."""
INCEPTION_BATCH = 50
COPIES = 1000
"""The number of generated images whose nearest training image is searched."""


class Judge:
    """A trained classifier and its features.

    Args:
      config: the flags, of which it uses the seed.
      run: the run folder; the classifier is trained in its part `judge`.
      data: images with labels.
      network: from images to features, without a last activation.
    """

    def __init__(self, config: flags.Config, run: Run, data: datasets.Data, network: jaxae.Network):
        x = jaxae.as_float(data.train[:1])
        fresh = network.init(jax.random.key(config.seed), x)
        classes = datasets.count_classes(data)
        model = jaxae.classifier(
            lambda params, x: jax.nn.gelu(network.apply(params, x)), fresh, classes
        )
        # These settings do not depend on the flags, so that results of different runs are comparable.
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
        # The epoch is selected by the cross-entropy, because its probabilities are used.
        fitted = running.fit(settings, run.part("judge"), model, data, supervised=True)
        self._model, self._params = model, fitted.params

    def features(self, images: np.ndarray) -> np.ndarray:
        """The inputs of its last layer for images, `[n, d]`."""
        return inference.encode(self._model, self._params, images)

    def classify(self, features: np.ndarray) -> np.ndarray:
        """The probabilities of the classes given features, `[n, classes]`."""
        return inference.decode(self._model, self._params, features, clip=False)

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """The probabilities of the classes given images, `[n, classes]`."""
        return self.classify(self.features(images))


def certainty(probabilities: np.ndarray) -> dict[str, float]:
    """The mean confidence and entropy of predicted classes."""
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
    """A function that compares generated images with test images and with training images.

    The features of the test images are computed once.

    Args:
      judge: a classifier. Without one, precision and recall are computed from pixels, and the measures
        that need classes are left out.
      real: test images.
      train: the training images.
      dataset: the name of the data set, which is part of the names of the distances.
      inception: features of Inception, for the standard FID and KID.

    Returns:
      `(generated, copies=True) -> measures`, for as many images in [0, 1] as there are test images; with
      `copies`, also the distance to the nearest training images.
    """
    real, seen = np.asarray(jaxae.as_float(real)), flat(train)
    some = flat(real[datasets.spread(len(real), COPIES)])
    apart = jaxae.analysis.nearest(some, seen).distance.mean()
    space = flat(real) if judge is None else judge.features(real)
    usual = None if judge is None else jaxae.analysis.class_shares(judge.classify(space))
    wide = None if inception is None else _inception_features(inception, real)

    def fidelity(generated: np.ndarray, copies: bool = True) -> dict[str, float]:
        results = {"sharpness": float(jaxae.analysis.sharpness(generated).mean())}
        if copies and apart > 0:  # zero where test images are copies of training images
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
            results |= distances("", wide, _inception_features(inception, generated))
        results["precision"], results["recall"] = jaxae.analysis.precision_recall(space, own)
        return results

    return fidelity


def distances(name: str, real: np.ndarray, generated: np.ndarray) -> dict[str, float]:
    """FID and KID of two sets of features; `name` is appended to both, and empty for Inception's."""
    kernel = jaxae.analysis.kernel_distance(real, generated)
    found = {
        f"fid{name}": jaxae.analysis.frechet_distance(real, generated),
        f"kid{name}": kernel.mean,
    }
    return found | ({f"kid{name}_error": kernel.error} if np.isfinite(kernel.error) else {})


def flat(images: np.ndarray) -> np.ndarray:
    """Images as row vectors of floats in [0, 1]."""
    return np.asarray(jaxae.as_float(images)).reshape(len(images), math.prod(images.shape[1:]))


def _inception_features(
    inception: Callable[[jax.Array], jax.Array], images: np.ndarray
) -> np.ndarray:
    return np.concatenate(
        [
            inception(jaxae.as_float(images[i : i + INCEPTION_BATCH]))
            for i in range(0, len(images), INCEPTION_BATCH)
        ]
    )
