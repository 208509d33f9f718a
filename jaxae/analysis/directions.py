"""Directions in latent space that change an attribute."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxae.numeric import check_finite


def attribute_vector(
    codes: Float[Array, "n d"], has: Bool[Array | np.ndarray, " n"]
) -> Float[Array, " d"]:
    """The attribute vector: the mean code with an attribute minus the mean code without it.

    It also changes other attributes that are correlated with this one; :func:`partial_directions` does
    not.

    Args:
      codes: `[n, d]`.
      has: whether each example has the attribute, `[n]`, booleans.

    Returns:
      `[d]`.

    Raises:
      ValueError: if no example or every example has the attribute, or it is not booleans.

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
    # Centred: the sum of many codes with an offset loses the digits of their difference.
    centred = codes - codes.mean(axis=0)
    present = jnp.where(with_it, centred, 0).sum(axis=0) / count
    absent = jnp.where(with_it, 0, centred).sum(axis=0) / (len(codes) - count)
    return present - absent


def logistic_normal(
    codes: Float[Array, "n d"], has: Bool[Array | np.ndarray, " n"], *, regularization: float = 1.0
) -> Float[Array, " d"]:
    r"""The normal of a logistic regression: the direction in which an attribute becomes probable fastest.

    .. math:: \frac{w}{\|w\|^2}\; w \cdot (\mu_1 - \mu_0), \qquad
              p(\text{attribute} \mid z) = \sigma(w \cdot z + b)

    where :math:`\mu_1 - \mu_0` is the :func:`attribute_vector`. The regression (scikit-learn) is on
    standardised codes, and weights both classes equally; `w` is in the scale of the codes.

    Args:
      codes: `[n, d]`.
      has: whether each example has the attribute, `[n]`, booleans.
      regularization: the inverse strength C.

    Returns:
      `[d]`, of the length of the projection of the attribute vector.

    Raises:
      ValueError: if no example or every example has the attribute, or it is not booleans.

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
    model.fit(scaler.fit_transform(np.asarray(codes, np.float64)), np.asarray(has))
    normal = model.coef_[0] / scaler.scale_
    length = np.linalg.norm(normal)
    normal = normal / (length if length > 0 else 1.0)
    difference = np.asarray(attribute_vector(codes, has), np.float64)
    return jnp.asarray(normal * (normal @ difference), jnp.float32)


def partial_directions(
    codes: Float[Array, "n d"], attributes: Bool[Array | np.ndarray, "n a"]
) -> Float[Array, "a d"]:
    r"""The directions of several attributes, each with the other attributes held fixed.

    .. math:: \min_{B, c} \sum_i \Big\| z_i - c - \sum_j a_{ij} B_j \Big\|^2

    In photographs, glasses are correlated with age and fair hair with make-up; an
    :func:`attribute_vector` changes both. The coefficients of this regression change one attribute only.

    Args:
      codes: `[n, d]`.
      attributes: whether each example has each attribute, `[n, a]`, booleans.

    Returns:
      `[a, d]`: row `j` is the mean change of the code when attribute `j` is added and the others stay.
      Attributes that always occur together share their direction equally.

    Raises:
      ValueError: if no example or every example has one of the attributes, or they are not booleans.

    Examples:
      >>> attributes = np.array([[0, 0], [1, 0], [1, 1], [1, 1]], bool)
      >>> codes = jnp.asarray(attributes @ np.array([[1.0, 0.0], [0.0, 5.0]]), jnp.float32)
      >>> abs(partial_directions(codes, attributes)).round(3).tolist()
      [[1.0, 0.0], [0.0, 5.0]]
    """
    if attributes.ndim != 2:
        raise ValueError(f"the attributes must be [n, a], got shape {attributes.shape}")
    for column in attributes.T:
        _check_attribute(codes, column)
    # Centred, so that the smallest of several solutions does not depend on an offset of the codes.
    x, z = (np.asarray(values, np.float64) for values in (attributes, codes))
    found, *_ = np.linalg.lstsq(x - x.mean(axis=0), z - z.mean(axis=0), rcond=None)
    return jnp.asarray(found, jnp.float32)


def _check_attribute(codes: Array, has: Array | np.ndarray) -> None:
    if has.shape != codes.shape[:1]:
        raise ValueError(
            f"the attribute of {len(codes)} codes must have shape ({len(codes)},), got {has.shape}"
        )
    if has.dtype != bool:
        raise ValueError(
            f"an attribute must be booleans, not {has.dtype}; convert it with astype(bool)"
        )
    check_finite(codes=codes)
    count = int(has.sum())
    if count in (0, len(codes)):
        raise ValueError(
            f"{'no' if count == 0 else 'every'} example has the attribute, so it has no direction; choose "
            "examples with and without it"
        )
