"""Super-resolution: enlarges images by an integer factor.

    python -m experiments.super_resolution --dataset cifar10 --factor 2
    python -m experiments.super_resolution --dataset cifar10 --factor 4

Small images are computed by antialiased bicubic interpolation (a = -0.5) and clipped to [0, 1]. The
network sees them enlarged to the full size by bicubic interpolation, which is also the baseline.

`jaxae reconstruct RUN picture.png --out larger` enlarges a picture by FACTOR in each direction.

Measured (CIFAR-10 test, 150,000 training images shown, one core of two, jax 0.10.2): factor 2 28.57 dB and
ssim 0.930 (bicubic 25.35, 0.858; without averaging over symmetries 28.47); factor 4 22.10 dB and 0.698
(20.44, 0.578; 22.05) in 32 minutes, a third of which is the averaging over eight symmetries of 10,000
images.

Lectures: super-resolution as denoising, where the corruption is a loss of detail.
"""

import experiments  # noqa: F401  # isort: skip  (finds the packages, also for a script)

import dataclasses
import time
from typing import Any

import jax
import jax.numpy as jnp

import jaxae
from experiments.shared import datasets
from experiments.shared import image_to_image as common
from jaxae.runs.command import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(common.Config):
    """Flags of super-resolution."""

    dataset: str = "cifar10"
    """Train on this image data set, given by a name of tensorflow_datasets, a folder, or a file."""
    factor: int = 2
    """Enlarge the sides of images by this factor."""


def task(config: Config) -> common.Task:
    """From images without detail to the original ones of the same size."""
    # The U-Net halves the size until it has undone the factor, and once more for large factors.
    channels, blocks = {2: ((64,), 6), 3: ((64, 96), 3), 4: ((64, 96), 3)}.get(
        config.factor, ((48, 96, 192), 2)
    )
    return common.Task(
        name="super_resolution",
        use={"task": "enlarge", "factor": config.factor},
        result="super_resolved",
        description=f"super-resolution, {config.factor} times as many pixels along each side",
        corrupt=jaxae.corruptions.downsample(config.factor),
        input_shape=lambda shape: shape,
        combine=jaxae.networks.add,
        displayed=lambda x: x,
        source=lambda x: enlarged(config.factor, x),
        baselines=lambda targets: {"bicubic": lambda x: x},
        images=150_000,
        channels=channels,
        blocks=blocks,
        symmetries=8,
    )


def enlarged(factor: int, truth: jax.Array) -> jax.Array:
    """The low-resolution input for figures: each of its pixels as a square of equal pixels."""
    small = jaxae.corruptions.downsample(factor, keep_shape=False)(jax.random.key(0), truth)
    large = jnp.repeat(jnp.repeat(small, factor, axis=1), factor, axis=2)
    return large[:, : truth.shape[1], : truth.shape[2]]


def main(config: Config) -> dict[str, Any]:
    """Trains a model, compares it with the baselines, and writes the run folder."""
    started = time.perf_counter()
    what = task(config)
    data = datasets.load(config, default=16)
    if min(data.test.shape[1:3]) < config.factor:
        raise ValueError(
            f"--factor {config.factor} is larger than the images of {config.dataset}, "
            f"{data.test.shape[1]} x {data.test.shape[2]}"
        )
    return common.train(config, what, data, started=started)


if __name__ == "__main__":
    command(main, Config, __doc__)
