"""Inpainting: fills in missing parts of images.

    python -m experiments.inpainting --dataset celeb_a
    python -m experiments.inpainting --dataset cifar10 --hole torn:0.4

The network sees the image with a hole and, as one more channel, where the hole is. Known pixels are kept.
The baselines are the mean of the known pixels and biharmonic interpolation (scikit-image). hole_psnr is
computed from the missing values alone. The holes in training images are drawn anew in each epoch; those in
test images are the same for every run.

`jaxae reconstruct RUN picture.png --out whole` fills the transparent pixels of a picture (by its alpha
channel), at the size of the training images.

Measured (the first command, 9,000 training and 500 test images, a block of 32 x 32 at a random place, 42
minutes on one shared core, jax 0.10.2): 18.16 dB inside the hole (without averaging over the mirrored
image 18.05), biharmonic 14.13, mean 11.59; the whole image 24.18, ssim 0.858.

Lectures: recovering a torn-out part of a photo.
"""

import experiments  # noqa: F401  # isort: skip  (finds the packages, also for a script)

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
from experiments.shared import datasets, measuring
from experiments.shared import image_to_image as common
from jaxae.data import masks
from jaxae.runs import descriptions, pieces
from jaxae.runs.command import command

HOLES: dict[str, Callable[..., masks.Mask]] = {
    "block": masks.block,
    "half": masks.half,
    "pixels": masks.pixels,
    "torn": masks.torn,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(common.Config):
    """Flags of inpainting."""

    dataset: str = "celeb_a"
    """Train on this image data set, given by a name of tensorflow_datasets, a folder, or a file."""
    image_size: int | None = 64
    """Crop each image to the square in its middle, and resize the square to this many pixels."""
    hole: str = "block:0.5"
    """Leave out this part: block:SIDE (a block at a random place; SIDE is relative to the sides of
    the image), half or half:left (right, top, bottom), pixels:RATE, or torn:PART (beyond a torn
    edge)."""


def hole(flag: str) -> masks.Mask:
    """The mask that a flag such as `block:0.5` selects."""
    name, _, value = flag.partition(":")
    if name not in HOLES:
        raise ValueError(f"unknown hole {name!r}; the holes are {', '.join(HOLES)}")
    if name == "half":
        return masks.half(value or None)
    if not value:
        raise ValueError(f"a hole needs a size, such as {name}:0.5")
    return HOLES[name](pieces.number(value, flag))


def task(config: Config) -> common.Task:
    """From images with holes to complete ones."""
    # Mirroring moves a hole to the other side, where the network has seen none in training.
    corrupt = jaxae.corruptions.hide(hole(config.hole))
    side = config.hole.partition(":")[2] if config.hole.startswith("half") else ""
    symmetries = {"left": 1, "right": 1, "top": 2, "bottom": 2}.get(side, 8)
    return common.Task(
        name="inpainting",
        use={"task": "inpaint"},
        result="inpainted",
        description=f"inpainting, {descriptions.hole(config.hole)} missing",
        corrupt=corrupt,
        input_shape=lambda shape: (*shape[:2], shape[2] + 1),
        combine=jaxae.networks.fill,
        displayed=lambda x: x[..., :-1],
        baselines=lambda targets: {"mean_fill": mean_fill, "biharmonic": biharmonic},
        scores=scores,
        images=90_000,
        channels=(48, 96, 128, 192),
        blocks=1,
        symmetries=2,
        most_symmetries=symmetries,
    )


def scores(truth: jax.Array, image: jax.Array, seen: jax.Array) -> dict[str, jax.Array]:
    """The squared error of the missing values, and their number."""
    missing = jnp.broadcast_to(seen[..., -1:], truth.shape)
    return {
        "hole_error": jnp.sum(missing * jnp.square(truth - image), axis=(1, 2, 3)),
        "hole_values": jnp.sum(missing, axis=(1, 2, 3)),
    }


def mean_fill(seen: jax.Array) -> jax.Array:
    """Fills the hole with the mean of the known pixels, for each channel."""
    image, missing = seen[..., :-1], seen[..., -1:]
    known = 1 - missing
    count = jnp.maximum(jnp.sum(known, axis=(1, 2), keepdims=True), 1)
    mean = jnp.sum(known * image, axis=(1, 2), keepdims=True) / count
    return known * image + missing * mean


def biharmonic(seen: jax.Array) -> jax.Array:
    """Fills the hole by biharmonic interpolation of the known pixels."""
    hidden = np.asarray(seen, np.float64)

    def one(image: np.ndarray) -> np.ndarray:
        missing = image[..., -1] > 0.5
        if missing.all() or not missing.any():
            return image[..., :-1]
        return inpaint_biharmonic(image[..., :-1], missing, channel_axis=-1)

    with ThreadPoolExecutor() as pool:
        return jnp.asarray(np.clip(np.stack(list(pool.map(one, hidden))), 0, 1), jnp.float32)


def main(config: Config) -> dict[str, Any]:
    """Trains a model, compares it with the baselines, and writes the run folder."""
    started = time.perf_counter()
    what = task(config)
    data = datasets.load(config, default=16)
    assert what.corrupt is not None
    if not measuring.corrupted(what.corrupt, data.test[: measuring.BATCH])[..., -1].any():
        raise ValueError(
            f"--hole {config.hole} removes no pixel from the images of {config.dataset}"
        )
    return common.train(config, what, data, started=started)


if __name__ == "__main__":
    command(main, Config, __doc__)
