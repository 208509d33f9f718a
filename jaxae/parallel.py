"""Many devices: parameters and data replicated, the indices of a batch split over the devices.

The random bits of JAX do not depend on how an array is sharded, so that one device and eight
compute the same numbers up to the order of their sums.
"""

from collections.abc import Sequence
from typing import TypeVar

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

Tree = TypeVar("Tree")


def data_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
    """A mesh with one axis, "data", over these devices (all of them when None).

    Examples:
      >>> data_mesh(jax.devices()[:1]).shape["data"]
      1
    """
    devices = jax.devices() if devices is None else devices
    return jax.make_mesh((len(devices),), ("data",), axis_types=(AxisType.Auto,), devices=devices)


def replicate(tree: Tree, mesh: Mesh) -> Tree:
    """The same arrays on every device of the mesh."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def split_last_axis(indices: Array, mesh: Mesh) -> Array:
    """Inside `jit`: the last axis, the examples of a batch, divided over the devices."""
    spec = PartitionSpec(*[None] * (indices.ndim - 1), "data")
    return jax.lax.with_sharding_constraint(indices, NamedSharding(mesh, spec))


def check_divides(batch_size: int, mesh: Mesh) -> None:
    """Raises a `ValueError` unless every device gets the same share of a batch."""
    if batch_size % mesh.size:
        raise ValueError(
            f"the batch size {batch_size} does not divide by the {mesh.size} devices; "
            f"take a multiple of {mesh.size}"
        )
