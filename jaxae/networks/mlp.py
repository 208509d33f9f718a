"""Fully connected encoders and decoders."""

import math
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxae.arguments import checked
from jaxae.base import Network
from jaxae.networks.adapters import linen
from jaxae.networks.layers import Activation, check, drop, shaped
from jaxae.recipes import constructor


@constructor("networks.mlp_encoder")
@checked
def mlp_encoder(
    latent_dim: int,
    hidden: Sequence[int] = (400,),
    *,
    gated: bool = False,
    activation: Activation = nn.gelu,
    dropout: float = 0.0,
    dtype: Any = jnp.float32,
) -> Network:
    """Fully connected layers from the flattened input to `[b, latent_dim]`.

    Args:
      latent_dim: size of the output (twice that of the code for a VAE: means and log-variances).
      hidden: widths of the layers between.
      gated: multiply each hidden unit by a second, linear one.
      activation: after each of them.
      dropout: probability that a hidden unit is dropped while training.
      dtype: of the hidden layers.

    Raises:
      ValueError: if a size is not positive or the dropout rate is not in [0, 1).

    Examples:
      >>> import jax
      >>> encoder = mlp_encoder(16)
      >>> images = jnp.zeros((2, 28, 28, 1))
      >>> encoder.apply(encoder.init(jax.random.key(0), images), images).shape
      (2, 16)

    References:
      gates: Shazeer, `GLU Variants Improve Transformer <https://arxiv.org/abs/2002.05202>`_.
    """
    check(dropout, latent_dim=latent_dim, hidden=hidden)
    return linen(_MLP(tuple(hidden), latent_dim, gated, activation, dropout, dtype))


@constructor("networks.mlp_decoder")
@checked
def mlp_decoder(
    shape: Sequence[int],
    hidden: Sequence[int] = (400,),
    *,
    outputs: int = 1,
    gated: bool = False,
    activation: Activation = nn.gelu,
    dropout: float = 0.0,
    dtype: Any = jnp.float32,
) -> Network:
    """Fully connected layers from a code to the outputs for data of this shape.

    Args:
      shape: of one example: `(h, w, c)`, `(t, c)` or `(d,)`.
      hidden: widths of the layers between.
      outputs: the number of outputs for each value (`likelihood.outputs`).
      gated: multiply each hidden unit by a second, linear one.
      activation: after each hidden layer.
      dropout: probability that a hidden unit is dropped while training.
      dtype: of the hidden layers.

    Raises:
      ValueError: if a size is not positive or the dropout rate is not in [0, 1).

    Examples:
      >>> import jax
      >>> decoder = mlp_decoder((28, 28, 1))
      >>> decoder.apply(decoder.init(jax.random.key(0), jnp.zeros((2, 16))), jnp.zeros((2, 16))).shape
      (2, 28, 28, 1)
    """
    check(dropout, shape=shape, hidden=hidden, outputs=outputs)
    mlp = linen(_MLP(tuple(hidden), math.prod(shape) * outputs, gated, activation, dropout, dtype))
    return shaped(mlp, shape, outputs)


class _MLP(nn.Module):
    hidden: tuple[int, ...]
    features: int
    gated: bool
    activation: Activation
    dropout: float
    dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, "b ..."]) -> Float[Array, "b features"]:
        x = x.reshape(x.shape[0], -1)
        for width in self.hidden:
            x = nn.Dense((1 + self.gated) * width, dtype=self.dtype)(x)
            x = self.activation(x[:, :width]) * (x[:, width:] if self.gated else 1.0)
            x = drop(self, x)
        return nn.Dense(self.features)(x.astype(jnp.float32))
