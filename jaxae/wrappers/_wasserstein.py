"""Wasserstein autoencoders: all codes together become the prior, by a kernel and without a game."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from jaxae.base import Autoencoder, Output, Params, Step, Target, Weight, at_step, check_weights
from jaxae.distributions.divergences import Kernel, imq, mmd
from jaxae.distributions.priors import Prior, check_size, with_prior


def wasserstein(
    base: Autoencoder, prior: Prior, *, weight: Weight, kernel: Kernel | None = None
) -> Autoencoder:
    r"""A model whose codes together are distributed as a prior, by their maximum mean discrepancy.

    .. math:: L'(x) = L(x) + \lambda \operatorname{MMD}^2(q(z), p(z)), \qquad
              q(z) = \mathbb E_x\, q(z \mid x)

    A VAE asks every posterior to be near the prior; this asks it of all codes together, so that the
    codes of different images need not overlap. The discrepancy is estimated without bias from the
    codes of a batch and as many draws of the prior: batches of fewer than a hundred see little, and
    the examples of a batch are coupled.

    Args:
      base: any autoencoder; of a VAE, with its own `beta` at zero.
      prior: of codes of this size.
      weight: lambda, a constant or a schedule. The discrepancy is between 0 and 2 (and noise).
      kernel: what codes are compared by; `imq(2 * prior.size)` when None.

    Returns:
      an :class:`Autoencoder` that samples from the prior, whose loss has one more term, `mmd`, the
      same for all examples of a batch.

    Raises:
      ValueError: if the weight is negative or not finite; by `loss`, if the codes have another size.

    Examples:
      >>> import jaxae
      >>> base = jaxae.autoencoder(jaxae.mlp_encoder(2), jaxae.mlp_decoder((8, 8, 1)))
      >>> model = wasserstein(base, jaxae.priors.standard_normal(2), weight=100.0)
      >>> images = jnp.zeros((4, 8, 8, 1))
      >>> params = model.init(jax.random.key(0), images)
      >>> sorted(model.loss(params, jax.random.key(1), images).terms)
      ['distortion', 'mmd']

    References:
      Tolstikhin et al., `Wasserstein Auto-Encoders <https://arxiv.org/abs/1711.01558>`_.
    """
    check_weights(weight=weight)
    kernel = imq(2.0 * prior.size) if kernel is None else kernel

    def loss(
        params: Params,
        key: PRNGKeyArray,
        x: Array,
        *,
        target: Target = None,
        step: Step = 0,
        train: bool = True,
    ) -> Output:
        prior_key, base_key = jax.random.split(key)
        out = base.loss(params, base_key, x, target=target, step=step, train=train)
        check_size(out.latent, prior)
        discrepancy = mmd(out.latent, prior.sample(prior_key, len(x)), kernel)
        return out.add("mmd", jnp.broadcast_to(discrepancy, len(x)), at_step(weight, step))

    return with_prior(base._replace(loss=loss), prior)
