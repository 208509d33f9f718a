"""Generated images beside real ones: how near the two sets are, what is missing, how sharp, how new."""

from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

Points: TypeAlias = Float[Array | np.ndarray, "_ _"]


def frechet_distance(real: Points, generated: Points) -> float:
    r"""The Fréchet distance of two sets of features, taken for normal distributions.

    .. math:: \lVert \mu_1 - \mu_2 \rVert^2 + \operatorname{tr}\!\left(
              \Sigma_1 + \Sigma_2 - 2 (\Sigma_1 \Sigma_2)^{1/2} \right)

    Over features of the Inception network this is "the FID"; over others it is a figure of its own and
    should have a name of its own. It falls with the number of images; compare those of equal numbers.

    Args:
      real: features of real images, `[n, d]`.
      generated: the same features of generated ones, `[m, d]`.

    Returns:
      the distance, not negative, zero between equal means and covariances.

    Raises:
      ValueError: if there are not more images than features, so that a covariance is singular.

    Examples:
      >>> x = np.random.default_rng(0).normal(size=(100, 2))
      >>> round(frechet_distance(x, x + np.array([3.0, 4.0])), 4)
      25.0

    References:
      Heusel et al., `GANs Trained by a Two Time-Scale Update Rule <https://arxiv.org/abs/1706.08500>`_.
    """
    for name, points in (("real", real), ("generated", generated)):
        if len(points) <= points.shape[1]:
            raise ValueError(
                f"{len(points)} {name} images are too few for the covariance of {points.shape[1]} "
                f"features; it takes more than {points.shape[1]}"
            )
    (mean, covariance), (other_mean, other_covariance) = (
        (points.mean(axis=0), np.atleast_2d(np.cov(points.T)))
        for points in (np.asarray(points, np.float64) for points in (real, generated))
    )
    # The eigenvalues of S1 S2 are those of the symmetric R S2 R with R R = S1.
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    product = np.linalg.eigvalsh(root @ other_covariance @ root)
    overlap = np.sqrt(np.maximum(product, 0)).sum()
    traces = np.trace(covariance) + np.trace(other_covariance)
    return float(max(0.0, np.square(mean - other_mean).sum() + traces - 2 * overlap))


class KernelDistance(NamedTuple):
    """An estimate without bias, and its standard error.

    Attributes:
      mean: over blocks.
      error: the standard error of that mean; nan for a single block.
    """

    mean: float
    error: float


def kernel_distance(
    real: Points, generated: Points, *, block: int = 1000, seed: int = 0
) -> KernelDistance:
    r"""The squared maximum mean discrepancy of features by the cubic kernel.

    .. math:: \operatorname{MMD}^2, \qquad k(x, y) = \left( \tfrac1d x^\top y + 1 \right)^3

    Over features of the Inception network this is "the KID". Unlike that of :func:`frechet_distance`
    its mean does not depend on how many images there are.

    Args:
      real: features of real images, `[n, d]`.
      generated: the same features of generated ones, `[m, d]`.
      block: images in a block; the sets are shuffled and divided into as many blocks as there are.
      seed: of the shuffling.

    Returns:
      a :class:`KernelDistance`.

    Raises:
      ValueError: if there are fewer than two images of a kind.

    Examples:
      >>> x = np.random.default_rng(0).normal(size=(2000, 2))
      >>> kernel_distance(x, x + 1).mean > 1
      True

    References:
      Bińkowski et al., `Demystifying MMD GANs <https://arxiv.org/abs/1801.01401>`_.
    """
    from sklearn.metrics.pairwise import polynomial_kernel

    size = min(block, len(real), len(generated))
    if size < 2:
        raise ValueError(f"two images of each kind make a discrepancy, and a block has {size}")
    blocks = min(len(real), len(generated)) // size
    generator = np.random.default_rng(seed)
    x, y = (
        np.asarray(points, np.float64)[generator.permutation(len(points))[: blocks * size]]
        for points in (real, generated)
    )
    found = []
    for a, b in zip(np.split(x, blocks), np.split(y, blocks), strict=True):
        own = sum(
            (k.sum() - np.trace(k)) / (size * (size - 1))
            for k in (polynomial_kernel(a, coef0=1), polynomial_kernel(b, coef0=1))
        )
        found.append(own - 2 * polynomial_kernel(a, b, coef0=1).mean())
    spread = np.std(found, ddof=1) / np.sqrt(blocks) if blocks > 1 else np.nan
    return KernelDistance(float(np.mean(found)), float(spread))


class Quality(NamedTuple):
    """How generated images lie to real ones.

    Attributes:
      precision: the part of the generated images inside a ball of the real ones: do they look real?
      recall: the part of the real images inside a ball of the generated ones: is all of it covered?
    """

    precision: float
    recall: float


def precision_recall(real: Points, generated: Points, *, neighbours: int = 3) -> Quality:
    r"""Precision and recall of generated images over balls around each image.

    A set is taken to fill the balls around its members that reach to their k-th nearest member; the
    precision is how much of the generated set is in the balls of the real one, and the recall how much
    of the real set is in the balls of the generated one.

    Args:
      real: features of real images (pixels will do for digits), `[n, d]`.
      generated: the same features of generated images, `[m, d]`. The figures depend on `n` and `m`;
        compare those of equal sizes.
      neighbours: k.

    Returns:
      :class:`Quality`, both in [0, 1].

    Raises:
      ValueError: if a set has not more than k members.

    Examples:
      >>> real = jnp.arange(8.0)[:, None]
      >>> precision_recall(real, jnp.array([[0.1], [1.1], [1.9], [3.1], [50.0]]))
      Quality(precision=0.8, recall=1.0)

    References:
      Kynkäänniemi et al., `Improved Precision and Recall Metric for Assessing Generative Models
      <https://arxiv.org/abs/1904.06991>`_.
    """
    for name, points in (("real", real), ("generated", generated)):
        if not 1 <= neighbours < len(points):
            raise ValueError(
                f"a ball around one of {len(points)} {name} images cannot reach to number "
                f"{neighbours} of the others"
            )
    real, generated = np.asarray(real), np.asarray(generated)
    return Quality(
        _inside(generated, real, _radii(real, neighbours)),
        _inside(real, generated, _radii(generated, neighbours)),
    )


class Nearest(NamedTuple):
    """The nearest of other points.

    Attributes:
      which: its number, `[n]`.
      distance: how far, Euclidean, `[n]`.
    """

    which: Int[np.ndarray, " n"]
    distance: Float[np.ndarray, " n"]


def nearest(points: Points, others: Points) -> Nearest:
    """For each point the nearest of the others: for a sample, the training image it might copy.

    Args:
      points: `[n, d]`.
      others: `[m, d]`.

    Examples:
      >>> nearest(jnp.zeros((1, 2)), jnp.array([[6.0, 8.0], [3.0, 4.0]])).distance.tolist()
      [5.0]
    """
    from sklearn.metrics import pairwise_distances_argmin_min

    return Nearest(*pairwise_distances_argmin_min(np.asarray(points), np.asarray(others)))


def sharpness(images: Float[Array | np.ndarray, "b h w c"]) -> Float[Array, " b"]:
    r"""How much edges there are in each image: the variance of its Laplacian. Blur takes it away.

    .. math:: \operatorname{Var}_{ij}\!\left( x_{i+1,j} + x_{i-1,j} + x_{i,j+1} + x_{i,j-1} - 4 x_{ij} \right)

    Over the pixels that have four neighbours, of the mean of the channels. Noise is sharp as well: read
    it beside the same of real images.

    Args:
      images: in [0, 1], at least 3 x 3.

    Raises:
      ValueError: if they are smaller.

    Examples:
      >>> board = jnp.indices((8, 8)).sum(0) % 2.0
      >>> sharpness(board[None, :, :, None]).tolist(), sharpness(jnp.ones((1, 8, 8, 3))).tolist()
      ([16.0], [0.0])

    References:
      Pertuz et al., `Analysis of focus measure operators for shape-from-focus
      <https://doi.org/10.1016/j.patcog.2012.11.011>`_.
    """
    if min(images.shape[1:3]) < 3:
        raise ValueError(f"no pixel of images of shape {images.shape[1:]} has four neighbours")
    x = jnp.mean(jnp.asarray(images), axis=-1)
    beside = x[:, :-2, 1:-1] + x[:, 2:, 1:-1] + x[:, 1:-1, :-2] + x[:, 1:-1, 2:]
    return jnp.var(beside - 4 * x[:, 1:-1, 1:-1], axis=(1, 2))


def class_shares(
    probabilities: Float[Array | np.ndarray, "n k"],
) -> Float[np.ndarray, " k"]:
    """What part of the images a classifier takes for each class: a class that is missing was dropped.

    Examples:
      >>> class_shares(np.array([[0.9, 0.1, 0.0], [0.8, 0.2, 0.0], [0.3, 0.7, 0.0]])).round(2).tolist()
      [0.67, 0.33, 0.0]
    """
    likeliest = np.asarray(probabilities).argmax(axis=1)
    return np.bincount(likeliest, minlength=probabilities.shape[1]) / len(likeliest)


def entropy(probabilities: Float[Array, "b k"]) -> Float[Array, " b"]:
    r"""The entropy of each distribution over classes, in nats: zero if certain, `log k` if uniform.

    .. math:: -\sum_c p_c \log p_c

    Examples:
      >>> entropy(jnp.array([[1.0, 0.0], [0.5, 0.5]]))
      Array([0.       , 0.6931472], dtype=float32)
    """
    return jnp.sum(jax.scipy.special.entr(probabilities), axis=-1)


def _radii(points: np.ndarray, neighbours: int) -> np.ndarray:
    """The distance of each point to its k-th nearest among the others; `[n]`."""
    from sklearn.neighbors import NearestNeighbors

    # Asked without points, scikit-learn leaves each point out of its own neighbours.
    nearest = NearestNeighbors(n_neighbors=neighbours, algorithm="brute").fit(points)
    return nearest.kneighbors()[0][:, -1]


def _inside(points: np.ndarray, centres: np.ndarray, radii: np.ndarray) -> float:
    """The part of the points that is in one ball or more."""
    from sklearn.metrics import pairwise_distances_chunked

    blocks = pairwise_distances_chunked(
        points, centres, reduce_func=lambda distances, _: (distances <= radii).any(axis=1)
    )
    return float(np.concatenate(list(blocks)).mean())
