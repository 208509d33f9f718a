"""Options of the XLA compiler for each kind of device."""

import functools
from typing import Any

import jax


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
