"""Parameters as a safetensors file."""

import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxae.base import Params
from jaxae.checks import check_params

FILE = "weights.safetensors"

EXAMPLE = """\
from safetensors.numpy import load_file  # pip install safetensors

arrays = load_file("weights.safetensors")
for name, array in arrays.items():
    print(name, array.dtype, array.shape)
"""


def check_installed() -> None:
    """Raises a `ValueError` unless safetensors is installed."""
    if importlib.util.find_spec("safetensors") is None:
        raise ValueError(
            "the format safetensors needs the package safetensors: pip install safetensors"
        )


def named_arrays(params: Params) -> dict[str, np.ndarray]:
    """Parameters by their paths, such as `encoder/layer_0/kernel`; floats of any precision as float32.

    Raises:
      ValueError: if two arrays have the same path, because a name contains a slash.

    Examples:
      >>> named_arrays({"encoder": {"scale": jnp.ones(2, jnp.bfloat16)}})
      {'encoder/scale': array([1., 1.], dtype=float32)}
    """
    check_params(params)
    arrays: dict[str, np.ndarray] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(jax.device_get(params)):
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        array = np.asarray(leaf)
        if jnp.issubdtype(array.dtype, jnp.floating):
            array = array.astype(np.float32)  # safetensors does not load bfloat16 in NumPy
        if name in arrays:
            raise ValueError(f"two parameters have the name {name}; names must not contain a slash")
        arrays[name] = np.ascontiguousarray(array).reshape(array.shape)
    return arrays


def write(arrays: dict[str, np.ndarray], path: Path) -> float:
    """Writes arrays, reads them back, and returns the largest difference, which is 0.

    Raises:
      ValueError: if what is read back is not what was written.
    """
    from safetensors.numpy import load_file, save_file

    save_file(arrays, path)
    found = load_file(path)
    for name, array in arrays.items():
        same = name in found and found[name].dtype == array.dtype
        if not same or found[name].tobytes() != array.tobytes():
            raise ValueError(f"the parameter {name} is not read back as it was written")
    if found.keys() != arrays.keys():
        raise ValueError("the file has other parameters than were written")
    return 0.0
