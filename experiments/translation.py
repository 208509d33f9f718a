"""Translation: images of one kind from images of another, given pairs of them.

    python -m experiments.translation
    python -m experiments.translation --inputs FOLDER --targets FOLDER
    python -m experiments.translation --dataset cifar10 --make night
    python -m experiments.translation --apply RUN picture.png --out translated

Pairs are two folders whose files have the same names, or two arrays (.npy, or .npz with `images`) of the
same length. A tenth of them is set aside to test, a tenth of the others to validate. Or pairs are made
from a data set: `shift:DOWN:RIGHT`, the image moved by so many pixels (zeros come in), or `night`, from a
dark, bluish and noisy picture the one by day.

Beside the model stand the input itself, if it has as many channels as the target, and the mean of all
training targets.

Measured (the first command, one core, jax 0.10.2): digits moved 4 pixels down and 2 to the right, 44.0 dB
(the input itself 7.8, the mean target 11.8) in 192 s.

Lectures: image shifting, day and night, pairs of images in general.
"""

import dataclasses
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxae
from experiments.shared import datasets, flags, from_flags, pictures
from experiments.shared import image_to_image as common
from jaxae.data import images
from jaxae.data.colors import luma
from jaxae.networks import unet

MADE_SEED = 1_414_213_562
NIGHT = (0.18, 0.2, 0.32)
"""What is left of red, green and blue at night."""
from jaxae.runs.command import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(common.Config):
    """Flags of translation."""

    inputs: str | None = None
    """A folder or an array of images to translate from."""
    targets: str | None = None
    """What to make of each of them."""
    make: str | None = None
    """Make the pairs from --dataset: shift:DOWN:RIGHT or night. By default shift:4:2, if there are no
    --inputs and --targets."""
    symmetries: int | None = 1
    """Only 1: pairs are trained on as they are."""


def main(config: Config) -> dict[str, Any]:
    """Trains a model on pairs, measures it, and writes the run folder; or applies one."""
    started = time.perf_counter()
    if pictures.applied(config, use):
        return {}
    if config.symmetries != 1:
        raise ValueError("pairs are trained on as they are; leave out --symmetries")
    if config.inputs is None and config.targets is None:
        data, pairs, words = made(config)
    else:
        data, pairs, words = given(config)
        # What a run folder and the figures are called.
        config = dataclasses.replace(config, dataset=words.replace(" ", "-"))
    x, y = pairs.train
    return common.train(
        config,
        task(x.shape[1:], y.shape[1:], words),
        data,
        started=started,
        pairs=pairs,
        record={"seen": x.shape[1:]},
    )


def made(config: Config) -> tuple[datasets.Data, jaxae.data.PairSplits, str]:
    """Pairs that are made from the images of a data set."""
    kind, *numbers = (config.make or "shift:4:2").split(":")
    if kind not in ("shift", "night") or len(numbers) != (2 if kind == "shift" else 0):
        raise ValueError(f"--make is shift:DOWN:RIGHT or night, not {config.make!r}")
    data = datasets.load(config, default=16)
    if data.placement == "stream":
        raise ValueError("pairs are not streamed; take --placement host")
    assert data.validation is not None
    if kind == "night" and data.test.shape[-1] != 3:
        raise ValueError(f"the images of {config.dataset} have no colours, and night is blue")
    splits = []
    for i, x in enumerate((data.train, data.validation, data.test)):
        if kind == "shift":
            down, right = (from_flags.number(text, str(config.make)) for text in numbers)
            if down != int(down) or right != int(right):
                raise ValueError(f"--make {config.make}: images are shifted by whole pixels")
            splits.append((x, shifted(x, int(down), int(right))))
        else:
            splits.append((night(jax.random.fold_in(jax.random.key(MADE_SEED), i), x), x))
    pairs = jaxae.data.PairSplits(*splits)
    return with_inputs(data, pairs), pairs, " by ".join([kind, *numbers])


def given(config: Config) -> tuple[datasets.Data, jaxae.data.PairSplits, str]:
    """Pairs of the user's own."""
    if config.inputs is None or config.targets is None:
        raise ValueError("--inputs and --targets go together")
    if config.make is not None:
        raise ValueError(
            "--make is for pairs made from --dataset; leave out --inputs and --targets"
        )
    if config.dataset != Config.dataset or config.data_dir is not None:
        raise ValueError("--dataset is for pairs made of it; leave it out beside --inputs")
    flags.check(config)
    pairs = jaxae.data.load_pairs(config.inputs, config.targets, image_size=config.image_size)
    x, y = pairs.train
    size = datasets.batch_size(config, len(x), 16)
    names = f"{Path(config.inputs).name} to {Path(config.targets).name}"
    shape = " x ".join(map(str, y.shape[1:]))
    words = f"{len(pairs.test[0])} test pairs of {names}, {shape}"
    if config.placement == "stream":
        raise ValueError("pairs are not streamed; take --placement host")
    where, why = datasets.placement(config, pairs.train, pairs.validation)
    empty = datasets.Data(x, None, x, None, size, False, words, placement=where, placed=why)
    return with_inputs(empty, pairs), pairs, names


def with_inputs(data: datasets.Data, pairs: jaxae.data.PairSplits) -> datasets.Data:
    """The data with the inputs of the pairs as its images."""
    train, validation, test = (pair[0] for pair in pairs)
    return data._replace(train=train, validation=validation, test=test)


def shifted(x: np.ndarray, down: int, right: int) -> np.ndarray:
    """Images moved by whole pixels; zeros come in."""
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
    """Photographs as if taken at night: dark, bluish, and with the noise of little light."""

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


def task(seen: tuple[int, ...], shape: tuple[int, ...], words: str) -> common.Task:
    """From one half of a pair to the other."""
    alike = seen == shape

    def rivals(targets: np.ndarray) -> dict[str, common.Painter]:
        mean = np.mean(targets, axis=0, dtype=np.float64) / (
            255 if targets.dtype == np.uint8 else 1
        )
        found = {"mean_target": lambda x: jnp.broadcast_to(jnp.float32(mean), (len(x), *shape))}
        return found | ({"input": lambda x: x} if alike else {})

    return common.Task(
        name="translation",
        answer="translated",
        words=words,
        corrupt=None,
        seen=lambda shape: (*shape[:2], seen[2]),
        combine=unet.add if alike else None,
        look=lambda x: x,
        rivals=rivals,
        images=30_000,
        symmetries=1,
    )


def use(config: Config, folder: str) -> None:
    """Translates pictures, in the size that they have."""
    known, record, run = pictures.trained(folder, "translation", Config)
    shape, seen = tuple(record["shape"]), tuple(record["seen"])
    what = task(seen, shape, "")
    if known.network != "unet":
        raise ValueError(f"only a U-Net takes pictures of any size; {folder} has {known.network}")
    params = pictures.parameters(run, common.build(known, what, shape), seen)
    painters = pictures.painters(known, what, params, shape)

    def paint(picture: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
        if seen[2] == 1 and shape[2] == 3:
            x = np.asarray(jaxae.as_float(picture))[None]
            x = np.asarray(luma(x)) if x.shape[-1] == 3 else x
        else:
            x = pictures.channels_of(picture, seen[2])
        found = pictures.tiled(painters, x, shape[2])
        return pictures.picture_of(found, picture.shape[2]) if seen == shape else found[0]

    pictures.apply(config, paint, what.answer)


if __name__ == "__main__":
    command(main, Config, __doc__)
