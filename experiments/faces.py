"""Faces: reconstructions, samples, and directions that put on glasses or lighten hair.

    python -m experiments.faces
    python -m experiments.faces --attributes Smiling Male Eyeglasses Blond_Hair-Black_Hair
    python -m experiments.faces --dataset lfw --image-size 64

A VAE with a code of 50 on photographs of 64 x 64. The direction of an attribute is found in the codes of
the training images: by regression on all attributes at once, so that one changes and the others stay
(partial); as the difference of the mean codes with it and without it (means); or as the normal of a
logistic regression (logistic). `A-B` is the direction of A less that of B: from dark hair to blond.

Samples are drawn from the prior, and from the normal distribution with the mean and the covariance of
the training codes: all codes together are not distributed as the prior says (their dimensions are
correlated), and the second are faces where many of the first are not.

That a direction changes what it should, and nothing else, is judged by classifiers of the attributes,
which were trained on reconstructions of the training images and not on codes.

Measured (the first command; 9,000 training and 500 test images of 109 x 89, cropped; jax 0.10.2; about 12
minutes on one core of two): squared error of a test image 121.3 (PCA with 50 components: 138 on validation
images). At strength 2 the judges' mean probability of glasses goes from 0.04 to 0.81, and the other
attributes move by 0.05; of fair hair from 0.03 to 0.56, the others by 0.10. The judges' AUC is 0.81 and
0.91.

    the same on a GPU, with wider networks and for longer (not measured):
    python -m experiments.faces --hidden 64 128 256 512 --epochs 60

Lectures: interpolation in codes on faces, hair colour, no glasses to glasses; samples of a VAE on CelebA
and LFW; a code of about 50 dimensions.
"""

import dataclasses
import difflib
import time
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

import jaxae
from experiments.shared import datasets, flags, from_flags, optimizers, running
from jaxae.data.augmentations import Transform
from jaxae.runs import figures, inference
from jaxae.runs.command import command
from jaxae.runs.folder import Run

IMAGES = 216_000
DEFAULT = ("Eyeglasses", "Blond_Hair-Black_Hair")
FACES, STRENGTHS = 8, (0.0, 0.5, 1.0, 1.5, 2.0, 2.5)
JUDGED_AT = 2.0
JUDGES, JUDGED, COMPONENTS = 20_000, 500, 100
"""How many training faces the judges learn from, how many test faces they judge, and how many
principal components of the pixels they see."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(flags.ModelConfig):
    """Flags of the faces."""

    dataset: str = "celeb_a"
    """Any image data set; one with attributes for their directions."""
    image_size: int | None = 64
    """Crop to the square in the middle and resize it to this many pixels."""
    code: int = 50
    """Size of the code."""
    network: flags.NetworkName = "conv"
    """Strided convolutions, fully connected, or residual blocks."""
    hidden: tuple[int, ...] | None = None
    """Channels at each depth, or widths of the encoder's hidden layers; the decoder mirrors them.
    By default 32 64 128 256; 1000; or 32 64 128."""
    likelihood: flags.LikelihoodName | None = None
    """What the decoder's outputs mean; by default gaussian (squared error)."""
    scale: float | Literal["learned"] | None = 0.2
    """Standard deviation of the pixels around the decoded image; or "learned"."""
    beta: float = 1.0
    """Weight of the KL divergence."""
    attributes: tuple[str, ...] = ()
    """Directions to go along: names of attributes, or differences of two, such as A-B. By default
    Eyeglasses and Blond_Hair-Black_Hair, where the data set has them."""
    direction: Literal["partial", "means", "logistic"] = "partial"
    """How a direction is found."""
    flip: bool = True
    """Mirror training images at random."""
    epochs: int | None = None
    """Passes over the training set; by default as many as show 216,000 images, and at most 400."""
    batch_size: int | None = None
    """Examples in a step, over all devices; by default 32, or fewer if there are fewer."""
    learning_rate: float = 1e-3
    """Of Adam, at the start."""


Terms = list[tuple[str, float]]
"""Attributes and their signs."""


def main(config: Config) -> dict[str, Any]:
    """Trains a VAE, finds directions of attributes, and writes the run folder."""
    started = time.perf_counter()
    data = datasets.load(config, default=32)
    config = optimizers.with_epochs(config, data, IMAGES, most=400)
    wanted = directions_wanted(config, data)
    if config.flip:
        data = data._replace(transform=flipped(data.transform))
    model = build(config, data)

    def work(run: Run) -> dict[str, Any]:
        fitted = running.fit(config, run, model, data)
        results: dict[str, Any] = running.evaluate(model, fitted, data, batch_size=64)
        results |= running.training_figures(data, fitted)
        draw(config, run, model, fitted.params, data)
        if wanted:
            results |= go(config, run, model, fitted.params, data, wanted)
        results["protocol"] = (
            f"{data.protocol}; nats per image, mse per pixel; training images "
            f"{'mirrored at random' if config.flip else 'as they are'}; attributes: "
            + (
                f"probabilities of classifiers of reconstructed test faces without the attribute, "
                f"at strength 0 and {JUDGED_AT:g} of the direction ({config.direction}); others: the "
                "mean absolute change of the probabilities of the other attributes; judge_auc: of the "
                "classifier on reconstructed test faces"
                if wanted
                else "none known of these images"
            )
        )
        return results

    results = running.conduct("faces", config, data, work, started=started)
    print_table(results)
    return results


def flipped(transform: Transform | None) -> Transform:
    """What is done to training images, and a mirror."""

    def both(key: jax.Array, x: jax.Array) -> jax.Array:
        if transform is None:
            return jaxae.augmentations.random_flip(key, x)
        first, second = jax.random.split(key)
        return transform(second, jaxae.augmentations.random_flip(first, x))

    return both


def directions_wanted(config: Config, data: datasets.Data) -> dict[str, Terms]:
    """What the flags ask for, attribute by attribute; all of it is in the data."""
    known = list(data.attributes[0])
    if not config.attributes:
        # Those that there are, with and without them.
        names = [n for n in DEFAULT if all(varies(data, part) for part in n.split("-"))]
    elif not known:
        raise ValueError(f"{config.dataset} has no attributes; leave out --attributes")
    else:
        names = list(config.attributes)
    found: dict[str, Terms] = {}
    for name in names:
        parts = [name] if name in known else name.split("-")
        if len(parts) > 2:
            raise ValueError(f"--attributes {name}: a direction is A or A-B")
        for part in parts:
            if part not in known:
                near = difflib.get_close_matches(part, known, n=3, cutoff=0.4)
                hint = f"did you mean {' or '.join(near)}?" if near else f"there are {len(known)}"
                raise ValueError(f"{config.dataset} has no attribute {part!r}; {hint}")
            if not varies(data, part):
                raise ValueError(f"all or none of the training or of the test images have {part}")
        if len(set(parts)) < len(parts):
            raise ValueError(f"--attributes {name} leads nowhere")
        found[name] = [(part, sign) for part, sign in zip(parts, (1.0, -1.0), strict=False)]
    return found


def varies(data: datasets.Data, attribute: str) -> bool:
    """Whether there are training images and test images with the attribute, and without it."""
    return all(
        attribute in known and 0 < known[attribute].sum() < len(known[attribute])
        for known in (data.attributes[0], data.attributes[2])
    )


def build(config: Config, data: datasets.Data) -> jaxae.Autoencoder:
    """The VAE that the flags ask for."""
    shape = data.train.shape[1:]
    if config.beta < 0:
        raise ValueError(f"--beta must not be negative, got {config.beta}")
    name = config.likelihood or "gaussian"
    if name not in ("gaussian", "laplace") and config.scale == Config.scale:
        config = dataclasses.replace(config, scale=None)
    likelihood = from_flags.likelihood(config, "gaussian")
    datasets.check_levels(name, likelihood, data.train)
    if config.hidden is None:
        hidden = {"conv": (32, 64, 128, 256), "mlp": (1000,)}.get(config.network)
        config = dataclasses.replace(config, hidden=hidden)
    encoder, decoder = from_flags.networks(config, shape, likelihood.outputs, 2 * config.code)
    return jaxae.vae(encoder, decoder, likelihood, latent_dim=config.code, beta=config.beta)


def find(config: Config, codes: jax.Array, data: datasets.Data, terms: Terms) -> jax.Array:
    """The direction in the codes of the training images."""
    attributes = data.attributes[0]
    if config.direction == "partial":
        names = [name for name, has in attributes.items() if 0 < has.sum() < len(has)]
        found = jaxae.analysis.partial_directions(
            codes, np.stack([attributes[n] for n in names], axis=1)
        )
        by_name = dict(zip(names, found, strict=True))
        return sum((sign * by_name[name] for name, sign in terms), jnp.zeros(codes.shape[1]))
    method = {"means": jaxae.analysis.attribute_vector, "logistic": jaxae.analysis.logistic_normal}[
        config.direction
    ]
    return sum(
        (sign * method(codes, attributes[name]) for name, sign in terms), jnp.zeros(codes.shape[1])
    )


def without(data: datasets.Data, terms: Terms) -> np.ndarray:
    """Test images that are at the beginning of a direction: without A, and with B if it is A-B."""
    has = data.attributes[2]
    start = ~has[terms[0][0]]
    if len(terms) == 2 and (start & has[terms[1][0]]).any():
        start = start & has[terms[1][0]]
    return np.flatnonzero(start)


def go(
    config: Config,
    run: Run,
    model: jaxae.Autoencoder,
    params: Any,
    data: datasets.Data,
    wanted: dict[str, Terms],
) -> dict[str, float]:
    """Goes along each direction from test faces without it; draws and judges what comes out."""
    codes, test_codes = (
        inference.encode(model, params, images) for images in (data.train, data.test)
    )
    some = datasets.spread(len(data.train), JUDGES)
    judge = train_judges(inference.decode(model, params, codes[some]), data, some)
    seen = judge(inference.decode(model, params, test_codes))
    results: dict[str, float] = {}
    for name, terms in wanted.items():
        direction = find(config, codes, data, terms)
        start = without(data, terms)
        chosen = start[datasets.spread(len(start), FACES)]
        strengths = jnp.asarray(STRENGTHS)[None, :, None]
        path = test_codes[chosen][:, None] + strengths * direction
        faces = np.asarray(jaxae.analysis.decode_grid(lambda z: model.decode(params, z), path))
        originals = np.asarray(jaxae.as_float(data.test[chosen]))[:, None]
        figures.panels(
            {"": np.concatenate([originals, faces], axis=1)},
            run.figures / f"{name.replace('/', '_')}.png",
            title=f"{name.replace('_', ' ')}: test faces, and their codes moved along it",
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
            f"{name}/judge_auc": float(roc_auc_score(data.attributes[2][target], seen[target])),
        }
        if others:
            results[f"{name}/others"] = float(np.mean(others))
    return results


def train_judges(images: np.ndarray, data: datasets.Data, some: np.ndarray) -> Any:
    """Classifiers of all attributes on pixels: from images to `{attribute: probabilities}`."""
    flat = images.reshape(len(images), -1)
    count = min(COMPONENTS, *flat.shape)
    components = PCA(count, svd_solver="randomized", random_state=0).fit(flat)
    scaler = StandardScaler()
    features = scaler.fit_transform(components.transform(flat))
    models = {
        name: LogisticRegression(max_iter=1000).fit(features, has[some])
        for name, has in data.attributes[0].items()
        if 0 < has[some].sum() < len(some) and varies(data, name)
    }

    def judge(images: np.ndarray) -> dict[str, np.ndarray]:
        found = scaler.transform(components.transform(images.reshape(len(images), -1)))
        return {name: model.predict_proba(found)[:, 1] for name, model in models.items()}

    return judge


def draw(
    config: Config, run: Run, model: jaxae.Autoencoder, params: Any, data: datasets.Data
) -> None:
    """Reconstructions, samples, and the way from one face to another."""
    name = Path(config.dataset).name
    title = f"VAE on {name}, code {config.code}"
    running.figure_reconstructions(
        run, model, params, data, title=f"{title}: test faces and their reconstructions"
    )
    codes = inference.encode(model, params, data.train)
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
        title=f"{title}: decoded draws",
    )
    ends = datasets.choose(data, 4)
    z = model.encode(params, ends)
    t = jnp.linspace(0, 1, 9)
    half = len(ends) // 2
    if half == 0:
        return
    rows = {}
    for i in range(half):
        rows[f"pixels{' ' * i}"] = np.asarray(jaxae.analysis.lerp(ends[2 * i], ends[2 * i + 1], t))
        rows[f"codes{' ' * i}"] = np.asarray(
            model.decode(params, jaxae.analysis.lerp(z[2 * i], z[2 * i + 1], t))
        )
    figures.rows(rows, run.figures / "interpolation.png", title=f"{title}: from face to face")


def print_table(results: dict[str, Any]) -> None:
    """What each direction does to the judges' probabilities."""
    names = [key.removesuffix("/judge_auc") for key in results if key.endswith("/judge_auc")]
    if not names:
        return
    table = Table(
        "direction", "before", "after", "others moved by", "AUC of the judge", title="Judged"
    )
    for name in names:
        kinds = ("probability_before", "probability_after", "others", "judge_auc")
        found = [results.get(f"{name}/{kind}") for kind in kinds]
        table.add_row(name, *("-" if value is None else f"{value:.2f}" for value in found))
    Console().print(table)


if __name__ == "__main__":
    command(main, Config, __doc__)
