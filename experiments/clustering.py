"""A classifier without labels: codes, clusters of codes, and the best assignment of clusters to classes.

    python -m experiments.clustering
    python -m experiments.clustering --dataset mnist
    python -m experiments.clustering --dataset mnist --preset best
    python -m experiments.clustering --dataset fashion_mnist --preset best

Plain: an autoencoder, K-means on its codes, and the Hungarian assignment. Best: the codes' graph of nearest
neighbours is clustered (spectral), and from there encoder and centres are trained on towards their own surer
assignments (deep embedded clustering), round after round.

No label is used but to say which class a cluster is: by the training images for test/accuracy, and by all
images for all/accuracy, the protocol of the literature (which also trains on the test images; here they
are never trained on).

Measured (--preset best, in which plain and spectral are stages; mean and sd of seeds 0, 1, 2; jax 0.10.2;
43 minutes on one core of two, which other runs shared):

                     pixels   plain           spectral        best
    mnist, all       0.535    0.902 (0.034)   0.973 (0.002)   0.982 (0.001)
    mnist, test      0.544    0.900 (0.025)                   0.985 (0.001)
    fashion, all     0.473    0.587 (0.022)   0.589 (0.019)   0.590 (0.019)
    fashion, test    0.485    0.583 (0.023)                   0.584 (0.020)

(spectral: of the training images). The method was chosen on the first 30,000 and on all 60,000 training
images of MNIST with other seeds (100, 101), by their labels; the test images were not looked at.

Lectures: the self-supervised classifier and its "best performing solution".
"""

import dataclasses
import time
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.cluster import KMeans
from sklearn.metrics import confusion_matrix

import jaxae
from experiments.shared import datasets, flags, optimizers, running
from jaxae.runs import charts, figures, inference
from jaxae.runs.command import command
from jaxae.runs.folder import Run

IMAGES, ROUND_IMAGES = 1_800_000, 60_000
STARTS = 10
LEAST = 10
"""Training images for each cluster, at least."""
EXAMPLES = 12


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(flags.Config):
    """Flags of the clustering."""

    preset: Literal["plain", "best"] = "plain"
    """K-means on the codes; or spectral clusters, and rounds of deep embedded clustering from
    there."""
    clusters: int | None = None
    """How many; by default as many as there are classes."""
    seeds: int = 3
    """How many runs, with the seeds from --seed on; the results are their mean and standard
    deviation."""

    code: int = 10
    """Size of the code."""
    hidden: tuple[int, ...] = (500, 500, 2000)
    """Widths of the encoder's hidden layers; the decoder mirrors them."""
    rotation: float = 11.5
    """Training images are turned by up to so many degrees, ..."""
    stretch: float = 0.1
    """... stretched by up to this part, ..."""
    shear: float = 0.2
    """... slanted by up to so many pixels for each pixel of height, ..."""
    shift: float = 0.07
    """... and shifted by up to this part of their side, each way."""

    rounds: int = 10
    """How often the assignments are made anew, with --preset best."""
    reconstruction: float = 0.02
    """Weight of the autoencoder's own loss in these rounds."""

    epochs: int | None = None
    """Passes over the training set as an autoencoder; by default as many as show 1.8 million images
    (30 epochs of MNIST), and at most 400."""
    round_epochs: int | None = None
    """Passes over the training set in each round; by default as many as show 60,000 images."""
    batch_size: int | None = None
    """Examples in a step, over all devices; by default 128, or fewer if there are fewer."""
    learning_rate: float = 1e-3
    """Of Adam, at the start."""


class Found(NamedTuple):
    """The clusters of one run.

    Attributes:
      train: the cluster of each training image.
      test: of each test image, by the same rule.
      everything: of training and test images together, clustered together where the method is one
        that clusters.
      typical: how well each test image fits its cluster, for figures.
    """

    train: np.ndarray
    test: np.ndarray
    everything: np.ndarray
    typical: np.ndarray


def main(config: Config) -> dict[str, Any]:
    """Trains, clusters and scores as many times as there are seeds, and writes the run folder."""
    started = time.perf_counter()
    data = datasets.load(config, hold_out=False, default=128)
    config = optimizers.with_epochs(config, data, IMAGES, most=400)
    datasets.check_labels(config, data)
    for name in ("seeds", "rounds", "round_epochs"):
        value = getattr(config, name)
        if value is not None and value < 1:
            raise ValueError(
                f"--{name.replace('_', '-')} must be positive, got {getattr(config, name)}"
            )
    classes = len(np.unique(np.asarray(data.labels[0])))
    clusters = classes if config.clusters is None else config.clusters
    if clusters < 2:
        raise ValueError(f"--clusters must be at least 2, got {clusters}")
    if clusters * LEAST > len(data.train):
        raise ValueError(
            f"{len(data.train)} training images are too few for {clusters} clusters; "
            f"{clusters * LEAST} would do"
        )
    for name in ("rounds", "round_epochs", "reconstruction"):
        if config.preset == "plain" and getattr(config, name) != getattr(Config, name):
            raise ValueError(f"--{name.replace('_', '-')} goes with --preset best")
    if not 0 <= config.reconstruction < float("inf"):
        raise ValueError(f"--reconstruction must not be negative, got {config.reconstruction}")
    data = data._replace(transform=augmentation(config, data.train.shape[1]))
    model = build(config, data)

    def work(run: Run) -> dict[str, Any]:
        scores: dict[str, list[dict[str, float]]] = {}
        for seed in range(config.seed, config.seed + config.seeds):
            settings = dataclasses.replace(config, seed=seed)
            part = run.part(f"seed-{seed}")
            fitted = running.fit(settings, part, model, data)
            train, test = (
                inference.encode(model, fitted.params, x) for x in (data.train, data.test)
            )
            codes = np.asarray(train), np.asarray(test)
            found = k_means(codes, clusters, seed)
            scores.setdefault("plain/", []).append(score(found, data))
            if config.preset == "best":
                start = jaxae.analysis.spectral_clusters(codes[0], clusters, seed=seed)
                agreement = jaxae.analysis.cluster_scores(start, np.asarray(data.labels[0], int))
                scores.setdefault("spectral/", []).append({"train/accuracy": agreement.accuracy})
                found = refine(settings, part, model, fitted.params, start, codes[0], data)
                scores.setdefault("", []).append(score(found, data))
            if seed == config.seed:
                draw(config, run, found, data)
        flat = [np.asarray(jaxae.as_float(x)).reshape(len(x), -1) for x in (data.train, data.test)]
        scores["pixels/"] = [score(k_means((flat[0], flat[1]), clusters, config.seed), data)]
        results = gather(scores, config)
        results["protocol"] = (
            f"{data.protocol}; {config.preset}, {clusters} clusters, {classes} classes; test/: the "
            "clusters and their classes are those of the training images; all/: training and test "
            "images, matched to their classes together, "
            + (
                "K-means on the codes of all of them"
                if config.preset == "plain"
                else "in the clusters of the training images (plain/: K-means on the codes of all)"
            )
            + "; no network is trained on test images; accuracy one to one, purity by majority; "
            f"training images moved at random; mean and sd over {config.seeds} seed(s)"
        )
        return results

    results = running.conduct("clustering", config, data, work, started=started)
    print_table(results)
    return results


def augmentation(config: Config, side: int) -> Any:
    """What happens to training images, of so many pixels a side."""
    strengths = (config.rotation, config.stretch, config.shear, config.shift)
    if not any(strengths):
        return None
    return jaxae.augmentations.random_affine(
        rotation=config.rotation,
        scale=config.stretch,
        shear=config.shear,
        shift=config.shift * side,
    )


def build(config: Config, data: datasets.Data) -> jaxae.Autoencoder:
    """The autoencoder: fully connected, half the squared error."""
    shape = data.train.shape[1:]
    encoder = jaxae.networks.mlp_encoder(config.code, config.hidden)
    decoder = jaxae.networks.mlp_decoder(shape, config.hidden[::-1])
    return jaxae.autoencoder(encoder, decoder, jaxae.likelihoods.gaussian())


def k_means(codes: tuple[np.ndarray, np.ndarray], clusters: int, seed: int) -> Found:
    """K-means on training codes, and on all of them."""
    train, test = codes
    means = KMeans(clusters, n_init=STARTS, random_state=seed).fit(train)
    everything = KMeans(clusters, n_init=STARTS, random_state=seed)
    return Found(
        means.labels_.astype(int),
        means.predict(test).astype(int),
        everything.fit_predict(np.concatenate(codes)).astype(int),
        -means.transform(test).min(axis=1),
    )


def refine(
    config: Config,
    run: Run,
    model: jaxae.Autoencoder,
    params: Any,
    start: np.ndarray,
    codes: np.ndarray,
    data: datasets.Data,
) -> Found:
    """Deep embedded clustering: assignments of all images, a round of training towards them, and again.

    The first round is towards the clusters it starts from, which need not be round.
    """
    clusters = int(start.max()) + 1
    means = np.stack([codes[start == c].mean(axis=0) for c in range(clusters)])
    # The distance of a code from its centre.
    scale = float(np.sqrt(np.mean(np.sum(np.square(codes - means[start]), axis=1)))) or 1.0
    centres = jnp.asarray(means, jnp.float32)
    targets = np.eye(clusters, dtype=np.float32)[start]

    def assignments(params: Any, centres: jax.Array, images: np.ndarray) -> np.ndarray:
        z = inference.encode(model, params, images)
        return np.asarray(jaxae.wrappers.soft_assignments(z, centres, scale=scale))

    for i in range(config.rounds):
        if i > 0:
            targets = jaxae.wrappers.target_distribution(assignments(params, centres, data.train))
        clustered = jaxae.deep_clustering(
            model, params, centres, scale=scale, reconstruction=config.reconstruction
        )
        settings = optimizers.with_epochs(
            dataclasses.replace(config, epochs=config.round_epochs), data, ROUND_IMAGES
        )
        part = run.part(f"round-{i + 1}")
        fitted = running.fit(settings, part, clustered, data, targets=(targets, None), stream=i + 1)
        centres = fitted.params["centres"]
        params = {name: value for name, value in fitted.params.items() if name != "centres"}
    train, test = (assignments(params, centres, images) for images in (data.train, data.test))
    found = [q.argmax(axis=1) for q in (train, test)]
    return Found(found[0], found[1], np.concatenate(found), test.max(axis=1))


def score(found: Found, data: datasets.Data) -> dict[str, float]:
    """How well clusters agree with classes: on test images, and on all of them."""
    labels, test_labels = (np.asarray(data.labels[i], int) for i in (0, 2))
    held_out = jaxae.analysis.cluster_scores(found.test, test_labels)
    one_to_one = jaxae.analysis.match_clusters(found.train, labels)
    majority = jaxae.analysis.majority_classes(found.train, labels)
    together = jaxae.analysis.cluster_scores(
        found.everything, np.concatenate([labels, test_labels])
    )
    return {
        "test/accuracy": float(np.mean(assign(one_to_one, found.test) == test_labels)),
        "test/purity": float(np.mean(assign(majority, found.test) == test_labels)),
        "test/nmi": held_out.nmi,
        "test/ari": held_out.ari,
        **{f"all/{name}": value for name, value in together._asdict().items()},
    }


def assign(classes: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """The class of each cluster; none for a cluster that no training image is in."""
    padded = np.append(classes, -1)
    return padded[np.minimum(clusters, len(classes))]


def gather(scores: dict[str, list[dict[str, float]]], config: Config) -> dict[str, Any]:
    """Means and standard deviations over the seeds; what was asked for has no prefix."""
    results: dict[str, Any] = {}
    if config.preset == "plain":
        scores = {"": scores["plain/"], **{k: v for k, v in scores.items() if k != "plain/"}}
    for prefix, runs in sorted(scores.items()):
        for name in runs[0]:
            values = [run[name] for run in runs]
            results[f"{prefix}{name}"] = float(np.mean(values))
            if len(values) > 1:
                results[f"{prefix}{name}_sd"] = float(np.std(values, ddof=1))
    return results


def draw(config: Config, run: Run, found: Found, data: datasets.Data) -> None:
    """The confusion matrix of the test images, and the most typical of each cluster."""
    labels = np.asarray(data.labels[0], int)
    test_labels = np.asarray(data.labels[2], int)
    name = Path(config.dataset).name
    classes = jaxae.analysis.match_clusters(found.train, labels)
    # Clusters in the order of their classes; those without one at the end.
    order = np.argsort(np.where(classes < 0, classes.max() + 1, classes), kind="stable")
    said = [f"{c} \u2192 {classes[c]}" if classes[c] >= 0 else f"{c}" for c in order]
    known = np.unique(np.concatenate([labels, test_labels]))
    size = max(len(classes), int(known.max()) + 1, int(found.test.max()) + 1)
    counts = confusion_matrix(found.test, test_labels, labels=range(size))[np.ix_(order, known)]
    charts.confusion(
        counts,
        run.figures / "confusion.png",
        title=f"{name}: test images, {config.preset}",
        rows=said,
        columns=[str(label) for label in known],
        xlabel="class",
        ylabel="cluster \u2192 its class",
    )
    rows = {}
    for c, text in zip(order, said, strict=True):
        members = np.flatnonzero(found.test == c)
        best = members[np.argsort(-found.typical[members])[:EXAMPLES]]
        # Where a cluster has fewer, the rest of its row is empty.
        shown = np.ones((EXAMPLES, *data.test.shape[1:]), np.float32)
        shown[: len(best)] = jaxae.as_float(data.test[best])
        rows[text] = shown
    title = f"{name}: the most typical test images of each cluster"
    figures.rows(rows, run.figures / "clusters.png", title=title)


def print_table(results: dict[str, Any]) -> None:
    """A row for each method."""
    table = Table("codes", "test accuracy", "all accuracy", "nmi", "ari", title="Without labels")
    for prefix, name in (
        ("", "these"),
        ("plain/", "K-means on codes"),
        ("pixels/", "K-means on pixels"),
    ):
        if f"{prefix}test/accuracy" not in results:
            continue
        kinds = ("test/accuracy", "all/accuracy", "all/nmi", "all/ari")
        cells = []
        for kind in kinds:
            sd = results.get(f"{prefix}{kind}_sd")
            cells.append(f"{results[prefix + kind]:.4f}" + ("" if sd is None else f" ({sd:.4f})"))
        table.add_row(name, *cells)
    Console().print(table)


if __name__ == "__main__":
    command(main, Config, __doc__)
