"""Batches from the memory of the host, or from a stream, that are sent to the device while it computes."""

import queue
import threading
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, PRNGKeyArray

from jaxae.data.streams import Stream
from jaxae.runtime import processes, sharding
from jaxae.training.batches import Data, batches_of, count, host_examples
from jaxae.training.programs import Loop, Metrics, StepProgram
from jaxae.training.step import StepFunction, TrainState

CHUNK_BYTES = 32 * 2**20
"""Bytes sent to the device at once: several batches, so that the cost of a transfer is small."""
CHUNKS_AHEAD = 2
"""How many chunks are ready before they are needed."""
THREADS = 8
"""Threads that read and decode batches of a stream."""


class HostFeed:
    """Steps on chunks of several batches that a thread reads and sends to the device ahead of time."""

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
        *,
        stream: bool,
        workers: int,
    ):
        self._data, self._key, self._batch_size = data, key, batch_size
        self._stream, self._workers, self._first_step = stream, workers, first_step
        self._steps_per_epoch = count(data) // batch_size
        self._replicated = sharding.replicated(mesh)
        self._by_example = sharding.by_example(mesh, axis=1)
        size = sum(
            int(np.prod(a.shape[1:])) * np.dtype(a.dtype).itemsize for a in jax.tree.leaves(data)
        )
        batch_bytes = size * batch_size // jax.process_count()
        self._longest = max(1, min(self._steps_per_epoch, CHUNK_BYTES // max(1, batch_bytes)))

        def take(_: None, chunk: tuple[Any, Array], step: Array) -> Data:
            batches, start = chunk
            return jax.tree.map(lambda array: array[step - start], batches)

        self._program = StepProgram(
            step,
            take,
            lambda step, key, chunk: None,
            longest=self._longest,
            mesh=mesh,
            state_shardings=state_shardings,
            loop=loop,
        )
        self._key_on_device = sharding.put(key, self._replicated)
        self._chunks: queue.Queue[Any] = queue.Queue(CHUNKS_AHEAD)
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._start, self._length, self._batches = 0, 0, None

    def steps_available(self, step: int) -> int:
        if self._thread is None:
            self._thread = threading.Thread(target=self._produce, args=(step,), daemon=True)
            self._thread.start()
        if self._batches is None or step >= self._start + self._length:
            chunk = self._chunks.get()
            if isinstance(chunk, BaseException):
                raise chunk
            self._start, self._length, self._batches = chunk
        return self._start + self._length - step

    def compile(self, state: TrainState) -> float:
        self.steps_available(int(state.step))
        return self._program.compile(state, self._key_on_device, self._chunk())

    def __call__(self, state: TrainState, steps: int) -> tuple[TrainState, Metrics]:
        return self._program(state, self._key_on_device, self._chunk(), steps)

    def close(self) -> None:
        self._closed.set()
        while self._thread is not None and self._thread.is_alive():
            with suppress(queue.Empty):  # the thread may be waiting for a place in the queue
                self._chunks.get_nowait()
            self._thread.join(0.05)

    def _chunk(self) -> tuple[Any, Array]:
        return self._batches, sharding.put(jnp.int32(self._start), self._replicated)

    def _produce(self, step: int) -> None:
        """Sends the chunks of an epoch to the device, and then those of the next epoch."""
        try:
            while not self._closed.is_set():
                batches: list[Any] = []
                for examples in self._batches_from(step):
                    batches.append(examples)
                    last = (step + 1 - self._first_step) % self._steps_per_epoch == 0
                    if len(batches) == self._longest or last:
                        self._send(step + 1 - len(batches), batches)
                        batches = []
                    step += 1
                    if self._closed.is_set():
                        return
        except BaseException as error:
            self._put(error)

    def _send(self, start: int, batches: list[Any]) -> None:
        length = len(batches)
        # The program is compiled for one length, and does not read the batches that fill it up.
        batches += [batches[-1]] * (self._longest - length)
        stacked = jax.tree.map(lambda *arrays: np.stack(arrays), *batches)
        self._put((start, length, sharding.put_share(stacked, self._by_example)))

    def _put(self, chunk: Any) -> None:
        while not self._closed.is_set():
            with suppress(queue.Full):
                return self._chunks.put(chunk, timeout=0.1)

    def _batches_from(self, step: int) -> Iterator[Any]:
        """The batches from a step to the end of its epoch, the share that this process reads."""
        order = batches_of(self._data, self._key, self._batch_size, step, self._first_step)
        done = (step - self._first_step) % self._steps_per_epoch
        mine = order[done:, sharding.share(self._batch_size)]
        if not self._stream:
            yield from (host_examples(self._data, index) for index in mine)
            return
        import grain  # the import takes a second, and is needed for streams only

        # Whole batches are read, so that the number of workers does not change which examples are together.
        dataset = grain.MapDataset.source(_Batches(self._data, mine))
        reading = grain.ReadOptions(num_threads=THREADS, prefetch_buffer_size=2 * THREADS)
        dataset = dataset.to_iter_dataset(reading)
        if self._workers:
            from absl import flags

            if not flags.FLAGS.is_parsed():  # grain reads flags of absl in its processes
                flags.FLAGS.mark_as_parsed()
            dataset = dataset.mp_prefetch(grain.MultiprocessingOptions(num_workers=self._workers))
        with processes.without_main() if self._workers else nullcontext():
            batches = iter(dataset)
            first = next(batches, None)  # starts the processes
        try:
            if first is not None:
                yield first
            yield from batches
        finally:
            if hasattr(batches, "close"):  # otherwise its processes end by themselves
                batches.close()


class _Batches:
    """The batches of an epoch as a data source of grain."""

    def __init__(self, data: Any, batches: np.ndarray):
        self._data, self._batches = data, batches

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, i: Any) -> Any:
        index = self._batches[int(i)]
        return jax.tree.map(
            lambda a: a.read(index) if isinstance(a, Stream) else np.asarray(a[index]), self._data
        )
