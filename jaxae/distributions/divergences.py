"""Kullback-Leibler divergences of normal distributions in closed form, in nats."""

import jax.numpy as jnp
import jax.scipy.linalg
from jaxtyping import Array, Float


def kl_standard_normal(
    mean: Float[Array, "*b d"], log_var: Float[Array, "*b d"]
) -> Float[Array, "*b"]:
    r"""KL divergence of a diagonal Gaussian from N(0, I), in nats.

    .. math:: \tfrac12 \sum_i (\sigma_i^2 + \mu_i^2 - 1 - \log \sigma_i^2)

    Args:
      mean: posterior means, `[..., d]`.
      log_var: posterior log-variances, `[..., d]`.

    Returns:
      `[...]`, non-negative.

    Examples:
      >>> kl_standard_normal(jnp.ones((3, 2)), jnp.zeros((3, 2))).tolist()
      [1.0, 1.0, 1.0]

    References:
      Kingma and Welling, `Auto-Encoding Variational Bayes <https://arxiv.org/abs/1312.6114>`_,
      appendix B.
    """
    return jnp.sum(kl_standard_normal_per_dimension(mean, log_var), axis=-1)


def kl_standard_normal_per_dimension(
    mean: Float[Array, "*b d"], log_var: Float[Array, "*b d"]
) -> Float[Array, "*b d"]:
    r"""The summands of :func:`kl_standard_normal`, one for each latent dimension, in nats.

    .. math:: \tfrac12 (\sigma_i^2 + \mu_i^2 - 1 - \log \sigma_i^2)

    Args:
      mean: posterior means, `[..., d]`.
      log_var: posterior log-variances, `[..., d]`.

    Returns:
      `[..., d]`, non-negative.

    Examples:
      >>> kl_standard_normal_per_dimension(jnp.array([0.0, 2.0]), jnp.zeros(2)).tolist()
      [0.0, 2.0]

    References:
      Kingma and Welling, `Auto-Encoding Variational Bayes <https://arxiv.org/abs/1312.6114>`_,
      appendix B.
    """
    # expm1(v) - v is accurate where the posterior has collapsed onto the prior; exp(v) - 1 - v is
    # rounding error there, and may be negative.
    return 0.5 * (jnp.expm1(log_var) - log_var + jnp.square(mean))


def kl_diagonal_normal(
    mean: Float[Array, "*b d"],
    log_var: Float[Array, "*b d"],
    other_mean: Float[Array, "*b d"],
    other_log_var: Float[Array, "*b d"],
) -> Float[Array, "*b"]:
    r"""KL divergence of one diagonal Gaussian from another, in nats.

    .. math:: \tfrac12 \sum_i \left( \frac{\sigma_{1i}^2 + (\mu_{1i} - \mu_{2i})^2}{\sigma_{2i}^2}
              - 1 + \log \frac{\sigma_{2i}^2}{\sigma_{1i}^2} \right)

    Args:
      mean: means of the first, `[..., d]`.
      log_var: its log-variances, `[..., d]`.
      other_mean: means of the second, `[..., d]`.
      other_log_var: its log-variances, `[..., d]`.

    Returns:
      `[...]`, non-negative.

    Examples:
      >>> zero = jnp.zeros(2)
      >>> float(kl_diagonal_normal(zero, zero, jnp.ones(2), zero))
      1.0

    References:
      Duchi, `Derivations for Linear Algebra and Optimization`, section 9.
    """
    return kl_standard_normal(
        (mean - other_mean) * jnp.exp(-0.5 * other_log_var), log_var - other_log_var
    )


def kl_normal(
    mean: Float[Array, "*b d"],
    covariance: Float[Array, "*b d d"],
    other_mean: Float[Array, "*b d"],
    other_covariance: Float[Array, "*b d d"],
) -> Float[Array, "*b"]:
    r"""KL divergence of one Gaussian with full covariance from another, in nats.

    .. math:: \tfrac12 \left( \operatorname{tr}(\Sigma_2^{-1} \Sigma_1)
              + (\mu_2 - \mu_1)^\top \Sigma_2^{-1} (\mu_2 - \mu_1) - d
              + \log \frac{\det \Sigma_2}{\det \Sigma_1} \right)

    Args:
      mean: mean of the first, `[..., d]`.
      covariance: its covariance, `[..., d, d]`, positive definite.
      other_mean: mean of the second, `[..., d]`.
      other_covariance: its covariance, `[..., d, d]`, positive definite.

    Returns:
      `[...]`, non-negative; nan where a covariance is not positive definite.

    Examples:
      >>> round(float(kl_normal(jnp.zeros(2), jnp.eye(2), jnp.zeros(2), 2 * jnp.eye(2))), 4)
      0.1931

    References:
      Duchi, `Derivations for Linear Algebra and Optimization`, section 9.
    """
    first = jnp.linalg.cholesky(covariance)
    second = jnp.linalg.cholesky(other_covariance)

    # In coordinates in which the second covariance is the identity.
    factor = jax.scipy.linalg.solve_triangular(second, first, lower=True)
    shift = jax.scipy.linalg.solve_triangular(second, (mean - other_mean)[..., None], lower=True)
    # The diagonal is that of the two factors divided, so that the divergence of diagonal covariances is a
    # sum of terms that are not negative and keep their digits where the two are nearly equal.
    own, other = (jnp.log(jnp.diagonal(f, axis1=-2, axis2=-1)) for f in (first, second))
    below = jnp.sum(jnp.square(jnp.tril(factor, -1)), axis=(-2, -1))
    return kl_standard_normal(shift[..., 0], 2 * (own - other)) + 0.5 * below
