"""Whether an exported file computes what the model computes."""

import math
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxae.base import Tree
from jaxae.runs.export.functions import EXAMPLES, Format, Function

BATCHES = (1, 2, EXAMPLES)
"""The numbers of examples with which an export is verified."""
FLOOR = 1e-5
"""The difference that is allowed for small values."""
TOLERANCE = {"float32": 1e-4, "bfloat16": 3e-2}
"""The difference that is allowed, as a fraction of the largest value, by the precision of the model."""
REDUCED = 5e-3
"""The same where products of float32 are computed with fewer bits, as on TPU and some GPUs."""


def verify(function: Function, path: Path, kind: Format) -> dict[str, Any]:
    """Compares a file with the function of the model, with several numbers of examples.

    Returns:
      the largest difference, and how it was found.

    Raises:
      ValueError: if the results have another structure, shape or type, are not finite, or differ.
    """
    call = kind.read(path)
    examples = list(function.inputs.values())
    expected = jax.device_get(function.expected())
    largest = max(float(np.abs(leaf).max()) for leaf in jax.tree.leaves(expected))
    if not math.isfinite(largest):
        raise ValueError(f"the {function.name} computes values that are not finite; train it again")
    tolerance = TOLERANCE[function.precision]
    if jax.default_backend() != "cpu":
        tolerance = max(tolerance, REDUCED)
    allowed = FLOOR + tolerance * largest
    difference = 0.0
    for n in BATCHES:
        some, wanted = jax.tree.map(lambda leaf: leaf[:n], (examples, expected))  # noqa: B023
        try:
            got = jax.device_get(call(*some))
        except Exception as error:  # of any type: it is another program that fails
            reason = str(error).strip().split("\n")[0][:200]
            raise ValueError(
                f"the exported {function.name} fails with {n} examples: {reason}"
            ) from error
        if _types(got) != _types(wanted):
            raise ValueError(
                f"the exported {function.name} computes {_types(got)} where the model computes "
                f"{_types(wanted)}"
            )
        pairs = zip(jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True)
        own = max(float(np.abs(np.float64(a) - np.float64(b)).max()) for a, b in pairs)
        if not own <= allowed:  # not finite either
            raise ValueError(
                f"the exported {function.name} does not compute what the model computes: with {n} examples "
                f"the largest difference is {own:.3g}, and {allowed:.3g} is allowed; nothing was written"
            )
        difference = max(difference, own)
    sizes = ", ".join(map(str, BATCHES))
    return {
        "largest_difference": difference,
        "largest_value": largest,
        "verified_with": f"batches of {sizes} random examples on {jax.default_backend()}",
    }


def _types(tree: Tree) -> Any:
    return jax.tree.map(lambda leaf: f"{leaf.dtype}[{', '.join(map(str, np.shape(leaf)))}]", tree)
