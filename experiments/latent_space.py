"""Latent spaces of five models: how regular they are, and what their codes tell about the images.

    python -m experiments.latent_space
    python -m experiments.latent_space --dataset mnist --code 2
    python -m experiments.latent_space --dataset mnist --code 16 --projector

The models have the same networks: an autoencoder (AE), a denoising one (DAE), a contractive one (CAE), a VAE,
and a VAE without a weight on the KL divergence (VAE beta 0), so that its posteriors can become narrow.

Two properties of a regular latent space are measured. Continuity: the Lipschitz constant of the decoder
relative to the mean speed along straight lines between test images (1 is the speed of the line), at codes of
test images ("on") and halfway between two of them ("off"); and the largest of 32 steps between two codes
relative to their mean ("jump"). Completeness: how realistic decoded random codes are, from N(0, I) ("prior")
and from the normal distribution with the mean and covariance of the codes ("fitted"): the confidence of a
classifier, the distance to the nearest test image (1 is that of other test images), and precision and recall
over balls around the images.

Measured (the second command, jax 0.10.2, 5.5 minutes on one core of two):

                          AE     DAE    CAE    VAE    VAE beta 0
    Lipschitz, on         7.19   5.80   5.01   3.67   5.39
    jump                  2.29   1.94   1.79   1.43   1.83
    precision, prior      0.94   0.93   0.88   1.00   1.00
    confidence, prior     0.90   0.90   0.88   0.93   0.89

The confidence for test images is 0.98. With two dimensions all models have a similar squared error, 28 to 29,
and decoded draws are blurred: recall is below 0.02 for all of them. The plane of the VAE shows every class.

Lectures: the 2-d manifold and codes coloured by class; interpolation in pixels and in codes; random codes
decoded, expectation and reality; measured regularity; q(z | x) at beta 0 and 1; the embedding projector; AE
compared with VAE.
"""

import experiments  # noqa: F401  # isort: skip  (finds the packages, also for a script)

import dataclasses
import time
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxae
from experiments.shared import datasets, flags, from_flags, latent_figures, optimizers, running
from experiments.shared.judge import flat, train_judge
from experiments.shared.latent_figures import Trained, decode_images
from experiments.shared.tables import print_results
from jaxae.analysis.generation_report import ImageClassifier, certainty
from jaxae.analysis.latent_report import Continuity, completeness, continuity
from jaxae.runs import curves, inference
from jaxae.runs.command import command
from jaxae.runs.folder import Run
from jaxae.runs.projector import write_projector
from jaxae.runs.style import class_name
from jaxae.runtime import processes

IMAGES = 1_080_000
"""Training images shown by default."""
JUDGED, LINES, STEPS = 2000, 500, 32
"""Decoded draws that are judged; lines between codes, and steps on each."""
COUNTS, PROBED = (10, 30, 100, 300, 1000), 2000
"""Labelled images that classifiers of codes are trained on, and test images they are evaluated on."""
PROJECTED = 10_000
"""Codes that are written for the embedding projector, at most."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(flags.ModelConfig):
    """Flags of the latent space experiment."""

    code: flags.LatentDim = 2
    """Use codes with this number of latent dimensions."""
    hidden: tuple[int, ...] | None = None
    """Give the encoder hidden layers of these widths, or these channels at each depth; the decoder
    has them in reverse. The default is 400 400 for mlp, 32 64 for conv, and 32 64 128 for
    resnet."""
    epochs: int | None = None
    """Train for this number of passes over the training set. The default is as many as show 1.08
    million images (20 epochs of MNIST), but at most 200."""
    learning_rate: float = 1e-3
    """Start with this learning rate of the optimizer Adam."""
    likelihood: flags.LikelihoodName | None = None
    """Describe pixels by this distribution, given the outputs of the decoder. The default is
    bernoulli (cross-entropy) for one channel and gaussian (half the squared error) for more, for
    all models."""
    noise: float = 0.3
    """Train the DAE with noise of this standard deviation."""
    contract: float = 0.3
    """Penalise the squared Jacobian norm with this weight in the loss of the CAE."""
    beta: float = 1.0
    """Give the KL divergence this weight in the loss of the VAE."""
    grid: int = 20
    """Show this number of images on each side of the decoded plane."""
    projector: bool = False
    """Write the codes of test images as files for the embedding projector of TensorBoard and
    projector.tensorflow.org."""


def models(config: Config, data: datasets.Data) -> dict[str, jaxae.Autoencoder]:
    """The models by name."""
    shape = data.train.shape[1:]
    default = "bernoulli" if shape[-1] == 1 else "gaussian"
    likelihood = from_flags.likelihood(config, default)
    from_flags.check_levels(config.likelihood or default, likelihood, data.train)
    if config.hidden is None and config.network == "mlp":
        config = dataclasses.replace(config, hidden=(400, 400))
    plain = jaxae.autoencoder(
        *from_flags.networks(config, shape, likelihood.outputs, config.code), likelihood
    )
    encoder, decoder = from_flags.networks(config, shape, likelihood.outputs, 2 * config.code)
    vae = partial(jaxae.vae, encoder, decoder, likelihood, latent_dim=config.code)
    return {
        "AE": plain,
        "DAE": jaxae.denoising(plain, jaxae.corruptions.gaussian(config.noise)),
        "CAE": jaxae.contractive(plain, config.contract, mode="auto"),
        "VAE": vae(beta=config.beta),
        "VAE beta 0": vae(beta=0.0),
    }


def main(config: Config) -> dict[str, Any]:
    """Trains the models, measures and draws their latent spaces, and writes the run folder."""
    started = time.perf_counter()
    if config.code < 2:
        raise ValueError("--code must be at least 2, because planes of codes are drawn")
    if config.grid < 2:
        raise ValueError(f"--grid must be at least 2, got {config.grid}")
    data = datasets.load(config)
    if len(data.test) < 20:
        raise ValueError(
            f"{len(data.test)} test images of {config.dataset} are too few; the measures need 20"
        )
    config = optimizers.with_epochs(config, data, IMAGES, most=200)
    if classes := datasets.count_classes(data):
        datasets.check_labels(config, data)
    built = models(config, data)

    def work(run: Run) -> dict[str, Any]:
        trained = {}
        for name, model in built.items():
            part = run.part(name.replace(" ", "-"))
            params = running.fit(config, part, model, data, name=name).params
            codes = jnp.asarray(inference.encode(model, params, data.test))
            trained[name] = Trained(model, params, codes)
        results: dict[str, Any] = {}
        judge = None
        if classes:
            judge = train_judge(config, run, data, jaxae.networks.mlp_encoder(256))
            chosen = datasets.spread(len(data.test), 2 * JUDGED)
            predicted = judge.probabilities(data.test[chosen])
            results |= {f"judge/{key}": value for key, value in certainty(predicted).items()}
            wrong = np.argmax(predicted, axis=1) != np.asarray(data.labels[2])[chosen]
            results["judge/error_rate"] = float(wrong.mean())
        for name, one in trained.items():
            with running.stage(f"{name}: measuring continuity and completeness"):
                found = measure_regularity(one, judge, data)
            results |= {f"{name}/{key}": value for key, value in found.items()}
        results |= divergences(config, run, trained["VAE"], data)
        with running.stage("training classifiers of codes"):
            results |= probes(config, run, trained, data)
        with running.stage("drawing"):
            draw(config, run, trained, data)
        results["mean_image/squared_error"] = running.error_of_the_mean_image(data.test)
        if config.projector:
            project(run, trained, data)
        results["protocol"] = (
            f"{data.protocol}; squared_error summed over an image; lipschitz and jump as in --help, over "
            f"{min(LINES, len(data.test))} codes and as many lines; drawn images: "
            f"{min(JUDGED, len(data.test) // 2)}, in pixels, precision and recall with 3 neighbours; probe "
            "error rates are fractions of test images; active units, and the rate in nats, of test images; "
            "moment_matched_kl: the KL divergence from the prior of the normal distribution with the mean "
            "and covariance of codes drawn from q(z | x)"
        )
        return results

    def show(results: dict[str, Any]) -> None:
        print_results(
            f"{Path(config.dataset).name}, code {config.code}: continuity and completeness",
            results,
            (
                *("squared_error", "lipschitz_on", "lipschitz_off", "jump", "prior_precision"),
                *("prior_recall", "prior_confidence", "fitted_precision", "fitted_recall"),
            ),
            {name: name for name in built},
        )
        if processes.is_first():
            print(f"VAE: {results['VAE/collapse']}")

    return running.conduct(
        "latent_space", config, data, work, show=show, started=started, part="VAE"
    )


def measure_regularity(
    one: Trained, judge: ImageClassifier | None, data: datasets.Data
) -> dict[str, float | None]:
    """Reconstruction error, continuity and completeness of a model."""
    _, error = inference.squared_errors(one.model, one.params, data.test)
    results: dict[str, float | None] = dict.fromkeys(Continuity._fields)
    if jnp.any(one.codes != one.codes[0]):  # there is no line between equal codes
        smooth = continuity(
            partial(decode_images, one.model),
            one.params,
            one.codes,
            key=jax.random.key(datasets.TEST_SEED),
            lines=LINES,
            steps=STEPS,
        )
        results |= smooth._asdict()
    results["squared_error"] = error
    n = min(JUDGED, len(data.test) // 2)
    chosen = np.random.default_rng(datasets.TEST_SEED).permutation(len(data.test))
    # Equally many images on both sides of each comparison: distances depend on their number.
    real, others = flat(data.test[chosen[:n]]), flat(data.test[chosen[n : 2 * n]])
    for name, z in drawn_codes(one.codes, n).items():
        images = inference.decode(one.model, one.params, z)
        found = completeness(flat(images), real, others)
        if judge is not None:
            found |= certainty(judge.probabilities(images))
        results |= {f"{name}_{key}": value for key, value in found.items()}
    return results


def drawn_codes(codes: jax.Array, n: int) -> dict[str, jax.Array]:
    """Codes from N(0, I), and from a normal distribution fitted to `codes`."""
    key = jax.random.key(datasets.SAMPLE_SEED)
    return {
        "prior": jax.random.normal(key, (n, codes.shape[1])),
        "fitted": jaxae.analysis.draw_like(key, codes, n),
    }


def divergences(config: Config, run: Run, vae: Trained, data: datasets.Data) -> dict[str, Any]:
    """The KL divergence of each dimension, the active units, and all codes compared with the prior."""
    mean, log_var = vae.posterior(data.test)
    kl = np.asarray(
        jaxae.distributions.kl_standard_normal_per_dimension(mean, log_var).mean(axis=0)
    )
    active = jaxae.analysis.active_units(mean)
    # Draws from the aggregated posterior: one code for each image.
    z = mean + jnp.exp(0.5 * log_var) * jax.random.normal(
        jax.random.key(datasets.TEST_SEED), mean.shape
    )
    latent_figures.draw_divergences(config, run, kl, z)
    d = z.shape[1]
    results: dict[str, Any] = {
        "VAE/rate": float(kl.sum()),
        "VAE/active_units": int(active.sum()),
        "VAE/collapse": jaxae.analysis.collapse_report(kl),
    }
    if len(z) > 10 * d:  # from fewer codes the covariance is too inaccurate
        matched = jaxae.distributions.kl_normal(
            z.mean(axis=0), jnp.cov(z.T), jnp.zeros(d), jnp.eye(d)
        )
        results["VAE/moment_matched_kl"] = float(matched)
    return results


def probes(
    config: Config, run: Run, trained: dict[str, Trained], data: datasets.Data
) -> dict[str, float]:
    """Test errors of classifiers trained on the codes of a few labelled images, and on their pixels."""
    if data.labels[0] is None or data.labels[2] is None:
        return {}
    labels, test_labels = data.labels[0], data.labels[2]
    chosen = datasets.spread(len(data.train), 10 * PROBED)
    tested = datasets.spread(len(data.test), PROBED)
    classes = len(np.unique(labels[chosen]))
    counts = [count for count in COUNTS if classes <= count <= len(chosen)]
    if not counts:
        return {}
    images = np.asarray(datasets.as_trained(data, data.train[chosen]))
    features = {"pixels": (flat(images), flat(data.test[tested]))}
    for name in ("AE", "VAE"):
        one = trained[name]
        codes = inference.encode(one.model, one.params, images)
        features[name] = codes, np.asarray(one.codes)[tested]
    kinds = {
        "linear": partial(jaxae.analysis.linear_probe, regularization=(1.0,)),
        "nearest": partial(jaxae.analysis.neighbour_probe, neighbours=1),
    }
    results: dict[str, float] = {}
    percent: dict[str, list[float]] = {}
    for name, (train, test) in features.items():
        for kind, probe in kinds.items():
            errors = jaxae.analysis.label_efficiency(
                (train, labels[chosen]), (test, test_labels[tested]), counts, probe=probe, draws=3
            )
            what = name if name == "pixels" else f"{name} codes"
            curve = f"{what}, {'linear' if kind == 'linear' else 'nearest neighbour'}"
            percent[curve] = (100 * errors.mean(axis=1)).tolist()
            for count, error in zip(counts, percent[curve], strict=True):
                results[f"{name}/{kind}_probe_error_rate_{count}"] = error / 100
    curves.lines(
        counts,
        percent,
        run.figures / "label_efficiency.png",
        title=f"{Path(config.dataset).name}: classifiers of pixels and of codes with {config.code} "
        "latent dimensions",
        xlabel="number of labelled images",
        ylabel="test error (%)",
        logarithmic=True,
    )
    return results


def draw(config: Config, run: Run, trained: dict[str, Trained], data: datasets.Data) -> None:
    """Draws the figures that do not belong to a measurement."""
    pair = {key: trained[key] for key in ("AE", "VAE")}
    latent_figures.draw_codes(config, run, pair, data)
    zero, one = trained["VAE beta 0"], trained["VAE"]
    label = f"VAE, beta = {config.beta:g}" if config.beta else "VAE, beta = 0 (the same flags)"
    latent_figures.draw_posteriors(config, run, {"VAE, beta = 0": zero, label: one}, data)
    latent_figures.draw_plane(config, run, pair, config.grid)
    if config.code > 2:
        latent_figures.draw_traversals(config, run, pair)
    latent_figures.draw_interpolation(config, run, pair, data)
    latent_figures.draw_random_codes(config, run, pair, data)


def project(run: Run, trained: dict[str, Trained], data: datasets.Data) -> None:
    """Writes files for the embedding projector."""
    chosen = datasets.spread(len(data.test), PROJECTED)
    labels = None if data.labels[2] is None else data.labels[2][chosen]
    if labels is not None and data.classes:
        labels = np.asarray([class_name(int(label), data.classes) for label in labels])
    for name in ("AE", "VAE"):
        codes = np.asarray(trained[name].codes)[chosen]
        folder = run.directory / "projector" / name
        write_projector(folder, codes, data.test[chosen], labels, name=f"{name} codes")


if __name__ == "__main__":
    command(main, Config, __doc__)
