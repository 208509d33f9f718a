"""Functions that all likelihoods share."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from jaxae.arrays import sum_values
from jaxae.base import Distribution, Likelihood, Params

LOG_SCALE_BOUND = 6.0
"""Learned log-scales stay within (-6, 6): the smallest scale, 0.0025, is below one grey level."""


def independent(
    elementwise: Callable[[Array], Array],
    mean: Array,
    draw: Callable[[PRNGKeyArray], Array],
    *,
    stats: object,
) -> Distribution:
    """A distribution whose values are independent."""

    def log_prob(x: Array) -> Array:
        return sum_values(elementwise(x))

    def draw_with_density(key: PRNGKeyArray) -> tuple[Array, Array]:
        x = draw(key)
        return x, log_prob(x)

    return Distribution(draw_with_density, mean, log_prob, elementwise, stats=stats)


def checked(likelihood: Likelihood) -> Likelihood:
    """The same likelihood with a check of shapes, whose error names both."""

    def distribution(outputs: Array, params: Params = None) -> Distribution:
        found = likelihood.distribution(outputs, params)

        def check(x: Array) -> None:
            wanted = x.shape if likelihood.outputs == 1 else (*x.shape, likelihood.outputs)
            if outputs.shape != wanted:
                advice = ""
                if outputs.shape[1:] == wanted:
                    advice = "; the first axis is the example: one image is x[None]"
                elif outputs.ndim == 2 and x.ndim > 2:
                    advice = "; reshape its outputs, or are the encoder and the decoder swapped?"
                raise ValueError(
                    f"the decoder gives {outputs.shape[1:]} for each example, but for examples of "
                    f"{x.shape[1:]} this likelihood needs {wanted[1:]}{advice}"
                )

        def log_prob(x: Array) -> Array:
            check(x)
            assert found.log_prob is not None
            return found.log_prob(x)

        def elementwise(x: Array) -> Array:
            check(x)
            assert found.elementwise is not None
            return found.elementwise(x)

        return found._replace(
            log_prob=log_prob, elementwise=None if found.elementwise is None else elementwise
        )

    return likelihood._replace(distribution=distribution)


def as_float32(outputs: Array) -> Array:
    """Outputs in the type in which likelihoods are computed."""
    return outputs.astype(jnp.float32)
