"""Where the batches of a training come from: arrays on the device, arrays of the host, or a stream.

All three make the same steps of the same batches in the same order, a function of the key and the step
alone, so that training can begin at any step; and all do any number of steps in one compiled program,
so that it can be stopped, and saved, between any two.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Literal, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Integer, PRNGKeyArray

from jaxae.data.streams import Stream, host_memory
from jaxae.runtime import processes, sharding
from jaxae.runtime.devices import compiler_options
from jaxae.training.batches import Data, batched, count, epoch_order, taker
from jaxae.training.step import StepFunction, TrainState

Placement = Literal["device", "host", "stream"]
"""Where the training images are: on the device; in the memory (or a mapped file) of the host, from which
every batch is sent; or where they are kept, from which every batch is read and decoded."""

Metrics = dict[str, np.ndarray]

CHUNK_BYTES = 32 * 2**20
"""What is sent to the device at once: a few batches, so that sending them is not felt."""
THREADS = 8
"""Threads that read and decode batches of a stream."""
AHEAD = 2
"""How many such pieces are ready before they are needed."""


@runtime_checkable
class Feed(Protocol):
    """Steps of training, from the step of the state on."""

    def available(self, step: int) -> int:
        """How many steps can be made at once after `step` of them, in the same epoch; at least one."""
        ...

    def compile(self, state: TrainState) -> float:
        """Compiles, and says how many seconds it took."""
        ...

    def __call__(self, state: TrainState, steps: int) -> tuple[TrainState, Metrics]:
        """Makes some steps; the state is consumed, and the metrics are `[steps]`."""
        ...

    def close(self) -> None:
        """Ends what goes on in the background."""
        ...


def make_feed(
    step: StepFunction,
    images: Data,
    *,
    batch_size: int,
    key: PRNGKeyArray,
    mesh: Mesh,
    state_shardings: Any,
    placement: Placement,
    workers: int = 0,
) -> Feed:
    """The feed for some images.

    Args:
      step: what is done with each batch.
      images: to train on, or pairs.
      batch_size: over all devices.
      key: what order and noise are a function of.
      mesh: the devices.
      state_shardings: where the arrays of the state are.
      placement: where the images are.
      workers: of a stream, processes that read and decode; threads of this one if there are none.
    """
    if placement == "device":
        return _OnDevice(step, images, batch_size, key, mesh, state_shardings)
    return _FromHost(
        step, images, batch_size, key, mesh, state_shardings, placement == "stream", workers
    )


def _loop(
    step: StepFunction,
    take: Callable[[Array], Data],
    key: PRNGKeyArray,
    most: int,
    state: TrainState,
    steps: Array,
) -> tuple[TrainState, dict[str, Array]]:
    """So many steps, whose number is known when it runs; `take` is told which one it is."""
    shapes = jax.eval_shape(lambda: step(state, key, take(jnp.int32(0))))[1]
    metrics = {name: jnp.zeros((most,), s.dtype) for name, s in shapes.items()}

    def body(i: Array, at: tuple[TrainState, Any]) -> tuple[TrainState, Any]:
        state, metrics = at
        state, new = step(state, key, take(i))
        return state, {name: metrics[name].at[i].set(value) for name, value in new.items()}

    return jax.lax.fori_loop(0, steps, body, (state, metrics))


class _Compiled:
    """A program that makes steps, compiled once."""

    def __init__(self, program: Callable[..., Any], mesh: Mesh, state_shardings: Any):
        self._mesh = mesh
        self._everywhere = sharding.replicated(mesh)
        self._program = jax.jit(
            program, donate_argnums=0, out_shardings=(state_shardings, self._everywhere)
        )
        self._ready: Any = None

    def compile(self, *arguments: Any) -> float:
        started = time.perf_counter()
        options = compiler_options(self._mesh.devices.flat[0])
        self._ready = self._program.lower(*arguments).compile(options)
        return time.perf_counter() - started

    def __call__(self, steps: int, *arguments: Any) -> tuple[TrainState, Metrics]:
        state, metrics = self._ready(*arguments)
        return state, {name: v[:steps] for name, v in jax.device_get(metrics).items()}


class _OnDevice:
    def __init__(
        self,
        step: StepFunction,
        images: Data,
        batch_size: int,
        key: PRNGKeyArray,
        mesh: Mesh,
        state_shardings: Any,
    ):
        self._everywhere = sharding.replicated(mesh)
        self._images = sharding.put(
            jax.tree.map(lambda a: a if isinstance(a, jax.Array) else np.asarray(a), images),
            self._everywhere,
        )
        self._per_epoch = per_epoch = count(images) // batch_size

        def program(
            state: TrainState, key: PRNGKeyArray, images: Data, steps: Array
        ) -> tuple[TrainState, dict[str, Array]]:
            order_key, step_key = jax.random.split(key)
            position = state.step % per_epoch
            order = epoch_order(order_key, state.step - position, count(images))
            batches = sharding.split(batched(order, batch_size), mesh, axis=1)
            take = taker(images)
            return _loop(
                step, lambda i: take(batches[position + i]), step_key, per_epoch, state, steps
            )

        self._compiled = _Compiled(program, mesh, state_shardings)
        self._on_device = sharding.put(key, self._everywhere)

    def available(self, step: int) -> int:
        return self._per_epoch - step % self._per_epoch

    def compile(self, state: TrainState) -> float:
        return self._compiled.compile(state, self._on_device, self._images, self._steps(1))

    def __call__(self, state: TrainState, steps: int) -> tuple[TrainState, Metrics]:
        return self._compiled(steps, state, self._on_device, self._images, self._steps(steps))

    def close(self) -> None:
        pass

    def _steps(self, steps: int) -> Array:
        return sharding.put(jnp.int32(steps), self._everywhere)


class _FromHost:
    def __init__(
        self,
        step: StepFunction,
        images: Data,
        batch_size: int,
        key: PRNGKeyArray,
        mesh: Mesh,
        state_shardings: Any,
        stream: bool,
        workers: int,
    ):
        self._host, self._key, self._batch_size = images, key, batch_size
        self._stream, self._workers = stream, workers
        self._per_epoch = count(images) // batch_size
        self._everywhere = sharding.replicated(mesh)
        self._spread = sharding.by_example(mesh, axis=1)
        size = sum(
            int(np.prod(a.shape[1:])) * np.dtype(a.dtype).itemsize for a in jax.tree.leaves(images)
        )
        per_batch = size * batch_size // jax.process_count()
        self._most = most = max(1, min(self._per_epoch, CHUNK_BYTES // max(1, per_batch)))

        def program(
            state: TrainState, key: PRNGKeyArray, batches: Any, start: Array, steps: Array
        ) -> tuple[TrainState, dict[str, Array]]:
            _, step_key = jax.random.split(key)

            def take(i: Array) -> Data:
                return jax.tree.map(lambda array: array[start + i], batches)

            return _loop(step, take, step_key, most, state, steps)

        self._compiled = _Compiled(program, mesh, state_shardings)
        self._on_device = sharding.put(key, self._everywhere)
        self._pieces: queue.Queue[Any] = queue.Queue(AHEAD)
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._start, self._length, self._batches = 0, 0, None

    def available(self, step: int) -> int:
        if self._thread is None:
            self._thread = threading.Thread(target=self._produce, args=(step,), daemon=True)
            self._thread.start()
        if self._batches is None or step >= self._start + self._length:
            piece = self._pieces.get()
            if isinstance(piece, BaseException):
                raise piece
            self._start, self._length, self._batches = piece
        return self._start + self._length - step

    def compile(self, state: TrainState) -> float:
        self.available(int(state.step))
        return self._compiled.compile(*self._arguments(state, 1))

    def __call__(self, state: TrainState, steps: int) -> tuple[TrainState, Metrics]:
        return self._compiled(steps, *self._arguments(state, steps))

    def close(self) -> None:
        self._closed.set()
        while self._thread is not None and self._thread.is_alive():
            with suppress(queue.Empty):  # it may be waiting for a place
                self._pieces.get_nowait()
            self._thread.join(0.05)

    def _arguments(self, state: TrainState, steps: int) -> tuple[Any, ...]:
        start = np.int32(int(state.step) - self._start)
        numbers = sharding.put((start, np.int32(steps)), self._everywhere)
        return (state, self._on_device, self._batches, *numbers)

    def _produce(self, step: int) -> None:
        """Puts together pieces of an epoch, sends them to the device, and begins the next epoch."""
        try:
            while not self._closed.is_set():
                several: list[Any] = []
                for examples in self._epoch(step):
                    several.append(examples)
                    last = (step + 1) % self._per_epoch == 0
                    if len(several) == self._most or last:
                        self._send(step + 1 - len(several), several)
                        several = []
                    step += 1
                    if self._closed.is_set():
                        return
        except BaseException as error:
            self._offer(error)

    def _send(self, start: int, several: list[Any]) -> None:
        length = len(several)
        # The program is compiled for one length; what is missing at the end is not looked at.
        several += [several[-1]] * (self._most - length)
        stacked = jax.tree.map(lambda *arrays: np.stack(arrays), *several)
        self._offer((start, length, sharding.put_share(stacked, self._spread)))

    def _offer(self, piece: Any) -> None:
        while not self._closed.is_set():
            with suppress(queue.Full):
                return self._pieces.put(piece, timeout=0.1)

    def _epoch(self, step: int) -> Iterator[Any]:
        """The batches of the rest of an epoch, as far as this process reads them."""
        order = batches_of(self._host, self._key, self._batch_size, step)
        mine = order[step % self._per_epoch :, sharding.share(self._batch_size)]
        if not self._stream:
            yield from (_examples(self._host, index) for index in mine)
            return
        ordered = _Ordered(self._host, mine)
        import grain  # a second, and not everyone streams

        # Whole batches, so that workers do not change which examples are together.
        dataset = grain.MapDataset.source(ordered)
        reading = grain.ReadOptions(num_threads=THREADS, prefetch_buffer_size=2 * THREADS)
        dataset = dataset.to_iter_dataset(reading)
        if self._workers:
            from absl import flags

            if not flags.FLAGS.is_parsed():  # grain's processes ask for some of theirs
                flags.FLAGS.mark_as_parsed()
            dataset = dataset.mp_prefetch(grain.MultiprocessingOptions(num_workers=self._workers))
        batches = iter(dataset)
        try:
            yield from batches
        finally:
            if hasattr(batches, "close"):  # else its processes end by themselves
                batches.close()


class _Ordered:
    """The batches of an epoch in their order, as grain asks for them."""

    def __init__(self, images: Any, batches: np.ndarray):
        self._images, self._batches = images, batches

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, i: Any) -> Any:
        index = self._batches[int(i)]
        return jax.tree.map(
            lambda a: a.read(index) if isinstance(a, Stream) else np.asarray(a[index]), self._images
        )


def batches_of(
    images: Data, key: PRNGKeyArray, batch_size: int, step: int
) -> Integer[np.ndarray, "steps b"]:
    """The indices of all batches of the epoch that a step is in."""
    n = count(images)
    start = step - step % (n // batch_size)
    # Of this process alone, whatever else is spread over several.
    with jax.default_device(jax.local_devices()[0]):
        order = _order(jax.random.split(key)[0], np.int32(start), n)
    return batched(np.asarray(order), batch_size)


def batch_at(images: Data, key: PRNGKeyArray, batch_size: int, step: int) -> Any:
    """The examples of the batch after `step` updates, of all processes together."""
    batches = batches_of(images, key, batch_size, step)
    return _examples(images, batches[step % len(batches)])


_order = partial(jax.jit, static_argnums=2)(epoch_order)


def _examples(images: Any, index: np.ndarray) -> Any:
    """Some examples as arrays of the host."""
    return jax.tree.map(lambda array: np.asarray(array[index]), images)


def fits(images: Any, devices: list[jax.Device], held_out: Any = None) -> tuple[Placement, str]:
    """Where to keep training images of so many bytes, and why.

    On the device if they take less than half of what is free there; else on the host.

    Args:
      images: arrays, or a :class:`Stream`.
      devices: that train.
      held_out: what is on the device in any case.
    """
    leaves = jax.tree.leaves(images)
    if any(isinstance(leaf, Stream) for leaf in leaves):
        return "stream", "the images are read when they are asked for"
    needed = sum(int(np.prod(leaf.shape)) * np.dtype(leaf.dtype).itemsize for leaf in leaves)
    stats = None if devices[0].platform == "cpu" else devices[0].memory_stats()
    free = free_memory(stats)
    kept = sum(leaf.nbytes for leaf in jax.tree.leaves(held_out))
    # All processes that train together do the same.
    (full,) = processes.max_over_processes(float(needed > (free - kept) / 2))
    where: Placement = "host" if full else "device"
    return where, f"{needed / 1e6:,.0f} MB of images, {free / 1e6:,.0f} MB free on the device"


def free_memory(stats: Mapping[str, int] | None) -> int:
    """The bytes that are free on a device, by its own account; a CPU has none, but the host's memory."""
    if stats and "bytes_limit" in stats:
        return stats["bytes_limit"] - stats.get("bytes_in_use", 0)
    return host_memory()
