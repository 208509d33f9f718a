"""Networks that predict a correction of their input."""

import math
from collections.abc import Callable, Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.arguments import checked
from jaxae.base import Network, Params
from jaxae.data.colors import with_luma
from jaxae.networks.layers import check, check_image
from jaxae.recipes import constructor, named

Combine = Callable[[Array, Array], Array]
"""Combines the input and the output of a decoder, `(x, y) -> image`."""

CORRECTION = 0.1
"""The factor of a network's output when it is added to the input."""


@constructor("networks.with_input")
@checked
def with_input(
    encoder: Network,
    decoder: Network,
    shape: Sequence[int],
    combine: Combine | None = None,
) -> tuple[Network, Network]:
    r"""The same pair with the input passed on to the decoder, which then predicts a correction.

    .. math:: z' = (x, z), \qquad y' = \operatorname{combine}(x, g(z))

    With :func:`add` the network predicts the residual. Other functions keep what is already known of
    the result: :func:`colorize` keeps the grey levels of the input, and :func:`fill` keeps everything
    outside a hole.

    Args:
      encoder: any, from images of this shape.
      decoder: any, from its codes.
      shape: of one image as the encoder sees it, `(h, w, c)`.
      combine: `(x, y) -> image`, from the input and the decoder's output (the first, if there are
        several for a value); :func:`add` when None.

    Returns:
      an encoder and a decoder, whose codes are `[b, h w c + d]`.

    Raises:
      ValueError: by `apply`, if the images are not of this shape.

    Examples:
      >>> import jax
      >>> shape = (8, 8, 3)
      >>> from jaxae.networks import unet_decoder, unet_encoder
      >>> encoder, decoder = with_input(unet_encoder((4,)), unet_decoder(shape, (4,)), shape)
      >>> z = jnp.zeros((2, 8 * 8 * 3 + 4 * 4 * 4))
      >>> decoder.apply(decoder.init(jax.random.key(0), z), z).shape
      (2, 8, 8, 3)

    References:
      He et al., `Deep Residual Learning <https://arxiv.org/abs/1512.03385>`_; Schwab, Antholzer and
      Haltmeier, `Deep Null Space Learning for Inverse Problems <https://arxiv.org/abs/1806.06137>`_.
    """
    check_image(shape)
    check(0.0, shape=shape)
    values = math.prod(shape)
    join = add if combine is None else combine

    def encode(params: Params, x: Array, *, key: PRNGKeyArray | None = None) -> Array:
        if x.shape[1:] != tuple(shape):
            raise ValueError(
                f"the encoder was made for images of {tuple(shape)}, not of {x.shape[1:]}"
            )
        z = encoder.apply(params, x, key=key)
        return jnp.concatenate([x.reshape(x.shape[0], -1).astype(z.dtype), z], axis=1)

    def init(key: PRNGKeyArray, z: Array) -> Params:
        return decoder.init(key, z[:, values:])

    def decode(params: Params, z: Array, *, key: PRNGKeyArray | None = None) -> Array:
        x = z[:, :values].reshape(z.shape[0], *shape)
        y = decoder.apply(params, z[:, values:], key=key)
        if y.ndim == x.ndim:
            return join(x, y)
        return y.at[..., 0].set(join(x, y[..., 0]))

    return Network(encoder.init, encode), Network(init, decode)


@named("networks.add")
def add(x: Float[Array, "b h w c"], y: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    """The input plus a tenth of the network's output, so that training starts near the identity.

    Examples:
      >>> float(add(jnp.ones((1, 1, 1, 1)), jnp.full((1, 1, 1, 1), 5.0))[0, 0, 0, 0])
      1.5
    """
    return x + CORRECTION * y


@named("networks.colorize")
def colorize(grey: Float[Array, "b h w c"], y: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    """The input plus a tenth of the network's output, with the grey levels of the input.

    Examples:
      >>> from jaxae.data.colors import luma
      >>> image = colorize(jnp.full((1, 1, 1, 3), 0.5), jnp.array([1.0, 5.0, 2.0]).reshape(1, 1, 1, 3))
      >>> round(float(luma(image)[0, 0, 0, 0]), 4)
      0.5
    """
    return with_luma(grey, grey + CORRECTION * y)


@named("networks.fill")
def fill(hidden: Float[Array, "b h w c1"], y: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    """The network's output (plus 0.5) inside the hole, and the input outside of it.

    Args:
      hidden: images whose last channel is 1 where there is a hole: :func:`jaxae.corruptions.hide`.
      y: the network's output.

    Examples:
      >>> hidden = jnp.array([[0.25, 0.0], [0.5, 1.0]]).reshape(1, 1, 2, 2)
      >>> fill(hidden, jnp.full((1, 1, 2, 1), 0.25)).ravel().tolist()
      [0.25, 0.75]
    """
    hole = hidden[..., -1:]
    return hole * (0.5 + y) + (1 - hole) * hidden[..., :-1]


@named("networks.keep")
def keep(x: Float[Array, "b h w c"], y: Float[Array, "b h w ..."]) -> Float[Array, "b h w c"]:
    """The input itself, for a likelihood that adds what is missing to it.

    Examples:
      >>> keep(jnp.ones((1, 1, 1, 1)), jnp.zeros((1, 1, 1, 2))).tolist()
      [[[[1.0]]]]
    """
    return x
