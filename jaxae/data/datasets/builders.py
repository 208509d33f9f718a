"""Opening tfds data sets; a data set that is not on disk is downloaded and prepared first."""

import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from jaxae.data.datasets.digits import Digits
from jaxae.data.datasets.mnist5k import Mnist5k
from jaxae.data.messages import first_line
from jaxae.runtime.cache import cache_dir

EMBEDDED = {"mnist5k": Mnist5k, "digits": Digits}
"""Data sets that need no download."""


def names() -> list[str]:
    """Names of all data sets: those of tfds and the embedded ones."""
    return sorted({*tfds.list_builders(with_community_datasets=False), *EMBEDDED})


def open_builder(name: str, data_dir: Any) -> Any:
    """Opens a data set, which is prepared first if necessary.

    Args:
      name: of the data set, as tfds takes it (`mnist`, `cifar10:3.0.2`).
      data_dir: as in :func:`jaxae.load`; embedded data sets are in the cache folder instead.

    Returns:
      a tfds builder whose data are on disk, in the format array_record.

    Raises:
      ValueError: if it cannot be opened or prepared; the message says what to install or change.
    """
    options = {"file_format": "array_record"}
    if name.split(":")[0] in EMBEDDED:
        folder = cache_dir() / "tfds"
        builder = tfds.builder(name, data_dir=str(folder), **options)
        if not builder.is_prepared():
            _prepare_embedded(name.split(":")[0], folder, options)
            builder = tfds.builder(name, data_dir=str(folder), **options)
        return builder
    folder = Path(
        data_dir or os.environ.get("TFDS_DATA_DIR") or Path.home() / "tensorflow_datasets"
    ).expanduser()
    try:
        builder = tfds.builder(name, data_dir=str(folder), **options)
        prepared = builder.is_prepared()
    except Exception as error:
        if "TFRECORD" in str(error).upper():
            raise ValueError(
                f"{name!r} in {folder} has the format tfrecord, which only TensorFlow reads; give "
                "another folder with --data-dir or data_dir=, where it is prepared as array_record"
            ) from error
        raise ValueError(f"tfds cannot open {name!r} in {folder}: {first_line(error)}") from error
    if not prepared:
        _prepare(name, folder)
        builder = tfds.builder(name, data_dir=str(folder), **options)
    return builder


def has_config(name: str, config: str) -> bool:
    """Whether a data set has a configuration of this name, as in `cifar10_corrupted/fog_1`."""
    return name not in EMBEDDED and config in tfds.builder_cls(name).builder_configs


def image_feature(builder: Any) -> str:
    """Name of the feature that is the image: `image` if there is one, else the first.

    Raises:
      ValueError: if the data set has no image.
    """
    found = [
        key
        for key, feature in builder.info.features.items()
        if isinstance(feature, tfds.features.Image)
    ]
    if not found:
        raise ValueError(f"the tfds data set {builder.name!r} has no images; choose one that has")
    return "image" if "image" in found else found[0]


def label_feature(builder: Any) -> str | None:
    """Name of the feature that is the class: `label` if there is one, else the first, or None."""
    found = [
        name
        for name, feature in builder.info.features.items()
        if isinstance(feature, tfds.features.ClassLabel)
    ]
    return "label" if "label" in found else next(iter(found), None)


def class_names(builder: Any) -> tuple[str, ...]:
    """Names of the classes of :func:`label_feature`; empty if they are numbers, or there are none."""
    label = label_feature(builder)
    names = () if label is None else tuple(builder.info.features[label].names)
    return () if names == tuple(map(str, range(len(names)))) else names


def attribute_features(builder: Any) -> tuple[str, list[str]] | None:
    """Name and keys of a feature that is a dict of booleans, such as `attributes` of celeb_a."""
    for name, feature in builder.info.features.items():
        if isinstance(feature, tfds.features.FeaturesDict):
            keys = [key for key, value in feature.items() if value.np_dtype == np.bool_]
            if keys:
                return name, keys
    return None


def _prepare_embedded(name: str, folder: Path, options: dict[str, str]) -> None:
    """Prepares an embedded data set in a temporary folder and moves it, as others may do at the same time."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder))
    tfds.disable_progress_bar()
    try:
        # tfds prints to standard output, which is for results.
        with contextlib.redirect_stdout(None):
            tfds.builder(name, data_dir=str(temporary), **options).download_and_prepare()
        (folder / name).mkdir(exist_ok=True)
        for version in (temporary / name).iterdir():
            with contextlib.suppress(OSError):  # the other process was first
                os.replace(version, folder / name / version.name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _prepare(name: str, folder: Path) -> None:
    """Downloads and prepares a data set in a subprocess, so that this process never loads TensorFlow."""
    problem = f"{name!r} is not prepared in {folder}"
    alternatives = (
        "set --data-dir or TFDS_DATA_DIR to a folder that has it, or use "
        f"{' or '.join(EMBEDDED)}, which need no download"
    )
    if importlib.util.find_spec("tensorflow") is None:
        raise ValueError(
            f"{problem}, and preparing it needs TensorFlow: "
            f"pip install 'jaxae[prepare]'; or {alternatives}"
        )
    print(f"downloading and preparing {name} in {folder}, once", file=sys.stderr)
    code = (
        "import sys, tensorflow_datasets as tfds; tfds.builder(sys.argv[1], data_dir=sys.argv[2],"
        " file_format='array_record').download_and_prepare()"
    )
    # Otherwise TensorFlow would take the accelerator from JAX.
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", code, name, str(folder)],
        env=environment,
        stdout=subprocess.DEVNULL,  # standard output is for results
        stderr=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise ValueError(f"{problem}, and preparing it failed ({lines[-1][:200]}); {alternatives}")
