"""VAE, GAN, VAE-GAN and Wasserstein autoencoder with one decoder: samples side by side, and a table.

    python -m experiments.gan --dataset mnist
    python -m experiments.gan --dataset fashion_mnist
    python -m experiments.gan --dataset mnist --inception inception.npz

Five models see equally many images and have the same decoder: a VAE; a GAN, whose generator it is; a
VAE-GAN, which compares images in the features of its discriminator; a Wasserstein autoencoder (WAE); and
an autoencoder (AE) that gets a prior after the fact, a mixture of normal distributions fitted to its codes.

All figures are about as many samples as there are test images. The classifier that judges them is trained
here, on the training images with their labels: `fid_mnist_cnn` is the Fréchet distance over its features,
which is not the FID of papers (that one is over features of the Inception network: --inception). `classes`
is how many of them it sees at least a fifth as often as in test images. `sharpness` is the variance of the
Laplacian, `nearest_training_image` the distance in pixels to the nearest training image (1: as far as a
test image). The row "data" is of training images beside the test images.

Measured (the first command, jax 0.10.2, 39 minutes on two cores that tests were using as well):

                         VAE     GAN     VAE-GAN  WAE     AE      data
    sharpness            0.067   0.199   0.198    0.098   0.104   0.186
    fid_mnist_cnn        686     317     384      592     45      16
    precision            0.58    0.40    0.47     0.52    0.82    0.86
    recall               0.78    0.66    0.83     0.77    0.77    0.88
    confidence           0.83    0.87    0.84     0.82    0.96    0.99
    classes              10      10      10       10      10      10
    squared_error        7.1     -       15.5     6.9     7.0

Samples of the GAN and the VAE-GAN are as sharp as images are, those of the others are means. The prior after
the fact is the best by every other measure: it is fitted to where the codes are.

Lectures: VAE against GAN (the same decoder, samples side by side, sharpness).
"""

import dataclasses
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from rich.console import Console
from rich.table import Table

import jaxae
from experiments.shared import datasets, flags, from_flags, optimizers, running
from experiments.shared.judge import Judge, flat, make_fidelity
from jaxae.runs import figures, inference
from jaxae.runs.command import command
from jaxae.runs.folder import Run

IMAGES = 780_000
SAMPLES, SHOWN = 10_000, 12
"""How many samples are judged at most, and how many are shown."""
FEATURES, SLOPE_EVERY = 64, 8
"""What discriminators and the judge see of an image, and how often the slope is computed."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(flags.ModelConfig):
    """Flags of the comparison."""

    network: flags.NetworkName = "conv"
    """Strided convolutions, fully connected, or residual blocks: of encoders, the decoder, and the
    discriminators."""
    code: int = 16
    """Size of the code."""
    epochs: int | None = None
    """Passes over the training set; by default as many as show each model 780,000 images (13
    epochs of MNIST), and at most 400."""
    learning_rate: float = 1e-3
    """Of Adam, at the start, for VAE, WAE and AE."""
    game_rate: float = 5e-4
    """Of Adam, at the start, for both players of GAN and VAE-GAN."""
    critic_steps: int = 1
    """Steps of the discriminator for each one of all other networks, of GAN and VAE-GAN."""
    r1: float = 1.0
    """Weight of the discriminator's squared slope at real images (halved)."""
    average: float = 0.999
    """Decay of the average of the parameters, for GAN and VAE-GAN."""
    beta: float = 1.0
    """Weight of the VAE-GAN's KL divergence."""
    adversarial: float = 300.0
    """Weight of the game for the VAE-GAN's decoder."""
    feature_scale: float = 0.15
    """Standard deviation of the features for the VAE-GAN: smaller, nearer reconstructions."""
    mmd: float = 1000.0
    """Weight of the WAE's discrepancy."""
    components: int = 20
    """Normal distributions in the mixture of the AE's codes."""
    inception: str | None = None
    """Weights of the Inception network in an .npz file, for the FID itself (hours on a CPU)."""


class Player(NamedTuple):
    """A model and how it is trained: with one optimizer, or with one for each player of a game."""

    model: jaxae.Autoencoder
    optimizer: optax.GradientTransformation | None = None
    average: float | None = None


def build(config: Config, data: datasets.Data) -> dict[str, Player]:
    """The models by name."""
    shape = data.train.shape[1:]
    if config.likelihood not in (None, "bernoulli"):
        raise ValueError(
            "--likelihood: the generators end in a sigmoid, and the likelihood is bernoulli"
        )
    likelihood = from_flags.likelihood(config, "bernoulli")
    encoder, decoder = from_flags.networks(config, shape, 1, config.code)
    probabilistic, _ = from_flags.networks(config, shape, 1, 2 * config.code)
    critic, _ = from_flags.networks(config, shape, 1, 1, activation=leaky_relu)
    features, _ = from_flags.networks(config, shape, 1, FEATURES, activation=leaky_relu)
    normal = jaxae.priors.standard_normal(config.code)
    plain = jaxae.autoencoder(encoder, decoder, likelihood)
    settings = dataclasses.replace(config, learning_rate=config.game_rate)
    game = optimizers.game_optimizer(
        settings, data, critic_steps=config.critic_steps, discriminator=config.game_rate
    )
    return {
        "VAE": Player(jaxae.vae(probabilistic, decoder, likelihood, latent_dim=config.code)),
        "GAN": Player(
            jaxae.gan(
                decoder,
                critic,
                likelihood,
                latent_dim=config.code,
                r1=config.r1,
                r1_every=SLOPE_EVERY,
            ),
            game,
            config.average,
        ),
        "VAE-GAN": Player(
            jaxae.vae_gan(
                probabilistic,
                decoder,
                jaxae.networks.activate(features, leaky_relu),
                jaxae.networks.mlp_encoder(1, ()),
                likelihood,
                latent_dim=config.code,
                beta=config.beta,
                weight=config.adversarial,
                scale=config.feature_scale,
                r1=config.r1,
                r1_every=SLOPE_EVERY,
            ),
            game,
            config.average,
        ),
        "WAE": Player(jaxae.wasserstein(plain, normal, weight=config.mmd)),
        "AE": Player(plain),
    }


def leaky_relu(x: jax.Array) -> jax.Array:
    """For discriminators, whose slope is differentiated: the second derivative of gelu is slow."""
    return jax.nn.leaky_relu(x, 0.2)


def main(config: Config) -> dict[str, Any]:
    """Trains the models, draws and judges their samples, and writes the run folder."""
    started = time.perf_counter()
    check(config)
    data = datasets.load(config, hold_out=False)
    config = optimizers.with_epochs(config, data, IMAGES, most=400)
    if datasets.count_classes(data):
        datasets.check_labels(config, data)
    check_data(config, data)
    features = None
    if config.inception is not None:
        features = jax.jit(jaxae.analysis.fid_features(config.inception))
        jax.eval_shape(features, jaxae.as_float(data.test[:1]))  # that there is every layer
    built = build(config, data)

    def work(run: Run) -> dict[str, Any]:
        judge = None
        if datasets.count_classes(data):
            judge = Judge(config, run, data, jaxae.networks.conv_encoder(FEATURES))
        real = judged(data)
        fidelity = make_fidelity(
            judge, real, data.train, dataset=config.dataset, inception=features
        )
        results: dict[str, Any] = {}
        trained, samples = {}, {}

        def report(name: str, images: np.ndarray, **options: bool) -> None:
            found = fidelity(images, **options)
            results.update({f"{name}/{key}": value for key, value in found.items()})

        for name, player in built.items():
            fitted = running.fit(
                config,
                run.part(name),
                player.model,
                data,
                optimizer=player.optimizer,
                average=player.average,
            )
            model = player.model
            if model.sample is None:
                codes = inference.encode(model, fitted.params, data.train)
                prior = jaxae.priors.gaussian_mixture(codes, components=config.components)
                model = jaxae.with_prior(model, prior)
            trained[name] = model, fitted.params
            samples[name] = draw(model, fitted.params, len(real))
            report(name, samples[name])
            if name != "GAN":
                free, _ = inference.squared_errors(model, fitted.params, data.test)
                results[f"{name}/squared_error"] = free
            speed = running.training_figures(data, fitted)["images_per_second"]
            results[f"{name}/images_per_second"] = speed
        # Training images beside themselves would be copies.
        report("data", beside(data, len(real)), copies=False)
        if judge is not None:
            wrong = judge.probabilities(data.test).argmax(axis=1) != data.labels[2]
            results["judge/test_error"] = float(wrong.mean())
        show(config, run, trained, samples, data)
        results["protocol"] = (
            f"{data.protocol}; {len(real)} samples of each model beside as many test images; "
            f"precision and recall with 3 neighbours in {'features' if judge else 'pixels'}; "
            "squared_error summed over an image"
        )
        return results

    results = running.conduct("gan", config, data, work, started=started)
    print_table(results, [*built, "data"])
    return results


def check(config: Config) -> None:
    """Raises for a flag that is out of range."""
    if config.binarize:
        raise ValueError(
            "--binarize: generators make grey levels, which a discriminator tells from binary pixels "
            "by that alone"
        )
    for name in ("game_rate", "feature_scale", "mmd", "critic_steps", "components"):
        if not getattr(config, name) > 0:
            value = getattr(config, name)
            raise ValueError(f"--{name.replace('_', '-')} must be positive, got {value}")
    for name in ("r1", "beta", "adversarial"):
        if not getattr(config, name) >= 0:
            raise ValueError(f"--{name} must not be negative, got {getattr(config, name)}")
    flags.check_ema(config)


def check_data(config: Config, data: datasets.Data) -> None:
    """Raises for what would fail after hours of training."""
    least = FEATURES if config.inception is None else jaxae.inception.FEATURES
    if len(judged(data)) <= least:
        raise ValueError(
            f"{len(data.test)} test images of {config.dataset} are too few to compare samples with; "
            f"it takes more than {least}{' for --inception' if config.inception else ''}"
        )
    if len(data.train) <= config.components * (config.code + 1):
        raise ValueError(
            f"--components {config.components} needs more than "
            f"{config.components * (config.code + 1)} training images, and there are {len(data.train)}"
        )
    if min(data.train.shape[1:3]) < 3:
        raise ValueError(
            f"the sharpness of images of {data.train.shape[1]} x {data.train.shape[2]} is nothing"
        )
    if config.critic_steps > optimizers.steps(config, data):
        raise ValueError(
            f"--critic-steps {config.critic_steps} is more than the {optimizers.steps(config, data)} steps "
            "of the run"
        )


def judged(data: datasets.Data) -> np.ndarray:
    """The test images that samples are compared with."""
    return data.test[datasets.spread(len(data.test), SAMPLES)]


def beside(data: datasets.Data, count: int) -> np.ndarray:
    """As many training images: what samples would be at best."""
    return np.asarray(jaxae.as_float(data.train[datasets.spread(len(data.train), count)]))


def draw(model: jaxae.Autoencoder, params: Any, count: int) -> np.ndarray:
    """Samples, some at a time."""
    assert model.sample is not None
    sample = jax.jit(model.sample, static_argnums=2)
    keys = jax.random.split(jax.random.key(datasets.SAMPLE_SEED), -(-count // 500))
    return np.concatenate([sample(params, key, 500) for key in keys])[:count]


def show(
    config: Config,
    run: Run,
    trained: dict[str, tuple[jaxae.Autoencoder, Any]],
    samples: dict[str, np.ndarray],
    data: datasets.Data,
) -> None:
    """Samples, the training images nearest to them, and reconstructions."""
    title = f"{Path(config.dataset).name}, code {config.code}"
    real = np.asarray(datasets.choose(data, SHOWN))
    shown = {name: images[:SHOWN] for name, images in samples.items()}
    figures.rows(
        {"test images": real, **shown},
        run.figures / "samples.png",
        title=f"{title}: test images, and samples of models with the same decoder",
    )
    rows = {}
    train = flat(data.train)
    for name, images in shown.items():
        rows[name] = images
        found = jaxae.analysis.nearest(flat(images), train).which
        rows[f"{name}: nearest"] = np.asarray(jaxae.as_float(data.train[found]))
    figures.rows(
        rows,
        run.figures / "neighbours.png",
        title=f"{title}: samples, and the training image nearest to each",
    )
    rows = {"test images": real}
    for name, (model, params) in trained.items():
        if name != "GAN":
            rows[name] = np.asarray(jaxae.reconstruct(model, params, jnp.asarray(real)))
    figures.rows(
        rows, run.figures / "reconstructions.png", title=f"{title}: reconstructions of test images"
    )


def print_table(results: dict[str, Any], names: list[str]) -> None:
    """The figures, a column for each model."""
    table = Table("", *names, title="Samples")
    measures = [key.removeprefix("VAE/") for key in results if key.startswith("VAE/")]
    for measure in measures:
        found = [results.get(f"{name}/{measure}") for name in names]
        cells = ("-" if value is None else f"{value:.3g}" for value in found)
        table.add_row(measure.replace("_", " "), *cells)
    Console().print(table)


if __name__ == "__main__":
    command(main, Config, __doc__)
