"""The flags that experiments share."""

import dataclasses
import math
from typing import Annotated, ClassVar, Literal, TypeAlias, TypeVar

import tyro

from jaxae.runs import tensorboard
from jaxae.runs.pieces import LikelihoodName, NetworkName, ScaleName
from jaxae.runtime import sharding

MAX_IMAGE_SIZE = 4096

LatentDim: TypeAlias = Annotated[int, tyro.conf.arg(aliases=["--latent-dim"])]
"""The type of `--code`, which `--latent-dim` is another name for."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Data:
    """Flags of the data."""

    title: ClassVar[str] = "Data"

    dataset: str = "mnist5k"
    """Train on this data set: mnist5k or digits (which need no download), the name of an image data set
    of tensorflow_datasets, a folder of images, or an .npy or .npz file."""
    data_dir: str | None = None
    """Read data sets of tensorflow_datasets from this folder. The default is TFDS_DATA_DIR or
    ~/tensorflow_datasets."""
    image_size: int | None = None
    """Crop each image to the square in its middle, and resize the square to this many pixels."""
    channels: Literal["first", "last"] | None = None
    """Axis of the channels in an .npy or .npz file: second ([n, c, h, w]) or last ([n, h, w, c]). It is
    needed only if the shape is ambiguous."""
    frames: Literal["first", "all"] = "first"
    """Which images to read from files that contain several, such as TIFF stacks and animations."""
    levels: int | None = None
    """Value of white in an array file or in image files, for example 4095 for 12 bits. By default it is
    found from the type and the values; if it is not clear, the run stops, or prints a note."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Binarization:
    """Flags of data that are made black and white."""

    title: ClassVar[str] = "Data"

    binarize: bool = False
    """Make each pixel black or white at random, with its grey level as the probability of white.
    Training batches are binarised anew each time; validation and test images only once."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Training:
    """Flags of the training."""

    title: ClassVar[str] = "Training"

    epochs: int | None = 100
    """Train for this number of passes over the training set."""
    batch_size: int | None = None
    """Compute each training step on this number of examples, over all devices. The default is 128, or
    all examples if there are fewer."""
    learning_rate: float = 3e-3
    """Start with this learning rate of the optimizer Adam."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """Change the learning rate during the run: it decays to zero along a cosine, or it stays constant.
    A run with a constant rate can be trained longer, by the same command with more --epochs."""
    warmup_steps: int = 0
    """Raise the learning rate linearly from zero during this number of training steps."""
    weight_decay: float = 0.0
    """Shrink the weights by this rate (decoupled weight decay, AdamW). It applies to matrices and
    kernels, and not to biases."""
    clip_norm: float | None = None
    """Scale down gradients whose norm over all parameters is larger than this. The default is not to clip
    gradients."""
    accumulate: int = 1
    """Compute the gradient of each batch in this many parts, one after another, to save memory."""
    on_nonfinite: Literal["stop", "skip"] = "stop"
    """When a loss or a gradient is infinite or NaN, stop and write the batch to a file, or skip
    the update and count it."""
    seed: int = 0
    """Draw all random numbers from this seed. The same flags with the same seed give the same results."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class EarlyStopping:
    """Flags of early stopping."""

    title: ClassVar[str] = "Training"

    patience: int | None = None
    """Stop training after this many epochs without a better validation loss. The default is to train for
    all epochs."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Machine:
    """Flags of the machine and of files."""

    title: ClassVar[str] = "Machine and files"

    run_dir: str | None = None
    """Write the run to this folder. If it contains an unfinished run with the same flags, that run is
    resumed. The default is a new folder in runs/."""
    checkpoint_every: int | None = None
    """Save a checkpoint after this number of training steps. The default is a checkpoint about every 20
    seconds."""
    placement: Literal["auto", "device", "host", "stream"] = "auto"
    """Keep the training images on the device, in the memory of the host, or on disk, from which every
    batch is read and decoded (stream). The default, auto, is the first of these with enough room."""
    workers: int = 0
    """Read and decode a stream in this number of processes. With 0, threads of this process do."""
    shard_params: bool = False
    """Divide the parameters and the optimizer over the devices, for models that do not fit one."""
    log: Literal["tensorboard"] | None = None
    """Also write the metrics, images and codes for TensorBoard, to the folder tensorboard in the run
    folder; see jaxae/training/README.md for other services. The default is the figures alone."""
    distributed: bool = False
    """Train together with processes on other hosts; see jaxae/training/README.md."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(Training, Data, Machine):
    """The flags that all experiments have."""

    can_go_on: ClassVar[bool] = False
    """Whether the number of epochs has no other effect than the length of the training."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Model:
    """Flags of the networks and the likelihood."""

    title: ClassVar[str] = "Model"

    network: NetworkName = "mlp"
    """Use this architecture for the encoder and the decoder: fully connected layers (mlp), strided
    convolutions (conv), residual blocks (resnet), or a U-Net (unet). A U-Net has no bottleneck, so it is
    only for making one image from another."""
    hidden: tuple[int, ...] | None = None
    """Give the encoder hidden layers of these widths, or these channels at each depth; the decoder has
    them in reverse. The default is 400 for mlp, 32 64 for conv, 32 64 128 for resnet, and 48 96 192 for
    unet."""
    gated: bool = False
    """Multiply each hidden unit of an mlp by a second, linear unit."""
    code: LatentDim = 20
    """Use codes with this number of latent dimensions."""
    dropout: float = 0.0
    """Drop each hidden unit with this probability in training."""
    likelihood: LikelihoodName | None = None
    """Model pixels by this distribution, given the outputs of the decoder. It defines the
    reconstruction error, which tables and figures call distortion. For images with one channel the
    default is bernoulli (cross-entropy). For others it is gaussian (squared error) for an autoencoder,
    and for a VAE discretized_logistic (for bytes) or gaussian with a learned scale (for floats)."""
    scale: float | ScaleName | None = None
    """Set the standard deviation of gaussian or the scale of laplace: a number, "learned" (an output of
    the decoder for each value) or "shared" (one parameter). The default is 1, with which the negative
    log-likelihood of gaussian is half the squared error plus a constant."""
    remat: bool = False
    """Recompute the activations inside residual blocks for the gradients instead of storing them, to save
    memory."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Compute the inner layers of the networks in this precision. Parameters and losses are always
    float32."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig(Model, EarlyStopping, Binarization, Config):
    """The flags of an experiment whose networks and likelihood can be chosen."""


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
    if config.log == "tensorboard":
        tensorboard.check_installed()
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
