"""One step of training, and one epoch in a single `jit`, as pure functions.

Every random number is a function of (key, step): no generator has state, so that a run that was
stopped and resumed draws the same permutations and the same noise as one that was not.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jax.stages import Wrapped
from jaxtyping import Array, Integer, Key, PRNGKeyArray

from jaxae.base import Batch, Params
from jaxae.composition import Autoencoder, as_batch
from jaxae.runtime import sharding
from jaxae.training.batches import (
    Data,
    Transform,
    batched,
    check_batch_size,
    check_per_example,
    count,
    epoch_order,
    taker,
    transformed,
)


class TrainState(NamedTuple):
    """All that training carries from one step to the next.

    Attributes:
      step: how many updates were made, int32.
      params: of the model.
      opt_state: of the optimizer.
    """

    step: Integer[Array, ""]
    params: Params
    opt_state: optax.OptState


StepFunction = Callable[[TrainState, PRNGKeyArray, Data], tuple[TrainState, dict[str, Array]]]


def init_state(
    model: Autoencoder,
    optimizer: optax.GradientTransformation,
    key: PRNGKeyArray,
    batch: Data,
) -> TrainState:
    """The state before the first step; the parameters are initialised from a real batch."""
    params = model.init(key, batch)
    return TrainState(jnp.zeros((), jnp.int32), params, optimizer.init(params))


def make_step(
    model: Autoencoder,
    optimizer: optax.GradientTransformation,
    *,
    transform: Transform | None = None,
    accumulate: int = 1,
    skip_nonfinite: bool = False,
) -> StepFunction:
    """One update of the parameters as a pure function, to be compiled by the caller.

    Args:
      model: any autoencoder.
      optimizer: from optax.
      transform: applied to the images first, with fresh randomness each step.
      accumulate: in how many parts the batch passes the model, one after the other; the update is by the
        mean of their gradients, and the activations take so many times less memory. (Of a model that
        compares the examples of a batch the parts are compared.)
      skip_nonfinite: whether an update is dropped when the loss, a term or the gradient is not finite;
        there is then a metric `skipped`, 1 where it was. The step counts all the same.

    Returns:
      `(state, key, x) -> (state, metrics)`; `x` is images or a pair of images and targets, the
      randomness of the step is `fold_in(key,
      state.step)`, and the metrics are the mean loss and the mean of every term, in nats.

    Examples:
      >>> import jaxae
      >>> model = jaxae.autoencoder(jaxae.networks.mlp_encoder(2), jaxae.networks.mlp_decoder((8, 8, 1)))
      >>> optimizer = optax.adam(1e-3)
      >>> images = jnp.zeros((4, 8, 8, 1))
      >>> state = init_state(model, optimizer, jax.random.key(0), images)
      >>> step = jax.jit(make_step(model, optimizer))
      >>> state, metrics = step(state, jax.random.key(1), images)
      >>> int(state.step), sorted(metrics)
      (1, ['distortion', 'loss'])
    """
    if accumulate < 1:
        raise ValueError(f"a batch passes the model in at least one part, got {accumulate}")

    def step(
        state: TrainState, key: PRNGKeyArray, data: Data
    ) -> tuple[TrainState, dict[str, Array]]:
        transform_key, loss_key = jax.random.split(jax.random.fold_in(key, state.step))
        batch = transformed(as_batch(data), transform_key, transform)

        def objective(
            params: Params, key: PRNGKeyArray, batch: Batch
        ) -> tuple[Array, dict[str, Array]]:
            out = model.loss(params, key, batch, step=state.step, train=True)
            reported = {**out.terms, **out.metrics}
            check_per_example({"loss": out.loss, **reported}, count(batch))
            return jnp.mean(out.loss), {name: jnp.mean(v) for name, v in reported.items()}

        value_and_grad = jax.value_and_grad(objective, has_aux=True)
        if accumulate == 1:
            (loss, terms), gradient = value_and_grad(state.params, loss_key, batch)
        else:
            keys = jax.random.split(loss_key, accumulate)
            one = partial(value_and_grad, state.params)
            (loss, terms), gradient = _mean_of_parts(one, accumulate, keys, batch)
        updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        after, metrics = TrainState(state.step + 1, params, opt_state), {"loss": loss, **terms}
        if skip_nonfinite:
            before = state._replace(step=after.step)
            good = all_finite((metrics, gradient)) & still_finite(before, after)
            after = jax.tree.map(lambda new, old: jnp.where(good, new, old), after, before)
            metrics["skipped"] = 1.0 - good.astype(jnp.float32)
        return after, metrics

    return step


def _mean_of_parts(
    function: Callable[..., Any], parts: int, keys: Key[Array, " parts"], batch: Batch
) -> Any:
    """The mean of what a function makes of each part of a batch, one part after the other."""

    def divided(array: Array) -> Array:
        # Every device has examples of each part.
        rows = array.reshape(array.shape[0] // parts, parts, *array.shape[1:])
        return jnp.swapaxes(rows, 0, 1)

    batches = jax.tree.map(divided, batch)
    shapes = jax.eval_shape(lambda: function(keys[0], jax.tree.map(lambda a: a[0], batches)))
    total = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)

    def add(total: Any, part: Any) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, function(*part)), None

    total, _ = jax.lax.scan(add, total, (keys, batches))
    return jax.tree.map(lambda value: value / parts, total)


def make_epoch(
    model: Autoencoder,
    optimizer: optax.GradientTransformation,
    batch_size: int,
    *,
    transform: Transform | None = None,
    mesh: Mesh | None = None,
) -> Wrapped:
    """A whole epoch as one compiled program: a permutation, and a scan over its batches.

    Args:
      model: any autoencoder.
      optimizer: from optax.
      batch_size: the batch over all devices; examples left over wait for the next permutation.
      transform: as in :func:`make_step`.
      mesh: to divide each batch over its devices.

    Returns:
      `(state, key, images) -> (state, metrics)`, compiled; the state is donated, `images` are
      bytes or floats on the device, `[n, h, w, c]`, or a pair of them and their targets, and each of
      the metrics is `[steps]`.

    Raises:
      ValueError: if a batch is larger than the data, or does not divide by the devices.
    """
    step = make_step(model, optimizer, transform=transform)
    if mesh is not None:
        sharding.check_divides(batch_size, mesh)

    @partial(jax.jit, donate_argnums=0)
    def epoch(
        state: TrainState, key: PRNGKeyArray, data: Data
    ) -> tuple[TrainState, dict[str, Array]]:
        n = count(data)
        check_batch_size(batch_size, n)
        order_key, step_key = jax.random.split(key)
        batches = batched(epoch_order(order_key, state.step, n), batch_size)
        if mesh is not None:
            batches = sharding.split(batches, mesh, axis=1)
        take = taker(data)
        return jax.lax.scan(lambda state, index: step(state, step_key, take(index)), state, batches)

    return epoch


@jax.jit
def still_finite(before: Any, after: Any) -> Array:
    """Whether every number of a tree is finite that was finite before.

    An optimizer may begin with an infinite best score; and a gradient that is large and finite makes
    the mean of its squares infinite.
    """
    pairs = zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
    sound = [jnp.all(jnp.isfinite(new) | ~jnp.isfinite(old)) for old, new in pairs]
    return jnp.all(jnp.array(sound))


@jax.jit
def all_finite(tree: Any) -> Array:
    """Whether every number of a tree is finite."""
    return jnp.all(jnp.array([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]))
