"""Where the batches of a training come from: arrays on the device, arrays of the host, or a stream.

All three give the same batches in the same order, a function of the key and the step alone, so that
training can begin at any step. All make any number of steps in one call, so that training can be stopped,
and saved, between any two steps.
"""

from collections.abc import Mapping
from typing import Any, Literal, Protocol, runtime_checkable

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, PRNGKeyArray

from jaxae.data.streams import Stream, host_memory
from jaxae.runtime import processes, sharding
from jaxae.training.batches import Data, batched, count, epoch_order, taker
from jaxae.training.host_feed import HostFeed
from jaxae.training.programs import Loop, Metrics, StepProgram
from jaxae.training.step import StepFunction, TrainState

Placement = Literal["device", "host", "stream"]
"""Where the training images are: on the device; in the memory of the host (or a mapped file), from which
every batch is sent; or in a :class:`jaxae.Stream`, from which every batch is read and decoded."""


@runtime_checkable
class Feed(Protocol):
    """Makes training steps, beginning at the step of the state."""

    def steps_available(self, step: int) -> int:
        """How many steps can be made in one call after `step` updates: at least one, in one epoch."""
        ...

    def compile(self, state: TrainState) -> float:
        """Compiles, and returns the number of seconds that it took."""
        ...

    def __call__(self, state: TrainState, steps: int) -> tuple[TrainState, Metrics]:
        """Makes a number of steps. The state is donated, and each of the metrics is `[steps]`."""
        ...

    def close(self) -> None:
        """Ends the threads and processes of the feed."""
        ...


def make_feed(
    step: StepFunction,
    data: Data,
    *,
    batch_size: int,
    key: PRNGKeyArray,
    mesh: Mesh,
    state_shardings: Any,
    placement: Placement,
    workers: int = 0,
    loop: Loop = "auto",
    first_step: int = 0,
) -> Feed:
    """The feed for a training set.

    Args:
      step: one update.
      data: the training set.
      batch_size: over all devices.
      key: determines the order of the examples and the randomness of the steps.
      mesh: the devices.
      state_shardings: where the arrays of the state are.
      placement: where the data are.
      workers: for a stream, the number of processes that read and decode; 0 for threads of this process.
      loop: how steps are repeated.
      first_step: the number of updates before the first epoch.
    """
    if placement == "device":
        return DeviceFeed(step, data, batch_size, key, mesh, state_shardings, loop, first_step)
    return HostFeed(
        step,
        data,
        batch_size,
        key,
        mesh,
        state_shardings,
        loop,
        first_step,
        stream=placement == "stream",
        workers=workers,
    )


class DeviceFeed:
    """Steps on data that are kept on every device; a batch is a gather of rows."""

    def __init__(
        self,
        step: StepFunction,
        data: Data,
        batch_size: int,
        key: PRNGKeyArray,
        mesh: Mesh,
        state_shardings: Any,
        loop: Loop,
        first_step: int,
    ):
        replicated = sharding.replicated(mesh)
        self._data = sharding.put(
            jax.tree.map(lambda a: a if isinstance(a, jax.Array) else np.asarray(a), data),
            replicated,
        )
        self._first_step = first_step
        self._steps_per_epoch = steps_per_epoch = count(data) // batch_size

        def prepare(step: Array, key: PRNGKeyArray, data: Data) -> Array:
            order_key, _ = jax.random.split(key)
            start = step - (step - first_step) % steps_per_epoch
            order = epoch_order(order_key, start, count(data))
            return sharding.split(batched(order, batch_size), mesh, axis=1)

        def take(batches: Array, data: Data, step: Array) -> Data:
            return taker(data)(batches[(step - first_step) % steps_per_epoch])

        self._program = StepProgram(
            step,
            take,
            prepare,
            longest=steps_per_epoch,
            mesh=mesh,
            state_shardings=state_shardings,
            loop=loop,
        )
        self._key = sharding.put(key, replicated)

    def steps_available(self, step: int) -> int:
        return self._steps_per_epoch - (step - self._first_step) % self._steps_per_epoch

    def compile(self, state: TrainState) -> float:
        return self._program.compile(state, self._key, self._data)

    def __call__(self, state: TrainState, steps: int) -> tuple[TrainState, Metrics]:
        return self._program(state, self._key, self._data, steps)

    def close(self) -> None:
        pass


def fits(images: Any, devices: list[jax.Device], held_out: Any = None) -> tuple[Placement, str]:
    """Where to keep training images, and a sentence that says why.

    On the device if they take less than half of the memory that is free there; else on the host.

    Args:
      images: arrays, or a :class:`Stream`.
      devices: the devices to train on.
      held_out: arrays that are on the device in any case.
    """
    leaves = jax.tree.leaves(images)
    if any(isinstance(leaf, Stream) for leaf in leaves):
        return "stream", "the images are streamed"
    needed = sum(int(np.prod(leaf.shape)) * np.dtype(leaf.dtype).itemsize for leaf in leaves)
    stats = None if devices[0].platform == "cpu" else devices[0].memory_stats()
    free = free_memory(stats)
    kept = sum(leaf.nbytes for leaf in jax.tree.leaves(held_out))
    # All processes that train together make the same choice.
    (full,) = processes.max_over_processes(float(needed > (free - kept) / 2))
    where: Placement = "host" if full else "device"
    return where, f"{needed / 1e6:,.0f} MB of images, {free / 1e6:,.0f} MB free on the device"


def free_memory(stats: Mapping[str, int] | None) -> int:
    """The free bytes of a device by its statistics; for a CPU, which has none, those of the host."""
    if stats and "bytes_limit" in stats:
        return stats["bytes_limit"] - stats.get("bytes_in_use", 0)
    return host_memory()
