"""Adversarial autoencoders: all codes together become the prior, by a discriminator that tells them apart."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.base import (
    Autoencoder,
    Network,
    Output,
    Params,
    Step,
    Target,
    Weight,
    at_step,
    check_weights,
    merge,
    what_and_label,
)
from jaxae.distributions.priors import Prior, check_size, with_prior
from jaxae.objectives.adversarial import add_game, play, slope

View = Callable[[Float[Array, "b d"]], Float[Array, "b e"]]
"""The part of a code that is compared with a prior."""


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
    r"""A model whose codes a discriminator cannot tell from draws of a prior.

    .. math:: L'(x) = L(x) - \lambda \log \sigma(D_{\operatorname{sg}}(z)) + L_D, \qquad
              L_D = -\log \sigma(D(p)) - \log(1 - \sigma(D(\operatorname{sg} z)))
              + \tfrac{\gamma}{2} \lVert \nabla D(p) \rVert^2, \quad p \sim p(z)

    One loss, and both players in it: the encoder's terms do not see the discriminator's parameters, and
    the discriminator's terms do not see the encoder's. The loss itself goes nowhere in particular; look
    at the terms.

    Args:
      base: any autoencoder; of a VAE, with its own `beta` at zero.
      discriminator: from codes, `[b, d]`, to a logit, `[b, 1]`: `mlp_encoder(1, (256, 256))`, for one.
        With `labels` its input is a code and a one-hot label, `[b, d + classes + 1]`.
      prior: of codes of this size.
      weight: lambda, of what the encoder does to fool the discriminator; a constant or a schedule.
      r1: gamma, of the discriminator's squared slope.
      labels: whether a code of a known class should look like the prior of that class; labels are the
        targets of the training (-1 where there is none, and the last of the one-hot values).
      view: what of the code is compared; the code itself when None. A part of a code is nothing to
        sample from: with a view the model keeps the `sample` of the base, if it has one, until
        :func:`jaxae.priors.with_prior` gives it another.
      name: of the discriminator among parameters and terms.

    Returns:
      an :class:`Autoencoder` that samples from the prior (without a view). Its loss has the terms
      `discriminator`, the cross-entropy of real and fake codes (2 log 2 when it cannot tell);
      `discriminator_fooled`, that of codes taken for draws of the prior (log 2);
      `discriminator_accuracy`; and with `r1` `discriminator_slope`.

    Raises:
      ValueError: if a weight is out of range, or `labels` are asked for and the prior has no classes;
        by `loss`, if the codes have another size. A label that is no class makes the loss nan.

    Examples:
      >>> import jaxae
      >>> base = jaxae.autoencoder(jaxae.mlp_encoder(2), jaxae.mlp_decoder((8, 8, 1)))
      >>> model = adversarial(base, jaxae.mlp_encoder(1, (64,)), jaxae.priors.standard_normal(2))
      >>> images = jnp.zeros((4, 8, 8, 1))
      >>> params = model.init(jax.random.key(0), images)
      >>> sorted(params), sorted(model.loss(params, jax.random.key(1), images).terms)[:2]
      (['decoder', 'discriminator', 'encoder'], ['discriminator', 'discriminator_accuracy'])

    References:
      Makhzani et al., `Adversarial Autoencoders <https://arxiv.org/abs/1511.05644>`_.
    """
    check_weights(weight=weight, r1=r1)
    if labels and (prior.given is None or prior.classes is None):
        raise ValueError("this prior has no classes for labels to choose from")
    penalised = callable(r1) or r1 > 0

    def shown(z: Array, label: Array | None) -> Array:
        if label is None:
            return z
        assert prior.classes is not None
        number = jnp.where(label < 0, prior.classes, label)
        return jnp.concatenate([z, jax.nn.one_hot(number, prior.classes + 1)], axis=-1)

    def draw(key: PRNGKeyArray, n: int, label: Array | None) -> Array:
        if label is None:
            return prior.sample(key, n)
        assert prior.given is not None
        return prior.given(key, label)

    def init(key: PRNGKeyArray, x: Array) -> Params:
        base_key, key = jax.random.split(key)
        label = jnp.full(len(x), -1) if labels else None
        codes = shown(jnp.zeros((len(x), prior.size)), label)
        return merge(base.init(base_key, x), {name: discriminator.init(key, codes)})

    def loss(
        params: Params,
        key: PRNGKeyArray,
        x: Array,
        *,
        target: Target = None,
        step: Step = 0,
        train: bool = True,
    ) -> Output:
        base_key, prior_key, play_key, slope_key = jax.random.split(key, 4)
        label = what_and_label(x, target)[1] if labels else None
        if labels and label is None:
            label = jnp.full(len(x), -1)
        out = base.loss(params, base_key, x, target=target, step=step, train=train)
        z = out.latent if view is None else view(out.latent)
        check_size(z, prior)
        drawn = draw(prior_key, len(x), label)
        real, fake = shown(drawn, label), shown(z, label)
        mine = params[name]
        game = play(discriminator, mine, real, fake, key=play_key if train else None)
        if label is not None:
            assert prior.classes is not None
            cost = jnp.where(label < prior.classes, game.discriminator, jnp.nan)
            game = game._replace(discriminator=cost)
        out = add_game(out, name, game, at_step(weight, step))
        if penalised:
            # By the code alone: how much a label matters is not to be punished.
            judge = Network(
                discriminator.init,
                lambda p, z, *, key=None: discriminator.apply(p, shown(z, label), key=key),
            )
            steepness = slope(judge, mine, drawn, key=slope_key if train else None)
            out = out.add(f"{name}_slope", steepness, 0.5 * at_step(r1, step))
        return out

    model = base._replace(init=init, loss=loss)
    return with_prior(model, prior) if view is None else model


def supervised(base: Autoencoder, classes: int, *, weight: Weight = 1.0) -> Autoencoder:
    r"""A model the first values of whose code are the logits of classes, known for some examples.

    .. math:: L'(x, y) = L(x) - \lambda \, [y \geq 0] \, \log \operatorname{softmax}(z_{1 \dots k})_y

    Args:
      base: any autoencoder with a code of more than `classes` values; see :func:`categorical_code`.
      classes: k.
      weight: lambda, a constant or a schedule.

    Returns:
      an :class:`Autoencoder` to be trained on pairs of images and labels, -1 where there is none. It
      has the terms `cross_entropy` and `error`, both zero for examples without a label.

    Raises:
      ValueError: if there are fewer than two classes or the weight is out of range.

    Examples:
      >>> import jaxae
      >>> base = jaxae.autoencoder(jaxae.mlp_encoder(3 + 2), jaxae.mlp_decoder((8, 8, 1)))
      >>> model = supervised(base, 3)
      >>> images, labels = jnp.zeros((2, 8, 8, 1)), jnp.array([0, -1])
      >>> params = model.init(jax.random.key(0), images)
      >>> out = model.loss(params, jax.random.key(1), images, target=labels)
      >>> [round(float(cost), 4) for cost in out.terms["cross_entropy"]]
      [1.0986, 0.0]

    References:
      Makhzani et al., `Adversarial Autoencoders <https://arxiv.org/abs/1511.05644>`_, section 5.
    """
    check_weights(weight=weight)
    if classes < 2:
        raise ValueError(f"there are at least two classes, got {classes}")

    def loss(
        params: Params,
        key: PRNGKeyArray,
        x: Array,
        *,
        target: Target = None,
        step: Step = 0,
        train: bool = True,
    ) -> Output:
        label = what_and_label(x, target)[1]
        if label is None:
            label = jnp.full(len(x), -1)
        out = base.loss(params, key, x, target=target, step=step, train=train)
        logits, known = out.latent[:, :classes], label >= 0
        cost = optax.softmax_cross_entropy_with_integer_labels(logits, jnp.maximum(label, 0))
        wrong = known & (jnp.argmax(logits, axis=-1) != label)
        cost = jnp.where(label < classes, jnp.where(known, cost, 0.0), jnp.nan)
        out = out.add("cross_entropy", cost, at_step(weight, step))
        return out.add("error", wrong.astype(jnp.float32), 0.0)

    return base._replace(loss=loss)


def categorical_code(decoder: Network, classes: int) -> Network:
    """A decoder of codes that begin with the logits of classes: it gets their probabilities.

    Examples:
      >>> decoder = categorical_code(Network(lambda key, z: {}, lambda p, z, *, key=None: z), 2)
      >>> decoder.apply({}, jnp.array([[0.0, 0.0, 7.0]])).tolist()
      [[0.5, 0.5, 7.0]]
    """

    def apply(params: Params, z: Array, *, key: PRNGKeyArray | None = None) -> Array:
        probabilities = jax.nn.softmax(z[:, :classes])
        return decoder.apply(params, jnp.concatenate([probabilities, z[:, classes:]], -1), key=key)

    return Network(decoder.init, apply)
