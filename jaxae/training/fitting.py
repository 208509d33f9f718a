"""Training a model: `fit` checks its arguments and puts the pieces of a training together.

A fit is a function of its key and its arguments. It can be stopped after any step, by a signal or by a
fault, and a run that is resumed from its checkpoints gives the same result, bit for bit.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
import optax
from jaxtyping import PRNGKeyArray

from jaxae.arguments import checked
from jaxae.base import Batch, Params
from jaxae.checks import check_call, check_key, check_params, check_positive, check_values
from jaxae.composition import Autoencoder
from jaxae.data.streams import Stream
from jaxae.runtime import processes, sharding
from jaxae.runtime.cache import enable_compilation_cache
from jaxae.runtime.signals import stop_requests
from jaxae.training import checks
from jaxae.training.batches import (
    Data,
    Transform,
    as_data,
    batch_at,
    check_batch_size,
    count,
    host_examples,
    spread_indices,
    transform_key,
    transformed,
)
from jaxae.training.checkpoints import Checkpoints
from jaxae.training.ema import ema_params, with_ema
from jaxae.training.evaluation import EVALUATION_BATCH_SIZE, loss_scores, make_evaluate
from jaxae.training.feeding import Placement, make_feed
from jaxae.training.loop import OnEpoch, TrainingLoop, copy
from jaxae.training.monitoring import check_comparable, check_monitor
from jaxae.training.packing import describe, differences
from jaxae.training.programs import Loop
from jaxae.training.progress import EpochProgress
from jaxae.training.records import Record
from jaxae.training.step import NORM_EVERY, TrainState, init_state, make_step, start_from


class Fit(NamedTuple):
    """What `fit` returns.

    Attributes:
      params: the parameters with the best validation score (the last ones without validation).
      state: the state after the last epoch.
      history: a record of each epoch.
      best_epoch: the epoch that `params` are from.
      compile_seconds: how long the compilation took.
    """

    params: Params
    state: TrainState
    history: list[Record]
    best_epoch: int
    compile_seconds: float


@checked
def fit(
    model: Autoencoder,
    data: Data,
    *,
    optimizer: optax.GradientTransformation,
    epochs: int,
    key: PRNGKeyArray,
    batch_size: int = 128,
    params: Params | None = None,
    state: TrainState | None = None,
    validation: Data | None = None,
    monitor: str | None = None,
    patience: int | None = None,
    transform: Transform | None = None,
    validation_transform: Transform | None = None,
    ema: float | None = None,
    evaluation_params: Callable[[optax.OptState, Params], Params] | None = None,
    evaluation_batch_size: int | None = None,
    accumulate: int = 1,
    on_nonfinite: Literal["stop", "skip"] = "stop",
    loop: Loop = "auto",
    placement: Placement = "device",
    workers: int = 0,
    devices: Sequence[jax.Device] | None = None,
    shard_params: bool = False,
    checkpoints: Checkpoints | None = None,
    checkpoint_every: int | None = None,
    on_epoch: OnEpoch | None = None,
    progress: bool | str = True,
) -> Fit:
    """Trains a model.

    Args:
      model: any autoencoder. Its parameters are initialised from a batch of the data, after the transform.
      data: the training set: an array, `[n, ...]`, bytes or floats, a :class:`Stream`, or a
        :class:`Batch` of them, with labels, conditions, inputs of the encoder, or masks.
      optimizer: from optax. It also gets `value`, `grad` and `value_fn`, as `optax.lbfgs` needs them.
      epochs: passes over the data. A run that goes on from its checkpoints makes those that are left; a
        fit that is given `state` makes this number of further passes.
      key: determines the initial parameters, the order of the examples and all noise.
      batch_size: over all devices.
      params: parameters to begin with, in place of random ones. The optimizer starts anew.
      state: a state to begin with, such as `fit(...).state` of the same model and optimizer. The count
        of steps goes on, and with it schedules; epochs and the best score are counted anew.
        Checkpoints of this run, if there are any, have priority over `params` and `state`.
      validation: data that are not trained on, scored after each epoch with the same noise each time.
      monitor: the validation score to select by, the name of a term or metric; smaller is better.
        By default that of the model, `model.monitor`, in general "loss"; a loss with a scheduled weight
        is not comparable between epochs, and takes a monitor.
      patience: epochs without a better validation score after which training stops; None: never stop.
      transform: applied to each training batch, with fresh randomness: to `x`, and in the same way to
        `seen`, if there is one.
      validation_transform: applied to the validation data, such as binarisation, with noise that is the
        same in every epoch.
      ema: the decay of an exponential moving average of the parameters
        (:func:`jaxae.training.with_ema`). The average is then validated, kept and returned; training
        itself is the same.
      evaluation_params: `(opt_state, params) -> params`, the parameters to validate, keep and return, for
        optimizers whose evaluation parameters are not those that are trained, such as
        `optax.contrib.schedule_free_eval_params`. Not together with `ema`.
      evaluation_batch_size: how many examples are validated together: 256 by default, or `batch_size`
        where the loss of an example depends on the others of its batch (`model.coupled`). There, the
        last batch is filled up with the first validation examples, whose second scores are dropped.
      accumulate: the number of parts that a batch is divided into, for less memory (:func:`make_step`).
      on_nonfinite: "stop", or "skip" to drop an update whose loss or gradient is not finite; the
        records then say how many were `skipped`.
      loop: "scan" to compile many steps as one loop, "step" to compile one step that is called again and
        again, "auto" for what is right on this platform: "step" on CPU for models that use XLA's own
        convolutions, such as `flax.linen.Conv`, which are 5 to 100 times slower inside a loop there.
      placement: where the training images are kept, "device" or "host"; a :class:`Stream` is read
        while training.
      workers: for a stream, the number of processes that read and decode; 0 for threads of this process.
      devices: to train on, all of them when None.
      shard_params: whether parameters and optimizer state are divided over the devices, for models that
        do not fit on one.
      checkpoints: where to save. If there are checkpoints already, the run goes on from the last one.
        SIGINT (Ctrl-C) and SIGTERM save and raise :class:`Interrupted`.
      checkpoint_every: steps from one save to the next; about 20 seconds when None.
      on_epoch: called as `on_epoch(record, state)` after each epoch, to log or to stop. `record` is a dict
        of numbers: `epoch` (1, 2, ...), `step`, `seconds`, `images_per_second`, and `train/NAME` and
        `validation/NAME` for the loss and each term. `state` is a copy of the :class:`TrainState`, with
        `params`. Training stops if it returns True. If it raises, the state is saved first, where there
        are checkpoints. When a run goes on, it is called again with the records of earlier epochs, and
        None in place of their states, which are gone; a log that has them should write by epoch. It is
        called in every process. `jaxae/training/README.md` has an example.
      progress: whether to show the progress, on standard error. A string is shown too, as the name of
        the model at the beginning of each line.

    Returns:
      a :class:`Fit`.

    Raises:
      ValueError: if an argument does not fit the data, the model, or another argument; the message says
        what to do.
      NonFiniteError: when a loss, a term or a gradient stops being finite. The state before that step is
        saved.

    Examples:
      >>> import jaxae
      >>> from jaxae.networks import mlp_decoder, mlp_encoder
      >>> model = jaxae.autoencoder(mlp_encoder(2), mlp_decoder((8, 8, 1)))
      >>> images = np.zeros((20, 8, 8, 1), np.uint8)
      >>> trained = fit(model, images, optimizer=optax.adam(1e-3), epochs=2, batch_size=10,
      ...               key=jax.random.key(0), progress=False)
      >>> int(trained.state.step)
      4
    """
    check_key(key)
    checks.check_on_epoch(on_epoch)
    check_call("transform", transform, "key", "x")
    check_call("validation_transform", validation_transform, "key", "x")
    if params is not None:
        check_params(params)
    check_positive(
        epochs=epochs,
        checkpoint_every=checkpoint_every,
        patience=patience,
        evaluation_batch_size=evaluation_batch_size,
        accumulate=accumulate,
    )
    if workers < 0:
        raise ValueError(f"workers must not be negative, got {workers}")
    if validation is None:
        for name, given in (
            ("patience", patience),
            ("monitor", monitor),
            ("validation_transform", validation_transform),
        ):
            if given is not None:
                raise ValueError(f"{name} needs a validation set")
    if ema is not None and evaluation_params is not None:
        raise ValueError("ema and evaluation_params both say what is evaluated; give one of them")
    if params is not None and state is not None:
        raise ValueError("params and state both say where to begin; give one of them")
    data = as_data(data)
    check_batch_size(batch_size, count(data))
    if transform is None:
        check_values(model.model.unit, data)
    if validation is not None:
        validation = checks.check_validation(data, validation, transform, validation_transform)
        if validation_transform is None:
            check_values(model.model.unit, validation, "validation x")
    placement = _checked_placement(placement, data)
    if workers and placement != "stream":
        raise ValueError("workers read a stream, and these images are an array; leave workers out")
    mesh = sharding.data_mesh(devices)
    sharding.check_divides(batch_size, mesh, accumulate)
    if ema is not None:
        optimizer = with_ema(optimizer, ema)
        evaluation_params = _ema_params
    enable_compilation_cache()
    init_key, train_key, validation_key = jax.random.split(key, 3)

    first = host_examples(data, spread_indices(count(data), batch_size))
    if transform is not None:
        check_values(model.model.unit, transformed(first, transform_key(train_key, 0), transform))

    # The batch is prepared inside of the program: operation by operation, each would be compiled.
    def make(init_key: PRNGKeyArray, train_key: PRNGKeyArray, first: Data) -> TrainState:
        batch = transformed(first, transform_key(train_key, 0), transform)
        return init_state(model, optimizer, init_key, batch)

    shapes = jax.eval_shape(make, init_key, train_key, first)
    where = sharding.shardings(shapes, mesh, shard=shard_params)
    replicated = sharding.replicated(mesh)
    begin: Callable[..., TrainState] = make
    arguments: tuple[Any, ...] = (init_key, train_key, first)
    if state is not None:
        begin, arguments = copy, (checks.matching(state, shapes, "the arrays of state"),)
    elif params is not None:
        # A copy, since training donates its state.
        begin = lambda params: start_from(optimizer, copy(params))  # noqa: E731
        arguments = (checks.matching(params, shapes.params, "the arrays of params"),)
    state = jax.jit(begin, out_shardings=where)(*sharding.put(arguments, replicated))

    if evaluation_batch_size is None:
        evaluation_batch_size = batch_size if model.coupled else EVALUATION_BATCH_SIZE
    if monitor is None:
        monitor = model.monitor
        if validation is not None and monitor == "loss":
            check_comparable(model.scheduled)
    validate = None
    if validation is not None:
        score = loss_scores(model, validation_transform)
        at = (shapes.params, shapes.step)
        some = jax.tree.map(lambda array: array[:evaluation_batch_size], validation)
        monitor = check_monitor(monitor, jax.eval_shape(score, at, validation_key, some).keys())
        # The validation data were checked above: not again after each epoch.
        unchecked = lambda at, key, batch: score(at, key, batch)  # noqa: E731
        evaluate = make_evaluate(unchecked, batch_size=evaluation_batch_size, mesh=mesh, loop=loop)
        held_out, noise = sharding.put((validation, validation_key), replicated)

        def validate(state: TrainState, params: Params) -> dict[str, np.ndarray]:
            return evaluate((params, state.step), noise, held_out)

    saved = None if checkpoints is None else checkpoints.restore(state, state.params)
    first_step = int(state.step) if saved is None else saved.meta["first_step"]
    steps_per_epoch = count(data) // batch_size
    if saved is not None and saved.meta["steps_per_epoch"] != steps_per_epoch:
        raise ValueError(
            f"an epoch had {saved.meta['steps_per_epoch']} steps when this was saved and has "
            f"{steps_per_epoch}; use the same images and batch size, or another folder"
        )
    feed = make_feed(
        make_step(
            model,
            optimizer,
            transform=transform,
            accumulate=accumulate,
            skip_nonfinite=on_nonfinite == "skip",
            norm_every=min(NORM_EVERY, count(data) // batch_size),
        ),
        data,
        batch_size=batch_size,
        key=train_key,
        mesh=mesh,
        state_shardings=where,
        placement=placement,
        workers=workers,
        loop=loop,
        first_step=first_step,
    )
    with ExitStack() as stack:
        stack.callback(feed.close)
        training = TrainingLoop(
            feed=feed,
            batch_at=partial(batch_at, data, train_key, batch_size, first_step=first_step),
            state=state,
            epochs=epochs,
            first_step=first_step,
            steps_per_epoch=steps_per_epoch,
            batch_size=batch_size,
            validate=validate,
            evaluation_params=_evaluated(evaluation_params, shapes),
            monitor=monitor or "loss",
            patience=patience,
            on_epoch=on_epoch,
            checkpoint_every=checkpoint_every,
        )
        if saved is not None:
            training.restore(saved.state, saved.best, saved.meta)
        compile_seconds = 0.0
        if not training.finished:
            stop = stack.enter_context(stop_requests(enabled=checkpoints is not None))
            if checkpoints is not None:
                training.save = stack.enter_context(checkpoints.writer())
            name = progress if isinstance(progress, str) else ""
            shown = (bool(name) or progress is True) and processes.is_first()
            bar = stack.enter_context(EpochProgress(epochs, name, shown=shown))
            compile_seconds = feed.compile(training.state)
            training.run(stop, bar)
    return Fit(
        training.best.params, training.state, training.history, training.best.epoch, compile_seconds
    )


def _checked_placement(placement: Placement, data: Batch) -> Placement:
    if any(isinstance(leaf, Stream) for leaf in jax.tree.leaves(data)):
        return "stream"
    if placement == "stream":
        raise ValueError("only a Stream can be streamed; these images are an array")
    return placement


def _ema_params(opt_state: optax.OptState, params: Params) -> Params:
    return ema_params(opt_state)


def _evaluated(
    function: Callable[[optax.OptState, Params], Params] | None, shapes: TrainState
) -> Callable[[TrainState], Params]:
    """A function from a state to the parameters that are evaluated.

    Raises:
      ValueError: if these have another structure or other shapes than the parameters.
    """
    if function is None:
        return lambda state: state.params
    found = describe(jax.eval_shape(function, shapes.opt_state, shapes.params))
    if different := differences(found, describe(shapes.params), ("is", "should be")):
        raise ValueError(f"evaluation_params do not fit the model: {different[0]}")
    compiled = jax.jit(function)
    return lambda state: compiled(state.opt_state, state.params)
