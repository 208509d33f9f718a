"""Faces: reconstructions, samples, and latent directions of attributes such as glasses and hair colour.

    python -m experiments.faces
    python -m experiments.faces --attributes Smiling Male Eyeglasses Blond_Hair-Black_Hair
    python -m experiments.faces --dataset lfw --image-size 64

The model is a VAE with 50 latent dimensions for photographs of 64 x 64 pixels. The direction of an attribute
is computed from the codes of the training images: by regression on all attributes at once, so that the others
do not change (partial); as the difference of the mean codes with and without the attribute (means); or as
the normal of a logistic regression (logistic). `A-B` is the direction of A minus that of B, for example from
dark to blond hair.

Samples are drawn from the prior, and from the normal distribution with the mean and the covariance of the
training codes. The aggregated codes are not distributed as the prior, because their dimensions are
correlated, and more of the second samples look like faces.

Classifiers of the attributes judge whether a direction changes its attribute and no other. They are trained
on reconstructions of the training images and not on codes.

Measured (the first command; 9,000 training and 500 test images of 109 x 89, cropped; jax 0.10.2; about 12
minutes on one core of two): squared error of a test image 121.3 (PCA with 50 components: 138 on validation
images). At strength 2 the mean probability of glasses rises from 0.04 to 0.81, and those of the other
attributes change by 0.05; the probability of fair hair rises from 0.03 to 0.56, and the others change by
0.10. The AUC of these classifiers is 0.81 and 0.91.

A longer training of wider networks, for a GPU (not measured):

    python -m experiments.faces --hidden 64 128 256 512 --epochs 60

Lectures: interpolation in codes of faces, hair colour, glasses; samples of a VAE on CelebA and LFW; codes of
about 50 dimensions.
"""

import experiments  # noqa: F401  # isort: skip  (finds the packages, also for a script)

import dataclasses
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.metrics import roc_auc_score

import jaxae
from experiments.shared import attributes, datasets, flags, from_flags, optimizers, running
from experiments.shared.attributes import Method
from experiments.shared.tables import print_results
from jaxae.runs import figures, inference, pieces
from jaxae.runs.command import command
from jaxae.runs.folder import Run
from jaxae.runs.training_data import augmented

IMAGES = 216_000
"""Training images shown by default."""
FACES, STRENGTHS = 8, (0.0, 0.5, 1.0, 1.5, 2.0, 2.5)
JUDGED_AT = 2.0
JUDGED = 500
"""Test faces that are judged, at most."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(flags.ModelConfig):
    """Flags of the experiment on faces."""

    dataset: str = "celeb_a"
    """Train on this image data set, given by a name of tensorflow_datasets, a folder, or a file.
    Directions need a data set with attributes."""
    image_size: int | None = 64
    """Crop each image to the square in its middle, and resize the square to this many pixels."""
    code: flags.LatentDim = 50
    """Use codes with this number of latent dimensions."""
    network: flags.NetworkName = "conv"
    """Use this architecture for the encoder and the decoder: strided convolutions (conv), fully
    connected layers (mlp) or residual blocks (resnet)."""
    hidden: tuple[int, ...] | None = None
    """Give the encoder hidden layers of these widths, or these channels at each depth; the decoder
    has them in reverse. The default is 32 64 128 256 for conv, 1000 for mlp, and 32 64 128 for
    resnet."""
    likelihood: flags.LikelihoodName | None = None
    """Describe pixels by this distribution, given the outputs of the decoder. The default is
    gaussian (squared error)."""
    scale: float | pieces.ScaleName | None = 0.2
    """Set the standard deviation of the pixels around the decoded image: a number, "learned" or
    "shared"."""
    beta: float = 1.0
    """Give the KL divergence (called rate in tables) this weight in the loss."""
    attributes: tuple[str, ...] = ()
    """Follow these directions: names of attributes, or differences of two, such as A-B. The default
    is Eyeglasses and Blond_Hair-Black_Hair, if the data set has these attributes."""
    direction: Method = "partial"
    """Compute directions by this method."""
    flip: bool = True
    """Mirror training images at random."""
    epochs: int | None = None
    """Train for this number of passes over the training set. The default is as many as show 216,000
    images, but at most 400."""
    batch_size: int | None = None
    """Compute each training step on this number of examples, over all devices. The default is 32,
    or all examples if there are fewer."""
    learning_rate: float = 1e-3
    """Start with this learning rate of the optimizer Adam."""


def main(config: Config) -> dict[str, Any]:
    """Trains a VAE, computes directions of attributes, and writes the run folder."""
    started = time.perf_counter()
    data = datasets.load(config, default=32)
    config = optimizers.with_epochs(config, data, IMAGES, most=400)
    wanted = attributes.wanted(config.dataset, config.attributes, data)
    if config.flip:
        data = data._replace(transform=augmented(("flip",), data.transform), augment=("flip",))
    model = build(config, data)

    def work(run: Run) -> dict[str, Any]:
        fitted = running.fit(config, run, model, data)
        results: dict[str, Any] = running.evaluate(model, fitted, data, batch_size=64)
        results |= running.training_figures(data, fitted)
        draw(config, run, model, fitted.params, data)
        if wanted:
            with running.stage("following and judging directions of attributes"):
                results |= follow(config, run, model, fitted.params, data, wanted)
        results["protocol"] = (
            f"{data.protocol}; nats per image, mse per pixel; training images "
            f"{'mirrored at random' if config.flip else 'not mirrored'}; attributes: "
            + (
                "mean probabilities by classifiers, for reconstructed test faces without the attribute, "
                f"at strengths 0 and {JUDGED_AT:g} of the direction ({config.direction}); others: the mean "
                "absolute change of the probabilities of the other attributes; judge_auc: of the "
                "classifier, on reconstructed test faces"
                if wanted
                else "none known of these images"
            )
        )
        return results

    def show(results: dict[str, Any]) -> None:
        title = f"VAE on {Path(config.dataset).name}, code {config.code}: test images"
        measures = ("distortion", "rate", "negative_elbo", "squared_error", "psnr")
        print_results(title, results, measures)
        print_table(results)

    return running.conduct("faces", config, data, work, show=show, started=started)


def build(config: Config, data: datasets.Data) -> jaxae.Autoencoder:
    """The VAE that the flags select."""
    shape = data.train.shape[1:]
    if config.beta < 0:
        raise ValueError(f"--beta must not be negative, got {config.beta}")
    name = config.likelihood or "gaussian"
    if name not in ("gaussian", "laplace") and config.scale == Config.scale:
        config = dataclasses.replace(config, scale=None)
    likelihood = from_flags.likelihood(config, "gaussian")
    from_flags.check_levels(name, likelihood, data.train)
    if config.hidden is None:
        hidden = {"conv": (32, 64, 128, 256), "mlp": (1000,)}.get(config.network)
        config = dataclasses.replace(config, hidden=hidden)
    encoder, decoder = from_flags.networks(config, shape, likelihood.outputs, 2 * config.code)
    return jaxae.vae(encoder, decoder, likelihood, latent_dim=config.code, beta=config.beta)


def follow(
    config: Config,
    run: Run,
    model: jaxae.Autoencoder,
    params: Any,
    data: datasets.Data,
    wanted: dict[str, attributes.Terms],
) -> dict[str, float]:
    """Moves codes of test faces along each direction, and draws and judges the decoded faces."""
    codes, test_codes = (
        jnp.asarray(inference.encode(model, params, images)) for images in (data.train, data.test)
    )
    judge = attributes.train_judges(model, params, codes, data)
    probabilities = judge(inference.decode(model, params, test_codes))
    results: dict[str, float] = {}
    for name, terms in wanted.items():
        direction = attributes.find(config.direction, codes, data, terms)
        start = attributes.without(data, terms)
        chosen = start[datasets.spread(len(start), FACES)]
        strengths = jnp.asarray(STRENGTHS)[None, :, None]
        path = test_codes[chosen][:, None] + strengths * direction
        faces = np.asarray(
            jaxae.analysis.decode_grid(
                lambda z: jnp.asarray(inference.decode(model, params, z)), path
            )
        )
        originals = np.asarray(jaxae.as_float(data.test[chosen]))[:, None]
        figures.panels(
            {"": np.concatenate([originals, faces], axis=1)},
            run.figures / f"{name.replace('/', '_')}.png",
            title=f"{name.replace('_', ' ')}: test faces, and their codes moved along this direction by so "
            "many times its length",
            columns=["original", *(f"{strength:g}" for strength in STRENGTHS)],
        )
        judged = start[datasets.spread(len(start), JUDGED)]
        before = judge(inference.decode(model, params, test_codes[judged]))
        after = judge(inference.decode(model, params, test_codes[judged] + JUDGED_AT * direction))
        target = terms[0][0]
        moved = {part for part, _ in terms}
        others = [abs(after[k] - before[k]).mean() for k in before if k not in moved]
        results |= {
            f"{name}/probability_before": float(before[target].mean()),
            f"{name}/probability_after": float(after[target].mean()),
            f"{name}/judge_auc": float(
                roc_auc_score(data.attributes[2][target], probabilities[target])
            ),
        }
        if others:
            results[f"{name}/others"] = float(np.mean(others))
    return results


def draw(
    config: Config, run: Run, model: jaxae.Autoencoder, params: Any, data: datasets.Data
) -> None:
    """Draws reconstructions, samples, and interpolations between faces."""
    name = Path(config.dataset).name
    title = f"VAE on {name}, {config.code} latent dimensions"
    running.figure_reconstructions(
        run, model, params, data, title=f"{title}: test faces and their reconstructions"
    )
    codes = jnp.asarray(inference.encode(model, params, data.train))
    key = jax.random.key(datasets.SAMPLE_SEED)
    drawn = {
        "the prior, N(0, I)": jax.random.normal(key, (30, config.code)),
        "a normal distribution fitted to training codes": jaxae.analysis.draw_like(key, codes, 30),
    }
    figures.panels(
        {
            where: inference.decode(model, params, z).reshape(5, 6, *data.test.shape[1:])
            for where, z in drawn.items()
        },
        run.figures / "samples.png",
        title=f"{title}: samples, decoded draws from two distributions",
    )
    ends = datasets.choose(data, 4)
    z = model.encode(params, ends)
    t = jnp.linspace(0, 1, 9)
    half = len(ends) // 2
    if half == 0:
        return
    rows = {}
    for i in range(half):
        rows[f"pixels, pair {i + 1}"] = np.asarray(
            jaxae.analysis.lerp(ends[2 * i], ends[2 * i + 1], t)
        )
        path = jaxae.analysis.lerp(z[2 * i], z[2 * i + 1], t)
        rows[f"codes, pair {i + 1}"] = inference.decode(model, params, path)
    figures.rows(
        rows, run.figures / "interpolation.png", title=f"{title}: interpolation between test faces"
    )


def print_table(results: dict[str, Any]) -> None:
    """Prints what each direction changes."""
    print_results(
        f"Directions of attributes, at strength {JUDGED_AT:g}",
        results,
        ("probability_before", "probability_after", "others", "judge_auc"),
        {
            name: name
            for name, _, kind in (key.rpartition("/") for key in results)
            if kind == "judge_auc"
        },
        across=False,
    )


if __name__ == "__main__":
    command(main, Config, __doc__)
