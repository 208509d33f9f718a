"""Moving about in the space of codes: interpolation, the plane, one dimension at a time, attributes."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import jax.scipy.stats
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

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


def mean_difference(
    codes: Float[Array, "n d"], has: Bool[Array | np.ndarray, " n"]
) -> Float[Array, " d"]:
    """The direction of an attribute: from the mean code without it to the mean code with it.

    What goes along with the attribute in the data is in it too; see :func:`partial_directions`.

    Args:
      codes: `[n, d]`.
      has: whether each example has the attribute, `[n]`.

    Returns:
      `[d]`: adding it once leads from the one mean to the other.

    Raises:
      ValueError: if no example has the attribute, or all have, or it is not of booleans.

    Examples:
      >>> codes = jnp.array([[0.0, 1.0], [0.0, 3.0], [4.0, 2.0]])
      >>> mean_difference(codes, jnp.array([False, False, True])).tolist()
      [4.0, 0.0]

    References:
      Larsen et al., `Autoencoding beyond pixels <https://arxiv.org/abs/1512.09300>`_, section 4.2.
    """
    _check_attribute(codes, has)
    with_it = jnp.asarray(has)[:, None]
    count = with_it.sum()
    present = jnp.where(with_it, codes, 0).sum(axis=0) / count
    absent = jnp.where(with_it, 0, codes).sum(axis=0) / (len(codes) - count)
    return present - absent


def logistic_normal(
    codes: Float[Array, "n d"], has: Bool[Array | np.ndarray, " n"], *, regularization: float = 1.0
) -> Float[Array, " d"]:
    r"""The direction in which an attribute becomes likelier fastest: the normal of a logistic regression.

    .. math:: \frac{w}{\|w\|^2}\; w \cdot (\mu_1 - \mu_0), \qquad
              p(\text{attribute} \mid z) = \sigma(w \cdot z + b)

    The regression (scikit-learn) is on standardised codes, with both classes weighted equally, and
    `w` is brought back to the codes' own scale.

    Args:
      codes: `[n, d]`.
      has: whether each example has the attribute, `[n]`.
      regularization: the inverse strength C.

    Returns:
      `[d]`: along it, adding it once leads as far as from the one mean code to the other.

    Raises:
      ValueError: if no example has the attribute, or all have, or it is not of booleans.

    Examples:
      >>> codes = jnp.array([[0.0, 1.0], [0.0, -1.0], [4.0, 1.0], [4.0, -1.0]])
      >>> logistic_normal(codes, jnp.array([False, False, True, True])).round(3).tolist()
      [4.0, 0.0]

    References:
      Shen et al., `Interpreting the Latent Space of GANs <https://arxiv.org/abs/1907.10786>`_.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    _check_attribute(codes, has)
    scaler = StandardScaler()
    model = LogisticRegression(C=regularization, class_weight="balanced", max_iter=1000)
    model.fit(scaler.fit_transform(np.asarray(codes)), np.asarray(has))
    normal = jnp.asarray(model.coef_[0] / scaler.scale_, jnp.float32)
    squared = jnp.maximum(jnp.sum(jnp.square(normal)), jnp.finfo(jnp.float32).tiny)
    return normal * (normal @ mean_difference(codes, has)) / squared


def partial_directions(
    codes: Float[Array, "n d"], attributes: Bool[Array | np.ndarray, "n a"]
) -> Float[Array, "a d"]:
    r"""The directions of several attributes, each with the others held fixed.

    .. math:: \min_{B, c} \sum_i \Big\| z_i - c - \sum_j a_{ij} B_j \Big\|^2

    In photographs glasses go with age, and fair hair with make-up; a difference of means changes all
    of it. The coefficients of this regression change one attribute and leave the rest.

    Args:
      codes: `[n, d]`.
      attributes: whether each example has each attribute, `[n, a]`.

    Returns:
      `[a, d]`: adding row `j` once leads from examples without attribute `j` to those with it, and
      otherwise the same attributes. Attributes that always go together share their direction.

    Raises:
      ValueError: if an attribute is one that no example has, or all have.

    Examples:
      >>> attributes = np.array([[0, 0], [1, 0], [1, 1], [1, 1]], bool)
      >>> codes = jnp.asarray(attributes @ np.array([[1.0, 0.0], [0.0, 5.0]]), jnp.float32)
      >>> abs(partial_directions(codes, attributes)).round(3).tolist()
      [[1.0, 0.0], [0.0, 5.0]]
    """
    if attributes.ndim != 2:
        raise ValueError(f"attributes are [n, a], and these have shape {attributes.shape}")
    for column in attributes.T:
        _check_attribute(codes, column)
    # Without the means, the smallest of several solutions does not depend on where the codes are.
    x, z = (np.asarray(values, np.float64) for values in (attributes, codes))
    found, *_ = np.linalg.lstsq(x - x.mean(axis=0), z - z.mean(axis=0), rcond=None)
    return jnp.asarray(found, jnp.float32)


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


def _check_attribute(codes: Array, has: Array | np.ndarray) -> None:
    if has.shape != codes.shape[:1]:
        raise ValueError(f"there are {len(codes)} codes, and an attribute of shape {has.shape}")
    if has.dtype != bool:
        raise ValueError(f"whether an example has an attribute is true or false, not {has.dtype}")
    count = int(has.sum())
    if count in (0, len(codes)):
        raise ValueError(
            f"{'no' if count == 0 else 'every'} example has the attribute: there is no direction"
        )


def _length(z: Float[Array, "*b d"]) -> Float[Array, "*b 1"]:
    """The Euclidean norm, with a finite gradient at zero."""
    squared = jnp.sum(jnp.square(z), axis=-1, keepdims=True)
    return jnp.where(squared > 0, jnp.sqrt(jnp.where(squared > 0, squared, 1.0)), 0.0)


def _unit(z: Float[Array, "*b d"]) -> Float[Array, "*b d"]:
    length = _length(z)
    return z / jnp.where(length > 0, length, 1.0)
