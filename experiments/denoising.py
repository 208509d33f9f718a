"""Denoising: an autoencoder that restores corrupted images, compared with methods without training.

    python -m experiments.denoising
    python -m experiments.denoising --dataset mnist --noise 0.5
    python -m experiments.denoising --dataset celeb_a --image-size 32 --corrupt erase:0.4

The noise of the test images is the same for every run and every method. Images are clipped to [0, 1]
before they are scored. The psnr is computed from the mean squared error of all test images; the ssim is
the mean over them.

`jaxae reconstruct RUN picture.png --out clean` removes the noise of a picture, which may have any size if
the network is a U-Net.

Measured (MNIST, N(0, 0.5^2) clipped, 2 cores, jax 0.10.2): 21.20 dB and ssim 0.902 in 794 s, 655
images/s; corrupted 9.37 dB, median filter 14.13, best linear 17.56 (17.16 before its clipping).

Lectures: L(x, g(f(x~))) with Gaussian noise, masking, salt and pepper, a missing block (the torn
photo), loss of colour and of detail; figures of original, corrupted and denoised images.
"""

import experiments  # noqa: F401  # isort: skip  (finds the packages, also for a script)

import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.ndimage

import jaxae
from experiments.shared import datasets, flags, from_flags, optimizers, running
from experiments.shared.tables import print_results
from jaxae.data.corruptions import Corruption
from jaxae.runs import descriptions, figures, inference, pieces
from jaxae.runs.command import command
from jaxae.runs.folder import Run

Denoiser = Callable[[jax.Array], jax.Array]
"""From corrupted images to clean ones."""

IMAGES = 490_000
"""Training images shown by default."""
LINEAR_IMAGES, LINEAR_SEED = 50_000, 577_215_664
"""Corrupted images that the best linear denoiser is fitted to, and the seed of their noise."""
LINEAR_VALUES = 4096
"""The best linear denoiser is left out for images with more values: its matrix would be too large."""
SSIM_WINDOW = 11
NAMES = {
    "denoised": "denoised",
    "corrupted": "corrupted",
    "median_filter": "median filter",
    "linear": "best linear",
}
"""Methods in words."""
PREFIXES = {method: "test" if method == "denoised" else method for method in NAMES}
"""Beginnings of the names of results, by method."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(flags.ModelConfig):
    """Flags of the denoising autoencoder."""

    can_go_on = True

    noise: float | None = None
    """Add Gaussian noise with this standard deviation, and clip the noisy image to [0, 1]. The
    default is 0.5 unless --corrupt is given."""
    corrupt: tuple[str, ...] = ()
    """Corrupt images in these ways instead of --noise, one after another: gaussian:S, masking:P,
    salt_and_pepper:P, erase:PART, downsample:FACTOR, grayscale."""
    network: flags.NetworkName = "unet"
    """Use this architecture for the encoder and the decoder: a U-Net (unet), or one with a
    bottleneck: fully connected layers (mlp), strided convolutions (conv) or residual blocks
    (resnet)."""
    code: flags.LatentDim = 64
    """Use codes with this number of latent dimensions, if the architecture has a bottleneck."""

    epochs: int | None = None
    """Train for this number of passes over the training set. The default is as many as show 490,000
    images, but at most 40."""
    batch_size: int | None = None
    """Compute each training step on this number of examples, over all devices. The default is 64,
    or all examples if there are fewer."""
    learning_rate: float = 2e-3
    """Start with this learning rate of the optimizer Adam."""
    warmup_steps: int = 200
    """Raise the learning rate linearly from zero during this number of training steps. Without them
    the network may output black for all pixels of dark images, and not recover."""


def corruption(config: Config) -> Corruption:
    """The corruption that the flags select."""
    if config.corrupt:
        if config.noise is not None:
            raise ValueError("--corrupt replaces --noise; give only one of them")
        return pieces.corruption(config.corrupt)
    return jaxae.corruptions.gaussian(0.5 if config.noise is None else config.noise, clip=True)


def build(config: Config, data: datasets.Data) -> tuple[jaxae.Autoencoder, str]:
    """The autoencoder without its corruption, and the name of its likelihood."""
    shape = data.train.shape[1:]
    likelihood = from_flags.likelihood(config, "gaussian")
    name = config.likelihood or "gaussian"
    from_flags.check_levels(name, likelihood, data.train)
    if config.network == "unet":
        if config.code != Config.code:
            raise ValueError("--code is for networks with a bottleneck; --network unet has none")
        channels = (48, 96, 192) if config.hidden is None else config.hidden
        options = from_flags.network_options(config)
        encoder = jaxae.networks.unet_encoder(channels, **options)
        decoder = jaxae.networks.unet_decoder(
            shape, channels[::-1], outputs=likelihood.outputs, **options
        )
    else:
        encoder, decoder = from_flags.networks(config, shape, likelihood.outputs, config.code)
    if name == "gaussian" and config.scale != "learned":
        decoder = jaxae.networks.activate(decoder, jax.nn.sigmoid)
    return jaxae.autoencoder(encoder, decoder, likelihood), name


def main(config: Config) -> dict[str, Any]:
    """Trains a denoising autoencoder, compares it with the baselines, and writes the run folder."""
    started = time.perf_counter()
    data = datasets.load(config, default=64)
    config = optimizers.with_epochs(config, data, IMAGES, most=40)
    corrupt = corruption(config)
    # A corruption that does not fit these images is an error before the run folder exists.
    jax.eval_shape(corrupt, jax.random.key(0), jaxae.as_float(data.test[:1]))
    plain, name = build(config, data)
    model = jaxae.denoising(plain, corrupt)

    def work(run: Run) -> dict[str, Any]:
        fitted = running.fit(config, run, model, data)
        # Parameters are arguments: a program that holds them as constants takes long to compile.
        denoise = partial(jax.jit(partial(jaxae.reconstruct, model)), fitted.params)
        methods = baselines(data, corrupt) | {"denoised": denoise}
        results: dict[str, Any] = {}
        for method, function in methods.items():
            with running.stage(f"{NAMES[method]}: {len(data.test):,} test images"):
                found = measure(data, corrupt, function)
            results |= {f"{PREFIXES[method]}/{k}": v for k, v in found.items()}
        results |= running.training_figures(data, fitted)
        results["protocol"] = (
            f"{data.protocol}; corrupted by {describe(config)}; {name} likelihood; psnr in dB of "
            "the mean mse, after clipping to [0, 1]"
        )
        draw(config, run, data, corrupt, methods, results)
        return results

    def show(results: dict[str, Any]) -> None:
        names = {PREFIXES[method]: words for method, words in NAMES.items()}
        title = f"Denoising {Path(config.dataset).name}: test images"
        print_results(title, results, ("mse", "psnr", "ssim"), names)

    return running.conduct(
        "denoising", config, data, work, show=show, started=started, use={"task": "denoise"}
    )


def baselines(data: datasets.Data, corrupt: Corruption) -> dict[str, Denoiser]:
    """The corrupted image itself, a median filter, and the best affine map."""

    def median(x: jax.Array) -> jax.Array:
        return jnp.asarray(scipy.ndimage.median_filter(np.asarray(x), size=(1, 3, 3, 1)))

    found: dict[str, Denoiser] = {"corrupted": lambda x: x, "median_filter": median}
    if math.prod(data.train.shape[1:]) <= LINEAR_VALUES:
        # The model sees new noise in every epoch, so small data sets are corrupted several times here.
        draws = max(1, round(LINEAR_IMAGES / len(data.train)))
        fit = jax.jit(lambda key, x: jaxae.analysis.linear_denoiser(key, x, corrupt, draws=draws))
        images = data.train
        if data.placement == "stream":
            images = data.train[datasets.spread(len(data.train), LINEAR_IMAGES)]
        with running.stage("fitting the best linear denoiser"):
            found["linear"] = jax.block_until_ready(
                fit(jax.random.key(LINEAR_SEED), datasets.as_trained(data, images))
            )
    return found


def measure(data: datasets.Data, corrupt: Corruption, denoise: Denoiser) -> dict[str, float]:
    """The errors of a denoiser on the test images; the noise is the same for every denoiser."""
    key = jax.random.key(datasets.TEST_SEED)
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
    found = {"mse": mse, "psnr": inference.decibels(mse)}
    return found | ({"ssim": float(np.concatenate(similarity).mean())} if fits else {})


def draw(
    config: Config,
    run: Run,
    data: datasets.Data,
    corrupt: Corruption,
    methods: dict[str, Denoiser],
    results: Mapping[str, Any],
) -> None:
    """Draws original and corrupted test images, and the results of every method."""
    x = datasets.choose(data)
    noisy = corrupt(jax.random.key(datasets.SAMPLE_SEED), x)
    rows = {"original": np.asarray(x)} | {
        f"{NAMES[method]}\n{results[f'{PREFIXES[method]}/psnr']:.2f} dB": np.clip(
            methods[method](noisy), 0, 1
        )
        for method in ("corrupted", "denoised", "linear", "median_filter")
        if method in methods
    }
    title = f"{Path(config.dataset).name}: denoising, {describe(config)}; PSNR of all test images"
    figures.rows(rows, run.figures / "denoised.png", title=title)


def describe(config: Config) -> str:
    """A description of the corruption for titles and the protocol."""
    if config.corrupt:
        return descriptions.corruption(config.corrupt)
    noise = 0.5 if config.noise is None else config.noise
    return f"{descriptions.corruption([f'gaussian:{noise}'])}, clipped to [0, 1]"


if __name__ == "__main__":
    command(main, Config, __doc__)
