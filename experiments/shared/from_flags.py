"""The pieces of models, and the plans, that flags ask for."""

import dataclasses
import math
from typing import Any

import numpy as np

import jaxae
from experiments.shared.flags import ModelConfig
from jaxae.networks.layers import Activation
from jaxae.runs import pieces
from jaxae.runs.plans import Plan


def plan(
    config: ModelConfig,
    images: np.ndarray,
    default: str,
    *,
    overcomplete: bool = False,
    **more: Any,
) -> Plan:
    """The plan of a model with the networks and the likelihood of the flags.

    Args:
      config: the flags.
      images: what it is trained on.
      default: the likelihood, unless the flags give one.
      overcomplete: whether a code may have more values than an image.
      more: the other values of the plan.

    Raises:
      ValueError: if the code or the likelihood does not fit these images.
    """
    shape = tuple(images.shape[1:])
    if not overcomplete:
        check_code(config, shape)
    name = config.likelihood or default
    check_levels(name, pieces.likelihood(name, config.scale), images)
    common = {field.name for field in dataclasses.fields(Plan)}
    values = {k: v for k, v in dataclasses.asdict(config).items() if k in common}
    values |= {"shape": shape, "latent_dim": config.code, "likelihood": name}
    return Plan(**values | more)


def likelihood(config: ModelConfig, default: str) -> jaxae.Likelihood:
    """The likelihood that the flags name, or the default."""
    return pieces.likelihood(config.likelihood or default, config.scale)


def networks(
    config: ModelConfig,
    shape: tuple[int, ...],
    outputs: int,
    code_outputs: int,
    *,
    overcomplete: bool = False,
    activation: Activation | None = None,
) -> tuple[jaxae.Network, jaxae.Network]:
    """The encoder and the decoder that the flags ask for.

    Args:
      config: the flags.
      shape: of one image.
      outputs: how many outputs the likelihood needs for each value of an image.
      code_outputs: how many outputs the encoder has: the size of the code, or twice that for a VAE.
      overcomplete: whether a code may have more values than an image.
      activation: of the hidden units; gelu when None.
    """
    if not overcomplete:
        check_code(config, shape)
    return pieces.networks(
        config.network,
        shape,
        outputs,
        code_outputs,
        hidden=config.hidden,
        activation=activation,
        dropout=config.dropout,
        precision=config.precision,
        gated=config.gated,
        remat=config.remat,
    )


def network_options(config: ModelConfig) -> dict[str, Any]:
    """Keyword arguments for the constructors of networks: dropout, precision, gates."""
    return pieces.network_options(
        config.network,
        dropout=config.dropout,
        precision=config.precision,
        gated=config.gated,
        remat=config.remat,
    )


def check_code(config: ModelConfig, shape: tuple[int, ...]) -> None:
    """Raises if a code has more values than an image."""
    if config.code > (values := math.prod(shape)):
        raise ValueError(f"--code {config.code} is larger than the {values} values of an image")


def check_levels(name: str, distribution: jaxae.Likelihood, images: np.ndarray) -> None:
    """Raises if a likelihood over the 256 levels of a byte is asked for on floats."""
    if distribution.levels == 256 and images.dtype != np.uint8:
        raise ValueError(f"--likelihood {name} is for bytes, and these images are floats")
