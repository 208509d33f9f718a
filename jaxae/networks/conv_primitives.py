r"""Convolutions over images as pure functions, with an implementation for each platform.

Images are `[b, h, w, c]`, kernels `[height, width, in, out]`, and the padding is "SAME".

A strided convolution is bilinear in its images `x` and its kernel `k`, and the number
:math:`\langle y, x * k\rangle` is linear in each of `x`, `k` and `y`. Its three derivatives are
the convolution, its adjoint (the transposed convolution) and the kernel's gradient; the
derivatives of each of them are the other two. So three primitives are closed under
differentiation, forward and reverse, to any order.

On GPU and TPU they are `lax.conv_general_dilated` and its transposes. XLA on CPU runs some of these
on one core, and inside a scan a hundred times too slowly; there each of the three is a gather of
rows and one matrix product, with the batch innermost:

* an image is a matrix `[c h w, b]`, so that a patch, a padded border and the interleaving of a
  transposed convolution are all rows taken by an index known when compiling;
* all three products are then in the order that XLA multiplies fast;
* consecutive layers cancel each other's transposition, element-wise layers between included.
"""

import itertools
import math
from collections.abc import Callable
from functools import partial, reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental.xla_metadata import set_xla_metadata
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float

_Shape = tuple[Any, ...]
"""Sizes, of which the number of examples is symbolic in an export."""


class _Geometry(NamedTuple):
    """Output `i` reads the pixels `stride * i - low, ..., stride * i - low + kernel - 1`."""

    image: tuple[int, int]
    kernel: tuple[int, int]
    output: tuple[int, int]
    stride: int

    @property
    def low(self) -> tuple[int, int]:
        """The zeros before the image; those after it are the rest of "SAME" padding."""
        padding = (
            max((m - 1) * self.stride + k - n, 0)
            for n, m, k in zip(self.image, self.output, self.kernel, strict=True)
        )
        return tuple(p // 2 for p in padding)  # type: ignore[return-value]


def conv(
    x: Float[Array, "b h w i"],
    kernel: Float[Array, "kh kw i o"],
    bias: Float[Array, " o"] | None = None,
    *,
    stride: int = 1,
) -> Float[Array, "b h2 w2 o"]:
    """The cross-correlation of images with a kernel; `h2 = ceil(h / stride)`.

    Raises:
      ValueError: if the shapes or types do not fit each other.

    Examples:
      >>> conv(jnp.ones((1, 5, 4, 1)), jnp.ones((3, 3, 1, 2)), stride=2).shape
      (1, 3, 2, 2)
    """
    _check(x, kernel, bias, stride)
    (_, h, w, _), (kh, kw, _, _) = x.shape, kernel.shape
    geometry = _Geometry((h, w), (kh, kw), (-(-h // stride), -(-w // stride)), stride)
    return _add_bias(_conv_p.bind(x[None], kernel[None], geometry=geometry)[0], bias)


def conv_transpose(
    x: Float[Array, "b h w i"],
    kernel: Float[Array, "kh kw i o"],
    bias: Float[Array, " o"] | None = None,
    *,
    stride: int = 1,
) -> Float[Array, "b h2 w2 o"]:
    """The images with `stride - 1` zeros between their pixels, convolved; `h2 = stride * h`.

    It is the adjoint of :func:`conv` with the kernel reversed, as in `lax.conv_transpose`.

    Raises:
      ValueError: if the shapes or types do not fit each other.

    Examples:
      >>> conv_transpose(jnp.ones((1, 3, 2, 1)), jnp.ones((4, 4, 1, 2)), stride=2).shape
      (1, 6, 4, 2)
    """
    _check(x, kernel, bias, stride)
    (_, h, w, _), (kh, kw, _, _) = x.shape, kernel.shape
    geometry = _Geometry((stride * h, stride * w), (kh, kw), (h, w), stride)
    y = _adjoint_p.bind(x[None], _reverse_p.bind(kernel[None]), geometry=geometry)[0]
    return _add_bias(y, bias)


def _check(x: Array, kernel: Array, bias: Array | None, stride: int) -> None:
    if x.ndim != 4 or kernel.ndim != 4 or x.shape[3] != kernel.shape[2]:
        advice = "; images are [b, h, w, c], one image is x[None]" if x.ndim != 4 else ""
        raise ValueError(
            f"images {x.shape} and a kernel {kernel.shape} do not fit each other{advice}"
        )
    if bias is not None and bias.shape != kernel.shape[3:]:
        raise ValueError(f"a bias {bias.shape} does not fit a kernel {kernel.shape}")
    if x.dtype != kernel.dtype:
        raise ValueError(f"images of {x.dtype} and a kernel of {kernel.dtype}; cast one of them")
    if stride < 1:
        raise ValueError(f"the stride must be positive, got {stride}")


def _add_bias(y: Float[Array, "b h w o"], bias: Float[Array, " o"] | None) -> Array:
    return y if bias is None else y + _spread_p.bind(bias[None], size=y.shape[:3])[0]


# The three maps. With a leading axis of independent problems: x is [n, b, *image, c], k is
# [n, *kernel, c, o], y is [n, b, *output, o].

_conv_p = Primitive("jaxae_conv")
_adjoint_p = Primitive("jaxae_conv_adjoint")
_kernel_p = Primitive("jaxae_conv_kernel")

ad.defbilinear(
    _conv_p,
    lambda y, x, k, geometry: _adjoint_p.bind(y, k, geometry=geometry),
    lambda y, x, k, geometry: _kernel_p.bind(x, y, geometry=geometry),
)
ad.defbilinear(
    _adjoint_p,
    lambda x, y, k, geometry: _conv_p.bind(x, k, geometry=geometry),
    lambda x, y, k, geometry: _kernel_p.bind(x, y, geometry=geometry),
)
ad.defbilinear(
    _kernel_p,
    lambda k, x, y, geometry: _adjoint_p.bind(y, k, geometry=geometry),
    lambda k, x, y, geometry: _conv_p.bind(x, k, geometry=geometry),
)

# The kernel of the adjoint, `[n, kh, kw, i, o]` to `[n, kh, kw, o, i]`, its own inverse.
_reverse_p = Primitive("jaxae_conv_reverse")
# A bias [n, o] at every pixel, [n, *size, o], and the sum over the pixels.
_spread_p = Primitive("jaxae_conv_spread")
_sum_p = Primitive("jaxae_conv_sum")

ad.deflinear2(_reverse_p, lambda k, _: [_reverse_p.bind(k)])
ad.deflinear2(_spread_p, lambda y, _, size: [_sum_p.bind(y, size=size)])
ad.deflinear2(_sum_p, lambda bias, _, size: [_spread_p.bind(bias, size=size)])


# On any platform: lax.conv_general_dilated and its transposes.


def _lax_conv(x: Array, k: Array, geometry: _Geometry) -> Array:
    padding = [
        (low, (m - 1) * geometry.stride + size - n - low)
        for n, size, m, low in zip(*geometry[:3], geometry.low, strict=True)
    ]
    layout = ("NHWC", "HWIO", "NHWC")
    stride = (geometry.stride, geometry.stride)
    return lax.conv_general_dilated(x, k, stride, padding, dimension_numbers=layout)


def _lax_adjoint(y: Array, k: Array, geometry: _Geometry) -> Array:
    x = jax.ShapeDtypeStruct((y.shape[0], *geometry.image, k.shape[2]), y.dtype)
    return jax.linear_transpose(lambda x: _lax_conv(x, k, geometry), x)(y)[0]


def _lax_kernel(x: Array, y: Array, geometry: _Geometry) -> Array:
    k = jax.ShapeDtypeStruct((*geometry.kernel, x.shape[3], y.shape[3]), y.dtype)
    return jax.linear_transpose(lambda k: _lax_conv(x, k, geometry), k)(y)[0]


def _reverse(k: Array) -> Array:
    return k[::-1, ::-1].swapaxes(2, 3)


def _spread(bias: Array, size: _Shape) -> Array:
    return jnp.broadcast_to(bias, (*size, *bias.shape))


def _sum(y: Array, size: _Shape) -> Array:
    del size
    return jnp.sum(y, (0, 1, 2))


# On CPU: columns [channels h w, b], gathered and multiplied.


def _cpu_conv(x: Array, k: Array, geometry: _Geometry) -> Array:
    *_, o = k.shape
    y = _dot(
        _alone(jnp.transpose)(k.reshape(-1, o)), _patches(_to_columns(x), x.shape, geometry), (1, 0)
    )
    return _from_columns(y, (x.shape[0], *geometry.output, o))


def _cpu_kernel(x: Array, y: Array, geometry: _Geometry) -> Array:
    k = _dot(_patches(_to_columns(x), x.shape, geometry), _to_columns(y), (1, 1))
    return k.reshape(*geometry.kernel, x.shape[3], y.shape[3])


def _cpu_adjoint(y: Array, k: Array, geometry: _Geometry) -> Array:
    b, c, (h, w) = y.shape[0], k.shape[2], geometry.image
    patches = _dot(k.reshape(-1, k.shape[3]), _to_columns(y), (1, 0)).reshape(-1, b)
    # A pixel is the sum over the taps that read it: taps r, r + stride, ...
    taps = [
        [_readers(n, k, m, geometry.stride, low, t) for t in range(-(-k // geometry.stride))]
        for n, k, m, low in zip(*geometry[:3], geometry.low, strict=True)
    ]
    channel = np.arange(c)[:, None, None]
    kw, (oh, ow) = geometry.kernel[1], geometry.output
    terms = []
    for (i, di), (j, dj) in itertools.product(*taps):
        i, di = i[:, None], di[:, None]
        row = (((i * kw + j) * c + channel) * oh + di) * ow + dj
        terms.append(np.where((i < 0) | (j < 0), -1, row))
    return _from_columns(_take(patches, *terms), (b, h, w, c))


def _cpu_sum(y: Array, size: _Shape) -> Array:
    # XLA would transpose the images back to sum them.
    return _dot(_to_columns(y), jnp.ones((math.prod(size), 1), y.dtype), (1, 0))[:, 0]


def _dot(a: Array, b: Array, contract: tuple[int, int]) -> Array:
    dimensions = (((contract[0],), (contract[1],)), ((), ()))
    wide = jnp.promote_types(a.dtype, jnp.float32)
    return lax.dot_general(a, b, dimensions, preferred_element_type=wide).astype(a.dtype)


def _to_columns(x: Float[Array, "b h w c"]) -> Float[Array, "c n"]:
    return x.transpose(3, 1, 2, 0).reshape(x.shape[3], -1)


def _from_columns(x: Array, shape: _Shape) -> Float[Array, "b h w c"]:
    b, h, w, c = shape
    return x.reshape(c, h, w, b).transpose(3, 1, 2, 0)


def _pixels(size: int, kernel: int, output: int, stride: int, low: int) -> np.ndarray:
    """The pixel that tap `a` of output `i` reads, `[kernel, output]`; -1 if there is none."""
    pixel = stride * np.arange(output) + np.arange(kernel)[:, None] - low
    return np.where((pixel >= 0) & (pixel < size), pixel, -1)


def _readers(
    size: int, kernel: int, output: int, stride: int, low: int, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """The `n`-th tap that reads each pixel (-1 if there is none), and the output it belongs to."""
    tap = (np.arange(size) + low) % stride + n * stride
    i = (np.arange(size) + low) // stride - n
    return np.where((tap < kernel) & (i >= 0) & (i < output), tap, -1), i


def _patches(columns: Array, shape: _Shape, geometry: _Geometry) -> Array:
    """The values of images `[b, h, w, c]` that each tap reads for each output: `[kh kw c, oh ow b]`."""
    b, h, w, c = shape
    i, j = (
        _pixels(n, k, m, geometry.stride, low)
        for n, k, m, low in zip(*geometry[:3], geometry.low, strict=True)
    )
    i, j = i[:, None, None, :, None], j[None, :, None, None, :]
    row = (np.arange(c)[:, None, None] * h + i) * w + j
    taps = math.prod(geometry.kernel) * c
    return _take(columns.reshape(-1, b), np.where((i < 0) | (j < 0), -1, row)).reshape(taps, -1)


def _take(matrix: Float[Array, "m b"], *rows: np.ndarray) -> Array:
    """Rows of a matrix, zeros for row -1; for several index arrays, the sum of their rows."""
    if len(rows) == 1 and np.array_equal(rows[0].reshape(-1), np.arange(matrix.shape[0])):
        return matrix
    index = [np.where(i < 0, matrix.shape[0], i).astype(np.int32).reshape(-1) for i in rows]
    return _alone(_take_rows)(matrix, index)


def _take_rows(matrix: Array, rows: list[Array]) -> Array:
    def take(i: Array) -> Array:
        return matrix.at[i].get(mode="fill", fill_value=0, wrap_negative_indices=False)

    return reduce(jnp.add, map(take, rows))


def _alone(function: Callable[..., Array]) -> Callable[..., Array]:
    """A call that XLA on CPU does not fuse with its neighbours (an activation, an optimizer).

    Fused, they would be computed again for each tap, without vectorisation over the batch.
    """
    compiled = jax.jit(function)

    def call(*args: Any) -> Array:
        with set_xla_metadata(inlineable="false"):
            return compiled(*args)

    return call


# The rules of a primitive: its type, how it is mapped, lowered and evaluated.


def _define_bilinear(primitive: Primitive, roles: str, lax_map: Any, cpu_map: Any) -> None:
    """Defines a map from the arrays `roles[0]` and `roles[1]` to the array `roles[2]`."""
    # Where the images, the channels in and the channels out of each array are.
    axes = {"x": {"b": 1, "c": 4}, "k": {"c": 3, "o": 4}, "y": {"b": 1, "o": 4}}
    first, second, out = (axes[role] for role in roles)

    def batch(arrays: Any, dims: Any, *, geometry: _Geometry) -> Any:
        if None not in dims:
            return _more_problems(partial(primitive.bind, geometry=geometry), arrays, dims)
        # One problem with more images, or more channels: along the axis that is not summed over.
        i, own = (0, first) if dims[1] is None else (1, second)
        (label,) = own.keys() & out.keys()
        axis = own[label]
        x = jnp.moveaxis(arrays[i], dims[i], axis)
        merged = x.reshape(*x.shape[:axis], -1, *x.shape[axis + 2 :])
        operands = (merged, arrays[1]) if i == 0 else (arrays[0], merged)
        y = primitive.bind(*operands, geometry=geometry)
        before, after = y.shape[: out[label]], y.shape[out[label] + 1 :]
        return y.reshape(*before, x.shape[axis], -1, *after), out[label]

    _define(primitive, lax_map, cpu_map)
    batching.primitive_batchers[primitive] = batch


def _define_linear(primitive: Primitive, lax_map: Any, cpu_map: Any) -> None:
    def batch(arrays: Any, dims: Any, **parameters: Any) -> Any:
        return _more_problems(partial(primitive.bind, **parameters), arrays, dims)

    _define(primitive, lax_map, cpu_map)
    batching.primitive_batchers[primitive] = batch


def _more_problems(bind: Callable[..., Array], arrays: Any, dims: Any) -> tuple[Array, int]:
    """Merges a mapped axis of all arrays with the leading axis of independent problems."""
    arrays = [jnp.moveaxis(x, dim, 0) for x, dim in zip(arrays, dims, strict=True)]
    y = bind(*(x.reshape(-1, *x.shape[2:]) for x in arrays))
    return y.reshape(*arrays[0].shape[:2], *y.shape[1:]), 0


def _define(primitive: Primitive, lax_map: Any, cpu_map: Any) -> None:
    def lower_lax(*arrays: Array, **parameters: Any) -> Array:
        if arrays[0].shape[0] == 1:
            return lax_map(*(x[0] for x in arrays), **parameters)[None]
        return jax.vmap(partial(lax_map, **parameters))(*arrays)

    def lower_cpu(*arrays: Array, **parameters: Any) -> Array:
        if arrays[0].shape[0] == 1:
            return cpu_map(*(x[0] for x in arrays), **parameters)[None]
        return lax.map(lambda problem: cpu_map(*problem, **parameters), arrays)

    def abstract_eval(*arrays: Any, **parameters: Any) -> Any:
        structs = (jax.ShapeDtypeStruct(x.shape, x.dtype) for x in arrays)
        y = jax.eval_shape(partial(lower_lax, **parameters), *structs)
        return arrays[0].update(shape=y.shape, dtype=y.dtype, weak_type=False)

    primitive.def_impl(jax.jit(primitive.bind, static_argnames=("geometry", "size")))
    primitive.def_abstract_eval(abstract_eval)
    rule = partial(mlir.lower_fun, multiple_results=False)
    mlir.register_lowering(primitive, rule(lower_lax))
    mlir.register_lowering(primitive, rule(lower_cpu), platform="cpu")


_define_bilinear(_conv_p, "xky", _lax_conv, _cpu_conv)
_define_bilinear(_adjoint_p, "ykx", _lax_adjoint, _cpu_adjoint)
_define_bilinear(_kernel_p, "xyk", _lax_kernel, _cpu_kernel)
_define_linear(_reverse_p, _reverse, _alone(_reverse))
_define_linear(_spread_p, _spread, _spread)
_define_linear(_sum_p, _sum, _cpu_sum)
