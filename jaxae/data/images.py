"""Images as arrays: checked, read from files and folders, resized. Bytes, or floats in [0, 1]."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, cast

import numpy as np
from PIL import Image, ImageOps

from jaxae.data.streams import Stream, streamed

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"}


class Images(NamedTuple):
    """Images and what is known of them.

    Attributes:
      images: `[n, h, w, c]`, bytes or float32 in [0, 1]; perhaps a :class:`Stream`.
      labels: the class of each, `[n]`, or None.
      attributes: `{name: [n]}`, whether each image has the attribute; empty if none are known.
    """

    images: np.ndarray
    labels: np.ndarray | None = None
    attributes: Mapping[str, np.ndarray] = MappingProxyType({})

    def take(self, indices: np.ndarray) -> "Images":
        """These examples, in this order."""
        labels = None if self.labels is None else self.labels[indices]
        attributes = {name: has[indices] for name, has in self.attributes.items()}
        images: Any = self.images
        if isinstance(images, Stream):
            return Images(cast(np.ndarray, images.take(indices)), labels, attributes)
        return Images(images[indices], labels, attributes)


def from_arrays(
    images: np.ndarray,
    labels: np.ndarray | None = None,
    attributes: Mapping[str, np.ndarray] = MappingProxyType({}),
    *,
    name: str = "the array",
    image_size: int | None = None,
) -> Images:
    """Checks an array of images and brings it to `[n, h, w, c]`, bytes or float32.

    Booleans, and bytes that are only 0 and 1, become black and white.

    Args:
      images: `[n, h, w]` or `[n, h, w, c]`; bytes, booleans, or floats in [0, 1].
      labels: `[n]`, if there are any.
      attributes: `{name: [n]}`, booleans (or 0 and 1), if there are any.
      name: what the errors call the array.
      image_size: as in :func:`load`.

    Raises:
      ValueError: if it is empty, has another shape or type, or is out of range.

    Examples:
      >>> from_arrays(np.zeros((5, 3, 4), bool)).images.shape
      (5, 3, 4, 1)
    """
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4:
        raise ValueError(f"{name} has shape {images.shape}; images are [n, h, w] or [n, h, w, c]")
    if images.size == 0:
        raise ValueError(f"{name} is empty: its shape is {images.shape}")
    if images.dtype == bool:
        images = images.astype(np.uint8)
    elif np.issubdtype(images.dtype, np.floating):
        images = images.astype(np.float32, copy=False)
        for part in chunks(images):
            if not np.isfinite(part).all():
                raise ValueError(f"{name} has values that are not finite")
            if part.min() < 0 or part.max() > 1:
                raise ValueError(
                    f"{name} has floats from {images.min():.4g} to {images.max():.4g}; "
                    "bring them to [0, 1]"
                )
    elif images.dtype != np.uint8:
        raise ValueError(
            f"{name} has type {images.dtype}; images are uint8, bool, or floats in [0, 1]"
        )
    if images.dtype == np.uint8 and max(int(part.max()) for part in chunks(images)) == 1:
        images = images * np.uint8(255)
    if labels is not None and labels.shape != images.shape[:1]:
        raise ValueError(f"{name} has {len(images)} images, but labels of shape {labels.shape}")
    for attribute, has in attributes.items():
        if has.shape != images.shape[:1]:
            raise ValueError(
                f"{name} has {len(images)} images, but the attribute {attribute} has shape {has.shape}"
            )
        if not np.isin(has, (0, 1)).all():
            raise ValueError(f"{name}: the attribute {attribute} is to be 0 or 1 for each image")
    if image_size is not None:
        images = np.stack([resize(image, image_size) for image in images])
    return Images(images, labels, {name: has.astype(bool) for name, has in attributes.items()})


def from_file(path: Path, image_size: int | None) -> Images:
    """An `.npy` file of images, or an `.npz` file with `images` and perhaps more.

    That is `labels`, `[n]`; and `attributes`, `[n, a]`, with `attribute_names`, `[a]`.

    Raises:
      ValueError: naming the file and what is wrong with it.
    """
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    try:
        with open(path, "rb") as file:
            loaded = np.load(file, allow_pickle=False)
            labels = attributes = names = None
            if isinstance(loaded, np.ndarray):
                images = loaded
            elif "images" not in loaded:
                raise ValueError(f"it has no array 'images', only {', '.join(loaded) or 'nothing'}")
            else:
                images = loaded["images"]
                labels = loaded.get("labels")
                attributes, names = loaded.get("attributes"), loaded.get("attribute_names")
        present = [x for x in (images, labels, attributes, names) if x is not None]
        if not all(isinstance(array, np.ndarray) for array in present):
            raise ValueError("it holds something else than arrays")
        if (attributes is None) != (names is None):
            raise ValueError("'attributes' and 'attribute_names' go together")
        named = {}
        if attributes is not None and names is not None:
            if attributes.shape[1:] != names.shape:
                raise ValueError("'attributes' has a row for an image, with a value for each name")
            named = dict(zip(map(str, names), attributes.T, strict=True))
    except Exception as error:  # zipfile, zlib, struct, header parsing: numpy raises what it likes
        raise ValueError(f"{path} cannot be read: {first_line(error)}") from error
    return from_arrays(images, labels, named, name=str(path), image_size=image_size)


class _Rows:
    """The rows of an `.npy` file, mapped, and mapped anew in a process that it is sent to."""

    def __init__(self, path: Path):
        self._path = path
        self.rows = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(self.rows, np.ndarray):
            raise ValueError("it is an archive, not an array")

    def __reduce__(self) -> tuple[Any, ...]:
        return (_Rows, (self._path,))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> np.ndarray:
        return self.rows[i]


def from_mapped(path: Path, image_size: int | None, stream: bool | None) -> Images | None:
    """A stream of the images in an `.npy` file of bytes; None if they are to be read into memory.

    Raises:
      ValueError: if they are to be streamed, and cannot be.
    """
    if stream is False or not path.is_file():
        return None
    if path.suffix.lower() == ".npz":
        if stream:
            raise ValueError(f"{path} is packed and cannot be streamed; an .npy file of bytes can")
        return None
    try:
        source = _Rows(path)
    except Exception as error:  # as in from_file
        raise ValueError(f"{path} cannot be read: {first_line(error)}") from error
    if not streamed(stream, source.rows.shape):
        return None
    if source.rows.dtype != np.uint8 or source.rows.ndim not in (3, 4):
        raise ValueError(
            f"{path} has {source.rows.dtype} of shape {source.rows.shape}; what is streamed is bytes, "
            "[n, h, w] or [n, h, w, c]"
        )
    # As in from_arrays: bytes that are only 0 and 1 are black and white.
    white = 255 if max(int(part.max()) for part in chunks(source.rows)) == 1 else 1
    decode = partial(_row, image_size=image_size, white=white)
    return Images(cast(np.ndarray, Stream(source, decode, name=str(path))))


def _row(row: np.ndarray, *, image_size: int | None, white: int) -> np.ndarray:
    image = (row if row.ndim == 3 else row[..., None]) * np.uint8(white)
    return image if image_size is None else resize(image, image_size)


def from_folder(
    folder: Path, image_size: int | None, stream: bool | None = False
) -> dict[str, Images]:
    """A folder of images, or its folders `train`, `validation` and `test`, each by class or not.

    Args:
      folder: where.
      image_size: as in :func:`load`.
      stream: whether the training images are read when they are asked for; None: if they are too large.

    Raises:
      ValueError: naming an image that cannot be read, or two of different sizes.
    """
    names = {child.name.lower(): child for child in folder.iterdir() if child.is_dir()}
    aliases = {"train": "train", "test": "test", "validation": "validation", "val": "validation"}
    found = {split: names[name] for name, split in aliases.items() if name in names}
    if "train" not in found:
        found = {"train": folder}
    paths = {split: _find_images(path) for split, path in found.items()}
    # One numbering for all splits: a class may be missing in one of them.
    classes = sorted(
        {
            p.relative_to(found[split]).parts[0]
            for split, several in paths.items()
            for p in several
            if p.parent != found[split]
        }
    )
    return {
        split: _read(
            found[split], paths[split], classes, image_size, stream if split == "train" else False
        )
        for split in found
    }


def read_alpha(path: Path) -> np.ndarray | None:
    """`[h, w, 1]` floats in [0, 1], how opaque the pixels of an image are; None if it does not say.

    Raises:
      ValueError: naming the file and what is wrong with it.
    """
    with _opened(path) as image:
        if not image.has_transparency_data:
            return None
        alpha = image.convert("RGBA").getchannel("A")
        return np.asarray(alpha, np.float32)[..., None] / 255


def pairs(inputs: Path, targets: Path, image_size: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Images and what to make of each: two arrays in files, or two folders with the same file names.

    Returns:
      `[n, h, w, c]` and `[n, h, w, c']`.

    Raises:
      ValueError: naming a file without its other half, or saying how the two differ.
    """
    if inputs.is_dir() and targets.is_dir():
        names = [
            {path.relative_to(folder).with_suffix(""): path for path in _find_images(folder)}
            for folder in (inputs, targets)
        ]
        for paths, folder in zip(names, (inputs, targets), strict=True):
            if len(paths) < len(_find_images(folder)):
                raise ValueError(f"{folder} has two images of the same name, but for its ending")
        for i, folder in enumerate((targets, inputs)):
            if missing := sorted(names[i].keys() - names[1 - i].keys()):
                raise ValueError(
                    f"{names[i][missing[0]]} has no other half in {folder} ({len(missing)} have none)"
                )
        found = [
            _read(folder, [paths[name] for name in sorted(paths)], [], image_size).images
            for folder, paths in zip((inputs, targets), names, strict=True)
        ]
    else:
        for path in (inputs, targets):
            if not path.exists():
                raise ValueError(f"there is no folder or file {path}")
            if path.suffix.lower() not in (".npy", ".npz"):
                raise ValueError(f"{path} is no .npy or .npz file, and not both are folders")
        found = [from_file(path, image_size).images for path in (inputs, targets)]
    x, y = found
    if len(x) != len(y):
        raise ValueError(f"{inputs} has {len(x)} images and {targets} has {len(y)}")
    if x.shape[1:3] != y.shape[1:3]:
        raise ValueError(
            f"{inputs} has images of {describe(x.shape[1:])} and {targets} of "
            f"{describe(y.shape[1:])}; give an image size"
        )
    return x, y


def _find_images(folder: Path) -> list[Path]:
    visible = (
        p
        for p in sorted(folder.rglob("*"))
        if not any(part.startswith(".") for part in p.relative_to(folder).parts)
    )
    paths = [p for p in visible if p.suffix.lower() in SUFFIXES and p.is_file()]
    if not paths:
        raise ValueError(f"there is no image ({', '.join(sorted(SUFFIXES))}) in {folder}")
    return paths


def _read(
    folder: Path,
    paths: list[Path],
    classes: list[str],
    image_size: int | None,
    stream: bool | None = False,
) -> Images:
    labels = None
    if len(classes) > 1 and all(p.parent != folder for p in paths):
        number = {name: i for i, name in enumerate(classes)}
        labels = np.array([number[p.relative_to(folder).parts[0]] for p in paths])

    if stream is not False:
        shape = _square(paths[0], image_size=image_size).shape
        if streamed(stream, (len(paths), *shape)):
            # Colours if the first has them: the others are not looked at before they are needed.
            read = partial(_square, image_size=image_size, channels=shape[-1])
            return Images(cast(np.ndarray, Stream(paths, read, name=str(folder))), labels)
    read = partial(_square, image_size=image_size)
    with ThreadPoolExecutor() as pool:
        arrays = list(pool.map(read, paths))
    if any(array.shape[-1] == 3 for array in arrays):
        arrays = [np.broadcast_to(array, (*array.shape[:2], 3)) for array in arrays]
    for path, array in zip(paths, arrays, strict=True):
        if array.shape != arrays[0].shape:
            raise ValueError(
                f"{paths[0]} is {describe(arrays[0].shape)} and {path} is {describe(array.shape)}; "
                "give an image size"
            )
    return Images(np.stack(arrays), labels)


def _square(path: Path, *, image_size: int | None, channels: int | None = None) -> np.ndarray:
    array = read_image(path)
    if channels == 3:
        array = np.broadcast_to(array, (*array.shape[:2], 3))
    return array if image_size is None else resize(array, image_size)


def read_image(path: Path) -> np.ndarray:
    """`[h, w, 1]` or `[h, w, 3]` bytes, upright; sixteen bits are rounded to eight, alpha is left out.

    Raises:
      ValueError: naming the file and what is wrong with it.
    """
    with _opened(path) as image:
        if image.mode.startswith("I"):  # sixteen bits
            levels = np.asarray(image, np.float64)
            if levels.min() < 0 or levels.max() > 65535:
                raise ValueError("its levels have more than sixteen bits")
            return (levels / 257).round().astype(np.uint8)[..., None]
        if image.mode == "F":
            raise ValueError("its levels are floats; an .npy file can hold these")
        grey = image.mode in ("1", "L", "LA")
        array = np.asarray(image.convert("L" if grey else "RGB"))
    return array[..., None] if grey else array


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(path) as file:
            yield ImageOps.exif_transpose(file)
    except Exception as error:  # a damaged file makes its decoder raise anything
        raise ValueError(f"{path} cannot be read as an image: {first_line(error)}") from error


def resize(image: np.ndarray, size: int) -> np.ndarray:
    """The square in the middle of `[h, w, c]`, resized (antialiased) to `[size, size, c]`."""
    if image.shape[:2] == (size, size):
        return image
    side = min(image.shape[:2])
    top, left = ((n - side) // 2 for n in image.shape[:2])
    square = image[top : top + side, left : left + side]
    high = 255 if image.dtype == np.uint8 else 1
    channels = [
        Image.fromarray(np.ascontiguousarray(channel)).resize(
            (size, size), Image.Resampling.BICUBIC
        )
        for channel in np.moveaxis(square, -1, 0)
    ]
    return np.clip(np.stack([np.asarray(channel) for channel in channels], axis=-1), 0, high)


def is_binary(images: np.ndarray) -> bool:
    """Whether every pixel is black or white.

    Examples:
      >>> is_binary(np.uint8([0, 255])), is_binary(np.uint8([0, 128]))
      (True, False)
    """
    white = 255 if images.dtype == np.uint8 else 1
    return all(bool(((part == 0) | (part == white)).all()) for part in chunks(images))


def chunks(images: np.ndarray) -> Iterator[np.ndarray]:
    """Views of up to 1,024 images, so that a memory-mapped array is read piece by piece."""
    return (images[i : i + 1024] for i in range(0, len(images), 1024))


def describe(shape: Iterable[int]) -> str:
    """A shape in words, `28 x 28 x 1`."""
    return " x ".join(map(str, islice(shape, 3)))


def first_line(error: BaseException) -> str:
    """What an error says, in one line of bounded length."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
