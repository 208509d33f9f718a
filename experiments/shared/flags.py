"""What every experiment shares: its flags, and what they name: data, networks, optimizers."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxae
from jaxae.data import corruptions
from jaxae.networks.layers import Activation
from jaxae.runtime import processes, sharding
from jaxae.training import feeding
from jaxae.training.feeding import Placement

MAX_IMAGE_SIZE = 4096

# The test set is binarised and scored with the same draws for every run, and not with those that
# a run of any seed trains with.
BINARIZE_SEED, TEST_SEED, SAMPLE_SEED = 1_618_033_988, 2_718_281_828, 3_141_592_653

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


class Data(NamedTuple):
    """The splits as the model gets them, and what is done to each training batch."""

    train: np.ndarray
    validation: np.ndarray | None
    test: np.ndarray
    transform: Callable[[jax.Array, jax.Array], jax.Array] | None
    batch_size: int
    binary: bool
    protocol: str
    labels: tuple[np.ndarray | None, ...] = (None, None, None)
    attributes: tuple[Mapping[str, np.ndarray], ...] = ({}, {}, {})
    placement: Placement = "device"
    placed: str = ""  # why the images are there, if it was left open


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


def load(config: Config, *, hold_out: bool = True, default: int = 128) -> Data:
    """The images, binarised if asked for; `protocol` says in words what the figures are about.

    Args:
      config: the flags.
      hold_out: False to train on the validation images too, where nothing is selected.
      default: the batch size, unless the flags give one.
    """
    check(config)
    if not hold_out and getattr(config, "patience", None) is not None:
        raise ValueError("--patience needs validation images, and here none are held out")
    stream = {"auto": None, "stream": True}.get(config.placement, False)
    splits = processes.raise_together(
        lambda: jaxae.load(
            config.dataset, data_dir=config.data_dir, image_size=config.image_size, stream=stream
        )
    )
    train, validation, test = (split.images for split in splits)
    where, why = placement(config, train, validation if hold_out else None)
    binary = jaxae.data.is_binary(test if where == "stream" else train)
    levels = "binary pixels" if binary else "grey levels" if train.shape[-1] == 1 else "colours"
    transform = None
    if getattr(config, "binarize", False):
        if binary:
            raise ValueError(f"{config.dataset} is black and white already; leave out --binarize")
        transform = jaxae.data.binarize
        keys = jax.random.split(jax.random.key(BINARIZE_SEED))
        # Fixed, and the same for all seeds, so that figures can be compared.
        validation, test = (
            (255 * np.asarray(jaxae.data.binarize(key, jaxae.as_float(jnp.asarray(x))))).astype(
                np.uint8
            )
            for key, x in zip(keys, (validation, test), strict=True)
        )
        levels = "dynamically binarised pixels (the test set binarised once)"
        binary = True
    shape = " x ".join(map(str, test.shape[1:]))
    protocol = f"{len(test)} test images of {config.dataset}, {shape}, {levels}"
    if not hold_out:
        if where == "stream":
            raise ValueError(
                "this experiment trains on the validation images too, which are not streamed; take "
                "--placement host"
            )
        train = np.concatenate([train, validation])
        protocol += f"; {len(train)} to train on, none held out"
    size = batch_size(config, len(train), default)
    labels = [split.labels for split in splits]
    attributes = [split.attributes for split in splits]
    held_out = validation if hold_out else None
    if not hold_out:
        if labels[0] is not None and labels[1] is not None:
            labels[0] = np.concatenate([labels[0], labels[1]])
        attributes[0] = {
            name: np.concatenate([has, attributes[1][name]]) for name, has in attributes[0].items()
        }
    return Data(
        train,
        held_out,
        test,
        transform,
        size,
        binary,
        protocol,
        tuple(labels),
        tuple(attributes),
        where,
        why,
    )


def batch_size(config: Config, examples: int, default: int) -> int:
    """The batch size of the flags, or the default, if there are as many examples."""
    if config.batch_size is None:
        share = sharding.data_mesh().size * config.accumulate
        return max(1, min(default, examples) // share) * share
    if config.batch_size > examples:
        raise ValueError(
            f"--batch-size {config.batch_size} is larger than the {examples} training examples"
        )
    return config.batch_size


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


def check_levels(name: str, distribution: jaxae.Likelihood, images: np.ndarray) -> None:
    """Raises if a likelihood over the 256 levels of a byte is asked for on floats."""
    if distribution.levels == 256 and images.dtype != np.uint8:
        raise ValueError(f"--likelihood {name} is for bytes, and these images are floats")


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


def with_epochs(config: ConfigT, data: Data, images: float, *, most: int = 10**6) -> ConfigT:
    """The flags; unless they give the epochs, with as many as show this number of images."""
    if config.epochs is not None:
        return config
    return dataclasses.replace(config, epochs=min(most, max(1, round(images / len(data.train)))))


def steps(config: Config, data: Data) -> int:
    """How many updates the run makes."""
    assert config.epochs is not None
    return config.epochs * (len(data.train) // data.batch_size)


def make_optimizer(
    config: Config, data: Data, *, b1: float = 0.9, every: int = 1
) -> optax.GradientTransformation:
    """Adam with the schedule, the weight decay and the clipping that the flags ask for.

    Args:
      config: the flags.
      data: what `load` returned.
      b1: the decay of the mean gradient.
      every: it moves once in so many steps.
    """
    total = max(1, steps(config, data) // every)
    rise = min(config.warmup_steps, total // 2)
    rate: optax.ScalarOrSchedule = config.learning_rate
    if config.schedule == "cosine":
        rate = optax.cosine_decay_schedule(config.learning_rate, total - rise)
    if rise:
        after = rate if callable(rate) else optax.constant_schedule(rate)
        begin = optax.linear_schedule(0.0, config.learning_rate, rise)
        rate = optax.join_schedules([begin, after], [rise])
    parts = [] if config.clip_norm is None else [optax.clip_by_global_norm(config.clip_norm)]
    if config.weight_decay > 0:
        matrices = lambda params: jax.tree.map(lambda p: p.ndim > 1, params)  # noqa: E731
        parts.append(optax.adamw(rate, b1=b1, weight_decay=config.weight_decay, mask=matrices))
    else:
        parts.append(optax.adam(rate, b1=b1))
    return jaxae.training.every(optax.chain(*parts), every)


def game_optimizer(
    config: Config, data: Data, *, critic_steps: int = 1, **rates: float
) -> optax.GradientTransformation:
    """An optimizer for each player of a game, which forget fast, since the other one moves.

    Args:
      config: the flags, of which the learning rate is that of all networks not named.
      data: what `load` returned.
      critic_steps: those move once in so many steps.
      rates: the learning rates of the networks that are named.
    """
    named = {
        name: make_optimizer(dataclasses.replace(config, learning_rate=rate), data, b1=0.5)
        for name, rate in rates.items()
    }
    return jaxae.training.partition(
        make_optimizer(config, data, b1=0.5, every=critic_steps), **named
    )


def known_labels(data: Data, count: int, seed: int) -> np.ndarray:
    """The labels of some training images, as many of each class as of any other; -1 for the others.

    Raises:
      ValueError: if there are fewer than classes, or more than images.
    """
    labels = np.asarray(data.labels[0])
    if not count_classes(data) <= count <= len(labels):
        raise ValueError(
            f"--labels must be from {count_classes(data)}, one for each class, to {len(labels)}, all "
            f"training images, got {count}"
        )
    chosen = jaxae.analysis.balanced_order(labels, seed)[:count]
    known = np.full(len(labels), -1, np.int32)
    known[chosen] = labels[chosen]
    return known


def placement(config: Config, images: Any, held_out: Any = None) -> tuple[Placement, str]:
    """Where the training images are to be, and why, if it was left open."""
    if config.workers and not isinstance(images, jaxae.Stream):
        raise ValueError("--workers read a stream: take --placement stream")
    if config.placement != "auto":
        return config.placement, ""
    where, why = feeding.fits(images, jax.local_devices(), held_out)
    return where, f"placement: {where} ({why})"


def check_components(code: int, data: Data) -> None:
    """Raises if PCA cannot have so many components."""
    values = math.prod(data.train.shape[1:])
    if code > min(values, len(data.train)):
        raise ValueError(
            f"--code {code} is more than PCA can have: there are {len(data.train)} images of "
            f"{values} values"
        )


def count_classes(data: Data) -> int:
    """How many classes the labels name; 0 without labels."""
    return max((1 + int(np.max(part)) for part in data.labels if part is not None), default=0)


def check_average(config: Config) -> None:
    """Raises if the decay of an average is out of range."""
    if not 0 <= (average := getattr(config, "average", 0)) < 1:
        raise ValueError(f"--average must be in [0, 1), got {average}")


def check_labels(config: Config, data: Data) -> None:
    """Raises unless every image has one of at least two classes."""
    for labels in data.labels:
        if labels is None:
            raise ValueError(f"{config.dataset} has no labels, and codes are judged by classes")
        if not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0:
            raise ValueError(
                f"the labels of {config.dataset} are not the numbers of classes, 0, 1, ..."
            )
    if len(np.unique(np.asarray(data.labels[0]))) < 2:
        raise ValueError(f"all images of {config.dataset} have the same label")


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


def spread(total: int, count: int) -> np.ndarray:
    """Some indices, evenly spread: data may be sorted by class."""
    return np.linspace(0, total - 1, min(count, total)).astype(int)


def choose(data: Data, count: int = 10) -> jax.Array:
    """A few test images for figures."""
    return jaxae.as_float(data.test[spread(len(data.test), count)])


def as_trained(data: Data, images: np.ndarray) -> jax.Array:
    """Training images as the model sees them, with what is drawn afresh in training drawn once."""
    x = jaxae.as_float(images)
    return x if data.transform is None else data.transform(jax.random.key(BINARIZE_SEED), x)
