"""Likelihoods of values in [0, 1] whose parameters are logits."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.base import Distribution, Likelihood, Params
from jaxae.distributions.likelihoods.common import as_float32, checked, independent
from jaxae.recipes import constructor


@constructor("likelihoods.bernoulli")
def bernoulli() -> Likelihood:
    r"""Bernoulli distributions of binary values; the outputs are their logits.

    .. math:: \log p(x \mid \ell) = \sum_i x_i \ell_i - \log(1 + e^{\ell_i})

    For targets strictly between 0 and 1 this is the negative cross-entropy, which is a useful loss
    but not a log-probability.

    Examples:
      >>> likelihood = bernoulli()
      >>> round(float(likelihood.log_prob(jnp.zeros((1, 2, 1, 1)), jnp.ones((1, 2, 1, 1)))[0]), 4)
      -1.3863

    References:
      Kingma and Welling, `Auto-Encoding Variational Bayes <https://arxiv.org/abs/1312.6114>`_,
      appendix C.1.
    """

    def distribution(outputs: Float[Array, "b ..."], params: Params = None) -> Distribution:
        logits = as_float32(outputs)
        probability = jax.nn.sigmoid(logits)

        def elementwise(x: Array) -> Array:
            # softplus(l) with one exponential. optax's form has two and trains an MLP VAE a fifth
            # slower on a CPU; max(l, 0) in place of (l + |l|) / 2 has the wrong gradient at l = 0.
            size = jnp.abs(logits)
            return x * logits - (0.5 * (logits + size) + jnp.log1p(jnp.exp(-size)))

        def draw(key: PRNGKeyArray) -> Array:
            return jax.random.bernoulli(key, probability).astype(jnp.float32)

        return independent(elementwise, probability, draw, stats=logits)

    return checked(Likelihood(distribution, levels=2, unit=True, name="bernoulli"))


@constructor("likelihoods.continuous_bernoulli")
def continuous_bernoulli() -> Likelihood:
    r"""A density of values in [0, 1]: the cross-entropy with its normalising constant.

    .. math:: \log p(x \mid \ell) = \sum_i x_i \ell_i - \log(1 + e^{\ell_i}) + \log C(\ell_i),
              \qquad C(\ell) = \frac{2 \operatorname{artanh}(1 - 2 \sigma(\ell))}
              {1 - 2 \sigma(\ell)} = \frac{\ell}{\tanh(\ell / 2)}

    The outputs are logits, as in :func:`bernoulli`. The mean is not their sigmoid but
    :math:`1 / (1 - e^{-\ell}) - 1 / \ell`.

    Examples:
      >>> likelihood = continuous_bernoulli()
      >>> float(likelihood.log_prob(jnp.zeros((1, 1)), jnp.full((1, 1), 0.3))[0])  # uniform
      0.0

    References:
      Loaiza-Ganem and Cunningham, `The continuous Bernoulli: fixing a pervasive error in variational
      autoencoders <https://arxiv.org/abs/1907.06845>`_.
    """

    def distribution(outputs: Float[Array, "b ..."], params: Params = None) -> Distribution:
        logits = as_float32(outputs)
        size = jnp.abs(logits)
        near = size < 0.1
        safe = jnp.where(near, 1.0, logits)
        # The gradient of a branch that is not taken must be finite too.
        small = jnp.where(near, logits, 0.0)
        squared = jnp.square(small)
        # C = |l| / (1 - exp(-|l|)) beside the cross-entropy x l - max(l, 0), or the series of both.
        far = jnp.log(jnp.abs(safe)) - jnp.log(-jnp.expm1(-jnp.abs(safe)))
        series = -squared / 24 + jnp.square(squared) / 2880
        numerator = jnp.where(safe > 0, 1.0, -jnp.exp(jnp.minimum(safe, 0)))
        away = numerator / -jnp.expm1(-jnp.abs(safe)) - 1 / safe
        mean = jnp.where(near, 0.5 + small / 12 - small * squared / 720, away)

        def elementwise(x: Array) -> Array:
            positive = (logits > 0).astype(jnp.float32)
            return jnp.where(near, (x - 0.5) * small + series, (x - positive) * logits + far)

        def draw(key: PRNGKeyArray) -> Array:
            u = jax.random.uniform(key, logits.shape)
            # The inverse of the distribution function, from the side where it keeps its digits; near
            # a logit of zero its series.
            near = size < 0.01
            slope = jnp.where(near, 1.0, size)
            # Not below zero, which a u of exactly zero would give.
            up = jnp.maximum(jnp.log1p((1 - u) * jnp.expm1(-slope)) / slope + 1, 0)
            x = jnp.where(logits > 0, up, 1 - up)
            return jnp.where(near, u + 0.5 * logits * u * (1 - u), x)

        return independent(elementwise, mean, draw, stats=logits)

    return checked(Likelihood(distribution, unit=True, name="continuous_bernoulli"))
