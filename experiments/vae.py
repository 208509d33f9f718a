"""A variational autoencoder on any images: bounds, NLL, reconstructions, samples from the prior.

    python -m experiments.vae
    python -m experiments.vae --dataset mnist --epochs 20 --run-dir runs/vae-mnist
    python -m experiments.vae --dataset cifar10 --code 128 --hidden 1000

All figures are in nats per image: summed over pixels and latent dimensions, averaged over images.

Lectures: E(z), V(z) and the reparameterisation; the ELBO with L samples; the weight beta; log p(x)
by importance sampling; samples of digits, faces and CIFAR-10.
"""

import dataclasses
import time
from typing import Any

import jax
import numpy as np

import jaxae
from experiments import base
from jaxae import figures


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(base.Config):
    """Flags of the VAE."""

    beta: float = 1.0
    """Weight of the KL divergence."""
    warm_up: float = 0.0
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


def build(config: Config, shape: tuple[int, ...], dtype: Any, steps: int) -> tuple[Any, Any, str]:
    """The VAE, what it is trained as, and the name of its likelihood.

    Args:
      config: the flags.
      shape: of one image.
      dtype: of the images.
      steps: updates in the run, for the schedule of beta.
    """
    default = "bernoulli" if shape[-1] == 1 else "discretized_logistic"
    if dtype != np.uint8 and shape[-1] > 1:
        default = "gaussian"
        if config.likelihood is None and config.scale is None:
            config = dataclasses.replace(config, scale="learned")
    name = config.likelihood or default
    likelihood = base.likelihood(config, default)
    if config.importance_weighted:
        if (config.beta, config.warm_up, config.cycles, config.free_bits) != (1.0, 0.0, 1, 0.0):
            raise ValueError(
                "--importance-weighted has no KL divergence for --beta, --warm-up, --cycles or "
                "--free-bits to weight"
            )
        if config.samples < 2:
            raise ValueError("--importance-weighted needs --samples of 2 or more")
        if config.dropout > 0:
            raise ValueError("--importance-weighted does not use --dropout")
    if config.nll_samples < 1:
        raise ValueError(f"--nll-samples must be positive, got {config.nll_samples}")
    encoder, decoder = base.networks(config, shape, likelihood.outputs, 2 * config.code)
    vae = jaxae.vae(
        encoder,
        decoder,
        likelihood,
        code=config.code,
        beta=jaxae.beta_schedule(config.beta, steps, warm_up=config.warm_up, cycles=config.cycles),
        samples=1 if config.importance_weighted else config.samples,
        free_bits=config.free_bits,
    )
    trained = jaxae.importance_weighted(vae, config.samples) if config.importance_weighted else vae
    return vae, trained, name


def main(config: Config) -> dict[str, Any]:
    """Trains a VAE, evaluates it on the test set, and writes the run folder."""
    started = time.perf_counter()
    data = base.load(config)
    shape = data.train.shape[1:]
    vae, trained, likelihood = build(config, shape, data.train.dtype, base.steps(config, data))
    discrete = base.likelihood(config, likelihood).levels
    base.check_levels(likelihood, base.likelihood(config, likelihood), data.train)
    run = base.open_run(config, data, "vae")
    if run.results is not None:
        base.report(run, run.results)
        return run.results
    fitted = base.fit(config, run, trained, data, monitor="negative_elbo")

    def bounds(params: Any, key: jax.Array, x: jax.Array) -> dict[str, jax.Array]:
        elbo_key, nll_key = jax.random.split(key)
        nll = jaxae.importance_nll(vae, params, nll_key, x, config.nll_samples)
        if trained is vae:
            return {"nll": nll}
        return {**vae.loss(params, elbo_key, x, train=False).terms, "nll": nll}

    results: dict[str, Any] = base.evaluate(config, trained, fitted, data, bounds)
    true_likelihood = likelihood != "bernoulli" or "binar" in data.protocol
    if discrete and true_likelihood:
        bits = jaxae.bits_per_dimension(results["test/nll"], int(np.prod(shape)))
        results["test/bits_per_dimension"] = bits
    note = "" if true_likelihood else ", a cross-entropy and no NLL to compare with others"
    results |= base.training_figures(config, fitted)
    results["seconds"] = time.perf_counter() - started
    results["protocol"] = (
        f"{data.protocol}; {likelihood} likelihood{note}; nats per image; "
        f"nll with {config.nll_samples} importance samples"
    )
    title = f"VAE on {config.dataset}, code {config.code}"
    base.figure_reconstructions(
        run, vae, fitted.params, data, title=f"{title}: test images and their reconstructions"
    )
    samples = jax.jit(vae.sample, static_argnums=2)(fitted.params, jax.random.key(config.seed), 60)
    path = run.figures / "samples.png"
    figures.grid(np.asarray(samples), path, title=f"{title}: decoded draws from the prior")
    run.finish(results)
    base.report(run, results)
    return results


if __name__ == "__main__":
    base.command(main, Config, __doc__)
