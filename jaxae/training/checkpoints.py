"""Saving and restoring a run with orbax, so that a fault of machine, disk or user loses only what came after
the last save.
"""

import contextlib
import logging
import os
import sys
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

from jaxae.arguments import checked
from jaxae.runtime import processes, sharding
from jaxae.runtime.files import BusyError, exclusive
from jaxae.training.damage import (
    DamagedError,
    checksum,
    from_json,
    hide_orphans,
    reading,
    short_reason,
    to_json,
)
from jaxae.training.packing import (
    checksums,
    describe,
    differences,
    pack,
    restored_shapes,
    sharded_paths,
    unpack,
)

FORMAT = 5
"""Version of the checkpoint format; incremented on every incompatible change."""

EARLIER_FORMATS = (("latest", "1"), ("about", "2 or 3"), ("arrays/about.json", "4"))
"""A file or folder of a checkpoint by which an earlier format is recognised."""


class Saved(NamedTuple):
    """What was saved: the whole training state, the best parameters, and a dict of plain values."""

    state: Any
    best: Any
    meta: dict[str, Any]


class Checkpoints:
    """The checkpoints of a run: the full state, the best parameters, and metadata of the run.

    A checkpoint is written completely or not at all, and the previous one is kept. What is read is compared
    with checksums of what was written. A damaged checkpoint is renamed, with one line on standard
    error, and the previous one is used.

    Examples:
      >>> import tempfile, jax.numpy as jnp
      >>> checkpoints = Checkpoints(tempfile.mkdtemp())
      >>> checkpoints.save(3, {"w": jnp.ones(2)}, {"w": jnp.zeros(2)}, {"epoch": 1})
      >>> saved = checkpoints.restore({"w": jnp.zeros(2)}, {"w": jnp.zeros(2)})
      >>> saved.state["w"].tolist(), saved.meta["epoch"]
      ([1.0, 1.0], 1)
    """

    @checked
    def __init__(self, directory: str | Path):
        import orbax.checkpoint as ocp  # takes half a second, and not every run saves

        absl_logging.set_verbosity(absl_logging.FATAL)  # errors are reported by this module
        logging.getLogger("orbax").setLevel(logging.CRITICAL)
        hide_orphans()
        from jaxae.training import handler

        self._ocp, self._handler = ocp, handler
        self.directory = Path(directory).absolute()

    def save(self, step: int, state: Any, best: Any, meta: dict[str, Any]) -> None:
        """Saves a state after `step` updates, and returns once it is written."""
        with self.writer() as save:
            save(step, state, best, meta)

    @contextmanager
    def writer(self) -> Iterator[Callable[[int, Any, Any, dict[str, Any]], None]]:
        """A function like `save` that writes in the background; when the context ends, all is written.

        The arrays may be donated once the function has returned. No other process can write into the folder
        meanwhile.

        Raises:
          ValueError: if another process is writing into the folder, or it cannot be written.
        """
        step, manager = 0, None
        with contextlib.ExitStack() as stack:
            with self._written(step):
                # Of several processes that train together, the first holds the lock.
                hold = exclusive if processes.is_first() else contextlib.nullcontext
                processes.raise_together(lambda: stack.enter_context(hold(self.directory)))

            def finish() -> None:
                if manager is not None:
                    manager.wait_until_finished()

            def save(at: int, state: Any, best: Any, meta: dict[str, Any]) -> None:
                nonlocal step, manager
                with self._written(step):
                    finish()  # waits for the previous save, which may have failed
                step = at
                # "best" comes first in the order of names, so that it can be read alone.
                trees = _arrays({"best": best, "state": state})
                with self._written(step):
                    items = self._items(trees, meta)
                    # If every process has all arrays, the first writes, and does not wait for the others.
                    alone = not sharded_paths(trees)
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
                    stack.pop_all()  # do not wait for another process, which may be gone
                    raise
                with contextlib.suppress(Exception):  # the first error is the one to report
                    finish()
                raise
            with self._written(step):
                finish()

    def restore(self, state: Any, best: Any) -> Saved | None:
        """The newest intact checkpoint, or None; the arguments have its structure and shapes.

        Arrays get the shardings of the arguments, whatever devices they were saved from.

        Raises:
          ValueError: if the checkpoint is of another model, optimizer or version, and what differs; or if
            there are checkpoints and none is intact.
        """
        state, best = _arrays((state, best))
        found = self._newest({"best": best, "state": state}, set_aside=True)
        return None if found is None else Saved(found[0]["state"], found[0]["best"], found[1])

    def best(self, params: Any) -> Any:
        """The best parameters of the newest checkpoint, or None; the argument has their structure.

        Raises:
          ValueError: as by `restore`.
        """
        # They may have been saved from other devices, or from more of them.
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
            async_options=self._ocp.AsyncOptions(
                timeout_secs=self._handler.timeout(),
                # Else parts of a save wait for each other until a time of day, see `timeout`.
                create_directories_asynchronously=False,
            ),
            # Only a writer removes incomplete checkpoints that a killed process has left.
            cleanup_tmp_directories=writes,
            create=not alone,
            multiprocessing_options=several,
        )
        handlers = {
            "arrays": self._handler.WordsHandler(),
            "best_sharded": self._ocp.StandardCheckpointHandler(),
            "state_sharded": self._ocp.StandardCheckpointHandler(),
        }
        return self._ocp.CheckpointManager(self.directory, options=options, item_handlers=handlers)

    def _items(self, trees: dict[str, Any], meta: dict[str, Any]) -> dict[str, Any]:
        args = self._ocp.args
        sharded = sharded_paths(trees)
        words, apart = pack(trees, sharded)
        body: dict[str, Any] = {
            "format": FORMAT,
            "arrays": describe(trees),
            "sharded": sharded,
            "words": words.size,
            # Converted to text now: the history grows while the checkpoint is being written.
            "meta": to_json(meta),
        }
        # One checksum of all words: one for each array would take half a second to compile.
        sums = checksums([words, *apart.values()])
        items = {name: args.StandardSave(part) for name, part in _by_tree(apart, trees).items()}

        def metadata() -> dict[str, Any]:
            # Called in the background, since it waits for the device.
            described = body | {"checksums": np.asarray(sums).tolist()}
            return described | {"checksum": checksum(described)}

        # Every device has all words.
        items["arrays"] = self._handler.Words(words.addressable_data(0), metadata)
        return items

    def _newest(
        self, wanted: dict[str, Any], *, set_aside: bool
    ) -> tuple[dict[str, Any], dict[str, Any]] | None:
        # Processes may not see the same files at the same time.
        if not processes.max_over_processes(float(self.directory.exists()))[0]:
            return None
        damaged: list[str] = []
        with self._manager() as manager:
            for step in sorted(manager.all_steps(), reverse=True):
                found, problem = None, "according to another process"
                try:
                    found = self._read(manager, step, wanted)
                except DamagedError as error:
                    problem = str(error)
                # All processes use the same checkpoint, and compare checksums only if all have read it.
                if not any(processes.max_over_processes(float(found is None))):
                    assert found is not None
                    words, apart, written, meta = found
                    if np.asarray(checksums([words, *apart.values()])).tolist() == written:
                        self._report(damaged, step, set_aside=set_aside)
                        return unpack(words, apart, wanted), meta
                    problem = "its arrays are not what was written"
                damaged.append(f"{step} ({problem})")
        if damaged:
            raise ValueError(
                f"no checkpoint in {self.directory} can be read: {', '.join(damaged)}; remove that "
                "folder to start again"
            )
        return None

    def _report(self, damaged: list[str], step: int, *, set_aside: bool) -> None:
        if not damaged or not processes.is_first():
            return
        renamed = set_aside and self._set_aside([name.split()[0] for name in damaged])
        print(
            f"damaged{' and set aside' if renamed else ''}: checkpoint {', '.join(damaged)} of "
            f"{self.directory}; continuing from step {step}",
            file=sys.stderr,
        )

    def _set_aside(self, steps: list[str]) -> bool:
        # Nothing is renamed in a folder that is read-only, or that another process writes into.
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
        """The words, the sharded arrays, their checksums as written, and the metadata of the run."""
        args = self._ocp.args
        for item, version in EARLIER_FORMATS:
            if (self.directory / str(step) / item).exists():
                raise ValueError(self._other_version(version))
        with reading():
            arrays = args.Composite(arrays=self._handler.Words())
            read, metadata = manager.restore(step, args=arrays)["arrays"]
            if not isinstance(metadata, dict):
                raise ValueError("its metadata are missing")
            if metadata.pop("checksum", None) != checksum(metadata):
                raise ValueError("its metadata are damaged")
            version = metadata["format"]
        if version != FORMAT:
            raise ValueError(self._other_version(str(version)))
        wanted_paths = tuple(f"['{name}']" for name in wanted)
        with reading():
            there = {k: v for k, v in metadata["arrays"].items() if k.startswith(wanted_paths)}
            written = [int(one) for one in metadata["checksums"]]
            sums = dict(zip(["words", *metadata["sharded"]], written, strict=True))
            meta = from_json(metadata["meta"])
        if different := differences(there, describe(wanted)):
            raise ValueError(
                f"the checkpoints in {self.directory} are of another model or optimizer: "
                f"{'; '.join(different)}; use another folder"
            )
        with reading():
            where, shapes = restored_shapes(wanted, metadata["sharded"])
            if len(read) != metadata["words"]:
                raise ValueError("a part of its arrays is missing")
            parts = _by_tree(shapes, wanted)
            items = {name: args.StandardRestore(part) for name, part in parts.items()}
            more = manager.restore(step, args=args.Composite(**items)) if items else {}
            every = {path: array for name in parts for path, array in more[name].items()}
            apart = {path: every[path] for path in shapes}
            words = sharding.put(read, where)
        return words, apart, [sums[name] for name in ("words", *apart)], meta

    def _other_version(self, version: str) -> str:
        return (
            f"the checkpoints in {self.directory} are of another version of jaxae (format {version}, "
            f"and this one reads {FORMAT}); use another folder"
        )

    @contextmanager
    def _written(self, step: int) -> Iterator[None]:
        try:
            yield
        except BusyError:
            raise
        except Exception as error:
            if processes.is_gone(error):
                raise processes.GoneError(short_reason(error)) from error
            reason = short_reason(error)
            raise ValueError(
                f"the state after step {step} cannot be saved in {self.directory} ({reason}); earlier "
                "checkpoints are intact"
            ) from error


def _arrays(tree: Any) -> Any:
    return jax.tree.map(lambda x: x if isinstance(x, jax.Array) else jnp.asarray(x), tree)


def _by_tree(sharded: dict[str, Any], trees: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The sharded arrays of each tree by their paths, so that one tree can be read alone."""
    parts = {
        f"{name}_sharded": {k: v for k, v in sharded.items() if k.startswith(f"['{name}']")}
        for name in trees
    }
    return {name: part for name, part in parts.items() if part}
