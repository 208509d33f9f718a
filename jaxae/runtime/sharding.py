"""How arrays are distributed over devices and hosts.

Training is data parallel: the examples of a batch are divided over the devices. Parameters and optimizer
state are replicated on every device, or divided too (fully sharded, FSDP). The random bits of JAX do not
depend on how an array is sharded, so one device and eight, and one process and four, compute the same
numbers up to the order of summation.
"""

import math
from collections.abc import Sequence
from typing import Any, TypeVar

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec, Sharding
from jaxtyping import Array

Tree = TypeVar("Tree")

SMALL = 4096
"""Arrays with fewer values are never divided: fetching them would cost more than it saves."""


def data_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
    """A mesh with one axis, "data", over these devices (all of them, of all processes, when None).

    Raises:
      ValueError: if there is none.

    Examples:
      >>> data_mesh(jax.devices()[:1]).shape["data"]
      1
    """
    devices = jax.devices() if devices is None else devices
    if not devices:
        raise ValueError("devices must be a list of some devices, such as jax.devices()[:1]")
    # In the order of the processes, since each of them reads its own part of a batch.
    ordered = sorted(devices, key=lambda device: (device.process_index, device.id))
    return Mesh(np.array(ordered), ("data",), axis_types=(AxisType.Auto,))


def local_mesh() -> Mesh:
    """A mesh over the devices of this process, for computations that every process makes by itself."""
    return data_mesh(jax.local_devices())


def replicated(mesh: Mesh) -> NamedSharding:
    """The sharding of arrays that are copied to every device."""
    return NamedSharding(mesh, PartitionSpec())


def by_example(mesh: Mesh, *, axis: int = 0) -> NamedSharding:
    """The sharding of arrays whose examples, along an axis, are divided over the devices."""
    return NamedSharding(mesh, PartitionSpec(*[None] * axis, "data"))


def shardings(tree: Any, mesh: Mesh, *, shard: bool) -> Any:
    """The shardings of the arrays of a state: replicated, or each divided along its longest axis.

    Args:
      tree: arrays, or their shapes.
      mesh: the devices.
      shard: whether to divide them; arrays that are small or not divisible are replicated.

    Examples:
      >>> mesh = data_mesh(jax.devices()[:1])
      >>> tuple(shardings(jax.ShapeDtypeStruct((8, 4096), np.float32), mesh, shard=True).spec)
      (None, 'data')
    """

    def of(leaf: Any) -> NamedSharding:
        axes = [i for i, n in enumerate(leaf.shape) if n % mesh.size == 0]
        if not shard or not axes or math.prod(leaf.shape) < SMALL:
            return replicated(mesh)
        return by_example(mesh, axis=max(axes, key=lambda i: leaf.shape[i]))

    return jax.tree.map(of, tree)


def put(tree: Tree, sharding: Sharding) -> Tree:
    """Arrays that every process has, as arrays on all devices."""
    if jax.process_count() == 1:
        return jax.device_put(tree, sharding)

    def spread(x: Any) -> Array:
        if isinstance(x, jax.Array) and jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(spread(jax.random.key_data(x)))
        x = np.asarray(x)
        return jax.make_array_from_callback(x.shape, sharding, lambda index: x[index])

    return jax.tree.map(spread, tree)


def put_share(tree: Tree, sharding: NamedSharding) -> Tree:
    """Arrays of which every process has a part, as arrays on all devices."""
    if jax.process_count() == 1:
        return jax.device_put(tree, sharding)
    return jax.tree.map(
        lambda x: jax.make_array_from_process_local_data(sharding, np.asarray(x)), tree
    )


def gather(tree: Tree) -> Tree:
    """Arrays on all devices as arrays on one device of each process."""

    def local(x: Array) -> Array:
        if not x.is_fully_addressable and not x.is_fully_replicated:
            everywhere = replicated(x.sharding.mesh)  # type: ignore[attr-defined]
            x = jax.jit(lambda x: x, out_shardings=everywhere)(x)
        return jax.device_put(
            x.addressable_data(0) if x.is_fully_replicated else jax.device_get(x),
            jax.local_devices()[0],
        )

    return jax.tree.map(local, tree)


def share(batch_size: int) -> slice:
    """The examples of a batch that this process reads.

    Examples:
      >>> share(8)
      slice(0, 8, None)
    """
    part = batch_size // jax.process_count()
    return slice(jax.process_index() * part, (jax.process_index() + 1) * part)


def split(tree: Tree, mesh: Mesh, *, axis: int = 0) -> Tree:
    """Inside `jit`: divides the examples of arrays, along an axis, over the devices."""
    return jax.lax.with_sharding_constraint(tree, by_example(mesh, axis=axis))


def check_divides(batch_size: int, mesh: Mesh, parts: int = 1) -> None:
    """Raises a `ValueError` unless each part of a batch can be divided equally over the devices."""
    if batch_size % (mesh.size * parts):
        several = f" and {parts} parts" if parts > 1 else ""
        raise ValueError(
            f"the batch size {batch_size} does not divide by the {mesh.size} devices{several}; "
            f"use a multiple of {mesh.size * parts}"
        )
