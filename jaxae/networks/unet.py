"""U-Nets: an image out of another image, with skip connections at every depth; and what is joined to them.

A U-Net is a pair of networks like any other: its code is the features at every depth. It is larger than
the image, and there is no bottleneck.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.base import Network, Params
from jaxae.data.colors import with_luma
from jaxae.networks.basic import Activation, Conv, check, drop, halvings, linen, shaped

Combine = Callable[[Array, Array], Array]
"""What becomes of the input and the image of a decoder, `(x, y) -> image`."""

CORRECTION = 0.1
"""The part of a network's image that is added to the input."""


def unet_encoder(
    channels: Sequence[int] = (48, 96, 192),
    *,
    blocks: int = 1,
    activation: Activation = nn.gelu,
    dropout: float = 0.0,
    dtype: Any = jnp.float32,
) -> Network:
    """The descending half of a U-Net: its code is the features at every depth, one after the other.

    A code is thus larger than the image (for 28 x 28 and the default channels, 17,184 values): this
    is for making one image out of another, where nothing has to be squeezed. Between depths a
    strided convolution halves the image, and residual blocks follow.

    Args:
      channels: at each depth; the first is at half the image's size.
      blocks: residual blocks at each depth, of two convolutions each.
      activation: before each convolution but the first.
      dropout: probability that a feature is dropped inside a block while training.
      dtype: what the convolutions compute in.

    Raises:
      ValueError: if a size is not positive or the dropout rate is not in [0, 1).

    Examples:
      >>> import jax
      >>> encoder, decoder = unet_encoder((4, 8)), unet_decoder((9, 7, 3), (8, 4))
      >>> images = jnp.zeros((2, 9, 7, 3))
      >>> z = encoder.apply(encoder.init(jax.random.key(0), images), images)
      >>> decoder.apply(decoder.init(jax.random.key(1), z), z).shape
      (2, 9, 7, 3)

    References:
      Ronneberger, Fischer and Brox, `U-Net <https://arxiv.org/abs/1505.04597>`_.
    """
    check(dropout, channels=channels, blocks=blocks)
    return linen(_UNetEncoder(tuple(channels), blocks, activation, dropout, dtype))


def unet_decoder(
    shape: Sequence[int],
    channels: Sequence[int] = (192, 96, 48),
    *,
    outputs: int = 1,
    blocks: int = 1,
    activation: Activation = nn.gelu,
    dropout: float = 0.0,
    dtype: Any = jnp.float32,
) -> Network:
    """The ascending half of a U-Net, from a code of :func:`unet_encoder`.

    The deepest features go through transposed convolutions; at each depth those of the encoder are
    added.

    Args:
      shape: of one image, `(h, w, c)`.
      channels: those of the encoder reversed.
      outputs: how many the likelihood wants for each value (`likelihood.outputs`).
      blocks: residual blocks at each depth but the last.
      activation: before each convolution.
      dropout: probability that a feature is dropped inside a block while training.
      dtype: what the layers before the last compute in.

    Raises:
      ValueError: if a size is not positive or the dropout rate is not in [0, 1); by `apply`, if the
        code is not that of an encoder with these channels.

    Examples:
      >>> import jax
      >>> decoder = unet_decoder((8, 8, 1), (8, 4))
      >>> z = jnp.zeros((2, 4 * 4 * 4 + 2 * 2 * 8))
      >>> decoder.apply(decoder.init(jax.random.key(0), z), z).shape
      (2, 8, 8, 1)

    References:
      Ronneberger, Fischer and Brox, `U-Net <https://arxiv.org/abs/1505.04597>`_.
    """
    check(dropout, shape=shape, channels=channels, outputs=outputs, blocks=blocks)
    module = _UNetDecoder(
        tuple(shape), tuple(channels), shape[-1] * outputs, blocks, activation, dropout, dtype
    )
    return shaped(linen(module), shape, outputs)


def with_input(
    encoder: Network,
    decoder: Network,
    shape: Sequence[int],
    combine: Combine | None = None,
) -> tuple[Network, Network]:
    r"""The same pair, whose code holds the input too, so that the decoder need not make it again.

    .. math:: z' = (x, z), \qquad y' = \operatorname{combine}(x, g(z))

    With `combine` :func:`add` the network predicts the residual, what is to be added to the input.
    Others make sure of what is known of the answer already: :func:`colorize`, that its grey levels
    are those of the input; :func:`fill`, that nothing changes outside a hole.

    Args:
      encoder: any, from images of this shape.
      decoder: any, from its codes.
      shape: of one image as the encoder sees it, `(h, w, c)`.
      combine: `(x, y) -> image`, of the input and the decoder's image (of several outputs for a
        value, the first); :func:`add` when None.

    Returns:
      an encoder and a decoder, whose codes are `[b, h w c + d]`.

    Raises:
      ValueError: by `apply`, if the images are not of this shape.

    Examples:
      >>> import jax
      >>> shape = (8, 8, 3)
      >>> encoder, decoder = with_input(unet_encoder((4,)), unet_decoder(shape, (4,)), shape)
      >>> z = jnp.zeros((2, 8 * 8 * 3 + 4 * 4 * 4))
      >>> decoder.apply(decoder.init(jax.random.key(0), z), z).shape
      (2, 8, 8, 3)

    References:
      He et al., `Deep Residual Learning <https://arxiv.org/abs/1512.03385>`_; Schwab, Antholzer and
      Haltmeier, `Deep Null Space Learning for Inverse Problems <https://arxiv.org/abs/1806.06137>`_.
    """
    check(0.0, shape=shape)
    values = math.prod(shape)
    together = add if combine is None else combine

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
            return together(x, y)
        return y.at[..., 0].set(together(x, y[..., 0]))

    return Network(encoder.init, encode), Network(init, decode)


def add(x: Float[Array, "b h w c"], y: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    """The input and a tenth of the network's image: training begins near the input.

    Examples:
      >>> float(add(jnp.ones((1, 1, 1, 1)), jnp.full((1, 1, 1, 1), 5.0))[0, 0, 0, 0])
      1.5
    """
    return x + CORRECTION * y


def colorize(grey: Float[Array, "b h w c"], y: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    """The input and a tenth of the network's image, with the grey levels of the input.

    Examples:
      >>> from jaxae.data.colors import luma
      >>> image = colorize(jnp.full((1, 1, 1, 3), 0.5), jnp.array([1.0, 5.0, 2.0]).reshape(1, 1, 1, 3))
      >>> round(float(luma(image)[0, 0, 0, 0]), 4)
      0.5
    """
    return with_luma(grey, grey + CORRECTION * y)


def fill(hidden: Float[Array, "b h w c1"], y: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    """The network's image (around grey) in the hole, and the input around it.

    Args:
      hidden: images whose last channel is 1 where there is a hole: :func:`jaxae.corruptions.hide`.
      y: what the network makes of them.

    Examples:
      >>> hidden = jnp.array([[0.25, 0.0], [0.5, 1.0]]).reshape(1, 1, 2, 2)
      >>> fill(hidden, jnp.full((1, 1, 2, 1), 0.25)).ravel().tolist()
      [0.25, 0.75]
    """
    hole = hidden[..., -1:]
    return hole * (0.5 + y) + (1 - hole) * hidden[..., :-1]


class _PlainBlock(nn.Module):
    """A residual block without normalisation: it begins as the identity."""

    features: int
    activation: Activation
    dropout: float
    dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        y = Conv(self.features, 3, dtype=self.dtype)(self.activation(x))
        y = drop(self, self.activation(y))
        y = Conv(self.features, 3, dtype=self.dtype)(y)
        # Not quite zero, so that the block's own parameters learn from the first step on.
        scale = self.param("scale", nn.initializers.constant(0.1), ())
        return x + scale.astype(self.dtype) * y


class _UNetEncoder(nn.Module):
    channels: tuple[int, ...]
    blocks: int
    activation: Activation
    dropout: float
    dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b features"]:
        x = 2 * x - 1
        features = []
        for depth, width in enumerate(self.channels):
            x = self.activation(x) if depth > 0 else x
            x = Conv(width, 4, stride=2, dtype=self.dtype)(x)
            for _ in range(self.blocks):
                x = _PlainBlock(width, self.activation, self.dropout, self.dtype)(x)
            features.append(x.reshape(x.shape[0], -1))
        return jnp.concatenate(features, axis=1).astype(jnp.float32)


class _UNetDecoder(nn.Module):
    shape: tuple[int, ...]
    channels: tuple[int, ...]
    features: int
    blocks: int
    activation: Activation
    dropout: float
    dtype: Any

    @nn.compact
    def __call__(self, z: Float[Array, "b d"]) -> Float[Array, "b h w features"]:
        image, *sizes = halvings(self.shape, len(self.channels))
        shapes = [(h, w, c) for (h, w), c in zip(sizes, self.channels[::-1], strict=True)]
        ends = list(itertools.accumulate(math.prod(shape) for shape in shapes))
        if z.shape[1] != ends[-1]:
            raise ValueError(
                f"the code of a U-Net of {self.channels[::-1]} channels for images of "
                f"{self.shape} has {ends[-1]} values, but this one has {z.shape[1]}"
            )
        skips = [
            part.reshape(z.shape[0], *shape).astype(self.dtype)
            for part, shape in zip(jnp.split(z, ends[:-1], axis=1), shapes, strict=True)
        ]
        x = skips.pop()
        for skip in reversed(skips):
            _, h, w, width = skip.shape
            layer = Conv(width, 4, stride=2, transpose=True, dtype=self.dtype)
            x = layer(self.activation(x))[:, :h, :w] + skip
            for _ in range(self.blocks):
                x = _PlainBlock(width, self.activation, self.dropout, self.dtype)(x)
        x = self.activation(x).astype(jnp.float32)
        return Conv(self.features, 4, stride=2, transpose=True)(x)[:, : image[0], : image[1]]
