"""Measures of generated images: distances to real images, sharpness, classes."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped

from jaxae.analysis.points import Points, as_points
from jaxae.numeric import as_images, as_probabilities, check_image_shape


def frechet_distance(real: Points, generated: Points) -> float:
    r"""The Fréchet distance between two sets of features, each taken to be normally distributed.

    .. math:: \lVert \mu_1 - \mu_2 \rVert^2 + \operatorname{tr}\!\left(
              \Sigma_1 + \Sigma_2 - 2 (\Sigma_1 \Sigma_2)^{1/2} \right)

    With features of the Inception network (:func:`fid_features`) this is the FID; with other features
    it should be reported under another name. It decreases with the number of images: compare only
    results of equal numbers.

    Args:
      real: features of real images, `[n, d]`.
      generated: the same features of generated images, `[m, d]`.

    Returns:
      the distance: zero for equal means and covariances, else positive.

    Raises:
      ValueError: if a set has not more images than features, so that its covariance is singular, or
        the numbers of features differ.

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
                f"features; give more than {points.shape[1]}"
            )
    (mean, covariance), (other_mean, other_covariance) = (
        (points.mean(axis=0), np.atleast_2d(np.cov(points.T)))
        for points in as_points(real=real, generated=generated)
    )
    # The eigenvalues of S1 S2 are those of the symmetric matrix R S2 R, where R R = S1.
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    product = np.linalg.eigvalsh(root @ other_covariance @ root)
    overlap = np.sqrt(np.maximum(product, 0)).sum()
    traces = np.trace(covariance) + np.trace(other_covariance)
    return float(max(0.0, np.square(mean - other_mean).sum() + traces - 2 * overlap))


class KernelDistance(NamedTuple):
    """An unbiased estimate and its standard error.

    Attributes:
      mean: over blocks.
      error: the standard error of the mean; nan for a single block.
    """

    mean: float
    error: float


def kernel_distance(
    real: Points, generated: Points, *, block: int = 1000, seed: int = 0
) -> KernelDistance:
    r"""The squared maximum mean discrepancy between two sets of features, with the cubic kernel.

    .. math:: \operatorname{MMD}^2, \qquad k(x, y) = \left( \tfrac1d x^\top y + 1 \right)^3

    With features of the Inception network this is the KID. Unlike that of :func:`frechet_distance`,
    its expectation does not depend on the number of images.

    Args:
      real: features of real images, `[n, d]`.
      generated: the same features of generated images, `[m, d]`.
      block: the number of images in a block. Both sets are shuffled and divided into as many blocks
        as possible.
      seed: of the shuffling.

    Returns:
      :class:`KernelDistance`.

    Raises:
      ValueError: if a block has fewer than two images, or the numbers of features differ.

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
        raise ValueError(
            f"the kernel distance needs at least two images of each set in a block, got {size}"
        )
    blocks = min(len(real), len(generated)) // size
    generator = np.random.default_rng(seed)
    x, y = (
        points[generator.permutation(len(points))[: blocks * size]]
        for points in as_points(real=real, generated=generated)
    )
    found = []
    for a, b in zip(np.split(x, blocks), np.split(y, blocks), strict=True):
        within = sum(
            (k.sum() - np.trace(k)) / (size * (size - 1))
            for k in (polynomial_kernel(a, coef0=1), polynomial_kernel(b, coef0=1))
        )
        found.append(within - 2 * polynomial_kernel(a, b, coef0=1).mean())
    error = np.std(found, ddof=1) / np.sqrt(blocks) if blocks > 1 else np.nan
    return KernelDistance(float(np.mean(found)), float(error))


def sharpness(images: Shaped[Array | np.ndarray, "b h w c"]) -> Float[Array, " b"]:
    r"""The variance of the Laplacian of each image, which is small for blurred images.

    .. math:: \operatorname{Var}_{ij}\!\left( x_{i+1,j} + x_{i-1,j} + x_{i,j+1} + x_{i,j-1} - 4 x_{ij} \right)

    The Laplacian is of the mean of the channels, at the pixels that have four neighbours. Noise also
    increases the variance: compare it with that of real images.

    Args:
      images: at least 3 x 3 pixels, bytes or floats in [0, 1].

    Returns:
      `[b]`.

    Raises:
      ValueError: if the images are smaller than 3 x 3 pixels.

    Examples:
      >>> board = jnp.indices((8, 8)).sum(0) % 2.0
      >>> sharpness(board[None, :, :, None]).tolist(), sharpness(jnp.ones((1, 8, 8, 3))).tolist()
      ([16.0], [0.0])

    References:
      Pertuz et al., `Analysis of focus measure operators for shape-from-focus
      <https://doi.org/10.1016/j.patcog.2012.11.011>`_.
    """
    check_image_shape(images)
    if min(images.shape[1:3]) < 3:
        raise ValueError(
            f"in images of {images.shape[1]} x {images.shape[2]} no pixel has four neighbours; the "
            "sharpness needs at least 3 x 3 pixels"
        )
    x = jnp.mean(as_images(images), axis=-1)
    neighbours = x[:, :-2, 1:-1] + x[:, 2:, 1:-1] + x[:, 1:-1, :-2] + x[:, 1:-1, 2:]
    return jnp.var(neighbours - 4 * x[:, 1:-1, 1:-1], axis=(1, 2))


def class_shares(
    probabilities: Float[Array | np.ndarray, "n k"],
) -> Float[np.ndarray, " k"]:
    """The fraction of images whose most probable class is each class: dropped classes have zero.

    Args:
      probabilities: of the classes, from a classifier, `[n, k]`.

    Returns:
      `[k]`, with sum one.

    Examples:
      >>> class_shares(np.array([[0.9, 0.1, 0.0], [0.8, 0.2, 0.0], [0.3, 0.7, 0.0]])).round(2).tolist()
      [0.67, 0.33, 0.0]
    """
    most_probable = np.asarray(as_probabilities(probabilities)).argmax(axis=1)
    return np.bincount(most_probable, minlength=probabilities.shape[1]) / len(most_probable)


def entropy(probabilities: Float[Array, "b k"]) -> Float[Array, " b"]:
    r"""The entropy of each distribution over k classes, in nats: from 0 (certain) to log k (uniform).

    .. math:: -\sum_c p_c \log p_c

    Args:
      probabilities: rows that sum to one.

    Returns:
      `[b]`.

    Examples:
      >>> entropy(jnp.array([[1.0, 0.0], [0.5, 0.5]]))
      Array([0.       , 0.6931472], dtype=float32)
    """
    return jnp.sum(jax.scipy.special.entr(as_probabilities(probabilities)), axis=-1)
