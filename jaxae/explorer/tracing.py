"""Pure functions of one array as a list of elementary steps, for programs outside JAX."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.extend.core as jex
import numpy as np

from jaxae.base import Params

LONGEST_LOOP = 64
"""Loops of more iterations are not unrolled."""

MOVES = frozenset(
    (
        *("reshape", "broadcast_in_dim", "transpose", "squeeze", "expand_dims", "slice", "rev"),
        *("split", "copy", "copy_p", "stop_gradient", "jaxae_conv_reverse", "jaxae_conv_spread"),
        *("optimization_barrier", "unstack"),
    )
)
"""Primitives that move or repeat values, of which numpy makes views."""


class Symbol(NamedTuple):
    """A value that is known only when the program runs.

    Attributes:
      number: unique in a program.
      shape: of the array.
      dtype: in JAX.
    """

    number: int
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)


Value = Symbol | np.ndarray
"""A symbol, or an array that does not depend on the input."""


class Step(NamedTuple):
    """An application of a primitive.

    Attributes:
      primitive: its name in JAX.
      inputs: values.
      outputs: symbols.
      options: the parameters of the primitive.
    """

    primitive: str
    inputs: tuple[Value, ...]
    outputs: tuple[Symbol, ...]
    options: dict[str, Any]


class Program(NamedTuple):
    """A function of one array, as steps in the order in which they are computed.

    Attributes:
      steps: without any whose result is not used.
      input: the argument.
      output: the result.
    """

    steps: tuple[Step, ...]
    input: Symbol
    output: Value


def trace(function: Callable[[Params, Any], Any], params: Params, shape: Sequence[int]) -> Program:
    """Traces a function of float32 arrays; calls are inlined, and what is constant is computed.

    Parameters remain recognisable: a constant that is a part of a parameter, transposed or not, is a view
    of it.

    Args:
      function: `(params, x) -> y`.
      params: a tree of arrays.
      shape: of x.

    Raises:
      ValueError: if the function has a loop that cannot be unrolled.

    Examples:
      >>> program = trace(lambda w, x: jax.nn.relu(x @ (2 * w)), np.ones((3, 2), np.float32), (1, 3))
      >>> [step.primitive for step in program.steps]
      ['dot_general', 'max']
    """
    params = jax.tree.map(np.asarray, params)
    closed = jax.make_jaxpr(function)(params, jax.ShapeDtypeStruct(tuple(shape), np.float32))
    tracer = _Tracer()
    x = tracer.symbol(closed.in_avals[-1])
    (output,) = tracer.run(closed.jaxpr, closed.consts, [*jax.tree.leaves(params), x])
    return Program(tuple(_used(tracer.steps, output)), x, output)


class _Tracer:
    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._numbers: Iterator[int] = itertools.count()

    def symbol(self, aval: Any) -> Symbol:
        return Symbol(next(self._numbers), tuple(aval.shape), np.dtype(aval.dtype))

    def run(self, jaxpr: Any, consts: Sequence[Any], values: Sequence[Value]) -> list[Value]:
        known: dict[Any, Value] = {}
        known.update(zip(jaxpr.constvars, map(_constant, consts), strict=True))
        known.update(zip(jaxpr.invars, values, strict=True))

        def read(variable: Any) -> Value:
            return _constant(variable.val) if isinstance(variable, jex.Literal) else known[variable]

        for equation in jaxpr.eqns:
            results = self._apply(equation, [read(v) for v in equation.invars])
            known.update(zip(equation.outvars, results, strict=True))
        return [read(v) for v in jaxpr.outvars]

    def _apply(self, equation: Any, inputs: list[Value]) -> list[Value]:
        name, options = equation.primitive.name, equation.params
        constant = not any(isinstance(value, Symbol) for value in inputs)
        if name == "scan" and not constant:
            return self._unroll(options, inputs)
        inner = None if name in ("scan", "while", "cond") else _inner(options)
        if "_prim" in options:
            inner = _expanded(options["_prim"], [variable.aval for variable in equation.invars])
        if inner is not None:
            return self.run(*inner, inputs)
        if constant and name in MOVES:
            return [*move(name, options, [np.asarray(value) for value in inputs])]
        if constant:
            found = equation.primitive.bind(*inputs, **options)
            several = equation.primitive.multiple_results
            return [_constant(value) for value in (found if several else [found])]
        outputs = tuple(self.symbol(variable.aval) for variable in equation.outvars)
        self.steps.append(Step(name, tuple(inputs), outputs, dict(options)))
        return list(outputs)

    def _unroll(self, options: dict[str, Any], inputs: list[Value]) -> list[Value]:
        length, (fixed, carried) = options["length"], _loop_arguments(options)
        if length > LONGEST_LOOP or len(inputs) > fixed + carried or options["reverse"]:
            raise ValueError("it has a loop over an array, or a long loop")
        body, carry = options["jaxpr"], inputs[fixed:]
        for _ in range(length):
            carry = self.run(body.jaxpr, body.consts, [*inputs[:fixed], *carry])[:carried]
        if len(body.jaxpr.outvars) > carried:
            raise ValueError("it has a loop that collects arrays")
        return carry


def _inner(options: dict[str, Any]) -> tuple[Any, Sequence[Any]] | None:
    """The function of a call (jit, custom derivatives, checkpoint) with its constants."""
    for name in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
        found: Any = options.get(name)
        if hasattr(found, "consts"):
            return found.jaxpr, found.consts
        if hasattr(found, "eqns"):
            return found, ()
    return None


def _loop_arguments(options: dict[str, Any]) -> tuple[int, int]:
    """The numbers of the arrays that a loop reads, and of those that it changes."""
    if "num_consts" in options:
        return options["num_consts"], options["num_carry"]
    fixed, carried, _ = options["ft_in"].unpack()  # since JAX 0.12
    return len(fixed), len(carried)


def _expanded(call: Any, avals: Sequence[Any]) -> tuple[Any, Sequence[Any]]:
    """The function of a call of JAX 0.12 and later, such as that of a root finder, with its constants."""
    arguments = call.in_tree.unflatten([jax.ShapeDtypeStruct(a.shape, a.dtype) for a in avals])
    closed = jax.make_jaxpr(call.expand)(*arguments)
    return closed.jaxpr, closed.consts


def _constant(value: Any) -> np.ndarray:
    """An array on the host; float32 in place of bfloat16, whose rounding is left out."""
    array = np.asarray(value)
    wide = jax.numpy.issubdtype(array.dtype, np.floating) and array.dtype != np.float32
    return array.astype(np.float32) if wide else array


def _used(steps: list[Step], output: Value) -> list[Step]:
    """The steps that the output depends on."""
    needed = {output.number} if isinstance(output, Symbol) else set()
    kept = []
    for step in reversed(steps):
        if any(symbol.number in needed for symbol in step.outputs):
            needed |= {value.number for value in step.inputs if isinstance(value, Symbol)}
            kept.append(step)
    return kept[::-1]


def move(name: str, options: dict[str, Any], inputs: list[np.ndarray]) -> list[np.ndarray]:
    """The results of one of :data:`MOVES`; views of the inputs wherever numpy can make one.

    Examples:
      >>> x = np.arange(6)
      >>> (y,) = move("reshape", {"new_sizes": (2, 3), "dimensions": None}, [x])
      >>> (z,) = move("transpose", {"permutation": (1, 0)}, [y])
      >>> z.base is x, z.tolist()
      (True, [[0, 3], [1, 4], [2, 5]])
    """
    x = inputs[0]
    if name == "reshape":
        return [x.reshape(options["new_sizes"])]
    if name == "broadcast_in_dim":
        shape, axes = options["shape"], options["broadcast_dimensions"]
        between = [1] * len(shape)
        for size, axis in zip(x.shape, axes, strict=True):
            between[axis] = size
        return [np.broadcast_to(x.reshape(between), shape)]
    if name == "transpose":
        return [x.transpose(options["permutation"])]
    if name == "squeeze":
        return [x.squeeze(tuple(options["dimensions"]))]
    if name == "expand_dims":
        return [np.expand_dims(x, tuple(options["dimensions"]))]
    if name == "slice":
        strides = options["strides"] or (1,) * x.ndim
        bounds = zip(options["start_indices"], options["limit_indices"], strides, strict=True)
        return [x[tuple(slice(*bound) for bound in bounds)]]
    if name == "rev":
        return [np.flip(x, tuple(options["dimensions"]))]
    if name == "split":
        return list(np.split(x, np.cumsum(options["sizes"])[:-1], axis=options["axis"]))
    if name == "jaxae_conv_reverse":
        return [x[:, ::-1, ::-1].swapaxes(3, 4)]
    if name == "jaxae_conv_spread":
        size = options["size"]
        return [np.broadcast_to(x[:, None, None, None], (len(x), *size, x.shape[-1]))]
    return list(inputs)
