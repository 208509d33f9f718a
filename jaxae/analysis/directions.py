"""Directions in the space of codes that stand for an attribute."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float


def attribute_vector(
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
      >>> attribute_vector(codes, jnp.array([False, False, True])).tolist()
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
    return normal * (normal @ attribute_vector(codes, has)) / squared


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
