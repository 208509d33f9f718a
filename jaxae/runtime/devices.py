"""What XLA should know of a device."""

import functools
from typing import Any

import jax


@functools.cache
def compiler_options(device: jax.Device) -> dict[str, Any]:
    """What XLA should know of a device, of the options that this version of it has.

    On CPU, to leave only single matrix products to YNNPACK: its sums over a middle axis are far
    slower than XLA's own (benchmarks/README.md). Not to use registers of 512 bits: that was 6 %
    faster, and in jax 0.10.2 its arctan is wrong in most places.
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
