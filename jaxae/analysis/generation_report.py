"""All measures of generated images in one report, and a classifier to compute them with."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxae.analysis.generation import (
    class_shares,
    entropy,
    frechet_distance,
    kernel_distance,
    sharpness,
)
from jaxae.analysis.neighbours import nearest, precision_recall
from jaxae.arrays import as_float

BATCH, INCEPTION_BATCH = 500, 50
"""Images that a classifier and the Inception network are given at a time."""
PRESENT = 0.2
"""A class counts as present if it is predicted at least this fraction as often as for real images."""
COPIES = 1000
"""The number of generated images whose nearest training image is searched."""

Report = Callable[..., dict[str, float]]


class ImageClassifier(NamedTuple):
    """A trained classifier of images, whose last hidden layer provides features.

    Attributes:
      encode: from images in [0, 1], `[b, h, w, c]`, to features, `[b, d]`.
      classify: from features to the probabilities of the classes, `[b, k]`.

    Examples:
      >>> brightness = ImageClassifier(
      ...     lambda x: x.mean((1, 2)), lambda f: jnp.concatenate([f, 1 - f], axis=1))
      >>> brightness.probabilities(np.full((2, 4, 4, 1), 255, np.uint8)).tolist()
      [[1.0, 0.0], [1.0, 0.0]]
    """

    encode: Callable[[Array], Array]
    classify: Callable[[Array], Array]

    def features(self, images: np.ndarray) -> np.ndarray:
        """Features of any number of images, `[n, d]`."""
        return _in_batches(self.encode, images)

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """The probabilities of the classes of any number of images, `[n, k]`."""
        return np.asarray(self.classify(jnp.asarray(self.features(images))))


def certainty(probabilities: Float[Array | np.ndarray, "n k"]) -> dict[str, float]:
    """How certain a classifier is: its mean confidence and its mean entropy in nats.

    Args:
      probabilities: of the classes, `[n, k]`.

    Returns:
      `confidence`, the mean of the largest probability, and `entropy`.

    Examples:
      >>> certainty(np.array([[1.0, 0.0], [1.0, 0.0]]))
      {'confidence': 1.0, 'entropy': 0.0}
    """
    return {
        "confidence": float(np.max(probabilities, axis=1).mean()),
        "entropy": float(entropy(jnp.asarray(probabilities)).mean()),
    }


def make_generation_report(
    real: np.ndarray,
    train: np.ndarray,
    *,
    classifier: ImageClassifier | None = None,
    name: str = "classifier",
    inception: Callable[[Array], Array] | None = None,
) -> Report:
    """A function that compares generated images with real ones and with the training images.

    Features of the real images are computed only once.

    Args:
      real: test images, `[n, h, w, c]`, bytes or floats in [0, 1].
      train: training images, which a model might copy.
      classifier: of such images. Without one, precision and recall are computed from pixels, and the
        measures that need features or classes are left out.
      name: of the classifier. The distances over its features are `fid_{name}` and `kid_{name}`.
      inception: the features of the Inception network, see :func:`jaxae.analysis.fid_features`.
        The distances over them are `fid` and `kid`.

    Returns:
      `(generated, *, copies=True) -> {name: value}` for images in [0, 1], as many as real ones. It
      contains

      - `sharpness`, see :func:`jaxae.analysis.sharpness`;
      - `nearest_training_image`, the mean Euclidean distance to the nearest training image, relative to
        that of a real image: values near zero indicate copies (left out with `copies=False`, or if the
        real images are copies of training images themselves);
      - `precision` and `recall`, see :func:`jaxae.analysis.precision_recall`;
      - with a classifier the distances over its features; `confidence` and `entropy`, see
        :func:`certainty`; `classes`, how many classes are predicted at least a fifth as often as for real
        images; and `smallest_class`, the smallest ratio of these two frequencies.

    Examples:
      >>> x = np.random.default_rng(0).random((40, 4, 4, 1), np.float32)
      >>> report = make_generation_report(x[:10], x[10:])
      >>> sorted(report(x[10:20]))
      ['nearest_training_image', 'precision', 'recall', 'sharpness']
      >>> report(x[10:20])["nearest_training_image"]  # these are training images
      0.0
    """
    real, training_pixels = np.asarray(as_float(real)), _pixels(train)
    subset = np.linspace(0, len(real) - 1, min(COPIES, len(real))).astype(int)
    usual_distance = nearest(_pixels(real[subset]), training_pixels).distance.mean()
    real_features = _pixels(real) if classifier is None else classifier.features(real)
    real_shares = None
    if classifier is not None:
        real_shares = class_shares(np.asarray(classifier.classify(jnp.asarray(real_features))))
    real_inception = None if inception is None else _in_batches(inception, real, INCEPTION_BATCH)

    def report(generated: np.ndarray, *, copies: bool = True) -> dict[str, float]:
        results = {"sharpness": float(sharpness(generated).mean())}
        if copies and usual_distance > 0:
            distance = nearest(_pixels(generated[:COPIES]), training_pixels).distance.mean()
            results["nearest_training_image"] = float(distance / usual_distance)
        features = _pixels(generated) if classifier is None else classifier.features(generated)
        if classifier is not None and real_shares is not None:
            results |= _distances(f"_{name}", real_features, features)
            probabilities = np.asarray(classifier.classify(jnp.asarray(features)))
            results |= certainty(probabilities)
            shares, exists = class_shares(probabilities), real_shares > 0
            results["classes"] = int((shares[exists] >= PRESENT * real_shares[exists]).sum())
            results["smallest_class"] = float((shares[exists] / real_shares[exists]).min())
        if inception is not None and real_inception is not None:
            generated_inception = _in_batches(inception, generated, INCEPTION_BATCH)
            results |= _distances("", real_inception, generated_inception)
        results["precision"], results["recall"] = precision_recall(real_features, features)
        return results

    return report


def _distances(suffix: str, real: np.ndarray, generated: np.ndarray) -> dict[str, float]:
    """The Fréchet and the kernel distance of two sets of features."""
    kernel = kernel_distance(real, generated)
    found = {f"fid{suffix}": frechet_distance(real, generated), f"kid{suffix}": kernel.mean}
    # A single block has no standard error.
    return found | ({f"kid{suffix}_error": kernel.error} if np.isfinite(kernel.error) else {})


def _pixels(images: np.ndarray) -> np.ndarray:
    """Images as rows of floats in [0, 1]."""
    return np.asarray(as_float(images)).reshape(len(images), -1)


def _in_batches(
    function: Callable[[Array], Array], images: np.ndarray, size: int = BATCH
) -> np.ndarray:
    batches = range(0, len(images), size)
    return np.concatenate(
        [jax.device_get(function(as_float(images[i : i + size]))) for i in batches]
    )
