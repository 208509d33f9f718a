"""How good a reconstruction is, in the units that people quote."""

import math

import jax.numpy as jnp
from jaxtyping import Array, Float


def squared_error(x: Float[Array, "b ..."], y: Float[Array, "b ..."]) -> Float[Array, " b"]:
    """The squared error of each image, summed over its pixels and channels.

    Examples:
      >>> squared_error(jnp.zeros((1, 2, 2, 1)), jnp.ones((1, 2, 2, 1))).tolist()
      [4.0]
    """
    return jnp.sum(jnp.square(x - y), axis=tuple(range(1, x.ndim)))


def psnr(mse: float) -> float:
    r"""The peak signal-to-noise ratio in decibels, of images in [0, 1].

    .. math:: -10 \log_{10} \mathrm{MSE}

    Args:
      mse: the squared error per value; the mean over a set gives the PSNR of the mean error, which
        is not the mean of the PSNRs.

    Raises:
      ValueError: if the error is negative.

    Examples:
      >>> psnr(0.01)
      20.0
    """
    if mse < 0:
        raise ValueError(f"a squared error cannot be negative, got {mse}")
    return -10 * math.log10(mse) if mse > 0 else math.inf


def bits_per_dimension(nats: float, values: int) -> float:
    """Nats for an image of so many values as bits per value; for discrete likelihoods only.

    Examples:
      >>> round(bits_per_dimension(math.log(256) * 784, 784), 6)
      8.0
    """
    return nats / (values * math.log(2))
