"""Super-resolution: an image from one with a half, a quarter or an eighth of the pixels each way.

    python -m experiments.super_resolution --dataset cifar10 --factor 2
    python -m experiments.super_resolution --dataset cifar10 --factor 4
    python -m experiments.super_resolution --apply RUN picture.png --out larger

Small images are made by antialiased bicubic interpolation (a = -0.5) and clipped to [0, 1]. The network
sees them brought back to the full size by bicubic interpolation, which is what it has to beat.

--apply makes a picture FACTOR times as large each way.

Measured (CIFAR-10 test, 150,000 training images shown, one core of two, jax 0.10.2): factor 2 28.57 dB and
ssim 0.930 (bicubic 25.35, 0.858; without averaging over symmetries 28.47); factor 4 22.10 dB and 0.698
(20.44, 0.578; 22.05) in 32 minutes, of which the averages over eight symmetries of 10,000 images are a
third.

Lectures: super-resolution as the denoising of lost detail.
"""

import dataclasses
import time
from typing import Any

import numpy as np

import jaxae
from experiments.shared import datasets, pictures
from experiments.shared import image_to_image as common
from jaxae.networks import unet
from jaxae.runs.command import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(common.Config):
    """Flags of super-resolution."""

    dataset: str = "cifar10"
    """Any image data set."""
    factor: int = 2
    """How many pixels of the large image, each way, become one of the small."""


def task(config: Config) -> common.Task:
    """Small images in, at the size of the large ones."""
    # As many halvings as pixels were taken together, and one more where that is much.
    channels, blocks = {2: ((64,), 6), 3: ((64, 96), 3), 4: ((64, 96), 3)}.get(
        config.factor, ((48, 96, 192), 2)
    )
    return common.Task(
        name="super_resolution",
        answer="super_resolved",
        words=f"{config.factor} x {config.factor} pixels from one, antialiased bicubic",
        corrupt=jaxae.corruptions.downsample(config.factor),
        seen=lambda shape: shape,
        combine=unet.add,
        look=lambda x: x,
        rivals=lambda targets: {"bicubic": lambda x: x},
        images=150_000,
        channels=channels,
        blocks=blocks,
        symmetries=8,
    )


def main(config: Config) -> dict[str, Any]:
    """Trains a model, measures it beside its rivals, and writes the run folder; or applies one."""
    started = time.perf_counter()
    if pictures.applied(config, use):
        return {}
    what = task(config)
    data = datasets.load(config, default=16)
    if min(data.test.shape[1:3]) < config.factor:
        raise ValueError(
            f"--factor {config.factor} is larger than the images of {config.dataset}, "
            f"{data.test.shape[1]} x {data.test.shape[2]}"
        )
    return common.train(config, what, data, started=started)


def use(config: Config, folder: str) -> None:
    """Enlarges pictures."""
    known, record, run = pictures.trained(folder, "super_resolution", Config)
    what, shape = task(known), tuple(record["shape"])
    if known.network != "unet":
        raise ValueError(f"only a U-Net takes pictures of any size; {folder} has {known.network}")
    params = pictures.parameters(run, common.build(known, what, shape), shape)
    painters = pictures.painters(known, what, params, shape)

    def paint(picture: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
        x = pictures.channels_of(picture, shape[2])
        size = (known.factor * x.shape[1], known.factor * x.shape[2])
        large = np.clip(pictures.resized(x, size), 0, 1)
        return pictures.picture_of(pictures.tiled(painters, large, shape[2]), picture.shape[2])

    pictures.apply(config, paint, what.answer)


if __name__ == "__main__":
    command(main, Config, __doc__)
