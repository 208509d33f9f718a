"""VAE, GAN, VAE-GAN and Wasserstein autoencoder with the same decoder: their samples compared.

    python -m experiments.gan --dataset mnist
    python -m experiments.gan --dataset fashion_mnist
    python -m experiments.gan --dataset mnist --inception inception.npz

Five models with the same decoder are trained on equally many images: a VAE; a GAN, whose generator is the
decoder; a VAE-GAN, which compares images in the features of its discriminator; a Wasserstein autoencoder
(WAE); and an autoencoder (AE) that gets a prior after training, a mixture of normal distributions fitted to
its codes.

The measures are computed from as many samples as there are test images, with a classifier that is trained on
the training images and their labels. `fid_mnist_cnn` is the Fréchet distance over the features of this
classifier. It is not the FID of the literature, which uses features of the Inception network (--inception).
`classes` is the number of classes predicted at least a fifth as often as for test images, `sharpness` the
variance of the Laplacian, and `nearest_training_image` the distance in pixels to the nearest training image
(1 is that of a test image). The column "data" compares training images with test images.

Measured (the first command, jax 0.10.2, 39 minutes on two shared cores):

                         VAE     GAN     VAE-GAN  WAE     AE      data
    sharpness            0.067   0.199   0.198    0.098   0.104   0.186
    fid_mnist_cnn        686     317     384      592     45      16
    precision            0.58    0.40    0.47     0.52    0.82    0.86
    recall               0.78    0.66    0.83     0.77    0.77    0.88
    confidence           0.83    0.87    0.84     0.82    0.96    0.99
    classes              10      10      10       10      10      10
    squared_error        7.1     -       15.5     6.9     7.0

Samples of the GAN and the VAE-GAN are as sharp as images of the data set; those of the other models are
blurred. By all other measures the prior fitted after training is best, because it follows the codes.

Lectures: VAE compared with GAN: the same decoder, samples side by side, sharpness.
"""

import experiments  # noqa: F401  # isort: skip  (finds the packages, also for a script)

import dataclasses
import time
import warnings
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.exceptions import ConvergenceWarning

import jaxae
from experiments.shared import datasets, flags, from_flags, optimizers, running
from experiments.shared.judge import train_judge
from experiments.shared.sample_figures import draw_samples
from experiments.shared.tables import print_results
from jaxae.analysis import inception
from jaxae.analysis.generation_report import make_generation_report
from jaxae.runs import inference, recording
from jaxae.runs.command import command
from jaxae.runs.folder import Run

IMAGES = 780_000
"""Training images shown to each model by default."""
SAMPLES = 10_000
"""Samples that are judged, at most."""
FEATURES = 64
"""Features of the discriminators and of the judge."""
R1_EVERY = 8
"""Steps from one computation of the gradient penalty to the next."""
LEAKY_RELU = jaxae.networks.leaky_relu(0.2)
"""The activation of discriminators. The gradient penalty needs its second derivative."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(flags.ModelConfig):
    """Flags of the comparison of generative models."""

    network: flags.NetworkName = "conv"
    """Use this architecture for encoders, decoder and discriminators: strided convolutions (conv),
    fully connected layers (mlp) or residual blocks (resnet)."""
    code: flags.LatentDim = 16
    """Use codes with this number of latent dimensions."""
    epochs: int | None = None
    """Train each model for this number of passes over the training set. The default is as many as
    show 780,000 images (13 epochs of MNIST), but at most 400."""
    learning_rate: float = 1e-3
    """Start with this learning rate of Adam for VAE, WAE and AE."""
    game_rate: float = 5e-4
    """Start with this learning rate of Adam for the generator and the discriminator of GAN and
    VAE-GAN."""
    critic_steps: int = 1
    """Update the discriminator this many times for each update of the other networks of GAN and
    VAE-GAN."""
    r1: float = 1.0
    """Penalise the squared gradient of the discriminator at real images (R1 penalty) with this
    weight; the loss contains half of it."""
    ema: float = 0.999
    """Evaluate an exponential moving average of the parameters of GAN and VAE-GAN with this
    decay."""
    beta: float = 1.0
    """Give the KL divergence this weight in the loss of the VAE-GAN."""
    adversarial: float = 300.0
    """Give the adversarial loss this weight for the decoder of the VAE-GAN."""
    feature_scale: float = 0.15
    """Set the standard deviation of the features of the VAE-GAN. A smaller one gives more accurate
    reconstructions."""
    mmd: float = 1000.0
    """Give the maximum mean discrepancy this weight in the loss of the WAE."""
    components: int = 20
    """Fit a mixture of this number of normal distributions to the codes of the AE."""
    inception: str | None = None
    """Compute the FID of the literature with the weights of the Inception network in this .npz
    file. This takes hours on a CPU."""


class Recipe(NamedTuple):
    """A model, its optimizer if it is not that of the flags, and the decay of its moving average."""

    model: jaxae.Autoencoder
    optimizer: optax.GradientTransformation | None = None
    ema: float | None = None


def build(config: Config, data: datasets.Data) -> dict[str, Recipe]:
    """The models by name."""
    shape = data.train.shape[1:]
    if config.likelihood not in (None, "bernoulli"):
        raise ValueError("--likelihood must be bernoulli: the generators end in a sigmoid")
    likelihood = from_flags.likelihood(config, "bernoulli")
    encoder, decoder = from_flags.networks(config, shape, 1, config.code)
    probabilistic, _ = from_flags.networks(config, shape, 1, 2 * config.code)
    critic, _ = from_flags.networks(config, shape, 1, 1, activation=LEAKY_RELU)
    features, _ = from_flags.networks(config, shape, 1, FEATURES, activation=LEAKY_RELU)
    normal = jaxae.priors.standard_normal(config.code)
    plain = jaxae.autoencoder(encoder, decoder, likelihood)
    settings = dataclasses.replace(config, learning_rate=config.game_rate)
    game = optimizers.game_optimizer(
        settings, data, critic_steps=config.critic_steps, discriminator=config.game_rate
    )
    return {
        "VAE": Recipe(jaxae.vae(probabilistic, decoder, likelihood, latent_dim=config.code)),
        "GAN": Recipe(
            jaxae.gan(
                decoder,
                critic,
                likelihood,
                latent_dim=config.code,
                r1=config.r1,
                r1_every=R1_EVERY,
            ),
            game,
            config.ema,
        ),
        "VAE-GAN": Recipe(
            jaxae.vae_gan(
                probabilistic,
                decoder,
                jaxae.networks.activate(features, LEAKY_RELU),
                jaxae.networks.mlp_encoder(1, ()),
                likelihood,
                latent_dim=config.code,
                beta=config.beta,
                weight=config.adversarial,
                scale=config.feature_scale,
                r1=config.r1,
                r1_every=R1_EVERY,
            ),
            game,
            config.ema,
        ),
        "WAE": Recipe(jaxae.wasserstein(plain, normal, weight=config.mmd)),
        "AE": Recipe(plain),
    }


def main(config: Config) -> dict[str, Any]:
    """Trains the models, judges their samples, and writes the run folder."""
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
        jax.eval_shape(features, jaxae.as_float(data.test[:1]))  # a missing layer is an error
    built = build(config, data)

    def work(run: Run) -> dict[str, Any]:
        judge = None
        if datasets.count_classes(data):
            judge = train_judge(config, run, data, jaxae.networks.conv_encoder(FEATURES))
        real = judged(data)
        name_of_judge = f"{Path(config.dataset).stem}_cnn"
        report = make_generation_report(
            real, data.train, classifier=judge, name=name_of_judge, inception=features
        )
        results: dict[str, Any] = {}
        trained, samples = {}, {}
        for name, recipe in built.items():
            fitted = running.fit(
                config,
                run.part(name),
                recipe.model,
                data,
                optimizer=recipe.optimizer,
                ema=recipe.ema,
                name=name,
            )
            model = recipe.model
            if model.model.prior is None:
                said = f"{name}: fitting a mixture of {config.components} normal distributions to its codes"
                with running.stage(said), warnings.catch_warnings():
                    # Of collapsed codes there are fewer different ones than components.
                    warnings.simplefilter("ignore", ConvergenceWarning)
                    codes = inference.encode(model, fitted.params, data.train)
                    prior = jaxae.priors.gaussian_mixture(codes, components=config.components)
                model = jaxae.with_prior(model, prior)
                recording.record_run(
                    run.part(name),
                    model,
                    running.describe_inputs(config, data, jaxae.Batch(data.train)),
                )
            trained[name] = model, fitted.params
            with running.stage(f"{name}: judging {len(real):,} samples"):
                samples[name] = draw(model, fitted.params, len(real))
                found = report(samples[name])
            results |= {f"{name}/{key}": value for key, value in found.items()}
            if name != "GAN":
                _, error = inference.squared_errors(model, fitted.params, data.test)
                results[f"{name}/squared_error"] = error
            speed = running.training_figures(data, fitted)["images_per_second"]
            results[f"{name}/images_per_second"] = speed
        # Training images are compared with test images; they are their own nearest training images.
        images = data.train[datasets.spread(len(data.train), len(real))]
        with running.stage(f"judging {len(images):,} training images"):
            found = report(np.asarray(jaxae.as_float(images)), copies=False)
        results["mean_image/squared_error"] = running.error_of_the_mean_image(data.test)
        results |= {f"data/{key}": value for key, value in found.items()}
        if judge is not None:
            wrong = judge.probabilities(data.test).argmax(axis=1) != data.labels[2]
            results["judge/error_rate"] = float(wrong.mean())
        errors = {name: results[f"{name}/squared_error"] for name in trained if name != "GAN"}
        draw_samples(config, run, trained, samples, data, errors)
        results["protocol"] = (
            f"{data.protocol}; {len(real)} samples of each model compared with as many test images; "
            f"precision and recall with 3 neighbours in {'features' if judge else 'pixels'}; "
            "squared_error summed over an image"
        )
        return results

    def show(results: dict[str, Any]) -> None:
        distances = [k.partition("/")[2] for k in results if k.startswith("data/fid")]
        print_results(
            f"{Path(config.dataset).name}: samples of each model, and training images (data)",
            results,
            (
                *("sharpness", *distances, "precision", "recall"),
                *("confidence", "classes", "nearest_training_image", "squared_error"),
            ),
            {name: name for name in (*built, "data")},
        )

    return running.conduct("gan", config, data, work, show=show, started=started, part="VAE")


def check(config: Config) -> None:
    """Raises for a flag that is out of range."""
    if config.binarize:
        raise ValueError(
            "--binarize: generators produce grey levels, so a discriminator could tell them from binary "
            "pixels"
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
    """Raises for data that would make the measures fail after training."""
    least = FEATURES if config.inception is None else inception.FEATURES
    if len(judged(data)) <= least:
        raise ValueError(
            f"{len(data.test)} test images of {config.dataset} are too few to compare samples with; more "
            f"than {least} are needed{' for --inception' if config.inception else ''}"
        )
    if len(data.train) <= config.components * (config.code + 1):
        raise ValueError(
            f"--components {config.components} needs more than "
            f"{config.components * (config.code + 1)} training images, and there are {len(data.train)}"
        )
    if min(data.train.shape[1:3]) < 3:
        raise ValueError(
            "the sharpness of images needs 3 x 3 pixels, and these have "
            f"{data.train.shape[1]} x {data.train.shape[2]}"
        )
    if config.critic_steps > optimizers.steps(config, data):
        raise ValueError(
            f"--critic-steps {config.critic_steps} is more than the {optimizers.steps(config, data)} steps "
            "of the run"
        )


def judged(data: datasets.Data) -> np.ndarray:
    """The test images that samples are compared with."""
    return data.test[datasets.spread(len(data.test), SAMPLES)]


def draw(model: jaxae.Autoencoder, params: Any, count: int) -> np.ndarray:
    """Samples, drawn in batches and clipped to [0, 1]."""

    @partial(jax.jit, static_argnums=2)
    def sample(params: Any, key: jax.Array, n: int) -> jax.Array:
        return jnp.clip(model.sample(params, key, n), 0, 1)

    keys = jax.random.split(jax.random.key(datasets.SAMPLE_SEED), -(-count // 500))
    return np.concatenate([sample(params, key, 500) for key in keys])[:count]


if __name__ == "__main__":
    command(main, Config, __doc__)
