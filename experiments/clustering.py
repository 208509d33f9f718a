"""Clustering: classes without labels, from clusters of codes.

    python -m experiments.clustering
    python -m experiments.clustering --dataset mnist
    python -m experiments.clustering --dataset mnist --preset best
    python -m experiments.clustering --dataset fashion_mnist --preset best

The preset plain trains an autoencoder, clusters its codes by K-means, and assigns clusters to classes by the
Hungarian method. The preset best applies spectral clustering to the graph of nearest neighbours of the codes,
and then trains encoder and cluster centres in rounds of deep embedded clustering.

Labels are used only to assign classes to clusters: those of the training images for test/accuracy, and those
of all images for all/accuracy, the protocol of the literature (which also trains on the test images; here no
network does).

Measured (--preset best, in which plain and spectral are stages; mean and sd of seeds 0, 1, 2; jax 0.10.2;
43 minutes on one shared core of two):

                     pixels   plain           spectral        best
    mnist, all       0.535    0.902 (0.034)   0.973 (0.002)   0.982 (0.001)
    mnist, test      0.544    0.900 (0.025)                   0.985 (0.001)
    fashion, all     0.473    0.587 (0.022)   0.589 (0.019)   0.590 (0.019)
    fashion, test    0.485    0.583 (0.023)                   0.584 (0.020)

The figures of spectral are of the training images. The method was selected on the first 30,000 and on all
60,000 training images of MNIST with other seeds (100, 101), by their labels; the test images were not used.

Lectures: the self-supervised classifier and its "best performing solution".
"""

import experiments  # noqa: F401  # isort: skip  (finds the packages, also for a script)

import dataclasses
import sys
import time
import warnings
from typing import Any, Literal, NamedTuple

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

import jaxae
from experiments.shared import datasets, flags, optimizers, running
from experiments.shared.cluster_figures import draw_confusion, draw_examples
from experiments.shared.judge import flat
from jaxae.analysis.cluster_refinement import refine_clusters
from jaxae.runs import inference
from jaxae.runs.command import command
from jaxae.runs.folder import Run
from jaxae.runs.tables import number, print_rows
from jaxae.runtime import processes

IMAGES, ROUND_IMAGES = 1_800_000, 60_000
"""Training images shown by default, to the autoencoder and in each round."""
STARTS = 10
"""Initialisations of K-means, of which the best result is kept."""
IMAGES_PER_CLUSTER = 10
"""Training images that there must be for each cluster, on average."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(flags.Config):
    """Flags of the clustering experiment."""

    preset: Literal["plain", "best"] = "plain"
    """Cluster the codes by K-means (plain), or by spectral clustering followed by rounds of deep
    embedded clustering (best)."""
    clusters: int | None = None
    """Look for this number of clusters. The default is the number of classes."""
    seeds: int = 3
    """Repeat the experiment this many times, with consecutive seeds from --seed. The results are
    the mean and the standard deviation."""

    code: flags.LatentDim = 10
    """Use codes with this number of latent dimensions."""
    hidden: tuple[int, ...] = (500, 500, 2000)
    """Give the encoder hidden layers of these widths; the decoder has them in reverse."""
    rotation: float = 11.5
    """Rotate training images at random by up to this number of degrees."""
    stretch: float = 0.1
    """Stretch training images at random by up to this fraction."""
    shear: float = 0.2
    """Shear training images at random by up to this number of pixels per pixel of height."""
    shift: float = 0.07
    """Shift training images at random by up to this fraction of their side."""

    rounds: int = 10
    """Make this number of rounds of --preset best; the images are assigned to clusters anew before
    each."""
    reconstruction: float = 0.02
    """Give the reconstruction error this weight in the rounds of --preset best."""

    epochs: int | None = None
    """Train the autoencoder for this number of passes over the training set. The default is as many
    as show 1.8 million images (30 epochs of MNIST), but at most 400."""
    round_epochs: int | None = None
    """Train for this number of passes over the training set in each round. The default is as many
    as show 60,000 images."""
    batch_size: int | None = None
    """Compute each training step on this number of examples, over all devices. The default is 128,
    or all examples if there are fewer."""
    learning_rate: float = 1e-3
    """Start with this learning rate of the optimizer Adam."""


class Found(NamedTuple):
    """The clusters of one run.

    Attributes:
      train: the cluster of each training image, `[n]`.
      test: the cluster of each test image, by the same rule.
      everything: the clusters of training and test images together; K-means is fitted to all of them.
      typical: how typical each test image is of its cluster, for figures.
    """

    train: np.ndarray
    test: np.ndarray
    everything: np.ndarray
    typical: np.ndarray


def main(config: Config) -> dict[str, Any]:
    """Trains, clusters and scores once for each seed, and writes the run folder."""
    started = time.perf_counter()
    data = datasets.load(config, hold_out=False, default=128)
    config = optimizers.with_epochs(config, data, IMAGES, most=400)
    datasets.check_labels(config, data)
    classes = len(np.unique(np.asarray(data.labels[0])))
    clusters = classes if config.clusters is None else config.clusters
    check(config, clusters, len(data.train))
    data = data._replace(transform=augmentation(config, data.train.shape[1]))
    model = build(config, data)

    def work(run: Run) -> dict[str, Any]:
        scores: dict[str, list[dict[str, float]]] = {}
        for seed in range(config.seed, config.seed + config.seeds):
            settings = dataclasses.replace(config, seed=seed)
            part = run.part(f"seed-{seed}")
            params = running.fit(settings, part, model, data, name=f"seed {seed}").params
            train, test = (inference.encode(model, params, x) for x in (data.train, data.test))
            with running.stage(f"seed {seed}: K-means of {len(train) + len(test):,} codes"):
                found = k_means(train, test, clusters, seed)
            scores.setdefault("plain/", []).append(score(found, data))
            if config.preset == "best":
                with running.stage(f"seed {seed}: spectral clusters of {len(train):,} codes"):
                    start = jaxae.analysis.spectral_clusters(train, clusters, seed=seed)
                agreement = jaxae.analysis.cluster_scores(start, np.asarray(data.labels[0], int))
                scores.setdefault("spectral/", []).append({"train/accuracy": agreement.accuracy})
                found = refine(settings, part, model, params, start, data)
                scores.setdefault("", []).append(score(found, data))
            if seed == config.seed:
                classes_found = jaxae.analysis.match_clusters(
                    found.train, np.asarray(data.labels[0], int)
                )
                accuracy = scores["" if config.preset == "best" else "plain/"][-1]["test/accuracy"]
                about = (
                    f"seed {seed}"
                    if config.seeds == 1
                    else f"seed {seed}, the first of {config.seeds}"
                )
                about = f"{about}, accuracy {accuracy:.3f}"
                draw_confusion(config, run, found.test, classes_found, data, about=about)
                draw_examples(
                    config, run, found.test, found.typical, classes_found, data, about=about
                )
        with running.stage(f"K-means of the pixels of {len(data.train):,} images"):
            pixels = k_means(flat(data.train), flat(data.test), clusters, config.seed)
        scores["pixels/"] = [score(pixels, data)]
        results = gather(scores, config)
        everything = (
            "K-means on the codes of all of them"
            if config.preset == "plain"
            else "in the clusters of the training images (plain/: K-means on the codes of all)"
        )
        results["protocol"] = (
            f"{data.protocol}; {config.preset}, {clusters} clusters, {classes} classes; test/: the "
            "clusters and their classes are those of the training images; all/: training and test "
            f"images, matched to their classes together, {everything}; no network is trained on test "
            "images; accuracy one to one, purity by majority; training images transformed at random; "
            f"mean and sd over {config.seeds} seed(s)"
        )
        return results

    return running.conduct("clustering", config, data, work, show=print_table, started=started)


def check(config: Config, clusters: int, images: int) -> None:
    """Raises for flags that are out of range or exclude each other."""
    for name in ("seeds", "rounds", "round_epochs"):
        value = getattr(config, name)
        if value is not None and value < 1:
            raise ValueError(f"--{name.replace('_', '-')} must be positive, got {value}")
    if clusters < 2:
        raise ValueError(f"--clusters must be at least 2, got {clusters}")
    if clusters * IMAGES_PER_CLUSTER > images:
        raise ValueError(
            f"{images} training images are too few for {clusters} clusters, which need at least "
            f"{clusters * IMAGES_PER_CLUSTER}"
        )
    for name in ("rounds", "round_epochs", "reconstruction"):
        if config.preset == "plain" and getattr(config, name) != getattr(Config, name):
            raise ValueError(f"--{name.replace('_', '-')} needs --preset best")
    if not 0 <= config.reconstruction < float("inf"):
        raise ValueError(f"--reconstruction must not be negative, got {config.reconstruction}")


def augmentation(config: Config, side: int) -> Any:
    """The random transformation of training images with this number of pixels on each side."""
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
    """The autoencoder: fully connected, with half the squared error as its loss."""
    shape = data.train.shape[1:]
    encoder = jaxae.networks.mlp_encoder(config.code, config.hidden)
    decoder = jaxae.networks.mlp_decoder(shape, config.hidden[::-1])
    return jaxae.autoencoder(encoder, decoder, jaxae.likelihoods.gaussian())


def k_means(train: np.ndarray, test: np.ndarray, clusters: int, seed: int) -> Found:
    """K-means on training codes, and on all codes."""
    with warnings.catch_warnings():
        # Fewer distinct codes than clusters: said below, once.
        warnings.simplefilter("ignore", ConvergenceWarning)
        means = KMeans(clusters, n_init=STARTS, random_state=seed).fit(train)
        everything = KMeans(clusters, n_init=STARTS, random_state=seed)
        together = everything.fit_predict(np.concatenate([train, test])).astype(int)
    if (count := len(np.unique(means.labels_))) < clusters and processes.is_first():
        print(
            f"note: K-means finds only {count} of {clusters} clusters, because no other codes differ",
            file=sys.stderr,
        )
    return Found(
        means.labels_.astype(int),
        means.predict(test).astype(int),
        together,
        -means.transform(test).min(axis=1),
    )


def refine(
    config: Config,
    run: Run,
    model: jaxae.Autoencoder,
    params: Any,
    start: np.ndarray,
    data: datasets.Data,
) -> Found:
    """Deep embedded clustering from given clusters on, each round in a part of the run folder."""
    settings = optimizers.with_epochs(
        dataclasses.replace(config, epochs=config.round_epochs), data, ROUND_IMAGES
    )

    def train(clustered: jaxae.Autoencoder, batch: jaxae.Batch, number: int) -> Any:
        part = run.part(f"round-{number}")
        name = f"seed {config.seed}, round {number} of {config.rounds}"
        fitted = running.fit(settings, part, clustered, data, name=name, train=batch, stream=number)
        return fitted.params

    def encode(params: Any, images: np.ndarray) -> np.ndarray:
        return inference.encode(model, params, images)

    refined = refine_clusters(
        model,
        params,
        start,
        data.train,
        encode=encode,
        train=train,
        rounds=config.rounds,
        reconstruction=config.reconstruction,
    )
    soft = [refined.assign(encode(refined.params, x)) for x in (data.train, data.test)]
    hard = [assignments.argmax(axis=1) for assignments in soft]
    return Found(hard[0], hard[1], np.concatenate(hard), soft[1].max(axis=1))


def score(found: Found, data: datasets.Data) -> dict[str, float]:
    """How well clusters agree with classes, on the test images and on all images."""
    labels, test_labels = (np.asarray(data.labels[i], int) for i in (0, 2))
    held_out = jaxae.analysis.cluster_scores(found.test, test_labels)
    one_to_one = jaxae.analysis.match_clusters(found.train, labels)
    majority = jaxae.analysis.majority_classes(found.train, labels)
    everything = jaxae.analysis.cluster_scores(
        found.everything, np.concatenate([labels, test_labels])
    )
    return {
        "test/accuracy": float(np.mean(assign(one_to_one, found.test) == test_labels)),
        "test/purity": float(np.mean(assign(majority, found.test) == test_labels)),
        "test/nmi": held_out.nmi,
        "test/ari": held_out.ari,
        **{f"all/{name}": value for name, value in everything._asdict().items()},
    }


def assign(classes: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """The class of each cluster; -1 for a cluster without training images."""
    padded = np.append(classes, -1)
    return padded[np.minimum(clusters, len(classes))]


def gather(scores: dict[str, list[dict[str, float]]], config: Config) -> dict[str, Any]:
    """Means and standard deviations over the seeds; those of the selected preset have no prefix."""
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


def print_table(results: dict[str, Any]) -> None:
    """Prints the scores, one row for each method."""
    kinds = {
        "test/accuracy": "accuracy, test images",
        "all/accuracy": "accuracy, all images",
        "all/nmi": "NMI, all images",
        "all/ari": "ARI, all images",
    }
    methods = {"": "this preset", "plain/": "K-means on codes", "pixels/": "K-means on pixels"}
    rows = {
        name: [
            number(results[f"{prefix}{kind}"], results.get(f"{prefix}{kind}_sd")) for kind in kinds
        ]
        for prefix, name in methods.items()
        if f"{prefix}test/accuracy" in results
    }
    print_rows("Clusters compared with classes", list(kinds.values()), rows)


if __name__ == "__main__":
    command(main, Config, __doc__)
