"""Several processes that train one model: connecting them, agreeing on values, noticing lost processes."""

import json
import os
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

Result = TypeVar("Result")

HEARTBEAT = 30
"""Seconds without a sign of life after which a process counts as lost."""


def connect() -> None:
    """Connects this process with the others that train the same model, before any other use of JAX.

    Under SLURM, Open MPI and Kubernetes, and on the hosts of a TPU pod slice, JAX finds the processes itself.
    Elsewhere the environment names them: `JAX_COORDINATOR_ADDRESS` (`host:port` of the first),
    `JAX_NUM_PROCESSES` and `JAX_PROCESS_ID` (0, 1, ...).

    Raises:
      ValueError: if the processes cannot be found or reached.
    """
    names = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
    given = [os.environ.get(name) for name in names]
    options: dict[str, Any] = {}
    if any(given):
        if not all(given):
            missing = [name for name, value in zip(names, given, strict=True) if not value]
            raise ValueError(f"--distributed also needs {' and '.join(missing)}")
        address, count, index = given
        if not (str(count).isdigit() and str(index).isdigit() and int(index) < int(count)):  # type: ignore[arg-type]
            raise ValueError(
                f"{names[1]} must be a number and {names[2]} a smaller one, got {count} and {index}"
            )
        options = {
            "coordinator_address": address,
            "num_processes": int(count),  # type: ignore[arg-type]
            "process_id": int(index),  # type: ignore[arg-type]
        }
    # The library by which the CPUs of several processes exchange numbers.
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize(**options, heartbeat_timeout_seconds=HEARTBEAT)
    except (RuntimeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise ValueError(
            f"--distributed cannot find or reach the other processes ({reason}); under no scheduler that "
            f"JAX knows, set {', '.join(names)}"
        ) from error


_MAIN = threading.RLock()


@contextmanager
def without_main() -> Iterator[None]:
    """A context in which new processes do not run the script of this one.

    :mod:`multiprocessing` imports the main module in every process that it spawns. A script without
    `if __name__ == "__main__":` would train there again. The processes that read data get all that
    they need from cloudpickle, also functions of the script.
    """
    main = sys.modules["__main__"]
    with _MAIN:
        file = None if getattr(main, "__spec__", None) else vars(main).pop("__file__", None)
        try:
            yield
        finally:
            if file is not None:
                main.__file__ = file


class GoneError(RuntimeError):
    """Another of the processes that train together has ended."""


SIGNS_OF_A_LOST_PROCESS = ("gloo", "by peer", "socket closed", "coordination service")
"""Parts of the messages of libraries that notice that another process has ended."""


def is_gone(error: BaseException | None) -> bool:
    """Whether the cause of an error is that another process has ended.

    Examples:
      >>> is_gone(ValueError("Read error: Connection reset by peer"))  # there is only one process
      False
    """
    if jax.process_count() == 1:
        return False
    while error is not None:
        text = str(error).lower()
        if isinstance(error, GoneError | jax.errors.JaxRuntimeError):
            return True
        if any(sign in text for sign in SIGNS_OF_A_LOST_PROCESS):
            return True
        error = error.__cause__ or error.__context__
    return False


def is_first() -> bool:
    """Whether this process is the first, the one that writes and reports."""
    return jax.process_index() == 0


def max_over_processes(*values: float) -> tuple[float, ...]:
    """The largest of the values of all processes, the same in each of them.

    Examples:
      >>> max_over_processes(1.5)
      (1.5,)
    """
    if jax.process_count() > 1:
        every = multihost_utils.process_allgather(np.asarray(values, np.float32))
        values = tuple(float(value) for value in np.max(every, axis=0))
    return values


def raise_together(do: Callable[[], Result]) -> Result:
    """The result of a function; if it raises a `ValueError` in one process, all processes raise one.

    Examples:
      >>> raise_together(lambda: 3)
      3
    """
    problem, result = None, None
    try:
        result = do()
    except ValueError as error:
        problem = error
    if any(max_over_processes(float(problem is not None))):
        raise problem or ValueError("another process cannot go on, and its message says why")
    return result  # type: ignore[return-value]


def check_same(values: Any) -> None:
    """Raises a `ValueError` in every process unless the values are the same in all of them."""
    checksum = zlib.crc32(json.dumps(values, sort_keys=True, default=str).encode())
    halves = float(checksum >> 16), float(checksum & 0xFFFF)
    # Negative numbers as well: their largest is the smallest.
    mine = (*halves, *(-half for half in halves))
    if any(max_over_processes(float(max_over_processes(*mine) != mine))):
        raise ValueError("the processes were started with different flags, or see different data")
