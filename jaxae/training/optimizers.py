"""Optimizers for several networks: one for each, and one that updates less often."""

import optax

from jaxae.base import Params


def partition(
    others: optax.GradientTransformation, **optimizers: optax.GradientTransformation
) -> optax.GradientTransformation:
    """An optimizer for each network that is named, and one for all others.

    Args:
      others: for all networks that are not named.
      optimizers: `discriminator=optax.adam(1e-4)`, for one; the names are those of `model.init`.

    Raises:
      ValueError: by `init`, if the model has no such network.

    Examples:
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

    return optax.partition({**optimizers, _OTHERS: others}, labels)


_OTHERS = "(others)"


def every(optimizer: optax.GradientTransformation, steps: int) -> optax.GradientTransformation:
    """An optimizer that updates only once in so many steps, by the gradient of the last of them.

    Given to the generator, the discriminator makes `steps` updates for each of the generator's.

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
