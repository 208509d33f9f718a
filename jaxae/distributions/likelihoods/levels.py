"""Likelihoods of data with a finite number of levels."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.arrays import soft_clip
from jaxae.base import Distribution, Likelihood, Params
from jaxae.distributions.likelihoods.common import LOG_SCALE_BOUND, as_float32, checked, independent
from jaxae.recipes import constructor


@constructor("likelihoods.discretized_logistic")
def discretized_logistic() -> Likelihood:
    r"""256 grey levels as bins of a logistic distribution with learned location and scale.

    .. math:: p(x_i \mid m, s) = \sigma\!\left(\frac{x_i + h - m_i}{s_i}\right)
              - \sigma\!\left(\frac{x_i - h - m_i}{s_i}\right), \qquad h = 1 / 510

    where the bins of 0 and of 1 reach to infinity, so that the 256 probabilities sum to one. The
    outputs are the location and the log-scale on the last axis. Because the targets are discrete,
    ``-log_prob / (pixels * log 2)`` is a number of bits per dimension.

    Examples:
      >>> likelihood = discretized_logistic()
      >>> levels = jnp.arange(256).reshape(256, 1, 1, 1) / 255
      >>> outputs = jnp.broadcast_to(jnp.array([0.3, -2.0]), (256, 1, 1, 1, 2))
      >>> round(float(jnp.sum(jnp.exp(likelihood.log_prob(outputs, levels)))), 4)
      1.0

    References:
      Salimans et al., `PixelCNN++ <https://arxiv.org/abs/1701.05517>`_, section 2.1 (with one
      component).
    """
    half = 1 / 510

    def parameters(outputs: Array) -> tuple[Array, Array]:
        outputs = as_float32(outputs)
        return outputs[..., 0], jnp.exp(soft_clip(outputs[..., 1], LOG_SCALE_BOUND))

    def distribution(outputs: Float[Array, "b ... 2"], params: Params = None) -> Distribution:
        location, scale = parameters(outputs)

        def elementwise(x: Array) -> Array:
            # The width of a bin is added after the difference, which is exact near the location.
            centred, width = (x - location) / scale, half / scale
            upper, lower = centred + width, centred - width
            # sigmoid(u) - sigmoid(l) = sigmoid(u) sigmoid(-l) (1 - exp(l - u)): no cancellation in
            # either tail. At the ends of the range one of the sigmoids is one.
            below, above = jax.nn.log_sigmoid(upper), jax.nn.log_sigmoid(-lower)
            inside = below + above + jnp.log(-jnp.expm1(-2 * half / scale))
            return jnp.where(x < half, below, jnp.where(x > 1 - half, above, inside))

        def draw(key: PRNGKeyArray) -> Array:
            x = location + scale * jax.random.logistic(key, location.shape)
            return jnp.round(255 * jnp.clip(x, 0, 1)) / 255

        # The mean of the logistic censored to [0, 1]: the integral of P(X > t) over t in [0, 1].
        # It is within half a grey level of the mean over the 256 bins. Above the middle it is one
        # less the same of the mirrored location, or the difference would lose its digits.
        lower = jnp.where(location > 0.5, 1 - location, location)
        softplus = jax.nn.softplus
        mean = scale * (softplus(lower / scale) - softplus((lower - 1) / scale))
        mean = jnp.where(location > 0.5, 1 - mean, mean)
        return independent(elementwise, mean, draw, stats=(location, scale))

    return checked(
        Likelihood(distribution, outputs=2, levels=256, unit=True, name="discretized_logistic")
    )


@constructor("likelihoods.categorical")
def categorical(levels: int = 256) -> Likelihood:
    r"""Categorical distributions over the levels of each value; the outputs are logits.

    .. math:: \log p(x \mid \ell) = \sum_i \log \operatorname{softmax}(\ell_i)_{k_i},
              \qquad k_i = \operatorname{round}((K - 1) x_i)

    Args:
      levels: K; the k-th level is the pixel value `k / (K - 1)`.

    Raises:
      ValueError: if there are fewer than two levels.

    Examples:
      >>> likelihood = categorical(levels=4)
      >>> round(float(likelihood.log_prob(jnp.zeros((1, 2, 1, 1, 4)), jnp.ones((1, 2, 1, 1)))[0]), 4)
      -2.7726

    References:
      van den Oord et al., `Pixel Recurrent Neural Networks <https://arxiv.org/abs/1601.06759>`_,
      section 2.2.
    """
    if levels < 2:
        raise ValueError(f"a categorical likelihood needs at least 2 levels, got {levels}")

    def distribution(outputs: Float[Array, "b ... k"], params: Params = None) -> Distribution:
        logits = as_float32(outputs)

        def elementwise(x: Array) -> Array:
            level = jnp.round(x * (levels - 1)).astype(jnp.int32)
            cost = optax.softmax_cross_entropy_with_integer_labels(logits, level)
            return jnp.where(jnp.isfinite(x), -cost, jnp.nan)

        def draw(key: PRNGKeyArray) -> Array:
            return jax.random.categorical(key, logits).astype(jnp.float32) / (levels - 1)

        value = jnp.arange(levels, dtype=jnp.float32) / (levels - 1)
        return independent(
            elementwise,
            jnp.matmul(jax.nn.softmax(logits), value, precision=jax.lax.Precision.HIGHEST),
            draw,
            stats=logits,
        )

    return checked(
        Likelihood(
            distribution, outputs=levels, levels=levels, unit=True, name=f"categorical({levels})"
        )
    )
