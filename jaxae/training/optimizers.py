"""Optimizers for several networks: one for each, and one that updates less often."""

from collections.abc import Callable
from typing import Any

import optax

from jaxae.base import Params


def partition(
    others: optax.GradientTransformation, **optimizers: optax.GradientTransformation
) -> optax.GradientTransformationExtraArgs:
    """An optimizer for each network that is named, and one for all others.

    Args:
      others: for all networks that are not named.
      optimizers: for example `discriminator=optax.adam(1e-4)`; the names are those of `model.init`.

    Returns:
      an optimizer that passes `value`, `grad` and `value_fn` on. Each of its optimizers sees the gradient
      of its own networks, and `value_fn` as a function of their parameters, the others being fixed.

    Raises:
      ValueError: by `init`, if the model has no such network.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> optimizer = partition(optax.sgd(1.0), discriminator=optax.sgd(0.1))
      >>> params = {"encoder": jnp.zeros(1), "discriminator": jnp.zeros(1)}
      >>> updates, _ = optimizer.update(jax.tree.map(jnp.ones_like, params), optimizer.init(params))
      >>> {name: round(float(update[0]), 2) for name, update in updates.items()}
      {'discriminator': -0.1, 'encoder': -1.0}
    """

    def labels(params: Params) -> dict[str, str]:
        if missing := sorted(optimizers.keys() - params.keys()):
            raise ValueError(f"the model has no {missing[0]!r}, only {', '.join(params)}")
        return {name: name if name in optimizers else _OTHERS for name in params}

    inner = optax.partition(
        {**optimizers, _OTHERS: others}, labels, mask_compatible_extra_args=True
    )

    def update(
        updates: Params, state: optax.OptState, params: Params | None = None, **extra: Any
    ) -> tuple[Params, optax.OptState]:
        if params is not None and "value_fn" in extra:
            extra["value_fn"] = _completed(extra["value_fn"], params)
        return inner.update(updates, state, params, **extra)

    return optax.GradientTransformationExtraArgs(inner.init, update)


_OTHERS = "(others)"


def _completed(function: Callable[[Params], Any], params: Params) -> Callable[[Params], Any]:
    """A function of all parameters as one of those of some networks; the others are `params`."""

    def of_some(some: Params) -> Any:
        return function(
            {
                name: params[name] if isinstance(own, optax.MaskedNode) else own
                for name, own in some.items()
            }
        )

    return of_some


def every(
    optimizer: optax.GradientTransformation, steps: int
) -> optax.GradientTransformationExtraArgs:
    """An optimizer that updates only once in `steps` steps, by the gradient of the last of them.

    Given to the generator, the discriminator makes `steps` updates for each of the generator's.

    Raises:
      ValueError: if the number is not positive.

    Examples:
      >>> import jax.numpy as jnp
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
        return optax.with_extra_args_support(optimizer)
    return optax.conditionally_mask(optimizer, lambda step, **_: step % steps == steps - 1)
