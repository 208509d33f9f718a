"""Residual encoders and decoders."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxae.arguments import checked
from jaxae.base import Network
from jaxae.networks.adapters import linen
from jaxae.networks.layers import (
    Activation,
    Conv,
    check,
    check_image,
    drop,
    group_norm,
    halvings,
    shaped,
)
from jaxae.recipes import constructor


@constructor("networks.resnet_encoder")
@checked
def resnet_encoder(
    latent_dim: int,
    channels: Sequence[int] = (32, 64, 128),
    *,
    activation: Activation = nn.gelu,
    dropout: float = 0.0,
    dtype: Any = jnp.float32,
    remat: bool = False,
) -> Network:
    """Residual blocks with GroupNorm; between depths a strided convolution halves the image.

    Args:
      latent_dim: size of the output.
      channels: at each depth; the first is at the image's own size.
      activation: inside the blocks.
      dropout: probability that a feature is dropped inside a block while training.
      dtype: of the blocks (normalisation is in float32).
      remat: whether the inside of a block is recomputed for its gradient instead of stored
        (`jax.checkpoint`), which needs less memory and takes a quarter longer.

    Raises:
      ValueError: if a size is not positive or the dropout rate is not in [0, 1).

    Examples:
      >>> import jax
      >>> encoder = resnet_encoder(16, channels=(8, 16))
      >>> images = jnp.zeros((2, 9, 7, 3))
      >>> encoder.apply(encoder.init(jax.random.key(0), images), images).shape
      (2, 16)

    References:
      He et al., `Identity Mappings in Deep Residual Networks <https://arxiv.org/abs/1603.05027>`_;
      Wu and He, `Group Normalization <https://arxiv.org/abs/1803.08494>`_.
    """
    check(dropout, latent_dim=latent_dim, channels=channels)
    return linen(_ResNetEncoder(tuple(channels), latent_dim, activation, dropout, dtype, remat))


@constructor("networks.resnet_decoder")
@checked
def resnet_decoder(
    shape: Sequence[int],
    channels: Sequence[int] = (128, 64, 32),
    *,
    outputs: int = 1,
    activation: Activation = nn.gelu,
    dropout: float = 0.0,
    dtype: Any = jnp.float32,
    remat: bool = False,
) -> Network:
    """The mirror of :func:`resnet_encoder`: between depths the image is resized, then convolved.

    Args:
      shape: of one image, `(h, w, c)`.
      channels: at each depth; the last is at the image's own size.
      outputs: the number of outputs for each value (`likelihood.outputs`).
      activation: inside the blocks.
      dropout: probability that a feature is dropped inside a block while training.
      dtype: of the blocks (normalisation is in float32).
      remat: whether the inside of a block is recomputed for its gradient instead of stored
        (`jax.checkpoint`), which needs less memory and takes a quarter longer.

    Raises:
      ValueError: if a size is not positive or the dropout rate is not in [0, 1).

    Examples:
      >>> import jax
      >>> decoder = resnet_decoder((9, 7, 3), channels=(16, 8))
      >>> decoder.apply(decoder.init(jax.random.key(0), jnp.zeros((2, 16))), jnp.zeros((2, 16))).shape
      (2, 9, 7, 3)

    References:
      Odena, Dumoulin and Olah, `Deconvolution and Checkerboard Artifacts
      <https://distill.pub/2016/deconv-checkerboard>`_.
    """
    check_image(shape)
    check(dropout, shape=shape, channels=channels, outputs=outputs)
    module = _ResNetDecoder(
        tuple(shape), tuple(channels), shape[-1] * outputs, activation, dropout, dtype, remat
    )
    return shaped(linen(module), shape, outputs)


class _Block(nn.Module):
    """A pre-activation residual block."""

    features: int
    activation: Activation
    dropout: float
    dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w features"]:
        y = self.activation(group_norm(x))
        y = Conv(self.features, 3, dtype=self.dtype)(y)
        y = drop(self, self.activation(group_norm(y)))
        y = Conv(self.features, 3, dtype=self.dtype)(y)
        if x.shape[-1] != self.features:
            x = Conv(self.features, 1, dtype=self.dtype)(x)
        return x + y


class _ResNetEncoder(nn.Module):
    channels: tuple[int, ...]
    features: int
    activation: Activation
    dropout: float
    dtype: Any
    remat: bool

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b features"]:
        x = Conv(self.channels[0], 3, dtype=self.dtype)(x)
        block = _blocks(self)
        for depth, width in enumerate(self.channels):
            if depth > 0:
                x = Conv(width, 4, stride=2, dtype=self.dtype)(x)
            x = block(depth, width)(x)
        x = self.activation(group_norm(x))
        return nn.Dense(self.features)(x.reshape(x.shape[0], -1).astype(jnp.float32))


class _ResNetDecoder(nn.Module):
    shape: tuple[int, ...]
    channels: tuple[int, ...]
    features: int
    activation: Activation
    dropout: float
    dtype: Any
    remat: bool

    @nn.compact
    def __call__(self, z: Float[Array, "b d"]) -> Float[Array, "b h w features"]:
        sizes = halvings(self.shape, len(self.channels) - 1)[::-1]
        x = nn.Dense(math.prod(sizes[0]) * self.channels[0], dtype=self.dtype)(z)
        x = x.reshape(z.shape[0], *sizes[0], self.channels[0])
        block = _blocks(self)
        for depth, ((h, w), width) in enumerate(zip(sizes, self.channels, strict=True)):
            if (h, w) != x.shape[1:3]:
                x = jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)[:, :h, :w]
                x = Conv(width, 3, dtype=self.dtype)(x)
            x = block(depth, width)(x)
        x = self.activation(group_norm(x)).astype(jnp.float32)
        return Conv(self.features, 3)(x)


def _blocks(module: Any) -> Callable[[int, int], nn.Module]:
    """The residual block of a depth; its parameters do not depend on `remat`."""
    kind = nn.remat(_Block) if module.remat else _Block
    options = (module.activation, module.dropout, module.dtype)
    return lambda depth, width: kind(width, *options, name=f"_Block_{depth}")
