"""Adversarial autoencoders: the codes of a batch are matched to a prior by a discriminator."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from jaxae.arguments import checked
from jaxae.arrays import Weight, as_vectors, at_step, check_weights
from jaxae.base import Batch, Context, Model, Network, Params, Penalty, Prior, Term, View
from jaxae.composition import Autoencoder
from jaxae.distributions.priors import check_fixed, check_latent_dim
from jaxae.objectives.adversarial import gan_losses, lazy_r1_terms
from jaxae.recipes import constructor
from jaxae.wrappers._with_prior import with_prior


@constructor("adversarial")
@checked
def adversarial(
    base: Autoencoder,
    discriminator: Network,
    prior: Prior,
    *,
    weight: Weight = 1.0,
    r1: Weight = 0.0,
    labels: bool = False,
    view: View | None = None,
    name: str = "discriminator",
) -> Autoencoder:
    r"""A model whose codes are matched to a prior by a discriminator.

    .. math:: L'(x) = L(x) - \lambda \log \sigma(D_{\operatorname{sg}}(z)) + L_D, \qquad
              L_D = -\log \sigma(D(p)) - \log(1 - \sigma(D(\operatorname{sg} z)))
              + \tfrac{\gamma}{2} \lVert \nabla D(p) \rVert^2, \quad p \sim p(z)

    One loss trains both: the encoder's terms have no gradient for the discriminator, and the
    discriminator's terms have none for the encoder. The value of the loss does not tell which epoch is
    better, so that `monitor` is None; look at the terms.

    Args:
      base: any autoencoder; if it is a VAE, set its beta to 0.
      discriminator: from codes, `[b, d]`, to a logit, `[b, 1]`: `mlp_encoder(1, (256, 256))`, for one.
        With `labels` its input is a code and a one-hot label, `[b, d + classes + 1]`.
      prior: of codes of this size.
      weight: lambda, the weight of the encoder's term; a constant or a schedule.
      r1: gamma, the weight of the penalty :func:`jaxae.objectives.r1_penalty`.
      labels: whether codes of a known class are compared with the prior of that class; the labels are
        those of the batch (-1 where there is none, and the last of the one-hot values).
      view: selects the part of the code that is compared; None for the whole code. With a view the
        model keeps the prior of the base, if it has one; :func:`jaxae.with_prior` gives it another.
      name: of the discriminator among parameters and terms.

    Returns:
      an :class:`Autoencoder` that samples from the prior (without a view). Its loss has the terms
      `discriminator_loss`, the cross-entropy of classifying draws and codes (2 log 2 at chance level);
      `discriminator_generator_loss`, that of codes classified as draws (log 2); with `r1`
      `discriminator_r1_penalty`; and the metric `discriminator_accuracy`.

    Raises:
      ValueError: if a weight is out of range, or `labels` is True and the prior has no classes;
        by `loss`, if the codes have another size. A label that is no class makes the loss nan.

    Examples:
      >>> import jaxae
      >>> from jaxae.networks import mlp_decoder, mlp_encoder
      >>> base = jaxae.autoencoder(mlp_encoder(2), mlp_decoder((8, 8, 1)))
      >>> model = adversarial(base, mlp_encoder(1, (64,)), jaxae.priors.standard_normal(2))
      >>> images = jnp.zeros((4, 8, 8, 1))
      >>> params = model.init(jax.random.key(0), images)
      >>> sorted(params), sorted(model.loss(params, jax.random.key(1), images).terms)[:2]
      (['decoder', 'discriminator', 'encoder'], ['discriminator_generator_loss', 'discriminator_loss'])

    References:
      Makhzani et al., `Adversarial Autoencoders <https://arxiv.org/abs/1511.05644>`_.
    """
    check_weights(weight=weight, r1=r1)
    check_fixed(prior)
    if labels and (prior.classes is None):
        raise ValueError("this prior has no classes for labels to choose from")

    def with_label(z: Array, label: Array | None) -> Array:
        if label is None:
            return z
        assert prior.classes is not None
        number = jnp.where(label < 0, prior.classes, label)
        return jnp.concatenate([z, jax.nn.one_hot(number, prior.classes + 1)], axis=-1)

    def init(key: PRNGKeyArray, model: Model, params: Params, batch: Batch) -> dict[str, Params]:
        n = len(jax.tree.leaves(batch.x)[0])
        label = jnp.full(n, -1) if labels else None
        codes = with_label(jnp.zeros((n, prior.latent_dim)), label)
        return {name: discriminator.init(key, codes)}

    def apply(context: Context) -> tuple[Term, ...]:
        prior_key, gan_key, r1_key = jax.random.split(context.key, 3)
        z = as_vectors(context.encoded) if view is None else view(context.encoded)
        check_latent_dim(z, prior)
        label = None
        if labels:
            label = context.batch.label
            label = jnp.full(len(z), -1) if label is None else label
        condition = context.batch.condition if prior.conditional else label
        drawn = prior.sample(prior_key, len(z), condition=condition)
        real, fake = with_label(drawn, label), with_label(z, label)
        own, weight_now = context.params[name], at_step(weight, context.step)
        losses = gan_losses(discriminator, own, real, fake, key=gan_key if context.train else None)
        if label is not None:
            assert prior.classes is not None
            known = jnp.where(label < prior.classes, losses.discriminator, jnp.nan)
            losses = losses._replace(discriminator=known)

        # With respect to the code only: dependence on the label is not penalised.
        def of_code(params: Params, z: Array, **options: Any) -> Array:
            return discriminator.apply(params, with_label(z, label), **options)

        conditioned = Network(discriminator.init, of_code)
        r1_terms = lazy_r1_terms(
            name,
            conditioned,
            own,
            drawn,
            weight=r1,
            key=r1_key,
            step=context.step,
            train=context.train,
        )
        return (*losses.terms(name, weight_now), *r1_terms)

    options = (("weight", weight), ("r1", r1), ("labels", labels))
    model = base.add(Penalty(name, apply, options, init))._replace(monitor=None)
    return with_prior(model, prior) if view is None else model
