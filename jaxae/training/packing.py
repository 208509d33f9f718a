"""The arrays of a state as 32-bit words: their description, their checksums, and all of them in one array."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, Sharding, SingleDeviceSharding
from jaxtyping import Array, UInt32

from jaxae.runtime import sharding


def describe(tree: Any) -> dict[str, str]:
    """The type and shape of every array of a tree, by its path.

    Examples:
      >>> import jax.numpy as jnp
      >>> describe({"w": jnp.zeros((2, 3))})
      {"['w']": 'float32[2,3]'}
    """
    return {
        jax.tree_util.keystr(path): f"{leaf.dtype}[{','.join(map(str, leaf.shape))}]"
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def differences(
    one: Mapping[str, str], other: Mapping[str, str], verbs: tuple[str, str] = ("was", "is")
) -> list[str]:
    """What differs between two descriptions; at most three differences, and how many more there are.

    Examples:
      >>> differences({"['w']": "float32[2]"}, {"['w']": "float32[3]"})
      ["['w'] was float32[2] and is float32[3]"]
    """
    names = [*one, *(name for name in other if name not in one)]
    found = [
        f"{name} {verbs[0]} {one.get(name, 'not there')} and {verbs[1]} {other.get(name, 'not there')}"
        for name in names
        if one.get(name) != other.get(name)
    ]
    return found if len(found) <= 3 else [*found[:3], f"and {len(found) - 3} more"]


def checksums(tree: Any) -> UInt32[Array, " arrays"]:
    """A checksum of every array, `[arrays]`, which does not depend on how an array is sharded.

    Every 32-bit word is mixed with its position by a one-to-one function, and the results are added modulo
    2^32. A change of one word always changes the sum; a change of several words goes unnoticed with a
    probability of about one in four billion.

    Examples:
      >>> one, other = checksums([jnp.array([0.0, 1.0]), jnp.array([1.0, 0.0])])
      >>> bool(one == other)
      False
    """
    return _checksums(jax.tree.leaves(tree))


@jax.jit
def _checksums(leaves: list[Array]) -> UInt32[Array, " arrays"]:
    return jnp.array([_sum_of_words(leaf) for leaf in leaves], jnp.uint32)


def _sum_of_words(x: Array) -> UInt32[Array, ""]:
    words = _words(jnp.asarray(x))
    # The position is computed from an index along each axis, so that a sharded array stays sharded.
    position, stride = jnp.zeros(words.shape, jnp.uint32), 1
    for axis in reversed(range(words.ndim)):
        index = jax.lax.broadcasted_iota(jnp.uint32, words.shape, axis)
        position += index * jnp.uint32(stride % 2**32)
        stride *= words.shape[axis]
    return jnp.sum(_mixed(words ^ _mixed(position)), dtype=jnp.uint32)


def _mixed(x: Array) -> Array:
    """A one-to-one function of 32-bit words (the last step of MurmurHash3)."""
    x = (x ^ x >> 16) * jnp.uint32(0x85EBCA6B)
    x = (x ^ x >> 13) * jnp.uint32(0xC2B2AE35)
    return x ^ x >> 16


def _paths(tree: Any) -> list[tuple[str, Any]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return [(jax.tree_util.keystr(path), leaf) for path, leaf in leaves]


def sharded_paths(tree: Any) -> list[str]:
    """The paths of the arrays that are divided over devices, which are written as they are."""
    return [path for path, leaf in _paths(tree) if not leaf.sharding.is_fully_replicated]


def pack(tree: Any, sharded: list[str]) -> tuple[Array, dict[str, Array]]:
    """All arrays in one, `[words]`, except for the sharded ones: writing many arrays is slow."""
    together = [leaf for path, leaf in _paths(tree) if path not in sharded]
    # Copies: they are written while training goes on, which donates the arrays themselves.
    return _joined(together), {p: jnp.copy(leaf) for p, leaf in _paths(tree) if p in sharded}


@jax.jit
def _joined(leaves: list[Array]) -> UInt32[Array, " words"]:
    return jnp.concatenate([jnp.zeros(1, jnp.uint32), *(jnp.ravel(_words(x)) for x in leaves)])


def _words(x: Array) -> UInt32[Array, "..."]:
    """The bits of an array as 32-bit words; a value of a smaller type becomes one word."""
    if x.dtype == bool:
        x = x.astype(jnp.uint8)
    return jax.lax.bitcast_convert_type(x, _unsigned(x.dtype)).astype(jnp.uint32)


def _unsigned(dtype: Any) -> Any:
    return jnp.dtype(f"uint{8 * min(4, dtype.itemsize)}")


def _words_shape(leaf: Any) -> tuple[int, ...]:
    """The shape of the words of an array."""
    return (*leaf.shape, 2) if leaf.dtype.itemsize == 8 else tuple(leaf.shape)


def restored_shapes(tree: Any, sharded: list[str]) -> tuple[Sharding, dict[str, Any]]:
    """The sharding that the words are read to, and the shape and sharding of each sharded array."""
    apart: dict[str, Any] = {}
    where: Any = None
    for path, leaf in _paths(tree):
        where = leaf.sharding
        if path in sharded:
            apart[path] = jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)
    if where is None:  # the tree has no arrays
        where = SingleDeviceSharding(jax.local_devices()[0])
    if isinstance(where, NamedSharding):
        where = sharding.replicated(where.mesh)  # type: ignore[arg-type]
    return where, apart


def unpack(words: Array, sharded: dict[str, Array], tree: Any) -> Any:
    """The arrays that `pack` was given, with the structure and the shardings of `tree`."""

    def divide(words: Array, sharded: dict[str, Array]) -> list[Array]:
        leaves, start = [], 1
        for path, like in _paths(tree):
            if path in sharded:
                leaves.append(sharded[path])
                continue
            end = start + math.prod(_words_shape(like))
            part = jnp.reshape(words[start:end], _words_shape(like))
            if like.dtype == bool:
                leaves.append(part.astype(bool))
            else:
                part = part.astype(_unsigned(like.dtype))
                leaves.append(jax.lax.bitcast_convert_type(part, like.dtype))
            start = end
        return leaves

    where = [leaf.sharding for leaf in jax.tree.leaves(tree)]
    leaves = jax.jit(divide, out_shardings=where)(words, sharded)
    return jax.tree.unflatten(jax.tree.structure(tree), leaves)
