"""Recipes: a model as the calls of the constructors that made it, in plain values.

What a constructor of jaxae returns records its call. :func:`recipe_of` gives the calls of a model, which
JSON can hold, and :func:`from_recipe` builds the model again. A recipe names constructors of jaxae and
nothing else, so that reading one never runs other code.
"""

import functools
import importlib
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

P = ParamSpec("P")
R = TypeVar("R")

MAX_VALUES = 100_000
"""The largest number of values in an array of a recipe, such as the means of a mixture."""

MAX_PARAMETERS = 2**30
"""The largest number of values in an array of parameters whose shape a recipe records."""

METHODS = ("encode", "decode")
"""The methods of a model that may be an argument of a constructor."""

FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{
        name: getattr(jax.nn, name)
        for name in (
            *("celu", "elu", "gelu", "glu", "hard_tanh", "identity", "leaky_relu", "log_sigmoid"),
            *("mish", "relu", "relu6", "selu", "sigmoid", "silu", "soft_sign", "softmax"),
            *("softplus", "swish", "tanh"),
        )
        if hasattr(jax.nn, name)
    },
    "jnp.tanh": jnp.tanh,
    "jnp.sin": jnp.sin,
}
"""The functions of JAX that a recipe can name, by the names they have in it."""

_CONSTRUCTORS: dict[str, Callable[..., Any]] = {}
_NAMED: dict[str, Callable[..., Any]] = {}


class Made(NamedTuple):
    """The call that made an object.

    Attributes:
      name: of the constructor.
      arguments: by name, with the defaults.
      item: which of the results it is, if there are several; otherwise None.
      fields: of the object as it was made, by which a later change is noticed.
    """

    name: str
    arguments: Mapping[str, Any]
    item: int | None = None
    fields: tuple[Any, ...] = ()


def constructor(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator for functions whose results record the call that made them.

    The results are named tuples with a field `made`, functions, plain values, or tuples of these.

    Args:
      name: of the function, after `jaxae.`. It is part of the format of recipes.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            result = function(*args, **kwargs)
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            return _with_call(result, name, bound.arguments)

        _CONSTRUCTORS[name] = call
        return call

    return decorate


def named(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator for functions that are themselves arguments of constructors."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        _NAMED[name] = function
        return function

    return decorate


def recipe_of(made: Any) -> dict[str, Any]:
    """The calls that made a model, as plain values.

    Args:
      made: a model, or a part of one: a network, a likelihood, a prior, a corruption.

    Returns:
      `{"call": NAME, ARGUMENT: VALUE, ...}`. A value is a number, text, a list, another call, or one of
      `{"function": NAME}`, `{"dtype": NAME}`, `{"array": LIST, "dtype": NAME}`, `{"method": NAME, "of":
      CALL}`, and `{"params": {NAME: ...}}`. Of parameters that a training starts from, only the shapes are
      recorded; their values are NaN in the model that is built.

    Raises:
      ValueError: if a part was not made by a constructor of jaxae, or was changed after it was made.

    Examples:
      >>> import jaxae
      >>> recipe_of(jaxae.networks.mlp_encoder(4, (8,)))["hidden"]
      [8]
      >>> recipe_of(jaxae.priors.standard_normal(4))
      {'call': 'priors.standard_normal', 'latent_dim': 4}
    """
    found = _plain(made, "this")
    if not isinstance(found, dict) or "call" not in found:
        raise ValueError("this is not something that a constructor of jaxae has made")
    return found


def from_recipe(recipe: Mapping[str, Any]) -> Any:
    """Builds what a recipe describes.

    Args:
      recipe: what :func:`recipe_of` returned, also after it was written to a JSON file and read again.

    Raises:
      ValueError: if a value is not that of a recipe, names a constructor that does not exist, or is refused
        by the constructor.

    Examples:
      >>> import jaxae
      >>> recipe = recipe_of(jaxae.priors.standard_normal(4))
      >>> from_recipe(recipe).name
      'standard_normal(4)'
      >>> from_recipe({"call": "os.remove", "path": "x"})
      Traceback (most recent call last):
      ValueError: this version of jaxae has no constructor 'os.remove', which the recipe names
    """
    if not isinstance(recipe, Mapping) or not isinstance(recipe.get("call"), str):
        raise ValueError("this is not the recipe of a model: it names no constructor")
    importlib.import_module("jaxae._names")  # every constructor is registered when it is imported
    try:
        # What appears twice, as the two networks of one pair, is built once.
        return _build(recipe, {})
    except RecursionError:
        raise ValueError("the recipe is nested too deeply") from None
    except ValueError as error:
        raise ValueError(_in_one_line(error)) from error


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:500]


def _with_call(
    result: Any, name: str, arguments: Mapping[str, Any], item: int | None = None
) -> Any:
    if hasattr(result, "_fields"):
        return result._replace(made=Made(name, arguments, item, _fields(result)))
    if isinstance(result, tuple):
        return tuple(_with_call(each, name, arguments, i) for i, each in enumerate(result))
    if callable(result):
        result.made = Made(name, arguments, item)  # a closure, which no other call returns
    return result


def _fields(value: Any) -> tuple[Any, ...]:
    return tuple(field for name, field in value._asdict().items() if name != "made")


def _plain(value: Any, where: str) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | np.integer | np.bool_):
        return value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float | np.floating):
        return float(value)
    made = getattr(value, "made", None)
    if isinstance(made, Made):
        if made.fields and not all(
            one is other for one, other in zip(made.fields, _fields(value), strict=True)
        ):
            raise ValueError(
                f"{where} was changed after jaxae.{made.name} had made it, so its recipe is not known"
            )
        found = {"call": made.name}
        for name, argument in made.arguments.items():
            found[name] = _plain(argument, f"the argument {name!r} of jaxae.{made.name}")
        return found | ({} if made.item is None else {"item": made.item})
    if hasattr(value, "_fields"):
        raise ValueError(f"{where} was not made by a constructor of jaxae, so it has no recipe")
    if isinstance(value, list | tuple):
        return [_plain(each, where) for each in value]
    if isinstance(value, Mapping):
        return {"params": {name: _shapes(leaf, where) for name, leaf in value.items()}}
    if inspect.ismethod(value) and value.__name__ in METHODS:
        return {"method": value.__name__, "of": _plain(value.__self__, where)}
    if isinstance(value, np.ndarray | jax.Array):
        if value.size > MAX_VALUES:
            raise ValueError(f"{where} is an array of {value.size:,} values, too many for a recipe")
        array = np.asarray(value)
        return {"array": array.tolist(), "dtype": str(array.dtype)}
    for name, function in (FUNCTIONS | _NAMED).items():
        if value is function:
            return {"function": name}
    if isinstance(value, type | np.dtype) or hasattr(value, "dtype"):
        return {"dtype": str(jnp.dtype(value))}
    raise ValueError(f"{where} is not something that a recipe can hold, so the model has no recipe")


def _shapes(value: Any, where: str) -> Any:
    if isinstance(value, Mapping):
        return {name: _shapes(leaf, where) for name, leaf in value.items()}
    if not hasattr(value, "shape"):
        raise ValueError(
            f"{where} is a tree of something else than arrays, which no recipe can hold"
        )
    return {"shape": list(value.shape), "dtype": str(value.dtype)}


def _placeholders(value: Mapping[str, Any]) -> Any:
    if "shape" in value and not isinstance(value["shape"], Mapping):
        dtype, shape = _dtype(value["dtype"]), tuple(value["shape"])
        if math.prod(shape) > MAX_PARAMETERS:
            raise ValueError(f"an array of shape {list(shape)} is too large for parameters")
        fill = jnp.nan if jnp.issubdtype(dtype, jnp.inexact) else 0
        return np.broadcast_to(np.asarray(fill, dtype), shape)
    return {name: _placeholders(leaf) for name, leaf in value.items()}


def _dtype(name: Any) -> Any:
    """The type of numbers of this name; never that of objects."""
    dtype = jnp.dtype(name) if isinstance(name, str) else None
    if dtype is None or not (jnp.issubdtype(dtype, jnp.number) or dtype == jnp.bool_):
        raise TypeError(f"{name!r:.40} is no type of numbers")
    return dtype


def _build(value: Any, built: dict[str, Any]) -> Any:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(_build(each, built) for each in value)
    if not isinstance(value, Mapping):
        return value
    if "call" in value:
        key = repr(sorted((k, repr(v)) for k, v in value.items() if k != "item"))
        if key not in built:
            built[key] = _called(value, built)
        found, item = built[key], value.get("item")
        if item is None:
            return found
        if type(item) is not int or type(found) is not tuple or not 0 <= item < len(found):
            raise ValueError(f"{value['call']} has no result of number {item!r:.40}")
        return found[item]
    try:
        if "function" in value:
            return (FUNCTIONS | _NAMED)[value["function"]]
        if "params" in value:
            return _placeholders(value["params"])
        if value.get("method") in METHODS:
            model = _build(value["of"], built)
            if not isinstance(getattr(model, "made", None), Made):
                raise TypeError("this is the method of something else than a model")
            return getattr(model, value["method"])
        if "array" in value:
            return np.asarray(value["array"], dtype=_dtype(value["dtype"]))
        return _dtype(value["dtype"])
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"{dict(value)!r:.80} is not a value of a recipe") from error


def _called(value: Mapping[str, Any], built: dict[str, Any]) -> Any:
    name = value["call"]
    if not isinstance(name, str) or name not in _CONSTRUCTORS:
        raise ValueError(
            f"this version of jaxae has no constructor {name!r:.80}, which the recipe names"
        )
    function = _CONSTRUCTORS[name]
    arguments = {k: _build(v, built) for k, v in value.items() if k not in ("call", "item")}
    parameters = inspect.signature(function).parameters
    if unknown := arguments.keys() - parameters.keys():
        raise ValueError(f"jaxae.{name} has no argument {min(unknown)!r}, which the recipe gives")
    positional: list[Any] = []
    try:
        for parameter in parameters.values():
            if parameter.kind is parameter.VAR_POSITIONAL:
                positional += arguments.pop(parameter.name, ())
        return function(*positional, **arguments)
    except (ValueError, RecursionError):
        raise
    except Exception as error:  # of any type: the values may be of any type
        raise ValueError(f"jaxae.{name} does not accept what the recipe gives: {error}") from error
