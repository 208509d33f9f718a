"""Two-sample tests of codes against a prior."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.base import Prior
from jaxae.distributions.kernels import Kernel, imq, mmd

KERNEL_DRAWS = 10_000
"""Draws of the prior from which the scale of a kernel is computed."""


def prior_kernel(prior: Prior, key: PRNGKeyArray) -> Kernel:
    """An inverse multiquadric kernel whose scale is the mean squared distance of two draws of a prior.

    Examples:
      >>> from jaxae.distributions import priors
      >>> kernel = prior_kernel(priors.standard_normal(2), jax.random.key(0))
    """
    drawn = prior.sample(key, KERNEL_DRAWS)
    return imq(float(2 * jnp.sum(jnp.var(drawn, axis=0))))


def make_prior_test(
    prior: Prior, n: int, *, key: PRNGKeyArray, kernel: Kernel, pairs: int = 40
) -> Callable[[Float[Array | np.ndarray, "_ d"]], dict[str, float]]:
    r"""A function that tests whether codes are distributed as a prior.

    It computes two statistics of `n` codes and `n` draws of the prior, and compares each with its
    distribution over pairs of samples that both come from the prior.

    Args:
      prior: what the codes are compared with.
      n: the number of codes and of draws.
      key: of all draws.
      kernel: of the maximum mean discrepancy, such as :func:`prior_kernel`.
      pairs: the number of pairs of samples of the prior.

    Returns:
      `codes -> {name: value}`, of codes `[m, d]` with `m >= n`; of more than `n`, evenly spaced ones are
      used. There are two statistics: `mmd`, the squared maximum mean discrepancy (unbiased), and
      `largest_ks`, the largest of the Kolmogorov-Smirnov distances of single dimensions. For each, the
      result contains its value; its 95 % quantile over pairs of samples of the prior, such as
      `mmd_of_the_prior_95`; and its p-value, such as `mmd_p_value`.

    Examples:
      >>> from jaxae.distributions import priors
      >>> prior = priors.standard_normal(2)
      >>> kernel = prior_kernel(prior, jax.random.key(0))
      >>> test = make_prior_test(prior, 100, key=jax.random.key(1), kernel=kernel)
      >>> shifted = 1 + jax.random.normal(jax.random.key(2), (100, 2))
      >>> round(test(shifted)["mmd_p_value"], 3)  # the smallest value that 40 pairs allow
      0.024

    References:
      Gretton et al., `A Kernel Two-Sample Test
      <https://jmlr.org/papers/v13/gretton12a.html>`_.
    """
    from scipy.stats import ks_2samp

    drawn_key, pairs_key = jax.random.split(key)
    drawn = prior.sample(drawn_key, n)
    discrepancy = jax.jit(lambda x, y: mmd(x, y, kernel))

    def statistics(x: Array, y: Array) -> tuple[float, float]:
        distances = [ks_2samp(a, b).statistic for a, b in zip(x.T, y.T, strict=True)]
        return float(discrepancy(x, y)), float(max(distances))

    under_prior = []
    for pair_key in jax.random.split(pairs_key, pairs):
        one, other = jax.random.split(pair_key)
        under_prior.append(statistics(prior.sample(one, n), prior.sample(other, n)))
    reference = np.array(under_prior)

    def test(codes: Float[Array | np.ndarray, "_ d"]) -> dict[str, float]:
        chosen = np.linspace(0, len(codes) - 1, min(n, len(codes))).astype(int)
        values = np.array(statistics(jnp.asarray(codes[chosen]), drawn))
        p_values = (1 + np.sum(reference >= values, axis=0)) / (1 + pairs)
        bounds = np.quantile(reference, 0.95, axis=0)
        results = {}
        for i, name in enumerate(("mmd", "largest_ks")):
            results[name] = float(values[i])
            results[f"{name}_of_the_prior_95"] = float(bounds[i])
            results[f"{name}_p_value"] = float(p_values[i])
        return results

    return test
