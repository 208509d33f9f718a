"""Reading images from folders."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
from PIL import Image, ImageOps

from jaxae.data.images import Images, resize
from jaxae.data.messages import SIZE_HINT, describe_shape, first_line
from jaxae.data.streams import Stream, should_stream

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
"""Suffixes of the files that are read as images."""

SPLIT_FOLDERS = {"train": "train", "test": "test", "validation": "validation", "val": "validation"}
"""Names of folders that are splits of a data set."""


def from_folder(
    folder: Path,
    image_size: int | None,
    stream: bool | None = False,
    *,
    frames: str = "first",
    levels: int | None = None,
) -> dict[str, Images]:
    """Reads a folder of images.

    It may have subfolders `train`, `validation` (or `val`) and `test`, and these subfolders of classes.

    Args:
      folder: the path.
      image_size: as in :func:`jaxae.load`.
      stream: as in :func:`jaxae.load`; only training images are streamed.
      frames: as in :func:`jaxae.load`.
      levels: as in :func:`jaxae.load`.

    Returns:
      the splits that the folder has; if it has no subfolder `train`, everything is in `train`.

    Raises:
      ValueError: if there is no image, an image cannot be read, or two have different sizes.
    """
    children = {child.name.lower(): child for child in folder.iterdir() if child.is_dir()}
    found = {split: children[name] for name, split in SPLIT_FOLDERS.items() if name in children}
    if "train" not in found:
        found = {"train": folder}
    paths = {split: find_images(path) for split, path in found.items()}
    # All splits share one numbering of the classes: a class may be missing in one of them.
    classes = sorted(
        {
            path.relative_to(found[split]).parts[0]
            for split, several in paths.items()
            for path in several
            if path.parent != found[split]
        }
    )
    return {
        split: read_images(
            found[split], paths[split], classes, image_size, stream if split == "train" else False
        )
        for split in found
    }


def find_images(folder: Path) -> list[Path]:
    """The image files in a folder and its subfolders, sorted; hidden ones are left out.

    Raises:
      ValueError: if there is none.
    """
    visible = (
        path
        for path in sorted(folder.rglob("*"))
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    paths = [path for path in visible if path.suffix.lower() in SUFFIXES and path.is_file()]
    if not paths:
        raise ValueError(
            f"there is no image in {folder}; files with these suffixes are read: "
            f"{', '.join(sorted(SUFFIXES))}"
        )
    return paths


def read_images(
    folder: Path,
    paths: list[Path],
    classes: list[str],
    image_size: int | None,
    stream: bool | None = False,
) -> Images:
    """Reads image files, all in colour if one of them is.

    Args:
      folder: that the files are in.
      paths: of the files.
      classes: names of the classes; an image is of the class whose subfolder it is in.
      image_size: as in :func:`jaxae.load`.
      stream: as in :func:`jaxae.load`.

    Returns:
      :class:`Images`, with labels if there are several classes and every image is in a subfolder.

    Raises:
      ValueError: if an image cannot be read, or two have different sizes.
    """
    labels = None
    if len(classes) > 1 and all(path.parent != folder for path in paths):
        number = {name: i for i, name in enumerate(classes)}
        labels = np.array([number[path.relative_to(folder).parts[0]] for path in paths])

    if stream is not False:
        shape = _read_resized(paths[0], image_size=image_size).shape
        if should_stream(stream, (len(paths), *shape)):
            # In colour if the first image is: the others are not opened before they are needed.
            read = partial(_read_resized, image_size=image_size, channels=shape[-1])
            return Images(cast(np.ndarray, Stream(paths, read, name=str(folder))), labels)
    read = partial(_read_resized, image_size=image_size)
    with ThreadPoolExecutor() as pool:
        arrays = list(pool.map(read, paths))
    if any(array.shape[-1] == 3 for array in arrays):
        arrays = [np.broadcast_to(array, (*array.shape[:2], 3)) for array in arrays]
    for path, array in zip(paths, arrays, strict=True):
        if array.shape != arrays[0].shape:
            raise ValueError(
                f"{paths[0]} is {describe_shape(arrays[0].shape)} and {path} is "
                f"{describe_shape(array.shape)}; {SIZE_HINT}"
            )
    return Images(np.stack(arrays), labels)


def _read_resized(path: Path, *, image_size: int | None, channels: int | None = None) -> np.ndarray:
    array = read_image(path)
    if channels == 3:
        array = np.broadcast_to(array, (*array.shape[:2], 3))
    return array if image_size is None else resize(array, image_size)


def read_image(path: Path) -> np.ndarray:
    """Reads an image file.

    The image is turned upright by its EXIF orientation; 16-bit levels are rounded to 8 bits, and an
    alpha channel is dropped.

    Args:
      path: of the file.

    Returns:
      `[h, w, 1]` or `[h, w, 3]`, bytes.

    Raises:
      ValueError: if the file cannot be read as an image.
    """
    with _open_image(path) as image:
        if image.mode.startswith("I"):  # 16 bits, in 16 or 32
            levels = np.asarray(image, np.float64)
            if levels.min() < 0 or levels.max() > 65535:
                raise ValueError("its levels do not fit into 16 bits")
            return (levels / 257).round().astype(np.uint8)[..., None]
        if image.mode == "F":
            raise ValueError("its levels are floats; save them in an .npy file, scaled to [0, 1]")
        is_grey = image.mode in ("1", "L", "LA")
        array = np.asarray(image.convert("L" if is_grey else "RGB"))
    return array[..., None] if is_grey else array


def read_alpha(path: Path) -> np.ndarray | None:
    """Reads the opacity of an image file.

    Args:
      path: of the file.

    Returns:
      `[h, w, 1]`, floats in [0, 1], where 1 is opaque; None if the image has no transparency.

    Raises:
      ValueError: if the file cannot be read as an image.
    """
    with _open_image(path) as image:
        if not image.has_transparency_data:
            return None
        alpha = image.convert("RGBA").getchannel("A")
        return np.asarray(alpha, np.float32)[..., None] / 255


@contextmanager
def _open_image(path: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(path) as file:
            yield ImageOps.exif_transpose(file)
    except Exception as error:  # the decoder of a damaged file may raise anything
        raise ValueError(f"{path} cannot be read as an image: {first_line(error)}") from error
