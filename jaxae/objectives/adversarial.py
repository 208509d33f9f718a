"""Losses of a discriminator and a generator as terms of one loss.

Two players pull at different parameters. Here the sum of their losses is one loss, in which each part
has a gradient for its own player's parameters only; `stop_gradient` hides the others. The gradient of
the sum is then the two separate gradients side by side, and one train step updates both players at the
same time, each against the other as it was before the step. :func:`jaxae.training.partition` gives
each player its own optimizer, and :func:`jaxae.training.every` updates one of them less often.
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
      discriminator: `[b]`, the cross-entropy of telling real from fake, in nats: 2 log 2 for one that
        cannot. It has a gradient for the discriminator alone.
      generator: `[b]`, the cross-entropy of fakes being classified as real, in nats: log 2 where they
        cannot be told apart. It has a gradient for whatever made the fakes.
      accuracy: `[b]`, the fraction (0, 1/2 or 1) that the discriminator classified correctly.
    """

    discriminator: Float[Array, " b"]
    generator: Float[Array, " b"]
    accuracy: Float[Array, " b"]

    def terms(self, name: str, weight: float | Array = 1.0) -> tuple[Term, Term, Term]:
        """Both losses and the accuracy as terms of a model's loss.

        Args:
          name: of the discriminator, with which the names of the terms begin.
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
    r"""The losses of a discriminator and of the generator of fakes, from logits; they do not saturate.

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

    With it training converges: where fakes are distributed like real examples, the discriminator has no
    gradient left that would push them away.

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
    """The penalty R1 as a term, with half its weight; none if the weight is zero.

    In training it may be computed only every so many steps, and then weighs as many times more, so that
    the mean is right (Karras et al., `Analyzing and Improving the Image Quality of StyleGAN
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
        value = jax.lax.cond(turn, lambda: every * compute(), lambda: jnp.zeros(len(real)))
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
