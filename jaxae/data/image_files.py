"""Reading image files, of any format that Pillow reads without other programs."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from jaxae.data.images import resize
from jaxae.data.messages import first_line
from jaxae.data.ranges import Levels, Ranges, decide, measure, to_bytes

# Pillow runs other programs for these (EPS, WMF), knows only their first bytes (BUFR, GRIB, HDF5, MPEG),
# or ignores their scale (FITS); IPTC is no picture.
_NOT_READ = {"BUFR", "EPS", "FITS", "GRIB", "HDF5", "IPTC", "MPEG", "WMF"}

_FIRST_BYTES = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*", b"BM")

# These begin like a TIFF file, but hold the raw data of a camera's sensor.
_RAW = {".3fr", ".arw", ".cr2", ".dcr", ".dng", ".erf", ".iiq", ".kdc", ".mef", ".mos", ".nef"}
_RAW |= {".nrw", ".orf", ".pef", ".raw", ".rw2", ".sr2", ".srw"}

_ORIENTED_BY = {"exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif"}


class Header(NamedTuple):
    """What is known of an image file without its pixels.

    Attributes:
      path: of the file.
      frames: number of images in the file.
      shape: `(h, w, c)` of the first image.
      transparent: whether it has an alpha channel, or a transparent colour; if the pixels were read,
        whether any of them is not opaque.
      deep: whether it stores levels of more than 8 bits, all of which can be read.
      open: whether only the pixels tell if it is grey, and have not been read; it then has 3 channels.
    """

    path: Path
    frames: int
    shape: tuple[int, ...]
    transparent: bool
    deep: bool
    open: bool = False


class Content(NamedTuple):
    """An image file.

    Attributes:
      header: what is known without the pixels.
      levels: of each image that was read, as they are stored.
      images: `[h, w, c]`, bytes; empty if the level of white was not given.
    """

    header: Header
    levels: tuple[Levels, ...]
    images: tuple[np.ndarray, ...]


@cache
def formats() -> tuple[str, ...]:
    """Names of the formats that are read."""
    Image.init()
    return tuple(name for name in Image.ID if name not in _NOT_READ)


@cache
def _formats_for(suffix: str) -> tuple[str, ...]:
    """All formats, since suffixes may be wrong; that of the suffix is first."""
    promised = Image.registered_extensions().get(suffix.lower())
    return tuple(sorted(formats(), key=lambda name: name != promised))


@cache
def suffixes() -> frozenset[str]:
    """Suffixes of the files that are read as images."""
    known = {*formats(), "MPO"}  # MPO is opened as JPEG
    return frozenset(
        suffix for suffix, name in Image.registered_extensions().items() if name in known
    )


def is_image(path: Path) -> bool:
    """Whether a file is an image, by its suffix or, if that is unknown, by its content."""
    suffix = path.suffix.lower()
    if suffix in suffixes():
        return True
    if suffix in _RAW:
        return False
    try:
        with open(path, "rb") as file:
            begin = file.read(16)
        if not (begin.startswith(_FIRST_BYTES) or begin[:4] + begin[8:12] == b"RIFFWEBP"):
            return False
        read_header(path)
    except (OSError, ValueError):
        return False
    return True


def read_image(path: Path, frame: int = 0, ranges: Ranges | None = None) -> np.ndarray:
    """Reads one image of a file.

    The image is turned upright by its EXIF orientation, levels of more than 8 bits are scaled to 8 bits,
    and an alpha channel is dropped.

    Args:
      path: of the file.
      frame: the number of the image in the file.
      ranges: the levels of white; by default they are decided from this image.

    Returns:
      `[h, w, 1]` or `[h, w, 3]`, bytes.

    Raises:
      ValueError: if the file cannot be read as an image.
    """
    with open_image(path) as image:
        if frame:
            image.seek(frame)
        raw, levels, inverted = _pixels(image, path)
        ranges = decide([levels]) if ranges is None else ranges
        return _scaled(raw, levels, ranges, inverted)


def read_header(path: Path, *, every_frame: bool = False) -> Header:
    """Reads what is known of an image file without its pixels.

    Args:
      path: of the file.
      every_frame: whether to look at all images of the file for their number of channels.

    Raises:
      ValueError: if the file cannot be read as an image.
    """
    with open_image(path) as image:
        header = _header(image, path)
        for frame in range(1, header.frames if every_frame and not header.open else 1):
            image.seek(frame)
            if not _is_grey(image):
                return header._replace(shape=(*header.shape[:2], 3))
        return header


def read_content(
    path: Path, *, every_frame: bool, ranges: Ranges, image_size: int | None = None
) -> Content:
    """Reads an image file.

    Args:
      path: of the file.
      every_frame: whether to read all images of the file; the first if not.
      ranges: the levels of white. If that of this kind of file is missing, only the levels are measured.
      image_size: if given, the central square of each image is resized to this height and width.

    Raises:
      ValueError: if the file cannot be read as an image.
    """
    with open_image(path) as image:
        header = _header(image, path)
        if header.transparent:
            header = header._replace(transparent=not _is_opaque(image))
        levels, images = [], []
        for frame in range(header.frames if every_frame else 1):
            if frame:
                image.seek(frame)
            raw, measured, inverted = _pixels(image, path)
            levels.append(measured)
            # Bytes are kept, since white is rarely another value than 255.
            if measured.kind in ranges.white or raw.dtype == np.uint8 or measured.white:
                array = _scaled(raw, measured, ranges, inverted)
                images.append(array if image_size is None else resize(array, image_size))
        if header.open and images:
            shape = (*header.shape[:2], max(each.shape[-1] for each in images))
            header = header._replace(shape=shape, open=False)
    return Content(header, tuple(levels), tuple(images))


def read_alpha(path: Path) -> np.ndarray | None:
    """Reads the opacity of an image file.

    Args:
      path: of the file.

    Returns:
      `[h, w, 1]`, floats in [0, 1], where 1 is opaque; None if the image has no transparency.

    Raises:
      ValueError: if the file cannot be read as an image.
    """
    with open_image(path) as image:
        if not image.has_transparency_data:
            return None
        alpha = _upright(image).convert("RGBA").getchannel("A")
        return np.asarray(alpha, np.float32)[..., None] / 255


@contextmanager
def open_image(path: Path) -> Iterator[Image.Image]:
    """Opens an image file; whatever goes wrong in the context is a `ValueError` that names the file."""
    try:
        # Not by its name: Pillow maps files that it opens by name, and misreads rotated TIFF files.
        with (
            open(path, "rb") as file,
            Image.open(file, formats=_formats_for(os.path.splitext(path)[1])) as image,
        ):
            yield image
    except UnidentifiedImageError as error:
        raise ValueError(f"{path} cannot be read as an image: {_why_unknown(path)}") from error
    except Image.DecompressionBombError as error:
        raise ValueError(
            f"{path} cannot be read as an image: it has too many pixels ({first_line(error)}); make it "
            "smaller, or leave it out"
        ) from error
    except Exception as error:  # the decoder of a damaged file may raise anything
        said = first_line(error)
        if isinstance(error, ValueError) and said.startswith(str(path)):
            raise
        raise ValueError(f"{path} cannot be read as an image: {said}") from error


def _why_unknown(path: Path) -> str:
    with open(path, "rb") as file:
        begin = file.read(40)
    if not begin:
        return "it is empty"
    if begin.startswith(b"version https://git-lfs"):
        return "it only refers to a file in Git LFS, which `git lfs pull` fetches"
    return "its format is not known, or its beginning is damaged"


def _header(image: Image.Image, path: Path) -> Header:
    height, width = image.height, image.width
    tags: Any = getattr(image, "tag_v2", {})
    # Versions of Pillow differ in whether the size of a TIFF file is that of the upright image.
    if 256 in tags and 257 in tags:
        height, width = tags[257], tags[256]
    is_oriented = bool(tags) or image.info.keys() & _ORIENTED_BY
    if is_oriented and image.getexif().get(0x0112, 1) in (5, 6, 7, 8):
        height, width = width, height
    channels = 1 if _is_grey(image) else 3
    return Header(
        path,
        _count_frames(image, path),
        (height, width, channels),
        image.has_transparency_data,
        _is_deep(image),
        _is_open(image),
    )


def _is_open(image: Image.Image) -> bool:
    """Whether grey images are stored as colours: in WebP, palettes, and the frames of a GIF."""
    return image.format in ("GIF", "WEBP") or image.mode in ("P", "PA")


def _count_frames(image: Image.Image, path: Path) -> int:
    # The further images of these are layers, or a camera's preview and depth map.
    if image.format == "PSD" or (image.format == "MPO" and path.suffix.lower() != ".mpo"):
        return 1
    return getattr(image, "n_frames", 1)


def _is_opaque(image: Image.Image) -> bool:
    if _is_deep(image):
        return True  # one level is declared to be transparent, and is read as it is
    smallest, _ = cast(tuple[int, int], image.convert("RGBA").getchannel("A").getextrema())
    return smallest == 255


def _is_deep(image: Image.Image) -> bool:
    return image.mode.startswith(("I", "F"))


def _is_grey(image: Image.Image) -> bool:
    return image.mode in ("1", "L", "LA", "La") or _is_deep(image)


def _pixels(image: Image.Image, path: Path) -> tuple[np.ndarray, Levels, bool]:
    """The image as it is stored, its levels, and whether zero is white."""
    # Pillow reads colours of 16 bits, and grey ones with alpha, as bytes, and drops the lower ones.
    tile = (
        "" if image.mode in ("1", "L", "P") or _is_deep(image) else str(getattr(image, "tile", ""))
    )
    halved = bool(re.search(";16[BLN]", tile))
    tags: Any = getattr(image, "tag_v2", {})
    if 2 in tags.get(339, ()) and not _is_deep(image):
        raise ValueError("its levels are signed bytes; save them as unsigned ones")
    is_open = _is_open(image)
    upright = _upright(image)
    if not _is_deep(upright):
        grey = _is_grey(upright)
        target = "L" if grey else "RGB"
        array = np.asarray(upright if upright.mode == target else upright.convert(target))
        if (
            is_open
            and not grey
            and all((array[..., :1] == array[..., i : i + 1]).all() for i in (1, 2))
        ):
            array, grey = array[..., 0], True
        kind = "16-bit colour" if halved else "8-bit"
        measured = Levels(path, kind, int(array.min()), int(array.max()))
        return (array[..., None] if grey else array), measured, False
    bits = max(tags.get(258, (0,)), default=0)
    is_short = upright.mode.startswith("I;16") or image.format in ("PNG", "PPM") or bits == 16
    kind = "float" if upright.mode == "F" else "16-bit" if is_short else "32-bit"
    # Pillow stretches the levels of these formats to 16 bits; TIFF files may say that they have 12.
    white = 65535 if image.format in ("PPM", "JPEG2000") and kind == "16-bit" else None
    if bits and bits not in (8, 16, 32, 64):
        white = 2**bits - 1
    raw = np.asarray(upright)[..., None]
    return raw, measure(path, kind, raw, white), tags.get(262) == 0


def _has_equal_channels(array: np.ndarray) -> bool:
    # The first row shows of most colour images that they are none.
    return all(bool((part == part[..., :1]).all()) for part in (array[:1], array))


def _scaled(raw: np.ndarray, levels: Levels, ranges: Ranges, inverted: bool) -> np.ndarray:
    white = levels.white or ranges.white.get(levels.kind, 255)
    if raw.dtype == np.uint8 and white == 255:
        return raw
    return to_bytes(raw, white, inverted=inverted)


def _upright(image: Image.Image) -> Image.Image:
    image.load()
    # exif_transpose copies the image, which takes as long as reading a small one.
    return ImageOps.exif_transpose(image) if image.info.keys() & _ORIENTED_BY else image
