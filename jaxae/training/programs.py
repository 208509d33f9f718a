"""Training steps as compiled programs: many steps in one loop, or one step in each call."""

import time
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, PRNGKeyArray

from jaxae.runtime import sharding
from jaxae.runtime.devices import compiler_options
from jaxae.training.batches import Data
from jaxae.training.step import StepFunction, TrainState

Loop = Literal["auto", "scan", "step"]
"""How steps are repeated: "scan", a loop inside one compiled program; "step", a compiled step that
Python calls again and again; "auto", "step" where XLA's loops are slow, and else "scan".

XLA's own convolutions are 5 to 100 times slower inside a loop than outside on CPU, since they then run on
one core without an optimised kernel. The networks of jaxae do not use them on CPU."""

Metrics = dict[str, np.ndarray]


class StepProgram:
    """A compiled program that makes a given number of steps.

    Args:
      step: one update.
      take: `(prepared, data, step) -> batch`, traced; the batch after `step` updates.
      prepare: `(step, key, data) -> prepared`, traced, evaluated once before a number of steps.
      longest: the largest number of steps that is asked for.
      mesh: the devices.
      state_shardings: where the arrays of the state are.
      loop: see :data:`Loop`.
    """

    def __init__(
        self,
        step: StepFunction,
        take: Callable[[Any, Data, Array], Data],
        prepare: Callable[[Array, PRNGKeyArray, Data], Any],
        *,
        longest: int,
        mesh: Mesh,
        state_shardings: Any,
        loop: Loop,
    ):
        self._device, self._loop = mesh.devices.flat[0], loop
        self._replicated = sharding.replicated(mesh)

        def one(
            state: TrainState, key: PRNGKeyArray, data: Data, prepared: Any
        ) -> tuple[TrainState, dict[str, Array]]:
            _, step_key = jax.random.split(key)
            return step(state, step_key, take(prepared, data, state.step))

        def run_steps(
            state: TrainState, key: PRNGKeyArray, data: Data, steps: Array
        ) -> tuple[TrainState, dict[str, Array]]:
            prepared = prepare(state.step, key, data)
            shapes = jax.eval_shape(one, state, key, data, prepared)[1]
            metrics = {name: jnp.zeros((longest,), s.dtype) for name, s in shapes.items()}

            def body(i: Array, carry: tuple[TrainState, Any]) -> tuple[TrainState, Any]:
                state, metrics = carry
                state, new = one(state, key, data, prepared)
                return state, {name: metrics[name].at[i].set(value) for name, value in new.items()}

            return jax.lax.fori_loop(0, steps, body, (state, metrics))

        out = (state_shardings, self._replicated)
        self._one = jax.jit(one, donate_argnums=0, out_shardings=out)
        self._many = jax.jit(run_steps, donate_argnums=0, out_shardings=out)
        self._prepare = jax.jit(prepare)
        self._compiled: Any = None

    def compile(self, state: TrainState, key: PRNGKeyArray, data: Data) -> float:
        """Compiles, and returns the number of seconds that it took."""
        started = time.perf_counter()
        traced: Any = None
        if self._loop != "step":
            traced = self._many.trace(state, key, data, self._number(1))
        if self._loop == "auto":
            self._loop = chosen_loop(traced.jaxpr, self._device)
        if self._loop == "step":
            prepared = self._prepare(state.step, key, data)
            traced = self._one.trace(state, key, data, prepared)
        self._compiled = traced.lower().compile(compiler_options(self._device))
        return time.perf_counter() - started

    def __call__(
        self, state: TrainState, key: PRNGKeyArray, data: Data, steps: int
    ) -> tuple[TrainState, Metrics]:
        """Makes a number of steps. The state is donated, and each of the metrics is `[steps]`."""
        if self._loop == "scan":
            state, metrics = self._compiled(state, key, data, self._number(steps))
            return state, {name: v[:steps] for name, v in jax.device_get(metrics).items()}
        prepared, made = self._prepare(state.step, key, data), []
        for _ in range(steps):
            state, metrics = self._compiled(state, key, data, prepared)
            made.append(metrics)
        made = jax.device_get(made)
        return state, {name: np.stack([metrics[name] for metrics in made]) for name in made[0]}

    @property
    def loop(self) -> Loop:
        """The loop that was chosen."""
        return self._loop

    def _number(self, steps: int) -> Array:
        return sharding.put(jnp.int32(steps), self._replicated)


def chosen_loop(jaxpr: Any, device: jax.Device) -> Loop:
    """What "auto" stands for, for a traced function on a device.

    Examples:
      >>> def convolve(x):
      ...     return jax.lax.conv(x, jnp.ones((1, 1, 3, 3)), (1, 1), "SAME")
      >>> jaxpr = jax.make_jaxpr(jax.jit(convolve))(jnp.ones((1, 1, 4, 4)))
      >>> chosen_loop(jaxpr, jax.devices("cpu")[0])
      'step'
    """
    slow = device.platform == "cpu" and _has_primitive(jaxpr.jaxpr, "conv_general_dilated")
    return "step" if slow else "scan"


def _has_primitive(jaxpr: Any, name: str) -> bool:
    for equation in jaxpr.eqns:
        if equation.primitive.name == name:
            return True
        for parameter in equation.params.values():
            for inner in parameter if isinstance(parameter, tuple | list) else (parameter,):
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns") and _has_primitive(inner, name):
                    return True
    return False
