"""Adversarial autoencoder: codes that fill a prior, by a discriminator that cannot tell them from it.

    python -m experiments.adversarial --dataset mnist --code 2
    python -m experiments.adversarial --dataset mnist --code 2 --prior swiss_roll --labels 10000
    python -m experiments.adversarial --dataset mnist --code 8

Beside the adversarial autoencoder (AAE) stands the same autoencoder without an adversary (AE): what the
game costs in reconstruction, and what the codes do when nothing is asked of them. With --labels the
discriminator is told the class of so many training images, and each class goes to its own part of the prior.

Whether the codes fill the prior is tested: the maximum mean discrepancy of the test codes and as many
draws of the prior (mmd); and, one dimension at a time, the largest difference of the two distribution
functions (Kolmogorov and Smirnov's; largest_ks, of all dimensions). Beside them stand what two samples
of the prior of the same size give: a number that 95 % of 40 such pairs stay below (of_the_prior_95), and
the part of them that is as large (p_value: small if the codes are not distributed as the prior). The
same is said of as many training images (train_mmd): what they fill, test images need not, where they are
of other writers.

A game is never quite over: its two players go around the prior. So the maximum mean discrepancy itself,
which needs no opponent, is added with a weight that rises, and does what is left to do at the end
(--kernel 0 for the game alone).

Measured (the first command, jax 0.10.2, 11 minutes on one core):

                              AE        AAE       --kernel 0    95 % of pairs of samples of the prior
    mmd, training codes       0.0824   -0.00001   0.00015       below 0.00006
    mmd, test codes           0.0824    0.00013   0.00026       below 0.00006
    largest_ks, training      0.34      0.0122                  below 0.0198
    largest_ks, test codes    0.340     0.0203    0.037         below 0.0198
    squared error             28.4      30.7      29.7
    neighbour_error           0.201     0.255     0.239

So the codes of training images cannot be told from the prior, by the kernel and by a test that was not
trained for. Those of test images nearly: they are of other writers. (In two principal components, where
nothing is trained, 10,000 test images differ from as many training images by 0.00016 to 0.00037.)

Lectures: adversarial autoencoders, the distribution of the hidden code; q(z) towards p(z).
"""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy.stats import ks_2samp

import jaxae
from experiments.shared import datasets, flags, from_flags, optimizers, running
from jaxae.distributions.kernels import Kernel
from jaxae.distributions.priors import Prior
from jaxae.runs import charts, figures, inference
from jaxae.runs.command import command
from jaxae.runs.folder import Run

IMAGES = 1_200_000
LEAST, COMPARED, PAIRS = 20, 10_000, 40
"""Codes that are compared with the prior, at least and at most, and pairs of its samples beside them."""
VOTERS, NEIGHBOURS = 10_000, 10
"""Training codes, and how many of them, the nearest, vote on the class of a test code."""
SCATTERED, SHOWN, GRID = 5000, 60, 20
"""Codes and samples in figures, and images on a side of the plane."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(flags.ModelConfig):
    """Flags of the adversarial autoencoder."""

    code: int = 2
    """Size of the code."""
    hidden: tuple[int, ...] | None = None
    """Widths of the encoder's hidden layers, or its channels at each depth; the decoder mirrors them.
    By default 1000 500; 32 64; or 32 64 128."""
    epochs: int | None = None
    """Passes over the training set; by default as many as show 1.2 million images (20 epochs of
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
    weight: float = 40.0
    """Of what the encoder does to fool the discriminator, beside nats of reconstruction."""
    kernel: float = 1e5
    """Weight of the maximum mean discrepancy beside the game, at the end: it rises to it a hundredfold.
    A game is never quite over, and this is what is left to do. 0 for the game alone."""
    r1: float = 0.0
    """Weight of the discriminator's squared slope at draws of the prior (halved)."""
    average: float = 0.999
    """Decay of the average of the parameters, which is what is evaluated."""


def main(config: Config) -> dict[str, Any]:
    """Trains both autoencoders, tests and draws their codes, and writes the run folder."""
    started = time.perf_counter()
    check(config)
    data = datasets.load(config, hold_out=False, default=256)
    if len(data.test) < LEAST:
        raise ValueError(
            f"{len(data.test)} test images of {config.dataset} are too few to compare with a prior; "
            f"it takes {LEAST}"
        )
    config = optimizers.with_epochs(config, data, IMAGES, most=400)
    if classes := datasets.count_classes(data):
        datasets.check_labels(config, data)
    known = None
    if config.labels:
        datasets.check_labels(config, data)
        known = datasets.known_labels(data, config.labels, config.seed)
    prior = make_prior(config, classes)
    built = build(config, data, prior)

    def work(run: Run) -> dict[str, Any]:
        params = {}
        for name, (model, optimizer) in built.items():
            targets = None if known is None or name == "AE" else (known, None)
            fitted = running.fit(
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
            name: np.asarray(inference.encode(model, params[name], data.test))
            for name, (model, _) in built.items()
        }
        results: dict[str, Any] = {}
        measure = yardstick(prior, min(COMPARED, len(data.test)))
        for name, (model, _) in built.items():
            error, _ = inference.squared_errors(model, params[name], data.test)
            results[f"{name}/squared_error"] = error
            results |= {f"{name}/{key}": value for key, value in measure(codes[name]).items()}
            some = data.train[datasets.spread(len(data.train), len(data.test))]
            seen = np.asarray(
                inference.encode(model, params[name], np.asarray(datasets.as_trained(data, some)))
            )
            results |= {f"{name}/train_{key}": value for key, value in measure(seen).items()}
            if classes:
                voters = datasets.spread(len(data.train), VOTERS)
                images = np.asarray(datasets.as_trained(data, data.train[voters]))
                train = np.asarray(inference.encode(model, params[name], images))
                labelled = (train, np.asarray(data.labels[0])[voters])
                results[f"{name}/neighbour_error"] = jaxae.analysis.neighbour_probe(
                    labelled, (codes[name], np.asarray(data.labels[2])), neighbours=NEIGHBOURS
                )
        draw(config, run, {k: model for k, (model, _) in built.items()}, params, codes, prior, data)
        results["protocol"] = (
            f"{data.protocol}; squared_error summed over an image; mmd: squared, without bias, inverse "
            f"multiquadric kernels, {min(COMPARED, len(data.test))} test codes and as many draws of the "
            f"prior, beside {PAIRS} pairs of samples of the prior; neighbour_error: {NEIGHBOURS} of "
            f"{min(VOTERS, len(data.train))} training codes vote"
        )
        return results

    return running.conduct("adversarial", config, data, work, started=started)


def check(config: Config) -> None:
    """Raises for flags that are out of range or do not go together."""
    for name in ("weight", "discriminator_rate"):
        if not 0 < getattr(config, name) < np.inf:
            raise ValueError(
                f"--{name.replace('_', '-')} must be positive, got {getattr(config, name)}"
            )
    for name in ("r1", "kernel"):
        if not 0 <= getattr(config, name) < np.inf:
            raise ValueError(f"--{name} must not be negative, got {getattr(config, name)}")
    flags.check_ema(config)
    if config.prior != "normal" and config.code != 2:
        raise ValueError(f"--prior {config.prior} is in the plane: it goes with --code 2")
    if config.labels < 0:
        raise ValueError(f"--labels must not be negative, got {config.labels}")
    if config.labels and config.prior == "normal":
        raise ValueError("--labels needs a prior with classes: --prior petals or swiss_roll")


def make_prior(config: Config, classes: int) -> Prior:
    """The prior of the flags; with labels it has a part for each class, else ten."""
    if config.prior == "normal":
        return jaxae.priors.standard_normal(config.code)
    make = jaxae.priors.petals if config.prior == "petals" else jaxae.priors.swiss_roll
    return make(classes if config.labels else 10)


def build(
    config: Config, data: datasets.Data, prior: Prior
) -> dict[str, tuple[jaxae.Autoencoder, optax.GradientTransformation | None]]:
    """The autoencoder without an adversary and with one, and the optimizer of the game."""
    shape = data.train.shape[1:]
    if config.hidden is None and config.network == "mlp":
        config = dataclasses.replace(config, hidden=(1000, 500))
    default = "bernoulli" if shape[-1] == 1 else "gaussian"
    likelihood = from_flags.likelihood(config, default)
    datasets.check_levels(config.likelihood or default, likelihood, data.train)
    networks = from_flags.networks(config, shape, likelihood.outputs, config.code)
    plain = jaxae.autoencoder(*networks, likelihood)
    game = jaxae.adversarial(
        plain,
        jaxae.networks.mlp_encoder(1, (500, 500)),
        prior,
        weight=config.weight,
        r1=config.r1,
        labels=config.labels > 0,
    )
    if config.kernel:
        steps = optimizers.steps(config, data)
        rising = optax.exponential_decay(config.kernel / 100, steps, 100.0)
        game = jaxae.wasserstein(game, prior, weight=rising, kernel=yard(prior))
    optimizer = optimizers.game_optimizer(config, data, discriminator=config.discriminator_rate)
    return {"AE": (plain, None), "AAE": (game, optimizer)}


def yard(prior: Prior) -> Kernel:
    """The kernel that codes are compared by: its unit is a typical squared distance, of the prior itself."""
    drawn = prior.sample(jax.random.key(datasets.SAMPLE_SEED), COMPARED)
    return jaxae.distributions.imq(float(2 * jnp.sum(jnp.var(drawn, axis=0))))


def yardstick(prior: Prior, n: int) -> Callable[[np.ndarray], dict[str, float]]:
    """How far codes are from a prior, beside how far two samples of the prior are from each other."""
    drawn_key, pairs_key = jax.random.split(jax.random.key(datasets.SAMPLE_SEED))
    drawn = prior.sample(drawn_key, n)
    kernel = yard(prior)
    discrepancy = jax.jit(lambda x, y: jaxae.distributions.mmd(x, y, kernel))

    def compare(x: jax.Array, y: jax.Array) -> tuple[float, float]:
        distances = [ks_2samp(a, b).statistic for a, b in zip(x.T, y.T, strict=True)]
        return float(discrepancy(x, y)), float(max(distances))

    usual = []
    for key in jax.random.split(pairs_key, PAIRS):
        one, other = jax.random.split(key)
        usual.append(compare(prior.sample(one, n), prior.sample(other, n)))
    usually = np.array(usual)

    def measure(codes: np.ndarray) -> dict[str, float]:
        found = np.array(compare(jnp.asarray(codes[datasets.spread(len(codes), n)]), drawn))
        as_large = (1 + np.sum(usually >= found, axis=0)) / (1 + PAIRS)
        bounds = np.quantile(usually, 0.95, axis=0)
        results = {}
        for i, name in enumerate(("mmd", "largest_ks")):
            results[name] = float(found[i])
            results[f"{name}_of_the_prior_95"] = float(bounds[i])
            results[f"{name}_p_value"] = float(as_large[i])
        return results

    return measure


def draw(
    config: Config,
    run: Run,
    models: dict[str, jaxae.Autoencoder],
    params: dict[str, Any],
    codes: dict[str, np.ndarray],
    prior: Prior,
    data: datasets.Data,
) -> None:
    """The hidden codes beside the prior, its samples, the plane of the prior, and reconstructions."""
    title = f"{Path(config.dataset).name}, code {config.code}"
    model, key = models["AAE"], jax.random.key(datasets.SAMPLE_SEED)
    drawn_key, sample_key = jax.random.split(key)
    some = datasets.spread(len(data.test), SCATTERED)
    drawn = np.asarray(prior.sample(drawn_key, len(some)))
    labels = None if data.labels[2] is None else np.asarray(data.labels[2])[some]
    if config.labels and prior.given is not None:
        drawn = np.asarray(prior.given(drawn_key, jnp.asarray(labels)))
    if config.code == 2:
        of_prior = labels if config.labels else None
        both = np.concatenate([codes["AAE"], drawn])
        charts.scatter(
            {
                "codes without an adversary": codes["AE"][some],
                "codes of the adversarial autoencoder": codes["AAE"][some],
                f"draws of the prior ({config.prior.replace('_', ' ')})": drawn,
            },
            None if labels is None else [labels, labels, of_prior],
            run.figures / "codes.png",
            title=f"{title}: hidden codes of test images, and the prior they should fill",
            reach=[codes["AE"], both, both],
        )
    charts.densities(
        {"AE": codes["AE"], "AAE": codes["AAE"], "prior": drawn},
        run.figures / "dimensions.png",
        title=f"{title}: distribution of each dimension of the code",
    )
    images = inference.decode(model, params["AAE"], prior.sample(sample_key, SHOWN))
    figures.grid(images, run.figures / "samples.png", title=f"{title}: decoded draws of the prior")
    if config.code == 2 and config.prior == "normal":
        quantiles = jaxae.analysis.normal_quantiles(GRID)
        z = jaxae.analysis.plane(quantiles, quantiles)
        grid = jaxae.analysis.decode_grid(
            lambda z: jnp.asarray(inference.decode(model, params["AAE"], z)), z
        )
        figures.grid(
            np.asarray(grid).reshape(-1, *data.test.shape[1:]),
            run.figures / "plane.png",
            title=f"{title}: the plane of the prior, decoded; each image stands for as much of it",
            columns=GRID,
        )
    x = datasets.choose(data)
    rows = {"test images": np.asarray(x)}
    for name, one in models.items():
        rows[name] = np.asarray(jaxae.reconstruct(one, params[name], x))
    path = run.figures / "reconstructions.png"
    figures.rows(rows, path, title=f"{title}: reconstructions of test images")


if __name__ == "__main__":
    command(main, Config, __doc__)
