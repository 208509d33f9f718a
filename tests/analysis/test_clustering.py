"""Clusters and their scores, against brute force and scikit-learn."""

import itertools

import jax
import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import make_moons
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

import jaxae

KEY = jax.random.key(0)


def most_correct(clusters, labels):
    """The largest number of correct examples among all one-to-one maps of clusters to classes."""
    k = max(clusters.max(), labels.max()) + 1
    return max(
        sum(order[c] == y for c, y in zip(clusters, labels, strict=True))
        for order in itertools.permutations(range(k))
    )


@pytest.mark.parametrize(("clusters", "classes"), [(4, 4), (6, 3), (3, 6), (1, 4), (5, 1)])
@pytest.mark.parametrize("seed", range(4))
def test_matching_and_scores_by_brute_force(clusters, classes, seed):
    random = np.random.default_rng(seed)
    c, y = random.integers(clusters, size=40), random.integers(classes, size=40)
    found = jaxae.analysis.match_clusters(c, y)
    assert np.sum(found[c] == y) == most_correct(c, y)
    used = found[found >= 0]
    assert len(set(used)) == len(used)  # one to one
    scores = jaxae.analysis.cluster_scores(c, y)
    assert scores.accuracy == pytest.approx(most_correct(c, y) / 40)
    majority = sum(np.bincount(y[c == j]).max() for j in np.unique(c)) / 40
    assert scores.purity == pytest.approx(majority)
    assert scores.purity >= scores.accuracy
    assert scores.nmi == pytest.approx(normalized_mutual_info_score(y, c))
    assert scores.ari == pytest.approx(adjusted_rand_score(y, c))


def test_permuting_clusters_changes_nothing():
    y = np.arange(60) % 5
    assert jaxae.analysis.cluster_scores((y + 3) % 5, y).accuracy == 1
    assert jaxae.analysis.cluster_scores(np.zeros(60, int), y).accuracy == pytest.approx(0.2)


def test_clusters_that_are_empty_or_unmatched():
    clusters, labels = np.array([0, 0, 2, 2, 2]), np.array([1, 1, 0, 0, 1])
    assert jaxae.analysis.match_clusters(clusters, labels).tolist() == [1, -1, 0]
    assert jaxae.analysis.majority_classes(clusters, labels).tolist() == [1, -1, 0]
    # Both clusters are mostly of class 0, and only one of them can be matched to it.
    clusters, labels = np.array([0, 0, 0, 1, 1]), np.array([0, 0, 0, 0, 0])
    assert jaxae.analysis.match_clusters(clusters, labels).tolist() == [0, -1]
    assert jaxae.analysis.majority_classes(clusters, labels).tolist() == [0, 0]


def test_spectral_clusters_of_two_moons():
    points, labels = make_moons(400, noise=0.04, random_state=0)
    found = jaxae.analysis.spectral_clusters(points, 2, neighbours=10)
    assert jaxae.analysis.cluster_scores(found, labels).accuracy == 1
    plain = KMeans(2, n_init=10, random_state=0).fit_predict(points)
    assert jaxae.analysis.cluster_scores(plain, labels).accuracy < 0.95
    np.testing.assert_array_equal(found, jaxae.analysis.spectral_clusters(points, 2, neighbours=10))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("count", [2, 10])
def test_spectral_clusters_of_a_disconnected_graph(count, seed):
    """A graph of several components has a multiple eigenvalue."""
    random = np.random.default_rng(seed)
    labels = np.arange(40 * count) % count
    points = 100 * labels[:, None] + random.normal(size=(len(labels), 3))
    found = jaxae.analysis.spectral_clusters(points, count, components=count, seed=seed)
    assert jaxae.analysis.cluster_scores(found, labels).accuracy == 1
    more = jaxae.analysis.spectral_clusters(points, count, seed=seed)
    assert jaxae.analysis.cluster_scores(more, labels).accuracy > 0.9
    # With more components of the graph than eigenvectors, the largest are separated.
    few = jaxae.analysis.spectral_clusters(points, 2, components=2, seed=seed)
    assert len(np.unique(few)) == 2


def test_spectral_clusters_equal_those_of_a_dense_decomposition():
    points, _ = make_moons(80, noise=0.1, random_state=1)
    d = np.linalg.norm(points[:, None] - points, axis=-1)
    np.fill_diagonal(d, np.inf)
    weight = np.zeros((80, 80))
    for i, near in enumerate(np.argsort(d, axis=1)[:, :6]):
        weight[i, near] = np.exp(-((d[i, near] / d[i, near[-1]]) ** 2))
    weight = (weight + weight.T) / 2
    degree = weight.sum(0) ** -0.5
    _, vectors = np.linalg.eigh(degree[:, None] * weight * degree)
    rows = vectors[:, -3:] / np.linalg.norm(vectors[:, -3:], axis=1, keepdims=True)
    expected = KMeans(3, n_init=10, random_state=0).fit_predict(rows)
    found = jaxae.analysis.spectral_clusters(points, 3, neighbours=6, components=3)
    assert jaxae.analysis.cluster_scores(found, expected).accuracy == 1
    others = [
        jaxae.analysis.spectral_clusters(points, 3, neighbours=6, components=6),
        jaxae.analysis.spectral_clusters(points, 3, neighbours=20, components=3),
    ]
    assert all(not np.array_equal(found, other) for other in others)


def test_labels_in_narrow_integer_types():
    labels = np.array([255, 0, 255], np.uint8)
    assert jaxae.analysis.match_clusters(np.array([0, 1, 0], np.int8), labels).tolist() == [255, 0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda c, y: jaxae.analysis.match_clusters(c, y[1:]),
            r"got \(3,\) and \(2,\)",
        ),
        (lambda c, y: jaxae.analysis.match_clusters(c[:0], y[:0]), r"got \(0,\)"),
        (lambda c, y: jaxae.analysis.cluster_scores(c - 1, y), "numbered from 0"),
        (lambda c, y: jaxae.analysis.cluster_scores(c, y - 1), "numbered from 0"),
        (
            lambda c, y: jaxae.analysis.spectral_clusters(np.ones((3, 2)), 2, neighbours=3),
            "no 3 neighbours each",
        ),
        (
            lambda c, y: jaxae.analysis.spectral_clusters(np.ones((3, 2)), 3, neighbours=2),
            "too few for 3 spectral",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.array([0, 1, 2]), np.array([0, 1, 0]))


def test_spectral_clusters_do_not_depend_on_an_offset():
    points, labels = make_moons(100, noise=0.04, random_state=0)
    wide = np.concatenate(
        [points, np.zeros((100, 30))], axis=1
    )  # too wide for a tree of neighbours
    found = jaxae.analysis.spectral_clusters(wide + 1e7, 2, neighbours=10)
    assert jaxae.analysis.cluster_scores(found, labels).accuracy == 1
