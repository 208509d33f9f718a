"""Denoising: the clean image from a corrupted one, beside what needs no training.

    python -m experiments.denoising
    python -m experiments.denoising --dataset mnist --noise 0.5
    python -m experiments.denoising --dataset celeb_a --image-size 32 --corrupt erase:0.4

The noise of the test images is the same for every run and every method. The psnr is that of the mean
squared error over all test images, which are clipped to [0, 1] first; the ssim is a mean over them.

Measured (MNIST, N(0, 0.5^2) clipped, 2 cores, jax 0.10.2): 21.20 dB and ssim 0.902 in 794 s, 655
images/s; corrupted 9.37 dB, median filter 14.13, best linear 17.56 (17.16 before its clipping).

Lectures: L(x, g(f(x~))) with Gaussian noise, masking, salt and pepper, a missing block (the torn
photo), loss of colour and of detail; original, corrupted, denoised.
"""

import dataclasses
import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.ndimage

import jaxae
from experiments.shared import flags as base
from experiments.shared import running
from jaxae.data.corruptions import Corruption
from jaxae.runs import figures
from jaxae.runs.folder import Run

Denoiser = Callable[[jax.Array], jax.Array]
"""From corrupted images to clean ones."""

IMAGES = 490_000
LINEAR_IMAGES = 50_000
LINEAR_SEED = 577_215_664
SSIM_WINDOW = 11
LINEAR_VALUES = 4096
"""Up to this many values an image, the best linear denoiser is computed; beyond, its matrix is too
large."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(base.ModelConfig):
    """Flags of the denoising autoencoder."""

    noise: float | None = None
    """Standard deviation of Gaussian noise, after which the image is clipped to [0, 1]; 0.5 unless
    there is --corrupt."""
    corrupt: tuple[str, ...] = ()
    """Other corruptions, one after the other, in place of --noise: gaussian:S, masking:P,
    salt_and_pepper:P, erase:PART, downsample:FACTOR, grayscale."""
    network: base.NetworkName = "unet"
    """A U-Net, or a network with a bottleneck: fully connected, strided convolutions, or residual
    blocks."""
    code: int = 64
    """Size of the code, where there is a bottleneck."""

    epochs: int | None = None
    """Passes over the training set; by default as many as show 490,000 images, and at most 40."""
    batch_size: int | None = None
    """Examples in a step, over all devices; by default 64, or fewer if there are fewer."""
    learning_rate: float = 2e-3
    """Of Adam, at the start."""
    warmup_steps: int = 200
    """Steps at the start in which the learning rate rises from zero: without them all pixels of dark
    images may turn black for good."""


def corruption(config: Config) -> Corruption:
    """The corruption that the flags name."""
    if config.corrupt:
        if config.noise is not None:
            raise ValueError("--corrupt is in place of --noise; give one of them")
        return base.corruption(config.corrupt)
    return jaxae.corruptions.gaussian(0.5 if config.noise is None else config.noise, clip=True)


def build(config: Config, data: base.Data) -> tuple[jaxae.Autoencoder, str]:
    """The model before it is made a denoising one, and the name of its likelihood."""
    shape = data.train.shape[1:]
    likelihood = base.likelihood(config, "gaussian")
    name = config.likelihood or "gaussian"
    base.check_levels(name, likelihood, data.train)
    if config.network == "unet":
        if config.code != Config.code:
            raise ValueError("--code goes with a network that has a bottleneck, not with unet")
        channels = (48, 96, 192) if config.hidden is None else config.hidden
        options = base.network_options(config)
        encoder = jaxae.networks.unet_encoder(channels, **options)
        decoder = jaxae.networks.unet_decoder(
            shape, channels[::-1], outputs=likelihood.outputs, **options
        )
    else:
        encoder, decoder = base.networks(config, shape, likelihood.outputs, config.code)
    if name == "gaussian" and config.scale != "learned":
        decoder = jaxae.networks.activate(decoder, jax.nn.sigmoid)
    return jaxae.autoencoder(encoder, decoder, likelihood), name


def main(config: Config) -> dict[str, Any]:
    """Trains a denoising autoencoder, measures it beside its rivals, and writes the run folder."""
    started = time.perf_counter()
    data = base.load(config, default=64)
    config = base.with_epochs(config, data, IMAGES, most=40)
    corrupt = corruption(config)
    # What cannot be done to these images is refused before there is a folder.
    jax.eval_shape(corrupt, jax.random.key(0), jaxae.as_float(data.test[:1]))
    plain, name = build(config, data)
    model = jaxae.denoising(plain, corrupt)

    def work(run: Run) -> dict[str, Any]:
        fitted = running.fit(config, run, model, data)
        # Parameters that a program holds as constants would take long to compile.
        denoise = partial(jax.jit(partial(jaxae.reconstruct, model)), fitted.params)
        rivals = baselines(data, corrupt) | {"denoised": denoise}
        results: dict[str, Any] = {}
        for rival, function in rivals.items():
            results |= {f"{rival}/{k}": v for k, v in measure(data, corrupt, function).items()}
        results |= running.training_figures(data, fitted)
        results["protocol"] = (
            f"{data.protocol}; corrupted by {describe(config)}; {name} likelihood; psnr in dB of "
            "the mean mse, after clipping to [0, 1]"
        )
        draw(config, run, data, corrupt, rivals)
        return results

    return running.conduct("denoising", config, data, work, started=started)


def baselines(data: base.Data, corrupt: Corruption) -> dict[str, Denoiser]:
    """What a denoiser has to beat: nothing at all, a median filter, the best affine map."""

    def median(x: jax.Array) -> jax.Array:
        return jnp.asarray(scipy.ndimage.median_filter(np.asarray(x), size=(1, 3, 3, 1)))

    found: dict[str, Denoiser] = {"corrupted": lambda x: x, "median_filter": median}
    if math.prod(data.train.shape[1:]) <= LINEAR_VALUES:
        # The model sees fresh noise in every epoch: small data sets are corrupted several times.
        draws = max(1, round(LINEAR_IMAGES / len(data.train)))
        fit = jax.jit(lambda key, x: jaxae.analysis.linear_denoiser(key, x, corrupt, draws=draws))
        some = data.train
        if data.placement == "stream":
            some = data.train[base.spread(len(data.train), LINEAR_IMAGES)]
        found["linear"] = fit(jax.random.key(LINEAR_SEED), base.as_trained(data, some))
    return found


def measure(data: base.Data, corrupt: Corruption, denoise: Denoiser) -> dict[str, float]:
    """The errors of a denoiser on the test images, all of them with the same noise."""
    key = jax.random.key(base.TEST_SEED)
    squared, similarity = [], []
    size = 500
    fits = min(data.test.shape[1:3]) >= SSIM_WINDOW
    for i in range(0, len(data.test), size):
        x = jaxae.as_float(data.test[i : i + size])
        y = jnp.clip(denoise(corrupt(jax.random.fold_in(key, i), x)), 0, 1)
        squared.append(np.asarray(jaxae.analysis.squared_error(x, y)))
        if fits:
            similarity.append(np.asarray(jaxae.analysis.ssim(x, y)))
    mse = float(np.concatenate(squared).mean(dtype=np.float64)) / math.prod(data.test.shape[1:])
    found = {"mse": mse, "psnr": jaxae.analysis.psnr(mse)}
    return found | ({"ssim": float(np.concatenate(similarity).mean())} if fits else {})


def draw(
    config: Config,
    run: Run,
    data: base.Data,
    corrupt: Corruption,
    rivals: dict[str, Denoiser],
) -> None:
    """Original, corrupted, denoised; and what the rivals make of the same images."""
    x = base.choose(data)
    noisy = corrupt(jax.random.key(base.SAMPLE_SEED), x)
    names = {"corrupted": "corrupted", "median_filter": "median filter", "linear": "best linear"}
    rows = {"original": np.asarray(x)} | {
        names.get(name, name): np.clip(rivals[name](noisy), 0, 1)
        for name in ("corrupted", "denoised", "linear", "median_filter")
        if name in rivals
    }
    title = f"Denoising {Path(config.dataset).name}: {describe(config)}"
    figures.rows(rows, run.figures / "denoised.png", title=title)


def describe(config: Config) -> str:
    """The corruption in words."""
    if config.corrupt:
        return ", then ".join(config.corrupt)
    return f"clip(x + N(0, {0.5 if config.noise is None else config.noise:g}^2))"


if __name__ == "__main__":
    running.command(main, Config, __doc__)
