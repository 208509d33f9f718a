"""Checks of keys, arrays, parameters and values: one for every function that takes them."""

import inspect
import operator
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.errors import FlaxError

CHECKED_VALUES = 2**27
"""The approximate number of values of an array that are checked; of larger arrays, evenly spaced rows."""

ROUNDING = 1e-4
"""How far outside of [0, 1] a value may be."""

FLOAT32 = float(np.finfo(np.float32).max)
"""The largest finite float32."""


def check_positive(**numbers: Any) -> None:
    """Raises a `ValueError` that names the first number that is not a positive integer; None passes.

    Examples:
      >>> check_positive(epochs=3, patience=None)
      >>> check_positive(epochs=0)
      Traceback (most recent call last):
      ValueError: epochs must be positive, got 0
    """
    for name, number in numbers.items():
        if number is None:
            continue
        try:
            whole = operator.index(number)
        except TypeError:
            raise ValueError(f"{name} must be an integer, not {number!r:.60}") from None
        if isinstance(number, bool):
            raise ValueError(f"{name} must be an integer, not {number}")
        if whole < 1:
            raise ValueError(f"{name} must be positive, got {number}")


def check_key(key: Any, name: str = "key", ndim: int = 0) -> None:
    """Raises a `ValueError` unless a key is one of `jax.random.key`, or an array of them.

    Examples:
      >>> check_key(jax.random.key(0))
      >>> check_key(0)
      Traceback (most recent call last):
      ValueError: key must be a JAX random key, not int; use jax.random.key(0)
    """
    one, several = "jax.random.key(0)", "jax.random.split(jax.random.key(0), models)"
    advice = f"use {several if ndim else one}"
    if not isinstance(key, jax.Array):
        raise ValueError(f"{name} must be a JAX random key, not {type(key).__name__}; {advice}")
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        old = ", or jax.random.wrap_key_data(key)" if key.dtype == jnp.uint32 else ""
        raise ValueError(f"{name} must be a typed key, not an array of {key.dtype}; {advice}{old}")
    if key.ndim != ndim:
        wanted = "one key" if ndim == 0 else "one key for each model, [models]"
        raise ValueError(f"{name} must be {wanted}, got the shape {key.shape}; {advice}")


def check_params(params: Any, name: str = "params") -> None:
    """Raises a `ValueError` unless parameters are a dict, as `init` and `fit` return it.

    Examples:
      >>> check_params({"encoder": 1})
      >>> check_params(None)
      Traceback (most recent call last):
      ValueError: params must be the dict from model.init or fit(...).params, not NoneType
    """
    if not isinstance(params, Mapping):
        given = type(params).__name__
        advice = f"; give {given.lower()}.params" if hasattr(params, "params") else ""
        raise ValueError(
            f"{name} must be the dict from model.init or fit(...).params, not {given}{advice}"
        )


def check_call(name: str, function: Callable[..., Any] | None, *arguments: str) -> None:
    """Raises a `ValueError` unless a function can be called with these arguments; None passes.

    Examples:
      >>> check_call("transform", lambda key, x: x, "key", "x")
      >>> check_call("transform", lambda x: x, "key", "x")
      Traceback (most recent call last):
      ValueError: transform is called as transform(key, x), but the given function takes (x)
    """
    if function is None:
        return
    call = f"{name}({', '.join(arguments)})"
    if not callable(function):
        raise ValueError(f"{name} must be a function, {call}, not {type(function).__name__}")
    try:
        signature = inspect.signature(function)
    except ValueError:  # some functions written in C have no signature
        return
    try:
        signature.bind(*arguments)
    except TypeError:
        raise ValueError(
            f"{name} is called as {call}, but the given function takes {signature}"
        ) from None


def check_tree(data: Any) -> None:
    """Raises a `ValueError` for sets, tuples and lists, which do not say which array is which."""
    fields = getattr(data, "_fields", ())
    if "train" in fields and "test" in fields:
        raise ValueError(
            "these are the three splits of a data set; give the images of one, splits.train.images"
        )
    if "images" in fields:
        raise ValueError(
            "this is a split with images and labels; give split.images, or "
            "jaxae.Batch(split.images, label=split.labels)"
        )
    if isinstance(data, tuple | list):
        raise ValueError(
            "a tuple or list does not say which array is which; give an array, or "
            "jaxae.Batch(x, label=labels), or jaxae.Batch(targets, seen=inputs); for a list of images of "
            "one size, numpy.stack(images)"
        )


def native(leaf: Any) -> Any:
    """An array of numbers that JAX accepts: NumPy arrays in another byte order are converted.

    Raises:
      ValueError: if it is not an array of numbers; the message says how to make one.

    Examples:
      >>> native(np.array([1.0], ">f4")).dtype == np.float32
      True
      >>> native("mnist")
      Traceback (most recent call last):
      ValueError: data must be arrays, not str; to load a data set, jaxae.load("mnist")
    """
    if isinstance(leaf, jax.Array):
        return leaf
    if isinstance(leaf, np.generic | bool | int | float):
        return np.asarray(leaf)
    if not isinstance(leaf, np.ndarray):
        kind = type(leaf).__name__
        if isinstance(leaf, str):
            advice = f'; to load a data set, jaxae.load("{leaf:.40}")'
        elif hasattr(leaf, "__array__") or hasattr(leaf, "__dlpack__"):
            advice = "; convert it, numpy.asarray(data)"
        elif isinstance(leaf, Iterator):
            advice = "; collect its images, numpy.stack(list(data)), or give a jaxae.Stream"
        else:
            advice = ""
        raise ValueError(f"data must be arrays, not {kind}{advice}")
    if isinstance(leaf, np.ma.MaskedArray):
        raise ValueError(
            "a masked array is ambiguous; give jaxae.Batch(array.filled(0), observed=~mask), or "
            "array.filled(value)"
        )
    if leaf.dtype.kind not in "biuf" and not jnp.issubdtype(leaf.dtype, jnp.number):
        raise ValueError(f"data must be numbers, not {leaf.dtype}")
    if leaf.dtype.kind == "c":
        raise ValueError(
            "complex numbers are not supported; give real and imaginary parts as channels"
        )
    if leaf.dtype.kind in "iu" and leaf.dtype.itemsize == 8 and leaf.size:
        # JAX would take the lower 32 bits: label 2**32 + 3 would become class 3.
        limits = np.iinfo(jax.dtypes.canonicalize_dtype(leaf.dtype))
        low, high = int(leaf.min()), int(leaf.max())
        if low < limits.min or high > limits.max:
            raise ValueError(
                f"integers from {low} to {high} do not fit into {limits.dtype}; renumber classes with "
                "numpy.unique(labels, return_inverse=True)[1]"
            )
    return leaf if leaf.dtype.isnative else leaf.astype(leaf.dtype.newbyteorder("="))


def check_examples(batch: Any) -> None:
    """Raises a `ValueError` unless all fields of a batch have the same number of examples, at least one."""
    leaves = jax.tree_util.tree_leaves_with_path(batch._replace(observed=None))
    if not leaves:
        raise ValueError("the data contain no array")
    sizes = {}
    for path, leaf in leaves:
        if jnp.ndim(leaf) == 0:
            raise ValueError(
                "the first axis of data is the example, but a part of the data is a single number"
            )
        sizes[jax.tree_util.keystr(path).strip(".[]'")] = jnp.shape(leaf)[0]
    if min(sizes.values()) != max(sizes.values()):
        shown = ", ".join(f"{number} in {name}" for name, number in sizes.items())
        raise ValueError(f"the parts of the data have different numbers of examples: {shown}")
    if not min(sizes.values()):
        raise ValueError("there are no examples: the first axis of the data has size 0")


def check_values(unit: bool, data: Any, name: str = "x") -> None:
    """Raises a `ValueError` if known values of `x` are not finite, or outside the range of a model.

    Values that jit is tracing have no values yet, and pass. A model of all real numbers
    also accepts images with values from 0 to 255, with a warning.

    Args:
      unit: whether the model describes values in [0, 1].
      data: a :class:`jaxae.Batch`, or a data set as one.
      name: what the error calls the values.
    """
    leaves = jax.tree_util.tree_leaves_with_path(data.x)
    known = jax.tree.leaves(data.observed) or [None] * len(leaves)
    for (path, leaf), observed in zip(leaves, known, strict=True):
        where = name + jax.tree_util.keystr(path)
        if leaf.dtype == np.uint8 or isinstance(
            leaf, jax.core.Tracer
        ):  # bytes, or a stream of them
            continue
        if isinstance(observed, jax.core.Tracer):
            continue
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            if unit:
                raise ValueError(
                    f"{where} is {leaf.dtype}, and this model describes values in [0, 1]; give bytes "
                    "(uint8), which are divided by 255, or floats in [0, 1]"
                )
            if leaf.dtype == bool:
                continue
        low, high = _extremes(leaf, observed)
        # Float64 may be too large for float32. Comparisons with nan are false.
        if not (-FLOAT32 <= low <= FLOAT32 and -FLOAT32 <= high <= FLOAT32):
            raise ValueError(
                f"{where} has values that are not finite; if they are missing, say which values are "
                "known: jaxae.Batch(x, observed=mask)"
            )
        if unit and (low < -ROUNDING or high > 1 + ROUNDING):
            advice = "divide by 255" if low >= 0 and 1.5 < high <= 255 else "scale them to [0, 1]"
            raise ValueError(
                f"{where} has values from {low:.4g} to {high:.4g}, and this model describes values in "
                f"[0, 1]; {advice}"
            )
        if not unit and leaf.ndim == 4 and low >= 0 and 127 < high <= 255 and _are_whole(leaf):
            warnings.warn(
                f"{where} has whole numbers from {low:.4g} to {high:.4g}, which look like bytes; this model "
                "uses them unscaled, while it divides bytes (uint8) by 255; divide floats by 255 too",
                stacklevel=3,
            )


def _extremes(array: Any, observed: Any) -> tuple[float, float]:
    """The smallest and the largest value, of those that are known."""
    rows = slice(None, None, max(1, -(-array.size // CHECKED_VALUES)))
    with jax.ensure_compile_time_eval():
        some = array if rows.step == 1 else array[rows]
    if observed is not None:  # where values are missing, x may be anything
        some = np.where(np.asarray(observed)[rows] > 0, np.asarray(some), 0)
    if isinstance(some, jax.Array) and some.is_fully_addressable:
        if all(device.platform == "cpu" for device in some.devices()):
            some = np.asarray(some)  # without a copy
        else:
            # An array that a traced function closes over has values too.
            with jax.ensure_compile_time_eval():
                low, high = jax.device_get(_min_max(some))
            return float(low), float(high)
    return float(some.min()), float(some.max())


@jax.jit
def _min_max(array: Any) -> tuple[Any, Any]:
    return jnp.min(array), jnp.max(array)


def _are_whole(array: Any) -> bool:
    with jax.ensure_compile_time_eval():
        some = np.asarray(array[:16], np.float64)
    return bool((some == np.round(some)).all())


@contextmanager
def explained(piece: str, params: Any, tree: Any) -> Iterator[None]:
    """Turns the errors of Flax and JAX for an input that does not fit a network into a `ValueError`.

    Args:
      piece: what is applied, such as "the encoder".
      params: the parameters.
      tree: the input; its shapes are named.
    """
    try:
        yield
    except KeyError as error:
        name = error.args[0] if error.args else None
        if not isinstance(name, str) or not isinstance(params, Mapping) or name in params:
            raise
        raise ValueError(
            f"params have no {name!r}, only {', '.join(map(repr, params)) or 'nothing'}; they are those of "
            "another model"
        ) from error
    except (FlaxError, TypeError, AttributeError) as error:
        said = str(error).split("(https")[0].split("\n")[0].strip()
        if isinstance(error, AttributeError) and not isinstance(tree, Mapping):
            raise
        if isinstance(error, TypeError) and "shape" not in said and not isinstance(tree, Mapping):
            raise
        shapes = jax.tree.map(lambda leaf: list(jnp.shape(leaf)), tree)
        if params is None and not isinstance(tree, Mapping):
            raise ValueError(
                f"the networks do not fit examples of shape {shapes}; the first axis is the example (one "
                f"image is x[None]), and the encoder comes before the decoder ({said[:160]})"
            ) from error
        advice = "its size and channels must be those of the examples that init or fit was given"
        if isinstance(tree, Mapping):
            advice = "does its first layer take a dict?"
        elif piece == "the decoder":
            advice = "codes are [b, d], what encode returns; one code is z[None]"
        elif jnp.ndim(tree) < 4:
            advice += "; the first axis is the example: one image is x[None]"
        raise ValueError(
            f"{piece} cannot be applied to an input of shape {shapes} with these params; {advice} "
            f"({said[:160]})"
        ) from error
