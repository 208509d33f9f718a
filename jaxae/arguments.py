"""Checks of arguments by their annotations: the constructors, the wrappers and `fit` share them."""

import functools
import inspect
import numbers
import operator
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from jaxae.checks import check_key

P = ParamSpec("P")
R = TypeVar("R")

EXAMPLES = {
    "Autoencoder": "such as jaxae.vae(...)",
    "Checkpoints": "jaxae.Checkpoints(folder)",
    "GradientTransformation": "such as optax.adam(1e-3)",
    "Likelihood": "such as jaxae.likelihoods.bernoulli()",
    "Network": "such as jaxae.networks.mlp_encoder(16)",
    "Objective": "such as jaxae.objectives.elbo()",
    "Posterior": "such as jaxae.posteriors.gaussian(16)",
    "Prior": "such as jaxae.priors.standard_normal(16)",
    "TrainState": "jaxae.fit(...).state",
}
"""The types that are checked, by name, and an example of each for the message."""

SEQUENCES = {
    (int,): "integers, such as (28, 28, 1)",
    (jax.Device,): "a list of devices, such as jax.devices()[:1]",
}


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """A function whose arguments are checked against their annotations before it is called.

    Only types in which mistakes are likely are checked: those of jaxae, optimizers, keys, integers,
    numbers, functions and choices. Arrays and shapes are checked by the functions themselves.

    Raises:
      ValueError: by the function, naming the argument and what it must be.

    Examples:
      >>> @checked
      ... def repeat(text: str, times: int = 2) -> str:
      ...     return text * times
      >>> repeat("ab")
      'abab'
      >>> repeat("ab", times=2.5)
      Traceback (most recent call last):
      ValueError: times must be an integer, not 2.5
    """
    signature = inspect.signature(function)
    find_hints = functools.cache(lambda: inspect.get_annotations(function, eval_str=True))

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        hints = find_hints()
        try:
            given = signature.bind(*args, **kwargs).arguments
        except TypeError:  # a missing or unknown argument, which Python names
            return function(*args, **kwargs)
        for name, value in given.items():
            if name in hints:
                _check(name, value, hints[name])
        return function(*args, **kwargs)

    return call


def _check(name: str, value: Any, hint: Any) -> None:
    if hint == PRNGKeyArray:
        check_key(value, name)
        return
    kinds = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    problems = []
    for kind in kinds:
        problem = _problem(value, kind)
        if problem is None:
            return
        problems.append(problem)
    said = " or ".join(dict.fromkeys(problem for problem in problems if problem))
    advice = _advice(value, [getattr(kind, "__name__", "") for kind in kinds])
    raise ValueError(f"{name} must be {said}, not {_shown(value)}{advice}")


def _problem(value: Any, kind: Any) -> str | None:
    """What a value should be; "" if the message need not say it; None if the value is of the kind."""
    if kind is type(None):
        return None if value is None else ""
    if kind is int:
        return None if _is_whole(value) else "an integer"
    if kind is float:
        return None if _is_number(value) else "a number"
    if kind is bool:
        return None if isinstance(value, bool | np.bool_) else "True or False"
    if kind is Path:
        return None if isinstance(value, Path) else "a path"
    if kind is str:
        return None if isinstance(value, str) else "text"
    origin = get_origin(kind)
    if origin is Literal:
        choices = get_args(kind)
        known = any(type(value) is type(choice) and value == choice for choice in choices)
        return None if known else _listed([repr(choice) for choice in choices])
    if origin is Callable or kind is Callable:
        return None if callable(value) else "a function"
    if origin is Sequence and get_args(kind) in SEQUENCES:
        (item,) = get_args(kind)
        several = isinstance(value, Sequence | np.ndarray) and not isinstance(value, str)
        fits = several and all(_problem(one, item) is None for one in value)
        return None if fits else SEQUENCES[get_args(kind)]
    if kind is jax.Device:
        return None if isinstance(value, jax.Device) else "a device"
    type_name = getattr(kind, "__name__", "")
    if type_name in EXAMPLES and isinstance(kind, type):
        if isinstance(value, kind) or (
            type_name == "GradientTransformation"
            and callable(getattr(value, "init", None))
            and callable(getattr(value, "update", None))
        ):
            return None
        package = "an optax" if type_name == "GradientTransformation" else "a jaxae"
        return f"{package}.{type_name}, {EXAMPLES[type_name]}"
    return None


def _is_whole(value: Any) -> bool:
    try:
        operator.index(value)
    except TypeError:
        return False
    return not isinstance(value, bool | np.bool_)


def _is_number(value: Any) -> bool:
    if isinstance(value, jax.Array | np.ndarray):
        return value.ndim == 0
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _shown(value: Any) -> str:
    """A short description of what was given."""
    if value is None or isinstance(value, str | numbers.Number):
        return repr(value)[:60]
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if inspect.isroutine(value):
        return f"the function {getattr(value, '__name__', 'of another name')}"
    if isinstance(value, Mapping):
        return "a dict"
    if isinstance(value, np.ndarray | jax.Array):
        return f"an array of shape {tuple(value.shape)}"
    return type(value).__name__


def _advice(value: Any, wanted: list[str]) -> str:
    """What to do, if what was given shows what was meant."""
    if "Network" in wanted:
        modules = [kind.__module__ for kind in type(value).__mro__]
        if any(module.startswith("flax.linen") for module in modules):
            return "; for a Flax module, use jaxae.networks.linen(module)"
        if isinstance(value, type):
            return "; for a class of Flax, use jaxae.networks.linen(Module(...))"
    if "Autoencoder" in wanted:
        if isinstance(value, Mapping):
            return "; this looks like params, which come after the model"
        if type(value).__name__ == "Model":
            return "; for a Model, use jaxae.Autoencoder(model, objective)"
        if type(value).__name__ == "Network":
            return "; build a model from it first, such as jaxae.autoencoder(encoder, decoder)"
    if inspect.isfunction(value) and not {"Callable", "function"} & set(wanted):
        return f"; call it, {value.__name__}(...)" if value.__name__ != "<lambda>" else ""
    return ""
