"""Convolutions over images as pure functions: the one place that decides how they are computed.

Images are `[b, h, w, c]`, kernels `[height, width, in, out]`, and the padding is "SAME".

A strided convolution is bilinear in its images `x` and its kernel `k`, and the number
:math:`\\langle y, x * k\\rangle` is linear in each of `x`, `k` and `y`. Its three derivatives are
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
    y = _adjoint_p.bind(x[None], _reverse_p.bind(kernel)[None], geometry=geometry)[0]
    return _add_bias(y, bias)


def _check(x: Array, kernel: Array, bias: Array | None, stride: int) -> None:
    if x.ndim != 4 or kernel.ndim != 4 or x.shape[3] != kernel.shape[2]:
        raise ValueError(f"images {x.shape} and a kernel {kernel.shape} do not fit each other")
    if bias is not None and bias.shape != kernel.shape[3:]:
        raise ValueError(f"a bias {bias.shape} does not fit a kernel {kernel.shape}")
    if x.dtype != kernel.dtype:
        raise ValueError(f"images of {x.dtype} and a kernel of {kernel.dtype}; cast one of them")
    if stride < 1:
        raise ValueError(f"the stride must be positive, got {stride}")


def _add_bias(y: Float[Array, "b h w o"], bias: Float[Array, " o"] | None) -> Array:
    def columns(y: Array, bias: Array) -> Array:
        # A product with ones, whose derivative is a product too: a sum would make XLA on CPU
        # transpose the images back.
        b, h, w, o = y.shape
        ones = jnp.ones((1, h * w * b), y.dtype)
        return _from_columns(_to_columns(y) + bias[:, None] @ ones, (b, h, w, o))

    if bias is None:
        return y
    return lax.platform_dependent(y, bias, cpu=columns, default=lambda y, bias: y + bias)


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

# The kernel of the adjoint: `[..., kh, kw, i, o]` to `[..., kh, kw, o, i]`, its own inverse.
_reverse_p = Primitive("jaxae_conv_reverse")
ad.deflinear2(_reverse_p, lambda k, _: [_reverse_p.bind(k)])


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
    return k[..., ::-1, ::-1, :, :].swapaxes(-1, -2)


# On CPU: columns [channels h w, b], gathered and multiplied.


def _cpu_conv(x: Array, k: Array, geometry: _Geometry) -> Array:
    *_, o = k.shape
    y = _dot(_alone(jnp.transpose)(k.reshape(-1, o)), _patches(_to_columns(x), x.shape, geometry), (1, 0))
    return _from_columns(y, (x.shape[0], *geometry.output, o))


def _cpu_kernel(x: Array, y: Array, geometry: _Geometry) -> Array:
    k = _dot(_patches(_to_columns(x), x.shape, geometry), _to_columns(y), (1, 1))
    return k.reshape(*geometry.kernel, x.shape[3], y.shape[3])


def _cpu_adjoint(y: Array, k: Array, geometry: _Geometry) -> Array:
    b, c, (h, w) = y.shape[0], k.shape[2], geometry.image
    patches = _dot(k.reshape(-1, k.shape[3]), _to_columns(y), (1, 0)).reshape(-1, b)
    # A pixel is the sum of what every tap that reads it says: taps r, r + stride, ...
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


def _dot(a: Array, b: Array, contract: tuple[int, int]) -> Array:
    dimensions = (((contract[0],), (contract[1],)), ((), ()))
    wide = jnp.promote_types(a.dtype, jnp.float32)
    return lax.dot_general(a, b, dimensions, preferred_element_type=wide).astype(a.dtype)


def _to_columns(x: Float[Array, "b h w c"]) -> Float[Array, "c n"]:
    return x.transpose(3, 1, 2, 0).reshape(x.shape[3], -1)


def _from_columns(x: Array, shape: tuple[int, ...]) -> Float[Array, "b h w c"]:
    b, h, w, c = shape
    return x.reshape(c, h, w, b).transpose(3, 1, 2, 0)


def _pixels(size: int, kernel: int, output: int, stride: int, low: int) -> np.ndarray:
    """The pixel that tap `a` of output `i` reads, `[kernel, output]`; -1 where there is none."""
    pixel = stride * np.arange(output) + np.arange(kernel)[:, None] - low
    return np.where((pixel >= 0) & (pixel < size), pixel, -1)


def _readers(
    size: int, kernel: int, output: int, stride: int, low: int, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """The `n`-th tap that reads each pixel, -1 where there is none, and of which output it is."""
    tap = (np.arange(size) + low) % stride + n * stride
    i = (np.arange(size) + low) // stride - n
    return np.where((tap < kernel) & (i >= 0) & (i < output), tap, -1), i


def _patches(columns: Array, shape: tuple[int, ...], geometry: _Geometry) -> Array:
    """What each tap reads of images `[b, h, w, c]` for each output: `[kh kw c, oh ow b]`."""
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
    """The rows of a matrix, and zeros for row -1; the sum of them where there are several."""
    index = [np.where(i < 0, matrix.shape[0], i).astype(np.int32).reshape(-1) for i in rows]
    return _alone(_take_rows)(matrix, index)


def _take_rows(matrix: Array, rows: list[Array]) -> Array:
    get = {"mode": "fill", "fill_value": 0, "wrap_negative_indices": False}
    return reduce(jnp.add, [matrix.at[i].get(**get) for i in rows])


# Not to be fused with their neighbours (an optimizer's update, an activation): XLA on CPU would
# compute those again for each tap, and loses vectorisation over the batch.


def _alone(function: Callable[..., Array]) -> Callable[..., Array]:
    compiled = jax.jit(function)

    def call(*args: Any) -> Array:
        with set_xla_metadata(inlineable="false"):
            return compiled(*args)

    return call


# What JAX wants to know of a primitive: its type, how it is mapped, how it is lowered and run.

# Where the images, the channels in and the channels out of each array are.
_AXES = {"x": {"b": 1, "c": 4}, "k": {"c": 3, "o": 4}, "y": {"b": 1, "o": 4}}


def _define(primitive: Primitive, roles: str, lax_map: Any, cpu_map: Any) -> None:
    """Teaches JAX a map from the arrays `roles[0]` and `roles[1]` to the array `roles[2]`."""
    first, second, out = roles

    def abstract_eval(a: Any, b: Any, *, geometry: _Geometry) -> Any:
        n = a.shape[0]
        size = {
            label: array.shape[axis]
            for array, role in ((a, first), (b, second))
            for label, axis in _AXES[role].items()
        }
        shapes = {
            "x": lambda: (n, size["b"], *geometry.image, size["c"]),
            "k": lambda: (n, *geometry.kernel, size["c"], size["o"]),
            "y": lambda: (n, size["b"], *geometry.output, size["o"]),
        }
        return a.update(shape=shapes[out](), weak_type=False)

    def batch(arrays: Any, dims: Any, *, geometry: _Geometry) -> Any:
        if None not in dims:  # independent problems: one more leading axis
            a, b = (jnp.moveaxis(x, dim, 0) for x, dim in zip(arrays, dims, strict=True))
            lead = a.shape[:2]
            a, b = (x.reshape(-1, *x.shape[2:]) for x in (a, b))
            result = primitive.bind(a, b, geometry=geometry)
            return result.reshape(*lead, *result.shape[1:]), 0
        # One problem with more images, or more channels: along the axis that is not summed over.
        which = 0 if dims[1] is None else 1
        label = next(label for label in _AXES[roles[which]] if label in _AXES[out])
        axis, out_axis = _AXES[roles[which]][label], _AXES[out][label]
        mapped = jnp.moveaxis(arrays[which], dims[which], axis)
        n = mapped.shape[axis]
        shape = (*mapped.shape[:axis], -1, *mapped.shape[axis + 2 :])
        operands = [*arrays]
        operands[which] = mapped.reshape(shape)
        result = primitive.bind(*operands, geometry=geometry)
        shape = (*result.shape[:out_axis], n, -1, *result.shape[out_axis + 1 :])
        return result.reshape(shape), out_axis

    def lower_lax(a: Array, b: Array, *, geometry: _Geometry) -> Array:
        if a.shape[0] == 1:
            return lax_map(a[0], b[0], geometry)[None]
        return jax.vmap(partial(lax_map, geometry=geometry))(a, b)

    def lower_cpu(a: Array, b: Array, *, geometry: _Geometry) -> Array:
        if a.shape[0] == 1:
            return cpu_map(a[0], b[0], geometry)[None]
        return lax.map(lambda pair: cpu_map(*pair, geometry), (a, b))

    compiled = jax.jit(primitive.bind, static_argnames="geometry")
    primitive.def_impl(compiled)
    primitive.def_abstract_eval(abstract_eval)
    batching.primitive_batchers[primitive] = batch
    mlir.register_lowering(primitive, mlir.lower_fun(lower_lax, multiple_results=False))
    mlir.register_lowering(
        primitive, mlir.lower_fun(lower_cpu, multiple_results=False), platform="cpu"
    )


def _abstract_reverse(k: Any) -> Any:
    return k.update(shape=(*k.shape[:-2], k.shape[-1], k.shape[-2]))


def _batch_reverse(arrays: Any, dims: Any) -> Any:
    return _reverse_p.bind(jnp.moveaxis(arrays[0], dims[0], 0)), 0


_reverse_p.def_impl(jax.jit(_reverse_p.bind))
_reverse_p.def_abstract_eval(_abstract_reverse)
batching.primitive_batchers[_reverse_p] = _batch_reverse
mlir.register_lowering(_reverse_p, mlir.lower_fun(_reverse, multiple_results=False))
mlir.register_lowering(
    _reverse_p, mlir.lower_fun(_alone(_reverse), multiple_results=False), platform="cpu"
)
_define(_conv_p, "xky", _lax_conv, _cpu_conv)
_define(_adjoint_p, "ykx", _lax_adjoint, _cpu_adjoint)
_define(_kernel_p, "xyk", _lax_kernel, _cpu_kernel)
