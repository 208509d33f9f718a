"""The runs that the rows of the lectures need; several rows may share one."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from experiments.lectures import demonstrations, music, trained

NOTHING: Mapping[str, Any] = MappingProxyType({})


class Part(NamedTuple):
    """A run of an experiment.

    Attributes:
      experiment: the name of its module.
      options: values of its flags.
      quick: further values with `--quick`; without it, the defaults hold.
      images: training images shown with `--quick`, which the number of epochs is computed from.
      data: the kind of images.
      other_images: the same for other numbers of epochs, by the names of their flags.
    """

    experiment: str
    options: Mapping[str, Any] = NOTHING
    quick: Mapping[str, Any] = NOTHING
    images: int | None = None
    data: Literal["digits", "faces", "colours"] = "digits"
    other_images: Mapping[str, int] = NOTHING


class Demonstration(NamedTuple):
    """A computation of the lectures' own, from a run folder to results.

    Attributes:
      function: `(run, **options) -> results`.
      options: values of its arguments.
      quick: further values with `--quick`.
    """

    function: Callable[..., dict[str, Any]]
    options: Mapping[str, Any] = NOTHING
    quick: Mapping[str, Any] = NOTHING


UNET = {"hidden": (16, 32), "blocks": 1, "symmetries": 1}

PARTS: dict[str, Part | Demonstration] = {
    "autoencoder": Part("autoencoder", {"sweep_code": (2, 4, 16, 32)}, images=60_000),
    "squared-error": Part("autoencoder", {"likelihood": "gaussian", "code": 16}, images=60_000),
    "losses": Demonstration(demonstrations.losses),
    "linear": Part("linear", quick={"code": 6, "batch_size": 64}, images=500_000),
    "deep-autoencoder": Part(
        "deep_autoencoder",
        quick={"hidden": (300,), "shift": 0, "learning_rate": 2e-3, "batch_size": 64},
        images=100_000,
        other_images={"linear_epochs": 40_000},
    ),
    "denoising-gaussian": Part(
        "denoising", {"noise": 0.5}, {"hidden": (16, 32), "batch_size": 32}, images=20_000
    ),
    "denoising-masking": Part(
        "denoising", {"corrupt": ("masking:0.5",), "network": "mlp"}, images=50_000
    ),
    "denoising-salt-and-pepper": Part(
        "denoising", {"corrupt": ("salt_and_pepper:0.3",), "network": "mlp"}, images=50_000
    ),
    "dropout": Part(
        "dropout",
        {"rates": (0.0, 0.2, 0.5)},
        {"hidden": (400,), "learning_rate": 3e-3, "batch_size": 64},
        images=90_000,
    ),
    "adversarial": Part("adversarial", quick={"hidden": (256, 128)}, images=90_000),
    "vae": Part("vae", quick={"nll_samples": 50}, images=90_000),
    "vae-beta-0": Part("vae", {"beta": 0.0, "code": 2}, {"nll_samples": 10}, images=60_000),
    "divergences": Demonstration(demonstrations.divergences),
    "bounds": Demonstration(demonstrations.bounds),
    "reparameterisation": Demonstration(demonstrations.reparameterisation),
    "decoders": Demonstration(demonstrations.decoders),
    "latent-space": Part(
        "latent_space",
        {"projector": True},
        {"hidden": (256, 256), "grid": 12, "learning_rate": 2e-3},
        images=60_000,
    ),
    "movements": Demonstration(trained.movements),
    "halfway": Demonstration(trained.halfway),
    "widths": Demonstration(trained.widths),
    "faces": Part(
        "faces",
        quick={"hidden": (16, 32, 64), "image_size": 32, "scale": 0.3, "learning_rate": 2e-3},
        images=40_000,
        data="faces",
    ),
    "sampled-faces": Demonstration(trained.sampled_faces),
    "vae-colours": Part(
        "vae",
        {"code": 32},
        {"likelihood": "bernoulli", "nll_samples": 10},
        images=60_000,
        data="colours",
    ),
    "colorization": Part("colorization", quick=UNET, images=15_000, data="colours"),
    "super-resolution": Part("super_resolution", {"factor": 2}, UNET, images=10_000),
    "inpainting": Part(
        "inpainting",
        {"hole": "block:0.4"},
        {"hidden": (16, 32, 48), "blocks": 1, "symmetries": 1, "image_size": 32},
        images=15_000,
        data="faces",
    ),
    "translation": Part(
        "translation", {"make": "shift:4:2"}, {"hidden": (16, 32), "blocks": 1}, images=10_000
    ),
    "night": Part(
        "translation",
        {"make": "night"},
        {"hidden": (16, 32), "blocks": 1},
        images=10_000,
        data="colours",
    ),
    "clustering": Part(
        "clustering",
        quick={"hidden": (400, 200), "seeds": 1, "batch_size": 64, "learning_rate": 2e-3},
        images=150_000,
    ),
    "gan": Part(
        "gan",
        quick={"network": "mlp", "hidden": (256, 256), "components": 10},
        images=80_000,
    ),
    "richer-posteriors": Demonstration(demonstrations.richer),
    "semi-supervised": Part(
        "semi_supervised",
        {"labels": 100},
        {"network": "mlp", "hidden": (256,), "shift": 0},
        images=120_000,
    ),
    "music": Demonstration(music.music, {"images": 1_600_000}, {"images": 320_000}),
}
"""By name, which is the name of the run folder."""
