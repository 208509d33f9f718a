"""What is written of a checkpoint by our own hand: all arrays in one file, and what is known of them.

The handlers of orbax, of arrays and of JSON, cost a training that saves often twice as much.
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

WORDS, ABOUT = "words", "about.json"


class WordsHandler(ocp.AsyncCheckpointHandler):
    """Writes and reads `Words`; of several processes the first writes."""

    async def async_save(self, directory: Any, args: "Words") -> list[future.Future]:
        """Begins to write, once orbax has made the directory; the words may not change meanwhile."""

        async def write() -> None:
            self.save(directory, args)

        return [future.CommitFutureAwaitingContractedSignals(write(), name="words")]

    def save(self, directory: Any, args: "Words") -> None:
        """Writes, and returns when all is on the disk."""
        if jax.process_index():
            return
        words = np.asarray(args.words).astype("<u4", copy=False)
        about = json.dumps(args.about()).encode()
        for name, content in ((ABOUT, about), (WORDS, words.data)):
            with open(directory / name, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())

    def restore(self, directory: Any, args: "Words") -> tuple[np.ndarray, Any]:
        """The words, and what is known of them."""
        return np.fromfile(directory / WORDS, "<u4"), json.loads((directory / ABOUT).read_text())


@ocp.args.register_with_handler(WordsHandler, for_save=True, for_restore=True)
@dataclasses.dataclass
class Words(ocp.args.CheckpointArgs):
    """To write: words of 32 bits, `[words]`, and a function that says in plain values what they are."""

    words: Any = None
    about: Callable[[], dict[str, Any]] = dict
