"""Many devices, and many hosts: what is where, and what all processes have to agree on.

Data parallel: the examples of a batch are divided over the devices. Parameters and optimizer are the
same on every device, or divided over them too (fully sharded, FSDP). Nothing else changes: the random
bits of JAX do not depend on how an array is sharded, so that one device and eight, and one process and
four, compute the same numbers up to the order of their sums.
"""

import json
import math
import os
import zlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec, Sharding
from jaxtyping import Array

Tree = TypeVar("Tree")
Result = TypeVar("Result")

HEARTBEAT = 30
"""Seconds without a sign of life after which a process is gone, where nothing else tells it."""
SMALL = 4096
"""Arrays with fewer values are on every device, whatever is sharded: to fetch them costs more."""


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


def agree(*values: float) -> tuple[float, ...]:
    """The largest of what the processes say, which is the same for all of them.

    Examples:
      >>> agree(1.5)
      (1.5,)
    """
    if jax.process_count() > 1:
        said = multihost_utils.process_allgather(np.asarray(values, np.float32))
        values = tuple(float(value) for value in np.max(said, axis=0))
    return values


def together(do: Callable[[], Result]) -> Result:
    """What a function gives, or the `ValueError` it raises, which then every process raises.

    Examples:
      >>> together(lambda: 3)
      3
    """
    problem, result = None, None
    try:
        result = do()
    except ValueError as error:
        problem = error
    if any(agree(float(problem is not None))):
        raise problem or ValueError("another process cannot go on, and says why")
    return result  # type: ignore[return-value]


def check_same(values: Any) -> None:
    """Raises a `ValueError`, in every process, unless all processes were told the same."""
    checksum = zlib.crc32(json.dumps(values, sort_keys=True, default=str).encode())
    halves = float(checksum >> 16), float(checksum & 0xFFFF)
    said = (*halves, *(-half for half in halves))  # the largest, and the smallest
    if any(agree(float(agree(*said) != said))):
        raise ValueError("the processes were started with different flags, or see different data")


def data_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
    """A mesh with one axis, "data", over these devices (all of them, of all processes, when None).

    Examples:
      >>> data_mesh(jax.devices()[:1]).shape["data"]
      1
    """
    devices = jax.devices() if devices is None else devices
    # In the order of the processes, each of which reads its own part of a batch.
    ordered = sorted(devices, key=lambda device: (device.process_index, device.id))
    return Mesh(np.array(ordered), ("data",), axis_types=(AxisType.Auto,))


def local_mesh() -> Mesh:
    """A mesh over the devices of this process, for what every process does for itself."""
    return data_mesh(jax.local_devices())


def everywhere(mesh: Mesh) -> NamedSharding:
    """The sharding of arrays that are the same on every device."""
    return NamedSharding(mesh, PartitionSpec())


def by_example(mesh: Mesh, *, axis: int = 0) -> NamedSharding:
    """The sharding of arrays whose examples, along an axis, are divided over the devices."""
    return NamedSharding(mesh, PartitionSpec(*[None] * axis, "data"))


def shardings(tree: Any, mesh: Mesh, *, shard: bool) -> Any:
    """Where the arrays of a state go: on every device, or each divided along its longest axis.

    Args:
      tree: arrays, or their shapes.
      mesh: the devices.
      shard: whether to divide them; those that do not divide, or are small, are everywhere.

    Examples:
      >>> mesh = data_mesh(jax.devices()[:1])
      >>> tuple(shardings(jax.ShapeDtypeStruct((8, 4096), np.float32), mesh, shard=True).spec)
      (None, 'data')
    """

    def of(leaf: Any) -> NamedSharding:
        axes = [i for i, n in enumerate(leaf.shape) if n % mesh.size == 0]
        if not shard or not axes or math.prod(leaf.shape) < SMALL:
            return everywhere(mesh)
        return by_example(mesh, axis=max(axes, key=lambda i: leaf.shape[i]))

    return jax.tree.map(of, tree)


def put(tree: Tree, sharding: Sharding) -> Tree:
    """Arrays of this host, the same in every process, as arrays of all devices."""
    if jax.process_count() == 1:
        return jax.device_put(tree, sharding)

    def spread(x: Any) -> Array:
        if isinstance(x, jax.Array) and jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(spread(jax.random.key_data(x)))
        x = np.asarray(x)
        return jax.make_array_from_callback(x.shape, sharding, lambda index: x[index])

    return jax.tree.map(spread, tree)


def put_share(tree: Tree, sharding: NamedSharding) -> Tree:
    """What each process has of some arrays, put together to arrays of all devices."""
    if jax.process_count() == 1:
        return jax.device_put(tree, sharding)
    return jax.tree.map(
        lambda x: jax.make_array_from_process_local_data(sharding, np.asarray(x)), tree
    )


def gather(tree: Tree) -> Tree:
    """Arrays of all devices as arrays of one device of this process, on every process the same."""

    def local(x: Array) -> Array:
        if not x.is_fully_addressable and not x.is_fully_replicated:
            everyone = everywhere(x.sharding.mesh)  # type: ignore[attr-defined]
            x = jax.jit(lambda x: x, out_shardings=everyone)(x)
        return jax.device_put(
            x.addressable_data(0) if x.is_fully_replicated else jax.device_get(x),
            jax.local_devices()[0],
        )

    return jax.tree.map(local, tree)


def share(batch_size: int) -> slice:
    """Which examples of a batch this process reads.

    Examples:
      >>> share(8)
      slice(0, 8, None)
    """
    part = batch_size // jax.process_count()
    return slice(jax.process_index() * part, (jax.process_index() + 1) * part)


def split(tree: Tree, mesh: Mesh, *, axis: int = 0) -> Tree:
    """Inside `jit`: arrays whose examples, along an axis, are to be divided over the devices."""
    return jax.lax.with_sharding_constraint(tree, by_example(mesh, axis=axis))


def check_divides(batch_size: int, mesh: Mesh, parts: int = 1) -> None:
    """Raises a `ValueError` unless every device gets the same share of each part of a batch."""
    if batch_size % (mesh.size * parts):
        several = f" and {parts} parts" if parts > 1 else ""
        raise ValueError(
            f"the batch size {batch_size} does not divide by the {mesh.size} devices{several}; "
            f"take a multiple of {mesh.size * parts}"
        )
