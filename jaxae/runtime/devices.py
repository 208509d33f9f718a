"""The devices: whether there are any, and the options of the XLA compiler for each kind."""

import functools
import importlib.metadata
import importlib.util
from typing import Any

import jax


def check_platforms() -> None:
    """Raises a `ValueError` if JAX_PLATFORMS names only GPUs, and the plugin of JAX for them is missing.

    JAX itself would fail with an empty message at its first use. No device is opened here, because
    processes that train together have to be connected first.
    """
    named = set(_platforms().split(","))
    if not named <= {"cuda", "gpu", "rocm"}:
        return
    installed = importlib.metadata.entry_points(group="jax_plugins")
    if not installed and importlib.util.find_spec("jax_plugins") is None:
        raise ValueError(_advice("JAX was installed without its GPU plugin"))


def check_available() -> None:
    """Raises a `ValueError` if JAX has no device, usually because of JAX_PLATFORMS."""
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:
        reason = (str(error).splitlines() or ["there is none"])[0].split(" (set JAX_PLATFORMS")[0]
        raise ValueError(_advice(reason[:200])) from error


def _platforms() -> str:
    return getattr(jax.config, "jax_platforms", None) or ""


def _advice(reason: str) -> str:
    return (
        f"JAX finds no device for JAX_PLATFORMS={_platforms()} ({reason}); unset that "
        "variable, or set JAX_PLATFORMS=cpu"
    )


@functools.cache
def compiler_options(device: jax.Device) -> dict[str, Any]:
    """The compiler options for a device, of those that this version of XLA has.

    On CPU, only single matrix products are left to YNNPACK, whose sums over a middle axis are far slower than
    XLA's own (benchmarks/README.md). Registers of 512 bits are not used: they were 6 % faster, but with
    them arctan is wrong for most arguments in jax 0.10.2.
    """
    if device.platform != "cpu":
        return {}
    options = {
        "xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT",
    }
    return {name: value for name, value in options.items() if _is_known({name: value})}


def _is_known(options: dict[str, Any]) -> bool:
    empty = jax.jit(lambda: None).lower()
    try:
        empty.compile(options)
    except jax.errors.JaxRuntimeError:
        return False
    return True
