"""The VAE-GAN: a VAE that measures its reconstructions in the features of a discriminator."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from jaxae.arguments import checked
from jaxae.arrays import Step, Weight, at_step
from jaxae.base import (
    Batch,
    Context,
    Draws,
    Likelihood,
    Model,
    Network,
    Objective,
    Output,
    Params,
    Penalty,
    Term,
)
from jaxae.composition import Autoencoder, draw
from jaxae.distributions import posteriors, priors
from jaxae.distributions.likelihoods import bernoulli
from jaxae.models._gan import check_gan, check_observed
from jaxae.models.latent import latent_variable_model
from jaxae.objectives.adversarial import gan_losses, lazy_r1_terms
from jaxae.objectives.bounds import kl_divergence
from jaxae.recipes import constructor


@constructor("vae_gan")
@checked
def vae_gan(
    encoder: Network,
    decoder: Network,
    features: Network,
    critic: Network,
    likelihood: Likelihood | None = None,
    *,
    latent_dim: int,
    beta: Weight = 1.0,
    weight: Weight = 1.0,
    scale: float = 1.0,
    r1: Weight = 0.0,
    r1_every: int = 1,
) -> Autoencoder:
    r"""A VAE whose reconstructions are compared in the features of a discriminator and judged by it.

    .. math:: L_{E} &= \beta \operatorname{KL}(q(z \mid x) \,\|\, \mathcal N(0, I))
              + \tfrac{1}{2 s^2} \lVert f_{\operatorname{sg}}(x) - f_{\operatorname{sg}}(g(z)) \rVert^2 \\
              L_{G} &= \tfrac{1}{2 s^2} \lVert f_{\operatorname{sg}}(x) - f_{\operatorname{sg}}(g(z)) \rVert^2
              - \lambda \log \sigma(D_{\operatorname{sg}}(\tilde x)) \\
              L_D &= -\log \sigma(D(x)) - \log(1 - \sigma(D(\operatorname{sg} \tilde x)))
              + \tfrac{\gamma}{2} \lVert \nabla_x D(x) \rVert^2

    The discriminator is `D(x) = critic(f(x))`. The fake :math:`\tilde x` is decoded with equal
    probability from a code of x or from a draw of N(0, I); the expectation is half the paper's sum over
    both. The encoder is not trained by the adversarial losses, and the discriminator only by its own loss.

    Args:
      encoder: from images to `[b, 2 * latent_dim]`, as that of a VAE.
      decoder: from codes to the outputs of the likelihood.
      features: f, from images to features, `[b, d]`, such as `conv_encoder(64)`.
      critic: from features to a logit, `[b, 1]`.
      likelihood: its mean turns these outputs into images; `bernoulli()`, a sigmoid, when None.
      latent_dim: the number of latent dimensions.
      beta: weight of the KL divergence.
      weight: lambda, the weight of the generator's loss beside the distance of features; the inverse
        of the paper's gamma.
      scale: s, the standard deviation of the features given the code.
      r1: gamma, the weight of the penalty :func:`jaxae.objectives.r1_penalty`.
      r1_every: number of steps between two computations of this penalty, whose weight is multiplied by it.

    Returns:
      an :class:`Autoencoder` whose loss has the terms `feature_distortion`, the squared difference of
      features over 2 s^2; `rate`, the KL divergence in nats; and those of :func:`gan`.

    Raises:
      ValueError: if a number is out of range.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> from jaxae.networks import mlp_decoder, mlp_encoder
      >>> encoder, decoder = mlp_encoder(2 * 3), mlp_decoder((8, 8, 1))
      >>> model = vae_gan(encoder, decoder, mlp_encoder(16), mlp_encoder(1), latent_dim=3)
      >>> images = jnp.zeros((4, 8, 8, 1))
      >>> sorted(model.init(jax.random.key(0), images))
      ['decoder', 'discriminator', 'encoder']

    References:
      Larsen et al., `Autoencoding beyond pixels using a learned similarity metric
      <https://arxiv.org/abs/1512.09300>`_, algorithm 1.
    """
    likelihood = bernoulli() if likelihood is None else likelihood
    check_gan(latent_dim, r1_every, beta=beta, weight=weight, r1=r1)
    if not scale > 0:
        raise ValueError(f"the scale of the features must be positive, got {scale}")
    if features.conditional or critic.conditional:
        raise ValueError("the discriminator of a VAE-GAN takes no condition")
    model = latent_variable_model(
        encoder,
        decoder,
        likelihood,
        posteriors.gaussian(latent_dim),
        priors.standard_normal(latent_dim),
        name="vae_gan",
    )

    def features_of(params: Params, x: Array, key: PRNGKeyArray | None) -> Array:
        return features.apply(params["features"], x, key=key)

    def discriminate(params: Params, x: Array, *, key: PRNGKeyArray | None = None) -> Array:
        features_key, critic_key = (None, None) if key is None else jax.random.split(key)
        return critic.apply(params["critic"], features_of(params, x, features_key), key=critic_key)

    def init_features_and_critic(key: PRNGKeyArray, x: Array) -> Params:
        features_key, critic_key = jax.random.split(key)
        params = features.init(features_key, x)
        f = features.apply(params, x)
        return {"features": params, "critic": critic.init(critic_key, f)}

    discriminator = Network(init_features_and_critic, discriminate)

    def rate_alone(
        model: Model, params: Params, key: PRNGKeyArray, batch: Batch, step: Step, train: bool
    ) -> tuple[Output, Draws]:
        draws = draw(model, params, key, batch, train=train)
        assert draws.posterior is not None
        rate = jnp.sum(kl_divergence(draws), axis=-1)
        stats = draws.posterior.stats
        out = Output(at_step(beta, step) * rate, {"rate": rate}, z=draws.z[0], stats=stats)
        return out, draws

    def init_discriminator(
        key: PRNGKeyArray, model: Model, params: Params, batch: Batch
    ) -> dict[str, Params]:
        return {"discriminator": discriminator.init(key, batch.x)}

    def apply(context: Context) -> tuple[Term, ...]:
        code_key, coin_key, fake_key, gan_key, r1_key = jax.random.split(context.key, 5)
        check_observed(context.batch)
        params, real, z = context.params, context.batch.x, context.z
        own, train = params["discriminator"], context.train
        frozen = jax.lax.stop_gradient(own)
        # Features without dropout: a difference of two masks would be no difference of images.
        reconstruction = context.draws.likelihood.mean
        difference = features_of(frozen, real, None) - features_of(frozen, reconstruction, None)
        distortion = 0.5 * jnp.sum(jnp.square(difference / scale), axis=-1)
        # Decoded again, from a code without a gradient: this loss does not train the encoder.
        coin = jax.random.bernoulli(coin_key, shape=(len(z), 1))
        assert context.draws.prior is not None
        drawn, _ = context.draws.prior.draw(code_key)
        codes = jnp.where(coin, jax.lax.stop_gradient(z), drawn)
        condition = context.batch.condition
        fake = model.likelihood(params, codes, condition, key=fake_key if train else None).mean
        losses = gan_losses(discriminator, own, real, fake, key=gan_key if train else None)
        r1_terms = lazy_r1_terms(
            "discriminator",
            discriminator,
            own,
            real,
            weight=r1,
            every=r1_every,
            key=r1_key,
            step=context.step,
            train=train,
        )
        weight_now = at_step(weight, context.step)
        return (
            Term("feature_distortion", distortion),
            *losses.terms("discriminator", weight_now),
            *r1_terms,
        )

    penalty = Penalty(
        "discriminator",
        apply,
        (("weight", weight), ("scale", scale), ("r1", r1)),
        init_discriminator,
    )
    return Autoencoder(
        model, Objective("rate", rate_alone, (("beta", beta),)), (penalty,), monitor=None
    )
