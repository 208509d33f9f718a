"""Inpainting: what is missing of an image, from what is around it.

    python -m experiments.inpainting --dataset celeb_a
    python -m experiments.inpainting --dataset cifar10 --hole torn:0.4
    python -m experiments.inpainting --apply RUN picture.png --out whole

The network sees the image with a hole and, as one more channel, where the hole is; what is known is kept.
Beside it stand the mean of the known pixels and biharmonic interpolation (scikit-image). hole_psnr is that
of the missing values alone. Training images have a new hole each time, test images the same for every run.

--apply fills what is transparent in a picture (its alpha channel), found at the size of the training
images.

Measured (the first command, 9,000 training and 500 test images, a block of 32 x 32 somewhere, 42 minutes on
one core that others used too, jax 0.10.2): 18.16 dB inside the hole (without averaging over the mirrored
image 18.05), biharmonic 14.13, mean 11.59; the whole image 24.18, ssim 0.858.

Lectures: recover a torn-out part of a photo.
"""

import dataclasses
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from skimage.restoration import inpaint_biharmonic

import jaxae
from experiments.shared import datasets, from_flags, pictures
from experiments.shared import image_to_image as common
from jaxae.data import masks
from jaxae.networks import unet

HOLES: dict[str, Callable[..., masks.Mask]] = {
    "block": masks.block,
    "half": masks.half,
    "pixels": masks.pixels,
    "torn": masks.torn,
}
from jaxae.runs.command import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(common.Config):
    """Flags of inpainting."""

    dataset: str = "celeb_a"
    """Any image data set."""
    image_size: int | None = 64
    """Crop to the square in the middle and resize it to this many pixels."""
    hole: str = "block:0.5"
    """What is missing: block:SIDE (a block somewhere, its sides as a part of the image's), half or
    half:left (right, top, bottom), pixels:RATE, torn:PART (beyond a torn edge)."""


def hole(flag: str) -> masks.Mask:
    """The mask that a flag such as `block:0.5` names."""
    name, _, value = flag.partition(":")
    if name not in HOLES:
        raise ValueError(f"there is no hole {name!r}, only {', '.join(HOLES)}")
    if name == "half":
        return masks.half(value or None)
    if not value:
        raise ValueError(f"a hole is written with its size, such as {name}:0.5")
    return HOLES[name](from_flags.number(value, flag))


def task(config: Config) -> common.Task:
    """Images with holes in, whole ones out."""
    # Mirrored, a hole on one side would be on the other, where the network has seen none.
    side = config.hole.partition(":")[2] if config.hole.startswith("half") else ""
    symmetries = {"left": 1, "right": 1, "top": 2, "bottom": 2}.get(side, 8)
    return common.Task(
        name="inpainting",
        answer="inpainted",
        words=f"missing: {config.hole}",
        corrupt=jaxae.corruptions.hide(hole(config.hole)),
        seen=lambda shape: (*shape[:2], shape[2] + 1),
        combine=unet.fill,
        look=lambda x: x[..., :-1],
        rivals=lambda targets: {"mean_fill": mean_fill, "biharmonic": biharmonic},
        scores=scores,
        images=90_000,
        channels=(48, 96, 128, 192),
        blocks=1,
        symmetries=2,
        most_symmetries=symmetries,
    )


def scores(truth: jax.Array, image: jax.Array, seen: jax.Array) -> dict[str, jax.Array]:
    """The error where something was missing, and how many values were."""
    missing = jnp.broadcast_to(seen[..., -1:], truth.shape)
    return {
        "hole_error": jnp.sum(missing * jnp.square(truth - image), axis=(1, 2, 3)),
        "hole_values": jnp.sum(missing, axis=(1, 2, 3)),
    }


def mean_fill(seen: jax.Array) -> jax.Array:
    """The mean of what is known, in each channel."""
    image, missing = seen[..., :-1], seen[..., -1:]
    known = 1 - missing
    count = jnp.maximum(jnp.sum(known, axis=(1, 2), keepdims=True), 1)
    mean = jnp.sum(known * image, axis=(1, 2), keepdims=True) / count
    return known * image + missing * mean


def biharmonic(seen: jax.Array) -> jax.Array:
    """The smoothest continuation of what is known."""
    hidden = np.asarray(seen, np.float64)

    def one(image: np.ndarray) -> np.ndarray:
        missing = image[..., -1] > 0.5
        if missing.all() or not missing.any():
            return image[..., :-1]
        return inpaint_biharmonic(image[..., :-1], missing, channel_axis=-1)

    with ThreadPoolExecutor() as pool:
        return jnp.asarray(np.clip(np.stack(list(pool.map(one, hidden))), 0, 1), jnp.float32)


def main(config: Config) -> dict[str, Any]:
    """Trains a model, measures it beside its rivals, and writes the run folder; or applies one."""
    started = time.perf_counter()
    if pictures.applied(config, use):
        return {}
    what = task(config)
    data = datasets.load(config, default=16)
    assert what.corrupt is not None
    if not common.corrupted(what.corrupt, data.test[: common.BATCH])[..., -1].any():
        raise ValueError(f"--hole {config.hole} leaves no pixel out of {config.dataset}")
    return common.train(config, what, data, started=started)


def use(config: Config, folder: str) -> None:
    """Fills what is transparent in pictures."""
    known, record, run = pictures.trained(folder, "inpainting", Config)
    what, shape = task(known), tuple(record["shape"])
    params = pictures.parameters(run, common.build(known, what, shape), what.seen(shape))
    painters = pictures.painters(known, what, params, shape)

    def paint(picture: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
        if alpha is None or (alpha >= 0.5).all():
            raise ValueError("nothing is missing: no pixel is transparent")
        if (alpha < 0.5).all():
            raise ValueError("everything is missing: all pixels are transparent")
        x = pictures.channels_of(picture, shape[2])
        missing = np.broadcast_to(alpha < 0.5, (*x.shape[:3], 1)).astype(np.float32)
        size = pictures.near((x.shape[1], x.shape[2]), shape, exactly=known.network != "unet")
        # A small pixel is the mean of what is known of it, and missing if that is less than half.
        weight = np.clip(pictures.resized(1 - missing, size), 0, 1)
        small_hole = weight < 0.5
        mean = pictures.resized((1 - missing) * x, size) / np.maximum(weight, 0.5)
        small = np.where(small_hole, 0.5, np.clip(mean, 0, 1))
        seen = np.concatenate([small, small_hole], axis=-1).astype(np.float32)
        found = np.asarray(painters(size)(jnp.asarray(seen)))
        large = pictures.resized(found, (x.shape[1], x.shape[2]))
        return pictures.picture_of(np.where(missing > 0.5, large, x), picture.shape[2])

    pictures.apply(config, paint, what.answer, uses_alpha=True)


if __name__ == "__main__":
    command(main, Config, __doc__)
