"""Games of two players as one loss: who sees which gradient, an optimizer for each, who has won.

In a game two losses pull at different parameters. Here their sum is one loss in which each part sees
only its own player's parameters, and `stop_gradient` hides the rest. The gradient of the sum is then
the two separate gradients side by side, and one train step serves: both players move at the same time,
each against the other as it was before. :func:`players` gives each its own optimizer, and
:func:`every` lets one of them move less often.
"""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.base import Network, Output, Params

WON = 0.99
"""A discriminator that is right this often has won: there is nothing left to learn from it."""

LOST = 0.15
"""One that is right as seldom as this is led by the nose."""


class Game(NamedTuple):
    """Both sides of a game, for each example.

    Attributes:
      discriminator: `[b]`, the cross-entropy of telling real from fake, in nats: 2 log 2 for one that
        cannot. Its gradient is the discriminator's alone.
      fooled: `[b]`, the cross-entropy of the fakes being taken for real ones, in nats: log 2 where
        they cannot be told. Its gradient is that of whoever made the fakes.
      accuracy: `[b]`, how much of it (0, 1/2 or 1) the discriminator got right.
    """

    discriminator: Float[Array, " b"]
    fooled: Float[Array, " b"]
    accuracy: Float[Array, " b"]


def play(
    discriminator: Network,
    params: Params,
    real: Float[Array, "b ..."],
    fake: Float[Array, "b ..."],
    *,
    key: PRNGKeyArray | None = None,
) -> Game:
    r"""What a discriminator and the maker of fakes each want, from logits, without saturation.

    .. math:: L_D = -\log \sigma(D(x)) - \log(1 - \sigma(D(\operatorname{sg} \tilde x))), \qquad
              L_G = -\log \sigma(D_{\operatorname{sg}}(\tilde x))

    Args:
      discriminator: from real or fake things to one logit, `[b, 1]`; each from itself alone.
      params: of the discriminator.
      real: `[b, ...]`.
      fake: `[b, ...]`.
      key: for the discriminator's dropout.

    Raises:
      ValueError: if the discriminator gives anything but one logit for each.

    Examples:
      >>> double = Network(lambda key, x: 2.0, lambda params, x, *, key=None: params * x)
      >>> game = play(double, 2.0, jnp.array([[1.0]]), jnp.array([[-1.0]]))
      >>> [round(float(value[0]), 3) for value in game]
      [0.254, 2.127, 1.0]

    References:
      Goodfellow et al., `Generative Adversarial Networks <https://arxiv.org/abs/1406.2661>`_,
      section 3.
    """
    real_key, fake_key, fooled_key = (None,) * 3 if key is None else jax.random.split(key, 3)
    frozen = jax.lax.stop_gradient(params)
    of_real = logits(discriminator, params, jax.lax.stop_gradient(real), real_key)
    of_fake = logits(discriminator, params, jax.lax.stop_gradient(fake), fake_key)
    # The same function at the same point: compiled, and without dropout, it is computed once.
    fooled = jax.nn.softplus(-logits(discriminator, frozen, fake, fooled_key))
    right = (of_real > 0).astype(jnp.float32) + (of_fake < 0).astype(jnp.float32)
    return Game(jax.nn.softplus(-of_real) + jax.nn.softplus(of_fake), fooled, right / 2)


def add_game(out: Output, name: str, game: Game, weight: float | Array = 1.0) -> Output:
    """Adds both sides of a game to a loss, as the terms `name`, `name_fooled` and `name_accuracy`.

    Args:
      out: the loss so far.
      name: of the discriminator.
      game: what :func:`play` returned.
      weight: of what the maker of the fakes wants.

    Examples:
      >>> game = Game(jnp.ones(2), 3 * jnp.ones(2), jnp.zeros(2))
      >>> out = add_game(Output(jnp.zeros(2), {}, jnp.zeros((2, 1))), "judge", game, 2.0)
      >>> out.loss.tolist(), list(out.terms)
      ([7.0, 7.0], ['judge', 'judge_fooled', 'judge_accuracy'])
    """
    out = out.add(name, game.discriminator).add(f"{name}_fooled", game.fooled, weight)
    return out.add(f"{name}_accuracy", game.accuracy, 0.0)


def slope(
    discriminator: Network,
    params: Params,
    real: Float[Array, "b ..."],
    *,
    key: PRNGKeyArray | None = None,
) -> Float[Array, " b"]:
    r"""The squared slope of the discriminator at real examples: the penalty R1.

    .. math:: \lVert \nabla_x D(x) \rVert^2

    It is what makes the game settle: at the end, where fakes are as real ones, there is no slope left
    to push them away.

    Examples:
      >>> double = Network(lambda key, x: 2.0, lambda params, x, *, key=None: params * x)
      >>> slope(double, 2.0, jnp.array([[1.0], [5.0]])).tolist()
      [4.0, 4.0]

    References:
      Mescheder, Geiger and Nowozin, `Which Training Methods for GANs do actually Converge?
      <https://arxiv.org/abs/1801.04406>`_.
    """
    gradient = jax.grad(lambda x: jnp.sum(logits(discriminator, params, x, key)))
    return jnp.sum(jnp.square(gradient(real)).reshape(len(real), -1), axis=1)


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


def players(
    others: optax.GradientTransformation, **optimizers: optax.GradientTransformation
) -> optax.GradientTransformation:
    """An optimizer for each player: for the networks that are named, and one for all others.

    Args:
      others: for all networks that are not named.
      optimizers: `discriminator=optax.adam(1e-4)`, for one; the names are those of `model.init`.

    Raises:
      ValueError: by `init`, if the model has no such network.

    Examples:
      >>> optimizer = players(optax.sgd(1.0), discriminator=optax.sgd(0.1))
      >>> params = {"encoder": jnp.zeros(1), "discriminator": jnp.zeros(1)}
      >>> updates, _ = optimizer.update(jax.tree.map(jnp.ones_like, params), optimizer.init(params))
      >>> {name: round(float(update[0]), 2) for name, update in updates.items()}
      {'discriminator': -0.1, 'encoder': -1.0}
    """

    def labels(params: Params) -> dict[str, str]:
        if missing := sorted(optimizers.keys() - params.keys()):
            raise ValueError(f"the model has no {missing[0]!r}, only {', '.join(params)}")
        return {name: name if name in optimizers else _OTHERS for name in params}

    return optax.partition({**optimizers, _OTHERS: others}, labels)


_OTHERS = "(others)"


def every(optimizer: optax.GradientTransformation, steps: int) -> optax.GradientTransformation:
    """An optimizer that moves only every so many steps, the last of them, and then by that gradient.

    Given to the generator, the discriminator makes `steps` steps for each one of its.

    Raises:
      ValueError: if the number is not positive.

    Examples:
      >>> optimizer = every(optax.sgd(1.0), 2)
      >>> state = optimizer.init(jnp.zeros(1))
      >>> for _ in range(4):
      ...     update, state = optimizer.update(jnp.ones(1), state)
      ...     print(abs(update).tolist())
      [0.0]
      [1.0]
      [0.0]
      [1.0]
    """
    if steps < 1:
        raise ValueError(f"the number of steps must be positive, got {steps}")
    if steps == 1:
        return optimizer
    return optax.conditionally_mask(optimizer, lambda step, **_: step % steps == steps - 1)


def verdict(record: Mapping[str, float | int]) -> str | None:
    """Who has won, in one line, from the record of an epoch; None while the game is open.

    Examples:
      >>> verdict({"epoch": 3, "train/discriminator_fooled": 9.0,
      ...          "train/discriminator_accuracy": 0.999})
      'epoch 3: the discriminator has won, right 99.9 % of the time: the other player learns nothing'
    """
    for name, value in record.items():
        player = name.removeprefix("train/").removesuffix("_accuracy")
        if name != f"train/{player}_accuracy" or f"train/{player}_fooled" not in record:
            continue
        player = player if player == "discriminator" else f"discriminator of {player}"
        right = f"right {100 * value:.1f} % of the time"
        if value > WON:
            return (
                f"epoch {record['epoch']}: the {player} has won, {right}: the other player learns "
                "nothing"
            )
        if value < LOST:
            return f"epoch {record['epoch']}: the {player} has lost, {right}: it teaches nothing"
    return None
