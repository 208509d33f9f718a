"""The variational autoencoder."""

from jaxae.arguments import checked
from jaxae.arrays import Weight
from jaxae.base import Likelihood, Network, Posterior, Prior
from jaxae.composition import Autoencoder
from jaxae.distributions import posteriors, priors
from jaxae.distributions.likelihoods import bernoulli
from jaxae.models.latent import latent_variable_model
from jaxae.objectives.bounds import elbo
from jaxae.recipes import constructor


@constructor("vae")
@checked
def vae(
    encoder: Network,
    decoder: Network,
    likelihood: Likelihood | None = None,
    *,
    latent_dim: int,
    posterior: Posterior | None = None,
    prior: Prior | None = None,
    beta: Weight = 1.0,
    samples: int = 1,
    free_bits: float = 0.0,
) -> Autoencoder:
    r"""A variational autoencoder, by default with a normal posterior and the prior N(0, I).

    .. math:: L(x) = -\frac1L \sum_{l=1}^L \log p(x \mid \mu + \sigma \epsilon_l)
              + \beta \operatorname{KL}(\mathcal N(\mu, \sigma^2) \,\|\, \mathcal N(0, I)),
              \qquad \epsilon_l \sim \mathcal N(0, I)

    `vae(encoder, decoder, latent_dim=16)` is `Autoencoder(latent_variable_model(...), elbo(...))`: see
    :func:`jaxae.models.latent_variable_model` and :func:`jaxae.objectives.elbo`.

    Args:
      encoder: from the input to the parameters of the posterior; for the normal posterior
        `[b, 2 * latent_dim]`, the means and then the log-variances.
      decoder: from codes to the outputs of the likelihood.
      likelihood: parametrised by these outputs; `bernoulli()` when None.
      latent_dim: the number of latent dimensions.
      posterior: `posteriors.gaussian(latent_dim)` when None.
      prior: `priors.standard_normal(latent_dim)` when None.
      beta: weight of the KL divergence; a constant or a schedule.
      samples: L, the number of codes drawn for each example.
      free_bits: the lower limit, in nats, of each latent dimension's KL divergence averaged over the
        batch; see :func:`jaxae.objectives.elbo`.

    Returns:
      an :class:`Autoencoder` whose loss has the terms `distortion`, -E log p(x | z); `rate`, the
      KL divergence (without beta and free bits); and `negative_elbo`, their sum, whose expectation
      is an upper bound on -log p(x).

    Raises:
      ValueError: if `latent_dim` or `samples` is not positive, a weight is negative, or the prior has
        another number of dimensions.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> from jaxae.networks import mlp_decoder, mlp_encoder
      >>> model = vae(mlp_encoder(2 * 3), mlp_decoder((8, 8, 1)), latent_dim=3)
      >>> params = model.init(jax.random.key(0), jnp.zeros((4, 8, 8, 1)))
      >>> model.sample(params, jax.random.key(1), 5).shape
      (5, 8, 8, 1)

    References:
      Kingma and Welling, `Auto-Encoding Variational Bayes <https://arxiv.org/abs/1312.6114>`_;
      Higgins et al., `beta-VAE <https://openreview.net/forum?id=Sy2fzU9gl>`_; free bits: Kingma et
      al., `Improving Variational Inference with Inverse Autoregressive Flow
      <https://arxiv.org/abs/1606.04934>`_, section C.8.
    """
    if prior is not None and prior.latent_dim != latent_dim:
        raise ValueError(
            f"latent_dim is {latent_dim}, but the prior has {prior.latent_dim} dimensions"
        )
    model = latent_variable_model(
        encoder,
        decoder,
        bernoulli() if likelihood is None else likelihood,
        posteriors.gaussian(latent_dim) if posterior is None else posterior,
        priors.standard_normal(latent_dim) if prior is None else prior,
        name="vae",
    )
    # A bound without beta, which a schedule changes from one epoch to the next.
    monitor = "negative_elbo" if callable(beta) else "loss"
    objective = elbo(beta, samples=samples, free_bits=free_bits)
    return Autoencoder(model, objective, monitor=monitor)
