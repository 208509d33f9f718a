"""Functions as ONNX files by jax2onnx, which also compares them with onnxruntime."""

import contextlib
import importlib.util
import logging
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import lax
from jax.extend.core import Literal
from jaxtyping import Array

from jaxae.base import Tree
from jaxae.networks import conv_primitives as conv
from jaxae.runs.export.functions import Format, Function, arguments

LEAST = (0, 17, 1)
"""The first version of jax2onnx that this was tested with; 0.13 exports transposed convolutions wrongly."""

INSTALL = (
    "pip install onnx onnx-ir onnxruntime && pip install --no-deps 'jax2onnx>=0.17.1' (see jaxae export "
    "--help)"
)

INLINED = ("pjit", "jit", "closed_call", "custom_jvp_call", "custom_vjp_call", "checkpoint")
"""Calls of functions that are replaced by the functions, in which there may be convolutions."""


def check_installed() -> None:
    """Raises a `ValueError` unless a tested version of jax2onnx and onnxruntime are installed."""
    missing = [
        name for name in ("jax2onnx", "onnxruntime") if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise ValueError(f"the format onnx needs {' and '.join(missing)}: {INSTALL}")
    found = version("jax2onnx")
    numbers = tuple(int(part) for part in re.findall(r"\d+", found)[:3])
    if numbers < LEAST:
        raise ValueError(
            f"jax2onnx {found} exports transposed convolutions wrongly; 0.17.1 or newer is needed: {INSTALL}"
        )


def write(function: Function, path: Path) -> None:
    """Writes a function with a symbolic number of examples.

    Raises:
      ValueError: if its inputs or its output are not single arrays, or jax2onnx has no translation of
        one of its operations.
    """
    for name, tree in function.inputs.items():
        if not isinstance(tree, jax.Array) or tree.dtype != np.float32:
            raise ValueError(f"{name} is not one array of float32, which the format onnx is for")
    if function.precision == "bfloat16":
        raise ValueError(
            f"the {function.name} computes in bfloat16, which onnxruntime does not; train with --precision "
            "float32, or use the format stablehlo"
        )
    shapes = [("b", *array.shape[1:]) for array in function.inputs.values()]
    try:
        with _quiet():
            import jax2onnx

            model = jax2onnx.to_onnx(
                without_our_primitives(function.call),
                inputs=shapes,
                model_name=function.name,
                input_names=list(function.inputs),
                output_names=[function.output],
            )
    except Exception as error:  # of any type, as operations differ
        reason = str(error).strip().split("\n")[0][:200]
        raise ValueError(f"jax2onnx cannot translate the {function.name}: {reason}") from error
    path.write_bytes(model.SerializeToString())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """A context without the warnings of libraries on packages and types that do not matter here."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def read(path: Path) -> Callable[..., Tree]:
    """The function in a file, as onnxruntime computes it."""
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has types of its own
        reason = str(error).strip().split("\n")[0][:200]
        raise ValueError(f"onnxruntime cannot load the {path.stem}: {reason}") from error
    names = [argument.name for argument in session.get_inputs()]

    def call(*inputs: Any) -> np.ndarray:
        (output,) = session.run(None, dict(zip(names, map(np.asarray, inputs), strict=True)))
        return output

    return call


def without_our_primitives(function: Callable[..., Array]) -> Callable[..., Array]:
    """The same function with convolutions of :mod:`jax.lax`, which jax2onnx knows."""

    def translated(*arguments: Array) -> Array:
        closed = jax.make_jaxpr(function)(*arguments)
        (output,) = _evaluate(closed.jaxpr, closed.consts, *arguments)
        return output

    return translated


def _evaluate(jaxpr: Any, constants: Any, *arguments: Any) -> list[Any]:
    """The outputs of a traced function, computed with the rules below."""
    known = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*constants, *arguments], strict=True))
    for equation in jaxpr.eqns:
        inputs = [v.val if isinstance(v, Literal) else known[v] for v in equation.invars]
        parameters = equation.params
        inner = parameters.get("jaxpr", parameters.get("call_jaxpr"))
        if equation.primitive in RULES:
            rule = partial(RULES[equation.primitive], **parameters)
            # The leading axis is that of independent problems.
            outputs = [jax.vmap(rule)(*inputs)]
            if inputs[0].shape[0] == 1:
                outputs = [rule(*(x[0] for x in inputs))[None]]
        elif inner is not None and equation.primitive.name in INLINED:
            inner, consts = getattr(inner, "jaxpr", inner), getattr(inner, "consts", ())
            outputs = _evaluate(inner, consts, *inputs)
        else:
            outputs = equation.primitive.bind(*inputs, **parameters)
            outputs = outputs if equation.primitive.multiple_results else [outputs]
        known |= dict(zip(equation.outvars, outputs, strict=True))
    return [v.val if isinstance(v, Literal) else known[v] for v in jaxpr.outvars]


def _adjoint(y: Array, kernel: Array, geometry: Any) -> Array:
    """The transposed convolution in the layout that jax2onnx knows."""
    stride = geometry.stride
    padding = [
        (k - 1 - low, n + low - stride * (m - 1) - 1)
        for n, k, m, low in zip(*geometry[:3], geometry.low, strict=True)
    ]
    return lax.conv_general_dilated(
        y,
        kernel[::-1, ::-1].swapaxes(2, 3),
        (1, 1),
        padding,
        lhs_dilation=(stride, stride),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


RULES: dict[Any, Callable[..., Array]] = {
    conv._conv_p: conv._lax_conv,
    conv._adjoint_p: _adjoint,
    conv._reverse_p: conv._reverse,
    conv._spread_p: conv._spread,
}
"""The convolutions of :mod:`jaxae.networks.conv_primitives` without their derivatives."""


def example(functions: Sequence[Function]) -> str:
    """Python code that uses the files."""
    lines = ["import numpy as np, onnxruntime  # pip install onnxruntime", ""]
    for function, inputs in arguments(functions):
        named = ", ".join(f'"{name}": {name}' for name in function.inputs)
        lines += [
            f'{function.name} = onnxruntime.InferenceSession("{function.name}.onnx")',
            *inputs,
        ]
        lines += [f"({function.output},) = {function.name}.run(None, {{{named}}})"]
    return "\n".join([*lines, ""])


FORMAT = Format(".onnx", check_installed, write, read, example)
