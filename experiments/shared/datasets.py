"""The data that experiments train on and are judged by."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxae
from experiments.shared.flags import Config, check
from jaxae.runtime import processes, sharding
from jaxae.training import feeding
from jaxae.training.feeding import Placement

BINARIZE_SEED, TEST_SEED, SAMPLE_SEED = 1_618_033_988, 2_718_281_828, 3_141_592_653


class Data(NamedTuple):
    """The splits as the model gets them, and what is done to each training batch."""

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
    placed: str = ""  # why the images are there, if it was left open


def load(config: Config, *, hold_out: bool = True, default: int = 128) -> Data:
    """The images, binarised if asked for; `protocol` says in words what the figures are about.

    Args:
      config: the flags.
      hold_out: False to train on the validation images too, where nothing is selected.
      default: the batch size, unless the flags give one.
    """
    check(config)
    if not hold_out and getattr(config, "patience", None) is not None:
        raise ValueError("--patience needs validation images, and here none are held out")
    stream = {"auto": None, "stream": True}.get(config.placement, False)
    splits = processes.raise_together(
        lambda: jaxae.load(
            config.dataset, data_dir=config.data_dir, image_size=config.image_size, stream=stream
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
        transform = jaxae.data.binarize
        keys = jax.random.split(jax.random.key(BINARIZE_SEED))
        # Fixed, and the same for all seeds, so that figures can be compared.
        validation, test = (
            (255 * np.asarray(jaxae.data.binarize(key, jaxae.as_float(jnp.asarray(x))))).astype(
                np.uint8
            )
            for key, x in zip(keys, (validation, test), strict=True)
        )
        levels = "dynamically binarised pixels (the test set binarised once)"
        binary = True
    shape = " x ".join(map(str, test.shape[1:]))
    protocol = f"{len(test)} test images of {config.dataset}, {shape}, {levels}"
    if not hold_out:
        if where == "stream":
            raise ValueError(
                "this experiment trains on the validation images too, which are not streamed; take "
                "--placement host"
            )
        train = np.concatenate([train, validation])
        protocol += f"; {len(train)} to train on, none held out"
    size = batch_size(config, len(train), default)
    labels = [split.labels for split in splits]
    attributes = [split.attributes for split in splits]
    held_out = validation if hold_out else None
    if not hold_out:
        if labels[0] is not None and labels[1] is not None:
            labels[0] = np.concatenate([labels[0], labels[1]])
        attributes[0] = {
            name: np.concatenate([has, attributes[1][name]]) for name, has in attributes[0].items()
        }
    return Data(
        train,
        held_out,
        test,
        transform,
        size,
        binary,
        protocol,
        tuple(labels),
        tuple(attributes),
        where,
        why,
    )


def batch_size(config: Config, examples: int, default: int) -> int:
    """The batch size of the flags, or the default, if there are as many examples."""
    if config.batch_size is None:
        share = sharding.data_mesh().size * config.accumulate
        return max(1, min(default, examples) // share) * share
    if config.batch_size > examples:
        raise ValueError(
            f"--batch-size {config.batch_size} is larger than the {examples} training examples"
        )
    return config.batch_size


def placement(config: Config, images: Any, held_out: Any = None) -> tuple[Placement, str]:
    """Where the training images are to be, and why, if it was left open."""
    if config.workers and not isinstance(images, jaxae.Stream):
        raise ValueError("--workers read a stream: take --placement stream")
    if config.placement != "auto":
        return config.placement, ""
    where, why = feeding.fits(images, jax.local_devices(), held_out)
    return where, f"placement: {where} ({why})"


def known_labels(data: Data, count: int, seed: int) -> np.ndarray:
    """The labels of some training images, as many of each class as of any other; -1 for the others.

    Raises:
      ValueError: if there are fewer than classes, or more than images.
    """
    labels = np.asarray(data.labels[0])
    if not count_classes(data) <= count <= len(labels):
        raise ValueError(
            f"--labels must be from {count_classes(data)}, one for each class, to {len(labels)}, all "
            f"training images, got {count}"
        )
    chosen = jaxae.analysis.balanced_order(labels, seed)[:count]
    known = np.full(len(labels), -1, np.int32)
    known[chosen] = labels[chosen]
    return known


def count_classes(data: Data) -> int:
    """How many classes the labels name; 0 without labels."""
    return max((1 + int(np.max(part)) for part in data.labels if part is not None), default=0)


def check_components(code: int, data: Data) -> None:
    """Raises if PCA cannot have so many components."""
    values = math.prod(data.train.shape[1:])
    if code > min(values, len(data.train)):
        raise ValueError(
            f"--code {code} is more than PCA can have: there are {len(data.train)} images of "
            f"{values} values"
        )


def check_labels(config: Config, data: Data) -> None:
    """Raises unless every image has one of at least two classes."""
    for labels in data.labels:
        if labels is None:
            raise ValueError(f"{config.dataset} has no labels, and codes are judged by classes")
        if not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0:
            raise ValueError(
                f"the labels of {config.dataset} are not the numbers of classes, 0, 1, ..."
            )
    if len(np.unique(np.asarray(data.labels[0]))) < 2:
        raise ValueError(f"all images of {config.dataset} have the same label")


def check_levels(name: str, distribution: jaxae.Likelihood, images: np.ndarray) -> None:
    """Raises if a likelihood over the 256 levels of a byte is asked for on floats."""
    if distribution.levels == 256 and images.dtype != np.uint8:
        raise ValueError(f"--likelihood {name} is for bytes, and these images are floats")


def spread(total: int, count: int) -> np.ndarray:
    """Some indices, evenly spread: data may be sorted by class."""
    return np.linspace(0, total - 1, min(count, total)).astype(int)


def choose(data: Data, count: int = 10) -> jax.Array:
    """A few test images for figures."""
    return jaxae.as_float(data.test[spread(len(data.test), count)])


def as_trained(data: Data, images: np.ndarray) -> jax.Array:
    """Training images as the model sees them, with what is drawn afresh in training drawn once."""
    x = jaxae.as_float(images)
    return x if data.transform is None else data.transform(jax.random.key(BINARIZE_SEED), x)
