"""What a run is applied to: pictures, folders, array files and data sets, as images of the run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxae.arrays import as_float
from jaxae.base import Tree
from jaxae.data import array_files
from jaxae.data.images import Images
from jaxae.data.layouts import Channels
from jaxae.data.loading import load
from jaxae.data.messages import counted, describe_shape
from jaxae.data.naming import natural_order
from jaxae.data.streams import Stream
from jaxae.runs.inputs import Inputs
from jaxae.runs.loading import TrainedRun
from jaxae.runs.source_files import File, files_of, read_files
from jaxae.runs.style import class_name

SPLITS = ("train", "validation", "test")
CHUNK = 2048
"""Images of a stream that are read together."""


class Examples(NamedTuple):
    """Images as a run takes them.

    Attributes:
      images: `[n, h, w, c]`, an array, or a stream of a data set.
      names: what each is called: the path of a file, with the index in an array file; empty for the
        images of a data set.
      labels: of each, `[n]`, -1 where it is not known; None if none is.
      classes: the names of the labels; empty if they are numbers.
      notes: what a reader should know of how they were read.
      failed: why others could not be read, in a line for each.
    """

    images: Any
    names: tuple[str, ...]
    labels: np.ndarray | None
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()

    def label(self, i: int) -> str:
        """The label of an example in words; empty if it is not known."""
        if self.labels is None or self.labels[i] < 0:
            return ""
        return class_name(int(self.labels[i]), self.classes)

    def title(self, i: int) -> str:
        """What an example is called in a figure: the name of its file, or its number and label."""
        if self.names:
            return Path(self.names[i]).name
        return f"image {i}" + (f" ({label})" if (label := self.label(i)) else "")


def read_pictures(
    inputs: Inputs,
    paths: Sequence[str | Path],
    *,
    channels: Channels | None = None,
    levels: int | None = None,
) -> Examples:
    """Reads pictures, folders of pictures, and array files as images of a run.

    The subfolders of a folder are classes, as in :func:`jaxae.load`; its splits are read together. A
    picture that cannot be read does not stop the others.

    Args:
      inputs: how the images of the run are prepared.
      paths: of pictures, folders, and .npy or .npz files.
      channels: as in :func:`jaxae.load`, of array files.
      levels: as in :func:`jaxae.load`; by default those that the run was trained with.

    Returns:
      :class:`Examples`.

    Raises:
      ValueError: if nothing can be read, with the reason for each file.
    """
    levels = inputs.levels if levels is None else levels
    images: list[np.ndarray] = []
    names: list[str] = []
    labels: list[str] = []
    notes: list[str] = []
    failed: list[str] = []
    shapes: list[tuple[int, ...]] = []
    pending: list[File] = []

    def read_pending() -> None:
        found = read_files(inputs, pending, levels, notes, failed)
        for file, (image, shape) in zip(pending, found, strict=True):
            if image is not None:
                images.append(image[None])
                names.append(str(file.path))
                labels.append(file.label)
                shapes.append(shape)
        pending.clear()

    for name in paths:
        path = Path(name).expanduser()
        try:
            if path.suffix.lower() in (".npy", ".npz"):
                read_pending()
                for split, data in array_files.read_splits(
                    path, None, channels=channels, levels=levels
                ).items():
                    one, shape = _fitted(inputs, data.images, str(path))
                    images.append(one)
                    shapes += [shape] * len(one)
                    where = f"{path}[{{}}]" if split == "train" else f"{path}[{split} {{}}]"
                    names += [where.format(i) for i in range(len(one))]
                    labels += _in_words(data)
            elif path.is_dir():
                pending += files_of(path, notes)
            elif not path.exists():
                raise ValueError(f"there is no file or folder {path}")
            else:
                pending.append(File(path))
        except ValueError as error:
            failed.append(str(error))
    read_pending()
    if not images:
        raise ValueError("; ".join(failed) or "there are no pictures")
    notes += _about_shapes(inputs, shapes) + _about_levels(inputs)
    numbers, classes = _numbered(labels, inputs.classes)
    return Examples(
        _stacked(images), tuple(names), numbers, classes, tuple(dict.fromkeys(notes)), tuple(failed)
    )


def is_own(inputs: Inputs, dataset: str) -> bool:
    """Whether a name or a path is that of the data set that a run was trained on."""
    path = Path(dataset).expanduser()
    # Runs record paths as absolute ones: a file of the same name in another folder is another data set.
    return (str(path.resolve()) if path.exists() else dataset) == inputs.dataset


def read_data(
    run: TrainedRun,
    dataset: str | None,
    split: str,
    *,
    data_dir: str | None = None,
    channels: Channels | None = None,
    levels: int | None = None,
) -> Examples:
    """Reads a split of a data set as images of a run.

    Args:
      run: the run.
      dataset: a name or a path, as in :func:`jaxae.load`; None for the data set that the run was trained
        on, as it was read then.
      split: "train", "validation" or "test".
      data_dir: as in :func:`jaxae.load`.
      channels: as in :func:`jaxae.load`.
      levels: as in :func:`jaxae.load`.

    Raises:
      ValueError: if there is no such data set, or its images cannot be made those of the run.
    """
    if dataset is None or is_own(run.inputs, dataset):
        splits = run.load_data(data_dir, channels=channels, levels=levels)
    else:
        splits = load(
            dataset,
            data_dir=data_dir or run.inputs.data_dir,
            image_size=run.inputs.image_size,
            channels=channels,
            levels=levels,
        )
    data: Images = getattr(splits, split)
    if len(data.images) == 0:
        raise ValueError(f"{dataset or run.inputs.dataset} has no {split} images")
    shape = tuple(data.images.shape[1:])
    notes: list[str] = []
    images = data.images
    if shape not in (run.inputs.shape, run.inputs.seen_shape):
        images, _ = _fitted(run.inputs, images[:], str(dataset))
        notes = _about_shapes(run.inputs, [shape] * len(images))
    notes += _about_levels(run.inputs)
    return Examples(images, (), data.labels, data.classes, tuple(notes))


def encode(run: TrainedRun, images: Any) -> Tree:
    """The codes of many images, which may be a stream, leaves `[n, ...]`."""
    if not isinstance(images, Stream):
        return run.encode(images)
    if run.inputs.binarize:  # as a whole, so that the draws are those of the test images
        return run.encode(images[:])
    parts = [run.encode(images[i : i + CHUNK]) for i in range(0, len(images), CHUNK)]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)


def single_code(codes: Tree) -> np.ndarray:
    """Codes as one array.

    Raises:
      ValueError: if each code consists of several arrays, as those of a U-Net do.
    """
    if not isinstance(codes, np.ndarray):
        number = len(jax.tree.leaves(codes))
        raise ValueError(
            f"the code of an image in this run is not one vector but {number} arrays, as that of a U-Net; "
            "this command needs a model with one code"
        )
    return codes


def of_different_classes(run: TrainedRun, count: int) -> Examples:
    """Test images of the run, each of another class where the labels are known."""
    data = run.load_data().test
    chosen = np.arange(min(count, len(data.images)))
    if data.labels is not None:
        _, first = np.unique(data.labels, return_index=True)
        chosen = np.resize(first, len(chosen)) if len(first) >= count else chosen
    labels = None if data.labels is None else data.labels[chosen]
    found = Examples(data.images[chosen], (), labels, data.classes)
    shown = (f" ({label})" if (label := found.label(k)) else "" for k in range(len(chosen)))
    names = tuple(f"test image {i}{text}" for i, text in zip(chosen, shown, strict=True))
    return found._replace(names=names)


def as_images(run: TrainedRun, decoded: Tree) -> np.ndarray:
    """What a run has decoded, `[n, h, w, c]`.

    Raises:
      ValueError: if these are no images, as those of a classifier.
    """
    if len(getattr(decoded, "shape", ())) != 4:
        raise ValueError(
            f"{run.directory} is a run of {run.model.model.name}, which makes no images"
        )
    return np.asarray(decoded)


def as_shown(run: TrainedRun, images: np.ndarray) -> np.ndarray:
    """Images that a run takes, with the channels of those that it decodes, floats in [0, 1]."""
    x = np.asarray(as_float(images))
    channels = run.inputs.shape[-1]
    if x.shape[-1] == channels:
        return x
    return np.repeat(x.mean(axis=-1, keepdims=True), channels, axis=-1)


def _fitted(inputs: Inputs, images: np.ndarray, name: str) -> tuple[np.ndarray, tuple[int, ...]]:
    """Images of one shape as images of the run, and that shape."""
    shape = tuple(images.shape[1:])
    if shape in (inputs.shape, inputs.seen_shape):
        return images, shape
    try:
        return inputs.prepare(list(images)), shape
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _stacked(images: Sequence[np.ndarray]) -> np.ndarray:
    """One array; bytes become floats where there are floats too."""
    if len({one.dtype for one in images}) > 1:
        images = [
            one / np.float32(255) if one.dtype == np.uint8 else np.asarray(one, np.float32)
            for one in images
        ]
    return np.concatenate(images)


def _about_shapes(inputs: Inputs, shapes: Sequence[tuple[int, ...]]) -> list[str]:
    """What was done to images of other shapes, in sentences."""
    h, w, c = inputs.seen_shape
    resized = sum(shape[:2] != (h, w) for shape in shapes)
    recoloured = sum(shape[2:] not in ((c,), inputs.shape[2:]) for shape in shapes)
    notes = []
    if resized:
        which = "of another size" if len(shapes) > 1 else "of another size than those of the run"
        of = (
            "the picture"
            if len(shapes) == 1
            else f"{resized:,} of {counted(len(shapes), 'picture')}"
        )
        if 1 < resized == len(shapes):
            of = "both pictures" if resized == 2 else f"all {counted(resized, 'picture')}"
        are = "are" if resized > 1 else "is"
        notes.append(
            f"{of} {are} {which}: cut to the square in the middle and resized to {describe_shape((h, w))}"
        )
    if recoloured:
        pictures = counted(recoloured, "picture" if c == 1 else "grey picture")
        what = "made grey" if c == 1 else "repeated in three channels"
        were = "were" if recoloured > 1 else "was"
        notes.append(f"{pictures} {were} {what}, as the run needs")
    return notes


def _about_levels(inputs: Inputs) -> list[str]:
    if not inputs.binarize:
        return []
    return ["each pixel is made black or white at random, by its grey level, as in training"]


def _in_words(data: Images) -> list[str]:
    if data.labels is None:
        return [""] * len(data.images)
    return [class_name(int(i), data.classes) if i >= 0 else "" for i in data.labels]


def _numbered(
    labels: Sequence[str], trained: Sequence[str]
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Labels as numbers, in the order of the classes of the run where it has all of them."""
    known = {label for label in labels if label}
    if not known:
        return None, ()
    if all(label.isdecimal() for label in known) and not trained:
        return np.array([int(label) if label else -1 for label in labels]), ()
    classes = tuple(trained) if known <= {*trained} else tuple(natural_order(known))
    number = {name: i for i, name in enumerate(classes)}
    return np.array([number.get(label, -1) for label in labels]), classes
