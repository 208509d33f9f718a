"""Classes without labels: clusters of codes, and how well they agree with classes that were never shown."""

from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Integer, Num

Clusters: TypeAlias = Integer[np.ndarray, " _"]
"""The number of a cluster, or of a class, for each example."""

NONE = -1
"""The class of a cluster that is matched to none."""


class ClusterScores(NamedTuple):
    """How well clusters agree with classes, each in [0, 1] (`ari` may be a little below zero).

    Attributes:
      accuracy: the part of the examples whose cluster is matched to their class, one to one.
      purity: the same where every cluster stands for its most frequent class, so that more clusters
        are always better.
      nmi: the mutual information of clusters and classes over the mean of their entropies.
      ari: the adjusted Rand index, zero for clusters drawn at random.
    """

    accuracy: float
    purity: float
    nmi: float
    ari: float


def match_clusters(clusters: Clusters, labels: Clusters) -> Integer[np.ndarray, " k"]:
    """The class of each cluster, one to one, so that as many examples as possible are right.

    Solved exactly (the assignment problem, by scipy). With more clusters than classes, some clusters
    have no class; with fewer, some classes have no cluster.

    Args:
      clusters: `[n]`, 0, 1, ... k - 1.
      labels: `[n]`, 0, 1, ...

    Returns:
      `[k]`, the class of each cluster, -1 for a cluster without one.

    Raises:
      ValueError: if there are no examples, their numbers differ, or one is negative.

    Examples:
      >>> match_clusters(np.array([0, 0, 1, 1, 2]), np.array([1, 1, 0, 0, 0])).tolist()
      [1, 0, -1]

    References:
      Kuhn, `The Hungarian method for the assignment problem
      <https://doi.org/10.1002/nav.3800020109>`_.
    """
    from scipy.optimize import linear_sum_assignment

    counts = _contingency(clusters, labels)
    rows, columns = linear_sum_assignment(counts, maximize=True)
    classes = np.full(len(counts), NONE)
    # A pair without a single example is no match: it is what is left over.
    found = counts[rows, columns] > 0
    classes[rows[found]] = columns[found]
    return classes


def majority_classes(clusters: Clusters, labels: Clusters) -> Integer[np.ndarray, " k"]:
    """The most frequent class of each cluster; -1 for an empty one.

    Args:
      clusters: `[n]`, 0, 1, ... k - 1.
      labels: `[n]`, 0, 1, ...

    Raises:
      ValueError: as :func:`match_clusters`.

    Examples:
      >>> majority_classes(np.array([0, 0, 1, 1, 2]), np.array([1, 1, 0, 0, 0])).tolist()
      [1, 0, 0]
    """
    counts = _contingency(clusters, labels)
    return np.where(counts.sum(axis=1) > 0, counts.argmax(axis=1), NONE)


def cluster_scores(clusters: Clusters, labels: Clusters) -> ClusterScores:
    """Accuracy under the best one-to-one matching, purity, mutual information and Rand index.

    The matching is found on these very labels, as the literature does; where it is found on others,
    the accuracy is `np.mean(match_clusters(...)[clusters] == labels)`.

    Args:
      clusters: `[n]`, 0, 1, ... k - 1.
      labels: `[n]`, 0, 1, ...

    Raises:
      ValueError: as :func:`match_clusters`.

    Examples:
      >>> scores = cluster_scores(np.array([1, 1, 0, 0]), np.array([0, 0, 1, 1]))
      >>> scores.accuracy, round(scores.nmi, 6), scores.ari
      (1.0, 1.0, 1.0)

    References:
      Xie et al., `Unsupervised Deep Embedding for Clustering Analysis
      <https://arxiv.org/abs/1511.06335>`_, section 5.2.
    """
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    return ClusterScores(
        float(np.mean(match_clusters(clusters, labels)[clusters] == labels)),
        float(np.mean(majority_classes(clusters, labels)[clusters] == labels)),
        float(normalized_mutual_info_score(labels, clusters)),
        float(adjusted_rand_score(labels, clusters)),
    )


def spectral_clusters(
    codes: Num[np.ndarray, "n d"],
    clusters: int,
    *,
    neighbours: int = 15,
    components: int | None = None,
    seed: int = 0,
) -> Clusters:
    r"""Clusters of the graph in which every code is joined to its nearest ones.

    .. math:: w_{ij} = e^{-\|z_i - z_j\|^2 / r_i^2}, \qquad
              D^{-1/2}\, \tfrac12 (W + W^\top)\, D^{-1/2}\, u = \lambda u

    where `r_i` is the distance to the last neighbour of `i`. The eigenvectors of the largest
    eigenvalues, with rows of length one, are clustered by K-means. Where K-means on codes wants
    round clusters, these may have any shape, as long as they are connected.

    As many eigenvectors as clusters are enough where the clusters are the weakest links of the graph.
    Among codes of images there are weaker ones (some slanted ones are hardly joined to upright ones),
    and with half as many eigenvectors again the classes are found all the same: on codes of MNIST 0.96
    of the images in place of 0.82.

    Args:
      codes: `[n, d]`.
      clusters: how many.
      neighbours: of each code in the graph.
      components: eigenvectors; by default half as many again as there are clusters.
      seed: of the starting vector and of K-means.

    Returns:
      `[n]`, 0, 1, ... clusters - 1.

    Raises:
      ValueError: if there are too few codes for the clusters or the neighbours, or the eigenvectors
        are not found.

    Examples:
      >>> turn = np.arange(60) / 9.5
      >>> rings = [r * np.stack([np.cos(turn), np.sin(turn)], axis=1) for r in (1.0, 3.0)]
      >>> found = spectral_clusters(np.concatenate(rings), 2, neighbours=5, components=2)
      >>> cluster_scores(found, np.arange(120) // 60).accuracy  # one ring around the other
      1.0

    References:
      Ng et al., `On Spectral Clustering
      <https://papers.nips.cc/paper/2092-on-spectral-clustering-analysis-and-an-algorithm>`_;
      local scales: Zelnik-Manor and Perona, `Self-Tuning Spectral Clustering
      <https://papers.nips.cc/paper/2619-self-tuning-spectral-clustering>`_.
    """
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
    from sklearn.cluster import KMeans
    from sklearn.neighbors import NearestNeighbors

    n = len(codes)
    if codes.ndim != 2 or not np.isfinite(codes).all():
        raise ValueError("codes are finite numbers, [n, d]")
    if not 1 <= neighbours < n:
        raise ValueError(f"of {n} codes, none has {neighbours} neighbours")
    if components is None:
        components = min(clusters + clusters // 2, n - 1)
    if not (1 <= clusters < n and 1 <= components < n):
        raise ValueError(
            f"{n} codes do not make {clusters} spectral clusters of {components} components"
        )
    # A query without points leaves each point out of its own neighbours.
    distance, index = NearestNeighbors(n_neighbors=neighbours).fit(codes).kneighbors()
    radius = np.maximum(distance[:, -1:], np.finfo(np.float32).tiny)
    weight = np.exp(-np.square(distance / radius))
    pairs = (np.repeat(np.arange(n), neighbours), index.ravel())
    graph = sparse.csr_matrix((weight.ravel(), pairs), shape=(n, n))
    graph = (graph + graph.T) / 2
    degree = np.sqrt(np.asarray(graph.sum(axis=1)).ravel())
    scaled = sparse.diags(1 / degree) @ graph @ sparse.diags(1 / degree)
    # The eigenvectors of eigenvalue one are known, one for each connected part of the graph. Lanczos
    # iterations would find only some of them; without them, they find the others.
    count, part = connected_components(graph, directed=False)
    largest = np.argsort(-np.bincount(part), kind="stable")[:components]
    known = np.where(part[:, None] == largest, degree[:, None], 0.0)
    known /= np.linalg.norm(known, axis=0)
    vectors = known
    if count < components:
        others = LinearOperator(
            (n, n), matvec=lambda v: scaled @ v - known @ (known.T @ v), dtype=np.float64
        )
        start = np.random.default_rng(seed).normal(size=n)
        wanted = components - count
        width = min(n, max(4 * components, 20))
        try:
            _, found = eigsh(others, k=wanted, which="LA", v0=start, tol=1e-4, ncv=width)
        except ArpackNoConvergence as error:
            raise ValueError(
                "the eigenvectors of the neighbour graph were not found; try other neighbours than "
                f"{neighbours}"
            ) from error
        vectors = np.concatenate([known, found], axis=1)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = vectors / np.maximum(lengths, np.finfo(np.float64).tiny)
    return KMeans(clusters, n_init=10, random_state=seed).fit_predict(vectors)


def _contingency(clusters: Clusters, labels: Clusters) -> np.ndarray:
    """How many examples each cluster has of each class, `[clusters, classes]`."""
    from sklearn.metrics import confusion_matrix

    for numbers in (clusters, labels):
        if not np.issubdtype(numbers.dtype, np.integer):
            raise ValueError(f"clusters and labels are whole numbers, not {numbers.dtype}")
    if len(clusters) != len(labels) or not len(labels):
        raise ValueError(f"there are {len(clusters)} clusters of examples and {len(labels)} labels")
    if clusters.min() < 0 or labels.min() < 0:
        raise ValueError("clusters and labels are numbered from 0 on")
    size = 1 + int(
        max(clusters.max(), labels.max())
    )  # not in the arrays' own type, which may be a byte
    counts = confusion_matrix(clusters, labels, labels=np.arange(size))
    return counts[: int(clusters.max()) + 1, : int(labels.max()) + 1]
