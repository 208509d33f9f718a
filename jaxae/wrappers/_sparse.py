"""Sparse autoencoders: a penalty on active codes, or codes with few non-zero values."""

from collections.abc import Callable

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxae.arguments import checked
from jaxae.arrays import Weight, as_vectors, at_step, check_weights
from jaxae.base import Context, Penalty, Term
from jaxae.composition import Autoencoder
from jaxae.networks.layers import Activation
from jaxae.numeric import absolute
from jaxae.recipes import constructor, named

CodePenalty = Callable[[Array], Array]
"""The penalty of each code, `[b, d] -> [b]`."""


@constructor("sparse")
@checked
def sparse(base: Autoencoder, weight: Weight, penalty: CodePenalty) -> Autoencoder:
    r"""A model with a penalty on active codes.

    .. math:: L'(x) = L(x) + \lambda \, \Omega(z)

    The codes are those of the loss; for a VAE they are draws. A decoder with large weights can
    compensate for small codes: use weight decay, or tie the weights (:func:`tied_autoencoder`).

    Args:
      base: any autoencoder.
      weight: the weight lambda; a constant or a schedule.
      penalty: :func:`l1`, :func:`kl_sparsity`, or a function `[b, d] -> [b]` of your own.

    Returns:
      an :class:`Autoencoder` whose loss has one more term, `sparsity`, the penalty.

    Raises:
      ValueError: if the weight is negative or not finite.

    Examples:
      >>> import jax, jaxae
      >>> from jaxae.networks import mlp_decoder, mlp_encoder
      >>> base = jaxae.autoencoder(mlp_encoder(2), mlp_decoder((8, 8, 1)))
      >>> model = sparse(base, 0.1, l1)
      >>> images = jnp.zeros((4, 8, 8, 1))
      >>> params = model.init(jax.random.key(0), images)
      >>> sorted(model.loss(params, jax.random.key(1), images).terms)
      ['distortion', 'sparsity']

    References:
      Ng, `Sparse autoencoder <https://web.stanford.edu/class/cs294a/sparseAutoencoder.pdf>`_.
    """
    check_weights(weight=weight)

    def apply(context: Context) -> tuple[Term]:
        value = penalty(as_vectors(context.encoded))
        return (Term("sparsity", value, at_step(weight, context.step)),)

    coupled = getattr(penalty, "coupled", False)
    options = (("weight", weight), ("penalty", penalty))
    return base.add(Penalty("sparsity", apply, options, coupled=coupled))


@named("wrappers.l1")
def l1(z: Float[Array, "b d"]) -> Float[Array, " b"]:
    r"""The sum of the absolute values of a code.

    .. math:: \Omega(z) = \sum_j |z_j|

    Examples:
      >>> l1(jnp.array([[1.0, -2.0]])).tolist()
      [3.0]
    """
    return jnp.sum(absolute(z), axis=-1)


@constructor("wrappers.kl_sparsity")
@checked
def kl_sparsity(rate: float) -> CodePenalty:
    r"""The KL divergence of the units' mean activities in a batch from a target rate, in nats.

    .. math:: \Omega = \sum_j \rho \log \frac{\rho}{\hat\rho_j}
              + (1 - \rho) \log \frac{1 - \rho}{1 - \hat\rho_j},
              \qquad \hat\rho_j = \frac1b \sum_n z_{nj}

    Codes must be in (0, 1), such as those of `activate(encoder, jax.nn.sigmoid)`; a mean outside gives
    nan. The examples of a batch are coupled.

    Args:
      rate: the target rho, in (0, 1).

    Raises:
      ValueError: if the rate is out of range.

    Examples:
      >>> kl_sparsity(0.25)(jnp.full((8, 3), 0.25)).tolist()[0]
      0.0

    References:
      Ng, `Sparse autoencoder <https://web.stanford.edu/class/cs294a/sparseAutoencoder.pdf>`_.
    """
    if not 0 < rate < 1:
        raise ValueError(f"the target rate must be in (0, 1), got {rate}")

    def penalty(z: Float[Array, "b d"]) -> Float[Array, " b"]:
        mean = jnp.mean(z, axis=0)
        # The divergence stays finite, with a gradient, if a unit is off or on for a whole batch.
        inside = mean + lax.stop_gradient(jnp.clip(mean, 1e-6, 1 - 1e-6) - mean)
        mean = jnp.where((mean >= 0) & (mean <= 1), inside, jnp.nan)
        divergence = rate * jnp.log(rate / mean) + (1 - rate) * jnp.log((1 - rate) / (1 - mean))
        return jnp.broadcast_to(jnp.sum(divergence), z.shape[:1])

    penalty.coupled = True  # type: ignore[attr-defined]
    return penalty


@constructor("wrappers.top_k")
@checked
def top_k(k: int) -> Activation:
    r"""A function that keeps the k largest values of each code and sets the others to zero.

    Use it after an encoder, `activate(encoder, top_k(20))`, or in
    `tied_autoencoder(..., code_activation=top_k(20))`. It is the same in training and evaluation.

    Args:
      k: the number of values that are kept.

    Returns:
      `z -> z`, both `[b, d]`.

    Raises:
      ValueError: if k is not positive, or, when used, if it is larger than the code.

    Examples:
      >>> top_k(2)(jnp.array([[3.0, -5.0, 1.0, 2.0]])).tolist()
      [[3.0, 0.0, 0.0, 2.0]]

    References:
      Makhzani and Frey, `k-Sparse Autoencoders <https://arxiv.org/abs/1312.5663>`_.
    """
    if k < 1:
        raise ValueError(f"k, the number of values that are kept, must be positive, got {k}")

    def keep(z: Float[Array, "b d"]) -> Float[Array, "b d"]:
        if k > z.shape[-1]:
            raise ValueError(f"k = {k} is larger than the code, which has {z.shape[-1]} values")
        values, places = lax.top_k(z, k)
        rows = jnp.arange(z.shape[0])[:, None]
        return jnp.zeros_like(z).at[rows, places].set(values)

    return keep
