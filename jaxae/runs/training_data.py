"""The data of a run as it was trained on them: binarised, and with the random changes that it records."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxae.arrays import as_float
from jaxae.base import Batch
from jaxae.data.augmentations import binarize, random_flip
from jaxae.data.loading import Splits
from jaxae.runs.folder import read_config
from jaxae.runs.identity import compare, fingerprint
from jaxae.runs.inputs import BINARIZE_SEED
from jaxae.runs.loading import TrainedRun
from jaxae.training.batches import Transform

AUGMENTATIONS: Mapping[str, Transform] = {"flip": random_flip}
"""Random changes of training images, by the names that a run records."""


class TrainingData(NamedTuple):
    """The data of a run as it was trained on them.

    Attributes:
      splits: the images, where those for validation and test are binarised if the run is.
      transform: of training batches.
    """

    splits: Splits
    transform: Transform | None


def binarized(validation: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The images for validation and test as they are binarised once, the same in all runs."""

    def once(key: jax.Array, images: np.ndarray) -> np.ndarray:
        binary = binarize(key, as_float(jnp.asarray(images)))
        return (255 * np.asarray(binary)).astype(np.uint8)

    keys = jax.random.split(jax.random.key(BINARIZE_SEED))
    return once(keys[0], validation), once(keys[1], test)


def augmented(names: Sequence[str], then: Transform | None) -> Transform | None:
    """The augmentations of these names, and after them another transform."""
    transform = then
    for name in reversed(names):
        transform = _followed(AUGMENTATIONS[name], transform)
    return transform


def _followed(first: Transform, then: Transform | None) -> Transform:
    def both(key: jax.Array, x: jax.Array) -> jax.Array:
        if then is None:
            return first(key, x)
        own, next_key = jax.random.split(key)
        return then(next_key, first(own, x))

    return both


def training_data(run: TrainedRun) -> TrainingData:
    """The data that a run was trained on, and the transform of its training batches.

    Raises:
      ValueError: if they are not found, or are not what the run recorded.
    """
    splits = run.load_data()
    names = read_config(run.directory)["training"].get("augment", [])
    if unknown := [name for name in names if name not in AUGMENTATIONS]:
        raise ValueError(f"{run.directory} was trained with an unknown augmentation: {unknown[0]}")
    transform: Transform | None = None
    if run.inputs.binarize:
        transform = binarize
        validation, test = binarized(splits.validation.images, splits.test.images)
        splits = splits._replace(
            validation=splits.validation._replace(images=validation),
            test=splits.test._replace(images=test),
        )
    parts = dict(zip(("training", "validation", "test"), splits, strict=True))
    now = {f"{name} images": fingerprint(part.images) for name, part in parts.items()}
    differences = compare({"data": run.config.get("data")}, {"data": now}, {}).differences
    if differences:
        raise ValueError(f"{run.directory} cannot be continued: {differences['data']}")
    return TrainingData(splits, augmented(names, transform))


def encoded(data: TrainingData) -> Batch:
    """The training examples whose codes are described."""
    images = data.splits.train.images
    if data.transform is binarize:
        return Batch(binarize(jax.random.key(BINARIZE_SEED), as_float(jnp.asarray(images))))
    return Batch(images)
