"""The models that are timed, with one architecture, batch size, optimizer and data set for all."""

import math
from typing import NamedTuple

import numpy as np


class Workload(NamedTuple):
    """A model to train.

    Attributes:
      kind: "mlp_vae", "deep_ae", "conv_vae", "iwae" or "contractive".
      shape: shape of an image.
      widths: units of the hidden layers of the encoder, or channels of its convolutions.
      latent_dim: dimensions of the code.
      batch: examples in a step.
      images: examples that one timed run trains on.
      peers: the other contenders that train it.
    """

    title: str
    kind: str
    shape: tuple[int, int, int]
    widths: tuple[int, ...]
    latent_dim: int
    batch: int
    images: int
    peers: tuple[str, ...]

    def flops(self) -> int | None:
        """Operations of the matrix products of a training step for one image; None with convolutions.

        Forward, and twice that backward, except that nothing asks for the derivative with respect
        to the image.
        """
        pixels = math.prod(self.shape)
        if self.kind == "mlp_vae":
            (hidden,) = self.widths
            products = (
                pixels * hidden,
                hidden * 2 * self.latent_dim,
                self.latent_dim * hidden,
                hidden * pixels,
            )
        elif self.kind == "deep_ae":
            sizes = (pixels, *self.widths, self.latent_dim)
            products = tuple(a * b for a, b in zip(sizes, sizes[1:], strict=False)) * 2
        else:
            return None
        return 6 * sum(products) - 2 * products[0]


TORCH = ("torch", "torch-compile")
BOTH_LAYOUTS = (*TORCH, "torch-channels-last", "torch-compile-channels-last")

WORKLOADS = {
    "mlp-vae": Workload(
        "MLP VAE 784-400-20, batch 128",
        "mlp_vae", (28, 28, 1), (400,), 20, 128, 64_000, (*TORCH, "pythae", "flax"),
    ),
    "deep-ae": Workload(
        "deep AE 784-1000-500-250-30, batch 256",
        "deep_ae", (28, 28, 1), (1000, 500, 250), 30, 256, 25_600, TORCH,
    ),
    "conv-vae": Workload(
        "conv VAE 28 x 28, batch 128",
        "conv_vae", (28, 28, 1), (32, 64), 16, 128, 12_800, (*BOTH_LAYOUTS, "flax"),
    ),
    "conv-vae-64": Workload(
        "conv VAE 64 x 64 x 3, batch 64",
        "conv_vae", (64, 64, 3), (64, 128, 256, 512), 64, 64, 640, BOTH_LAYOUTS,
    ),
    "iwae": Workload(
        "IWAE k = 50, 784-400-20, batch 128",
        "iwae", (28, 28, 1), (400,), 20, 128, 1280, TORCH,
    ),
    "contractive-wide": Workload(
        "contractive 784-1000, forward",
        "contractive", (28, 28, 1), (), 1000, 128, 256, ("torch-func",),
    ),
    "contractive-deep": Workload(
        "contractive 784-512-256-32, forward",
        "contractive", (28, 28, 1), (512, 256), 32, 128, 256, ("torch-func",),
    ),
    "contractive-deep-reverse": Workload(
        "contractive 784-512-256-32, reverse",
        "contractive", (28, 28, 1), (512, 256), 32, 128, 1280, ("torch-func",),
    ),
}  # fmt: skip

IMPORTANCE_SAMPLES = 50
MODES = {
    "contractive-wide": "forward",
    "contractive-deep": "forward",
    "contractive-deep-reverse": "reverse",
}


def data(workload: Workload) -> np.ndarray:
    """MNIST digits, repeated as needed; noise where the images have another shape."""
    random = np.random.default_rng(0)
    n = min(workload.images, 12_800)
    if workload.shape == (28, 28, 1):
        import jaxae

        digits = jaxae.load("mnist5k").train.images
        return np.asarray(digits)[random.integers(0, len(digits), n)]
    return random.integers(0, 256, (n, *workload.shape), np.uint8)
