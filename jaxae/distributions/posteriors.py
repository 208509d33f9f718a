"""Posteriors: families of q(z | x) parametrised by the outputs of an encoder."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxae.arguments import checked
from jaxae.arrays import soft_clip
from jaxae.base import Distribution, Params, Posterior, Tree
from jaxae.distributions import families
from jaxae.recipes import constructor

LOG_VAR_BOUND = 15.0
"""Posterior log-variances stay within (-15, 15)."""


@constructor("posteriors.gaussian")
@checked
def gaussian(latent_dim: int, *, log_var_bound: float | None = LOG_VAR_BOUND) -> Posterior:
    r"""A normal distribution with diagonal covariance: means, then log-variances.

    .. math:: q(z \mid x) = \mathcal N(z; \mu(x), \operatorname{diag} \sigma^2(x))

    The log-variance is bounded by :func:`jaxae.arrays.soft_clip`; draws and the
    KL divergence use the same bounded value.

    Args:
      latent_dim: d; the encoder gives `[b, 2 d]`.
      log_var_bound: the bound; None for none.

    Raises:
      ValueError: if a number is not positive; when used, if the encoder gives another number of outputs.

    Examples:
      >>> q = gaussian(1).distribution(jnp.array([[1.0, 1e6]]))
      >>> [round(float(value[0, 0]), 3) for value in q.stats]
      [1.0, 15.0]

    References:
      Kingma and Welling, `Auto-Encoding Variational Bayes <https://arxiv.org/abs/1312.6114>`_.
    """
    if latent_dim < 1:
        raise ValueError(f"latent_dim must be positive, got {latent_dim}")
    if log_var_bound is not None and not log_var_bound > 0:
        raise ValueError(f"log_var_bound must be positive, got {log_var_bound}")

    def distribution(outputs: Float[Array, "b ..."], params: Params = None) -> Distribution:
        if outputs.shape[1:] != (2 * latent_dim,):
            raise ValueError(
                f"the encoder must give {latent_dim} means and {latent_dim} log-variances, "
                f"[b, {2 * latent_dim}], but it gives [b, {', '.join(map(str, outputs.shape[1:]))}]"
            )
        mean, log_var = jnp.split(outputs.astype(jnp.float32), 2, axis=-1)
        if log_var_bound is not None:
            log_var = soft_clip(log_var, log_var_bound)
        return families.normal(mean, log_var)

    return Posterior(distribution, name=f"gaussian({latent_dim})")


@constructor("posteriors.point")
def point() -> Posterior:
    """All probability at the encoder's output: a plain autoencoder.

    Examples:
      >>> point().distribution(jnp.ones((2, 3))).mean.shape
      (2, 3)
    """

    def distribution(outputs: Tree, params: Params = None) -> Distribution:
        return families.point(outputs)

    return Posterior(distribution, name="point")
