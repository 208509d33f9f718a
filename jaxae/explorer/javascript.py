"""Programs of :mod:`jaxae.explorer.tracing` as JavaScript."""

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxae.explorer.elementwise import expression, number
from jaxae.explorer.tracing import MOVES, Program, Step, Symbol, Value, move


class Constants:
    """The arrays of one or several programs, each of which is stored once.

    Attributes:
      arrays: by number; in JavaScript `w[number]`.
    """

    def __init__(self) -> None:
        self.arrays: list[np.ndarray] = []
        self._numbers: dict[tuple[int, bytes], int] = {}

    def add(self, array: np.ndarray) -> int:
        """The number of an array, which is kept as float32."""
        array = np.ascontiguousarray(array, np.float32)
        content = array.size, array.tobytes()
        if content not in self._numbers:
            self._numbers[content] = len(self.arrays)
            self.arrays.append(array)
        return self._numbers[content]


class View(NamedTuple):
    """A part of a buffer as an array.

    Attributes:
      buffer: its name in JavaScript.
      array: a numpy array of the same strides, of which only they matter.
      base: the one-dimensional array that stands for the buffer.
      constant: whether its values do not depend on the input.
    """

    buffer: str
    array: np.ndarray
    base: np.ndarray
    constant: bool = False

    @property
    def offset(self) -> int:
        """The index of the first element."""
        start, first = (a.__array_interface__["data"][0] for a in (self.base, self.array))
        return (first - start) // self.base.itemsize

    @property
    def strides(self) -> tuple[int, ...]:
        """The distances of neighbouring elements along each axis."""
        return tuple(stride // self.base.itemsize for stride in self.array.strides)

    def with_array(self, array: np.ndarray) -> "View":
        """Another part of the same buffer."""
        return self._replace(array=array)


def generate(program: Program, constants: Constants, name: str) -> str:
    """The source of a function `NAME(w)`, which returns `{input, output, run}`.

    `input` and `output` are Float32Arrays; `run()` computes one from the other. The functions that it
    calls are in `kernels.js`.

    Args:
      program: what is computed.
      constants: the arrays `w`, to which those of this program are added.
      name: of the function.

    Raises:
      ValueError: if the program has a primitive that cannot be translated; the message names it.
    """
    return Generator(program, constants).source(name)


class _Group:
    """Element-wise steps over one shape, which become one loop."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.lines: list[str] = []
        self.names: dict[int, str] = {}
        self.reads: dict[Any, str] = {}
        self.views: dict[str, View] = {}
        self.uses: Counter[int] = Counter()


class Generator:
    """Writes the source of one program; the translators of :mod:`jaxae.explorer.kernels` call it."""

    def __init__(self, program: Program, constants: Constants) -> None:
        self.program = program
        self.constants = constants
        self.head: list[str] = []
        self.body: list[str] = []
        self._values: dict[int, View] = {}
        self._copies: dict[Any, View] = {}
        self._declared: set[str] = set()
        self._numbers = itertools.count()
        self._group: _Group | None = None
        self._uses = Counter(
            value.number
            for step in program.steps
            for value in step.inputs
            if isinstance(value, Symbol)
        )
        if isinstance(program.output, Symbol):
            self._uses[program.output.number] += 1

    def source(self, name: str) -> str:
        """The whole function."""
        x = self.new(self.program.input.shape)
        self._values[self.program.input.number] = x
        for step in self.program.steps:
            self._translate(step)
        y = self.contiguous(self.program.output, self.program.output.shape)
        self._close()
        calls = "".join(f"f{i}();" for i in range(len(self.body)))
        functions = "\n".join(f"function f{i}(){{{text}}}" for i, text in enumerate(self.body))
        head = "\n".join(self.head)
        return (
            f"function {name}(w){{\n{head}\n{functions}\n"
            f"return{{input:{x.buffer},output:{y.buffer},run(){{{calls}}}}};}}\n"
        )

    # Values and buffers.

    def new(self, shape: Sequence[int], constant: bool = False) -> View:
        """A buffer of a name of its own."""
        name, size = f"b{next(self._numbers)}", math.prod(shape)
        self.head.append(f"const {name}=new Float32Array({size});")
        base = np.empty(size, np.int8)
        return View(name, base.reshape(shape), base, constant)

    def define(self, symbol: Symbol) -> View:
        """A new buffer for the result of a step."""
        self._values[symbol.number] = self.new(symbol.shape)
        return self._values[symbol.number]

    def view(self, value: Value) -> View:
        """Where a value is."""
        if isinstance(value, Symbol):
            if self._group is not None and value.number in self._group.names:
                self._close()
            return self._values[value.number]
        root, shape = value, value.shape
        while isinstance(root.base, np.ndarray):
            root = root.base
        if not root.flags.c_contiguous or root.dtype != value.dtype or not root.ndim:
            root = np.ascontiguousarray(value)
            value = root.reshape(shape)
        flat = root.reshape(-1)
        name = f"w{self.constants.add(root)}"
        if name not in self._declared:
            self._declared.add(name)
            self.head.append(f"const {name}=w[{name[1:]}];")
        return View(name, value, flat, constant=True)

    def contiguous(self, value: Value, shape: Sequence[int], axes: Any = None) -> View:
        """A value in the order of its axes from the beginning of a buffer, with another shape.

        Args:
          value: any.
          shape: of the result.
          axes: a permutation of the axes that comes first.
        """
        found = self.view(value)
        array = found.array if axes is None else found.array.transpose(axes)
        if array.flags.c_contiguous and array.size == found.base.size:
            return found.with_array(array.reshape(shape))
        key = (found.buffer, found.with_array(array).offset, array.strides, array.shape)
        if key not in self._copies:
            copy = self.new(array.shape, found.constant)
            self.copy(copy, found.with_array(array))
            self._copies[key] = copy
        copy = self._copies[key]
        return copy.with_array(copy.array.reshape(shape))

    def copy(self, to: View, source: View) -> None:
        """Copies values; those that do not depend on the input are copied once."""
        text = f"{to.buffer}[@to@]={source.buffer}[@from@];"
        text = loops(to.array.shape, {"to": to, "from": source}, text)
        (self.head if source.constant and to.constant else self.body).append(text)

    def call(self, function: str, *arguments: View | int | str) -> None:
        """Adds a call of a function in `kernels.js`; of a view it gets the buffer."""
        names = (a.buffer if isinstance(a, View) else str(a) for a in arguments)
        self.body.append(f"{function}({','.join(names)});")

    def emit(self, text: str) -> None:
        """Adds statements."""
        self.body.append(text)

    # Steps.

    def _translate(self, step: Step) -> None:
        if step.primitive in MOVES:
            self._move(step)
        elif not self._elementwise(step):
            # Kernels are written in terms of this module.
            from jaxae.explorer.kernels import KERNELS

            translate = KERNELS.get(step.primitive)
            if translate is None:
                raise ValueError(f"it uses the JAX primitive {step.primitive!r}")
            translate(self, step)

    def _move(self, step: Step) -> None:
        source = self.view(step.inputs[0])
        results = move(step.primitive, step.options, [source.array])
        if any(not _inside(result, source.base) for result in results):
            # Numpy would have copied, as where axes that are not neighbours become one.
            source = self.contiguous(step.inputs[0], step.inputs[0].shape)
            results = move(step.primitive, step.options, [source.array])
        for symbol, array in zip(step.outputs, results, strict=True):
            self._values[symbol.number] = source.with_array(array)

    def _elementwise(self, step: Step) -> bool:
        """Adds a step to the open loop, or opens one; False if it is not element-wise."""
        (out,) = step.outputs if len(step.outputs) == 1 else (None,)
        dtypes = [np.dtype(v.dtype) for v in (*step.inputs, *step.outputs)]
        placeholders = ["0"] * len(step.inputs)
        if out is None or expression(step.primitive, step.options, dtypes, placeholders) is None:
            return False
        if self._group is not None and self._group.shape != out.shape:
            self._close()
        group = self._group = self._group or _Group(out.shape)
        operands = [self._operand(group, value) for value in step.inputs]
        name = f"t{len(group.names)}"
        text = expression(step.primitive, step.options, dtypes, operands)
        group.lines.append(f"const {name}={text};")
        group.names[out.number] = name
        return True

    def _operand(self, group: _Group, value: Value) -> str:
        if isinstance(value, Symbol):
            if value.number in group.names:
                group.uses[value.number] += 1
                return group.names[value.number]
        elif all(
            not stride for size, stride in zip(value.shape, value.strides, strict=True) if size > 1
        ):
            return number(value.flat[0])
        source = self.view(value)
        source = source.with_array(np.broadcast_to(source.array, group.shape))
        key = (source.buffer, source.offset, source.strides)
        if key not in group.reads:
            name = f"v{len(group.reads)}"
            group.reads[key] = name
            group.views[name] = source
            group.lines.append(f"const {name}={source.buffer}[@{name}@];")
        return group.reads[key]

    def _close(self) -> None:
        """Writes the open loop, with a buffer for each of its values that is used outside."""
        group, self._group = self._group, None
        if group is None:
            return
        lines, views = list(group.lines), dict(group.views)
        for symbol_number, name in group.names.items():
            if self._uses[symbol_number] > group.uses[symbol_number]:
                to = self.new(group.shape)
                self._values[symbol_number] = to
                views[f"s{name}"] = to
                lines.append(f"{to.buffer}[@s{name}@]={name};")
        self.body.append(loops(group.shape, views, "".join(lines)))


def _inside(array: np.ndarray, base: np.ndarray) -> bool:
    start, first = (a.__array_interface__["data"][0] for a in (base, array))
    return array.size == 0 or start <= first < start + base.nbytes


def loops(shape: Sequence[int], views: dict[str, View], text: str, index: str = "i") -> str:
    """Nested loops over a shape around a text, in which `@name@` is the index into a view.

    Axes over which all views advance evenly become one.

    Args:
      shape: of all views.
      views: by name.
      text: the inside of the loops.
      index: the beginning of the names of the loops' variables.
    """
    strides = {name: list(view.strides) for name, view in views.items()}
    sizes = list(shape)
    for axis in reversed(range(len(sizes))):
        alone = sizes[axis] == 1
        even = axis + 1 < len(sizes) and all(
            s[axis] == s[axis + 1] * sizes[axis + 1] for s in strides.values()
        )
        if even and not alone:
            sizes[axis + 1] *= sizes[axis]
        if alone or even:
            del sizes[axis]
            for s in strides.values():
                del s[axis]
    for name in views:
        parts = [str(views[name].offset)] if views[name].offset else []
        parts += [
            f"{index}{axis}" if stride == 1 else f"({stride})*{index}{axis}"
            for axis, stride in enumerate(strides[name])
            if stride
        ]
        text = text.replace(f"@{name}@", "+".join(parts) or "0")
    opening = "".join(
        f"for(let {index}{axis}=0;{index}{axis}<{size};{index}{axis}++){{"
        for axis, size in enumerate(sizes)
    )
    return f"{opening}{text}{'}' * len(sizes)}" if sizes else f"{{{text}}}"
