"""A classifier of the images, trained here, that judges what is generated: how sure, what, how near."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

import jaxae
from experiments import base
from jaxae.runs import Run

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

    def __init__(self, config: base.Config, run: Run, data: base.Data, network: jaxae.Network):
        x = jaxae.as_float(data.train[:1])
        fresh = network.init(jax.random.key(config.seed), x)
        classes = base.count_classes(data)
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
            rise=0,
            weight_decay=0.0,
            clip_norm=None,
        )
        size = base.batch_size(settings, len(data.train), 128)
        data = data._replace(batch_size=size)
        settings = base.with_epochs(settings, data, IMAGES, most=50)
        # By the cross-entropy and not by the error: what is asked is how sure it is.
        fitted = base.fit(settings, run.part("judge"), model, data, supervised=True)
        self._encode = jax.jit(lambda x: model.encode(fitted.params, x))
        self._decode = jax.jit(lambda z: model.decode(fitted.params, z))

    def features(self, images: np.ndarray) -> np.ndarray:
        """What its last layer sees of images, `[n, d]`."""
        return _in_batches(self._encode, images)

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Those of the classes, `[n, classes]`."""
        return _in_batches(lambda x: self._decode(self._encode(x)), images)


def certainty(probabilities: np.ndarray) -> dict[str, float]:
    """How sure a classifier is of images."""
    return {
        "confidence": float(probabilities.max(axis=1).mean()),
        "entropy": float(jaxae.entropy(jax.numpy.asarray(probabilities)).mean()),
    }


def fidelity(
    judge: Judge | None,
    real: np.ndarray,
    generated: np.ndarray,
    train: np.ndarray | None,
    *,
    dataset: str,
    inception: Callable[[jax.Array], jax.Array] | None = None,
) -> dict[str, float]:
    """Generated images beside test images, and beside the training images they might copy.

    Args:
      judge: without one, precision and recall are in pixels, and what takes classes is left out.
      real: test images.
      generated: images in [0, 1], as many.
      train: the training images, if it is of interest which are copied.
      dataset: whose name the Fréchet distance gets.
      inception: the features of the FID itself, if there are any.
    """
    real = np.asarray(jaxae.as_float(real))
    results = {"sharpness": float(jaxae.sharpness(generated).mean())}
    if train is not None:
        near = jaxae.nearest(flat(generated[:COPIES]), flat(train)).distance.mean()
        apart = jaxae.nearest(flat(real[base.spread(len(real), COPIES)]), flat(train)).distance
        if apart.mean() > 0:  # not where test images are copies of training images
            results["nearest_training_image"] = float(near / apart.mean())
    spaces = (flat(real), flat(generated))
    if judge is not None:
        spaces = (judge.features(real), judge.features(generated))
        results |= distances(f"_{Path(dataset).stem}_cnn", *spaces)
        seen = judge.probabilities(generated)
        results |= certainty(seen)
        shares, usual = (jaxae.class_shares(p) for p in (seen, judge.probabilities(real)))
        there = usual > 0
        results["classes"] = int((shares[there] >= PRESENT * usual[there]).sum())
        results["smallest_class"] = float((shares[there] / usual[there]).min())
    if inception is not None:
        sides = (_in_batches(inception, images, INCEPTION_BATCH) for images in (real, generated))
        results |= distances("", *sides)
    results["precision"], results["recall"] = jaxae.precision_recall(*spaces)
    return results


def distances(name: str, real: np.ndarray, generated: np.ndarray) -> dict[str, float]:
    """Those of two sets of features; FID and KID without a name are over those of Inception."""
    kernel = jaxae.kernel_distance(real, generated)
    found = {f"fid{name}": jaxae.frechet_distance(real, generated), f"kid{name}": kernel.mean}
    return found | ({f"kid{name}_error": kernel.error} if np.isfinite(kernel.error) else {})


def flat(images: np.ndarray) -> np.ndarray:
    """Images as rows of floats in [0, 1]."""
    return np.asarray(jaxae.as_float(images)).reshape(len(images), math.prod(images.shape[1:]))


def _in_batches(
    function: Callable[[jax.Array], jax.Array], images: np.ndarray, size: int = 500
) -> np.ndarray:
    batches = range(0, len(images), size)
    return np.concatenate([function(jaxae.as_float(images[i : i + size])) for i in batches])
