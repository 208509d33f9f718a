"""Applying a trained run to pictures: `--apply RUN --out FOLDER PICTURES`."""

import dataclasses
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

import jaxae
from experiments.shared.image_to_image import Config, Painter, Task, build, painter, symmetries
from jaxae.runs.folder import Run, read_config


def applied(config: Config, use: Callable[[Any, str], None]) -> bool:
    """Applies a trained run to pictures if `--apply` is given, and returns whether it was.

    Args:
      config: the flags.
      use: `(config, folder)`, which applies the run in this folder.

    Raises:
      ValueError: unless `--apply`, the pictures and `--out` are given together, and nothing else is.
    """
    if config.apply is None:
        if config.images or config.out is not None:
            raise ValueError("pictures and --out need --apply RUN")
        return False
    if not config.images or config.out is None:
        raise ValueError("--apply RUN needs pictures and --out FOLDER")
    for field in dataclasses.fields(config):
        if field.name in ("apply", "images", "out"):
            continue
        if getattr(config, field.name) != field.default:
            raise ValueError(
                f"--{field.name.replace('_', '-')} was chosen when the run was trained; leave it out"
            )
    use(config, config.apply)
    return True


def trained(folder: str, experiment: str, config: type[Any]) -> tuple[Any, dict[str, Any], Run]:
    """The configuration of a run, the contents of its task.json, and the run.

    Raises:
      ValueError: if the folder is not a run of this experiment, or the run is of images that have
        neither one nor three channels.
    """
    path = Path(folder).expanduser()
    saved = read_config(path)["config"]
    if saved.get("experiment") != experiment:
        raise ValueError(
            f"{folder} is a run of experiments.{saved.get('experiment')}, not of {experiment}"
        )
    names = {field.name for field in dataclasses.fields(config)} & saved.keys()
    known = {k: tuple(v) if isinstance(v, list) else v for k, v in saved.items() if k in names}
    try:
        record = json.loads((path / "task.json").read_text())
        channels = {tuple(record[name])[2] for name in ("shape", "seen") if name in record}
        shape = tuple(record["shape"])
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        raise ValueError(f"{folder} has no task.json, or a damaged one; train it again") from None
    if not channels <= {1, 3}:
        raise ValueError(
            f"{folder} was trained on images of {' x '.join(map(str, shape))}; pictures have 1 or 3 "
            "channels"
        )
    return config(**known), record, Run(path, saved)


def painters(
    config: Config, task: Task, params: Any, trained: tuple[int, ...]
) -> Callable[[tuple[int, int]], Painter]:
    """From the size of a picture to the painter of that size, which is compiled once.

    Args:
      config: the configuration of the run.
      task: its task.
      params: its parameters.
      trained: the shape of its training images.
    """
    count = symmetries(config, task, trained)

    @functools.cache
    def of_size(size: tuple[int, int]) -> Painter:
        # Only a square picture can be turned on its side.
        fitting = count if size[0] == size[1] else min(count, 4)
        return painter(build(config, task, (*size, trained[2])), params, fitting)

    return of_size


def parameters(
    run: Run, model: jaxae.Autoencoder, shape: tuple[int, ...], seen: tuple[int, ...]
) -> Any:
    """The best parameters of a trained run.

    Args:
      run: the run.
      model: its model.
      shape: of an image that the model describes.
      seen: the shape of an input of the network.

    Raises:
      ValueError: if the run has no checkpoint.
    """
    x, inputs = (jax.ShapeDtypeStruct((1, *size), jnp.float32) for size in (shape, seen))
    shapes = jax.eval_shape(model.init, jax.random.key(0), jaxae.Batch(x, seen=inputs))
    params = run.checkpoints.best(shapes)
    if params is None:
        raise ValueError(f"{run.directory} has no checkpoint yet; train it first")
    return params
