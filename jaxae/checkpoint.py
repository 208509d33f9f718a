"""Saving and restoring a run with orbax, and stopping it at a point where it can be saved."""

import logging
import math
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
from absl import logging as absl_logging
from jax.sharding import SingleDeviceSharding


class Saved(NamedTuple):
    """What was saved: the whole training state, the best parameters, and a dict of plain values."""

    state: Any
    best: Any
    meta: dict[str, Any]


class Checkpoints:
    """The checkpoints of a run: `latest`, the full state, and `best`, parameters only.

    A checkpoint is written whole or not at all, and the one before it is kept until then.

    Examples:
      >>> import tempfile, jax.numpy as jnp
      >>> checkpoints = Checkpoints(tempfile.mkdtemp())
      >>> checkpoints.save(3, {"w": jnp.ones(2)}, {"w": jnp.zeros(2)}, {"epoch": 1})
      >>> saved = checkpoints.restore({"w": jnp.zeros(2)}, {"w": jnp.zeros(2)})
      >>> saved.state["w"].tolist(), saved.meta["epoch"]
      ([1.0, 1.0], 1)
    """

    def __init__(self, directory: str | Path):
        import orbax.checkpoint as ocp  # half a second, and not everyone saves

        absl_logging.set_verbosity(absl_logging.ERROR)
        logging.getLogger("orbax").setLevel(logging.ERROR)
        self._ocp = ocp
        self.directory = Path(directory).absolute()

    def _manager(self):
        options = self._ocp.CheckpointManagerOptions(
            max_to_keep=2, enable_async_checkpointing=False
        )
        return self._ocp.CheckpointManager(self.directory, options=options)

    def save(self, step: int, state: Any, best: Any, meta: dict[str, Any]) -> None:
        """Saves a state as it was after `step` updates."""
        args = self._ocp.args
        with self._manager() as manager:
            if step in manager.all_steps():
                return
            manager.save(
                step,
                args=args.Composite(
                    latest=args.StandardSave(state),
                    best=args.StandardSave(best),
                    meta=args.JsonSave(_finite(meta)),
                ),
            )

    def restore(self, state: Any, best: Any) -> Saved | None:
        """The newest checkpoint, or None; the arguments say what it should look like.

        Raises:
          ValueError: if what is there is not a checkpoint of such a state.
        """
        if not self.directory.exists():
            return None
        args = self._ocp.args
        with self._manager() as manager:
            step = manager.latest_step()
            if step is None:
                return None
            abstract = jax.tree.map(self._ocp.utils.to_shape_dtype_struct, (state, best))
            with self._readable(
                step,
                "if the model, its optimizer or average= are not what they were, take another folder; "
                "else remove it to go on from the one before",
            ):
                saved = manager.restore(
                    step,
                    args=args.Composite(
                        latest=args.StandardRestore(abstract[0]),
                        best=args.StandardRestore(abstract[1]),
                        meta=args.JsonRestore(),
                    ),
                )
        return Saved(saved["latest"], saved["best"], _infinite(saved["meta"]))

    def best(self, params: Any) -> Any:
        """The best parameters of the newest checkpoint, or None; the argument says what they look like.

        Raises:
          ValueError: if what is there is not a checkpoint of such parameters.
        """
        if not self.directory.exists():
            return None
        args = self._ocp.args
        with self._manager() as manager:
            step = manager.latest_step()
            if step is None:
                return None
            # They may have been saved from more devices, or others, than there are here.
            here = SingleDeviceSharding(jax.devices()[0])
            abstract = jax.tree.map(
                lambda p: jax.ShapeDtypeStruct(p.shape, p.dtype, sharding=here), params
            )
            with self._readable(step, "take another run folder"):
                wanted = args.Composite(best=args.StandardRestore(abstract))
                return manager.restore(step, args=wanted)["best"]

    @contextmanager
    def _readable(self, step: int, advice: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ValueError(
                f"the checkpoint {self.directory / str(step)} cannot be restored ({reason}); "
                f"{advice}"
            ) from error


class Stop:
    """True once the process has been asked to stop."""

    def __init__(self) -> None:
        self.asked = False

    def __bool__(self) -> bool:
        return self.asked


@contextmanager
def stop_signals(enabled: bool) -> Iterator[Stop]:
    """Turns the first SIGINT or SIGTERM into a flag; a second SIGINT interrupts as usual."""
    stop = Stop()
    if not enabled or threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def handle(number: int, frame: Any) -> None:
        stop.asked = True
        print("stopping after this epoch; Ctrl-C again to stop now", file=sys.stderr)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _finite(meta: dict[str, Any]) -> dict[str, Any]:
    # JSON has no infinity, which is the best score of a run before its first, or without, validation.
    score = meta.get("best_score", 0.0)
    return meta if math.isfinite(score) else meta | {"best_score": str(score)}


def _infinite(meta: dict[str, Any]) -> dict[str, Any]:
    return meta | {"best_score": float(meta["best_score"])} if "best_score" in meta else meta
