"""The likelihood of classes of colours."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.arrays import sum_values
from jaxae.base import Distribution, Likelihood, Params
from jaxae.data.colors import chroma, from_chroma, luma
from jaxae.distributions.likelihoods.common import as_float32, checked
from jaxae.numeric import check_scale
from jaxae.recipes import constructor


@constructor("likelihoods.color_classes")
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
    check_scale("the temperature", temperature)

    def logits(outputs: Array) -> Float[Array, "b h w k"]:
        several = as_float32(outputs[..., 1:])
        return several.reshape(*several.shape[:-2], -1)[..., : len(table)]

    def distribution(outputs: Float[Array, "b h w c k"], params: Params = None) -> Distribution:
        def log_prob(x: Float[Array, "b h w c"]) -> Array:
            # The nearest centre, by differences: an expanded square loses the digits of near ones.
            squared = jnp.sum(jnp.square(chroma(x)[..., None, :] - table), axis=-1)
            nearest = jnp.argmin(squared, axis=-1)
            cost = optax.softmax_cross_entropy_with_integer_labels(logits(outputs), nearest)
            return -sum_values(jnp.where(jnp.isfinite(x).all(axis=-1), cost, jnp.nan))

        def image(probabilities: Array) -> Array:
            color = jnp.matmul(probabilities, table, precision=jax.lax.Precision.HIGHEST)
            return from_chroma(luma(as_float32(outputs[..., 0])), color)

        def draw(key: PRNGKeyArray) -> tuple[Array, None]:
            chosen = jax.random.categorical(key, logits(outputs))
            return image(jax.nn.one_hot(chosen, len(table))), None

        # Relative to the largest, so that no quotient is infinite.
        relative = logits(outputs) - jnp.max(logits(outputs), axis=-1, keepdims=True)
        mean = image(jax.nn.softmax(relative / temperature))
        return Distribution(draw, mean, log_prob, stats=logits(outputs))

    return checked(
        Likelihood(
            distribution,
            outputs=1 + -(-len(table) // 3),
            unit=True,
            name=f"color_classes({len(table)})",
        )
    )
