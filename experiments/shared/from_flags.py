"""The networks and likelihoods that flags ask for."""

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

import jaxae
from experiments.shared.flags import ModelConfig
from jaxae.data import corruptions
from jaxae.networks.layers import Activation


def likelihood(config: ModelConfig, default: str) -> jaxae.Likelihood:
    """The likelihood that the flags name."""
    name = config.likelihood or default
    if name in ("gaussian", "laplace"):
        scale = 1.0 if config.scale is None else config.scale
        return {"gaussian": jaxae.likelihoods.gaussian, "laplace": jaxae.likelihoods.laplace}[name](
            scale
        )
    if config.scale is not None:
        raise ValueError(f"--scale goes with gaussian or laplace, not with {name}")
    plain = {
        "bernoulli": jaxae.likelihoods.bernoulli,
        "discretized_logistic": jaxae.likelihoods.discretized_logistic,
        "categorical": jaxae.likelihoods.categorical,
    }
    return plain[name]()


def networks(
    config: ModelConfig,
    shape: tuple[int, ...],
    outputs: int,
    code_outputs: int,
    *,
    overcomplete: bool = False,
    activation: Activation | None = None,
) -> tuple[jaxae.Network, jaxae.Network]:
    """Encoder and decoder for images of this shape; the decoder has the encoder's widths reversed.

    Args:
      config: the flags.
      shape: of one image.
      outputs: how many the likelihood wants for each value.
      code_outputs: what the encoder gives: the code, or twice the code for a VAE.
      overcomplete: whether a code may have more values than an image.
      activation: another than gelu.
    """
    if config.network == "unet":
        raise ValueError(
            "--network unet has no bottleneck; it is for making one image of another, as in "
            "experiments.denoising"
        )
    if config.code > (values := math.prod(shape)) and not overcomplete:
        raise ValueError(f"--code {config.code} is larger than the {values} values of an image")
    defaults = {"mlp": (400,), "conv": (32, 64), "resnet": (32, 64, 128)}
    hidden = defaults[config.network] if config.hidden is None else config.hidden
    if not hidden and (config.dropout > 0 or config.gated):
        raise ValueError("--hidden without a layer leaves nothing for --dropout and --gated")
    makers: dict[str, tuple[Callable[..., jaxae.Network], Callable[..., jaxae.Network]]] = {
        "mlp": (jaxae.networks.mlp_encoder, jaxae.networks.mlp_decoder),
        "conv": (jaxae.networks.conv_encoder, jaxae.networks.conv_decoder),
        "resnet": (jaxae.networks.resnet_encoder, jaxae.networks.resnet_decoder),
    }
    make_encoder, make_decoder = makers[config.network]
    options = network_options(config)
    if activation is not None:
        options["activation"] = activation
    encoder = make_encoder(code_outputs, hidden, **options)
    decoder = make_decoder(shape, hidden[::-1], outputs=outputs, **options)
    return encoder, decoder


def network_options(config: ModelConfig) -> dict[str, Any]:
    """What is said of the layers: dropout, precision, gates."""
    dtype = jnp.bfloat16 if config.precision == "bfloat16" else jnp.float32
    options: dict[str, Any] = {"dropout": config.dropout, "dtype": dtype}
    if config.gated:
        if config.network != "mlp":
            raise ValueError(f"--gated goes with --network mlp, not with {config.network}")
        options["gated"] = True
    if config.remat:
        if config.network != "resnet":
            raise ValueError(f"--remat goes with --network resnet, not with {config.network}")
        options["remat"] = True
    return options


CORRUPTIONS: dict[str, Callable[..., corruptions.Corruption]] = {
    "gaussian": corruptions.gaussian,
    "masking": corruptions.masking,
    "salt_and_pepper": corruptions.salt_and_pepper,
    "erase": corruptions.erase,
    "grayscale": corruptions.grayscale,
    "downsample": corruptions.downsample,
}


def corruption(flags: tuple[str, ...]) -> corruptions.Corruption:
    """The corruption that flags such as `masking:0.3` name, one after the other."""
    return corruptions.compose(*(_corruption(flag) for flag in flags))


def _corruption(flag: str) -> corruptions.Corruption:
    name, _, strength = flag.partition(":")
    if name not in CORRUPTIONS:
        raise ValueError(f"there is no corruption {name!r}, only {', '.join(CORRUPTIONS)}")
    if name == "grayscale":
        if strength:
            raise ValueError("grayscale has no strength")
        return corruptions.grayscale()
    if not strength:
        raise ValueError(f"a corruption is written with its strength, such as {name}:0.3")
    value = number(strength, flag)
    if name == "downsample":
        if value != int(value):
            raise ValueError(f"downsampling is by a whole number, not by {strength}")
        return corruptions.downsample(int(value))
    return CORRUPTIONS[name](value)


def number(text: str, flag: str) -> float:
    """A finite number in a flag."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{text!r} in {flag!r} is no number")
    return value
