"""Sets of codes to decode: interpolations, grids, traversals of single dimensions, random codes."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import jax.scipy.stats
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.numeric import check_finite, check_one_shape, norm, unit_vector

NEARLY_PARALLEL = 1e-3
"""Angle in radians below which an arc is replaced by a line, which it hardly differs from."""


def lerp(
    start: Float[Array, "*b d"], end: Float[Array, "*b d"], t: Float[Array, " n"]
) -> Float[Array, "n *b d"]:
    r"""Linear interpolation between codes.

    .. math:: (1 - t)\, a + t\, b

    Args:
      start: a, the codes at `t = 0`, `[..., d]`.
      end: b, the codes at `t = 1`, `[..., d]`.
      t: positions between them, `[n]`.

    Returns:
      `[n, ..., d]`.

    Examples:
      >>> lerp(jnp.zeros(2), jnp.array([2.0, 4.0]), jnp.array([0.0, 0.5])).tolist()
      [[0.0, 0.0], [1.0, 2.0]]
    """
    check_one_shape(start=start, end=end)
    t = t.reshape(-1, *[1] * start.ndim)
    return (1 - t) * start + t * end


def slerp(
    start: Float[Array, "*b d"], end: Float[Array, "*b d"], t: Float[Array, " n"]
) -> Float[Array, "n *b d"]:
    r"""Spherical interpolation between codes: along an arc, so that codes of equal length keep it.

    .. math:: \frac{\sin((1 - t)\Omega)}{\sin\Omega}\, a + \frac{\sin(t\Omega)}{\sin\Omega}\, b,
              \qquad \Omega = \angle(a, b)

    Draws from N(0, I) in many dimensions have nearly equal lengths, and codes on a straight line
    between two of them are shorter. Between parallel codes this is :func:`lerp`; between opposite
    codes, where there is no shortest arc, and where a code is zero, it is :func:`lerp` too.

    Args:
      start: a, the codes at `t = 0`, `[..., d]`.
      end: b, the codes at `t = 1`, `[..., d]`.
      t: positions between them, `[n]`.

    Returns:
      `[n, ..., d]`.

    Examples:
      >>> a, b = jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0])
      >>> slerp(a, b, jnp.array([0.5]))
      Array([[0.70710677, 0.70710677]], dtype=float32)

    References:
      Shoemake, `Animating Rotation with Quaternion Curves
      <https://doi.org/10.1145/325165.325242>`_; White, `Sampling Generative Networks
      <https://arxiv.org/abs/1609.04468>`_.
    """
    check_one_shape(start=start, end=end)
    a, b = unit_vector(start), unit_vector(end)
    undefined = (norm(a, keepdims=True) == 0) | (norm(b, keepdims=True) == 0)
    # Half the angle from the lengths of difference and sum: arccos loses the digits of small angles.
    sine, cosine = norm(a - b, keepdims=True), norm(a + b, keepdims=True)
    line = (jnp.minimum(sine, cosine) < NEARLY_PARALLEL) | undefined
    # The gradient of the branch that is not taken must be finite too.
    angle = jnp.where(line, 1.0, 2 * jnp.arctan2(jnp.where(line, 1.0, sine), cosine))
    s = t.reshape(-1, *[1] * start.ndim)
    arc = (jnp.sin((1 - s) * angle) * start + jnp.sin(s * angle) * end) / jnp.sin(angle)
    return jnp.where(line, lerp(start, end, t), arc)


def between(
    codes: Float[Array | np.ndarray, "m d"], steps: int, *, spherical: bool = False
) -> Float[Array, "_ n d"]:
    """Codes on the way from each of several codes to the next.

    Args:
      codes: `[m, d]`, at least two.
      steps: n, the number of codes on each way, both ends included.
      spherical: whether the ways are those of :func:`slerp`; of :func:`lerp` if not.

    Returns:
      `[m - 1, n, d]`.

    Raises:
      ValueError: if there are fewer than two codes or two steps.

    Examples:
      >>> between(jnp.array([[0.0], [2.0], [6.0]]), 3).squeeze(-1).tolist()
      [[0.0, 1.0, 2.0], [2.0, 4.0, 6.0]]
    """
    if len(codes) < 2:
        raise ValueError(f"there is no way between fewer than two codes, got {len(codes)}")
    if steps < 2:
        raise ValueError(f"a way has at least two steps, its ends, got {steps}")
    codes = jnp.asarray(codes)
    way = slerp if spherical else lerp
    t = jnp.linspace(0, 1, steps)
    return jnp.stack([way(a, b, t) for a, b in zip(codes, codes[1:], strict=False)])


def plane(x: Float[Array, " n"], y: Float[Array, " m"]) -> Float[Array, "m n 2"]:
    """Codes on a grid in the plane, in the layout of an image: `y` decreases from row to row.

    Args:
      x: first coordinates, ascending, `[n]`.
      y: second coordinates, ascending, `[m]`.

    Returns:
      `[m, n, 2]`.

    Examples:
      >>> plane(jnp.array([0.0, 1.0, 2.0]), jnp.array([5.0, 6.0]))[0].tolist()
      [[0.0, 6.0], [1.0, 6.0], [2.0, 6.0]]
    """
    return jnp.stack(jnp.meshgrid(x, y[::-1]), axis=-1)


def normal_quantiles(n: int) -> Float[Array, " n"]:
    r"""The medians of `n` intervals that have equal probability under N(0, 1).

    .. math:: \Phi^{-1}\!\left(\frac{i + 1/2}{n}\right), \qquad i = 0, \dots, n - 1

    On the grid `plane(normal_quantiles(n), normal_quantiles(n))` each code represents the same
    probability of the prior.

    Args:
      n: the number of intervals.

    Returns:
      `[n]`, ascending.

    Raises:
      ValueError: if `n` is not a positive integer.

    Examples:
      >>> [round(float(value), 3) for value in normal_quantiles(3)]
      [-0.967, 0.0, 0.967]

    References:
      Kingma and Welling, `Auto-Encoding Variational Bayes <https://arxiv.org/abs/1312.6114>`_,
      appendix A.
    """
    if n < 1 or n != int(n):
        raise ValueError(f"the number of quantiles must be an integer of at least one, got {n}")
    return jax.scipy.stats.norm.ppf((jnp.arange(n) + 0.5) / n)


def traversals(z: Float[Array, " d"], values: Float[Array, "_ n"]) -> Float[Array, "d n d"]:
    """Latent traversals: copies of a code with one dimension at a time set to other values.

    Args:
      z: the code, `[d]`.
      values: of each dimension, `[d, n]`.

    Returns:
      `[d, n, d]`; in entry `i`, dimension `i` has its `n` values and the others are those of `z`.

    Raises:
      ValueError: if there is not one row of values for each dimension.

    Examples:
      >>> traversals(jnp.zeros(2), jnp.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
      [[[1.0, 0.0], [2.0, 0.0]], [[0.0, 3.0], [0.0, 4.0]]]
    """
    if values.ndim != 2 or len(values) != len(z):
        raise ValueError(
            f"a code of {len(z)} dimensions needs values of shape ({len(z)}, n), got {values.shape}"
        )
    own = jnp.eye(len(z), dtype=bool)[:, None, :]
    return jnp.where(own, values[:, :, None], z)


def draw_like(key: PRNGKeyArray, codes: Float[Array, "n d"], count: int) -> Float[Array, "count d"]:
    r"""Draws codes from the normal distribution that has the mean and covariance of given codes.

    .. math:: z \sim \mathcal N(\bar z, \operatorname{Cov}(z))

    This is a prior for models without one, and a better one for models whose codes, over all images,
    do not follow their prior.

    Args:
      key: of the draws.
      codes: `[n, d]`.
      count: the number of draws.

    Returns:
      `[count, d]`.

    Raises:
      ValueError: if there are fewer than two codes.

    Examples:
      >>> codes = jnp.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])  # on a line, and so are the draws
      >>> z = draw_like(jax.random.key(0), codes, 5)
      >>> bool(jnp.allclose(z[:, 0], z[:, 1], atol=1e-4))
      True

    References:
      Ghosh et al., `From Variational to Deterministic Autoencoders
      <https://arxiv.org/abs/1903.12436>`_, section 4 (there with a mixture of normal distributions).
    """
    n, d = codes.shape
    if n < 2:
        raise ValueError(f"a covariance needs at least two codes, got {n}")
    check_finite(codes=codes)
    mean = jnp.mean(codes, axis=0)
    centred = codes - mean
    # In units of the largest value of each dimension nothing depends on the scale of the codes.
    largest = jnp.max(jnp.abs(centred), axis=0)
    scale = jnp.where(largest > 0, largest, 1.0)
    unit = centred / scale
    covariance = jnp.matmul(unit.T, unit, precision=jax.lax.Precision.HIGHEST) / (n - 1)
    # Codes in a subspace have a singular covariance, which has no Cholesky factor.
    values, vectors = jnp.linalg.eigh(covariance)
    noise = jax.random.normal(key, (count, d)) * jnp.sqrt(jnp.maximum(values, 0))
    return mean + scale * jnp.matmul(noise, vectors.T, precision=jax.lax.Precision.HIGHEST)


def decode_grid(
    decode: Callable[[Array], Array], codes: Float[Array, "*b d"]
) -> Float[Array, "*b h w c"]:
    """Decodes codes that are arranged in several axes.

    Args:
      decode: from codes, `[n, d]`, to images, `[n, h, w, c]`.
      codes: `[..., d]`.

    Returns:
      `[..., h, w, c]`.

    Examples:
      >>> decode_grid(lambda z: z[:, None, None, :], jnp.zeros((4, 3, 2))).shape
      (4, 3, 1, 1, 2)
    """
    images = decode(codes.reshape(-1, codes.shape[-1]))
    return images.reshape(*codes.shape[:-1], *images.shape[1:])
