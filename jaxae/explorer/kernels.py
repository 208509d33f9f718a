"""JavaScript of the primitives that are not element-wise: products, convolutions, sums, selections."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxae.explorer.javascript import Generator, loops
from jaxae.explorer.tracing import Step, Symbol


def _product(generator: Generator, step: Step) -> None:
    """A batched product of matrices, to which any `dot_general` can be brought."""
    (contract_a, contract_b), (batch_a, batch_b) = step.options["dimension_numbers"]
    a, b = step.inputs
    free_a = [i for i in range(a.ndim) if i not in (*contract_a, *batch_a)]
    free_b = [i for i in range(b.ndim) if i not in (*contract_b, *batch_b)]
    batch, k = (math.prod(a.shape[i] for i in axes) for axes in (batch_a, contract_a))
    m = math.prod(a.shape[i] for i in free_a)
    n = math.prod(b.shape[i] for i in free_b)
    left = generator.contiguous(a, (batch, m, k), (*batch_a, *free_a, *contract_a))
    right = generator.contiguous(b, (batch, k, n), (*batch_b, *contract_b, *free_b))
    out = generator.define(step.outputs[0])
    for i in range(batch):
        generator.call("gemm", out, left, right, m, k, n, i * m * n, i * m * k, i * k * n)


def _convolution(generator: Generator, step: Step) -> None:
    x, kernel = step.inputs
    g = step.options["geometry"]
    n, b, *_, c = x.shape
    o = kernel.shape[-1]
    taps, places = math.prod(g.kernel) * c, math.prod(g.output)
    source = generator.contiguous(x, x.shape)
    matrix = generator.contiguous(kernel, (n, taps, o))
    out = generator.define(step.outputs[0])
    patches = generator.new((places, taps))
    shape = (*g.image, c, *g.output, *g.kernel, g.stride, *g.low)
    for i in range(n * b):
        generator.call("patches", patches, source, i * math.prod(g.image) * c, *shape)
        offsets = (i * places * o, 0, (i // b) * taps * o)
        generator.call("gemm", out, patches, matrix, places, taps, o, *offsets)


def _transposed_convolution(generator: Generator, step: Step) -> None:
    y, kernel = step.inputs
    g = step.options["geometry"]
    n, b, *_, o = y.shape
    c = kernel.shape[3]
    taps, places = math.prod(g.kernel) * c, math.prod(g.output)
    source = generator.contiguous(y, y.shape)
    matrix = generator.contiguous(kernel, (n, o, taps), (0, 4, 1, 2, 3))
    out = generator.define(step.outputs[0])
    patches = generator.new((places, taps))
    shape = (*g.image, c, *g.output, *g.kernel, g.stride, *g.low)
    for i in range(n * b):
        offsets = (0, i * places * o, (i // b) * taps * o)
        generator.call("gemm", patches, source, matrix, places, o, taps, *offsets)
        generator.call("addPatches", out, patches, i * math.prod(g.image) * c, *shape)


def _reduction(start: str, update: str) -> Callable[[Generator, Step], None]:
    def translate(generator: Generator, step: Step) -> None:
        (x,) = step.inputs
        axes = tuple(axis % x.ndim for axis in step.options["axes"])
        kept = [axis for axis in range(x.ndim) if axis not in axes]
        source = generator.view(x)
        source = source.with_array(source.array.transpose((*kept, *axes)))
        out = generator.define(step.outputs[0])
        first = source.array[(slice(None),) * len(kept) + (0,) * len(axes)]
        others = source.array[(0,) * len(kept)]
        # Positions within the reduced axes are relative to that of the first value.
        inner = source._replace(array=others, base=others)
        text = update.replace("VALUE", f"{source.buffer}[p+@in@]")
        text = f"let s={start};const p=@first@;{loops(others.shape, {'in': inner}, text, 'j')}"
        views = {"out": out, "first": source.with_array(first)}
        generator.emit(loops(out.array.shape, views, f"{text}{out.buffer}[@out@]=s;"))

    return translate


def _position(comparison: str) -> Callable[[Generator, Step], None]:
    def translate(generator: Generator, step: Step) -> None:
        (x,) = step.inputs
        (axis,) = step.options["axes"]
        n = x.shape[axis]
        source = generator.contiguous(x, (-1, n), (*(i for i in range(x.ndim) if i != axis), axis))
        out = generator.define(step.outputs[0])
        generator.emit(
            f"for(let i=0;i<{x.size // n};i++){{let j=0;for(let k=1;k<{n};k++)"
            f"if({source.buffer}[i*{n}+k]{comparison}{source.buffer}[i*{n}+j])j=k;{out.buffer}[i]=j;}}"
        )

    return translate


def _concatenation(generator: Generator, step: Step) -> None:
    axis, start = step.options["dimension"], 0
    out = generator.define(step.outputs[0])
    for value in step.inputs:
        index = [slice(None)] * value.ndim
        index[axis] = slice(start, start + value.shape[axis])
        start += value.shape[axis]
        generator.copy(out.with_array(out.array[tuple(index)]), generator.view(value))


def _padding(generator: Generator, step: Step) -> None:
    x, value = step.inputs
    if isinstance(value, Symbol):
        raise ValueError("it pads with a value that depends on the input")
    source, inside, outside = generator.view(x), [], []
    for size, (low, high, interior) in zip(x.shape, step.options["padding_config"], strict=True):
        spread = (size - 1) * (interior + 1) + 1 + low + high
        places = np.arange(size) * (interior + 1) + low
        kept = np.flatnonzero((places >= 0) & (places < spread))
        first, last = (int(kept[0]), int(kept[-1])) if len(kept) else (0, -1)
        inside.append(slice(first, last + 1))
        outside.append(slice(int(places[first]), spread, interior + 1))
        if len(kept):
            outside[-1] = slice(int(places[first]), int(places[last]) + 1, interior + 1)
    out = generator.define(step.outputs[0])
    generator.emit(f"{out.buffer}.fill({float(value)!r});")
    to, taken = out.array[tuple(outside)], source.array[tuple(inside)]
    generator.copy(out.with_array(to), source.with_array(taken))


def _gather(generator: Generator, step: Step) -> None:
    """Slices at positions that are rows of an integer array; positions outside are moved inside."""
    x, indices = step.inputs
    numbers, mode = step.options["dimension_numbers"], str(step.options["mode"])
    if "FILL" in mode:
        raise ValueError("it gathers values at positions that may be outside of the array")
    sizes = step.options["slice_sizes"]
    source, rows = generator.view(x), generator.contiguous(indices, indices.shape)
    out = generator.define(step.outputs[0])
    batch = [i for i in range(out.array.ndim) if i not in numbers.offset_dims]
    gone = (*numbers.collapsed_slice_dims, *numbers.operand_batching_dims)
    inside = [i for i in range(x.ndim) if i not in gone]
    terms, strides = [str(source.offset)], source.strides
    width, row = indices.shape[-1], "0"
    for axis, size in zip(batch, indices.shape[:-1], strict=True):
        row = f"({row})*{size}+j{axis}"
    for k, axis in enumerate(numbers.start_index_map):
        index = f"{rows.buffer}[({row})*{width}+{k}]"
        largest = x.shape[axis] - sizes[axis]
        terms.append(f"{strides[axis]}*Math.min(Math.max({index},0),{largest})")
    pairs = zip(numbers.operand_batching_dims, numbers.start_indices_batching_dims, strict=True)
    terms += [f"{strides[axis]}*j{batch[place]}" for axis, place in pairs]
    terms += [
        f"{strides[axis]}*j{place}" for axis, place in zip(inside, numbers.offset_dims, strict=True)
    ]
    opening = "".join(
        f"for(let j{i}=0;j{i}<{size};j{i}++)" for i, size in enumerate(out.array.shape)
    )
    generator.emit(f"let n=0;{opening}{out.buffer}[n++]={source.buffer}[{'+'.join(terms)}];")


def _scatter(generator: Generator, step: Step) -> None:
    """Single values written to positions that are rows of an integer array."""
    x, indices, updates = step.inputs
    numbers = step.options["dimension_numbers"]
    every = tuple(range(x.ndim))
    if numbers.update_window_dims or tuple(numbers.scatter_dims_to_operand_dims) != every:
        raise ValueError("it writes slices to positions that depend on the input")
    out = generator.define(step.outputs[0])
    generator.copy(out, generator.view(x))
    rows = generator.contiguous(indices, (-1, x.ndim))
    values = generator.contiguous(updates, (-1,))
    places = [f"{rows.buffer}[i*{x.ndim}+{axis}]" for axis in every]
    inside = "&&".join(f"{p}>=0&&{p}<{n}" for p, n in zip(places, x.shape, strict=True))
    place = "0"
    for p, n in zip(places, x.shape, strict=True):
        place = f"({place})*{n}+{p}"
    generator.emit(
        f"for(let i=0;i<{values.array.size};i++)if({inside}){out.buffer}[{place}]={values.buffer}[i];"
    )


def _top_k(generator: Generator, step: Step) -> None:
    (x,) = step.inputs
    k, n = step.options["k"], x.shape[-1]
    if step.options.get("axis", x.ndim - 1) != x.ndim - 1:
        raise ValueError("it sorts along an axis that is not the last one")
    source = generator.contiguous(x, (-1, n))
    values, places = (generator.define(symbol) for symbol in step.outputs)
    generator.call("topK", values, places, source, x.size // n, n, k)


def _cholesky(generator: Generator, step: Step) -> None:
    (x,) = step.inputs
    source = generator.contiguous(x, x.shape)
    out = generator.define(step.outputs[0])
    generator.call("cholesky", out, source, math.prod(x.shape[:-2]), x.shape[-1])


def _triangular(generator: Generator, step: Step) -> None:
    a, b = step.inputs
    o = step.options
    if not (o["left_side"] and o["lower"]) or o["unit_diagonal"] or o["conjugate_a"]:
        raise ValueError("it solves triangular systems of another kind than Cholesky factors")
    matrix, right = generator.contiguous(a, a.shape), generator.contiguous(b, b.shape)
    out = generator.define(step.outputs[0])
    transposed = str(bool(o["transpose_a"])).lower()
    *batch, n, columns = b.shape
    generator.call("solve", out, matrix, right, math.prod(batch), n, columns, transposed)


Translate = Callable[[Any, Step], None]

KERNELS: dict[str, Translate] = {
    "dot_general": _product,
    "jaxae_conv": _convolution,
    "jaxae_conv_adjoint": _transposed_convolution,
    "reduce_sum": _reduction("0", "s+=VALUE;"),
    "reduce_prod": _reduction("1", "s*=VALUE;"),
    "reduce_max": _reduction("-Infinity", "s=Math.max(s,VALUE);"),
    "reduce_min": _reduction("Infinity", "s=Math.min(s,VALUE);"),
    "reduce_and": _reduction("1", "s=s&VALUE;"),
    "reduce_or": _reduction("0", "s=s|VALUE;"),
    "argmax": _position(">"),
    "argmin": _position("<"),
    "concatenate": _concatenation,
    "pad": _padding,
    "gather": _gather,
    "scatter": _scatter,
    "top_k": _top_k,
    "cholesky": _cholesky,
    "triangular_solve": _triangular,
}
"""Translators by primitive: they add JavaScript for a step to a generator."""
