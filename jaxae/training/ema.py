"""An exponential moving average of the parameters, kept by the optimizer."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Integer

from jaxae.base import Params


class EmaState(NamedTuple):
    """The state of :func:`with_ema`.

    Attributes:
      inner: the state of the optimizer.
      steps: the number of updates.
      total: the weighted sum of the parameters after each update; see :func:`ema_params`.
      rate: 1 - beta, which float32 represents more precisely than beta.
    """

    inner: optax.OptState
    steps: Integer[Array, ""]
    total: Params
    rate: Float[Array, ""]


def with_ema(
    optimizer: optax.GradientTransformation, decay: float
) -> optax.GradientTransformationExtraArgs:
    r"""The same optimizer, which also keeps a moving average of the parameters.

    .. math:: \bar \theta_t = \frac{1 - \beta}{1 - \beta^t} \sum_{i=1}^t \beta^{t-i} \theta_i

    The updates are those of the optimizer. The average often makes better samples than the last
    parameters, above all in adversarial training, where the parameters do not settle.
    `fit(..., ema=0.999)` uses it.

    Args:
      optimizer: from optax; `value`, `grad` and `value_fn` are passed on to it.
      decay: beta; the average is over about 1 / (1 - beta) updates.

    Raises:
      ValueError: if the decay is not in [0, 1).

    Examples:
      >>> optimizer = with_ema(optax.sgd(1.0), 0.5)
      >>> params = jnp.zeros(1)
      >>> state = optimizer.init(params)
      >>> for _ in range(2):  # 1, 2
      ...     updates, state = optimizer.update(-jnp.ones(1), state, params)
      ...     params = optax.apply_updates(params, updates)
      >>> round(float(ema_params(state)[0]), 3)  # (1 + 2 * 2) / 3
      1.667

    References:
      Yazıcı et al., `The Unusual Effectiveness of Averaging in GAN Training
      <https://arxiv.org/abs/1806.04498>`_; the correction of the bias towards
      zero is that of Adam.
    """
    if not 0 <= decay < 1:
        raise ValueError(f"the decay of an average must be in [0, 1), got {decay}")
    optimizer = optax.with_extra_args_support(optimizer)

    def init(params: Params) -> EmaState:
        total = jax.tree.map(jnp.zeros_like, params)
        zero = jnp.zeros((), jnp.int32)
        return EmaState(optimizer.init(params), zero, total, jnp.float32(1 - decay))

    def update(
        updates: Params, state: EmaState, params: Params | None = None, **extra: Any
    ) -> tuple[Params, EmaState]:
        if params is None:
            raise ValueError("with_ema needs the parameters: update(updates, state, params)")
        updates, inner = optimizer.update(updates, state.inner, params, **extra)
        after = optax.apply_updates(params, updates)
        total = optax.incremental_update(after, state.total, 1 - decay)
        return updates, EmaState(inner, state.steps + 1, total, state.rate)

    return optax.GradientTransformationExtraArgs(init, update)


def ema_params(state: EmaState) -> Params:
    """The moving average that :func:`with_ema` keeps, of the structure of the parameters.

    It is nan before the first update.

    Examples:
      >>> state = with_ema(optax.sgd(1.0), 0.9).init(jnp.zeros(1))
      >>> _, state = with_ema(optax.sgd(1.0), 0.9).update(-jnp.ones(1), state, jnp.zeros(1))
      >>> round(float(ema_params(state)[0]), 3)
      1.0
    """
    share = -jnp.expm1(state.steps * jnp.log1p(-state.rate))  # 1 - beta ** steps
    return jax.tree.map(lambda total: total / share, state.total)
