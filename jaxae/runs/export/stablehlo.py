"""Functions as files of `jax.export`: StableHLO for any platform and any number of examples."""

import contextlib
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import jax
import jax.export

from jaxae.base import Tree
from jaxae.runs.export.functions import Format, Function, arguments

PLATFORMS = ("cpu", "cuda", "tpu")
"""The platforms of a file, which contains a program that runs on each of them."""

LOADER = """\
from pathlib import Path
import jax, jax.export, numpy as np  # pip install jax flatbuffers

def load(path):
    return jax.jit(jax.export.deserialize(bytearray(Path(path).read_bytes())).call)
"""


def check_installed() -> None:
    """Raises a `ValueError` unless the package that `jax.export` writes files with is installed."""
    if importlib.util.find_spec("flatbuffers") is None:
        raise ValueError(
            "the format stablehlo needs the package flatbuffers: pip install flatbuffers"
        )


def write(function: Function, path: Path) -> None:
    """Writes a function with a symbolic number of examples.

    Raises:
      ValueError: if it cannot be exported, such as a network whose shapes depend on the number of
        examples, or that uses operations of a single platform.
    """
    (b,) = jax.export.symbolic_shape("b")
    arguments = [
        jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((b, *leaf.shape[1:]), leaf.dtype), tree)
        for tree in function.inputs.values()
    ]
    try:
        with _without_paths():
            exported = jax.export.export(jax.jit(function.call), platforms=PLATFORMS)(*arguments)
    except (ValueError, TypeError, NotImplementedError) as error:
        reason = str(error).strip().split("\n")[0][:200]
        raise ValueError(f"the {function.name} cannot be exported: {reason}") from error
    path.write_bytes(exported.serialize())


@contextlib.contextmanager
def _without_paths() -> Iterator[None]:
    """A context in which programs do not name the source files, whose paths are those of one machine."""
    settings = {
        "jax_hlo_source_file_canonicalization_regex": ".*",
        "jax_traceback_in_locations_limit": 0,
    }
    before = {name: getattr(jax.config, name) for name in settings}
    for name, value in settings.items():
        jax.config.update(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            jax.config.update(name, value)


def read(path: Path) -> Callable[..., Tree]:
    """The function in a file."""
    return jax.jit(jax.export.deserialize(bytearray(path.read_bytes())).call)


def example(functions: Sequence[Function]) -> str:
    """Python code that uses the files."""
    lines = [LOADER]
    for function, inputs in arguments(functions):
        lines += [f'{function.name} = load("{function.name}.stablehlo")', *inputs]
        lines += [f"{function.output} = {function.name}({', '.join(function.inputs)})"]
    return "\n".join([*lines, ""])


FORMAT = Format(".stablehlo", check_installed, write, read, example)
