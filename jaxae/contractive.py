"""Contractive autoencoders: a penalty on the Jacobian of the encoder."""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.base import Autoencoder, Output, Params, Step, Weight, at_step

Mode = Literal["forward", "reverse"]


def contractive(base: Autoencoder, weight: Weight, *, mode: Mode = "forward") -> Autoencoder:
    r"""A model whose codes change little where the data do.

    .. math:: L'(x) = L(x) + \lambda \sum_{ij} \left(\frac{\partial f_j(x)}{\partial x_i}\right)^2

    The Jacobian is of `base.encode`, the deterministic encoder, at what the encoder sees.

    Args:
      base: any autoencoder.
      weight: the weight lambda; a constant or a schedule.
      mode: how the Jacobian is computed, exactly either way: "forward" (`jax.jacfwd`, a pass for
        each value of an image) or "reverse" (`jax.jacrev`, a pass for each value of a code).

    Returns:
      an :class:`Autoencoder` whose loss has one more term, `contraction`, the squared norm.

    Raises:
      ValueError: if the weight is negative or not finite, or there is no such mode.

    Examples:
      >>> import jaxae
      >>> base = jaxae.autoencoder(jaxae.mlp_encoder(2), jaxae.mlp_decoder((8, 8, 1)))
      >>> model = contractive(base, 1e-3)
      >>> images = jnp.zeros((4, 8, 8, 1))
      >>> params = model.init(jax.random.key(0), images)
      >>> sorted(model.loss(params, jax.random.key(1), images).terms)
      ['contraction', 'distortion']

    References:
      Rifai et al., `Contractive Auto-Encoders <https://icml.cc/2011/papers/455_icmlpaper.pdf>`_.
    """
    if not callable(weight) and not 0 <= weight < float("inf"):
        raise ValueError(f"the weight must be finite and not negative, got {weight}")
    if mode not in ("forward", "reverse"):
        raise ValueError(f"the mode must be 'forward' or 'reverse', got {mode!r}")

    def loss(
        params: Params,
        key: PRNGKeyArray,
        x: Array,
        *,
        target: Array | None = None,
        step: Step = 0,
        train: bool = True,
    ) -> Output:
        out = base.loss(params, key, x, target=target, step=step, train=train)
        norm = squared_jacobian_norm(lambda x: base.encode(params, x), x, mode=mode)
        return out.add("contraction", norm, at_step(weight, step))

    return base._replace(loss=loss)


def squared_jacobian_norm(
    function: Callable[[Array], Array], x: Float[Array, "b ..."], *, mode: Mode = "forward"
) -> Float[Array, " b"]:
    r"""The squared Frobenius norm of a function's Jacobian at each example.

    .. math:: \lVert J(x) \rVert_F^2 = \sum_{ij} \left(\frac{\partial f_j(x)}{\partial x_i}\right)^2

    Args:
      function: from `[b, ...]` to `[b, ...]`; an example of its output depends on the same
        example of its input only.
      x: the examples.
      mode: "forward" or "reverse", see :func:`contractive`.

    Examples:
      >>> squared_jacobian_norm(lambda x: x @ jnp.diag(jnp.array([1.0, 2.0])), jnp.zeros((3, 2)))
      Array([5., 5., 5.], dtype=float32)
    """
    jacobian = jax.jacfwd if mode == "forward" else jax.jacrev

    def one(x: Array) -> Array:
        return jnp.sum(jnp.square(jacobian(lambda x: function(x[None])[0])(x)))

    return jax.vmap(one)(x)
