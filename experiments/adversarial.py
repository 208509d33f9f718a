"""Adversarial autoencoder: a discriminator makes the distribution of codes match a prior.

    python -m experiments.adversarial --dataset mnist --code 2
    python -m experiments.adversarial --dataset mnist --code 2 --prior swiss_roll --labels 10000
    python -m experiments.adversarial --dataset mnist --code 8

The adversarial autoencoder (AAE) is compared with the same autoencoder without an adversary (AE), in its
reconstructions and in the distribution of its codes. With --labels the discriminator is given the class of
this number of training images, and each class is matched to its own part of the prior.

Two statistics test whether test codes are distributed as the prior: mmd, the squared maximum mean
discrepancy of the codes and as many draws of the prior; and largest_ks, the largest Kolmogorov-Smirnov
distance of single dimensions. For each, of_the_prior_95 is the value that 95 % of 40 pairs of samples of the
prior stay below, and p_value the fraction of these pairs with a larger value; it is small if the codes are
not distributed as the prior. The names train_mmd, ... are the same for as many training images; test images
may differ from these, for example if they are of other writers.

Adversarial training alone does not converge exactly: the distribution keeps moving around the prior.
Therefore the maximum mean discrepancy is added to the loss, with a weight that rises during training
(--kernel 0 leaves it out).

Measured (the first command, jax 0.10.2, 11 minutes on one core):

                              AE        AAE       --kernel 0    95 % of pairs of samples of the prior
    mmd, training codes       0.0824   -0.00001   0.00015       below 0.00006
    mmd, test codes           0.0824    0.00013   0.00026       below 0.00006
    largest_ks, training      0.34      0.0122                  below 0.0198
    largest_ks, test codes    0.340     0.0203    0.037         below 0.0198
    squared error             28.4      30.7      29.7
    neighbour_probe_error_rate 0.201     0.255     0.239

Codes of training images cannot be distinguished from the prior, neither by the kernel nor by a test that
was not trained for. Codes of test images, which are of other writers, nearly cannot: in two principal
components, without any training, 10,000 test images differ from as many training images by 0.00016 to
0.00037.

Lectures: adversarial autoencoders, the distribution of the hidden code; q(z) becomes p(z).
"""

import experiments  # noqa: F401  # isort: skip  (finds the packages, also for a script)

import dataclasses
import time
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxae
from experiments.shared import datasets, flags, from_flags, optimizers, running
from experiments.shared.tables import print_results
from jaxae.analysis.prior_comparison import make_prior_test, prior_kernel
from jaxae.distributions.kernels import Kernel
from jaxae.runs import charts, figures, inference, scatters
from jaxae.runs.command import command
from jaxae.runs.folder import Run

IMAGES = 1_200_000
"""Training images shown by default."""
LEAST, COMPARED, PAIRS = 20, 10_000, 40
"""Codes that are compared with the prior, at least and at most; pairs of samples of the prior."""
VOTERS, NEIGHBOURS = 10_000, 10
"""Training codes of the nearest-neighbour classifier, and the neighbours it uses."""
SCATTERED, SHOWN, GRID = 1500, 60, 20
"""Codes and samples in figures; images on each side of the decoded plane."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(flags.ModelConfig):
    """Flags of the adversarial autoencoder."""

    code: flags.LatentDim = 2
    """Use codes with this number of latent dimensions."""
    hidden: tuple[int, ...] | None = None
    """Give the encoder hidden layers of these widths, or these channels at each depth; the decoder
    has them in reverse. The default is 1000 500 for mlp, 32 64 for conv, and 32 64 128 for
    resnet."""
    epochs: int | None = None
    """Train for this number of passes over the training set. The default is as many as show 1.2
    million images (20 epochs of MNIST), but at most 400."""
    batch_size: int | None = None
    """Compute each training step on this number of examples, over all devices. The default is 256,
    or all examples if there are fewer."""
    learning_rate: float = 1e-3
    """Start with this learning rate of Adam for the encoder and the decoder."""
    discriminator_rate: float = 1e-3
    """Start with this learning rate of Adam for the discriminator."""
    prior: Literal["normal", "petals", "swiss_roll"] = "normal"
    """Let the codes follow this prior: N(0, I) (normal), ten normal distributions around a circle
    (petals), or a rolled-up band (swiss_roll)."""
    labels: int = 0
    """Tell the discriminator the class of this number of training images. Each class then has its
    own part of the prior, which has to be petals or swiss_roll."""
    weight: float = 40.0
    """Multiply the encoder's adversarial loss by this weight; the reconstruction error is in nats
    and has weight 1."""
    kernel: float = 1e5
    """Add the maximum mean discrepancy to the loss with this final weight, which is reached from a
    hundredth of it. With 0 there is adversarial training only."""
    r1: float = 0.0
    """Penalise the squared gradient of the discriminator at draws of the prior (R1 penalty) with
    this weight; the loss contains half of it."""
    ema: float = 0.999
    """Evaluate an exponential moving average of the parameters with this decay."""


def main(config: Config) -> dict[str, Any]:
    """Trains both autoencoders, tests and draws their codes, and writes the run folder."""
    started = time.perf_counter()
    check(config)
    data = datasets.load(config, hold_out=False, default=256)
    if len(data.test) < LEAST:
        raise ValueError(
            f"{len(data.test)} test images of {config.dataset} are too few to compare with a prior; "
            f"{LEAST} are needed"
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
            train = None
            if known is not None and name == "AAE":
                train = jaxae.Batch(data.train, label=jnp.asarray(known))
            fitted = running.fit(
                config,
                run.part(name),
                model,
                data,
                train=train,
                optimizer=optimizer,
                ema=config.ema,
                name=name,
            )
            params[name] = fitted.params
        codes = {
            name: inference.encode(model, params[name], data.test)
            for name, (model, _) in built.items()
        }
        results: dict[str, Any] = {}
        with running.stage(f"comparing {PAIRS} pairs of samples of the prior"):
            test = make_prior_test(
                prior,
                min(COMPARED, len(data.test)),
                key=jax.random.key(datasets.SAMPLE_SEED),
                kernel=make_kernel(prior),
                pairs=PAIRS,
            )
        for name, (model, _) in built.items():
            _, error = inference.squared_errors(model, params[name], data.test)
            results[f"{name}/squared_error"] = error
            results |= {f"{name}/{key}": value for key, value in test(codes[name]).items()}
            chosen = datasets.spread(len(data.train), len(data.test))
            images = np.asarray(datasets.as_trained(data, data.train[chosen]))
            train_codes = inference.encode(model, params[name], images)
            results |= {f"{name}/train_{key}": value for key, value in test(train_codes).items()}
            if classes:
                voters = datasets.spread(len(data.train), VOTERS)
                images = np.asarray(datasets.as_trained(data, data.train[voters]))
                voting = (
                    inference.encode(model, params[name], images),
                    np.asarray(data.labels[0])[voters],
                )
                results[f"{name}/neighbour_probe_error_rate"] = jaxae.analysis.neighbour_probe(
                    voting, (codes[name], np.asarray(data.labels[2])), neighbours=NEIGHBOURS
                )
        results["mean_image/squared_error"] = running.error_of_the_mean_image(data.test)
        shown = {name: model for name, (model, _) in built.items()}
        errors = {name: results[f"{name}/squared_error"] for name in built}
        draw(config, run, shown, params, codes, prior, data, errors)
        results["protocol"] = (
            f"{data.protocol}; squared_error summed over an image; mmd: squared, unbiased, inverse "
            f"multiquadric kernels, {min(COMPARED, len(data.test))} test codes and as many draws of the "
            f"prior, compared with {PAIRS} pairs of samples of the prior; neighbour_probe_error_rate: by the "
            f"nearest {NEIGHBOURS} of {min(VOTERS, len(data.train))} training codes"
        )
        return results

    def show(results: dict[str, Any]) -> None:
        print_results(
            f"{Path(config.dataset).name}, code {config.code}: codes compared with the prior",
            results,
            (
                *("train_mmd", "mmd", "mmd_of_the_prior_95", "train_largest_ks", "largest_ks"),
                *("largest_ks_of_the_prior_95", "squared_error", "neighbour_probe_error_rate"),
            ),
            {"AE": "AE", "AAE": "AAE"},
        )

    return running.conduct(
        "adversarial", config, data, work, show=show, started=started, part="AAE"
    )


def check(config: Config) -> None:
    """Raises for flags that are out of range or exclude each other."""
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
        raise ValueError(f"--prior {config.prior} has two dimensions and needs --code 2")
    if config.labels < 0:
        raise ValueError(f"--labels must not be negative, got {config.labels}")
    if config.labels and config.prior == "normal":
        raise ValueError("--labels needs a prior with classes: --prior petals or swiss_roll")


def make_prior(config: Config, classes: int) -> jaxae.Prior:
    """The prior that the flags select; it has one part for each class, or ten without --labels."""
    if config.prior == "normal":
        return jaxae.priors.standard_normal(config.code)
    make = jaxae.priors.petals if config.prior == "petals" else jaxae.priors.swiss_roll
    return make(classes if config.labels else 10)


def build(
    config: Config, data: datasets.Data, prior: jaxae.Prior
) -> dict[str, tuple[jaxae.Autoencoder, optax.GradientTransformation | None]]:
    """The autoencoders without and with an adversary, each with its optimizer; None for the default."""
    shape = data.train.shape[1:]
    if config.hidden is None and config.network == "mlp":
        config = dataclasses.replace(config, hidden=(1000, 500))
    default = "bernoulli" if shape[-1] == 1 else "gaussian"
    likelihood = from_flags.likelihood(config, default)
    from_flags.check_levels(config.likelihood or default, likelihood, data.train)
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
        rising = jaxae.objectives.exponential_schedule(config.kernel / 100, config.kernel, steps)
        game = jaxae.wasserstein(game, prior, weight=rising, kernel=make_kernel(prior))
    optimizer = optimizers.game_optimizer(config, data, discriminator=config.discriminator_rate)
    return {"AE": (plain, None), "AAE": (game, optimizer)}


def make_kernel(prior: jaxae.Prior) -> Kernel:
    """The kernel that codes and draws of the prior are compared by."""
    return prior_kernel(prior, jax.random.key(datasets.SAMPLE_SEED))


def draw(
    config: Config,
    run: Run,
    models: dict[str, jaxae.Autoencoder],
    params: dict[str, Any],
    codes: dict[str, np.ndarray],
    prior: jaxae.Prior,
    data: datasets.Data,
    errors: dict[str, float],
) -> None:
    """Draws codes and prior, samples, the decoded plane of the prior, and reconstructions."""
    title = f"{Path(config.dataset).name}, {config.code} latent dimensions"
    model, key = models["AAE"], jax.random.key(datasets.SAMPLE_SEED)
    drawn_key, sample_key = jax.random.split(key)
    chosen = datasets.spread(len(data.test), SCATTERED)
    drawn = np.asarray(prior.sample(drawn_key, len(chosen)))
    labels = None if data.labels[2] is None else np.asarray(data.labels[2])[chosen]
    if config.labels:
        drawn = np.asarray(prior.sample(drawn_key, len(chosen), condition=jnp.asarray(labels)))
    if config.code == 2:
        of_prior = labels if config.labels else None
        scatters.scatter(
            {
                "AE: codes without an adversary": codes["AE"][chosen],
                "AAE: codes with an adversary": codes["AAE"][chosen],
                f"draws of the prior ({config.prior.replace('_', ' ')})": drawn,
            },
            None if labels is None else [labels, labels, of_prior],
            run.figures / "codes.png",
            title=f"{title}: codes of test images and the prior",
            classes=data.classes,
        )
    charts.densities(
        {"AE": codes["AE"], "AAE": codes["AAE"], "prior": drawn},
        run.figures / "dimensions.png",
        title=f"{title}: distribution of each dimension of the codes of test images",
    )
    images = inference.decode(model, params["AAE"], prior.sample(sample_key, SHOWN))
    figures.grid(
        images, run.figures / "samples.png", title=f"AAE on {title}: decoded draws of the prior"
    )
    if config.code == 2 and config.prior == "normal":
        quantiles = jaxae.analysis.normal_quantiles(GRID)
        z = jaxae.analysis.plane(quantiles, quantiles)
        grid = jaxae.analysis.decode_grid(
            lambda z: jnp.asarray(inference.decode(model, params["AAE"], z)), z
        )
        figures.grid(
            np.asarray(grid).reshape(-1, *data.test.shape[1:]),
            run.figures / "plane.png",
            title=f"AAE on {title}: quantiles of the prior, decoded; all images are equally likely",
            columns=GRID,
        )
    x = datasets.choose(data)
    rows = {"test images": np.asarray(x)}
    for name, one in models.items():
        row = f"{name}\nsquared error {errors[name]:.1f}"
        rows[row] = inference.reconstruct(one, params[name], np.asarray(x))
    path = run.figures / "reconstructions.png"
    figures.rows(rows, path, title=f"{title}: reconstructions of test images")


if __name__ == "__main__":
    command(main, Config, __doc__)
