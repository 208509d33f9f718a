"""A variational autoencoder on any images: bounds, NLL, reconstructions, samples from the prior.

    python -m experiments.vae
    python -m experiments.vae --dataset mnist --epochs 20 --run-dir runs/vae-mnist
    python -m experiments.vae --dataset cifar10 --code 128 --hidden 1000

All figures are in nats per image: summed over pixels and latent dimensions, averaged over images.

Lectures: E(z), V(z) and the reparameterisation; the ELBO with L samples; the weight beta; log p(x)
by importance sampling; samples of digits, faces and CIFAR-10.
"""

import dataclasses
import math
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

import jaxae
from experiments.shared import datasets, flags, from_flags, optimizers, running
from jaxae.runs import figures
from jaxae.runs.command import command
from jaxae.runs.folder import Run


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(flags.ModelConfig):
    """Flags of the VAE."""

    beta: float = 1.0
    """Weight of the KL divergence."""
    beta_warmup: float = 0.0
    """Part of the run (of each cycle, if there are several) in which beta rises from 0."""
    cycles: int = 1
    """How often beta rises from 0 in the run."""
    free_bits: float = 0.0
    """Nats that each latent dimension may carry on average before the KL divergence is felt."""
    samples: int = 1
    """Codes drawn for each image."""
    importance_weighted: bool = False
    """Train on the importance-weighted bound with these samples, in place of the ELBO."""
    nll_samples: int = 200
    """Importance samples for each test image in the estimate of its log p(x)."""


class Model(NamedTuple):
    """A VAE, the objective it is trained with, and its likelihood with its name."""

    vae: jaxae.Autoencoder
    trained: jaxae.Autoencoder
    likelihood: jaxae.Likelihood
    name: str


def build(config: Config, shape: tuple[int, ...], dtype: Any, steps: int) -> Model:
    """The model that the flags ask for.

    Args:
      config: the flags.
      shape: of one image.
      dtype: of the images.
      steps: updates in the run, for the schedule of beta.
    """
    default = "bernoulli" if shape[-1] == 1 else "discretized_logistic"
    if shape[-1] > 1 and dtype != np.uint8:
        default = "gaussian"
        if config.likelihood is None and config.scale is None:
            config = dataclasses.replace(config, scale="learned")
    likelihood = from_flags.likelihood(config, default)
    if config.importance_weighted:
        if (config.beta, config.beta_warmup, config.cycles, config.free_bits) != (1.0, 0.0, 1, 0.0):
            raise ValueError(
                "--importance-weighted has no KL divergence for --beta, --beta-warmup, --cycles or "
                "--free-bits to weight"
            )
        if config.samples < 2:
            raise ValueError("--importance-weighted needs --samples of 2 or more")
        if config.dropout > 0:
            raise ValueError("--importance-weighted does not use --dropout")
    if config.nll_samples < 1:
        raise ValueError(f"--nll-samples must be positive, got {config.nll_samples}")
    encoder, decoder = from_flags.networks(config, shape, likelihood.outputs, 2 * config.code)
    vae = jaxae.vae(
        encoder,
        decoder,
        likelihood,
        latent_dim=config.code,
        beta=jaxae.objectives.beta_schedule(
            config.beta, steps, warmup=config.beta_warmup, cycles=config.cycles
        ),
        samples=1 if config.importance_weighted else config.samples,
        free_bits=config.free_bits,
    )
    trained = jaxae.importance_weighted(vae, config.samples) if config.importance_weighted else vae
    return Model(vae, trained, likelihood, config.likelihood or default)


def main(config: Config) -> dict[str, Any]:
    """Trains a VAE, evaluates it on the test set, and writes the run folder."""
    started = time.perf_counter()
    data = datasets.load(config)
    shape = data.train.shape[1:]
    model = build(config, shape, data.train.dtype, optimizers.steps(config, data))
    datasets.check_levels(model.name, model.likelihood, data.train)

    def work(run: Run) -> dict[str, Any]:
        # What is selected by has no weights in it: a bound on -log p(x) whatever beta is.
        bound = "negative_iwae" if config.importance_weighted else "negative_elbo"
        fitted = running.fit(config, run, model.trained, data, monitor=bound)
        draw(config, run, model.vae, fitted, data)
        return evaluate(config, model, fitted, data) | running.training_figures(data, fitted)

    return running.conduct("vae", config, data, work, started=started)


def evaluate(
    config: Config, model: Model, fitted: jaxae.Fit, data: datasets.Data
) -> dict[str, Any]:
    """Bounds, the importance-sampled NLL, and in words what they are comparable with."""
    values = math.prod(data.test.shape[1:])
    # A batch of images, and of the outputs for one draw of each, in bounded memory.
    batch_size = max(8, min(256, 2**26 // (values * model.likelihood.outputs)))
    chunk = max(1, 2**22 // (batch_size * values * model.likelihood.outputs))

    def bounds(params: Any, key: jax.Array, x: jax.Array) -> dict[str, jax.Array]:
        elbo_key, nll_key = jax.random.split(key)
        nll = jaxae.analysis.importance_nll(
            model.vae, params, nll_key, x, config.nll_samples, chunk=chunk
        )
        if model.trained is model.vae:
            return {"nll": nll}
        return {**model.vae.loss(params, elbo_key, x, train=False).terms, "nll": nll}

    results: dict[str, Any] = running.evaluate(model.trained, fitted, data, bounds, batch_size)
    cross_entropy = model.name == "bernoulli" and not data.binary
    if model.likelihood.levels and not cross_entropy:
        results["test/bits_per_dimension"] = jaxae.analysis.bits_per_dimension(
            results["test/nll"], values
        )
    note = ", a cross-entropy and no NLL to compare with others" if cross_entropy else ""
    results["protocol"] = (
        f"{data.protocol}; {model.name} likelihood{note}; nats per image; "
        f"nll with {config.nll_samples} importance samples"
    )
    return results


def draw(
    config: Config, run: Run, vae: jaxae.Autoencoder, fitted: jaxae.Fit, data: datasets.Data
) -> None:
    """Reconstructions and samples."""
    title = f"VAE on {Path(config.dataset).name}, code {config.code}"
    running.figure_reconstructions(
        run, vae, fitted.params, data, title=f"{title}: test images and their reconstructions"
    )
    assert vae.sample is not None
    sample = jax.jit(vae.sample, static_argnums=2)
    images = np.asarray(sample(fitted.params, jax.random.key(datasets.SAMPLE_SEED), 60))
    path = run.figures / "samples.png"
    figures.grid(images, path, title=f"{title}: decoded draws from the prior")


if __name__ == "__main__":
    command(main, Config, __doc__)
