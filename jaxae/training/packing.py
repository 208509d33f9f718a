"""The arrays of a state as words of 32 bits: what they are, a checksum of each, and all of them in one."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, Sharding, SingleDeviceSharding
from jaxtyping import Array, UInt32

from jaxae.runtime import sharding


def describe(tree: Any) -> dict[str, str]:
    """Type and shape of every array of a tree, by its path.

    Examples:
      >>> import jax.numpy as jnp
      >>> describe({"w": jnp.zeros((2, 3))})
      {"['w']": 'float32[2,3]'}
    """
    return {
        jax.tree_util.keystr(path): f"{leaf.dtype}[{','.join(map(str, leaf.shape))}]"
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def checksums(tree: Any) -> UInt32[Array, " arrays"]:
    """A checksum of every array, `[arrays]`, the same however it is spread over devices.

    Every 32 bits are scrambled together with their place, one to one, and added modulo 2^32: one word that
    is changed changes the sum, for certain; more of them do but for once in four billion.

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
    # The place from an index along each axis: an array that is spread stays where it is.
    place, stride = jnp.zeros(words.shape, jnp.uint32), 1
    for axis in reversed(range(words.ndim)):
        index = jax.lax.broadcasted_iota(jnp.uint32, words.shape, axis)
        place += index * jnp.uint32(stride % 2**32)
        stride *= words.shape[axis]
    return jnp.sum(_mixed(words ^ _mixed(place)), dtype=jnp.uint32)


def _mixed(x: Array) -> Array:
    """Numbers scrambled one to one (the end of MurmurHash3)."""
    x = (x ^ x >> 16) * jnp.uint32(0x85EBCA6B)
    x = (x ^ x >> 13) * jnp.uint32(0xC2B2AE35)
    return x ^ x >> 16


def _paths(tree: Any) -> list[tuple[str, Any]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return [(jax.tree_util.keystr(path), leaf) for path, leaf in leaves]


def apart_of(tree: Any) -> list[str]:
    """The arrays that are divided over devices: these are written as they are."""
    return [path for path, leaf in _paths(tree) if not leaf.sharding.is_fully_replicated]


def packed(tree: Any, apart: list[str]) -> tuple[Array, dict[str, Array]]:
    """All arrays in one, `[words]`, but for those that are apart: to write many takes a while."""
    together = [leaf for path, leaf in _paths(tree) if path not in apart]
    # Copies, which are written while training goes on with the arrays themselves, and consumes them.
    return _joined(together), {path: jnp.copy(leaf) for path, leaf in _paths(tree) if path in apart}


@jax.jit
def _joined(leaves: list[Array]) -> UInt32[Array, " words"]:
    return jnp.concatenate([jnp.zeros(1, jnp.uint32), *(jnp.ravel(_words(x)) for x in leaves)])


def _words(x: Array) -> UInt32[Array, "..."]:
    """The bits of an array in words of 32; those of smaller types in a word each."""
    if x.dtype == bool:
        x = x.astype(jnp.uint8)
    return jax.lax.bitcast_convert_type(x, _unsigned(x.dtype)).astype(jnp.uint32)


def _unsigned(dtype: Any) -> Any:
    return jnp.dtype(f"uint{8 * min(4, dtype.itemsize)}")


def _shape(leaf: Any) -> tuple[int, ...]:
    """Of the words of an array."""
    return (*leaf.shape, 2) if leaf.dtype.itemsize == 8 else tuple(leaf.shape)


def places(tree: Any, apart: list[str]) -> tuple[Sharding, dict[str, Any]]:
    """Where what `packed` gives is to be read to: the words, and each array that is apart."""
    divided: dict[str, Any] = {}
    where: Any = None
    for path, leaf in _paths(tree):
        where = leaf.sharding
        if path in apart:
            divided[path] = jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)
    if where is None:  # there is no array
        where = SingleDeviceSharding(jax.local_devices()[0])
    if isinstance(where, NamedSharding):
        where = sharding.replicated(where.mesh)  # type: ignore[arg-type]
    return where, divided


def unpacked(words: Array, apart: dict[str, Array], tree: Any) -> Any:
    """The arrays of a tree, each where it is to be."""

    def divide(words: Array, apart: dict[str, Array]) -> list[Array]:
        leaves, start = [], 1
        for path, like in _paths(tree):
            if path in apart:
                leaves.append(apart[path])
                continue
            end = start + math.prod(_shape(like))
            part = jnp.reshape(words[start:end], _shape(like))
            if like.dtype == bool:
                leaves.append(part.astype(bool))
            else:
                part = part.astype(_unsigned(like.dtype))
                leaves.append(jax.lax.bitcast_convert_type(part, like.dtype))
            start = end
        return leaves

    where = [leaf.sharding for leaf in jax.tree.leaves(tree)]
    leaves = jax.jit(divide, out_shardings=where)(words, apart)
    return jax.tree.unflatten(jax.tree.structure(tree), leaves)
