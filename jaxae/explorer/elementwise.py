"""JavaScript expressions of JAX's element-wise primitives."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

SIMPLE = {
    "add": "({0}+{1})",
    "add_any": "({0}+{1})",
    "sub": "({0}-{1})",
    "mul": "({0}*{1})",
    "rem": "({0}%{1})",
    "max": "Math.max({0},{1})",
    "min": "Math.min({0},{1})",
    "pow": "Math.pow({0},{1})",
    "atan2": "Math.atan2({0},{1})",
    "neg": "(-{0})",
    "rsqrt": "(1/Math.sqrt({0}))",
    "square": "({0}*{0})",
    "exp2": "Math.pow(2,{0})",
    "logistic": "(1/(1+Math.exp(-{0})))",
    "erf": "erf({0})",
    "erfc": "(1-erf({0}))",
    "is_finite": "(Number.isFinite({0})?1:0)",
    "eq": "({0}==={1}?1:0)",
    "ne": "({0}!=={1}?1:0)",
    "lt": "({0}<{1}?1:0)",
    "le": "({0}<={1}?1:0)",
    "gt": "({0}>{1}?1:0)",
    "ge": "({0}>={1}?1:0)",
    "clamp": "Math.min(Math.max({1},{0}),{2})",
    "copy": "{0}",
} | {
    name: f"Math.{name}({{0}})"
    for name in (
        *("abs", "exp", "log", "log1p", "expm1", "sqrt", "cbrt", "sign", "floor", "ceil"),
        *("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh"),
        *("asinh", "acosh", "atanh"),
    )
}
LOGICAL = {"and": "({0}&{1})", "or": "({0}|{1})", "xor": "({0}^{1})", "not": "(1-{0})"}

Operands = Sequence[str]


def expression(
    primitive: str, options: dict[str, Any], dtypes: Sequence[np.dtype], operands: Operands
) -> str | None:
    """The expression of a primitive, or None if there is none.

    Truth values are 0 and 1.

    Args:
      primitive: its name in JAX.
      options: its parameters.
      dtypes: of its inputs and its output.
      operands: expressions of its inputs, which are names or numbers.

    Examples:
      >>> expression("integer_pow", {"y": 3}, [np.dtype("f4")] * 2, ["x"])
      '(x*x*x)'
    """
    if primitive in SIMPLE:
        return SIMPLE[primitive].format(*operands)
    if primitive in LOGICAL:
        return LOGICAL[primitive].format(*operands) if dtypes[0].kind == "b" else None
    special = _SPECIAL.get(primitive)
    return None if special is None else special(options, dtypes, operands)


def _power(options: dict[str, Any], dtypes: Sequence[np.dtype], operands: Operands) -> str:
    y = int(options["y"])
    if abs(y) > 4 or y == 0:
        return f"Math.pow({operands[0]},{y})"
    product = "*".join([operands[0]] * abs(y))
    return f"({product})" if y > 0 else f"(1/({product}))"


def _quotient(options: dict[str, Any], dtypes: Sequence[np.dtype], operands: Operands) -> str:
    quotient = f"({operands[0]}/{operands[1]})"
    return f"Math.trunc{quotient}" if np.issubdtype(dtypes[0], np.integer) else quotient


def _converted(options: dict[str, Any], dtypes: Sequence[np.dtype], operands: Operands) -> str:
    old, new = dtypes
    if new.kind == "b" and old.kind != "b":
        return f"({operands[0]}!==0?1:0)"
    if new.kind in "iu" and old.kind not in "iub":
        return f"Math.trunc({operands[0]})"
    return operands[0]


def _selected(
    options: dict[str, Any], dtypes: Sequence[np.dtype], operands: Operands
) -> str | None:
    if len(operands) != 3:
        return None
    which, otherwise, chosen = operands
    return f"({which}?{chosen}:{otherwise})"


def _rounded(options: dict[str, Any], dtypes: Sequence[np.dtype], operands: Operands) -> str:
    to_even = "EVEN" in options["rounding_method"].name
    return f"roundEven({operands[0]})" if to_even else f"roundAway({operands[0]})"


_Special = Callable[[dict[str, Any], Sequence[np.dtype], Operands], str | None]
_SPECIAL: dict[str, _Special] = {
    "integer_pow": _power,
    "div": _quotient,
    "convert_element_type": _converted,
    "select_n": _selected,
    "round": _rounded,
}


def number(value: Any) -> str:
    """A number as JavaScript has it.

    Examples:
      >>> number(np.float32(0.1)), number(-np.inf), number(True)
      ('0.10000000149011612', '(-Infinity)', '1')
    """
    value = float(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "(-Infinity)"
    text = repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return f"({text})" if value < 0 else text
