"""One step of training, one epoch in a single `jit`, and one evaluator, as pure functions.

Every random number is a function of (key, step): no generator has state, so that a run that was
stopped and resumed draws the same permutations and the same noise as one that was not.
"""

import functools
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from jax.stages import Wrapped
from jaxtyping import Array, Integer, Key, PRNGKeyArray

from jaxae.base import Autoencoder, Params, Step, as_float
from jaxae.data.streams import Stream
from jaxae.runtime import parallel

Examples: TypeAlias = (
    Array | np.ndarray | Stream | tuple[Array | np.ndarray | Stream, Array | np.ndarray | Stream]
)
"""Images, `[n, ...]`; or a pair, images and the targets to make of them: other images, `[n, ...]`,
or labels, `[n]`. Only :func:`jaxae.fit` takes a stream."""

Transform = Callable[[PRNGKeyArray, Array], Array]
"""What happens to a batch before the model sees it, `(key, x) -> x`; binarisation, for one."""

Score = Callable[[Params, PRNGKeyArray, Any], Mapping[str, Array]]
"""What is known of each example of a batch, `(params, key, x) -> {name: [b]}`; of pairs, `x` is
a pair."""

Metrics = dict[str, float]
Record = dict[str, int | float]
"""What is known of an epoch: its number, the step, times, and the means of losses and terms."""


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


StepFunction = Callable[[TrainState, PRNGKeyArray, Examples], tuple[TrainState, dict[str, Array]]]


def init_state(
    model: Autoencoder,
    optimizer: optax.GradientTransformation,
    key: PRNGKeyArray,
    x: Array | np.ndarray,
) -> TrainState:
    """The state before the first step; `x` is a few images, for their shape."""
    params = model.init(key, as_float(x))
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
      >>> model = jaxae.autoencoder(jaxae.mlp_encoder(2), jaxae.mlp_decoder((8, 8, 1)))
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
        state: TrainState, key: PRNGKeyArray, x: Examples
    ) -> tuple[TrainState, dict[str, Array]]:
        transform_key, loss_key = jax.random.split(jax.random.fold_in(key, state.step))
        x, target = as_floats(x)
        if transform is not None:
            x = transform(transform_key, x)

        def objective(
            params: Params, key: PRNGKeyArray, x: Array, target: Array | None
        ) -> tuple[Array, dict[str, Array]]:
            out = model.loss(params, key, x, target=target, step=state.step, train=True)
            chex.assert_shape([out.loss, *out.terms.values()], (x.shape[0],))
            return jnp.mean(out.loss), {name: jnp.mean(v) for name, v in out.terms.items()}

        slope = jax.value_and_grad(objective, has_aux=True)
        if accumulate == 1:
            (loss, terms), gradient = slope(state.params, loss_key, x, target)
        else:
            keys = jax.random.split(loss_key, accumulate)
            one = partial(slope, state.params)
            (loss, terms), gradient = _mean_of_parts(one, accumulate, keys, (x, target))
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
    function: Callable[..., Any], parts: int, keys: Key[Array, " parts"], examples: Any
) -> Any:
    """The mean of what a function makes of each part of a batch, one part after the other."""

    def divided(array: Array) -> Array:
        # Every device has examples of each part.
        rows = array.reshape(array.shape[0] // parts, parts, *array.shape[1:])
        return jnp.swapaxes(rows, 0, 1)

    x, target = jax.tree.map(divided, examples)
    shapes = jax.eval_shape(lambda: function(keys[0], *jax.tree.map(lambda a: a[0], (x, target))))
    total = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)

    def add(total: Any, part: Any) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, function(*part)), None

    total, _ = jax.lax.scan(add, total, (keys, x, target))
    return jax.tree.map(lambda value: value / parts, total)


def epoch_order(key: PRNGKeyArray, start: Step, n: int) -> Integer[Array, " n"]:
    """The order of the examples in the epoch that begins after `start` updates: of (key, start) only."""
    # One sort of 32 random bits: jax.random.permutation sorts twice, so that not even the order of two
    # examples that draw the same bits is fixed.
    return jnp.argsort(jax.random.bits(jax.random.fold_in(key, start), (n,)))


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
        parallel.check_divides(batch_size, mesh)

    @partial(jax.jit, donate_argnums=0)
    def epoch(
        state: TrainState, key: PRNGKeyArray, images: Examples
    ) -> tuple[TrainState, dict[str, Array]]:
        n = count(images)
        check_batch_size(batch_size, n)
        order_key, step_key = jax.random.split(key)
        batches = batched(epoch_order(order_key, state.step, n), batch_size)
        if mesh is not None:
            batches = parallel.split(batches, mesh, axis=1)
        take = taker(images)
        return jax.lax.scan(lambda state, index: step(state, step_key, take(index)), state, batches)

    return epoch


def batched(order: Any, batch_size: int) -> Any:
    """The indices of every batch of an epoch, `[steps, b]`; those left over are left out."""
    return order[: order.shape[0] // batch_size * batch_size].reshape(-1, batch_size)


def taker(images: Examples) -> Callable[[Array], Examples]:
    """The function that takes the examples of some indices out of arrays on the device."""
    n = count(images)
    # XLA on CPU copies rows faster than images.
    rows = jax.tree.map(lambda array: array.reshape(n, -1), images)

    def take(index: Array) -> Examples:
        def of(rows: Array, array: Array) -> Array:
            chosen = rows.at[index].get(mode="promise_in_bounds")
            return chosen.reshape(len(index), *array.shape[1:])

        return jax.tree.map(of, rows, images)

    return take


def make_evaluate(
    score: Score,
    *,
    batch_size: int = 256,
    mesh: Mesh | None = None,
) -> Callable[[Params, PRNGKeyArray, Examples], dict[str, np.ndarray]]:
    """Scores every example exactly once, whatever the batch size.

    Args:
      score: `(params, key, x) -> {name: [b]}`, pure.
      batch_size: how many are scored together; the last batch is filled up with examples that
        have been scored already, and their second scores are dropped.
      mesh: to divide each batch over its devices.

    Returns:
      `(params, key, images) -> {name: [n]}`, the scores of the examples in their order. With the
      same key they are the same.

    Examples:
      >>> brightness = make_evaluate(lambda params, key, x: {"mean": x.mean((1, 2, 3))}, batch_size=2)
      >>> images = jnp.arange(3.0).reshape(3, 1, 1, 1)
      >>> brightness({}, jax.random.key(0), images)["mean"].tolist()
      [0.0, 1.0, 2.0]
    """
    device = jax.devices()[0] if mesh is None else mesh.devices.flat[0]
    scores = make_scores(score, batch_size=batch_size, mesh=mesh)
    options: dict[str, Any] = {"compiler_options": compiler_options(device)}
    if mesh is not None:
        options["out_shardings"] = parallel.everywhere(mesh)
    scan = jax.jit(scores, **options)

    def evaluate(params: Params, key: PRNGKeyArray, images: Examples) -> dict[str, np.ndarray]:
        if count(images) == 0:
            raise ValueError("there is no example to evaluate")
        return jax.device_get(scan(params, key, images))

    return evaluate


def make_scores(
    score: Score, *, batch_size: int = 256, mesh: Mesh | None = None
) -> Callable[[Params, PRNGKeyArray, Examples], dict[str, Array]]:
    """:func:`make_evaluate` as a pure function, for use inside `jit`."""

    def scan(params: Params, key: PRNGKeyArray, images: Examples) -> dict[str, Array]:
        n = count(images)
        size = min(batch_size, n)
        if mesh is not None:
            size = -(-size // mesh.size) * mesh.size
        batches = -(-n // size)
        indices = jnp.arange(batches * size).reshape(batches, size) % n
        if mesh is not None:
            indices = parallel.split(indices, mesh, axis=1)

        def body(_: None, batch: tuple[Array, Array]) -> tuple[None, dict[str, Array]]:
            i, index = batch
            x, target = as_floats(jax.tree.map(lambda array: array[index], images))
            examples: Examples = x if target is None else (x, target)
            scores = score(params, jax.random.fold_in(key, i), examples)
            chex.assert_shape(list(scores.values()), (size,))
            return None, dict(scores)

        _, scores = jax.lax.scan(body, None, (jnp.arange(batches), indices))
        return {name: v.reshape(-1)[:n] for name, v in scores.items()}

    return scan


def loss_scores(
    model: Autoencoder,
) -> Callable[[tuple[Params, Step], PRNGKeyArray, Examples], dict[str, Array]]:
    """A score for :func:`make_evaluate`: the loss and its terms, without dropout.

    Its `params` are a pair `(params, step)`: the step is what scheduled weights are read at.
    """

    def score(at: tuple[Params, Step], key: PRNGKeyArray, x: Examples) -> dict[str, Array]:
        params, step = at
        images, target = as_floats(x)
        out = model.loss(params, key, images, target=target, step=step, train=False)
        return {"loss": out.loss, **out.terms}

    return score


def means(scores: Mapping[str, np.ndarray], prefix: str = "") -> Metrics:
    """The mean of each score over all examples, summed in float64.

    Examples:
      >>> means({"loss": np.float32([1, 2])}, prefix="test/")
      {'test/loss': 1.5}
    """
    return {f"{prefix}{name}": float(np.mean(v, dtype=np.float64)) for name, v in scores.items()}


@functools.cache
def compiler_options(device: jax.Device) -> dict[str, Any]:
    """What XLA should know of a device, of the options that this version of it has.

    On CPU, to leave only single matrix products to YNNPACK: its sums over a middle axis are far
    slower than XLA's own (benchmarks/README.md). Not to use registers of 512 bits: that was 6 %
    faster, and in jax 0.10.2 its arctan is wrong in most places.
    """
    if device.platform != "cpu":
        return {}
    options = {
        "xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT",
    }
    return {name: value for name, value in options.items() if _is_known({name: value})}


def _is_known(options: dict[str, Any]) -> bool:
    empty = jax.jit(lambda: None).lower()
    try:
        empty.compile(options)
    except jax.errors.JaxRuntimeError:
        return False
    return True


def count(examples: Examples) -> int:
    """How many there are.

    Raises:
      ValueError: if images and targets differ in number.
    """
    sizes = [array.shape[0] for array in jax.tree.leaves(examples)]
    if min(sizes) != max(sizes):
        raise ValueError(f"there are {sizes[0]} images and {sizes[1]} targets")
    return sizes[0]


def as_floats(examples: Examples) -> tuple[Array, Array | None]:
    """Images and targets, both as floats in [0, 1]; labels as they are, and None for no targets."""
    x, target = examples if isinstance(examples, tuple) else (examples, None)
    assert not isinstance(x, Stream)
    assert not isinstance(target, Stream)
    if target is not None:
        target = jnp.asarray(target) if target.ndim == 1 else as_float(target)
    return as_float(x), target


def check_monitor(monitor: str, names: Collection[str]) -> None:
    """Raises a `ValueError` unless epochs can be selected by this score of the model."""
    if monitor not in names:
        raise ValueError(f"cannot monitor {monitor!r}; the model has {', '.join(names)}")
    if monitor == "loss" and any(name.endswith("_fooled") for name in names):
        raise ValueError(
            "the loss of a game is the sum of what two players want, and no epoch is better by it; "
            "monitor a term, such as 'distortion', or leave out the validation"
        )


def check_batch_size(batch_size: int, n: int) -> None:
    """Raises a `ValueError` unless a batch has between one and `n` examples."""
    if batch_size < 1:
        raise ValueError(f"the batch size must be positive, got {batch_size}")
    if batch_size > n:
        raise ValueError(f"the batch size {batch_size} is larger than the {n} training examples")


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
