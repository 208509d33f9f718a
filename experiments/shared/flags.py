"""The flags that experiments share."""

import dataclasses
import math
from typing import Annotated, Literal, TypeAlias, TypeVar

import tyro

from jaxae.runs.pieces import LikelihoodName, NetworkName, ScaleName
from jaxae.runtime import sharding

MAX_IMAGE_SIZE = 4096

LatentDim: TypeAlias = Annotated[int, tyro.conf.arg(aliases=["--latent-dim"])]
"""The type of `--code`, which `--latent-dim` is another name for."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """The flags that all experiments have."""

    dataset: str = "mnist5k"
    """The data: mnist5k or digits (which need no download), the name of an image data set of
    tensorflow_datasets, a folder of images, or an .npy or .npz file."""
    data_dir: str | None = None
    """The folder in which data sets of tensorflow_datasets are prepared. The default is
    TFDS_DATA_DIR or ~/tensorflow_datasets."""
    image_size: int | None = None
    """Crop each image to the square in its middle, and resize the square to this many pixels."""
    channels: Literal["first", "last"] | None = None
    """Axis of the channels in an .npy or .npz file: second ([n, c, h, w]) or last ([n, h, w, c]). It is
    needed only where the shape can be read in both ways."""
    frames: Literal["first", "all"] = "first"
    """Which images to read from files that contain several, such as TIFF stacks and animations."""
    levels: int | None = None
    """Value of white in an array file or in image files, for example 4095 for 12 bits. The default is
    the largest value of the type, or the run stops if that is not certain."""

    epochs: int | None = 100
    """Number of passes over the training set."""
    batch_size: int | None = None
    """Number of examples in a step, over all devices. The default is 128, or all examples if there
    are fewer."""
    learning_rate: float = 3e-3
    """Initial learning rate of Adam."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """Schedule of the learning rate: cosine decay to zero over the run, or constant."""
    warmup_steps: int = 0
    """Number of steps in which the learning rate rises linearly from zero."""
    weight_decay: float = 0.0
    """Decoupled weight decay. It applies to matrices and kernels, not to biases."""
    clip_norm: float | None = None
    """Clip the gradient to this global norm."""
    accumulate: int = 1
    """Compute the gradient of each batch in this many parts, one after another, to save memory."""
    on_nonfinite: Literal["stop", "skip"] = "stop"
    """What happens when a loss or a gradient is not finite: stop and write the batch to a file, or
    skip the update and count it."""
    placement: Literal["auto", "device", "host", "stream"] = "auto"
    """Where the training images are kept: on the device, in the memory of the host, or on disk,
    from which every batch is read and decoded. The default is the first of these with enough room."""
    workers: int = 0
    """Number of processes that read and decode a stream. With 0, threads of this process do."""
    shard_params: bool = False
    """Divide the parameters and the optimizer over the devices, for models that do not fit one."""
    distributed: bool = False
    """Train together with processes on other hosts; see README."""
    checkpoint_every: int | None = None
    """Number of steps between checkpoints. The default is one checkpoint about every 20 seconds."""
    seed: int = 0
    """Seed of all random numbers. The same flags with the same seed give the same results."""
    run_dir: str | None = None
    """The run folder. If it contains an unfinished run with the same flags, that run is resumed. The
    default is a new folder in runs/."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig(Config):
    """The flags of an experiment whose networks and likelihood can be chosen."""

    binarize: bool = False
    """Make each pixel black or white at random, with its grey level as the probability of white.
    Training batches are binarised anew each time; validation and test images only once."""

    network: NetworkName = "mlp"
    """Architecture of the encoder and the decoder: fully connected layers, strided convolutions,
    residual blocks, or a U-Net. A U-Net has no bottleneck, so it is only for making one image from
    another."""
    hidden: tuple[int, ...] | None = None
    """Widths of the encoder's hidden layers, or its channels at each depth; the decoder has them in
    reverse. The default is 400 for mlp, 32 64 for conv, 32 64 128 for resnet, and 48 96 192 for
    unet."""
    gated: bool = False
    """Multiply each hidden unit of an mlp by a second, linear unit."""
    code: LatentDim = 20
    """Number of latent dimensions, the size of the code."""
    dropout: float = 0.0
    """Probability that a hidden unit is dropped in training."""
    likelihood: LikelihoodName | None = None
    """Distribution of the data given the decoder's outputs. For images with one channel the default
    is bernoulli (cross-entropy). For others it is gaussian (squared error) for an autoencoder, and
    for a VAE discretized_logistic (for bytes) or gaussian with a learned scale (for floats)."""
    scale: float | ScaleName | None = None
    """Standard deviation of gaussian, or scale of laplace: a number, "learned" (an output of the decoder
    for each value) or "shared" (one parameter). The default is 1, with which the negative log-likelihood
    of gaussian is half the squared error plus a constant."""

    patience: int | None = None
    """Stop training after this many epochs without a better validation loss."""
    remat: bool = False
    """Compute the inside of residual blocks again for the gradients instead of storing it, to save
    memory."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Precision of the networks' inner layers. Parameters and losses are always float32."""


ConfigT = TypeVar("ConfigT", bound=Config)


def check(config: Config) -> None:
    """Raises if a flag is out of range, before anything is read or written."""
    positive = ("epochs", "batch_size", "code", "patience", "image_size", "accumulate", "levels")
    for name in (*positive, "checkpoint_every"):
        value = getattr(config, name, None)
        if value is not None and value < 1:
            raise ValueError(f"--{name.replace('_', '-')} must be positive, got {value}")
    if config.epochs is None and type(config).epochs is not None:
        raise ValueError("--epochs must be a number")
    for name in ("warmup_steps", "workers"):
        if (value := getattr(config, name)) < 0:
            raise ValueError(f"--{name.replace('_', '-')} must not be negative, got {value}")
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
