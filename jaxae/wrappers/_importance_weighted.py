"""Importance-weighted autoencoders."""

from jaxae.arguments import checked
from jaxae.composition import Autoencoder
from jaxae.objectives.bounds import elbo, iwae
from jaxae.recipes import constructor


@constructor("importance_weighted")
@checked
def importance_weighted(base: Autoencoder, samples: int) -> Autoencoder:
    r"""Trains a model on the importance-weighted bound, which is tighter than the ELBO.

    .. math:: L(x) = -\log \frac1K \sum_{k=1}^K \frac{p(x, z_k)}{q(z_k \mid x)},
              \qquad z_k \sim q(z \mid x)

    Args:
      base: a VAE with beta 1, one sample and no free bits, since the bound has none of these; penalties
        and corruption are kept.
      samples: K.

    Returns:
      the same model with the objective :func:`jaxae.objectives.iwae`. Its terms are
      `negative_iwae`, the loss, and `negative_elbo`, the mean of the negative log-weights.

    Raises:
      ValueError: if the model is not a VAE, its objective has options that would be lost, or `samples` is not
        positive.

    Examples:
      >>> import jax, jax.numpy as jnp, jaxae
      >>> from jaxae.networks import mlp_decoder, mlp_encoder
      >>> base = jaxae.vae(mlp_encoder(2 * 3), mlp_decoder((8, 8, 1)), latent_dim=3)
      >>> model = importance_weighted(base, samples=5)
      >>> images = jnp.zeros((4, 8, 8, 1))
      >>> model.loss(model.init(jax.random.key(0), images), jax.random.key(1), images).loss.shape
      (4,)

    References:
      Burda, Grosse and Salakhutdinov, `Importance Weighted Autoencoders
      <https://arxiv.org/abs/1509.00519>`_.
    """
    known = elbo().options
    if base.objective.name != "elbo":
        raise ValueError(
            f"importance_weighted replaces the objective of a VAE, and the objective of this model is "
            f"{base.objective.name}"
        )
    lost = [
        f"{name}={value}" for name, value in base.objective.options if (name, value) not in known
    ]
    if lost:
        raise ValueError(
            f"importance_weighted would drop {', '.join(lost)}: the importance-weighted bound has no KL "
            "divergence to weight and its own number of samples"
        )
    return base._replace(objective=iwae(samples))
