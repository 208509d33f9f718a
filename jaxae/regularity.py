"""Regularity: near codes decode to near images (continuity), and all codes to images (completeness)."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

Decode = Callable[[Array], Array]
Points: TypeAlias = Float[Array | np.ndarray, "_ _"]

ACTIVE, CARRIES = 0.01, 0.01
"""A unit is active if its mean varies by more than this (the variance), and carries information if
its KL divergence is more than this, in nats."""


def lipschitz(decode: Decode, z: Float[Array, "b d"], *, chunk: int = 16) -> Float[Array, " b"]:
    r"""The largest singular value of the decoder's Jacobian: how far an image moves at most.

    .. math:: \lVert J(z) \rVert_2 = \sqrt{\lambda_{\max}(J^\top J)}, \qquad J = \partial g / \partial z

    The largest of these over all codes is the decoder's Lipschitz constant.

    Args:
      decode: from codes, `[b, d]`, to images, `[b, ...]`; each from its own code only.
      z: where.
      chunk: codes at a time, to bound the memory.

    Returns:
      `[b]`, in units of the image for each unit of the code.

    Examples:
      >>> lipschitz(lambda z: z @ jnp.diag(jnp.array([3.0, -4.0])), jnp.zeros((5, 2))).tolist()
      [4.0, 4.0, 4.0, 4.0, 4.0]
    """

    def at(z: Array) -> Array:
        jacobian = jax.jacfwd(lambda z: decode(z[None])[0])(z).reshape(-1, z.shape[0])
        # J^T J is small: the codes', not the images', dimensions.
        return jnp.sqrt(jnp.maximum(jnp.linalg.eigvalsh(jacobian.T @ jacobian)[-1], 0))

    return jax.lax.map(at, z, batch_size=min(chunk, len(z)))


def speeds(
    decode: Decode, start: Float[Array, "b d"], end: Float[Array, "b d"], *, steps: int = 16
) -> Float[Array, "b steps"]:
    r"""How far the decoded image moves for each unit of code, on every step of a straight line.

    .. math:: \frac{\lVert g(z_{i+1}) - g(z_i) \rVert}{\lVert z_{i+1} - z_i \rVert}, \qquad
              z_i = a + \tfrac{i}{n} (b - a)

    Steps that are all alike mean that one image turns evenly into the other; a large one among
    small ones is a jump. None is larger than the decoder's Lipschitz constant.

    Args:
      decode: from codes to images.
      start: a, `[b, d]`.
      end: b, `[b, d]`, another code than `start`.
      steps: n.

    Returns:
      `[b, steps]`, in units of the image for each unit of the code; nan where `start` is `end`.

    Raises:
      ValueError: if there is no step.

    Examples:
      >>> speeds(lambda z: 3 * z, jnp.zeros((1, 2)), jnp.ones((1, 2)), steps=2).round(4).tolist()
      [[3.0, 3.0]]
    """
    if steps < 1:
        raise ValueError(f"a line has at least one step, got {steps}")
    t = jnp.linspace(0, 1, steps + 1)

    def along(ends: tuple[Array, Array]) -> Array:
        a, b = ends
        images = decode(a + t[:, None] * (b - a)).reshape(steps + 1, -1)
        moved = jnp.linalg.norm(jnp.diff(images, axis=0), axis=1)
        return moved * steps / jnp.linalg.norm(b - a)

    return jax.lax.map(along, (start, end))


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


def nearest_distances(points: Points, others: Points) -> Float[np.ndarray, " _"]:
    """The distance of each point to the nearest of the others.

    Args:
      points: `[n, d]`.
      others: `[m, d]`.

    Returns:
      `[n]`, Euclidean.

    Examples:
      >>> nearest_distances(jnp.zeros((1, 2)), jnp.array([[3.0, 4.0], [6.0, 8.0]])).tolist()
      [5.0]
    """
    from sklearn.metrics import pairwise_distances_argmin_min

    return pairwise_distances_argmin_min(np.asarray(points), np.asarray(others))[1]


def entropy(probabilities: Float[Array, "b k"]) -> Float[Array, " b"]:
    r"""The entropy of each distribution over classes, in nats: zero if certain, `log k` if uniform.

    .. math:: -\sum_c p_c \log p_c

    Examples:
      >>> entropy(jnp.array([[1.0, 0.0], [0.5, 0.5]]))
      Array([0.       , 0.6931472], dtype=float32)
    """
    return jnp.sum(jax.scipy.special.entr(probabilities), axis=-1)


def active_units(means: Float[Array, "n d"], *, threshold: float = ACTIVE) -> Bool[Array, " d"]:
    r"""The latent dimensions whose posterior mean depends on the image.

    .. math:: \operatorname{Var}_x\left( \mathbb E_{q(z_i \mid x)}[z_i] \right) > 0.01

    Args:
      means: posterior means of a fixed set of images (a batch is too few), `[n, d]`.
      threshold: of the variance.

    Returns:
      `[d]`.

    Examples:
      >>> active_units(jnp.array([[0.0, 1.0], [0.05, -1.0]])).tolist()
      [False, True]

    References:
      Burda et al., `Importance Weighted Autoencoders <https://arxiv.org/abs/1509.00519>`_,
      section 5.2.
    """
    return jnp.var(means, axis=0) > threshold


def collapse_report(kl: Float[Array | np.ndarray, " d"], *, threshold: float = CARRIES) -> str:
    """In plain words, how many latent dimensions have collapsed onto the prior.

    Args:
      kl: the KL divergence of each dimension, in nats, averaged over images.
      threshold: the nats below which a dimension carries nothing.

    Examples:
      >>> collapse_report(jnp.array([2.0, 1e-4, 3.0]))
      '1 of 3 dimensions carries nothing (less than 0.01 nats); the others carry 5.0 nats'
    """
    if not np.isfinite(kl).all():
        return "the KL divergence is not finite"
    idle = int((kl <= threshold).sum())
    carried = float(kl[kl > threshold].sum())
    if idle == len(kl):
        return f"all {len(kl)} dimensions carry nothing: the posterior has collapsed onto the prior"
    if not idle:
        return f"all {len(kl)} dimensions are in use; together they carry {carried:.1f} nats"
    verb = "carries" if idle == 1 else "carry"
    return (
        f"{idle} of {len(kl)} dimensions {verb} nothing (less than {threshold:g} nats); the others "
        f"carry {carried:.1f} nats"
    )


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
