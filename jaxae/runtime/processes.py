"""Several processes that train one model: who is first, what all agree on, and who has ended."""

import json
import os
import zlib
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

Result = TypeVar("Result")

HEARTBEAT = 30
"""Seconds without a sign of life after which a process is gone, where nothing else tells it."""


def connect() -> None:
    """Joins this process with the others that train the same model; to be called before all else of JAX.

    Under SLURM, Open MPI, Kubernetes and on the hosts of a TPU pod slice JAX knows who they are; elsewhere
    the environment says it: `JAX_COORDINATOR_ADDRESS` (`host:port` of the first), `JAX_NUM_PROCESSES`
    and `JAX_PROCESS_ID` (0, 1, ...).

    Raises:
      ValueError: if they cannot be found or reached.
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
    # The processors of several processes add their numbers by this.
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize(**options, heartbeat_timeout_seconds=HEARTBEAT)
    except (RuntimeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise ValueError(
            f"--distributed cannot find or reach the other processes ({reason}); under no scheduler that "
            f"JAX knows, set {', '.join(names)}"
        ) from error


class GoneError(RuntimeError):
    """Another of the processes that train together has ended."""


SIGNS_OF_A_DEATH = ("gloo", "by peer", "socket closed", "coordination service")
"""What is said, by whoever notices it, when another process has ended."""


def is_gone(error: BaseException | None) -> bool:
    """Whether an error is what is left to say when another process has ended.

    Examples:
      >>> is_gone(ValueError("Read error: Connection reset by peer"))  # of one process
      False
    """
    if jax.process_count() == 1:
        return False
    while error is not None:
        text = str(error).lower()
        if isinstance(error, GoneError | jax.errors.JaxRuntimeError):
            return True
        if any(sign in text for sign in SIGNS_OF_A_DEATH):
            return True
        error = error.__cause__ or error.__context__
    return False


def is_first() -> bool:
    """Whether this process is the one that writes and reports."""
    return jax.process_index() == 0


def max_over_processes(*values: float) -> tuple[float, ...]:
    """The largest of what the processes say, which is the same for all of them.

    Examples:
      >>> max_over_processes(1.5)
      (1.5,)
    """
    if jax.process_count() > 1:
        said = multihost_utils.process_allgather(np.asarray(values, np.float32))
        values = tuple(float(value) for value in np.max(said, axis=0))
    return values


def raise_together(do: Callable[[], Result]) -> Result:
    """What a function gives, or the `ValueError` it raises, which then every process raises.

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
        raise problem or ValueError("another process cannot go on, and says why")
    return result  # type: ignore[return-value]


def check_same(values: Any) -> None:
    """Raises a `ValueError`, in every process, unless all processes were told the same."""
    checksum = zlib.crc32(json.dumps(values, sort_keys=True, default=str).encode())
    halves = float(checksum >> 16), float(checksum & 0xFFFF)
    said = (*halves, *(-half for half in halves))  # the largest, and the smallest
    if any(max_over_processes(float(max_over_processes(*said) != said))):
        raise ValueError("the processes were started with different flags, or see different data")
