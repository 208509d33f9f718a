"""Using a trained run on pictures of one's own: of any size, grey or in colour, one after the other."""

import dataclasses
import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

import jaxae
from experiments.shared.image_to_image import Config, Painter, Task, build, painter, symmetries
from jaxae.data import reading
from jaxae.data.colors import luma
from jaxae.runs.folder import Run
from jaxae.runtime.files import atomic_write

TILE, MARGIN = 256, 64
"""Large pictures are done in tiles, which see so many pixels around them."""


def trained(folder: str, task_name: str, config: type[Any]) -> tuple[Any, dict[str, Any], Run]:
    """The configuration of a run, what it recorded, and the run.

    Raises:
      ValueError: if the folder is none of a run of this experiment, or one of images that no picture is.
    """
    path = Path(folder).expanduser()
    try:
        saved = json.loads((path / "config.json").read_text())["config"]
        experiment = saved.get("experiment")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{folder} is not the folder of a run: it has no config.json") from None
    if experiment != task_name:
        raise ValueError(f"{folder} is a run of experiments.{experiment}, not of {task_name}")
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


def applied(config: Config, use: Callable[[Any, str], None]) -> bool:
    """Uses a trained run on pictures if --apply asks for that, and says whether it did.

    Raises:
      ValueError: unless --apply, its pictures and its folder come together, and alone.
    """
    if config.apply is None:
        if config.images or config.out is not None:
            raise ValueError("pictures and --out go with --apply RUN")
        return False
    if not config.images or config.out is None:
        raise ValueError("--apply RUN goes with pictures and with --out FOLDER")
    for field in dataclasses.fields(config):
        if field.name in ("apply", "images", "out"):
            continue
        if getattr(config, field.name) != field.default:
            raise ValueError(
                f"--{field.name.replace('_', '-')} was decided when the run was trained; leave it out"
            )
    use(config, config.apply)
    return True


def apply(
    config: Config,
    paint: Callable[[np.ndarray, np.ndarray | None], np.ndarray],
    answer: str,
    *,
    uses_alpha: bool = False,
) -> None:
    """Writes what becomes of each picture; one that cannot be done does not keep the others.

    No file is overwritten, and none is half-written.

    Args:
      config: the flags.
      paint: from a picture, `[h, w, c]` bytes, and its alpha to the result, `[h, w, 3]` in [0, 1].
      answer: what the results are called: `NAME-answer.png`.
      uses_alpha: whether alpha says something to `paint`; else the user is told that it is left out.
    """
    assert config.out is not None
    out = Path(config.out).expanduser()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"{out} cannot be a folder: {error.strerror}") from error
    failed = []
    for name in config.images:
        path = Path(name).expanduser()
        try:
            picture, alpha = reading.read_image(path), reading.read_alpha(path)
        except ValueError as error:
            failed.append(str(error))
            continue
        if alpha is not None and not uses_alpha:
            print(f"{path}: its alpha channel is left out", file=sys.stderr)
        try:
            print(save(paint(picture, alpha), out, f"{path.stem}-{answer}"))
        except (ValueError, OSError) as error:
            failed.append(f"{path}: {error}")
        except (MemoryError, jax.errors.JaxRuntimeError) as error:
            if not (isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)):
                raise
            failed.append(f"{path}: too large for the memory; make it smaller first")
    if failed:
        done = len(config.images) - len(failed)
        raise ValueError(f"{done} of {len(config.images)} pictures done; {'; '.join(failed)}")


def save(image: np.ndarray, folder: Path, stem: str) -> Path:
    """Writes `[h, w, 1]` or `[h, w, 3]` in [0, 1] as a PNG file of a name that is free."""
    path, number = folder / f"{stem}.png", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}.png"
    pixels = np.round(255 * np.clip(image, 0, 1)).astype(np.uint8)
    with atomic_write(path) as partial:
        pil = Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels)
        pil.save(partial, format="PNG")
    return path


def painters(
    config: Config, task: Task, params: Any, trained: tuple[int, ...]
) -> Callable[[tuple[int, int]], Painter]:
    """From the size of a picture to what the model makes of it; compiled once for each size."""
    count = symmetries(config, task, trained)

    @functools.cache
    def of_size(size: tuple[int, int]) -> Painter:
        # A picture that is not square cannot be turned on its side.
        fitting = count if size[0] == size[1] else min(count, 4)
        return painter(build(config, task, (*size, trained[2])), params, fitting)

    return of_size


def tiled(paint: Callable[[tuple[int, int]], Painter], x: np.ndarray, channels: int) -> np.ndarray:
    """What is made of images, piece by piece, so that the network needs no more memory for large ones.

    Args:
      paint: from :func:`painters`.
      x: images, `[n, h, w, c]`.
      channels: of the result.
    """
    h, w = x.shape[1:3]
    side_h, side_w = (min(n, TILE + 2 * MARGIN) for n in (h, w))
    if (side_h, side_w) == (h, w):
        return np.asarray(paint((h, w))(jnp.asarray(x)))
    # Every tile has the same size, those at the borders as well: one program for all of them.
    function = paint((side_h, side_w))
    result = np.empty((len(x), h, w, channels), np.float32)
    for top in range(0, h, TILE):
        for left in range(0, w, TILE):
            i, j = (
                min(max(start - MARGIN, 0), n - side)
                for start, n, side in ((top, h, side_h), (left, w, side_w))
            )
            tile = np.asarray(function(jnp.asarray(x[:, i : i + side_h, j : j + side_w])))
            end_h, end_w = min(top + TILE, h), min(left + TILE, w)
            result[:, top:end_h, left:end_w] = tile[:, top - i : end_h - i, left - j : end_w - j]
    return result


def parameters(run: Run, model: jaxae.Autoencoder, seen: tuple[int, ...]) -> Any:
    """The best parameters of a trained run."""
    shapes = jax.eval_shape(
        model.init, jax.random.key(0), jax.ShapeDtypeStruct((1, *seen), jnp.float32)
    )
    params = run.checkpoints.best(shapes)
    if params is None:
        raise ValueError(f"{run.directory} has no checkpoint yet; train it first")
    return params


def channels_of(picture: np.ndarray, channels: int) -> np.ndarray:
    """A picture as images of so many channels, `[n, h, w, channels]`.

    For a model of colours grey is given three channels; one of grey sees red, green and blue as three
    images. :func:`picture_of` is the way back.
    """
    x = np.asarray(jaxae.as_float(picture))
    if channels == x.shape[-1]:
        return x[None]
    if channels == 1:
        return np.moveaxis(x, -1, 0)[..., None]
    return np.repeat(x, 3, axis=-1)[None]


def picture_of(images: np.ndarray, channels: int) -> np.ndarray:
    """The picture of `channels` that images made from :func:`channels_of` it are."""
    if len(images) > 1:
        return np.moveaxis(images[..., 0], 0, -1)
    if channels == 1 and images.shape[-1] == 3:
        return np.asarray(luma(jnp.asarray(images[0])))
    return images[0]


def near(size: tuple[int, int], trained: tuple[int, ...], *, exactly: bool) -> tuple[int, int]:
    """The size at which a picture is seen: that of the training images, but for its proportions.

    A smaller picture is seen as it is. A network with a bottleneck sees all of them `exactly` in the
    size it was trained on.
    """
    if exactly:
        return trained[0], trained[1]
    scale = min(1.0, min(trained[:2]) / min(size))
    h, w = (max(1, round(scale * n)) for n in size)
    return h, w


def resized(x: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Images, `[n, h, w, c]` floats, antialiased to another size."""
    shape = (len(x), *size, x.shape[-1])
    return np.asarray(jax.image.resize(jnp.asarray(x), shape, "cubic"))
