"""The flags that experiments share."""

import dataclasses
import math
from typing import Literal, TypeVar

from jaxae.runtime import sharding

MAX_IMAGE_SIZE = 4096

NetworkName = Literal["mlp", "conv", "resnet", "unet"]


LikelihoodName = Literal["bernoulli", "gaussian", "laplace", "discretized_logistic", "categorical"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """The flags that all experiments have."""

    dataset: str = "mnist5k"
    """mnist5k or digits (no download), any tfds image data set, a folder of images, or an .npy or
    .npz file."""
    data_dir: str | None = None
    """Where tfds data sets are prepared; by default TFDS_DATA_DIR or ~/tensorflow_datasets."""
    image_size: int | None = None
    """Crop to the square in the middle and resize it to this many pixels."""

    epochs: int | None = 100
    """Passes over the training set."""
    batch_size: int | None = None
    """Examples in a step, over all devices; by default 128, or fewer if there are fewer."""
    learning_rate: float = 3e-3
    """Of Adam, at the start."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """The learning rate falls to zero over the run along a half-cosine, or stays."""
    warmup_steps: int = 0
    """Steps at the start in which the learning rate rises from zero."""
    weight_decay: float = 0.0
    """Decoupled weight decay on matrices and kernels, not on biases."""
    clip_norm: float | None = None
    """Clip the gradient to this global norm."""
    accumulate: int = 1
    """In how many parts a batch passes the model, one after the other, for less memory."""
    on_nonfinite: Literal["stop", "skip"] = "stop"
    """When a loss or a gradient is not finite: stop and write the batch, or drop that update and count."""
    placement: Literal["auto", "device", "host", "stream"] = "auto"
    """Where the training images are: on the device; in the host's memory; or where they are kept, from
    which every batch is read and decoded. By default the first of these that they fit."""
    workers: int = 0
    """Processes that read and decode a stream; threads of this one if there are none."""
    shard_params: bool = False
    """Divide parameters and optimizer over the devices, for models that do not fit one."""
    distributed: bool = False
    """Train together with processes on other hosts; see README."""
    checkpoint_every: int | None = None
    """Steps from one save to the next; by default it is saved about every 20 seconds."""
    seed: int = 0
    """What the run is a function of."""
    run_dir: str | None = None
    """Where the run is written; given again, the run goes on from where it stopped. By default a
    new folder under runs/."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig(Config):
    """The flags of an experiment whose networks and likelihood can be chosen."""

    binarize: bool = False
    """Make each pixel black or white, with its grey level as the probability of white: afresh for
    every training batch, once and for all for validation and test."""

    network: NetworkName = "mlp"
    """Fully connected, strided convolutions, residual blocks, or a U-Net, which has no bottleneck
    and so is for making one image of another."""
    hidden: tuple[int, ...] | None = None
    """Widths of the encoder's hidden layers, or its channels at each depth; the decoder mirrors
    them. By default 400; 32 64; 32 64 128; or 48 96 192."""
    gated: bool = False
    """Give every hidden unit of an mlp a second, linear one to be multiplied with."""
    code: int = 20
    """Size of the code."""
    dropout: float = 0.0
    """Probability that a hidden unit is dropped while training."""
    likelihood: LikelihoodName | None = None
    """What the decoder's outputs mean. By default bernoulli (cross-entropy) for one channel; for
    more, gaussian (squared error) for an autoencoder, and for a VAE discretized_logistic (bytes) or
    gaussian with a learned scale (floats)."""
    scale: float | Literal["learned"] | None = None
    """Standard deviation of gaussian, or scale of laplace: a number (by default 1, half the squared
    error), or "learned"."""

    patience: int | None = None
    """Stop after this many epochs without a better validation bound."""
    remat: bool = False
    """Compute the inside of residual blocks again for their gradients, and do not keep it: less memory."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """What the networks' inner layers compute in; parameters and losses are always float32."""


ConfigT = TypeVar("ConfigT", bound=Config)


def check(config: Config) -> None:
    """Raises for a flag that is out of range, before anything is read or written."""
    positive = ("epochs", "batch_size", "code", "patience", "image_size", "accumulate")
    for name in (*positive, "checkpoint_every"):
        value = getattr(config, name, None)
        if value is not None and value < 1:
            raise ValueError(f"--{name.replace('_', '-')} must be positive, got {value}")
    if config.epochs is None and type(config).epochs is not None:
        raise ValueError("--epochs must be a number")
    for name in ("warmup_steps", "workers"):
        if getattr(config, name) < 0:
            raise ValueError(f"--{name} must not be negative, got {getattr(config, name)}")
    if config.distributed and config.run_dir is None:
        raise ValueError("--distributed needs a --run-dir that all processes can read")
    for name in ("learning_rate", "clip_norm"):
        value = getattr(config, name)
        if value is not None and not 0 < value < math.inf:
            raise ValueError(f"--{name.replace('_', '-')} must be positive, got {value}")
    if not 0 <= config.weight_decay < math.inf:
        raise ValueError(f"--weight-decay must not be negative, got {config.weight_decay}")
    if not 0 <= config.seed < 2**32:
        raise ValueError(f"--seed must be in [0, 2**32), got {config.seed}")
    if config.image_size is not None and config.image_size > MAX_IMAGE_SIZE:
        raise ValueError(f"--image-size must be at most {MAX_IMAGE_SIZE}, got {config.image_size}")
    if config.batch_size is not None:
        sharding.check_divides(config.batch_size, sharding.data_mesh(), config.accumulate)


def check_ema(config: Config) -> None:
    """Raises if the decay of an exponential moving average is out of range."""
    if not 0 <= (ema := getattr(config, "ema", 0)) < 1:
        raise ValueError(f"--ema must be in [0, 1), got {ema}")
