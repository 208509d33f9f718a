"""Wasserstein autoencoders: the codes of a batch are matched to a prior by a kernel."""

import jax.numpy as jnp

from jaxae.arguments import checked
from jaxae.arrays import Weight, as_vectors, at_step, check_weights
from jaxae.base import Context, Penalty, Prior, Term, View
from jaxae.composition import Autoencoder
from jaxae.distributions.kernels import Kernel, imq, mmd
from jaxae.distributions.priors import check_fixed, check_latent_dim
from jaxae.recipes import constructor
from jaxae.wrappers._with_prior import with_prior


@constructor("wasserstein")
@checked
def wasserstein(
    base: Autoencoder,
    prior: Prior,
    *,
    weight: Weight,
    kernel: Kernel | None = None,
    view: View | None = None,
) -> Autoencoder:
    r"""A model whose aggregate distribution of codes is matched to a prior by a kernel.

    .. math:: L'(x) = L(x) + \lambda \operatorname{MMD}^2(q(z), p(z)), \qquad
              q(z) = \mathbb E_x\, q(z \mid x)

    A VAE keeps each posterior near the prior; this penalty keeps the mixture of all posteriors near it,
    so that codes of different examples need not overlap. The maximum mean discrepancy is estimated
    without bias from the codes of a batch and as many draws of the prior. The estimate is noisy for
    batches of fewer than a hundred, and the examples of a batch are coupled.

    Args:
      base: any autoencoder; if it is a VAE, set its beta to 0. The draws of its codes are compared.
      prior: of codes of the same size.
      weight: lambda, a constant or a schedule. The discrepancy is between 0 and 2 (and noise).
      kernel: `imq(2 * prior.latent_dim)` when None.
      view: selects what is compared with the prior; all values of a code, as one vector, when None. With
        a view the model keeps the prior of the base.

    Returns:
      an :class:`Autoencoder` that samples from the prior (without a view), whose loss has one more
      term, `mmd`, the same for all examples of a batch.

    Raises:
      ValueError: if the weight is negative or not finite; by `loss`, if the codes have another size,
        or a batch has one example.

    Examples:
      >>> import jax, jax.numpy as jnp, jaxae
      >>> from jaxae.networks import mlp_decoder, mlp_encoder
      >>> base = jaxae.autoencoder(mlp_encoder(2), mlp_decoder((8, 8, 1)))
      >>> model = wasserstein(base, jaxae.priors.standard_normal(2), weight=100.0)
      >>> images = jnp.zeros((4, 8, 8, 1))
      >>> params = model.init(jax.random.key(0), images)
      >>> sorted(model.loss(params, jax.random.key(1), images).terms)
      ['distortion', 'mmd']

    References:
      Tolstikhin et al., `Wasserstein Auto-Encoders <https://arxiv.org/abs/1711.01558>`_.
    """
    check_weights(weight=weight)
    check_fixed(prior)
    kernel = imq(2.0 * prior.latent_dim) if kernel is None else kernel

    def apply(context: Context) -> tuple[Term]:
        z = as_vectors(context.encoded) if view is None else view(context.encoded)
        check_latent_dim(z, prior)
        condition = context.batch.condition if prior.conditional else None
        discrepancy = mmd(z, prior.sample(context.key, len(z), condition=condition), kernel)
        spread = jnp.broadcast_to(discrepancy, len(z))
        return (Term("mmd", spread, at_step(weight, context.step)),)

    options = (("weight", weight), ("kernel", kernel))
    model = base.add(Penalty("mmd", apply, options, coupled=True))
    return with_prior(model, prior) if view is None else model
