"""Spectral normalisation."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, PRNGKeyArray

from jaxae.arguments import checked
from jaxae.base import Network, Params
from jaxae.numeric import unit_vector
from jaxae.recipes import constructor


@constructor("networks.spectral_norm")
@checked
def spectral_norm(network: Network, *, iterations: int = 12) -> Network:
    r"""A network whose matrices are each divided by their largest singular value.

    .. math:: W \mapsto \frac{W}{\sigma_{\max}(W)}

    This bounds the Lipschitz constant of discriminators. It is at most 1 for fully connected layers with
    activations of slope at most 1 (relu, not gelu). The kernel of a convolution is reshaped to a matrix of
    its inputs by its outputs, as usual; because patches overlap, the constant of a k x k kernel is at most
    k. The singular value is found by power iteration from a fixed vector: it is a function of the
    parameters, and there is no state.

    Args:
      network: any; vectors, such as biases, are not changed.
      iterations: of the power method, which approaches the singular value from below.

    Raises:
      ValueError: if there is no iteration.

    Examples:
      >>> import flax.linen as nn, jax
      >>> from jaxae.networks import linen
      >>> network = spectral_norm(linen(nn.Dense(2, use_bias=False)))
      >>> params = {"kernel": jnp.diag(jnp.array([4.0, 2.0]))}
      >>> network.apply(params, jnp.eye(2)).round(3).tolist()
      [[1.0, 0.0], [0.0, 0.5]]

    References:
      Miyato et al., `Spectral Normalization for Generative Adversarial Networks
      <https://arxiv.org/abs/1802.05957>`_; for kernels of convolutions see there, section 3.
    """
    if iterations < 1:
        raise ValueError(f"the power method needs at least one iteration, got {iterations}")

    product = partial(jnp.matmul, precision=lax.Precision.HIGHEST)

    def normalised(w: Array) -> Array:
        if w.ndim < 2:
            return w
        matrix = w.reshape(-1, w.shape[-1]).astype(jnp.float32)
        # In units of the largest weight, or the products of very small or large weights are zero or
        # infinite. The result does not depend on the unit.
        largest = jnp.max(jnp.abs(lax.stop_gradient(matrix)), initial=0.0)
        matrix = matrix / jnp.where(largest > 0, largest, 1.0)
        still = lax.stop_gradient(matrix)
        # A fixed random vector is almost surely not orthogonal to the singular vector.
        start = jax.random.normal(jax.random.key(0), matrix.shape[1:])

        def closer(_: Any, v: Array) -> Array:
            return unit_vector(product(still.T, unit_vector(product(still, v))))

        v = lax.fori_loop(0, iterations, closer, unit_vector(start))
        u = unit_vector(product(still, v))
        value = product(product(u, matrix), v)
        # A matrix of zeros stays one, and gets a gradient that is finite.
        return (matrix / jnp.where(value > 0, value, 1.0)).reshape(w.shape).astype(w.dtype)

    def apply(params: Params, x: Array, *, key: PRNGKeyArray | None = None) -> Array:
        return network.apply(jax.tree.map(normalised, params), x, key=key)

    return Network(network.init, apply)
