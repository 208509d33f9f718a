"""Moving about in the space of codes: interpolation, the plane, one dimension at a time, attributes."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import jax.scipy.stats
from jaxtyping import Array, Float, PRNGKeyArray

NEARLY_PARALLEL = 1e-3
"""Codes whose directions differ by less, in radians, are joined by a line: so does the arc."""


def lerp(
    start: Float[Array, "*b d"], end: Float[Array, "*b d"], t: Float[Array, " n"]
) -> Float[Array, "n *b d"]:
    r"""Linear interpolation between codes.

    .. math:: (1 - t)\, a + t\, b

    Args:
      start: a, where `t` is 0, `[..., d]`.
      end: b, where `t` is 1, `[..., d]`.
      t: how far to go, `[n]`.

    Returns:
      `[n, ..., d]`.

    Examples:
      >>> lerp(jnp.zeros(2), jnp.array([2.0, 4.0]), jnp.array([0.0, 0.5])).tolist()
      [[0.0, 0.0], [1.0, 2.0]]
    """
    t = t.reshape(-1, *[1] * start.ndim)
    return (1 - t) * start + t * end


def slerp(
    start: Float[Array, "*b d"], end: Float[Array, "*b d"], t: Float[Array, " n"]
) -> Float[Array, "n *b d"]:
    r"""Spherical interpolation: along the arc, so that codes of the same length keep it.

    .. math:: \frac{\sin((1 - t)\Omega)}{\sin\Omega}\, a + \frac{\sin(t\Omega)}{\sin\Omega}\, b,
              \qquad \Omega = \angle(a, b)

    Codes drawn from N(0, I) in many dimensions have about the same length, and a straight line
    between two of them passes where there are none. Between codes in the same direction this is
    :func:`lerp`; between opposite ones there is no shortest arc, and it is :func:`lerp` as well, as
    it is where a code is zero.

    Args:
      start: a, where `t` is 0, `[..., d]`.
      end: b, where `t` is 1, `[..., d]`.
      t: how far to go, `[n]`.

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
    a, b = _unit(start), _unit(end)
    nowhere = (_length(a) == 0) | (_length(b) == 0)
    # Half the angle from a sum and a difference: arccos loses the digits of small angles.
    sine, cosine = _length(a - b), _length(a + b)
    line = (jnp.minimum(sine, cosine) < NEARLY_PARALLEL) | nowhere
    # The branch that is not taken has to have a finite gradient as well.
    angle = jnp.where(line, 1.0, 2 * jnp.arctan2(jnp.where(line, 1.0, sine), cosine))
    t_ = t.reshape(-1, *[1] * start.ndim)
    arc = (jnp.sin((1 - t_) * angle) * start + jnp.sin(t_ * angle) * end) / jnp.sin(angle)
    return jnp.where(line, lerp(start, end, t), arc)


def plane(x: Float[Array, " n"], y: Float[Array, " m"]) -> Float[Array, "m n 2"]:
    """Codes on a grid in the plane, as a picture has them: the first row has the largest `y`.

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
    r"""The middles of `n` intervals in which N(0, 1) has the same probability.

    .. math:: \Phi^{-1}\!\left(\frac{i + 1/2}{n}\right), \qquad i = 0, \dots, n - 1

    `plane(normal_quantiles(n), normal_quantiles(n))` is the grid of the prior: each image on it
    stands for the same probability.

    Raises:
      ValueError: if `n` is not positive.

    Examples:
      >>> [round(float(value), 3) for value in normal_quantiles(3)]
      [-0.967, 0.0, 0.967]

    References:
      Kingma and Welling, `Auto-Encoding Variational Bayes <https://arxiv.org/abs/1312.6114>`_,
      appendix A.
    """
    if n < 1 or n != int(n):
        raise ValueError(f"a grid has a whole number of values, at least one, got {n}")
    return jax.scipy.stats.norm.ppf((jnp.arange(n) + 0.5) / n)


def traversals(z: Float[Array, " d"], values: Float[Array, "_ n"]) -> Float[Array, "d n d"]:
    """A code with one dimension at a time set to other values.

    Args:
      z: the code, `[d]`.
      values: for each dimension, `[d, n]`.

    Returns:
      `[d, n, d]`: in row `i`, dimension `i` takes its values.

    Raises:
      ValueError: if there is not a row of values for each dimension.

    Examples:
      >>> traversals(jnp.zeros(2), jnp.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
      [[[1.0, 0.0], [2.0, 0.0]], [[0.0, 3.0], [0.0, 4.0]]]
    """
    if values.ndim != 2 or len(values) != len(z):
        raise ValueError(f"{len(z)} dimensions need as many rows of values, not {values.shape}")
    own = jnp.eye(len(z), dtype=bool)[:, None, :]
    return jnp.where(own, values[:, :, None], z)


def draw_like(key: PRNGKeyArray, codes: Float[Array, "n d"], count: int) -> Float[Array, "count d"]:
    r"""Codes drawn from the normal distribution with the mean and the covariance of these codes.

    .. math:: z \sim \mathcal N(\bar z, \operatorname{Cov}(z))

    A prior for a model that has none, and a nearer one where all codes together are not distributed as
    the prior says.

    Args:
      key: of the draws.
      codes: `[n, d]`.
      count: how many to draw.

    Returns:
      `[count, d]`.

    Raises:
      ValueError: if there are fewer than two codes.

    Examples:
      >>> import jax
      >>> codes = jnp.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])  # on a line, and so are the draws
      >>> z = draw_like(jax.random.key(0), codes, 5)
      >>> bool(jnp.allclose(z[:, 0], z[:, 1], atol=0.02))
      True

    References:
      Ghosh et al., `From Variational to Deterministic Autoencoders
      <https://arxiv.org/abs/1903.12436>`_, section 4 (there with several normal distributions).
    """
    if len(codes) < 2:
        raise ValueError(f"{len(codes)} codes have no covariance")
    # A little more, so that codes in a subspace have a covariance that can be factorised.
    covariance = jnp.atleast_2d(jnp.cov(codes.T)) + 1e-6 * jnp.eye(codes.shape[1])
    return jax.random.multivariate_normal(key, codes.mean(axis=0), covariance, (count,))


def decode_grid(
    decode: Callable[[Array], Array], codes: Float[Array, "*b d"]
) -> Float[Array, "*b h w c"]:
    """Decodes codes in any arrangement: `[..., d]` becomes `[..., h, w, c]`.

    Examples:
      >>> decode_grid(lambda z: z[:, None, None, :], jnp.zeros((4, 3, 2))).shape
      (4, 3, 1, 1, 2)
    """
    images = decode(codes.reshape(-1, codes.shape[-1]))
    return images.reshape(*codes.shape[:-1], *images.shape[1:])


def _length(z: Float[Array, "*b d"]) -> Float[Array, "*b 1"]:
    """The Euclidean norm, with a finite gradient at zero."""
    squared = jnp.sum(jnp.square(z), axis=-1, keepdims=True)
    return jnp.where(squared > 0, jnp.sqrt(jnp.where(squared > 0, squared, 1.0)), 0.0)


def _unit(z: Float[Array, "*b d"]) -> Float[Array, "*b d"]:
    length = _length(z)
    return z / jnp.where(length > 0, length, 1.0)
