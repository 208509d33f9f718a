"""What the outputs of a decoder mean: log-probabilities in nats, and the image to look at.

A likelihood is a pair of pure functions over the outputs of a decoder. All sums are over the
values of one image and all arithmetic is in float32, whatever the networks' dtype; every
normalising constant is included, so that two likelihoods of the same kind can be compared.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from jaxae.base import Likelihood, soft_clip
from jaxae.data.colors import chroma, from_chroma, luma

LOG_SCALE_BOUND = 6.0
"""Learned log-scales stay within (-6, 6): the smallest scale, 0.0025, is below one grey level."""


def bernoulli() -> Likelihood:
    r"""Pixels are coins, and the outputs are their logits.

    .. math:: \log p(x \mid \ell) = \sum_i x_i \ell_i - \log(1 + e^{\ell_i})

    For targets strictly between 0 and 1 this is the (negative) cross-entropy of the lectures: a
    loss, but not the log-probability of anything.

    Examples:
      >>> likelihood = bernoulli()
      >>> round(float(likelihood.log_prob(jnp.zeros((1, 2, 1, 1)), jnp.ones((1, 2, 1, 1)))[0]), 4)
      -1.3863

    References:
      Kingma and Welling, `Auto-Encoding Variational Bayes <https://arxiv.org/abs/1312.6114>`_,
      appendix C.1.
    """

    def log_prob(logits: Float[Array, "b ..."], target: Float[Array, "b ..."]) -> Array:
        # optax.sigmoid_binary_cross_entropy is the same with two exponentials in place of one; this
        # form trains an MLP VAE on a CPU a fifth faster (measured: 80,000 against 65,000 images/s).
        logits = _f32(logits)
        softplus = jnp.maximum(logits, 0) + jnp.log1p(jnp.exp(-jnp.abs(logits)))
        return _sum(target * logits - softplus)

    def mean(logits: Float[Array, "b ..."]) -> Array:
        return jax.nn.sigmoid(_f32(logits))

    return _checked(Likelihood(log_prob, mean, levels=2))


def gaussian(scale: float | None = 1.0, *, clip: bool = True) -> Likelihood:
    r"""Pixels are Gaussian around the outputs.

    .. math:: \log p(x \mid \mu) = -\sum_i \frac{(x_i - \mu_i)^2}{2 \sigma^2}
              + \log \sigma + \tfrac12 \log 2 \pi

    The factor of the squared error is in the scale: ``1/2 ||x - mu||**2`` is scale 1, and
    ``||x - mu||**2`` is scale ``sqrt(1/2)``.

    Args:
      scale: the standard deviation; None to learn one for each pixel, as a second output.
      clip: whether the mean is clipped to [0, 1], where images are. False for other data.

    Raises:
      ValueError: if the scale is not positive.

    Examples:
      >>> likelihood = gaussian(scale=0.5)
      >>> round(float(likelihood.log_prob(jnp.zeros((1, 2, 1, 1)), jnp.ones((1, 2, 1, 1)))[0]), 4)
      -4.4516

    References:
      Rybkin, Daniilidis and Levine, `Simple and Effective VAE Training with Calibrated Decoders
      <https://arxiv.org/abs/2006.13202>`_.
    """

    def standard(z: Array) -> Array:
        return -0.5 * jnp.square(z) - 0.5 * math.log(2 * math.pi)

    return _location_scale(standard, scale, clip)


def laplace(scale: float | None = 1.0, *, clip: bool = True) -> Likelihood:
    r"""Pixels follow a Laplace distribution around the outputs: the absolute error.

    .. math:: \log p(x \mid \mu) = -\sum_i \frac{|x_i - \mu_i|}{s} + \log 2 s

    Args:
      scale: the scale s; None to learn one for each pixel, as a second output.
      clip: whether the mean is clipped to [0, 1], where images are. False for other data.

    Raises:
      ValueError: if the scale is not positive.

    Examples:
      >>> likelihood = laplace()
      >>> round(float(likelihood.log_prob(jnp.zeros((1, 1, 1, 1)), jnp.ones((1, 1, 1, 1)))[0]), 4)
      -1.6931
    """

    def standard(z: Array) -> Array:
        return -jnp.abs(z) - math.log(2)

    return _location_scale(standard, scale, clip)


def discretized_logistic() -> Likelihood:
    r"""Bytes as the bins of a logistic distribution with learned location and scale.

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

    def log_prob(outputs: Float[Array, "b ... 2"], target: Float[Array, "b ..."]) -> Array:
        location, scale = parameters(outputs)
        upper = (target + half - location) / scale
        lower = (target - half - location) / scale
        # sigmoid(u) - sigmoid(l) = sigmoid(u) sigmoid(-l) (1 - exp(l - u)): no cancellation in
        # either tail. At the ends of the range one of the sigmoids is one.
        below, above = jax.nn.log_sigmoid(upper), jax.nn.log_sigmoid(-lower)
        inside = below + above + jnp.log(-jnp.expm1(-2 * half / scale))
        log_mass = jnp.where(target < half, below, jnp.where(target > 1 - half, above, inside))
        return _sum(log_mass)

    def mean(outputs: Float[Array, "b ... 2"]) -> Array:
        # The mean of the logistic censored to [0, 1]: the integral of P(X > t) over t in [0, 1].
        # It is within half a grey level of the mean over the 256 bins.
        location, scale = parameters(outputs)
        softplus = jax.nn.softplus
        area = scale * (softplus(location / scale) - softplus((location - 1) / scale))
        return jnp.clip(area, 0, 1)

    return _checked(Likelihood(log_prob, mean, outputs=2, levels=256))


def categorical(levels: int = 256) -> Likelihood:
    r"""Each value of the image is one of `levels` classes, and the outputs are their logits.

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

    def log_prob(logits: Float[Array, "b ... k"], target: Float[Array, "b ..."]) -> Array:
        level = jnp.round(target * (levels - 1)).astype(jnp.int32)
        return -_sum(optax.softmax_cross_entropy_with_integer_labels(_f32(logits), level))

    def mean(logits: Float[Array, "b ... k"]) -> Array:
        value = jnp.arange(levels, dtype=jnp.float32) / (levels - 1)
        return jax.nn.softmax(_f32(logits)) @ value

    return _checked(Likelihood(log_prob, mean, outputs=levels, levels=levels))


def color_classes(
    centres: Float[Array | np.ndarray, "..."], *, temperature: float = 0.4
) -> Likelihood:
    r"""The colour of each pixel is one of K classes, and its grey level is known.

    .. math:: \log p(x \mid \ell) = \sum_i \log \operatorname{softmax}(\ell_i)_{k_i}, \qquad
              k_i = \operatorname{argmin}_k \lVert (C_b, C_r)_i - c_k \rVert

    A squared error is least at the mean of all colours that a thing may have, which is nearly grey.
    The probabilities of classes keep them apart; the image is made with the colour

    .. math:: \sum_k c_k \operatorname{softmax}(\ell_i / T)_k

    which is their mean for T = 1 and the most probable one for T near 0: vivid, and not the image of
    least squared error.

    The outputs are `[b, h, w, 3, 1 + ceil(K / 3)]`: the first of the last axis is an image, of which
    the grey levels are taken (the input of the network: :func:`jaxae.with_input` with `combine` giving
    its first argument), and the others are the logits of a pixel, one after the other.

    Args:
      centres: c, `[k, 2]`, the colours (C_b, C_r) of the classes: :func:`jaxae.colors.chroma`, such
        as the K-means centres of the colours of a training set.
      temperature: T, of the mean; the loss does not depend on it.

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

    def log_prob(outputs: Float[Array, "b h w c k"], target: Float[Array, "b h w c"]) -> Array:
        # The nearest centre, without its difference from every colour: |u - c|^2 less |u|^2.
        found = chroma(target)
        nearest = jnp.argmax(found @ table.T - 0.5 * np.sum(table**2, axis=1), axis=-1)
        return -_sum(optax.softmax_cross_entropy_with_integer_labels(logits(outputs), nearest))

    def mean(outputs: Float[Array, "b h w c k"]) -> Array:
        color = jax.nn.softmax(logits(outputs) / temperature) @ table
        return jnp.clip(from_chroma(luma(_f32(outputs[..., 0])), color), 0, 1)

    return _checked(Likelihood(log_prob, mean, outputs=1 + -(-len(table) // 3)))


def _location_scale(standard, scale: float | None, clip: bool) -> Likelihood:
    """A symmetric density around the outputs, from its standard log-density at scale one."""
    if scale is not None and not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"the scale of a likelihood must be positive, got {scale}")

    def parameters(outputs: Array) -> tuple[Array, Array | float]:
        outputs = _f32(outputs)
        if scale is not None:
            return outputs, math.log(scale)
        return outputs[..., 0], soft_clip(outputs[..., 1], LOG_SCALE_BOUND)

    def log_prob(outputs: Float[Array, "b ..."], target: Float[Array, "b ..."]) -> Array:
        location, log_scale = parameters(outputs)
        return _sum(standard((target - location) * jnp.exp(-log_scale)) - log_scale)

    def mean(outputs: Float[Array, "b ..."]) -> Array:
        location, _ = parameters(outputs)
        return jnp.clip(location, 0, 1) if clip else location

    return _checked(Likelihood(log_prob, mean, outputs=1 if scale is not None else 2))


def _checked(likelihood: Likelihood) -> Likelihood:
    """The same likelihood; a decoder of another shape is told so before it meets the target."""

    def log_prob(outputs: Array, target: Array) -> Array:
        wanted = target.shape if likelihood.outputs == 1 else (*target.shape, likelihood.outputs)
        if outputs.shape != wanted:
            raise ValueError(
                f"the decoder gives {outputs.shape[1:]} for each image, but for images of "
                f"{target.shape[1:]} this likelihood wants {wanted[1:]}"
            )
        return likelihood.log_prob(outputs, target)

    return likelihood._replace(log_prob=log_prob)


def _f32(outputs: Array) -> Array:
    return outputs.astype(jnp.float32)


def _sum(values: Float[Array, "b ..."]) -> Float[Array, " b"]:
    return jnp.sum(values, axis=tuple(range(1, values.ndim)))
