"""Finding data by name and dividing it into what to train on, to choose by, and to report."""

import difflib
import os
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.data.images import Images, describe, from_file, from_folder, from_mapped, pairs

EMBEDDED = ("mnist5k", "digits")
MOST = 20_000
"""Images that are set aside: more say no more, and they are kept in memory."""


class Splits(NamedTuple):
    """Three sets without an example in common."""

    train: Images
    validation: Images
    test: Images


def load(
    name: str | os.PathLike[str],
    *,
    data_dir: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    validation_fraction: float = 0.1,
    stream: bool | None = False,
) -> Splits:
    """A data set, divided into what to train on, what to choose by, and what to report.

    The splits of the data set are kept. Where it has no test set, a tenth of the data is set
    aside, and where it has no validation set, a part of the training set, 20,000 images at most;
    both are drawn once and for all, class by class if there are labels.

    Args:
      name: `mnist5k` or `digits`, which need no download; the name of any tfds data set with
        images; a folder of images, with or without a folder for each class, and with or without
        `train` and `test` above them; or an `.npy` file of images or an `.npz` file with `images`
        and perhaps `labels`, `[n, h, w]` or `[n, h, w, c]`, bytes or floats in [0, 1], and perhaps
        `attributes`, `[n, a]`, 0 or 1, with `attribute_names`, `[a]`.
      data_dir: where tfds data sets are; `TFDS_DATA_DIR` or `~/tensorflow_datasets` when None.
      image_size: the size of square images to crop from the centre and resize to.
      validation_fraction: of the training set, where the data set has no validation set.
      stream: whether the training images, of a tfds data set, a folder or an `.npy` file of bytes, are a
        :class:`Stream`, read and decoded when they are asked for; None: if they would take more than
        half of the free memory.

    Returns:
      :class:`Splits`, whose images are `[n, h, w, c]`.

    Raises:
      ValueError: saying in one line what is wrong with the data, or what to install or run.

    Examples:
      >>> digits = load("digits")
      >>> digits.train.images.shape, digits.test.images.dtype
      ((1298, 8, 8, 1), dtype('uint8'))
    """
    if image_size is not None and image_size < 1:
        raise ValueError(f"the image size must be positive, got {image_size}")
    if not 0 <= validation_fraction < 1:
        raise ValueError(f"the validation fraction must be in [0, 1), got {validation_fraction}")
    splits = _find(str(name), data_dir, image_size, stream)
    for split in splits.values():
        if split.images.shape[1:] != (shape := next(iter(splits.values())).images.shape[1:]):
            raise ValueError(
                f"{name} has images of {describe(shape)} and of {describe(split.images.shape[1:])}; "
                "give an image size"
            )
    train = splits["train"]
    test = splits.get("test")
    if test is None:
        train, test = _set_aside(train, 0.1, name, "test")
    validation = splits.get("validation")
    if validation is None:
        train, validation = _set_aside(train, validation_fraction, name, "validation")
    return Splits(train, validation, test)


class PairSplits(NamedTuple):
    """Three sets of pairs, images and what to make of them, without a pair in common."""

    train: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]


def load_pairs(
    inputs: str | os.PathLike[str],
    targets: str | os.PathLike[str],
    *,
    image_size: int | None = None,
) -> PairSplits:
    """Pairs of images, divided into what to train on, what to choose by, and what to report.

    A tenth is set aside to report, and a tenth of the rest to choose by, once and for all.

    Args:
      inputs: a folder of images, or an `.npy` or `.npz` file as in :func:`load`.
      targets: likewise; of two folders the files of the same name (but for its ending) are a pair, of
        two arrays the images of the same index.
      image_size: the size of square images to crop from the centre and resize to.

    Returns:
      :class:`PairSplits`, for :func:`jaxae.fit`: `[n, h, w, c]` and `[n, h, w, c']`.

    Raises:
      ValueError: naming an image without its other half, or saying how the two differ.

    Examples:
      >>> import tempfile
      >>> file = Path(tempfile.mkdtemp()) / "day.npy"
      >>> np.save(file, np.zeros((30, 8, 8, 3), np.uint8))
      >>> [len(x) for x, y in load_pairs(file, file)]
      [24, 3, 3]
    """
    if image_size is not None and image_size < 1:
        raise ValueError(f"the image size must be positive, got {image_size}")
    paths = [Path(os.fspath(path)).expanduser() for path in (inputs, targets)]
    rest: list[Images] = [Images(part) for part in pairs(paths[0], paths[1], image_size)]
    aside = []
    for purpose in ("test", "validation"):
        # Without labels what is set aside depends on the number of images only.
        divided = [_set_aside(part, 0.1, paths[0], purpose) for part in rest]
        rest = [kept for kept, _ in divided]
        aside.append((divided[0][1].images, divided[1][1].images))
    return PairSplits((rest[0].images, rest[1].images), aside[1], aside[0])


def binarize(key: PRNGKeyArray, x: Float[Array, "*b"]) -> Float[Array, "*b"]:
    """Each pixel is one with the probability of its grey level: dynamic binarisation.

    Examples:
      >>> binarize(jax.random.key(0), jnp.array([0.0, 1.0])).tolist()
      [0.0, 1.0]

    References:
      Salakhutdinov and Murray, `On the Quantitative Analysis of Deep Belief Networks
      <https://www.cs.toronto.edu/~rsalakhu/papers/dbn_ais.pdf>`_.
    """
    return jax.random.bernoulli(key, x).astype(jnp.float32)


def _find(
    name: str, data_dir: Any, image_size: int | None, stream: bool | None
) -> dict[str, Images]:
    path = Path(name).expanduser()
    if path.suffix.lower() in (".npy", ".npz"):
        if (mapped := from_mapped(path, image_size, stream)) is not None:
            return {"train": mapped}
        return {"train": from_file(path, image_size)}
    from jaxae.data.datasets import (
        prepared,  # imports tfds, which not every use of the library needs
    )

    names = prepared.names()
    if name.split("/")[0].split(":")[0] in names:
        return prepared.read(name, data_dir, image_size, stream)
    if path.is_dir():
        return from_folder(path, image_size, stream)
    if path.exists():
        raise ValueError(f"{path} is neither a folder of images nor an .npy or .npz file")
    if os.sep in name:
        raise ValueError(f"there is no folder or file {path}")
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise ValueError(
        f"there is no data set {name!r}; {hint}{' and '.join(EMBEDDED)} need no download, and any "
        "tfds image data set, folder of images, .npy or .npz file will do"
    )


def _set_aside(data: Images, fraction: float, name: Any, purpose: str) -> tuple[Images, Images]:
    """Divides a set in two, each class in the same proportion, the same way every time."""
    n = len(data.images)
    count = max(1, min(MOST, round(fraction * n))) if fraction > 0 else 0
    if n - count < 1:
        raise ValueError(f"{name} has {n} images: too few to set a {purpose} set aside")
    random = np.random.default_rng(0).permutation(n)
    if data.labels is not None:
        # In the order of (place within its class, at random), so that any prefix is balanced.
        labels = data.labels[random]
        rank = np.empty(n)
        for value in np.unique(labels):
            members = np.flatnonzero(labels == value)
            rank[members] = (np.arange(len(members)) + 0.5) / len(members)
        random = random[np.argsort(rank, kind="stable")]
    aside, rest = random[:count], random[count:]
    chosen = data.take(np.sort(aside))
    # What is set aside is looked at often: it is in memory even if the rest is streamed.
    return data.take(np.sort(rest)), chosen._replace(images=chosen.images[:])
