"""Layers and checks that several networks share."""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxae.base import Network, Params
from jaxae.networks import conv_primitives
from jaxae.recipes import constructor

Activation = Callable[[Array], Array]


class Conv(nn.Module):
    """A convolution with a bias, computed by :mod:`jaxae.networks.conv_primitives`."""

    features: int
    size: int
    stride: int = 1
    transpose: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w i"]) -> Float[Array, "b h2 w2 o"]:
        shape = (self.size, self.size, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        function = conv_primitives.conv_transpose if self.transpose else conv_primitives.conv
        x, kernel, bias = (array.astype(self.dtype) for array in (x, kernel, bias))
        return function(x, kernel, bias, stride=self.stride)


@constructor("networks.leaky_relu")
def leaky_relu(slope: float = 0.2) -> Activation:
    """The identity for positive values, and `slope` times the value for negative ones.

    Examples:
      >>> leaky_relu(0.25)(jnp.array([-4.0, 4.0])).tolist()
      [-1.0, 4.0]
    """

    def apply(x: Array) -> Array:
        return nn.leaky_relu(x, slope)

    return apply


def group_norm(x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    """Normalises groups of eight channels, or all channels where they do not divide by eight."""
    # A group of one would be constant on a 1 x 1 image.
    groups = x.shape[-1] // 8 if x.shape[-1] % 8 == 0 else 1
    # The fast variance, E[x^2] - E[x]^2, loses the digits of features with an offset.
    return nn.GroupNorm(groups, use_fast_variance=False)(x.astype(jnp.float32)).astype(x.dtype)


def drop(module: Any, x: Array) -> Array:
    """Dropout at the rate of a module, on exactly when there is a key."""
    if module.dropout == 0:
        return x
    return nn.Dropout(module.dropout, deterministic=not module.has_rng("dropout"))(x)


def halvings(shape: Sequence[int], times: int) -> list[tuple[int, int]]:
    """Height and width after 0, 1, ..., `times` convolutions of stride 2."""
    h, w = shape[:2]
    return [(-(-h // 2**i), -(-w // 2**i)) for i in range(times + 1)]


def shaped(network: Network, shape: Sequence[int], outputs: int) -> Network:
    """The same network, its outputs as `[b, h, w, c]` or `[b, h, w, c, outputs]`."""
    shape = (*shape, outputs) if outputs > 1 else tuple(shape)

    def apply(params: Params, x: Array, **options: Any) -> Array:
        return network.apply(params, x, **options).reshape(x.shape[0], *shape)

    return network._replace(apply=apply)


def check(dropout: float, **sizes: int | Sequence[int]) -> None:
    """Raises a `ValueError` for a rate or a size that is out of range."""
    if not 0 <= dropout < 1:
        raise ValueError(f"the dropout rate must be in [0, 1), got {dropout}")
    for name, value in sizes.items():
        values = [value] if isinstance(value, int) else value
        if any(v < 1 for v in values):
            raise ValueError(f"{name} must be positive, got {value}")
        if name == "channels" and not values:
            raise ValueError("channels must name at least one layer")
        if name == "shape" and not values:
            raise ValueError("the shape must have at least one axis")


def check_image(shape: Sequence[int]) -> None:
    """Raises a `ValueError` unless it is the shape of an image, `(h, w, c)`."""
    if len(shape) != 3:
        raise ValueError(f"the shape of an image is (h, w, c), got {tuple(shape)}")
