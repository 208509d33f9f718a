"""Semi-supervised adversarial autoencoder: a classifier from few labels and many images without one.

    python -m experiments.semi_supervised --dataset mnist --labels 1000
    python -m experiments.semi_supervised --dataset mnist --labels 100 --seed 1

The code consists of a class and a style. One discriminator compares the classes of all images with draws from
the categorical distribution, another one compares the styles with draws from N(0, I), and the classes of
labelled images are trained on their labels. Each of these three is a wrapper; the model is their composition.

The baseline is a classifier with the same encoder that is trained on the same labels alone. The training
images of both are shifted by up to --shift pixels.

Measured (the first command, jax 0.10.2, 27 minutes on one core of two): error 1.46 % of the test images;
the classifier trained on the labels alone 3.55 %. The paper reports 1.60 % with 1,000 labels, for fully
connected networks and images that are not shifted.

    Makhzani et al., "Adversarial Autoencoders", section 5.

Lectures: adversarial autoencoders; a classifier from few labels.
"""

import experiments  # noqa: F401  # isort: skip  (finds the packages, also for a script)

import dataclasses
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxae
from experiments.shared import datasets, flags, from_flags, optimizers, running
from experiments.shared.tables import print_results
from jaxae.runs import figures, inference
from jaxae.runs.command import command
from jaxae.runs.folder import Run
from jaxae.runs.style import drawn_class_name
from jaxae.training.step import Transform

IMAGES, SUPERVISED_IMAGES = 1_800_000, 600_000
"""Training images shown by default to the model and to the baseline."""
STYLES = 10
"""Test images whose styles are drawn."""
CERTAIN = 10.0
"""The logit of the class that an image is decoded with; those of the other classes are 0."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(flags.ModelConfig):
    """Flags of the semi-supervised autoencoder."""

    labels: int = 1000
    """Use the classes of this number of training images, the same number for each class."""
    code: flags.LatentDim = 10
    """Use this number of latent dimensions for the style."""
    network: flags.NetworkName = "conv"
    """Use this architecture for the encoder and the decoder: strided convolutions (conv), fully
    connected layers (mlp) or residual blocks (resnet)."""
    epochs: int | None = None
    """Train for this number of passes over the training set, in which labelled images are repeated.
    The default is as many as show 1.8 million images, but at most 400."""
    learning_rate: float = 1e-3
    """Start with this learning rate of Adam for the encoder and the decoder."""
    discriminator_rate: float = 1e-3
    """Start with this learning rate of Adam for both discriminators."""
    labelled_part: float = 0.25
    """Make labelled images this fraction of each pass over the training set."""
    class_weight: float = 10.0
    """Multiply the encoder's adversarial loss for classes by this weight; the reconstruction error
    is in nats and has weight 1."""
    style_weight: float = 10.0
    """Multiply the encoder's adversarial loss for styles by this weight."""
    supervised: float = 100.0
    """Multiply the cross-entropy of labels by this weight."""
    shift: int = 2
    """Shift training images at random by up to this number of pixels."""
    ema: float = 0.999
    """Evaluate an exponential moving average of the parameters with this decay."""


def main(config: Config) -> dict[str, Any]:
    """Trains model and baseline, measures their errors, and writes the run folder."""
    started = time.perf_counter()
    check(config)
    data = datasets.load(config, hold_out=False)
    datasets.check_labels(config, data)
    classes = datasets.count_classes(data)
    known = datasets.known_labels(data, config.labels, config.seed)
    if config.shift:
        data = data._replace(transform=shifted(config.shift, data.transform))
    labelled = data._replace(train=data.train[known >= 0])
    images, labels = repeated(data.train, known, config.labelled_part)
    data = data._replace(train=images)
    config = optimizers.with_epochs(config, data, IMAGES, most=400)
    model = build(config, data, classes)
    baseline = build_baseline(config, data, classes)

    def work(run: Run) -> dict[str, Any]:
        fitted = running.fit(
            config,
            run,
            model,
            data,
            train=jaxae.Batch(data.train, label=jnp.asarray(labels)),
            optimizer=optimizers.game_optimizer(
                config, data, classes=config.discriminator_rate, styles=config.discriminator_rate
            ),
            ema=config.ema,
            name="semi-supervised",
        )
        settings = dataclasses.replace(config, epochs=None, batch_size=None)
        few = labelled._replace(batch_size=datasets.batch_size(settings, len(labelled.train), 128))
        settings = optimizers.with_epochs(settings, few, SUPERVISED_IMAGES, most=1000)
        alone = running.fit(
            settings,
            run.part("supervised"),
            baseline,
            few,
            train=jaxae.Batch(few.train, label=jnp.asarray(known[known >= 0])),
            ema=config.ema,
            name="classifier of the labels alone",
        )
        codes = inference.encode(model, fitted.params, data.test)
        predicted = codes[:, :classes].argmax(axis=1)
        baseline_codes = inference.encode(baseline, alone.params, data.test)
        by_baseline = inference.decode(baseline, alone.params, baseline_codes).argmax(axis=1)
        truth = np.asarray(data.labels[2])
        _, error = inference.squared_errors(model, fitted.params, data.test)
        draw(config, run, model, fitted.params, codes, classes, data)
        return {
            "test/error_rate": float((predicted != truth).mean()),
            "supervised/error_rate": float((by_baseline != truth).mean()),
            "labelled_part": float(np.mean(labels >= 0)),
            "test/squared_error": error,
            "mean_image/squared_error": running.error_of_the_mean_image(data.test),
            **running.training_figures(data, fitted),
            "protocol": (
                f"{data.protocol}; {config.labels} of the training images have a label, "
                f"the same for both models; error_rate: fraction of the test images; training images shifted "
                f"by up to {config.shift} pixels"
            ),
        }

    def show(results: dict[str, Any]) -> None:
        print_results(
            f"{Path(config.dataset).name}, {config.labels} labels: test images",
            results,
            ("error_rate", "squared_error"),
            {"test": "semi-supervised", "supervised": "labels alone"},
        )

    return running.conduct("semi_supervised", config, data, work, show=show, started=started)


def check(config: Config) -> None:
    """Raises for flags that are out of range."""
    for name in ("discriminator_rate", "class_weight", "style_weight", "supervised"):
        if not 0 < (value := getattr(config, name)) < np.inf:
            raise ValueError(f"--{name.replace('_', '-')} must be positive, got {value}")
    if not 0 < config.labelled_part < 1:
        raise ValueError(f"--labelled-part must be in (0, 1), got {config.labelled_part}")
    flags.check_ema(config)
    if config.labels < 1:
        raise ValueError(f"--labels must be positive, got {config.labels}")
    if config.shift < 0:
        raise ValueError(f"--shift must not be negative, got {config.shift}")
    if config.likelihood not in (None, "bernoulli", "gaussian"):
        raise ValueError("--likelihood must be bernoulli or gaussian")


def shifted(pixels: int, then: Transform | None) -> Transform:
    """Shifts the images of a batch at random, and then transforms them as before (binarises them)."""
    shift = jaxae.augmentations.random_shift(pixels)
    if then is None:
        return shift

    def transform(key: jax.Array, x: jax.Array) -> jax.Array:
        shift_key, then_key = jax.random.split(key)
        return then(then_key, shift(shift_key, x))

    return transform


def repeated(images: np.ndarray, known: np.ndarray, part: float) -> tuple[np.ndarray, np.ndarray]:
    """All images without labels, followed by labelled images, which are this fraction of the result.

    Each labelled image occurs at least once, so that the fraction is larger if there are many labels.
    """
    chosen = np.flatnonzero(known >= 0)
    again = np.resize(chosen, max(len(chosen), round(part / (1 - part) * len(images))))
    labels = np.concatenate([np.full(len(images), -1), known[again]]).astype(np.int32)
    return np.concatenate([images, images[again]]), labels


def build(config: Config, data: datasets.Data, classes: int) -> jaxae.Autoencoder:
    """An autoencoder with a discriminator of classes, one of styles, and supervision by labels."""
    shape = data.train.shape[1:]
    default = "bernoulli" if shape[-1] == 1 else "gaussian"
    likelihood = from_flags.likelihood(config, default)
    encoder, decoder = from_flags.networks(config, shape, likelihood.outputs, classes + config.code)
    decoder = jaxae.networks.categorical_code(decoder, classes)
    model = jaxae.autoencoder(encoder, decoder, likelihood)
    model = jaxae.adversarial(
        model,
        jaxae.networks.mlp_encoder(1, (256, 256)),
        jaxae.priors.categorical(classes),
        weight=config.class_weight,
        view=jaxae.wrappers.latent_part(0, classes, softmax=True),
        name="classes",
    )
    model = jaxae.adversarial(
        model,
        jaxae.networks.mlp_encoder(1, (256, 256)),
        jaxae.priors.standard_normal(config.code),
        weight=config.style_weight,
        view=jaxae.wrappers.latent_part(classes),
        name="styles",
    )
    return jaxae.supervised(model, classes, weight=config.supervised)


def build_baseline(config: Config, data: datasets.Data, classes: int) -> jaxae.Autoencoder:
    """A classifier with the same encoder, trained on labels alone."""
    shape = data.train.shape[1:]
    encoder, _ = from_flags.networks(config, shape, 1, classes + config.code)
    pretrained = encoder.init(jax.random.key(config.seed), jaxae.as_float(data.train[:1]))
    return jaxae.classifier(jaxae.networks.activate(encoder, jax.nn.gelu), pretrained, classes)


def draw(
    config: Config,
    run: Run,
    model: jaxae.Autoencoder,
    params: Any,
    codes: np.ndarray,
    classes: int,
    data: datasets.Data,
) -> None:
    """Draws each class in the style of chosen test images."""
    chosen = datasets.spread(len(data.test), STYLES)
    styles = codes[chosen, classes:]
    columns = []
    for label in range(min(classes, STYLES)):
        logits = jnp.broadcast_to(CERTAIN * jax.nn.one_hot(label, classes), (len(chosen), classes))
        columns.append(inference.decode(model, params, jnp.concatenate([logits, styles], axis=1)))
    x = np.asarray(jaxae.as_float(data.test[chosen]))
    grid = np.stack([x, *columns], axis=1)
    figures.panels(
        {"": grid},
        run.figures / "styles.png",
        title=f"{Path(config.dataset).name}: test images, and the classes in the style of each",
        columns=[
            "image",
            *(drawn_class_name(label, data.classes) for label in range(min(classes, STYLES))),
        ],
    )


if __name__ == "__main__":
    command(main, Config, __doc__)
