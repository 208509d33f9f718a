"""The installation: versions, devices, memory, cache and data sets, and a test that it works."""

import os
import platform
import tempfile
import traceback
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import psutil

from jaxae import __version__
from jaxae.base import Params
from jaxae.composition import Autoencoder
from jaxae.data.loading import EMBEDDED, load
from jaxae.models import vae
from jaxae.networks import mlp_decoder, mlp_encoder
from jaxae.runs.summary import byte_size
from jaxae.runtime.cache import cache_dir
from jaxae.training import fit
from jaxae.training.checkpoints import Checkpoints

NEEDED = (
    *("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "scipy", "scikit-learn"),
    *("scikit-image", "matplotlib", "pillow", "tensorflow-datasets", "mlxtend"),
)
"""Packages that jaxae depends on."""
EXTRAS = {
    "tensorflow": "preparing data sets of tensorflow_datasets",
    "flatbuffers": "jaxae export",
    "jax2onnx": "jaxae export --format onnx",
    "safetensors": "jaxae export --format safetensors",
    "tensorboardX": "--log tensorboard",
    "ipywidgets": "progress bars in notebooks",
}
"""Packages that a part of jaxae uses if they are installed, and which part that is."""
EXAMPLES, SIDE, LATENT_DIM = 64, 8, 2
"""The size of the test."""


def describe(data_dir: str | None = None) -> dict[str, Any]:
    """Versions, devices, memory, cache and data sets, as plain values.

    Args:
      data_dir: the folder of tfds data sets; `TFDS_DATA_DIR` or `~/tensorflow_datasets` when None.
    """
    memory = psutil.virtual_memory()
    folder = Path(
        data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    ).expanduser()
    cache = cache_dir()
    return {
        "versions": {"python": platform.python_version(), "jaxae": __version__}
        | {name: _version(name) for name in NEEDED},
        "extras": {name: _version(name) for name in EXTRAS},
        "system": platform.platform(),
        "devices": [_device(device) for device in jax.devices()],
        "cores": os.cpu_count(),
        "memory": {"total": memory.total, "available": memory.available},
        "cache": {"folder": str(cache), "size": _size(cache)},
        "data": {"embedded": list(EMBEDDED), "folder": str(folder), "found": data_sets(folder)},
    }


def in_words(found: Mapping[str, Any]) -> dict[str, str]:
    """The table that `jaxae doctor` prints, from :func:`describe`."""

    def versions(of: Mapping[str, str | None]) -> str:
        return ", ".join(f"{name} {number or 'missing'}" for name, number in of.items())

    memory, cache, data = found["memory"], found["cache"], found["data"]
    tfds = ", ".join(data["found"]) or "none"
    return {
        "versions": versions(found["versions"]),
        "extras": "\n".join(
            f"{name} {number or 'not installed'} ({EXTRAS[name]})"
            for name, number in found["extras"].items()
        ),
        "system": f"{found['system']}, {found['cores']} cores",
        "devices": "\n".join(found["devices"]),
        "memory": f"{byte_size(memory['available'])} of {byte_size(memory['total'])} available",
        "cache": f"{cache['folder']}, {byte_size(cache['size'])}",
        "data sets": f"included: {', '.join(data['embedded'])}\nin {data['folder']}: {tfds}",
    }


def advice(found: Mapping[str, Any]) -> list[str]:
    """What a user could do about what is found, in sentences."""
    said = []
    if missing := [name for name, number in found["versions"].items() if number is None]:
        said.append(f"{', '.join(missing)} missing: pip install {' '.join(missing)}")
    if found["memory"]["available"] < 1e9:
        said.append("less than 1 GB of memory is available: take small batches and images")
    return said


def data_sets(folder: Path) -> list[str]:
    """The data sets that tensorflow_datasets has prepared in a folder."""
    if not folder.is_dir():
        return []
    infos = [
        info for depth in ("*/*", "*/*/*") for info in folder.glob(f"{depth}/dataset_info.json")
    ]
    return sorted({str(info.relative_to(folder).parent.parent) for info in infos})


def self_test() -> dict[str, str]:
    """Trains a tiny VAE for a moment and uses it.

    Returns:
      for each check what is wrong, or an empty string if it passed. What follows a failure is left out.
    """
    model = vae(
        mlp_encoder(2 * LATENT_DIM, (16,)),
        mlp_decoder((SIDE, SIDE, 1), (16,)),
        latent_dim=LATENT_DIM,
    )
    images = load("digits").train.images[:EXAMPLES]
    state: dict[str, Any] = {}

    def trains() -> None:
        import optax

        fitted = fit(
            model,
            images,
            optimizer=optax.adam(1e-2),
            epochs=5,
            batch_size=16,
            key=jax.random.key(0),
            progress=False,
        )
        first, last = (fitted.history[i]["train/loss"] for i in (0, -1))
        _require(np.isfinite(last) and last < first, f"the loss went from {first} to {last}")
        state["params"] = fitted.params

    def has_gradients() -> None:
        def mean_loss(params: Params) -> jax.Array:
            return model.loss(params, jax.random.key(1), images).loss.mean()

        gradients = jax.jit(jax.grad(mean_loss))(state["params"])
        finite = all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(gradients))
        _require(finite, "a gradient is not finite")

    def compiles() -> None:
        plain = model.encode(state["params"], images)
        compiled = jax.jit(model.encode)(state["params"], images)
        difference = float(jnp.abs(plain - compiled).max())
        _require(difference < 1e-3, f"compiled and other codes differ by {difference}")
        decoded = model.decode(state["params"], compiled)
        _require(decoded.shape == (EXAMPLES, SIDE, SIDE, 1), f"decoded images are {decoded.shape}")

    def saves() -> None:
        with tempfile.TemporaryDirectory() as folder:
            _saved_and_restored(model, state["params"], images, Path(folder))

    checks: dict[str, Callable[[], None]] = {
        "training lowers the loss": trains,
        "gradients are finite": has_gradients,
        "compiled and other codes agree": compiles,
        "a checkpoint is written and read": saves,
    }
    results: dict[str, str] = {}
    for name, check in checks.items():
        results[name] = _failure(check)
        if results[name]:
            break
    return results


def _saved_and_restored(
    model: Autoencoder, params: Params, images: np.ndarray, folder: Path
) -> None:
    checkpoints = Checkpoints(folder / "checkpoints")
    checkpoints.save(0, {}, params, {})
    shapes = jax.eval_shape(model.init, jax.random.key(0), images)
    again = checkpoints.best(shapes)
    same = again is not None and all(
        bool((a == b).all())
        for a, b in zip(jax.tree.leaves(params), jax.tree.leaves(again), strict=True)
    )
    _require(same, "other parameters are read than were written")


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise)


def _failure(check: Callable[[], None]) -> str:
    """What is wrong, in a line; empty if nothing is."""
    try:
        check()
    except Exception as error:  # whatever an installation may be lacking
        said = " ".join(str(error).split())[:300] or "no message"
        place = traceback.extract_tb(error.__traceback__)[-1]
        return (
            f"FAILED: {type(error).__name__}: {said} ({Path(place.filename).name}:{place.lineno})"
        )
    return ""


def _device(device: jax.Device) -> str:
    """A device and its memory."""
    text = f"{device.device_kind} ({device.platform}:{device.id})"
    try:
        stats = device.memory_stats() or {}
    except jax.errors.JaxRuntimeError:  # not every platform counts
        stats = {}
    limit = stats.get("bytes_limit")
    return text if limit is None else f"{text}, {byte_size(limit)}"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:  # removed meanwhile
            continue
    return total
