"""Convolutional encoders and decoders."""

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


@constructor("networks.conv_encoder")
@checked
def conv_encoder(
    latent_dim: int,
    channels: Sequence[int] = (32, 64),
    *,
    activation: Activation = nn.gelu,
    dropout: float = 0.0,
    dtype: Any = jnp.float32,
) -> Network:
    """Convolutions, 4 x 4 with stride 2, each halving the image; then one dense layer.

    Args:
      latent_dim: size of the output.
      channels: of each convolution.
      activation: after each of them.
      dropout: probability that a feature is dropped before the dense layer while training.
      dtype: of the convolutions.

    Raises:
      ValueError: if a size is not positive or the dropout rate is not in [0, 1).

    Examples:
      >>> import jax
      >>> encoder = conv_encoder(16)
      >>> images = jnp.zeros((2, 17, 30, 3))
      >>> encoder.apply(encoder.init(jax.random.key(0), images), images).shape
      (2, 16)
    """
    check(dropout, latent_dim=latent_dim, channels=channels)
    return linen(_ConvEncoder(tuple(channels), latent_dim, activation, dropout, dtype))


@constructor("networks.conv_decoder")
@checked
def conv_decoder(
    shape: Sequence[int],
    channels: Sequence[int] = (64, 32),
    *,
    outputs: int = 1,
    activation: Activation = nn.gelu,
    dropout: float = 0.0,
    dtype: Any = jnp.float32,
) -> Network:
    """The mirror of :func:`conv_encoder`: transposed convolutions, 4 x 4 with stride 2.

    The kernel is a multiple of the stride, so that every pixel is written equally often; odd sizes
    are cropped to what the encoder had at that depth.

    Args:
      shape: of one image, `(h, w, c)`.
      channels: of the input of each transposed convolution.
      outputs: the number of outputs for each value (`likelihood.outputs`).
      activation: before each transposed convolution.
      dropout: probability that a feature is dropped after the dense layer while training.
      dtype: of the layers before the last.

    Raises:
      ValueError: if a size is not positive or the dropout rate is not in [0, 1).

    Examples:
      >>> import jax
      >>> decoder = conv_decoder((17, 30, 3))
      >>> decoder.apply(decoder.init(jax.random.key(0), jnp.zeros((2, 16))), jnp.zeros((2, 16))).shape
      (2, 17, 30, 3)
    """
    check_image(shape)
    check(dropout, shape=shape, channels=channels, outputs=outputs)
    module = _ConvDecoder(
        tuple(shape), tuple(channels), shape[-1] * outputs, activation, dropout, dtype
    )
    return shaped(linen(module), shape, outputs)


class _ConvEncoder(nn.Module):
    channels: tuple[int, ...]
    features: int
    activation: Activation
    dropout: float
    dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b features"]:
        for width in self.channels:
            x = self.activation(Conv(width, 4, stride=2, dtype=self.dtype)(x))
        x = drop(self, x.reshape(x.shape[0], -1))
        return nn.Dense(self.features)(x.astype(jnp.float32))


class _ConvDecoder(nn.Module):
    shape: tuple[int, ...]
    channels: tuple[int, ...]
    features: int
    activation: Activation
    dropout: float
    dtype: Any

    @nn.compact
    def __call__(self, z: Float[Array, "b d"]) -> Float[Array, "b h w features"]:
        *sizes, smallest = halvings(self.shape, len(self.channels))
        x = nn.Dense(math.prod(smallest) * self.channels[0], dtype=self.dtype)(z)
        x = drop(self, x).reshape(z.shape[0], *smallest, self.channels[0])
        for i, (h, w) in enumerate(reversed(sizes), start=1):
            last = i == len(self.channels)
            layer = Conv(
                self.features if last else self.channels[i],
                4,
                stride=2,
                transpose=True,
                dtype=jnp.float32 if last else self.dtype,
            )
            x = layer(self.activation(x))[:, :h, :w]
        return x
