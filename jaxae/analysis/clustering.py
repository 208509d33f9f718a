"""Clusters of codes, and their agreement with classes."""

from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Integer, Num

Clusters: TypeAlias = Integer[np.ndarray, " _"]
"""The cluster, or the class, of each example, numbered from 0."""

LARGEST = 2**16
"""Numbers of clusters above this, and above the number of examples, are refused."""

NO_CLASS = -1
"""The class of a cluster that is matched to no class."""


class ClusterScores(NamedTuple):
    """Agreement of clusters with classes; all are in [0, 1], except that `ari` may be below zero.

    Attributes:
      accuracy: the fraction of the examples whose cluster is matched to their class, where the
        matching is one to one.
      purity: the same, where each cluster is matched to its most frequent class; it increases with
        the number of clusters.
      nmi: the mutual information of clusters and classes, divided by the mean of their entropies.
      ari: the adjusted Rand index, whose expectation is zero for random clusters.
    """

    accuracy: float
    purity: float
    nmi: float
    ari: float


def match_clusters(clusters: Clusters, labels: Clusters) -> Integer[np.ndarray, " k"]:
    """Matches clusters to classes one to one, so that as many examples as possible are correct.

    This assignment problem is solved exactly. If there are more clusters than classes, some clusters
    have no class; if there are fewer, some classes have no cluster.

    Args:
      clusters: `[n]`, 0, 1, ... k - 1.
      labels: `[n]`, 0, 1, ...

    Returns:
      `[k]`, the class of each cluster, or -1.

    Raises:
      ValueError: if there are no examples, the lengths differ, or a cluster or label is not an integer
        of at least 0.

    Examples:
      >>> match_clusters(np.array([0, 0, 1, 1, 2]), np.array([1, 1, 0, 0, 0])).tolist()
      [1, 0, -1]

    References:
      Kuhn, `The Hungarian method for the assignment problem
      <https://doi.org/10.1002/nav.3800020109>`_.
    """
    from scipy.optimize import linear_sum_assignment

    counts, names = _contingency(clusters, labels)
    rows, columns = linear_sum_assignment(counts, maximize=True)
    classes = np.full(len(counts), NO_CLASS)
    # A pair without an example is not a match: the solver pairs what is left over.
    found = counts[rows, columns] > 0
    classes[rows[found]] = names[columns[found]]
    return classes


def majority_classes(clusters: Clusters, labels: Clusters) -> Integer[np.ndarray, " k"]:
    """The most frequent class of each cluster.

    Args:
      clusters: `[n]`, 0, 1, ... k - 1.
      labels: `[n]`, 0, 1, ...

    Returns:
      `[k]`, the class of each cluster, -1 for an empty one.

    Raises:
      ValueError: as :func:`match_clusters`.

    Examples:
      >>> majority_classes(np.array([0, 0, 1, 1, 2]), np.array([1, 1, 0, 0, 0])).tolist()
      [1, 0, 0]
    """
    counts, names = _contingency(clusters, labels)
    return np.where(counts.sum(axis=1) > 0, names[counts.argmax(axis=1)], NO_CLASS)


def cluster_scores(clusters: Clusters, labels: Clusters) -> ClusterScores:
    """Accuracy under the best one-to-one matching, purity, mutual information and Rand index.

    The matching is found on the same labels that the accuracy is computed on, as is usual. With a
    matching found on other examples, the accuracy is `np.mean(matching[clusters] == labels)`.

    Args:
      clusters: `[n]`, 0, 1, ... k - 1.
      labels: `[n]`, 0, 1, ...

    Returns:
      :class:`ClusterScores`.

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
    r"""Spectral clustering of the graph of nearest neighbours.

    .. math:: w_{ij} = e^{-\|z_i - z_j\|^2 / r_i^2}, \qquad
              D^{-1/2}\, \tfrac12 (W + W^\top)\, D^{-1/2}\, u = \lambda u

    where `j` is one of the neighbours of `i`, and `r_i` the distance from `i` to the last of them. The
    rows of the eigenvectors with the largest eigenvalues are normalised and clustered by K-means.
    K-means on codes finds round clusters; these may have any shape, as long as they are connected.

    If the graph has weaker links inside the classes than between them, such as those from slanted to
    upright digits, more eigenvectors than clusters are needed. By default there are 1.5 times as many:
    on codes of MNIST this raises the accuracy from 0.82 to 0.96.

    Args:
      codes: `[n, d]`.
      clusters: the number of clusters.
      neighbours: the number of neighbours of each code in the graph.
      components: the number of eigenvectors; by default 1.5 times the number of clusters.
      seed: of the starting vector and of K-means.

    Returns:
      `[n]`, 0, 1, ... clusters - 1.

    Raises:
      ValueError: if the codes are not finite numbers, there are too few of them for the clusters or the
        neighbours, or the eigenvectors do not converge.

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
        raise ValueError(f"the codes must be finite numbers, [n, d]; their shape is {codes.shape}")
    if not 1 <= neighbours < n:
        raise ValueError(
            f"{n} codes have no {neighbours} neighbours each; give more codes or fewer neighbours"
        )
    if components is None:
        components = min(clusters + clusters // 2, n - 1)
    if not (1 <= clusters < n and 1 <= components < n):
        raise ValueError(
            f"{n} codes are too few for {clusters} spectral clusters with {components} components"
        )
    # Distances from expanded squares lose the digits of a common offset.
    codes = np.asarray(codes, np.float64)
    codes = codes - codes.mean(axis=0)
    # Without an argument, `kneighbors` leaves each point out of its own neighbours.
    distance, index = NearestNeighbors(n_neighbors=neighbours).fit(codes).kneighbors()
    radius = np.maximum(distance[:, -1:], np.finfo(np.float64).tiny)
    weight = np.exp(-np.square(distance / radius))
    pairs = (np.repeat(np.arange(n), neighbours), index.ravel())
    graph = sparse.csr_matrix((weight.ravel(), pairs), shape=(n, n))
    graph = (graph + graph.T) / 2
    degree = np.sqrt(np.asarray(graph.sum(axis=1)).ravel())
    scaled = sparse.diags(1 / degree) @ graph @ sparse.diags(1 / degree)
    # The eigenvectors of eigenvalue one are known, one for each connected component of the graph. Lanczos
    # iterations would find only some of them; with these removed, they find the others.
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
                "the eigenvectors of the neighbour graph did not converge; try another number of "
                f"neighbours than {neighbours}"
            ) from error
        vectors = np.concatenate([known, found], axis=1)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = vectors / np.maximum(lengths, np.finfo(np.float64).tiny)
    return KMeans(clusters, n_init=10, random_state=seed).fit_predict(vectors)


def _contingency(clusters: Clusters, labels: Clusters) -> tuple[np.ndarray, np.ndarray]:
    """The number of examples of each class in each cluster, `[clusters, classes]`."""
    for numbers in (clusters, labels):
        if not np.issubdtype(numbers.dtype, np.integer):
            raise ValueError(f"clusters and labels must be integers, not {numbers.dtype}")
    if clusters.ndim != 1 or clusters.shape != labels.shape or not len(labels):
        raise ValueError(
            f"each example needs a cluster and a label, [n], got {clusters.shape} and {labels.shape}"
        )
    if clusters.min() < 0 or labels.min() < 0:
        raise ValueError("clusters and labels must be numbered from 0, and some are negative")
    # Of the classes that occur: a class may have any number.
    names, columns = np.unique(labels, return_inverse=True)
    size = 1 + int(clusters.max())
    if size > max(LARGEST, len(clusters)):
        raise ValueError(
            f"clusters must be numbered 0, 1, 2 ..., and one has the number {size - 1}"
        )
    counts = np.zeros((size, len(names)), int)
    np.add.at(counts, (clusters, columns), 1)
    return counts, names.astype(int)
