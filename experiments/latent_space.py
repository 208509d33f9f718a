"""What the space of codes is like: an autoencoder and a VAE side by side, with two relatives of each.

    python -m experiments.latent_space
    python -m experiments.latent_space --dataset mnist --code 2
    python -m experiments.latent_space --dataset mnist --code 16 --projector

Five models with the same networks: an autoencoder (AE), a denoising one (DAE), a contractive one (CAE),
a VAE, and a VAE whose KL divergence has no weight (VAE beta 0), which may make its posteriors as narrow
as it likes.

Regularity is measured, not only looked at. Continuity: how fast decoded images move when codes move,
relative to a straight line from one test image to another (1: as fast as that line on average), at codes
of test images ("on") and half-way between two of them ("off"); and how much larger than the average the
largest of 32 steps between two codes is ("jump"). Completeness: what comes out for codes that are drawn,
from N(0, I) ("prior") and from the normal distribution with the codes' mean and covariance ("fitted"):
how sure a classifier is of it, how near it is to test images (1: as near as those are to each other),
and precision and recall over balls around the images.

Measured (the second command, jax 0.10.2, 5.5 minutes on one core of two):

                          AE     DAE    CAE    VAE    VAE beta 0
    Lipschitz, on         7.19   5.80   5.01   3.67   5.39
    jump                  2.29   1.94   1.79   1.43   1.83
    precision, prior      0.94   0.93   0.88   1.00   1.00
    confidence, prior     0.90   0.90   0.88   0.93   0.89

(a test image: 0.98). With two dimensions all of them reconstruct alike, 28 to 29 of squared error, and draws
are blurred: recall is below 0.02 everywhere. Each class of digits is on the VAE's plane.

Lectures: the 2-d manifold and the codes coloured by class; interpolation in pixels and in codes; random
codes decoded, expectation and reality; regularity, measured; q(z | x) drawn at beta 0 and 1; the
embedding projector; AE against VAE.
"""

import dataclasses
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.stats import norm

import jaxae
from experiments.shared import datasets, flags, from_flags, optimizers, running
from experiments.shared.judge import Judge, certainty, flat
from jaxae.analysis.regularity import CARRIES
from jaxae.runs import charts, figures, inference
from jaxae.runs.command import command
from jaxae.runs.folder import Run
from jaxae.runs.projector import write_projector

IMAGES = 1_080_000
JUDGED, LINES, STRETCHED = 2000, 500, 500
"""How many images are drawn and judged, lines are walked, and codes have their Jacobian taken."""
STEPS = 32
SCATTERED, ELLIPSES, PROJECTED = 5000, 300, 10_000
COUNTS = (10, 30, 100, 300, 1000)
PROBED = 2000
SHOWN_DIMENSIONS = 12


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(flags.ModelConfig):
    """Flags of the report on the latent space."""

    code: int = 2
    """Size of the code."""
    hidden: tuple[int, ...] | None = None
    """Widths of the encoder's hidden layers, or its channels at each depth; the decoder mirrors
    them. By default 400 400; 32 64; or 32 64 128."""
    epochs: int | None = None
    """Passes over the training set; by default as many as show 1.08 million images (20 epochs of
    MNIST), and at most 200."""
    learning_rate: float = 1e-3
    """Of Adam, at the start."""
    likelihood: flags.LikelihoodName | None = None
    """What the decoders' outputs mean. By default bernoulli (cross-entropy) for one channel, and
    gaussian (half the squared error) for more; for the VAE as well."""
    noise: float = 0.3
    """Standard deviation of the noise on the images, for DAE."""
    contract: float = 0.3
    """Weight of the squared norm of the Jacobian, for CAE."""
    beta: float = 1.0
    """Weight of the KL divergence, for VAE."""
    grid: int = 20
    """Images on a side of the decoded plane."""
    projector: bool = False
    """Write the codes of test images for the embedding projector of TensorBoard and
    projector.tensorflow.org."""


class Trained(NamedTuple):
    """A model with its parameters, as functions of images and of codes.

    Attributes:
      model: the autoencoder.
      params: selected by validation.
      posterior: from images to means and log-variances of q(z | x); None without a posterior.
      codes: of all test images, `[n, d]`.
    """

    model: jaxae.Autoencoder
    params: Any
    posterior: Callable[[jax.Array], tuple[jax.Array, jax.Array]] | None
    codes: jax.Array

    def decode(self, z: jax.Array) -> jax.Array:
        """Images from codes, `[b, d]`."""
        return self.model.decode(self.params, z)


def models(config: Config, data: datasets.Data) -> dict[str, tuple[jaxae.Autoencoder, Any]]:
    """The models by name, each with the encoder of its posterior, if it has one."""
    shape = data.train.shape[1:]
    default = "bernoulli" if shape[-1] == 1 else "gaussian"
    likelihood = from_flags.likelihood(config, default)
    datasets.check_levels(config.likelihood or default, likelihood, data.train)
    if config.hidden is None and config.network == "mlp":
        config = dataclasses.replace(config, hidden=(400, 400))
    plain = jaxae.autoencoder(
        *from_flags.networks(config, shape, likelihood.outputs, config.code), likelihood
    )
    encoder, decoder = from_flags.networks(config, shape, likelihood.outputs, 2 * config.code)
    vae = partial(jaxae.vae, encoder, decoder, likelihood, latent_dim=config.code)
    return {
        "AE": (plain, None),
        "DAE": (jaxae.denoising(plain, jaxae.corruptions.gaussian(config.noise)), None),
        "CAE": (jaxae.contractive(plain, config.contract, mode="auto"), None),
        "VAE": (vae(beta=config.beta), encoder),
        "VAE beta 0": (vae(beta=0.0), encoder),
    }


def main(config: Config) -> dict[str, Any]:
    """Trains the models, measures and draws their latent spaces, and writes the run folder."""
    started = time.perf_counter()
    if config.code < 2:
        raise ValueError("--code 1 is a line, and this is about the plane and more; take 2")
    if config.grid < 2:
        raise ValueError(f"--grid must be at least 2, got {config.grid}")
    data = datasets.load(config)
    if len(data.test) < 20:
        raise ValueError(
            f"{len(data.test)} test images of {config.dataset} are too few to judge by"
        )
    config = optimizers.with_epochs(config, data, IMAGES, most=200)
    if classes := datasets.count_classes(data):
        datasets.check_labels(config, data)
    built = models(config, data)

    def work(run: Run) -> dict[str, Any]:
        trained = {}
        for name, (model, encoder) in built.items():
            fitted = running.fit(config, run.part(name.replace(" ", "-")), model, data)
            trained[name] = describe(model, encoder, fitted.params, data)
        results: dict[str, Any] = {}
        judge = None
        if classes:
            judge = Judge(config, run, data, jaxae.networks.mlp_encoder(256))
        if judge is not None:
            some = datasets.spread(len(data.test), 2 * JUDGED)
            seen = judge.probabilities(data.test[some])
            results |= {f"judge/test_{key}": value for key, value in certainty(seen).items()}
            wrong = np.argmax(seen, axis=1) != np.asarray(data.labels[2])[some]
            results["judge/test_error"] = float(wrong.mean())
        for name, one in trained.items():
            found = continuity(one, data) | completeness(one, judge, data)
            results |= {f"{name}/{key}": value for key, value in found.items()}
        results |= divergences(config, run, trained["VAE"], data)
        results |= probes(config, run, trained, data)
        draw(config, run, trained, data)
        if config.projector:
            project(run, trained, data)
        results["protocol"] = (
            f"{data.protocol}; squared_error summed over an image; lipschitz and jump as in "
            f"--help, over {min(STRETCHED, len(data.test))} codes and "
            f"{min(LINES, len(data.test))} lines; drawn images: {min(JUDGED, len(data.test) // 2)}, "
            "in pixels, precision and recall with 3 neighbours; probe errors in percent; active units "
            "and KL in nats by test images; moment_matched_kl: of the normal distribution with the mean "
            "and covariance of codes drawn from q(z | x), from the prior"
        )
        return results

    results = running.conduct("latent_space", config, data, work, started=started)
    print_table(results, list(built))
    return results


def describe(
    model: jaxae.Autoencoder, encoder: jaxae.Network | None, params: Any, data: datasets.Data
) -> Trained:
    """A trained model, and its codes of the test images."""
    posterior = None
    if encoder is not None:

        def posterior(x: jax.Array) -> tuple[jax.Array, jax.Array]:
            return jaxae.diagonal_posterior(encoder.apply(params["encoder"], x))

        posterior = jax.jit(posterior)
    codes = inference.encode(model, params, data.test)
    return Trained(model, params, posterior, codes)


def continuity(one: Trained, data: datasets.Data) -> dict[str, float]:
    """How fast and how evenly decoded images move when codes move."""
    order = jax.random.permutation(jax.random.key(datasets.TEST_SEED), len(one.codes))
    start, end = (one.codes[i] for i in (order, jnp.roll(order, 1)))
    # Equal images have equal codes, and nothing between them.
    apart = jnp.flatnonzero(jnp.linalg.norm(end - start, axis=1) > 0)[:LINES]
    if not len(apart):
        raise ValueError("all codes are equal: the encoder has collapsed, and there is no space")
    start, end = start[apart], end[apart]
    decoded = [one.decode(z).reshape(len(start), -1) for z in (start, end)]
    straight = jnp.linalg.norm(decoded[1] - decoded[0], axis=1).mean()
    unit = jnp.maximum(straight, 1e-30) / jnp.linalg.norm(end - start, axis=1).mean()

    # Parameters are arguments: a program that holds them as constants takes long to compile.
    @jax.jit
    def speeds(params: Any, start: jax.Array, end: jax.Array) -> jax.Array:
        return jaxae.analysis.path_speeds(
            partial(one.model.decode, params), start, end, steps=STEPS
        )

    @jax.jit
    def stretch(params: Any, z: jax.Array) -> jax.Array:
        return jaxae.analysis.lipschitz(partial(one.model.decode, params), z)

    speed = speeds(one.params, start, end)
    on, off = (stretch(one.params, z[:STRETCHED]) / unit for z in (start, (start + end) / 2))
    return {
        "squared_error": inference.squared_errors(one.model, one.params, data.test)[0],
        "lipschitz_on": float(on.mean()),
        "lipschitz_off": float(off.mean()),
        "lipschitz_largest": float(jnp.maximum(on.max(), off.max())),
        "jump": float(jnp.mean(speed.max(axis=1) / jnp.maximum(speed.mean(axis=1), 1e-30))),
    }


def completeness(one: Trained, judge: Judge | None, data: datasets.Data) -> dict[str, float]:
    """What comes out for codes that are drawn."""
    n = min(JUDGED, len(data.test) // 2)
    chosen = np.random.default_rng(datasets.TEST_SEED).permutation(len(data.test))
    # As many on each side of every comparison: nearer is what has more to choose from.
    real, others = flat(data.test[chosen[:n]]), flat(data.test[chosen[n : 2 * n]])
    apart = np.mean(jaxae.analysis.nearest(others, real).distance)
    results: dict[str, float] = {}
    for name, z in drawn_codes(one, n).items():
        images = inference.decode(one.model, one.params, z)
        quality = jaxae.analysis.precision_recall(real, flat(images))
        results |= {
            f"{name}_precision": quality.precision,
            f"{name}_recall": quality.recall,
        }
        if apart > 0:  # not where test images are copies of each other
            near = np.mean(jaxae.analysis.nearest(flat(images), real).distance)
            results[f"{name}_nearest"] = float(near / apart)
        if judge is not None:
            seen = certainty(judge.probabilities(images))
            results |= {f"{name}_{key}": value for key, value in seen.items()}
    return results


def drawn_codes(one: Trained, n: int) -> dict[str, jax.Array]:
    """Codes from N(0, I), and from the normal distribution that is fitted to the codes."""
    key = jax.random.key(datasets.SAMPLE_SEED)
    return {
        "prior": jax.random.normal(key, (n, one.codes.shape[1])),
        "fitted": jaxae.analysis.draw_like(key, one.codes, n),
    }


def divergences(config: Config, run: Run, vae: Trained, data: datasets.Data) -> dict[str, Any]:
    """The KL divergence of each dimension, the units in use, and all codes against the prior."""
    assert vae.posterior is not None
    batches = range(0, len(data.test), 1000)
    found = [vae.posterior(jaxae.as_float(data.test[i : i + 1000])) for i in batches]
    mean, log_var = (jnp.concatenate(parts) for parts in zip(*found, strict=True))
    kl = np.asarray(
        jaxae.distributions.kl_standard_normal_per_dimension(mean, log_var).mean(axis=0)
    )
    active = jaxae.analysis.active_units(mean)
    # The aggregated posterior: a code drawn for each image, whatever the image.
    z = mean + jnp.exp(0.5 * log_var) * jax.random.normal(
        jax.random.key(datasets.TEST_SEED), mean.shape
    )
    d = z.shape[1]
    name = Path(config.dataset).name
    charts.bars(
        np.sort(kl)[::-1],
        run.figures / "kl_per_dimension.png",
        title=f"VAE on {name}: what each dimension carries",
        xlabel="latent dimension, the richest first",
        ylabel="KL divergence (nats)",
        level=CARRIES,
    )
    shown = np.argsort(-kl)[: min(4, d)]
    x = np.linspace(-4, 4, 161)
    charts.histograms(
        {f"$z_{{{i + 1}}}$": np.asarray(z[:, i]) for i in shown},
        run.figures / "aggregated_posterior.png",
        title=f"VAE on {name}: codes drawn from q(z | x), over all test images",
        xlabel="value",
        density=("prior N(0, 1)", x, norm.pdf(x)),
    )
    results: dict[str, Any] = {
        "VAE/kl": float(kl.sum()),
        "VAE/active_units": int(active.sum()),
        "VAE/collapse": jaxae.analysis.collapse_report(kl),
    }
    if len(z) > 10 * d:  # else the covariance is noise
        matched = jaxae.distributions.kl_normal(
            z.mean(axis=0), jnp.cov(z.T), jnp.zeros(d), jnp.eye(d)
        )
        results["VAE/moment_matched_kl"] = float(matched)
    return results


def probes(
    config: Config, run: Run, trained: dict[str, Trained], data: datasets.Data
) -> dict[str, float]:
    """Test errors of classifiers that see a few labelled codes, and of the same on pixels."""
    if data.labels[0] is None or data.labels[2] is None:
        return {}
    labels, test_labels = data.labels[0], data.labels[2]
    some, tested = (
        datasets.spread(len(data.train), 10 * PROBED),
        datasets.spread(len(data.test), PROBED),
    )
    classes = len(np.unique(labels[some]))
    counts = [count for count in COUNTS if classes <= count <= len(some)]
    if not counts:
        return {}
    seen = np.asarray(datasets.as_trained(data, data.train[some]))
    features = {"pixels": (flat(seen), flat(data.test[tested]))}
    for name in ("AE", "VAE"):
        one = trained[name]
        codes = inference.encode(one.model, one.params, seen)
        features[name] = np.asarray(codes), np.asarray(one.codes)[tested]
    kinds = {
        "linear": partial(jaxae.analysis.linear_probe, regularization=(1.0,)),
        "nearest": partial(jaxae.analysis.neighbour_probe, neighbours=1),
    }
    results: dict[str, float] = {}
    curves: dict[str, list[float]] = {}
    for name, (train, test) in features.items():
        for kind, probe in kinds.items():
            errors = jaxae.analysis.label_efficiency(
                (train, labels[some]), (test, test_labels[tested]), counts, probe=probe, draws=3
            )
            curves[f"{name}, {kind}"] = (100 * errors.mean(axis=1)).tolist()
            for count, error in zip(counts, curves[f"{name}, {kind}"], strict=True):
                results[f"{name}/{kind}_probe_error_{count}"] = error
    charts.lines(
        counts,
        curves,
        run.figures / "label_efficiency.png",
        title=f"{Path(config.dataset).name}: classifiers on codes of {config.code}, and on pixels",
        xlabel="labelled images",
        ylabel="test error (%)",
        logarithmic=True,
    )
    return results


def draw(config: Config, run: Run, trained: dict[str, Trained], data: datasets.Data) -> None:
    """All pictures but those that come with a measurement."""
    name = Path(config.dataset).name
    pair = {key: trained[key] for key in ("AE", "VAE")}
    draw_codes(config, run, pair, data)
    draw_posteriors(config, run, trained, data)
    draw_plane(config, run, pair)
    if config.code > 2:
        draw_traversals(config, run, pair)
    draw_interpolation(config, run, pair, data)
    z = jax.random.normal(jax.random.key(datasets.SAMPLE_SEED), (30, config.code))
    figures.panels(
        {
            f"{key}: {said}": np.asarray(one.decode(z)).reshape(5, 6, *data.test.shape[1:])
            for (key, one), said in zip(
                pair.items(), ("not trained for it", "trained for it"), strict=True
            )
        },
        run.figures / "random_codes.png",
        title=f"{name}: the same random codes, from N(0, I), decoded",
    )


def plane_of(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean, and the two principal directions of codes, `[2, d]`; the axes themselves in 2-d."""
    if codes.shape[1] == 2:
        return np.zeros(2), np.eye(2)
    found = jaxae.models.principal_components(codes, 2)
    return np.asarray(found.mean).ravel(), np.asarray(found.components)


def axis_names(config: Config) -> tuple[str, str]:
    """What is drawn: the code itself, or its principal components."""
    if config.code == 2:
        return "$z_1$", "$z_2$"
    return "first principal component", "second principal component"


def said_of(config: Config) -> str:
    """What a title says of codes that do not fit into the plane."""
    return "" if config.code == 2 else f" (PCA of codes of {config.code} dimensions)"


def draw_codes(config: Config, run: Run, pair: dict[str, Trained], data: datasets.Data) -> None:
    """Codes of test images, coloured by class."""
    some = datasets.spread(len(data.test), SCATTERED)
    points = {}
    for key, one in pair.items():
        codes = np.asarray(one.codes)
        mean, directions = plane_of(codes)
        points[key] = (codes[some] - mean) @ directions.T
    labels = data.labels[2]
    charts.scatter(
        points,
        None if labels is None else labels[some],
        run.figures / "codes.png",
        title=f"{Path(config.dataset).name}: codes of test images{said_of(config)}",
        names=axis_names(config),
    )


def draw_posteriors(
    config: Config, run: Run, trained: dict[str, Trained], data: datasets.Data
) -> None:
    """The probability balls q(z | x) at beta 0 and at beta 1, in the first two dimensions."""
    some = datasets.spread(len(data.test), ELLIPSES)
    shown = {}
    for key in ("VAE beta 0", "VAE"):
        posterior = trained[key].posterior
        assert posterior is not None
        mean, log_var = map(np.asarray, posterior(jaxae.as_float(data.test[some])))
        # Of many dimensions the two that vary most.
        two = np.sort(np.argsort(-mean.var(axis=0))[:2])
        beta = "0" if key == "VAE beta 0" else f"{config.beta:g}"
        label = f"beta = {beta}" + (
            "" if config.code == 2 else f", dimensions {two[0] + 1} and {two[1] + 1}"
        )
        shown[label if label not in shown else f"{label} (VAE)"] = (
            mean[:, two],
            np.exp(0.5 * log_var[:, two]),
        )
    labels = data.labels[2]
    charts.ellipses(
        shown,
        None if labels is None else labels[some],
        run.figures / "posteriors.png",
        title=f"{Path(config.dataset).name}: q(z | x) of {len(some)} test images, two standard "
        "deviations (dashed: the prior's)",
        names=("first of them", "second of them") if config.code > 2 else axis_names(config),
    )


def draw_plane(config: Config, run: Run, pair: dict[str, Trained]) -> None:
    """The plane, decoded: the range of the codes for an AE, equal probability for a VAE."""
    shown = {}
    for key, one in pair.items():
        codes = np.asarray(one.codes)
        mean, directions = plane_of(codes)
        points = (codes - mean) @ directions.T
        if key == "VAE" and config.code == 2:
            side = jaxae.analysis.normal_quantiles(config.grid)
            grid = jaxae.analysis.plane(side, side)
            label = "VAE: equal probability of the prior"
        else:
            low, high = np.quantile(points, [0.01, 0.99], axis=0)
            sides = [jnp.linspace(a, b, config.grid) for a, b in zip(low, high, strict=True)]
            grid = jaxae.analysis.plane(*sides)
            label = f"{key}: the range of its codes"
        shown[label] = np.asarray(jaxae.analysis.decode_grid(one.decode, grid @ directions + mean))
    first, second = axis_names(config)
    figures.panels(
        shown,
        run.figures / "manifold.png",
        title=f"{Path(config.dataset).name}: the plane of codes, decoded{said_of(config)}",
        axes={label: (f"{first} \u2192", f"{second} \u2192") for label in shown},
    )


def draw_traversals(config: Config, run: Run, pair: dict[str, Trained]) -> None:
    """One dimension at a time, through its range, the others at their means."""
    shown = {}
    for key, one in pair.items():
        low, high = np.quantile(np.asarray(one.codes), [0.01, 0.99], axis=0)
        values = jnp.linspace(low, high, 9).T
        codes = jaxae.analysis.traversals(one.codes.mean(axis=0), values)
        richest = np.argsort(-np.asarray(one.codes).var(axis=0))[:SHOWN_DIMENSIONS]
        label = f"{key}: {len(richest)} of {config.code} dimensions, the widest first"
        shown[label] = np.asarray(jaxae.analysis.decode_grid(one.decode, codes[richest]))
    figures.panels(
        shown,
        run.figures / "traversals.png",
        title=f"{Path(config.dataset).name}: one dimension at a time, through 98 % of its codes",
    )


def draw_interpolation(
    config: Config, run: Run, pair: dict[str, Trained], data: datasets.Data
) -> None:
    """From one test image to another: in pixels, in codes, and on the sphere."""
    labels = data.labels[2]
    some = datasets.spread(len(data.test), 100)
    first = some[0]
    other = some[len(some) // 2]
    if labels is not None and (labels[some] != labels[first]).any():
        other = next(i for i in some if labels[i] != labels[first])
    ends = jaxae.as_float(data.test[[first, other]])
    t = jnp.linspace(0, 1, 11)
    rows = {"pixels": np.asarray(jaxae.analysis.lerp(ends[0], ends[1], t))}
    for key, one in pair.items():
        a, b = one.codes[first], one.codes[other]
        rows[f"{key}, linear"] = np.asarray(one.decode(jaxae.analysis.lerp(a, b, t)))
        if key == "VAE":
            rows["VAE, spherical"] = np.asarray(one.decode(jaxae.analysis.slerp(a, b, t)))
    name = Path(config.dataset).name
    title = f"{name}: from one test image to another, codes of {config.code}"
    figures.rows(rows, run.figures / "interpolation.png", title=title)


def project(run: Run, trained: dict[str, Trained], data: datasets.Data) -> None:
    """Files for the embedding projector, for each of the models."""
    some = datasets.spread(len(data.test), PROJECTED)
    labels = None if data.labels[2] is None else data.labels[2][some]
    for name in ("AE", "VAE"):
        codes = np.asarray(trained[name].codes)[some]
        folder = run.directory / "projector" / name
        write_projector(folder, codes, data.test[some], labels, name=f"{name} codes")


MEASURES = {
    "squared error of a test image": "squared_error",
    "Lipschitz, on": "lipschitz_on",
    "Lipschitz, off": "lipschitz_off",
    "Lipschitz, largest": "lipschitz_largest",
    "jump": "jump",
    "confidence, prior": "prior_confidence",
    "confidence, fitted": "fitted_confidence",
    "nearest, prior": "prior_nearest",
    "nearest, fitted": "fitted_nearest",
    "precision, prior": "prior_precision",
    "precision, fitted": "fitted_precision",
    "recall, prior": "prior_recall",
    "recall, fitted": "fitted_recall",
}


def print_table(results: dict[str, Any], names: list[str]) -> None:
    """Regularity, a column for each model."""
    table = Table("", *names, title="Continuity and completeness")
    for title, key in MEASURES.items():
        if f"{names[0]}/{key}" in results:
            found = [results.get(f"{name}/{key}") for name in names]
            table.add_row(title, *("-" if value is None else f"{value:.3g}" for value in found))
    Console().print(table)
    Console().print(f"VAE: {results['VAE/collapse']}", highlight=False)


if __name__ == "__main__":
    command(main, Config, __doc__)
