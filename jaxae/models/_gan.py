"""Generative adversarial networks, with a decoder as the generator."""

import jax
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.arguments import checked
from jaxae.arrays import Weight, check_weights
from jaxae.base import (
    Batch,
    Context,
    Distribution,
    Likelihood,
    Model,
    Network,
    Params,
    Penalty,
    Term,
    Tree,
)
from jaxae.composition import Autoencoder
from jaxae.distributions import families
from jaxae.distributions.likelihoods import bernoulli
from jaxae.models.latent import apply_network, init_network
from jaxae.objectives.adversarial import gan_losses, lazy_r1_terms
from jaxae.objectives.bounds import prior_draws
from jaxae.recipes import constructor


@constructor("gan")
@checked
def gan(
    generator: Network,
    discriminator: Network,
    likelihood: Likelihood | None = None,
    *,
    latent_dim: int,
    r1: Weight = 0.0,
    r1_every: int = 1,
) -> Autoencoder:
    r"""A generative adversarial network: a decoder that has no encoder, and a discriminator.

    .. math:: L_G = -\log \sigma(D_{\operatorname{sg}}(g(z))), \qquad
              L_D = -\log \sigma(D(x)) - \log(1 - \sigma(D(\operatorname{sg} g(z))))
              + \tfrac{\gamma}{2} \lVert \nabla_x D(x) \rVert^2, \qquad z \sim \mathcal N(0, I)

    The loss is their sum. Its value does not tell which epoch is better, so that `monitor` is None; look
    at the terms. There is no encoder, and `encode` raises an error.

    Args:
      generator: a decoder, from codes to the outputs of the likelihood.
      discriminator: from images to a logit, `[b, 1]`, such as `conv_encoder(1)`.
      likelihood: its mean turns these outputs into images; `bernoulli()`, a sigmoid, when None.
      latent_dim: the number of latent dimensions.
      r1: gamma, the weight of the penalty :func:`jaxae.objectives.r1_penalty`; a constant or a schedule.
      r1_every: number of steps between two computations of this penalty, whose weight is multiplied by it.

    Returns:
      an :class:`Autoencoder` without `encode`, whose parameters are the `decoder` and the
      `discriminator`. Its loss has the terms `discriminator_loss`, the cross-entropy of real and fake
      (2 log 2 at chance level); `discriminator_generator_loss` (log 2), the generator's;
      with `r1` `discriminator_r1_penalty`; and the metric `discriminator_accuracy`.

    Raises:
      ValueError: if a number is out of range; by `encode`, always.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> from jaxae.networks import mlp_decoder, mlp_encoder
      >>> model = gan(mlp_decoder((8, 8, 1)), mlp_encoder(1), latent_dim=3)
      >>> params = model.init(jax.random.key(0), jnp.zeros((4, 8, 8, 1)))
      >>> model.sample(params, jax.random.key(1), 5).shape
      (5, 8, 8, 1)

    References:
      Goodfellow et al., `Generative Adversarial Networks <https://arxiv.org/abs/1406.2661>`_;
      R1: Mescheder et al., `Which Training Methods for GANs do actually Converge?
      <https://arxiv.org/abs/1801.04406>`_; `r1_every`: Karras et al., `Analyzing and Improving the
      Image Quality of StyleGAN <https://arxiv.org/abs/1912.04958>`_, appendix B.
    """
    likelihood = bernoulli() if likelihood is None else likelihood
    check_gan(latent_dim, r1_every, r1=r1)
    if likelihood.init is not None:
        raise ValueError(
            f"a GAN takes no likelihood with parameters of its own ({likelihood.name})"
        )

    def init(key: PRNGKeyArray, batch: Batch) -> Params:
        n = len(jax.tree.leaves(batch.x)[0])
        z = families.standard_normal((n, latent_dim)).mean
        return {"decoder": init_network(generator, key, z, batch.condition)}

    def prior(params: Params, n: int, condition: Tree | None = None) -> Distribution:
        return families.standard_normal((n, latent_dim))

    def describe(
        params: Params, z: Tree, condition: Tree | None = None, *, key: PRNGKeyArray | None = None
    ) -> Distribution:
        outputs = apply_network(generator, params["decoder"], z, condition, key)
        return likelihood.distribution(outputs, params.get("likelihood"))

    def init_discriminator(
        key: PRNGKeyArray, model: Model, params: Params, batch: Batch
    ) -> dict[str, Params]:
        return {"discriminator": init_network(discriminator, key, batch.x, batch.condition)}

    def apply(context: Context) -> tuple[Term, ...]:
        gan_key, r1_key = jax.random.split(context.key)
        check_observed(context.batch)
        real, fake = context.batch.x, context.draws.likelihood.mean
        condition = context.batch.condition

        def judge(
            params: Params, x: Tree, *, key: PRNGKeyArray | None = None
        ) -> Float[Array, "b 1"]:
            return apply_network(discriminator, params, x, condition, key)

        critic = Network(discriminator.init, judge)
        own, train = context.params["discriminator"], context.train
        losses = gan_losses(critic, own, real, fake, key=gan_key if train else None)
        r1_terms = lazy_r1_terms(
            "discriminator",
            critic,
            own,
            real,
            weight=r1,
            every=r1_every,
            key=r1_key,
            step=context.step,
            train=train,
        )
        return (*losses.terms("discriminator"), *r1_terms)

    penalty = Penalty("discriminator", apply, (("r1", r1),), init_discriminator)
    model = Model(
        init,
        None,
        prior,
        describe,
        f"gan(likelihood={likelihood.name}, prior=standard_normal({latent_dim}))",
        conditional=generator.conditional or discriminator.conditional,
        unit=likelihood.unit,
    )
    return Autoencoder(model, prior_draws(), (penalty,), monitor=None)


def check_gan(latent_dim: int, r1_every: int, **weights: Weight) -> None:
    """Raises a `ValueError` for a number that is out of range."""
    check_weights(**weights)
    if latent_dim < 1:
        raise ValueError(f"latent_dim must be positive, got {latent_dim}")
    if r1_every < 1:
        raise ValueError(f"r1_every must be positive, got {r1_every}")


def check_observed(batch: Batch) -> None:
    """Raises a `ValueError` if values are missing, which a discriminator would see."""
    if batch.observed is not None:
        raise ValueError(
            "a discriminator sees whole examples, so no value may be missing (observed)"
        )
