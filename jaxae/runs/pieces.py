"""The pieces of a model by their names: networks, likelihoods, corruptions and sparsity."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxae.base import Likelihood, Network
from jaxae.data import corruptions
from jaxae.data.corruptions import Corruption
from jaxae.distributions import likelihoods
from jaxae.networks import (
    conv_decoder,
    conv_encoder,
    mlp_decoder,
    mlp_encoder,
    resnet_decoder,
    resnet_encoder,
)
from jaxae.networks.layers import Activation
from jaxae.wrappers import kl_sparsity, l1, top_k
from jaxae.wrappers._sparse import CodePenalty

NetworkName = Literal["mlp", "conv", "resnet", "unet"]
LikelihoodName = Literal[
    "bernoulli",
    "continuous_bernoulli",
    "gaussian",
    "laplace",
    "discretized_logistic",
    "categorical",
]
ScaleName = Literal["learned", "shared"]

WIDTHS: dict[str, tuple[int, ...]] = {
    "mlp": (400,),
    "conv": (32, 64),
    "resnet": (32, 64, 128),
}
"""The default widths or channels of the encoder; the decoder has them in reverse."""

CORRUPTIONS: dict[str, Callable[..., Corruption]] = {
    "gaussian": corruptions.gaussian,
    "masking": corruptions.masking,
    "salt_and_pepper": corruptions.salt_and_pepper,
    "erase": corruptions.erase,
    "grayscale": corruptions.grayscale,
    "downsample": corruptions.downsample,
}


class Sparsity(NamedTuple):
    """A function applied to the code, and a penalty on it with its weight."""

    activation: Activation | None = None
    penalty: CodePenalty | None = None
    weight: float = 0.0


def likelihood(name: str, scale: float | str | None = None) -> Likelihood:
    """A likelihood by its name.

    Args:
      name: one of :data:`LikelihoodName`.
      scale: of gaussian and laplace: a number, "learned" (for each value), "shared" (one parameter), or
        None for 1.

    Raises:
      ValueError: if there is no likelihood of this name, or it has no scale.
    """
    if name in ("gaussian", "laplace"):
        scale = 1.0 if scale is None else scale
        make: Any = likelihoods.gaussian if name == "gaussian" else likelihoods.laplace
        return make(scale)
    if scale is not None:
        raise ValueError(f"a scale is for the likelihoods gaussian and laplace, not for {name}")
    known = {
        "bernoulli": likelihoods.bernoulli,
        "continuous_bernoulli": likelihoods.continuous_bernoulli,
        "discretized_logistic": likelihoods.discretized_logistic,
        "categorical": likelihoods.categorical,
    }
    if name not in known:
        raise ValueError(
            f"there is no likelihood {name!r}, only gaussian, laplace, {', '.join(known)}"
        )
    return known[name]()


def networks(
    name: str,
    shape: Sequence[int],
    outputs: int,
    code_outputs: int,
    *,
    hidden: Sequence[int] | None = None,
    activation: Activation | None = None,
    **options: Any,
) -> tuple[Network, Network]:
    """An encoder and a decoder by the name of their architecture.

    Args:
      name: mlp, conv or resnet.
      shape: of one image.
      outputs: how many outputs the likelihood needs for each value of an image.
      code_outputs: how many outputs the encoder has.
      hidden: widths or channels of the encoder, :data:`WIDTHS` when None; the decoder has them in
        reverse.
      activation: of the hidden units; gelu when None.
      options: see :func:`network_options`.

    Raises:
      ValueError: if there is no such architecture, or it does not have one of the options.
    """
    makers: dict[str, tuple[Callable[..., Network], Callable[..., Network]]] = {
        "mlp": (mlp_encoder, mlp_decoder),
        "conv": (conv_encoder, conv_decoder),
        "resnet": (resnet_encoder, resnet_decoder),
    }
    if name == "unet":
        raise ValueError(
            "the network unet has no bottleneck; it is for making one image from another, as in "
            "experiments.denoising"
        )
    if name not in makers:
        raise ValueError(f"there is no network {name!r}, only {', '.join(makers)}")
    arguments = network_options(name, **options)
    widths = WIDTHS[name] if hidden is None else tuple(hidden)
    if not widths and (arguments["dropout"] > 0 or "gated" in arguments):
        raise ValueError("dropout and gated need at least one hidden layer")
    if activation is not None:
        arguments["activation"] = activation
    make_encoder, make_decoder = makers[name]
    encoder = make_encoder(code_outputs, widths, **arguments)
    decoder = make_decoder(tuple(shape), widths[::-1], outputs=outputs, **arguments)
    return encoder, decoder


def network_options(
    name: str,
    *,
    dropout: float = 0.0,
    precision: str = "float32",
    gated: bool = False,
    remat: bool = False,
) -> dict[str, Any]:
    """Keyword arguments for the constructors of networks.

    Args:
      name: the architecture: mlp, conv, resnet or unet.
      dropout: probability that a hidden unit is dropped in training.
      precision: of the inner layers, float32 or bfloat16.
      gated: whether each hidden unit is multiplied by a second, linear one; of mlp alone.
      remat: whether the inside of residual blocks is computed again for the gradients; of resnet alone.

    Raises:
      ValueError: if the architecture does not have one of these options.
    """
    if precision not in ("float32", "bfloat16"):
        raise ValueError(f"the precision is float32 or bfloat16, not {precision!r}")
    dtype = jnp.bfloat16 if precision == "bfloat16" else jnp.float32
    options: dict[str, Any] = {"dropout": dropout, "dtype": dtype}
    for option, value, only in (("gated", gated, "mlp"), ("remat", remat, "resnet")):
        if value:
            if name != only:
                raise ValueError(f"{option} is for the network {only}, not for {name}")
            options[option] = True
    return options


def corruption(texts: Sequence[str]) -> Corruption:
    """The corruptions that texts such as `masking:0.3` name, one after the other.

    Raises:
      ValueError: if there is no such corruption, or its strength is missing or out of range.
    """
    return corruptions.compose(*(_corruption(text) for text in texts))


def _corruption(text: str) -> Corruption:
    name, _, strength = text.partition(":")
    if name not in CORRUPTIONS:
        raise ValueError(f"there is no corruption {name!r}, only {', '.join(CORRUPTIONS)}")
    if name == "grayscale":
        if strength:
            raise ValueError("grayscale takes no strength")
        return corruptions.grayscale()
    if not strength:
        raise ValueError(f"a corruption is written with its strength, such as {name}:0.3")
    value = number(strength, text)
    if name == "downsample":
        if value != int(value):
            raise ValueError(f"the factor of downsample must be an integer, got {strength}")
        return corruptions.downsample(int(value))
    return CORRUPTIONS[name](value)


def sparsity(text: str | None, *, stochastic: bool = False) -> Sparsity:
    """What `l1:WEIGHT`, `kl:WEIGHT:RATE` or `top_k:K` stands for; nothing when None.

    Args:
      text: the kind of sparsity and its numbers.
      stochastic: whether codes are drawn at random, as those of a VAE; then there is only l1.

    Raises:
      ValueError: if it is none of these.
    """
    if text is None:
        return Sparsity()
    kind, *numbers = text.split(":")
    values = [number(part, text) for part in numbers]
    if kind == "l1" and len(values) == 1:
        return Sparsity(penalty=l1, weight=values[0])
    if stochastic and kind in ("kl", "top_k"):
        raise ValueError(f"sparsity {kind} is for a deterministic code, not for a VAE")
    if kind == "kl" and len(values) == 2:
        return Sparsity(jax.nn.sigmoid, kl_sparsity(values[1]), values[0])
    if kind == "top_k" and len(values) == 1 and values[0] == int(values[0]):
        return Sparsity(top_k(int(values[0])))
    raise ValueError(f"sparsity is l1:WEIGHT, kl:WEIGHT:RATE or top_k:K, not {text!r}")


def number(text: str, whole: str) -> float:
    """The finite number that a text stands for; `whole` is quoted in the error message."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{text!r} in {whole!r} is not a number")
    return value
