"""Saving and restoring a run with orbax, so that no fault of machine, disk or user loses more than what
came after the last save; and stopping it at a point where it can be saved.
"""

import contextlib
import functools
import json
import logging
import math
import os
import signal
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging as absl_logging
from jax.sharding import SingleDeviceSharding
from jaxtyping import Array

from jaxae.runtime import processes, sharding
from jaxae.runtime.files import BusyError, exclusive
from jaxae.training.packing import apart_of, checksums, describe, packed, places, unpacked

FORMAT = 4
"""Of what is written; a number more for each change that makes older checkpoints unreadable."""


class Saved(NamedTuple):
    """What was saved: the whole training state, the best parameters, and a dict of plain values."""

    state: Any
    best: Any
    meta: dict[str, Any]


class Checkpoints:
    """The checkpoints of a run: the full state, the best parameters, and what is known of the run.

    A checkpoint is written whole or not at all, and the one before it is kept. What is read is compared
    with checksums of what was written: a checkpoint that is damaged is set aside, with one line on
    standard error, and the one before it is taken.

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

        absl_logging.set_verbosity(absl_logging.FATAL)  # what fails, we say
        logging.getLogger("orbax").setLevel(logging.CRITICAL)
        _hide_orphans()
        from jaxae.training import handler

        self._ocp, self._handler = ocp, handler
        self.directory = Path(directory).absolute()

    def save(self, step: int, state: Any, best: Any, meta: dict[str, Any]) -> None:
        """Saves a state as it was after `step` updates, and returns once it is written."""
        with self.writer() as save:
            save(step, state, best, meta)

    @contextmanager
    def writer(self) -> Iterator[Callable[[int, Any, Any, dict[str, Any]], None]]:
        """A function like `save` that returns before all is written; at the end everything is.

        The arrays may be donated once it has returned. Nobody else can write into the folder meanwhile.

        Raises:
          ValueError: if another process is writing into the folder, or it cannot be written.
        """
        step, manager = 0, None
        with contextlib.ExitStack() as stack:
            with self._written(step):
                # Of several processes that train together the first holds it.
                hold = exclusive if processes.is_first() else contextlib.nullcontext
                processes.raise_together(lambda: stack.enter_context(hold(self.directory)))

            def finish() -> None:
                if manager is not None:
                    manager.wait_until_finished()

            def save(at: int, state: Any, best: Any, meta: dict[str, Any]) -> None:
                nonlocal step, manager
                with self._written(step):
                    finish()  # the save before this one, which may have failed
                step = at
                # The best parameters are first, by their name, and can be read alone.
                trees = _arrays({"best": best, "state": state})
                with self._written(step):
                    items = self._items(trees, meta)
                    # What all processes have, the first writes, and nobody waits for the others.
                    alone = not apart_of(trees)
                    if alone and not processes.is_first():
                        return
                    if manager is None:
                        manager = stack.enter_context(self._manager(writes=True, alone=alone))
                    if step not in manager.all_steps():
                        manager.save(step, args=self._ocp.args.Composite(**items))

            try:
                yield save
            except BaseException as error:
                if not isinstance(error, KeyboardInterrupt) and jax.process_count() > 1:
                    stack.pop_all()  # another process may be gone, and would be waited for
                    raise
                with contextlib.suppress(Exception):  # what went wrong first is what is said
                    finish()
                raise
            with self._written(step):
                finish()

    def restore(self, state: Any, best: Any) -> Saved | None:
        """The newest sound checkpoint, or None; the arguments say what it should look like.

        Arrays come back sharded as the arguments are, on however many devices they were before.

        Raises:
          ValueError: saying what differs, if it is of another model, optimizer or version; or if none
            is sound.
        """
        state, best = _arrays((state, best))
        found = self._newest({"best": best, "state": state}, set_aside=True)
        return None if found is None else Saved(found[0]["state"], found[0]["best"], found[1])

    def best(self, params: Any) -> Any:
        """The best parameters of the newest checkpoint, or None; the argument says what they look like.

        Raises:
          ValueError: as by `restore`.
        """
        # They may have been saved from more devices, or others, than there are here.
        here = SingleDeviceSharding(jax.local_devices()[0])
        wanted = jax.tree.map(
            lambda p: jax.ShapeDtypeStruct(p.shape, p.dtype, sharding=here), params
        )
        found = self._newest({"best": wanted}, set_aside=False)
        return None if found is None else found[0]["best"]

    def _manager(self, *, writes: bool = False, alone: bool = False) -> Any:
        several = self._ocp.options.MultiprocessingOptions()
        if alone and jax.process_count() > 1:
            several = self._ocp.options.MultiprocessingOptions(
                active_processes={0}, barrier_sync_key_prefix="alone"
            )
        options = self._ocp.CheckpointManagerOptions(
            max_to_keep=2,
            enable_async_checkpointing=writes,
            # What a process that was killed has left half-written; only a writer removes it.
            cleanup_tmp_directories=writes,
            create=not alone,
            multiprocessing_options=several,
        )
        handlers = {
            "arrays": self._handler.WordsHandler(),
            "best_apart": self._ocp.StandardCheckpointHandler(),
            "state_apart": self._ocp.StandardCheckpointHandler(),
        }
        return self._ocp.CheckpointManager(self.directory, options=options, item_handlers=handlers)

    def _items(self, trees: dict[str, Any], meta: dict[str, Any]) -> dict[str, Any]:
        args = self._ocp.args
        apart = apart_of(trees)
        words, divided = packed(trees, apart)
        body: dict[str, Any] = {
            "format": FORMAT,
            "arrays": describe(trees),
            "apart": apart,
            "words": words.size,
            # As text, at once: a history grows while this is written.
            "meta": json.dumps(_finite(meta)),
        }
        # Of the words as a whole: a sum for each array would take half a second to compile.
        sums = checksums([words, *divided.values()])
        items = {name: args.StandardSave(part) for name, part in _by_tree(divided, trees).items()}

        def about() -> dict[str, Any]:
            # Waits for the device, and so is called in the background.
            told = body | {"checksums": np.asarray(sums).tolist()}
            return told | {"checksum": _checksum(told)}

        # Every device has all words.
        items["arrays"] = self._handler.Words(words.addressable_data(0), about)
        return items

    def _newest(
        self, wanted: dict[str, Any], *, set_aside: bool
    ) -> tuple[dict[str, Any], dict[str, Any]] | None:
        # What one process sees, another may not yet, or no longer.
        if not processes.max_over_processes(float(self.directory.exists()))[0]:
            return None
        damaged: list[str] = []
        with self._manager() as manager:
            for step in sorted(manager.all_steps(), reverse=True):
                found, problem = None, "as another process says"
                try:
                    found = self._read(manager, step, wanted)
                except _DamagedError as error:
                    problem = str(error)
                # All processes take the same one; and only if all have read it they compare it.
                if not any(processes.max_over_processes(float(found is None))):
                    assert found is not None
                    words, apart, written, meta = found
                    if np.asarray(checksums([words, *apart.values()])).tolist() == written:
                        self._tell(damaged, step, set_aside=set_aside)
                        return unpacked(words, apart, wanted), meta
                    problem = "its arrays are not what was written"
                damaged.append(f"{step} ({problem})")
        if damaged:
            raise ValueError(
                f"no checkpoint in {self.directory} can be read: {', '.join(damaged)}; remove that "
                "folder to begin anew"
            )
        return None

    def _tell(self, damaged: list[str], step: int, *, set_aside: bool) -> None:
        if not damaged or not processes.is_first():
            return
        aside = set_aside and self._set_aside([name.split()[0] for name in damaged])
        print(
            f"damaged{' and set aside' if aside else ''}: checkpoint {', '.join(damaged)} of "
            f"{self.directory}; going on from step {step}",
            file=sys.stderr,
        )

    def _set_aside(self, steps: list[str]) -> bool:
        # A folder that is read only can be read, and so can one that another process writes into.
        with contextlib.suppress(OSError, BusyError), exclusive(self.directory):
            for step in steps:
                aside = self.directory / f"damaged-{step}"
                while aside.exists():
                    aside = aside.with_name(aside.name + "-again")
                os.replace(self.directory / step, aside)
            return True
        return False

    def _read(
        self, manager: Any, step: int, wanted: dict[str, Any]
    ) -> tuple[Array, dict[str, Array], list[int], dict[str, Any]]:
        """The words, the arrays that are apart, what their checksums were, and what else is known."""
        args = self._ocp.args
        for item, version in (("latest", "1"), ("about", "2 or 3")):
            if (self.directory / str(step) / item).exists():
                raise ValueError(self._of_version(version))
        with _damage():
            arrays = args.Composite(arrays=self._handler.Words())
            read, about = manager.restore(step, args=arrays)["arrays"]
            if not isinstance(about, dict):
                raise ValueError("what is known of it is missing")
            checksum = about.pop("checksum", None)
            if checksum != _checksum(about):
                raise ValueError("its description is not what was written")
            version = about["format"]
        if version != FORMAT:
            raise ValueError(self._of_version(str(version)))
        wanted_paths = tuple(f"['{name}']" for name in wanted)
        with _damage():
            there = {k: v for k, v in about["arrays"].items() if k.startswith(wanted_paths)}
            written = [int(one) for one in about["checksums"]]
            sums = dict(zip(["words", *about["apart"]], written, strict=True))
            meta = _infinite(json.loads(about["meta"]))
        if differences := _differences(there, describe(wanted)):
            raise ValueError(
                f"the checkpoints in {self.directory} are of another model or optimizer: "
                f"{'; '.join(differences)}; take another folder"
            )
        with _damage():
            where, divided = places(wanted, about["apart"])
            if len(read) != about["words"]:
                raise ValueError("a part of its arrays is missing")
            parts = _by_tree(divided, wanted)
            items = {name: args.StandardRestore(part) for name, part in parts.items()}
            more = manager.restore(step, args=args.Composite(**items)) if items else {}
            every = {path: array for name in parts for path, array in more[name].items()}
            apart = {path: every[path] for path in divided}
            words = sharding.put(read, where)
        return words, apart, [sums[name] for name in ("words", *apart)], meta

    def _of_version(self, version: str) -> str:
        return (
            f"the checkpoints in {self.directory} are of another version of jaxae (format {version}, "
            f"and this one reads {FORMAT}); take another folder"
        )

    @contextmanager
    def _written(self, step: int) -> Iterator[None]:
        try:
            yield
        except BusyError:
            raise
        except Exception as error:
            if processes.is_gone(error):
                raise processes.GoneError(_reason(error)) from error
            reason = _reason(error)
            raise ValueError(
                f"the state after step {step} cannot be saved in {self.directory} ({reason}); what "
                "was saved before is intact"
            ) from error


def _arrays(tree: Any) -> Any:
    return jax.tree.map(lambda x: x if isinstance(x, jax.Array) else jnp.asarray(x), tree)


def _by_tree(divided: dict[str, Any], trees: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Arrays by their paths, those of each tree by themselves, so that one tree can be read alone."""
    parts = {
        f"{name}_apart": {k: v for k, v in divided.items() if k.startswith(f"['{name}']")}
        for name in trees
    }
    return {name: part for name, part in parts.items() if part}


class _DamagedError(Exception):
    """A checkpoint that is not what was written."""


@functools.cache
def _hide_orphans() -> None:
    """Where one read or write fails, others that orbax has begun find, some time later and in a thread of
    their own, that nobody waits for them any more; that is not for the user to read.
    """
    before = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        if str(unraisable.exc_value) != "Event loop is closed":
            before(unraisable)

    sys.unraisablehook = hook


PASSING = (
    ("RESOURCE_EXHAUSTED", "out of memory"),
    ("PERMISSION_DENIED", "no permission"),
    ("Permission denied", "no permission"),
    ("Too many open files", "too many open files"),
    ("Input/output error", "the disk does not answer"),
    ("Stale file handle", "the disk does not answer"),
)
"""What is wrong with the machine, and not with a file."""


@contextmanager
def _damage() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # orbax, tensorstore, json, zstd: each raises what it likes
        if processes.is_gone(error):
            raise processes.GoneError(_reason(error)) from error
        text = "RESOURCE_EXHAUSTED" if isinstance(error, MemoryError) else str(error)
        for sign, meaning in PASSING:
            if sign in text:
                raise ValueError(f"a checkpoint cannot be read now: {meaning}") from error
        raise _DamagedError(_reason(error)) from error


def _reason(error: BaseException) -> str:
    """What an error says, in one line of bounded length, with what the system says first."""
    text = str(error)
    for sign in ("No space left on device", "Permission denied", "Read-only file system"):
        if sign in text:
            return sign
    return (text.splitlines() or [type(error).__name__])[0][:150] or type(error).__name__


def _checksum(body: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(body, sort_keys=True).encode())


def _differences(before: dict[str, str], now: dict[str, str]) -> list[str]:
    names = [*before, *(name for name in now if name not in before)]
    found = [
        f"{name} was {before.get(name, 'not there')} and is {now.get(name, 'not there')}"
        for name in names
        if before.get(name) != now.get(name)
    ]
    return found if len(found) <= 3 else [*found[:3], f"and {len(found) - 3} more"]


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
        print("stopping and saving; Ctrl-C again to stop now", file=sys.stderr)
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
