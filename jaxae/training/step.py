"""One training step, and one epoch in a single `jit`, as pure functions.

Every random number is a function of (key, step). There is no generator with state, so a run that was
interrupted and resumed draws the same permutations and the same noise as one that was not.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jax.stages import Wrapped
from jaxtyping import Array, Float, Integer, Key, PRNGKeyArray

from jaxae.arrays import merge
from jaxae.base import Batch, Params
from jaxae.composition import Autoencoder
from jaxae.runtime import sharding
from jaxae.training.batches import (
    Data,
    Transform,
    batched,
    check_batch_size,
    check_per_example,
    count,
    epoch_order,
    step_keys,
    taker,
    transformed,
)


class TrainState(NamedTuple):
    """Everything that training carries from one step to the next.

    Attributes:
      step: the number of updates so far, int32.
      params: of the model.
      opt_state: of the optimizer.
    """

    step: Integer[Array, ""]
    params: Params
    opt_state: optax.OptState


StepFunction = Callable[[TrainState, PRNGKeyArray, Data], tuple[TrainState, dict[str, Array]]]

GRADIENT_NORM = "gradient_norm"
"""The metric that is the norm of the gradient of a step."""
NORM_EVERY = 16
"""Training computes this norm once in so many steps: it reads all of the gradient, which for small models
takes up to a tenth of a step."""
NOT_COMPUTED = -1.0
"""The value of the metric at the other steps."""


def init_state(
    model: Autoencoder,
    optimizer: optax.GradientTransformation,
    key: PRNGKeyArray,
    batch: Data,
) -> TrainState:
    """The state before the first step. The parameters are initialised from a real batch."""
    return start_from(optimizer, model.init(key, batch))


def start_from(optimizer: optax.GradientTransformation, params: Params) -> TrainState:
    """The state before the first step, with given parameters."""
    return TrainState(jnp.zeros((), jnp.int32), params, optimizer.init(params))


def make_step(
    model: Autoencoder,
    optimizer: optax.GradientTransformation,
    *,
    transform: Transform | None = None,
    accumulate: int = 1,
    skip_nonfinite: bool = False,
    norm_every: int | None = None,
) -> StepFunction:
    """One update of the parameters as a pure function, to be compiled by the caller.

    The optimizer also gets `value` (the loss), `grad` (the gradient) and `value_fn` (the loss of this
    batch, with the same randomness, as a function of the parameters), so that
    `optax.contrib.reduce_on_plateau`, `optax.polyak_sgd` and `optax.lbfgs` can be used.

    Args:
      model: any autoencoder.
      optimizer: from optax.
      transform: applied to the batch first, with fresh randomness at each step.
      accumulate: the number of parts that a batch is divided into. The parts pass the model one after
        the other, the update is made with the mean of their gradients, and activations take that many
        times less memory. If the loss of an example depends on the others of its batch, then on those
        of its part.
      skip_nonfinite: whether an update is dropped when the loss, a term or the gradient is not finite.
        There is then a metric `skipped`, 1 where an update was dropped. The step is counted all the
        same.
      norm_every: steps from one computation of the norm of the gradient to the next; None for none.

    Returns:
      `(state, key, batch) -> (state, metrics)`. The randomness of the step is
      `fold_in(key, state.step)`. The metrics are the mean loss and the mean of every term and metric of
      the model, and with `norm_every` also `gradient_norm`, the norm of the gradient of all parameters
      before the optimizer sees it (the largest float where it is not finite, and -1 at steps where it
      is not computed).

    Raises:
      ValueError: when traced, if a term of the model is called `loss` or `gradient_norm`.

    Examples:
      >>> import jaxae
      >>> model = jaxae.autoencoder(jaxae.networks.mlp_encoder(2), jaxae.networks.mlp_decoder((8, 8, 1)))
      >>> optimizer = optax.adam(1e-3)
      >>> images = jnp.zeros((4, 8, 8, 1))
      >>> state = init_state(model, optimizer, jax.random.key(0), images)
      >>> step = jax.jit(make_step(model, optimizer))
      >>> state, metrics = step(state, jax.random.key(1), images)
      >>> int(state.step), sorted(metrics)
      (1, ['distortion', 'loss', 'squared_error'])
    """
    if accumulate < 1:
        raise ValueError(f"accumulate, the number of parts, must be positive, got {accumulate}")
    optimizer = optax.with_extra_args_support(optimizer)

    def step(
        state: TrainState, key: PRNGKeyArray, data: Data
    ) -> tuple[TrainState, dict[str, Array]]:
        transform_key, loss_key = step_keys(key, state.step)
        batch = transformed(data, transform_key, transform)

        def objective(
            params: Params, key: PRNGKeyArray, batch: Batch
        ) -> tuple[Array, dict[str, Array]]:
            out = model.loss(params, key, batch, step=state.step, train=True)
            reported = merge(out.terms, out.metrics)
            check_per_example({"loss": out.loss, **reported}, count(batch))
            return jnp.mean(out.loss), {name: jnp.mean(v) for name, v in reported.items()}

        def over_batch(function: Callable[..., Any]) -> Any:
            """The mean over the parts of a batch of a function of `(key, batch)`."""
            if accumulate == 1:
                return function(loss_key, batch)
            keys = jax.random.split(loss_key, accumulate)
            return _mean_of_parts(function, accumulate, keys, batch)

        def value_fn(params: Params) -> Float[Array, ""]:
            return over_batch(lambda key, batch: objective(params, key, batch)[0])

        value_and_grad = jax.value_and_grad(objective, has_aux=True)
        (loss, terms), gradient = over_batch(partial(value_and_grad, state.params))
        updates, opt_state = optimizer.update(
            gradient, state.opt_state, state.params, value=loss, grad=gradient, value_fn=value_fn
        )
        params = optax.apply_updates(state.params, updates)
        after = TrainState(state.step + 1, params, opt_state)
        if "skipped" in terms:
            raise ValueError("a term cannot be called 'skipped', which counts dropped updates")
        metrics = merge({"loss": loss}, terms)
        if norm_every is not None:
            norm = _gradient_norm_at(state.step % norm_every == 0, gradient)
            metrics = merge(metrics, {GRADIENT_NORM: norm})
        if skip_nonfinite:
            before = state._replace(step=after.step)
            good = all_finite((metrics, gradient)) & still_finite(before, after)
            after = jax.tree.map(lambda new, old: jnp.where(good, new, old), after, before)
            metrics["skipped"] = 1.0 - good.astype(jnp.float32)
        return after, metrics

    return step


def _gradient_norm_at(turn: Array, gradient: Params) -> Float[Array, ""]:
    return jax.lax.cond(turn, _gradient_norm, lambda _: jnp.float32(NOT_COMPUTED), gradient)


def _gradient_norm(gradient: Params) -> Float[Array, ""]:
    # A finite number in any case: the square of a large gradient overflows where the gradient does not,
    # and clipping may still make a good update of it.
    # Products of all axes, which XLA on CPU computes faster than sums of squares.
    leaves = [leaf.astype(jnp.float32) for leaf in jax.tree.leaves(gradient)]
    squares = [jnp.tensordot(x, x, x.ndim, precision="highest") for x in leaves]
    norm = jnp.sqrt(sum(squares, jnp.float32(0)))
    largest = jnp.finfo(jnp.float32).max
    return jnp.nan_to_num(norm, nan=largest, posinf=largest)


def _mean_of_parts(
    function: Callable[..., Any], parts: int, keys: Key[Array, " parts"], batch: Batch
) -> Any:
    """The mean of `function(key, part)` over the parts of a batch, one part after the other."""

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
    norm_every: int | None = None,
    mesh: Mesh | None = None,
) -> Wrapped:
    """A whole epoch as one compiled program: a permutation, and a scan over its batches.

    Args:
      model: any autoencoder.
      optimizer: from optax.
      batch_size: over all devices. Examples beyond the last complete batch are left out.
      transform: as in :func:`make_step`.
      norm_every: as in :func:`make_step`.
      mesh: the devices that each batch is divided over.

    Returns:
      `(state, key, data) -> (state, metrics)`, compiled. The state is donated, `data` are arrays on the
      device or a :class:`jaxae.Batch` of them, and each of the metrics is `[steps]`.

    Raises:
      ValueError: if a batch is larger than the data, or cannot be divided equally over the devices.
    """
    step = make_step(model, optimizer, transform=transform, norm_every=norm_every)
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

    Some numbers are infinite from the start, such as the best loss so far of an optimizer. And the
    square of a large gradient, of which Adam keeps a mean, may overflow where the gradient does not.
    """
    pairs = zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
    finite = [jnp.all(jnp.isfinite(new) | ~jnp.isfinite(old)) for old, new in pairs]
    return jnp.all(jnp.array(finite))


@jax.jit
def all_finite(tree: Any) -> Array:
    """Whether every number of a tree is finite."""
    return jnp.all(jnp.array([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]))
