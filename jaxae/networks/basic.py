"""Encoders and decoders for images of any shape, and the one door to Flax: :func:`linen`.

Encoders map images `[b, h, w, c]` to `[b, code]`; decoders map `[b, code]` to the outputs of a
likelihood, `[b, h, w, c]`, or `[b, h, w, c, outputs]` where it wants several for each value.
Parameters and the last layer are float32; `dtype` is what the layers before it compute in.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.base import Network, Params
from jaxae.networks import convolution

Activation = Callable[[Array], Array]


def linen(module: nn.Module) -> Network:
    """A Flax Linen module as a :class:`Network`.

    Dropout layers should ask for their key, `deterministic=not self.has_rng("dropout")`, so that
    they are on exactly when a key is given.

    Raises:
      ValueError: when initialised, if the module has state besides its parameters (batch
        statistics, for one): a network here is a function of its parameters and its input.

    Examples:
      >>> import jax
      >>> network = linen(nn.Dense(3))
      >>> params = network.init(jax.random.key(0), jnp.ones((2, 5)))
      >>> network.apply(params, jnp.ones((2, 5))).shape
      (2, 3)
    """

    def init(key: PRNGKeyArray, x: Array) -> Params:
        variables = module.init({"params": key}, x)
        if others := sorted(variables.keys() - {"params"}):
            raise ValueError(
                f"{type(module).__name__} keeps state in {', '.join(map(repr, others))}, but a "
                "Network has only parameters; in place of BatchNorm use GroupNorm or LayerNorm"
            )
        return variables.get("params", {})

    def apply(params: Params, x: Array, *, key: PRNGKeyArray | None = None) -> Array:
        rngs = None if key is None else {"dropout": key}
        outputs: Any = module.apply({"params": params}, x, rngs=rngs)
        return outputs

    return Network(init, apply)


def activate(network: Network, function: Activation) -> Network:
    """A network with one more function at its end.

    A sigmoid after an encoder gives codes in (0, 1); after a decoder, images in (0, 1) for
    `gaussian()`.

    Examples:
      >>> import jax
      >>> encoder = activate(mlp_encoder(3), jax.nn.sigmoid)
      >>> images = jnp.zeros((2, 8, 8, 1))
      >>> encoder.apply(encoder.init(jax.random.key(0), images), images).tolist()[0]
      [0.5, 0.5, 0.5]
    """

    def apply(params: Params, x: Array, *, key: PRNGKeyArray | None = None) -> Array:
        return function(network.apply(params, x, key=key))

    return Network(network.init, apply)


def spectral_norm(network: Network, *, iterations: int = 12) -> Network:
    r"""A network whose every matrix is divided by its largest singular value, so that none stretches.

    .. math:: W \mapsto \frac{W}{\sigma_{\max}(W)}

    For discriminators, whose logit then cannot move much faster than their input. (Fully connected
    layers with activations of slope one at most, such as relu, not gelu, do not stretch at all. The
    kernel of a convolution is taken as a matrix of its inputs by its outputs, as usual; overlapping
    patches may still stretch an image, k-fold at most for a kernel of k x k.) The singular value is found
    by power iteration from the same vector each time, from below: a function of the parameters and
    nothing else, so that there is no state to keep.

    Args:
      network: any; vectors, such as biases, are left alone.
      iterations: of the power method, which approaches the singular value from below.

    Raises:
      ValueError: if there is no iteration.

    Examples:
      >>> import jax
      >>> network = spectral_norm(linen(nn.Dense(2, use_bias=False)))
      >>> params = {"kernel": jnp.diag(jnp.array([4.0, 2.0]))}
      >>> network.apply(params, jnp.eye(2)).round(3).tolist()
      [[1.0, 0.0], [0.0, 0.5]]

    References:
      Miyato et al., `Spectral Normalization for Generative Adversarial Networks
      <https://arxiv.org/abs/1802.05957>`_; for kernels of convolutions see there, section 3.
    """
    if iterations < 1:
        raise ValueError(f"the power method needs at least one iteration, got {iterations}")

    def normalised(w: Array) -> Array:
        if w.ndim < 2:
            return w
        matrix = w.reshape(-1, w.shape[-1]).astype(jnp.float32)
        still = lax.stop_gradient(matrix)
        # No direction is special, and none is missed: a fixed draw.
        start = jax.random.normal(jax.random.key(0), matrix.shape[1:])

        def closer(_: Any, v: Array) -> Array:
            return _unit(still.T @ _unit(still @ v))

        v = lax.fori_loop(0, iterations, closer, _unit(start))
        u = _unit(still @ v)
        largest = u @ matrix @ v
        # A matrix of zeros stays one, and gets a gradient that is finite.
        return w / jnp.where(largest > 0, largest, 1.0).astype(w.dtype)

    def apply(params: Params, x: Array, *, key: PRNGKeyArray | None = None) -> Array:
        return network.apply(jax.tree.map(normalised, params), x, key=key)

    return Network(network.init, apply)


def _unit(v: Float[Array, " n"]) -> Float[Array, " n"]:
    return v / jnp.maximum(jnp.linalg.norm(v), jnp.finfo(jnp.float32).tiny)


def mlp_encoder(
    code: int,
    hidden: Sequence[int] = (400,),
    *,
    gated: bool = False,
    activation: Activation = nn.gelu,
    dropout: float = 0.0,
    dtype: Any = jnp.float32,
) -> Network:
    """Fully connected layers from the flattened image to `[b, code]`.

    Args:
      code: size of the output (twice the code of a VAE, which wants means and log-variances).
      hidden: widths of the layers between.
      gated: multiply each hidden unit by a second, linear one.
      activation: after each of them.
      dropout: probability that a hidden unit is dropped while training.
      dtype: what the hidden layers compute in.

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
    check(dropout, code=code, hidden=hidden)
    return linen(_MLP(tuple(hidden), code, gated, activation, dropout, dtype))


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
    """Fully connected layers from a code to the outputs for an image of this shape.

    Args:
      shape: of one image, `(h, w, c)`.
      hidden: widths of the layers between.
      outputs: how many the likelihood wants for each value (`likelihood.outputs`).
      gated: multiply each hidden unit by a second, linear one.
      activation: after each hidden layer.
      dropout: probability that a hidden unit is dropped while training.
      dtype: what the hidden layers compute in.

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


def conv_encoder(
    code: int,
    channels: Sequence[int] = (32, 64),
    *,
    activation: Activation = nn.gelu,
    dropout: float = 0.0,
    dtype: Any = jnp.float32,
) -> Network:
    """Convolutions, 4 x 4 with stride 2, each halving the image; then one dense layer.

    Args:
      code: size of the output.
      channels: of each convolution.
      activation: after each of them.
      dropout: probability that a feature is dropped before the dense layer while training.
      dtype: what the convolutions compute in.

    Raises:
      ValueError: if a size is not positive or the dropout rate is not in [0, 1).

    Examples:
      >>> import jax
      >>> encoder = conv_encoder(16)
      >>> images = jnp.zeros((2, 17, 30, 3))
      >>> encoder.apply(encoder.init(jax.random.key(0), images), images).shape
      (2, 16)
    """
    check(dropout, code=code, channels=channels)
    return linen(_ConvEncoder(tuple(channels), code, activation, dropout, dtype))


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
      outputs: how many the likelihood wants for each value (`likelihood.outputs`).
      activation: before each transposed convolution.
      dropout: probability that a feature is dropped after the dense layer while training.
      dtype: what the layers before the last compute in.

    Raises:
      ValueError: if a size is not positive or the dropout rate is not in [0, 1).

    Examples:
      >>> import jax
      >>> decoder = conv_decoder((17, 30, 3))
      >>> decoder.apply(decoder.init(jax.random.key(0), jnp.zeros((2, 16))), jnp.zeros((2, 16))).shape
      (2, 17, 30, 3)
    """
    check(dropout, shape=shape, channels=channels, outputs=outputs)
    module = _ConvDecoder(
        tuple(shape), tuple(channels), shape[-1] * outputs, activation, dropout, dtype
    )
    return shaped(linen(module), shape, outputs)


def resnet_encoder(
    code: int,
    channels: Sequence[int] = (32, 64, 128),
    *,
    activation: Activation = nn.gelu,
    dropout: float = 0.0,
    dtype: Any = jnp.float32,
    remat: bool = False,
) -> Network:
    """Residual blocks with GroupNorm; between depths a strided convolution halves the image.

    Args:
      code: size of the output.
      channels: at each depth; the first is at the image's own size.
      activation: inside the blocks.
      dropout: probability that a feature is dropped inside a block while training.
      dtype: what the blocks compute in (normalisation is in float32).
      remat: whether what is inside a block is computed again for its gradient, and not kept
        (`jax.checkpoint`): large networks in less memory, a quarter slower.

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
    check(dropout, code=code, channels=channels)
    return linen(_ResNetEncoder(tuple(channels), code, activation, dropout, dtype, remat))


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
      outputs: how many the likelihood wants for each value (`likelihood.outputs`).
      activation: inside the blocks.
      dropout: probability that a feature is dropped inside a block while training.
      dtype: what the blocks compute in (normalisation is in float32).
      remat: whether what is inside a block is computed again for its gradient, and not kept
        (`jax.checkpoint`): large networks in less memory, a quarter slower.

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
    check(dropout, shape=shape, channels=channels, outputs=outputs)
    module = _ResNetDecoder(
        tuple(shape), tuple(channels), shape[-1] * outputs, activation, dropout, dtype, remat
    )
    return shaped(linen(module), shape, outputs)


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


class Conv(nn.Module):
    """A convolution with a bias, computed by :mod:`jaxae.networks.convolution`."""

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
        function = convolution.conv_transpose if self.transpose else convolution.conv
        x, kernel, bias = (array.astype(self.dtype) for array in (x, kernel, bias))
        return function(x, kernel, bias, stride=self.stride)


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


class _Block(nn.Module):
    """A residual block with its normalisation first."""

    features: int
    activation: Activation
    dropout: float
    dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w features"]:
        y = self.activation(_group_norm(x))
        y = Conv(self.features, 3, dtype=self.dtype)(y)
        y = drop(self, self.activation(_group_norm(y)))
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
        x = self.activation(_group_norm(x))
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
        x = self.activation(_group_norm(x)).astype(jnp.float32)
        return Conv(self.features, 3)(x)


def _blocks(module: Any) -> Callable[[int, int], nn.Module]:
    """The residual block of a depth; whether it is computed again or not, its parameters are the same."""
    kind = nn.remat(_Block) if module.remat else _Block
    options = (module.activation, module.dropout, module.dtype)
    return lambda depth, width: kind(width, *options, name=f"_Block_{depth}")


def _group_norm(x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    # Groups of eight channels: a group of one would be constant on a 1 x 1 image.
    groups = x.shape[-1] // 8 if x.shape[-1] % 8 == 0 else 1
    return nn.GroupNorm(groups)(x.astype(jnp.float32)).astype(x.dtype)


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

    def apply(params: Params, x: Array, *, key: PRNGKeyArray | None = None) -> Array:
        return network.apply(params, x, key=key).reshape(x.shape[0], *shape)

    return Network(network.init, apply)


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
        if name == "shape" and len(values) != 3:
            raise ValueError(f"the shape of an image is (h, w, c), got {tuple(values)}")
