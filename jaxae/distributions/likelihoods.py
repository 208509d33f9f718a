"""Likelihoods: from the outputs of a decoder to a distribution of the data, in nats.

All sums are over the values of one example and all arithmetic is in float32, whatever the networks'
dtype. Every normalising constant is included, so that likelihoods of the same kind can be compared.
"""

import math
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.arrays import soft_clip, sum_values
from jaxae.base import Distribution, Likelihood, Params
from jaxae.data.colors import chroma, from_chroma, luma

LOG_SCALE_BOUND = 6.0
"""Learned log-scales stay within (-6, 6): the smallest scale, 0.0025, is below one grey level."""


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
        logits = _f32(outputs)
        probability = jax.nn.sigmoid(logits)

        def elementwise(x: Array) -> Array:
            # softplus(l) with one exponential. optax's form has two and trains an MLP VAE a fifth
            # slower on a CPU; max(l, 0) in place of (l + |l|) / 2 has the wrong gradient at l = 0.
            size = jnp.abs(logits)
            return x * logits - (0.5 * (logits + size) + jnp.log1p(jnp.exp(-size)))

        def draw(key: PRNGKeyArray) -> Array:
            return jax.random.bernoulli(key, probability).astype(jnp.float32)

        return _independent(elementwise, probability, draw, stats=logits)

    return _checked(Likelihood(distribution, levels=2, unit=True))


Scale = float | Literal["learned", "shared", "optimal"]
"""The scale of a likelihood: a number, or how it is found, see :func:`gaussian`."""


def gaussian(scale: Scale = 1.0) -> Likelihood:
    r"""Normal distributions whose means are the outputs.

    .. math:: \log p(x \mid \mu) = -\sum_i \frac{(x_i - \mu_i)^2}{2 \sigma^2}
              + \log \sigma + \tfrac12 \log 2 \pi

    The scale sets the factor of the squared error: ``1/2 ||x - mu||**2`` is scale 1, and
    ``||x - mu||**2`` is scale ``sqrt(1/2)``.

    Args:
      scale: the standard deviation: a number; "learned", one for each value, as a second output of the
        decoder; "shared", one parameter for all values; or "optimal", the one that is best for the
        batch, the square root of its mean squared error. The last is for training only: it is no
        density of one example, it cannot be drawn from, and no value may be missing.

    Raises:
      ValueError: if the scale is neither positive nor one of these words.

    Examples:
      >>> likelihood = gaussian(scale=0.5)
      >>> round(float(likelihood.log_prob(jnp.zeros((1, 2, 1, 1)), jnp.ones((1, 2, 1, 1)))[0]), 4)
      -4.4516

    References:
      Rybkin, Daniilidis and Levine, `Simple and Effective VAE Training with Calibrated Decoders
      <https://arxiv.org/abs/2006.13202>`_.
    """

    def best(difference: Array) -> Array:
        return 0.5 * jnp.log(jnp.mean(jnp.square(difference)) + jnp.exp(-2 * LOG_SCALE_BOUND))

    return _location_scale(
        lambda z: -0.5 * jnp.square(z) - 0.5 * math.log(2 * math.pi), jax.random.normal, best, scale
    )


def laplace(scale: Scale = 1.0) -> Likelihood:
    r"""Laplace distributions whose locations are the outputs: the absolute error.

    .. math:: \log p(x \mid \mu) = -\sum_i \frac{|x_i - \mu_i|}{s} + \log 2 s

    Args:
      scale: s, with the same options as in :func:`gaussian`; "optimal" is the mean absolute error of
        the batch.

    Raises:
      ValueError: if the scale is neither positive nor "learned", "shared" or "optimal".

    Examples:
      >>> likelihood = laplace()
      >>> round(float(likelihood.log_prob(jnp.zeros((1, 1, 1, 1)), jnp.ones((1, 1, 1, 1)))[0]), 4)
      -1.6931
    """

    def best(difference: Array) -> Array:
        return jnp.log(jnp.mean(jnp.abs(difference)) + jnp.exp(-LOG_SCALE_BOUND))

    return _location_scale(lambda z: -jnp.abs(z) - math.log(2), jax.random.laplace, best, scale)


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
        logits = _f32(outputs)
        size = jnp.abs(logits)
        near = size < 0.1
        safe = jnp.where(near, 1.0, logits)
        squared = jnp.square(logits)
        # log(l / (2 sinh(l / 2))) = log l - |l| / 2 - log(1 - exp(-|l|)), or its series at zero; and
        # x l less l / 2 is what is left of the cross-entropy.
        far = jnp.log(jnp.abs(safe)) - 0.5 * jnp.abs(safe) - jnp.log(-jnp.expm1(-jnp.abs(safe)))
        log_constant = jnp.where(near, -squared / 24 + jnp.square(squared) / 2880, far)
        numerator = jnp.where(safe > 0, 1.0, -jnp.exp(jnp.minimum(safe, 0)))
        away = numerator / -jnp.expm1(-jnp.abs(safe)) - 1 / safe
        mean = jnp.where(near, 0.5 + logits / 12 - logits * squared / 720, away)

        def elementwise(x: Array) -> Array:
            return (x - 0.5) * logits + log_constant

        def draw(key: PRNGKeyArray) -> Array:
            u = jax.random.uniform(key, logits.shape)
            # The inverse of the distribution function, from the side where it keeps its digits; near
            # a logit of zero its series.
            near = size < 0.01
            slope = jnp.where(near, 1.0, size)
            up = jnp.log1p((1 - u) * jnp.expm1(-slope)) / slope + 1
            x = jnp.where(logits > 0, up, 1 - up)
            return jnp.where(near, u + 0.5 * logits * u * (1 - u), x)

        return _independent(elementwise, mean, draw, stats=logits)

    return _checked(Likelihood(distribution, unit=True))


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
        outputs = _f32(outputs)
        return outputs[..., 0], jnp.exp(soft_clip(outputs[..., 1], LOG_SCALE_BOUND))

    def distribution(outputs: Float[Array, "b ... 2"], params: Params = None) -> Distribution:
        location, scale = parameters(outputs)

        def elementwise(x: Array) -> Array:
            upper = (x + half - location) / scale
            lower = (x - half - location) / scale
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
        return _independent(elementwise, mean, draw, stats=(location, scale))

    return _checked(Likelihood(distribution, outputs=2, levels=256, unit=True))


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
        logits = _f32(outputs)

        def elementwise(x: Array) -> Array:
            level = jnp.round(x * (levels - 1)).astype(jnp.int32)
            return -optax.softmax_cross_entropy_with_integer_labels(logits, level)

        def draw(key: PRNGKeyArray) -> Array:
            return jax.random.categorical(key, logits).astype(jnp.float32) / (levels - 1)

        value = jnp.arange(levels, dtype=jnp.float32) / (levels - 1)
        return _independent(elementwise, jax.nn.softmax(logits) @ value, draw, stats=logits)

    return _checked(Likelihood(distribution, outputs=levels, levels=levels, unit=True))


def color_classes(
    centres: Float[Array | np.ndarray, "..."], *, temperature: float = 0.4
) -> Likelihood:
    r"""Categorical distributions over the colours of each pixel, whose grey level is known.

    .. math:: \log p(x \mid \ell) = \sum_i \log \operatorname{softmax}(\ell_i)_{k_i}, \qquad
              k_i = \operatorname{argmin}_k \lVert (C_b, C_r)_i - c_k \rVert

    The squared error is smallest at the mean of all plausible colours, which is nearly grey. Class
    probabilities keep these colours apart. The mean image has the colour

    .. math:: \sum_k c_k \operatorname{softmax}(\ell_i / T)_k

    which is the expected colour for T = 1 and the most probable one as T approaches 0. A small T gives
    vivid images, not those of least squared error.

    The outputs are `[b, h, w, 3, 1 + ceil(K / 3)]`: index 0 of the last axis is an image whose
    grey levels are used (the input of the network, if :func:`jaxae.networks.with_input` is given
    `combine=lambda x, y: x`); the others are the logits of a pixel in order.

    Args:
      centres: c, `[k, 2]`, the colours (C_b, C_r) of the classes: :func:`jaxae.data.colors.chroma`, for
        example the K-means centres of the colours of a training set.
      temperature: T; the loss does not depend on it.

    Raises:
      ValueError: if there are fewer than two centres, or the temperature is not positive.

    Examples:
      >>> likelihood = color_classes(jnp.array([[-0.2, 0.3], [0.2, 0.0], [0.0, 0.0]]))
      >>> outputs = jnp.zeros((1, 1, 1, 3, 2)).at[..., 0].set(0.5)
      >>> outputs = outputs.at[..., 2, 1].set(100.0)  # grey, for sure
      >>> likelihood.mean(outputs).round(2).tolist()
      [[[[0.5, 0.5, 0.5]]]]

    References:
      Zhang, Isola and Efros, `Colorful Image Colorization <https://arxiv.org/abs/1603.08511>`_.
    """
    table = np.asarray(centres, np.float32)
    if table.ndim != 2 or table.shape[1] != 2 or len(table) < 2:
        raise ValueError(f"the centres are colours, [k, 2] with k > 1, not {table.shape}")
    if not 0 < temperature < math.inf:
        raise ValueError(f"the temperature must be positive, got {temperature}")

    def logits(outputs: Array) -> Float[Array, "b h w k"]:
        several = _f32(outputs[..., 1:])
        return several.reshape(*several.shape[:-2], -1)[..., : len(table)]

    def distribution(outputs: Float[Array, "b h w c k"], params: Params = None) -> Distribution:
        def log_prob(x: Float[Array, "b h w c"]) -> Array:
            # The nearest centre, by differences: an expanded square loses the digits of near ones.
            squared = jnp.sum(jnp.square(chroma(x)[..., None, :] - table), axis=-1)
            nearest = jnp.argmin(squared, axis=-1)
            return -sum_values(
                optax.softmax_cross_entropy_with_integer_labels(logits(outputs), nearest)
            )

        def image(probabilities: Array) -> Array:
            color = jnp.matmul(probabilities, table, precision=jax.lax.Precision.HIGHEST)
            return from_chroma(luma(_f32(outputs[..., 0])), color)

        def draw(key: PRNGKeyArray) -> tuple[Array, None]:
            chosen = jax.random.categorical(key, logits(outputs))
            return image(jax.nn.one_hot(chosen, len(table))), None

        mean = image(jax.nn.softmax(logits(outputs) / temperature))
        return Distribution(draw, mean, log_prob, stats=logits(outputs), reparameterised=False)

    return _checked(Likelihood(distribution, outputs=1 + -(-len(table) // 3), unit=True))


def _location_scale(
    standard: Callable[[Array], Array],
    noise: Callable[..., Array],
    best: Callable[[Array], Array],
    scale: Scale,
) -> Likelihood:
    """A symmetric density around the outputs, from its log-density and its draws at scale one."""
    if isinstance(scale, str):
        if scale not in ("learned", "shared", "optimal"):
            raise ValueError(
                f'the scale of a likelihood is a number, "learned", "shared" or "optimal", not {scale!r}'
            )
    elif not (scale is not None and math.isfinite(scale) and scale > 0):
        raise ValueError(f"the scale of a likelihood must be positive, got {scale}")

    def distribution(outputs: Float[Array, "b ..."], params: Params = None) -> Distribution:
        location = _f32(outputs)
        log_scale: Array | float
        if scale == "learned":
            location, log_scale = location[..., 0], soft_clip(location[..., 1], LOG_SCALE_BOUND)
        elif scale == "shared":
            log_scale = soft_clip(params["log_scale"], LOG_SCALE_BOUND)
        elif scale == "optimal":
            log_scale = jnp.nan  # there is none before there are data
        else:
            log_scale = math.log(scale)  # type: ignore[arg-type]

        def elementwise(x: Array) -> Array:
            at = best(x - location) if scale == "optimal" else log_scale
            return standard((x - location) * jnp.exp(-at)) - at

        def draw(key: PRNGKeyArray) -> Array:
            if scale == "optimal":
                raise ValueError(
                    'a likelihood with scale "optimal" has no scale before there are data, and '
                    'cannot be drawn from; use "shared" or "learned"'
                )
            return location + jnp.exp(log_scale) * noise(key, location.shape)

        found = _independent(elementwise, location, draw, stats=(location, log_scale))
        # The optimal scale depends on all values, so that they are not independent.
        return found._replace(
            reparameterised=True, elementwise=None if scale == "optimal" else elementwise
        )

    likelihood = Likelihood(distribution, outputs=2 if scale == "learned" else 1)
    if scale == "shared":
        likelihood = likelihood._replace(init=lambda key, x: {"log_scale": jnp.zeros(())})
    return _checked(likelihood._replace(coupled=scale == "optimal"))


def _independent(
    elementwise: Callable[[Array], Array],
    mean: Array,
    draw: Callable[[PRNGKeyArray], Array],
    *,
    stats: object,
) -> Distribution:
    """A distribution whose values are independent."""

    def log_prob(x: Array) -> Array:
        return sum_values(elementwise(x))

    def draw_with_density(key: PRNGKeyArray) -> tuple[Array, Array]:
        x = draw(key)
        return x, log_prob(x)

    return Distribution(
        draw_with_density, mean, log_prob, elementwise, stats=stats, reparameterised=False
    )


def _checked(likelihood: Likelihood) -> Likelihood:
    """The same likelihood with a check of shapes, whose error names both."""

    def distribution(outputs: Array, params: Params = None) -> Distribution:
        found = likelihood.distribution(outputs, params)

        def check(x: Array) -> None:
            wanted = x.shape if likelihood.outputs == 1 else (*x.shape, likelihood.outputs)
            if outputs.shape != wanted:
                raise ValueError(
                    f"the decoder gives {outputs.shape[1:]} for each example, but for examples of "
                    f"{x.shape[1:]} this likelihood needs {wanted[1:]}"
                )

        def log_prob(x: Array) -> Array:
            check(x)
            assert found.log_prob is not None
            return found.log_prob(x)

        def elementwise(x: Array) -> Array:
            check(x)
            assert found.elementwise is not None
            return found.elementwise(x)

        return found._replace(
            log_prob=log_prob, elementwise=None if found.elementwise is None else elementwise
        )

    return likelihood._replace(distribution=distribution)


def _f32(outputs: Array) -> Array:
    return outputs.astype(jnp.float32)
