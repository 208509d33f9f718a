"""Likelihoods with a location and a scale."""

import math
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.arrays import soft_clip
from jaxae.base import Distribution, Likelihood, Params
from jaxae.distributions.likelihoods.common import LOG_SCALE_BOUND, as_float32, checked, independent
from jaxae.numeric import absolute, check_scale
from jaxae.recipes import constructor

Scale = float | Literal["learned", "shared", "optimal"]
"""The scale of a likelihood: a number, or how it is found, see :func:`gaussian`."""


@constructor("likelihoods.gaussian")
def gaussian(scale: Scale = 1.0) -> Likelihood:
    r"""Normal distributions whose means are the outputs.

    .. math:: \log p(x \mid \mu) = -\sum_i \frac{(x_i - \mu_i)^2}{2 \sigma^2}
              + \log \sigma + \tfrac12 \log 2 \pi

    The scale sets the factor of the squared error: ``1/2 ||x - mu||**2`` is scale 1, and
    ``||x - mu||**2`` is scale ``sqrt(1/2)``.

    Args:
      scale: the standard deviation: a number; "learned", one for each value, as a second output of the
        decoder; "shared", one parameter for all values; or "optimal", the one that is best for the
        batch, the square root of its mean squared error. The last is for training only: it is no
        density of one example, it cannot be drawn from, and no value may be missing.

    Raises:
      ValueError: if the scale is neither positive nor one of these words.

    Examples:
      >>> likelihood = gaussian(scale=0.5)
      >>> round(float(likelihood.log_prob(jnp.zeros((1, 2, 1, 1)), jnp.ones((1, 2, 1, 1)))[0]), 4)
      -4.4516

    References:
      Rybkin, Daniilidis and Levine, `Simple and Effective VAE Training with Calibrated Decoders
      <https://arxiv.org/abs/2006.13202>`_.
    """

    def best(difference: Array) -> Array:
        return 0.5 * jnp.log(jnp.mean(jnp.square(difference)) + jnp.exp(-2 * LOG_SCALE_BOUND))

    return _location_scale(
        lambda z: -0.5 * jnp.square(z) - 0.5 * math.log(2 * math.pi),
        jax.random.normal,
        best,
        scale,
        "gaussian",
    )


@constructor("likelihoods.laplace")
def laplace(scale: Scale = 1.0) -> Likelihood:
    r"""Laplace distributions whose locations are the outputs: the absolute error.

    .. math:: \log p(x \mid \mu) = -\sum_i \frac{|x_i - \mu_i|}{s} + \log 2 s

    Args:
      scale: s, with the same options as in :func:`gaussian`; "optimal" is the mean absolute error of
        the batch.

    Raises:
      ValueError: if the scale is neither positive nor "learned", "shared" or "optimal".

    Examples:
      >>> likelihood = laplace()
      >>> round(float(likelihood.log_prob(jnp.zeros((1, 1, 1, 1)), jnp.ones((1, 1, 1, 1)))[0]), 4)
      -1.6931
    """

    def best(difference: Array) -> Array:
        return jnp.log(jnp.mean(absolute(difference)) + jnp.exp(-LOG_SCALE_BOUND))

    return _location_scale(
        lambda z: -absolute(z) - math.log(2), jax.random.laplace, best, scale, "laplace"
    )


def _location_scale(
    standard: Callable[[Array], Array],
    noise: Callable[..., Array],
    best: Callable[[Array], Array],
    scale: Scale,
    name: str,
) -> Likelihood:
    """A symmetric density around the outputs, from its log-density and its draws at scale one."""
    if isinstance(scale, str):
        if scale not in ("learned", "shared", "optimal"):
            raise ValueError(
                f'the scale of a likelihood is a number, "learned", "shared" or "optimal", not {scale!r}'
            )
    elif scale is None:
        raise ValueError("the scale of a likelihood must be positive, got None")
    else:
        check_scale("the scale of a likelihood", scale)

    def distribution(outputs: Float[Array, "b ..."], params: Params = None) -> Distribution:
        location = as_float32(outputs)
        log_scale: Array | float
        if scale == "learned":
            location, log_scale = location[..., 0], soft_clip(location[..., 1], LOG_SCALE_BOUND)
        elif scale == "shared":
            log_scale = soft_clip(params["log_scale"], LOG_SCALE_BOUND)
        elif scale == "optimal":
            log_scale = jnp.nan  # there is none before there are data
        else:
            log_scale = math.log(scale)  # type: ignore[arg-type]

        def elementwise(x: Array) -> Array:
            at = best(x - location) if scale == "optimal" else log_scale
            return standard((x - location) * jnp.exp(-at)) - at

        def draw(key: PRNGKeyArray) -> Array:
            if scale == "optimal":
                raise ValueError(
                    'a likelihood with scale "optimal" has no scale before there are data, and '
                    'cannot be drawn from; use "shared" or "learned"'
                )
            return location + jnp.exp(log_scale) * noise(key, location.shape)

        found = independent(elementwise, location, draw, stats=(location, log_scale))
        # The optimal scale depends on all values, so that they are not independent.
        return found._replace(
            reparameterised=True,
            elementwise=None if scale == "optimal" else elementwise,
            family=name,
        )

    likelihood = Likelihood(
        distribution, outputs=2 if scale == "learned" else 1, name=f"{name}(scale={scale})"
    )
    if scale == "shared":
        likelihood = likelihood._replace(init=lambda key, x: {"log_scale": jnp.zeros(())})
    return checked(likelihood._replace(coupled=scale == "optimal"))
