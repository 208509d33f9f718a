"""A variational autoencoder of images: bounds on log p(x), reconstructions, and samples from the prior.

    python -m experiments.vae
    python -m experiments.vae --dataset mnist --epochs 20 --run-dir runs/vae-mnist
    python -m experiments.vae --dataset cifar10 --code 128 --hidden 1000

All results are in nats per image: summed over pixels and latent dimensions, averaged over images.
The distortion is the expected reconstruction error, -E log p(x | z). The rate is the KL divergence of
the posterior q(z | x) from the prior p(z). Their sum, the negative ELBO, is an upper bound on
-log p(x), which is estimated by importance sampling ("nll").

Lectures: E(z), V(z) and the reparameterisation; the ELBO with L samples; the weight beta; log p(x)
by importance sampling; samples of digits, faces and CIFAR-10.
"""

import experiments  # noqa: F401  # isort: skip  (finds the packages, also for a script)

import dataclasses
import math
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxae
from experiments.shared import datasets, flags, from_flags, optimizers, running
from experiments.shared.tables import print_results
from jaxae.runs import figures, inference, pieces, plans, scores
from jaxae.runs.command import command
from jaxae.runs.folder import Run


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(flags.ModelConfig):
    """Flags of the VAE."""

    can_go_on = True

    beta: float = 1.0
    """Give the KL divergence (called rate in tables and figures) this weight in the loss. The
    reconstruction error (called distortion) has weight 1."""
    beta_warmup: float = 0.0
    """Raise beta linearly from 0 during this fraction of the run. With several cycles, it is the
    fraction of each cycle."""
    cycles: int = 1
    """Raise beta from 0 this number of times in the run."""
    free_bits: float = 0.0
    """Penalise the KL divergence only beyond this number of nats for each latent dimension, on
    average over a batch."""
    samples: int = 1
    """Draw this number of codes for each image in training."""
    importance_weighted: bool = False
    """Train on the importance-weighted bound with --samples samples, instead of the ELBO."""
    nll_samples: int = 200
    """Estimate log p(x) with this number of importance samples for each test image."""


def make_plan(config: Config, images: np.ndarray, steps: int) -> plans.Plan:
    """The plan of the model that the flags ask for.

    Args:
      config: the flags.
      images: the training images.
      steps: the number of updates in the run, for the schedule of beta.
    """
    default = "bernoulli" if images.shape[-1] == 1 else "discretized_logistic"
    if images.shape[-1] > 1 and images.dtype != np.uint8:
        default = "gaussian"
        if config.likelihood is None and config.scale is None:
            config = dataclasses.replace(config, scale="learned")
    if config.importance_weighted:
        if (config.beta, config.beta_warmup, config.cycles, config.free_bits) != (1.0, 0.0, 1, 0.0):
            raise ValueError(
                "--beta, --beta-warmup, --cycles and --free-bits cannot be combined with "
                "--importance-weighted, whose bound has no KL divergence to weight"
            )
        if config.samples < 2:
            raise ValueError("--importance-weighted needs --samples of 2 or more")
    if config.nll_samples < 1:
        raise ValueError(f"--nll-samples must be positive, got {config.nll_samples}")
    samples: dict[str, Any] = {"samples": 1, "importance_weighted": config.samples}
    if not config.importance_weighted:
        samples = {"samples": config.samples, "importance_weighted": None}
    return from_flags.plan(config, images, default, model="vae", steps=steps, **samples)


def main(config: Config) -> dict[str, Any]:
    """Trains a VAE, evaluates it on the test set, and writes the run folder."""
    started = time.perf_counter()
    data = datasets.load(config)
    plan = make_plan(config, data.train, optimizers.steps(config, data))
    model = plans.build(plan)

    def work(run: Run) -> dict[str, Any]:
        # The epoch is selected by a bound on -log p(x) that has no weights in it.
        bound = "negative_iwae" if config.importance_weighted else "negative_elbo"
        fitted = running.fit(config, run, model, data, monitor=bound)
        draw(config, run, model, fitted, data)
        results = evaluate(config, plan, model, fitted, data)
        return results | running.training_figures(data, fitted)

    def show(results: dict[str, Any]) -> None:
        print_results(
            f"VAE on {Path(config.dataset).name}, code {config.code}: test images",
            results,
            (
                *("distortion", "rate", "negative_elbo", "negative_iwae", "nll"),
                *("bits_per_dimension", "squared_error", "psnr"),
            ),
        )

    return running.conduct("vae", config, data, work, show=show, started=started, plan=plan)


def evaluate(
    config: Config,
    plan: plans.Plan,
    model: jaxae.Autoencoder,
    fitted: jaxae.Fit,
    data: datasets.Data,
) -> dict[str, Any]:
    """Bounds on -log p(x) and its estimate on the test images, with a description of the protocol."""
    values = math.prod(plan.shape)
    likelihood = pieces.likelihood(plan.likelihood, plan.scale)
    outputs = values * likelihood.outputs
    batch_size = scores.batch_size_of(values, likelihood.outputs)
    bounds = scores.bound_scores(model, config.nll_samples, batch_size=batch_size, outputs=outputs)
    results: dict[str, Any] = running.evaluate(model, fitted, data, bounds, batch_size)
    cross_entropy = plan.likelihood == "bernoulli" and not data.binary
    if likelihood.levels and not cross_entropy:
        results["test/bits_per_dimension"] = jaxae.analysis.bits_per_dimension(
            results["test/nll"], values
        )
    note = ", a cross-entropy that is not comparable with NLLs" if cross_entropy else ""
    results["protocol"] = (
        f"{data.protocol}; {plan.likelihood} likelihood{note}; nats per image; "
        f"nll with {config.nll_samples} importance samples"
    )
    return results


def draw(
    config: Config, run: Run, model: jaxae.Autoencoder, fitted: jaxae.Fit, data: datasets.Data
) -> None:
    """Draws reconstructions and samples."""
    title = f"VAE on {Path(config.dataset).name}, {config.code} latent dimensions"
    running.figure_reconstructions(
        run, model, fitted.params, data, title=f"{title}: test images and their reconstructions"
    )
    key = jax.random.key(datasets.SAMPLE_SEED)
    images = inference.sample(model, fitted.params, key, 60)
    path = run.figures / "samples.png"
    figures.grid(images, path, title=f"{title}: samples, decoded draws from the prior")


if __name__ == "__main__":
    command(main, Config, __doc__)
