"""Contractive autoencoders: a penalty on the Jacobian of the encoder."""

from typing import Literal

import jax
from jaxtyping import Array

from jaxae.arguments import checked
from jaxae.arrays import Weight, as_vectors, at_step, check_weights
from jaxae.base import Batch, Context, Penalty, Term
from jaxae.composition import Autoencoder, posterior_of
from jaxae.objectives.jacobian import Mode, check_mode, squared_jacobian_norm
from jaxae.recipes import constructor


@constructor("contractive")
@checked
def contractive(
    base: Autoencoder,
    weight: Weight,
    *,
    mode: Mode = "forward",
    probes: int = 1,
    chunk: int | None = None,
    at: Literal["input", "x"] = "input",
) -> Autoencoder:
    r"""A model with a penalty on the Jacobian of its encoder, so that codes change little with the input.

    .. math:: L'(x) = L(x) + \lambda \lVert J_f(x) \rVert_F^2
              = L(x) + \lambda \sum_{ij} \left(\frac{\partial f_j(x)}{\partial x_i}\right)^2

    The Jacobian is that of the posterior mean without dropout, by default at the input of the encoder,
    which in a denoising model is the corrupted image. Small codes have a small Jacobian: if weights are
    not tied (see :func:`jaxae.tied_autoencoder`), compare the norm with the scale of the codes.

    Args:
      base: any autoencoder.
      weight: the weight lambda; a constant or a schedule.
      mode: how the norm is computed, see :func:`jaxae.objectives.squared_jacobian_norm`.
      probes: the number of random directions of "hutchinson" for each example.
      chunk: the number of directions that are computed together.
      at: "input" for the Jacobian at the encoder's input, "x" for that at the clean data.

    Returns:
      an :class:`Autoencoder` whose loss has one more term, `contraction`, the squared norm.

    Raises:
      ValueError: if the weight is negative or not finite, there is no such mode, or the number of
        probes or directions is not positive; by `loss`, if the input is not one array.

    Examples:
      >>> import jaxae, jax.numpy as jnp
      >>> from jaxae.networks import mlp_decoder, mlp_encoder
      >>> base = jaxae.autoencoder(mlp_encoder(2), mlp_decoder((8, 8, 1)))
      >>> model = contractive(base, 1e-3)
      >>> images = jnp.zeros((4, 8, 8, 1))
      >>> params = model.init(jax.random.key(0), images)
      >>> sorted(model.loss(params, jax.random.key(1), images).terms)
      ['contraction', 'distortion']

    References:
      Rifai et al., `Contractive Auto-Encoders <https://icml.cc/2011/papers/455_icmlpaper.pdf>`_.
    """
    check_weights(weight=weight)
    check_mode(mode, probes, chunk)
    if at not in ("input", "x"):
        raise ValueError(f'the Jacobian is at "input" or at "x", not at {at!r}')

    def apply(context: Context) -> tuple[Term]:
        model, params, batch = context.model, context.params, context.batch
        posterior = posterior_of(model)
        x = batch.input if at == "input" else batch._replace(seen=None).input
        if not isinstance(x, jax.Array):
            raise ValueError("the contractive penalty needs an input that is one array, not a tree")

        def encode(x: Array, given: Batch) -> Array:
            return as_vectors(posterior(params, given._replace(seen=x)).mean)

        norm = squared_jacobian_norm(
            encode,
            x,
            given=batch._replace(seen=None),
            mode=mode,
            key=context.key if mode == "hutchinson" else None,
            probes=probes,
            chunk=chunk,
        )
        return (Term("contraction", norm, at_step(weight, context.step)),)

    options = (("weight", weight), ("mode", mode), ("probes", probes), ("at", at))
    return base.add(Penalty("contraction", apply, options))
