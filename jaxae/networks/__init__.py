"""Encoders, decoders and discriminators; :func:`linen` turns a Flax module into one.

Encoders map images `[b, h, w, c]` to `[b, latent_dim]`; decoders map codes to the outputs of a
likelihood, `[b, h, w, c]`, or `[b, h, w, c, outputs]` if it needs several for each value.
Parameters and the last layer are float32; `dtype` is that of the layers before it.
"""

from jaxae.networks.adapters import activate, categorical_code, linen, with_condition
from jaxae.networks.conv import conv_decoder, conv_encoder
from jaxae.networks.layers import leaky_relu
from jaxae.networks.mlp import mlp_decoder, mlp_encoder
from jaxae.networks.resnet import resnet_decoder, resnet_encoder
from jaxae.networks.skip_input import add, colorize, fill, keep, with_input
from jaxae.networks.spectral import spectral_norm
from jaxae.networks.unet import unet_decoder, unet_encoder

__all__ = [
    "activate",
    "add",
    "categorical_code",
    "colorize",
    "conv_decoder",
    "conv_encoder",
    "fill",
    "keep",
    "leaky_relu",
    "linen",
    "mlp_decoder",
    "mlp_encoder",
    "resnet_decoder",
    "resnet_encoder",
    "spectral_norm",
    "unet_decoder",
    "unet_encoder",
    "with_condition",
    "with_input",
]
