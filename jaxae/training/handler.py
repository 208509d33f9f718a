"""How arrays and metadata are written to a checkpoint: all arrays in one file, and the metadata as JSON.

With the handlers of orbax, for arrays and for JSON, frequent saves take twice as long.
"""

import dataclasses
import json
import os
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint import future

WORDS, METADATA = "words", "metadata.json"


PATIENCE = 200 * 365 * 24 * 3600
"""Seconds: longer than any clock is off by, and as long as a thread can wait."""


def timeout() -> int:
    """The seconds that orbax waits for a part of a save before it gives up.

    It compares times of day, so that a clock that is set while a save is written would end the run. One
    process waits for nobody but its own disk; of several, one may be gone.
    """
    return PATIENCE if jax.process_count() == 1 else 1200


class WordsHandler(ocp.AsyncCheckpointHandler):
    """Writes and reads `Words`. Of several processes, the first writes."""

    async def async_save(self, directory: Any, args: "Words") -> list[future.Future]:
        """Begins to write once orbax has made the directory; the words may not change meanwhile."""

        async def write() -> None:
            self.save(directory, args)

        return [
            future.CommitFutureAwaitingContractedSignals(
                write(), name="words", timeout_secs=timeout()
            )
        ]

    def save(self, directory: Any, args: "Words") -> None:
        """Writes, and returns when everything is on the disk."""
        if jax.process_index():
            return
        words = np.asarray(args.words).astype("<u4", copy=False)
        metadata = json.dumps(args.metadata()).encode()
        for name, content in ((METADATA, metadata), (WORDS, words.data)):
            with open(directory / name, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())

    def restore(self, directory: Any, args: "Words") -> tuple[np.ndarray, Any]:
        """The words and the metadata."""
        return np.fromfile(directory / WORDS, "<u4"), json.loads((directory / METADATA).read_text())


@ocp.args.register_with_handler(WordsHandler, for_save=True, for_restore=True)
@dataclasses.dataclass
class Words(ocp.args.CheckpointArgs):
    """What is written: 32-bit words, `[words]`, and a function that gives the metadata as plain values."""

    words: Any = None
    metadata: Callable[[], dict[str, Any]] = dict
