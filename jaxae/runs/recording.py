"""What a run folder records of its model, so that it can be loaded: recipe, inputs and codes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxae.arrays import as_float
from jaxae.base import Batch, Params, Tree
from jaxae.composition import Autoencoder
from jaxae.data.colors import luma
from jaxae.recipes import recipe_of
from jaxae.runs import inference
from jaxae.runs.folder import Run, read_config
from jaxae.runs.inputs import Inputs
from jaxae.runtime.files import atomic_write

CODES = "codes.json"
MAX_CODE_VALUES = 10_000
"""Codes with more values, such as those of a U-Net, are no latent space that is described by two vectors."""
INPUT_TYPES = {
    "image_size": int | None,
    "bytes": bool,
    "binarize": bool,
    "dataset": str,
    "data_dir": str | None,
    "levels": int | None,
    "classes": tuple,
}
"""The types of what a run records of its inputs."""


def record_run(run: Run, model: Autoencoder, inputs: Inputs) -> None:
    """Records in a run folder what :func:`load_run` needs: the recipe of the model, and its inputs.

    A model that has no recipe can be loaded with the argument `model`.
    """
    record: dict[str, Any] = {"inputs": inputs._asdict()}
    try:
        record["recipe"] = recipe_of(model)
    except ValueError as error:
        record["no_recipe"] = str(error)
    run.describe(**record)


def save_untrained(
    run: Run, model: Autoencoder, params: Params, inputs: Inputs, x: Batch | Tree
) -> None:
    """Records a model that was computed from examples and not trained, such as PCA."""
    record_run(run, model, inputs)
    run.checkpoints.save(0, {}, params, {})
    record_codes(run, model, params, 0, lambda: x)


def record_codes(
    run: Run, model: Autoencoder, params: Params, step: int, examples: Callable[[], Batch | Tree]
) -> None:
    """Writes the mean and the standard deviation of the codes of training examples to codes.json.

    Args:
      run: the run folder.
      model: any autoencoder; one without an encoder has no codes.
      params: its parameters.
      step: the number of updates; codes of the same step are not computed again.
      examples: gives the training examples.
    """
    if model.model.posterior is None:
        return
    if (_read_json(run.directory / CODES) or {}).get("step") == step:
        return
    x = examples()
    record = read_config(run.directory)
    task = (record.get("use") or {}).get("task")
    if task in ("colorize", "inpaint"):  # the encoder does not see the images themselves
        x = as_seen(inputs_of(record, run.directory), task, x.x if isinstance(x, Batch) else x)
    n = len(jax.tree.leaves(x)[0])
    shape = jax.eval_shape(model.encode, params, jax.tree.map(lambda leaf: leaf[:1], x))
    if not isinstance(shape, jax.ShapeDtypeStruct) or shape.size > MAX_CODE_VALUES:
        return
    codes = inference.encode(model, params, x)
    values = {
        "step": step,
        "examples": n,
        "mean": codes.mean(axis=0, dtype=np.float64).tolist(),
        "std": codes.std(axis=0, dtype=np.float64).tolist(),
    }
    with atomic_write(run.directory / CODES) as partial:
        partial.write_text(json.dumps(values) + "\n")


def as_seen(
    inputs: Inputs, task: str | None, x: Any, *, noisy: bool = False
) -> np.ndarray | jax.Array:
    """What the encoder of a run for a task sees of images, see :meth:`TrainedRun.seen`."""
    array = inputs.check(x, noisy=noisy)
    if array.shape[1:] != inputs.seen_shape:
        if task != "inpaint":
            raise ValueError(
                f"the encoder of this run sees arrays [n, {list(inputs.seen_shape)}], not "
                f"{list(array.shape)}"
            )
        known = as_float(jnp.asarray(array))
        return np.concatenate([known, np.zeros((*known.shape[:-1], 1), np.float32)], axis=-1)
    if task == "colorize":
        grey = luma(as_float(jnp.asarray(array)))
        return np.asarray(jnp.broadcast_to(grey, array.shape))
    return array


def parts_of(record: dict[str, Any]) -> tuple[str, ...]:
    """The names of the parts in the contents of config.json."""
    parts = record.get("parts", [])
    return tuple(str(name) for name in parts) if isinstance(parts, list) else ()


def inputs_of(record: dict[str, Any], directory: Path) -> Inputs:
    """The inputs in the contents of config.json.

    Raises:
      ValueError: if they are damaged; the message names the folder.
    """
    values = record.get("inputs")
    try:
        plain = {k: tuple(v) if isinstance(v, list) else v for k, v in dict(values or {}).items()}
        known: dict[str, Any] = {k: v for k, v in plain.items() if k in Inputs._fields}
        inputs = Inputs(**known)
        for shape in (known["shape"], known.get("seen") or (1,)):
            if not isinstance(shape, tuple) or not all(isinstance(n, int) and n > 0 for n in shape):
                raise ValueError(f"{shape!r:.40} is no shape")
        for name, kinds in INPUT_TYPES.items():
            if not isinstance(getattr(inputs, name), kinds):
                raise ValueError(f"{name} is {getattr(inputs, name)!r:.40}")
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{directory}: the inputs in config.json are damaged: {error}") from None
    return inputs


def is_being_continued(record: dict[str, Any]) -> bool:
    """Whether a continuation of the run has begun and is not complete, by the contents of config.json."""
    continued = record.get("continued")
    last = continued[-1] if isinstance(continued, list) and continued else {}
    return isinstance(last, dict) and last.get("complete") is False


def saved_steps(directory: Path) -> set[int]:
    """The steps of the checkpoints of a run."""
    try:
        names = [path.name for path in (directory / "checkpoints").iterdir()]
    except OSError:
        return set()
    return {int(name) for name in names if name.isdecimal()}


def code_moments(directory: Path) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The mean and the standard deviation in codes.json, if they are of the newest checkpoint.

    They are of an earlier one while a run is trained further.
    """
    path = directory / CODES
    if not path.exists():
        return None, None
    try:
        codes = json.loads(path.read_text())
        step, mean, std = (
            codes["step"],
            *(np.asarray(codes[name], np.float32) for name in ("mean", "std")),
        )
        if mean.shape != std.shape or not mean.ndim or not np.isfinite([mean, std]).all():
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise ValueError(f"{path} is damaged; remove it to use the run without it") from None
    if step != max(saved_steps(directory), default=None):
        return None, None
    return mean, std


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None
