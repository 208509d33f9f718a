"""Translation: computes images of one kind from images of another, trained on pairs.

    python -m experiments.translation
    python -m experiments.translation --inputs FOLDER --targets FOLDER
    python -m experiments.translation --dataset cifar10 --make night

Pairs are two folders whose files have the same names, or two arrays (.npy, or .npz with `images`) of the
same length. A tenth of the pairs is used for testing, and a tenth of the others for validation. Pairs can
also be computed from a data set: the target of `shift:DOWN:RIGHT` is the image moved by this number of
pixels, with zeros at the border; the input of `night` is a dark, bluish and noisy version of the image.

`jaxae reconstruct RUN picture.png --out translated` translates a picture at its own size.

The baselines are the input itself, if it has the shape of the target, and the mean of all training targets.

Measured (the first command, one core, jax 0.10.2): digits moved 4 pixels down and 2 to the right, 44.0 dB
(the input itself 7.8, the mean target 11.8) in 192 s.

Lectures: shifting images, day and night, and pairs of images in general.
"""

import experiments  # noqa: F401  # isort: skip  (finds the packages, also for a script)

import dataclasses
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxae
from experiments.shared import datasets, flags
from experiments.shared import image_to_image as common
from jaxae.data import images
from jaxae.data.pairs import Pairs
from jaxae.runs import descriptions, pieces
from jaxae.runs.command import command

MADE_SEED = 1_414_213_562
NIGHT = (0.18, 0.2, 0.32)
"""The brightness of red, green and blue at night, relative to the day."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(common.Config):
    """Flags of translation."""

    inputs: str | None = None
    """Read the input images from this folder or file."""
    targets: str | None = None
    """Read the target of each input from this folder or file."""
    make: str | None = None
    """Compute the pairs from --dataset: shift:DOWN:RIGHT or night. The default is shift:4:2, unless
    --inputs and --targets are given."""
    symmetries: int | None = 1
    """This must be 1, because pairs are not transformed."""


def main(config: Config) -> dict[str, Any]:
    """Trains a model on pairs, scores it, and writes the run folder."""
    started = time.perf_counter()
    if config.symmetries != 1:
        raise ValueError("pairs are not transformed; leave out --symmetries")
    if config.inputs is None and config.targets is None:
        data, pairs, description = made(config)
    else:
        data, pairs, description = given(config)
        # The run folder and the figures are named after the pairs.
        config = dataclasses.replace(config, dataset=description.replace(" ", "-"))
        description = "translation of pairs of images"
    x, y = pairs.train
    return common.train(
        config,
        task(x.shape[1:], y.shape[1:], description),
        data,
        started=started,
        pairs=pairs,
    )


def made(config: Config) -> tuple[datasets.Data, jaxae.data.PairSplits, str]:
    """Pairs that are computed from the images of a data set."""
    kind, *numbers = (config.make or "shift:4:2").split(":")
    if kind not in ("shift", "night") or len(numbers) != (2 if kind == "shift" else 0):
        raise ValueError(f"--make is shift:DOWN:RIGHT or night, not {config.make!r}")
    data = datasets.load(config, default=16)
    if data.placement == "stream":
        raise ValueError("pairs cannot be streamed; use --placement host")
    assert data.validation is not None
    if kind == "night" and data.test.shape[-1] != 3:
        raise ValueError(f"the images of {config.dataset} are grey, and --make night needs colours")
    splits = []
    for i, x in enumerate((data.train, data.validation, data.test)):
        if kind == "shift":
            down, right = (pieces.number(text, str(config.make)) for text in numbers)
            if down != int(down) or right != int(right):
                raise ValueError(f"--make {config.make}: images are shifted by whole pixels")
            splits.append(Pairs(x, shifted(x, int(down), int(right))))
        else:
            key = jax.random.fold_in(jax.random.key(MADE_SEED), i)
            splits.append(Pairs(night(key, x), x))
    pairs = jaxae.data.PairSplits(*splits)
    if kind == "shift":
        return with_inputs(data, pairs), pairs, descriptions.shift(*map(int, map(float, numbers)))
    return with_inputs(data, pairs), pairs, "from night to day"


def given(config: Config) -> tuple[datasets.Data, jaxae.data.PairSplits, str]:
    """Pairs that the user has given."""
    if config.inputs is None or config.targets is None:
        raise ValueError("--inputs and --targets must be given together")
    if config.make is not None:
        raise ValueError("--make computes pairs from --dataset; leave out --inputs and --targets")
    if config.dataset != Config.dataset or config.data_dir is not None:
        raise ValueError("--dataset cannot be combined with --inputs; leave it out")
    flags.check(config)
    with datasets.warnings_as_notes() as notes:
        pairs = jaxae.data.load_pairs(
            config.inputs,
            config.targets,
            image_size=config.image_size,
            channels=config.channels,
            frames=config.frames,
            levels=config.levels,
        )
    x, y = pairs.train
    size = datasets.batch_size(config, len(x), 16)
    names = f"{Path(config.inputs).name} to {Path(config.targets).name}"
    shape = " x ".join(map(str, y.shape[1:]))
    protocol = "; ".join([f"{len(pairs.test.inputs)} test pairs of {names}, {shape}", *notes])
    if config.placement == "stream":
        raise ValueError("pairs cannot be streamed; use --placement host")
    where, why = datasets.placement(config, pairs.train, pairs.validation)
    empty = datasets.Data(x, None, x, None, size, False, protocol, placement=where, placed=why)
    return with_inputs(empty, pairs), pairs, names


def with_inputs(data: datasets.Data, pairs: jaxae.data.PairSplits) -> datasets.Data:
    """The data with the inputs of the pairs as its images."""
    train, validation, test = (pair.inputs for pair in pairs)
    return data._replace(train=train, validation=validation, test=test)


def shifted(x: np.ndarray, down: int, right: int) -> np.ndarray:
    """Images moved by whole pixels, with zeros at the border."""
    h, w = x.shape[1:3]
    if abs(down) >= h or abs(right) >= w:
        raise ValueError(f"a shift by {down} and {right} leaves nothing of {h} x {w} pixels")
    result = np.zeros_like(x)
    rows, columns = (slice(max(by, 0), n + min(by, 0)) for by, n in ((down, h), (right, w)))
    from_rows, from_columns = (
        slice(max(-by, 0), n + min(-by, 0)) for by, n in ((down, h), (right, w))
    )
    result[:, rows, columns] = x[:, from_rows, from_columns]
    return result


def night(key: jax.Array, x: np.ndarray) -> np.ndarray:
    """Photographs as if they were taken at night: dark, bluish and noisy."""

    def darken(key: jax.Array, x: jax.Array) -> jax.Array:
        dark = jnp.asarray(NIGHT) * jnp.square(x)
        return jnp.clip(dark + 0.02 * jax.random.normal(key, x.shape), 0, 1)

    return np.concatenate(
        [
            np.asarray(
                jnp.round(255 * darken(jax.random.fold_in(key, i), jaxae.as_float(part)))
            ).astype(np.uint8)
            for i, part in enumerate(images.chunks(x))
        ]
    )


def task(seen: tuple[int, ...], shape: tuple[int, ...], description: str) -> common.Task:
    """From inputs of the shape `seen` to targets of another or the same shape."""
    same_shape = seen == shape

    def baselines(targets: np.ndarray) -> dict[str, common.Painter]:
        mean = np.mean(targets, axis=0, dtype=np.float64) / (
            255 if targets.dtype == np.uint8 else 1
        )
        found = {"mean_target": lambda x: jnp.broadcast_to(jnp.float32(mean), (len(x), *shape))}
        return found | ({"input": lambda x: x} if same_shape else {})

    return common.Task(
        name="translation",
        use={"task": "translate"},
        result="translated",
        description=description,
        corrupt=None,
        input_shape=lambda shape: (*shape[:2], seen[2]),
        combine=jaxae.networks.add if same_shape else None,
        displayed=lambda x: x,
        baselines=baselines,
        images=30_000,
        symmetries=1,
    )


if __name__ == "__main__":
    command(main, Config, __doc__)
