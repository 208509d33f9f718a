"""U-Nets: from one image to another, with skip connections at every depth.

A U-Net is an encoder and a decoder whose code is the features at every depth. The code is larger than
the image, so there is no bottleneck.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxae.arguments import checked
from jaxae.base import Network
from jaxae.networks.adapters import linen
from jaxae.networks.layers import Activation, Conv, check, check_image, drop, halvings, shaped
from jaxae.recipes import constructor


@constructor("networks.unet_encoder")
@checked
def unet_encoder(
    channels: Sequence[int] = (48, 96, 192),
    *,
    blocks: int = 1,
    activation: Activation = nn.gelu,
    dropout: float = 0.0,
    dtype: Any = jnp.float32,
) -> Network:
    """The descending half of a U-Net: its code is the concatenated features of every depth.

    The code is larger than the image (17,184 values for 28 x 28 and the default channels): use it for
    image-to-image tasks that need no bottleneck. Between depths a strided convolution halves the
    image, and residual blocks follow.

    Args:
      channels: at each depth; the first is at half the image's size.
      blocks: residual blocks at each depth, of two convolutions each.
      activation: before each convolution but the first.
      dropout: probability that a feature is dropped inside a block while training.
      dtype: of the convolutions.

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


@constructor("networks.unet_decoder")
@checked
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
      outputs: the number of outputs for each value (`likelihood.outputs`).
      blocks: residual blocks at each depth but the last.
      activation: before each convolution.
      dropout: probability that a feature is dropped inside a block while training.
      dtype: of the layers before the last.

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
    check_image(shape)
    check(dropout, shape=shape, channels=channels, outputs=outputs, blocks=blocks)
    module = _UNetDecoder(
        tuple(shape), tuple(channels), shape[-1] * outputs, blocks, activation, dropout, dtype
    )
    return shaped(linen(module), shape, outputs)


class _PlainBlock(nn.Module):
    """A residual block without normalisation, near the identity at initialisation."""

    features: int
    activation: Activation
    dropout: float
    dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        y = Conv(self.features, 3, dtype=self.dtype)(self.activation(x))
        y = drop(self, self.activation(y))
        y = Conv(self.features, 3, dtype=self.dtype)(y)
        # Not zero, so that the parameters of the block have a gradient from the first step on.
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
