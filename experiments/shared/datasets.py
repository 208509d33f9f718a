"""The data that experiments train and test on."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

import jaxae
from experiments.shared.flags import Config, check
from jaxae.runs import scores
from jaxae.runs.inputs import BINARIZE_SEED
from jaxae.runs.notes import warnings_as_notes
from jaxae.runs.training_data import binarized
from jaxae.runtime import processes, sharding
from jaxae.training import feeding
from jaxae.training.feeding import Placement

# The test set is binarised and scored with the same draws in all runs, so that results are comparable.
# No run trains with these seeds, because they are larger than most that users choose.
TEST_SEED, SAMPLE_SEED = scores.TEST_SEED, 3_141_592_653

spread = scores.spread


class Data(NamedTuple):
    """The data of an experiment.

    Attributes:
      train, validation, test: the images; validation is None where none are held out.
      transform: `(key, x) -> x`, applied to each training batch; None for nothing.
      batch_size: of the training.
      binary: whether pixels are black or white.
      protocol: a description of the data, for results.json.
      labels: of the three splits.
      attributes: of the three splits, by name.
      placement: where the training images are kept.
      placed: why they are kept there, if the flags leave it open.
      classes: names of the classes, which the labels index; empty if they are numbers or not known.
      augment: the names of the random changes of training images in `transform`, besides binarisation, see
        :data:`jaxae.runs.training_data.AUGMENTATIONS`.
    """

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
    placed: str = ""
    classes: tuple[str, ...] = ()
    augment: tuple[str, ...] = ()


def load(config: Config, *, hold_out: bool = True, default: int = 128) -> Data:
    """Checks the flags and loads the data set that they name.

    Args:
      config: the flags.
      hold_out: False to add the validation images to the training images.
      default: the batch size, unless the flags give one.

    Raises:
      ValueError: if a flag is out of range or does not fit the data.
    """
    check(config)
    if not hold_out and getattr(config, "patience", None) is not None:
        raise ValueError("--patience needs validation images, and this experiment holds out none")
    stream = {"auto": None, "stream": True}.get(config.placement, False)
    with warnings_as_notes():
        splits = processes.raise_together(
            lambda: jaxae.load(
                config.dataset,
                data_dir=config.data_dir,
                image_size=config.image_size,
                stream=stream,
                channels=config.channels,
                frames=config.frames,
                levels=config.levels,
            )
        )
    train, validation, test = (split.images for split in splits)
    where, why = placement(config, train, validation if hold_out else None)
    binary = jaxae.data.is_binary(test if where == "stream" else train)
    levels = "binary pixels" if binary else "grey levels" if train.shape[-1] == 1 else "colours"
    transform = None
    if getattr(config, "binarize", False):
        if binary:
            raise ValueError(f"{config.dataset} is black and white already; leave out --binarize")
        transform, binary = jaxae.data.binarize, True
        validation, test = binarized(validation, test)
        levels = "dynamically binarised pixels (the test set binarised once)"
    shape = " x ".join(map(str, test.shape[1:]))
    protocol = f"{len(test)} test images of {config.dataset}, {shape}, {levels}"
    protocol = "; ".join([protocol, *splits.train.notes])
    labels = [split.labels for split in splits]
    attributes = [split.attributes for split in splits]
    if not hold_out:
        if where == "stream":
            raise ValueError(
                "this experiment trains on the validation images too, which are not streamed; take "
                "--placement host"
            )
        train = np.concatenate([train, validation])
        protocol += f"; {len(train)} training images, none held out"
        if labels[0] is not None and labels[1] is not None:
            labels[0] = np.concatenate([labels[0], labels[1]])
        attributes[0] = {
            name: np.concatenate([has, attributes[1][name]]) for name, has in attributes[0].items()
        }
    return Data(
        train,
        validation if hold_out else None,
        test,
        transform,
        batch_size(config, len(train), default),
        binary,
        protocol,
        tuple(labels),
        tuple(attributes),
        where,
        why,
        splits.train.classes,
    )


def batch_size(config: Config, examples: int, default: int) -> int:
    """The batch size of the flags, or the default, or fewer if there are fewer examples.

    Raises:
      ValueError: if the flags give more than there are examples.
    """
    if config.batch_size is None:
        share = sharding.data_mesh().size * config.accumulate
        return max(1, min(default, examples) // share) * share
    if config.batch_size > examples:
        raise ValueError(
            f"--batch-size {config.batch_size} is larger than the {examples} training examples"
        )
    return config.batch_size


def placement(config: Config, images: Any, held_out: Any = None) -> tuple[Placement, str]:
    """Where the training images are kept, and why, if the flags leave it open."""
    if config.workers and not isinstance(images, jaxae.Stream):
        raise ValueError("--workers needs a stream; add --placement stream")
    if config.placement != "auto":
        return config.placement, ""
    where, why = feeding.fits(images, jax.local_devices(), held_out)
    return where, f"placement: {where} ({why})"


def known_labels(data: Data, count: int, seed: int) -> np.ndarray:
    """Labels for `count` of the training images, balanced over the classes; -1 for the others.

    Raises:
      ValueError: if there are fewer labels than classes, or more than images.
    """
    labels = np.asarray(data.labels[0])
    if not count_classes(data) <= count <= len(labels):
        raise ValueError(
            f"--labels must be between {count_classes(data)} (one for each class) and {len(labels)} "
            f"(one for each training image), got {count}"
        )
    chosen = jaxae.analysis.balanced_order(labels, seed)[:count]
    known = np.full(len(labels), -1, np.int32)
    known[chosen] = labels[chosen]
    return known


def count_classes(data: Data) -> int:
    """The number of classes, with or without an example in these splits; 0 without labels."""
    numbered = [1 + int(np.max(part)) for part in data.labels if part is not None]
    return max([*numbered, len(data.classes)]) if numbered else 0


def check_components(code: int, data: Data) -> None:
    """Raises if PCA of these images cannot have so many components."""
    values = math.prod(data.train.shape[1:])
    if code > min(values, len(data.train)):
        raise ValueError(
            f"--code {code} is more than PCA can have: there are {len(data.train)} images of "
            f"{values} values"
        )


def check_labels(config: Config, data: Data) -> None:
    """Raises unless every image has a label, and there are at least two classes."""
    for labels in data.labels:
        if labels is None:
            raise ValueError(f"{config.dataset} has no labels, which this experiment needs")
        if unknown := int((labels < 0).sum()):
            raise ValueError(
                f"{unknown} images of {config.dataset} have no label (-1), and this experiment needs the "
                "labels of all images"
            )
    if len(np.unique(np.asarray(data.labels[0]))) < 2:
        raise ValueError(f"all images of {config.dataset} have the same label")


def choose(data: Data, count: int = 10) -> jax.Array:
    """A few test images for figures, spread evenly over the test set."""
    return jaxae.as_float(data.test[spread(len(data.test), count)])


def as_trained(data: Data, images: np.ndarray) -> jax.Array:
    """Training images as the model sees them: after one draw of the transform of training batches."""
    x = jaxae.as_float(images)
    return x if data.transform is None else data.transform(jax.random.key(BINARIZE_SEED), x)
