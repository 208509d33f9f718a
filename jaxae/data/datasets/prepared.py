"""Reading tfds data sets: prepared once, decoded once into one array, memory-mapped from then on."""

import contextlib
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast
from zipfile import BadZipFile

import numpy as np
import tensorflow_datasets as tfds
from absl import logging

from jaxae.data.datasets.digits import Digits
from jaxae.data.datasets.mnist5k import Mnist5k
from jaxae.data.images import Images, chunks, first_line, resize
from jaxae.data.streams import Stream, streamed
from jaxae.runtime.cache import cache_dir

EMBEDDED = {"mnist5k": Mnist5k, "digits": Digits}
CHUNK = 1024


def names() -> list[str]:
    """The data sets that tfds knows, and ours."""
    return sorted({*tfds.list_builders(with_community_datasets=False), *EMBEDDED})


def read(
    name: str, data_dir: Any, image_size: int | None, stream: bool | None = False
) -> dict[str, Images]:
    """The splits `train`, `validation` and `test` of a tfds data set, as far as it has them.

    Args:
      name: of the data set.
      data_dir: where it is.
      image_size: as in :func:`jaxae.load`.
      stream: likewise; the other splits are decoded once and mapped.

    Raises:
      ValueError: saying what to install or run, or what is wrong with the images.
    """
    logging.set_verbosity(logging.ERROR)
    builder = _builder(name, data_dir)
    pictures = [
        key
        for key, feature in builder.info.features.items()
        if isinstance(feature, tfds.features.Image)
    ]
    if not pictures:
        raise ValueError(f"the tfds data set {name!r} has no image")
    available = list(builder.info.splits)
    wanted = {s: s for s in ("train", "validation", "test") if s in available}
    if "train" not in wanted:
        # Another split, if there is one; else what there is, to be divided.
        others = [s for s in available if s not in wanted]
        wanted = wanted | {"train": others[0]} if others else {"train": available[0]}
    key = "image" if "image" in pictures else pictures[0]
    images = {}
    for split, tfds_split in wanted.items():
        if split == "train" and stream is not False:
            source = builder.as_data_source(split=tfds_split)
            picture = partial(_picture, key=key, image_size=image_size)
            if len(source) and streamed(stream, (len(source), *picture(source[0]).shape)):
                images[split] = _streamed(builder, tfds_split, key, source, picture)
                continue
        images[split] = _decoded(builder, tfds_split, key, image_size)
    return images


def _picture(row: Any, *, key: str, image_size: int | None, white: int = 1) -> np.ndarray:
    """The image of a record; where white is one, such as in binarized_mnist, it becomes 255."""
    image = np.asarray(row[key])
    return (image if image_size is None else resize(image, image_size)) * np.uint8(white)


def _streamed(builder: Any, split: str, key: str, source: Any, picture: Any) -> Images:
    """A split whose images are decoded when they are asked for; labels and attributes are known at once."""
    skip = {key: tfds.decode.SkipDecoding()}
    rows = builder.as_data_source(split=split, decoders=skip)
    label, found = _label(builder), _attributes(builder)
    labels: list[int] = []
    attributes: dict[str, list[bool]] = {name: [] for name in (found[1] if found else ())}
    if label is not None or found:
        for part in _batched(rows, CHUNK):
            labels += [int(row[label]) for row in part] if label is not None else []
            for name, values in attributes.items():
                values += [bool(row[found[0]][name]) for row in part] if found else []
    some = np.linspace(0, len(source) - 1, min(64, len(source))).astype(int)
    black_and_white = max(int(picture(source[int(i)]).max()) for i in some) == 1
    stream = Stream(
        source,
        partial(picture, white=255) if black_and_white else picture,
        name=builder.name,
    )
    return Images(
        cast(np.ndarray, stream),
        np.array(labels) if label is not None else None,
        {name: np.array(values) for name, values in attributes.items()},
    )


def _label(builder: Any) -> str | None:
    classes = [
        name
        for name, feature in builder.info.features.items()
        if isinstance(feature, tfds.features.ClassLabel)
    ]
    return "label" if "label" in classes else next(iter(classes), None)


def _builder(name: str, data_dir: Any) -> Any:
    """A prepared builder; the embedded sets are prepared on the spot."""
    home = Path(
        data_dir or os.environ.get("TFDS_DATA_DIR") or Path.home() / "tensorflow_datasets"
    ).expanduser()
    kwargs = {"file_format": "array_record"}
    if name.split(":")[0] in EMBEDDED:
        shelf = cache_dir() / "tfds"
        builder = tfds.builder(name, data_dir=str(shelf), **kwargs)
        if not builder.is_prepared():
            _prepare_embedded(name.split(":")[0], shelf, kwargs)
            builder = tfds.builder(name, data_dir=str(shelf), **kwargs)
        return builder
    try:
        builder = tfds.builder(name, data_dir=str(home), **kwargs)
        prepared = builder.is_prepared()
    except Exception as error:
        if "TFRECORD" in str(error).upper():
            raise ValueError(
                f"{name!r} in {home} is in tfds's format tfrecord, which only TensorFlow reads; "
                "give another --data-dir, where it is prepared again as array_record"
            ) from error
        raise ValueError(f"tfds cannot open {name!r} in {home}: {first_line(error)}") from error
    if not prepared:
        _prepare(name, home)
        builder = tfds.builder(name, data_dir=str(home), **kwargs)
    return builder


def _prepare_embedded(name: str, shelf: Path, kwargs: dict[str, str]) -> None:
    """Prepares one of our data sets aside and then moves it into place: another process may be at it."""
    shelf.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".partial-", dir=shelf))
    tfds.disable_progress_bar()
    try:
        # tfds reports on standard output, which is where results go.
        with contextlib.redirect_stdout(None):
            tfds.builder(name, data_dir=str(aside), **kwargs).download_and_prepare()
        (shelf / name).mkdir(exist_ok=True)
        for version in (aside / name).iterdir():
            with contextlib.suppress(OSError):  # the other process was first
                os.replace(version, shelf / name / version.name)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _prepare(name: str, home: Path) -> None:
    """Downloads and prepares a data set in a process of its own, so that ours stays without TensorFlow."""
    problem = f"{name!r} is not prepared in {home}"
    elsewhere = (
        "set --data-dir or TFDS_DATA_DIR to a folder that has it, or use "
        f"{' or '.join(EMBEDDED)}, which need no download"
    )
    if importlib.util.find_spec("tensorflow") is None:
        raise ValueError(
            f"{problem}, and preparing it needs TensorFlow once: "
            f"pip install 'jaxae[prepare]'; or {elsewhere}"
        )
    print(f"preparing {name} in {home}: once, with a download", file=sys.stderr)
    code = (
        "import sys, tensorflow_datasets as tfds; tfds.builder(sys.argv[1], data_dir=sys.argv[2],"
        " file_format='array_record').download_and_prepare()"
    )
    # Without this TensorFlow would take the accelerator away from JAX.
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", code, name, str(home)],
        env=environment,
        stdout=subprocess.DEVNULL,  # results go to ours
        stderr=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise ValueError(f"{problem}, and preparing it failed ({lines[-1][:200]}); {elsewhere}")


def _decoded(builder: Any, split: str, key: str, image_size: int | None) -> Images:
    """A split as arrays, decoded once and memory-mapped from then on."""
    files = sorted(Path(builder.data_path).glob(f"*-{split}.*")) + [
        Path(builder.data_path) / "dataset_info.json"
    ]
    stamp = repr([(f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files])
    said = f"{stamp} {key} {image_size}{' with attributes' if _attributes(builder) else ''}"
    stamp = hashlib.sha256(said.encode()).hexdigest()[:12]
    beside = Path(builder.data_path) / f"jaxae-{split}-{stamp}"
    elsewhere = cache_dir() / "decoded" / f"{builder.name}-{split}-{stamp}"
    for folder in (beside, elsewhere):
        if (cached := _open_cache(folder)) is not None:
            return cached
    folder = beside if os.access(builder.data_path, os.W_OK) else elsewhere
    try:
        _write_cache(folder, builder, split, key, image_size)
    except ValueError as error:
        raise ValueError(f"{builder.name}: {error}") from error
    cached = _open_cache(folder)
    if cached is None:
        raise ValueError(f"{builder.name}: what was decoded into {folder} cannot be read back")
    return cached


def _open_cache(folder: Path) -> Images | None:
    try:
        images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
        has_labels = (folder / "labels.npy").exists()
        labels = np.load(folder / "labels.npy", allow_pickle=False) if has_labels else None
        attributes = {}
        if (folder / "attributes.npz").exists():
            with np.load(folder / "attributes.npz", allow_pickle=False) as file:
                attributes = dict(file)
    except (OSError, ValueError, BadZipFile):
        return None
    return Images(images, labels, attributes)


def _attributes(builder: Any) -> tuple[str, list[str]] | None:
    """A feature that is a dictionary of truth values, such as `attributes` of celeb_a, and its keys."""
    for name, feature in builder.info.features.items():
        if isinstance(feature, tfds.features.FeaturesDict):
            keys = [key for key, value in feature.items() if value.np_dtype == np.bool_]
            if keys:
                return name, keys
    return None


def _write_cache(folder: Path, builder: Any, split: str, key: str, image_size: int | None) -> None:
    source = builder.as_data_source(split=split)
    label = _label(builder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder.parent))
    try:
        images: np.memmap | None = None
        labels: list[int] = []
        found = _attributes(builder)
        attributes: dict[str, list[bool]] = {key: [] for key in (found[1] if found else ())}
        start = 0
        for rows in _batched(source, CHUNK):
            part = [np.asarray(row[key]) for row in rows]
            if image_size is not None:
                part = [resize(image, image_size) for image in part]
            for image in part:
                if image.shape != part[0].shape or (
                    images is not None and image.shape != images.shape[1:]
                ):
                    raise ValueError("its images have several sizes; give an image size")
                if image.dtype != np.uint8:
                    raise ValueError(f"its images are {image.dtype}, not bytes")
            if images is None:
                images = np.lib.format.open_memmap(
                    partial / "images.npy", "w+", np.uint8, (len(source), *part[0].shape)
                )
            images[start : start + len(part)] = part
            start += len(part)
            if label is not None:
                labels += [int(row[label]) for row in rows]
            if found:
                for attribute, values in attributes.items():
                    values += [bool(row[found[0]][attribute]) for row in rows]
        if images is None:
            raise ValueError(f"its split {split!r} is empty")
        if max(int(chunk.max()) for chunk in chunks(images)) == 1:
            for chunk in chunks(images):  # black and white, such as binarized_mnist
                chunk *= 255
        images.flush()
        if label is not None:
            np.save(partial / "labels.npy", np.array(labels))
        if found:
            columns: dict[str, Any] = {k: np.array(v) for k, v in attributes.items()}
            np.savez(partial / "attributes.npz", **columns)
        if _open_cache(folder) is not None:  # another process was first
            return
        shutil.rmtree(folder, ignore_errors=True)  # damaged, if it is there
        try:
            os.replace(partial, folder)
        except OSError:
            if _open_cache(folder) is None:
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _batched(source: Any, size: int) -> Iterator[Sequence[Any]]:
    return (
        source.__getitems__(range(i, min(i + size, len(source))))
        for i in range(0, len(source), size)
    )
