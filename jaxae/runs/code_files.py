"""Codes as files: .npz for numpy, .csv for everything else."""

import csv
from itertools import product
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxae.base import Tree
from jaxae.data.messages import counted, describe_shape
from jaxae.runs.sources import Examples
from jaxae.runtime.files import atomic_write

MAX_COLUMNS = 10_000
"""The largest number of values of a code that are written to a .csv file, a column each."""


def write(
    path: Path,
    codes: Tree,
    examples: Examples,
    *,
    mean: np.ndarray | None = None,
    std: np.ndarray | None = None,
) -> list[str]:
    """Writes codes to an .npz file, and to a .csv file of the same name.

    Args:
      path: of the .npz file.
      codes: of the examples, leaves `[n, ...]`. Of several arrays, each has a name that says where in the
        tree it is, such as `codes/0`, and there is no .csv file.
      examples: what was encoded.
      mean: of the codes of the training images, if it is known.
      std: their standard deviation.

    Returns:
      lines that say what was written.
    """
    arrays = named(codes)
    n = len(examples.images)
    index = np.arange(n)
    more: dict[str, Any] = (
        {"files": np.array(examples.names)} if examples.names else {"index": index}
    )
    if examples.labels is not None:
        more["labels"] = examples.labels
    if examples.classes:
        more["classes"] = np.array(examples.classes)
    if mean is not None and std is not None:
        more |= {"mean": mean, "std": std}
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as partial, open(partial, "wb") as file:
        np.savez(file, **(arrays | more))
    shapes = ", ".join(f"{name} {describe_shape(a.shape)}" for name, a in arrays.items())
    lines = [f"{path}: {', '.join([shapes, *more])}"]
    table = path.with_suffix(".csv")
    size = 0 if len(arrays) > 1 else arrays["codes"][0].size
    if not 0 < size <= MAX_COLUMNS:
        table.unlink(missing_ok=True)  # of other codes, which the user wants to overwrite
        reason = f"are {len(arrays)} arrays" if len(arrays) > 1 else f"have {size:,} values each"
        return [*lines, f"{table} is not written, because the codes {reason}"]
    values = arrays["codes"].reshape(n, size)
    names = examples.names or index
    with (
        atomic_write(table) as partial,
        open(partial, "w", newline="", encoding="utf-8", errors="surrogateescape") as text,
    ):
        writer = csv.writer(text)
        writer.writerow(["file" if examples.names else "index", "label", *columns(arrays["codes"])])
        for i in range(n):
            writer.writerow([names[i], examples.label(i), *(f"{value:.9g}" for value in values[i])])
    return [*lines, f"{table}: {counted(n, 'code')} of {counted(size, 'value')}"]


def named(codes: Tree) -> dict[str, np.ndarray]:
    """The arrays of codes by names: `codes`, or of several `codes/0`, `codes/skips/1`.

    Examples:
      >>> list(named({"deep": np.zeros(2), "skips": [np.zeros(2), np.zeros(2)]}))
      ['codes/deep', 'codes/skips/0', 'codes/skips/1']
    """
    found, _ = jax.tree_util.tree_flatten_with_path(codes)
    return {
        "/".join(["codes", *(_key(step) for step in path)]): np.asarray(leaf)
        for path, leaf in found
    }


def columns(codes: np.ndarray) -> list[str]:
    """The names of the values of a code: `z0`, `z1`, ..., or of a grid `z0_0_0`, `z0_0_1`, ....

    Examples:
      >>> columns(np.zeros((5, 3))), columns(np.zeros((5, 1, 2)))
      (['z0', 'z1', 'z2'], ['z0_0', 'z0_1'])
    """
    places = product(*map(range, codes.shape[1:]))
    return ["z" + "_".join(map(str, place)) for place in places]


def _key(step: Any) -> str:
    for name in ("key", "idx", "name"):
        if hasattr(step, name):
            return str(getattr(step, name))
    return str(step)
