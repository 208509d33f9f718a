"""Losses of a discriminator and a generator as terms of one loss.

The discriminator and the generator minimise different losses. Here one loss is the sum of both, in which
`stop_gradient` leaves each part a gradient for its own parameters only. The gradient of the sum then
consists of the two separate gradients, and one train step updates both networks simultaneously.
:func:`jaxae.training.partition` gives each network its own optimizer, and
:func:`jaxae.training.every` updates one of them less often.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.arrays import Step, Weight, at_step, sum_values
from jaxae.base import Network, Params, Term


class GanLosses(NamedTuple):
    """The losses of both players, for each example.

    Attributes:
      discriminator: `[b]`, the cross-entropy of classifying real and fake, in nats; 2 log 2 at chance
        level. It has a gradient for the discriminator only.
      generator: `[b]`, the cross-entropy of fakes being classified as real, in nats; log 2 at chance
        level. It has a gradient for the generator of the fakes only.
      accuracy: `[b]`, the fraction (0, 1/2 or 1) that the discriminator classified correctly.
    """

    discriminator: Float[Array, " b"]
    generator: Float[Array, " b"]
    accuracy: Float[Array, " b"]

    def terms(self, name: str, weight: float | Array = 1.0) -> tuple[Term, Term, Term]:
        """Both losses and the accuracy as terms of a model's loss.

        Args:
          name: of the discriminator; the names of the terms begin with it.
          weight: of the generator's loss.

        Examples:
          >>> losses = GanLosses(jnp.ones(2), jnp.ones(2), jnp.ones(2))
          >>> [term.name for term in losses.terms("critic")]
          ['critic_loss', 'critic_generator_loss', 'critic_accuracy']
        """
        return (
            Term(f"{name}_loss", self.discriminator),
            Term(f"{name}_generator_loss", self.generator, weight),
            Term(f"{name}_accuracy", self.accuracy, None),
        )


def gan_losses(
    discriminator: Network,
    params: Params,
    real: Float[Array, "b ..."],
    fake: Float[Array, "b ..."],
    *,
    key: PRNGKeyArray | None = None,
) -> GanLosses:
    r"""The non-saturating losses of a discriminator and a generator, computed from logits.

    .. math:: L_D = -\log \sigma(D(x)) - \log(1 - \sigma(D(\operatorname{sg} \tilde x))), \qquad
              L_G = -\log \sigma(D_{\operatorname{sg}}(\tilde x))

    Args:
      discriminator: from real or fake examples to one logit each, `[b, 1]`.
      params: of the discriminator.
      real: `[b, ...]`.
      fake: `[b, ...]`.
      key: for the discriminator's dropout.

    Raises:
      ValueError: if the discriminator gives anything but one logit for each example.

    Examples:
      >>> double = Network(lambda key, x: 2.0, lambda params, x, *, key=None: params * x)
      >>> losses = gan_losses(double, 2.0, jnp.array([[1.0]]), jnp.array([[-1.0]]))
      >>> [round(float(value[0]), 3) for value in losses]
      [0.254, 2.127, 1.0]

    References:
      Goodfellow et al., `Generative Adversarial Networks <https://arxiv.org/abs/1406.2661>`_,
      section 3.
    """
    real_key, fake_key, generator_key = (None,) * 3 if key is None else jax.random.split(key, 3)
    frozen = jax.lax.stop_gradient(params)
    of_real = logits(discriminator, params, jax.lax.stop_gradient(real), real_key)
    of_fake = logits(discriminator, params, jax.lax.stop_gradient(fake), fake_key)
    # The same function at the same point: compiled, and without dropout, it is computed once.
    generator = jax.nn.softplus(-logits(discriminator, frozen, fake, generator_key))
    right = (of_real > 0).astype(jnp.float32) + (of_fake < 0).astype(jnp.float32)
    return GanLosses(jax.nn.softplus(-of_real) + jax.nn.softplus(of_fake), generator, right / 2)


def r1_penalty(
    discriminator: Network,
    params: Params,
    real: Float[Array, "b ..."],
    *,
    key: PRNGKeyArray | None = None,
) -> Float[Array, " b"]:
    r"""The squared norm of the discriminator's gradient at real examples.

    .. math:: \lVert \nabla_x D(x) \rVert^2

    It makes training converge: once fakes are distributed like real examples, the discriminator has no
    gradient that would push them away again.

    Examples:
      >>> double = Network(lambda key, x: 2.0, lambda params, x, *, key=None: params * x)
      >>> r1_penalty(double, 2.0, jnp.array([[1.0], [5.0]])).tolist()
      [4.0, 4.0]

    References:
      Mescheder, Geiger and Nowozin, `Which Training Methods for GANs do actually Converge?
      <https://arxiv.org/abs/1801.04406>`_.
    """
    gradient = jax.grad(lambda x: jnp.sum(logits(discriminator, params, x, key)))
    return sum_values(jnp.square(gradient(real)))


def lazy_r1_terms(
    name: str,
    discriminator: Network,
    params: Params,
    real: Float[Array, "b ..."],
    *,
    weight: Weight,
    every: int = 1,
    key: PRNGKeyArray,
    step: Step,
    train: bool,
) -> tuple[Term, ...]:
    """The R1 penalty as a term with half the weight; no term if the weight is zero.

    In training it may be computed every few steps only. It is then multiplied by the interval, so that
    its mean over steps is right (Karras et al., `Analyzing and Improving the Image Quality of StyleGAN
    <https://arxiv.org/abs/1912.04958>`_, appendix B).
    """
    if not callable(weight) and weight == 0:
        return ()

    def compute() -> Array:
        return r1_penalty(discriminator, params, real, key=key if train else None)

    if every == 1 or not train:
        value = compute()
    else:
        turn = jnp.asarray(step) % every == 0
        value = jax.lax.cond(
            turn, lambda: every * compute(), lambda: jnp.zeros(len(real), jnp.float32)
        )
    return (Term(f"{name}_r1_penalty", value, 0.5 * at_step(weight, step)),)


def logits(
    discriminator: Network, params: Params, x: Array, key: PRNGKeyArray | None
) -> Float[Array, " b"]:
    """One logit for each example, float32."""
    outputs = discriminator.apply(params, x, key=key)
    if outputs.shape != (len(x), 1):
        raise ValueError(
            f"a discriminator gives one logit for each example, [b, 1], but this one gave "
            f"[b, {', '.join(map(str, outputs.shape[1:]))}]"
        )
    return outputs[:, 0].astype(jnp.float32)
