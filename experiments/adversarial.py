"""Adversarial autoencoder: codes that fill a prior, by a discriminator that cannot tell them from it.

    python -m experiments.adversarial --dataset mnist --code 2
    python -m experiments.adversarial --dataset mnist --code 2 --prior swiss_roll --labels 10000
    python -m experiments.adversarial --dataset mnist --code 8

Beside the adversarial autoencoder (AAE) stands the same autoencoder without an adversary (AE): what the
game costs in reconstruction, and what the codes do when nothing is asked of them. With --labels the
discriminator is told the class of so many training images, and each class goes to its own part of the prior.

Whether the codes fill the prior is tested: the maximum mean discrepancy of the test codes and as many
draws of the prior beside the discrepancies of two samples of the prior (`mmd_p_value` is the part of those
that are as large: small if the codes are not distributed as the prior); and, one dimension at a time, the
Kolmogorov-Smirnov distance, the largest difference of the two distribution functions.

Lectures: adversarial autoencoders, the distribution of the hidden code; q(z) towards p(z).
"""

import dataclasses
import time
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy.stats import ks_2samp

import jaxae
from experiments import base
from jaxae import charts, figures
from jaxae.priors import Prior
from jaxae.runs import Run

IMAGES = 1_500_000
COMPARED, PAIRS = 10_000, 100
"""Codes that are compared with the prior at most, and pairs of samples of the prior beside them."""
VOTERS, NEIGHBOURS = 10_000, 10
"""Training codes, and how many of them, the nearest, vote on the class of a test code."""
SCATTERED, SHOWN, GRID = 5000, 60, 20
"""Codes and samples in figures, and images on a side of the plane."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(base.ModelConfig):
    """Flags of the adversarial autoencoder."""

    code: int = 2
    """Size of the code."""
    hidden: tuple[int, ...] | None = None
    """Widths of the encoder's hidden layers, or its channels at each depth; the decoder mirrors them.
    By default 1000 500; 32 64; or 32 64 128."""
    epochs: int | None = None
    """Passes over the training set; by default as many as show 1.5 million images (25 epochs of
    MNIST), and at most 400."""
    batch_size: int | None = None
    """Examples in a step, over all devices; by default 256, or fewer if there are fewer."""
    learning_rate: float = 1e-3
    """Of Adam, at the start, for encoder and decoder."""
    discriminator_rate: float = 1e-3
    """Of Adam, at the start, for the discriminator."""
    prior: Literal["normal", "petals", "swiss_roll"] = "normal"
    """What the codes become: N(0, I); ten normal distributions around a circle; or a rolled band."""
    labels: int = 0
    """So many training images come with their class, each of which has its own part of the prior (of
    petals or swiss_roll)."""
    weight: float = 60.0
    """Of what the encoder does to fool the discriminator, beside nats of reconstruction."""
    r1: float = 0.0
    """Weight of the discriminator's squared slope at draws of the prior (halved)."""
    average: float = 0.999
    """Decay of the average of the parameters, which is what is evaluated."""


def main(config: Config) -> dict[str, Any]:
    """Trains both autoencoders, tests and draws their codes, and writes the run folder."""
    started = time.perf_counter()
    check(config)
    data = base.load(config, hold_out=False, default=256)
    config = base.with_epochs(config, data, IMAGES, most=400)
    prior = make_prior(config, data)
    built = build(config, data, prior)

    def work(run: Run) -> dict[str, Any]:
        params = {}
        for name, (model, optimizer) in built.items():
            targets = None
            if name == "AAE" and config.labels:
                targets = base.known_labels(data, config.labels, config.seed), None
            fitted = base.fit(
                config,
                run.part(name),
                model,
                data,
                targets=targets,
                optimizer=optimizer,
                average=config.average,
            )
            params[name] = fitted.params
        codes = {
            name: np.asarray(base.encode(model, params[name], data.test))
            for name, (model, _) in built.items()
        }
        results: dict[str, Any] = {}
        for name, (model, _) in built.items():
            error, _ = base.squared_errors(model, params[name], data)
            results[f"{name}/squared_error"] = error
            results |= {f"{name}/{k}": v for k, v in aggregated(codes[name], prior).items()}
            if data.labels[0] is not None and data.labels[2] is not None:
                voters = base.spread(len(data.train), VOTERS)
                train = np.asarray(base.encode(model, params[name], data.train[voters]))
                labelled = (train, np.asarray(data.labels[0])[voters])
                results[f"{name}/neighbour_error"] = jaxae.neighbour_probe(
                    labelled, (codes[name], data.labels[2]), neighbours=NEIGHBOURS
                )
        draw(config, run, {k: model for k, (model, _) in built.items()}, params, codes, prior, data)
        results["protocol"] = (
            f"{data.protocol}; squared_error summed over an image; mmd: squared, without bias, inverse "
            f"multiquadric kernels, {min(COMPARED, len(data.test))} test codes and as many draws of the "
            f"prior, beside {PAIRS} pairs of samples of the prior; neighbour_error: {NEIGHBOURS} of "
            f"{min(VOTERS, len(data.train))} training codes vote"
        )
        return results

    return base.conduct("adversarial", config, data, work, started=started)


def check(config: Config) -> None:
    """Raises for flags that are out of range or do not go together."""
    for name in ("weight", "discriminator_rate"):
        if not 0 < getattr(config, name) < np.inf:
            raise ValueError(
                f"--{name.replace('_', '-')} must be positive, got {getattr(config, name)}"
            )
    if not 0 <= config.r1 < np.inf:
        raise ValueError(f"--r1 must not be negative, got {config.r1}")
    if not 0 <= config.average < 1:
        raise ValueError(f"--average must be in [0, 1), got {config.average}")
    if config.prior != "normal" and config.code != 2:
        raise ValueError(f"--prior {config.prior} is in the plane: it goes with --code 2")
    if config.labels < 0:
        raise ValueError(f"--labels must not be negative, got {config.labels}")
    if config.labels and config.prior == "normal":
        raise ValueError("--labels needs a prior with classes: --prior petals or swiss_roll")


def make_prior(config: Config, data: base.Data) -> Prior:
    """The prior of the flags; with labels it has a part for each class."""
    if config.prior == "normal":
        return jaxae.priors.standard_normal(config.code)
    classes = 10
    if config.labels:
        base.check_labels(config, data)
        classes = 1 + int(max(np.max(np.asarray(part)) for part in data.labels if part is not None))
        if config.labels > len(data.train):
            raise ValueError(
                f"--labels {config.labels} is more than the {len(data.train)} training images"
            )
    make = jaxae.priors.petals if config.prior == "petals" else jaxae.priors.swiss_roll
    return make(classes)


def build(
    config: Config, data: base.Data, prior: Prior
) -> dict[str, tuple[jaxae.Autoencoder, optax.GradientTransformation | None]]:
    """The autoencoder without an adversary and with one, and the optimizer of the game."""
    shape = data.train.shape[1:]
    if config.hidden is None and config.network == "mlp":
        config = dataclasses.replace(config, hidden=(1000, 500))
    default = "bernoulli" if shape[-1] == 1 else "gaussian"
    likelihood = base.likelihood(config, default)
    base.check_levels(config.likelihood or default, likelihood, data.train)
    networks = base.networks(config, shape, likelihood.outputs, config.code)
    plain = jaxae.autoencoder(*networks, likelihood)
    game = jaxae.adversarial(
        plain,
        jaxae.mlp_encoder(1, (500, 500)),
        prior,
        weight=config.weight,
        r1=config.r1,
        labels=config.labels > 0,
    )
    optimizer = base.game_optimizer(config, data, discriminator=config.discriminator_rate)
    return {"AE": (plain, None), "AAE": (game, optimizer)}


def aggregated(codes: np.ndarray, prior: Prior) -> dict[str, float]:
    """All codes together against the prior: their discrepancy, and each dimension by itself."""
    n = min(COMPARED, len(codes))
    key = jax.random.key(base.SAMPLE_SEED)
    z = jnp.asarray(codes[base.spread(len(codes), n)])
    # A typical squared distance, of the prior itself.
    drawn = prior.sample(key, n)
    kernel = jaxae.imq(float(2 * jnp.sum(jnp.var(drawn, axis=0))))
    discrepancy = jax.jit(lambda x, y: jaxae.mmd(x, y, kernel))

    def pair(key: jax.Array) -> float:
        one, other = jax.random.split(key)
        return float(discrepancy(prior.sample(one, n), prior.sample(other, n)))

    usual = np.array([pair(key) for key in jax.random.split(key, PAIRS)])
    found = float(discrepancy(z, drawn))
    distances = [float(ks_2samp(a, b).statistic) for a, b in zip(z.T, drawn.T, strict=True)]
    return {
        "mmd": found,
        "mmd_of_the_prior": float(np.quantile(usual, 0.95)),
        "mmd_p_value": float((1 + np.sum(usual >= found)) / (1 + PAIRS)),
        "largest_ks": max(distances),
        "mean_ks": float(np.mean(distances)),
    }


def draw(
    config: Config,
    run: Run,
    models: dict[str, jaxae.Autoencoder],
    params: dict[str, Any],
    codes: dict[str, np.ndarray],
    prior: Prior,
    data: base.Data,
) -> None:
    """The hidden codes beside the prior, its samples, the plane of the prior, and reconstructions."""
    title = f"{Path(config.dataset).name}, code {config.code}"
    model, key = models["AAE"], jax.random.key(base.SAMPLE_SEED)
    some = base.spread(len(data.test), SCATTERED)
    drawn = np.asarray(prior.sample(key, len(some)))
    labels = None if data.labels[2] is None else np.asarray(data.labels[2])[some]
    if config.labels and prior.given is not None:
        drawn = np.asarray(prior.given(key, jnp.asarray(labels)))
    if config.code == 2:
        of_prior = labels if config.labels else None
        charts.scatter(
            {
                "codes without an adversary": codes["AE"][some],
                "codes of the adversarial autoencoder": codes["AAE"][some],
                f"draws of the prior ({config.prior.replace('_', ' ')})": drawn,
            },
            None if labels is None else [labels, labels, of_prior],
            run.figures / "codes.png",
            title=f"{title}: hidden codes of test images, and the prior they should fill",
        )
    charts.densities(
        {"AE": codes["AE"], "AAE": codes["AAE"], "prior": drawn},
        run.figures / "dimensions.png",
        title=f"{title}: distribution of each dimension of the code",
    )
    images = base.decode(model, params["AAE"], prior.sample(key, SHOWN))
    figures.grid(images, run.figures / "samples.png", title=f"{title}: decoded draws of the prior")
    if config.code == 2 and config.prior == "normal":
        quantiles = jaxae.normal_quantiles(GRID)
        z = jaxae.plane(quantiles, quantiles)
        grid = jaxae.decode_grid(lambda z: jnp.asarray(base.decode(model, params["AAE"], z)), z)
        figures.grid(
            np.asarray(grid).reshape(-1, *data.test.shape[1:]),
            run.figures / "plane.png",
            title=f"{title}: the plane of the prior, decoded; each image stands for as much of it",
            columns=GRID,
        )
    x = base.choose(data)
    rows = {"test images": np.asarray(x)}
    for name, one in models.items():
        rows[name] = np.asarray(jaxae.reconstruct(one, params[name], x))
    path = run.figures / "reconstructions.png"
    figures.rows(rows, path, title=f"{title}: reconstructions of test images")


if __name__ == "__main__":
    base.command(main, Config, __doc__)
