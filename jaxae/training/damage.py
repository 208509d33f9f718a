"""What can go wrong with the files of a checkpoint, and what is said about it in one line."""

import functools
import json
import math
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jaxae.runtime import processes


class DamagedError(Exception):
    """A checkpoint that cannot be read as it was written."""


PASSING = (
    ("RESOURCE_EXHAUSTED", "out of memory"),
    ("PERMISSION_DENIED", "no permission"),
    ("Permission denied", "no permission"),
    ("Too many open files", "too many open files"),
    ("Input/output error", "the disk does not answer"),
    ("Stale file handle", "the disk does not answer"),
)
"""Faults of the machine that are not faults of a file, by a part of the message."""


@contextmanager
def reading() -> Iterator[None]:
    """Around the reading of a checkpoint: errors become a `DamagedError`, or a `ValueError` if they may pass.

    Examples:
      >>> with reading():
      ...     raise OSError("[Errno 5] Input/output error")
      Traceback (most recent call last):
      ValueError: a checkpoint cannot be read now: the disk does not answer
    """
    try:
        yield
    except Exception as error:  # orbax, tensorstore, json and zstd raise all kinds of errors
        if processes.is_gone(error):
            raise processes.GoneError(short_reason(error)) from error
        text = "RESOURCE_EXHAUSTED" if isinstance(error, MemoryError) else str(error)
        for sign, meaning in PASSING:
            if sign in text:
                raise ValueError(f"a checkpoint cannot be read now: {meaning}") from error
        raise DamagedError(short_reason(error)) from error


def short_reason(error: BaseException) -> str:
    """The message of an error in one line of bounded length; the system's own words, if it has any.

    Examples:
      >>> short_reason(OSError(28, "No space left on device", "a file"))
      'No space left on device'
    """
    text = str(error)
    for sign in ("No space left on device", "Permission denied", "Read-only file system"):
        if sign in text:
            return sign
    return (text.splitlines() or [type(error).__name__])[0][:150] or type(error).__name__


@functools.cache
def hide_orphans() -> None:
    """Hides errors of orbax's background threads that follow an error which was reported already.

    Where one read or write fails, others that orbax has begun find some time later, in threads of their
    own, that nothing waits for them any more.
    """
    before = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        if str(unraisable.exc_value) != "Event loop is closed":
            before(unraisable)

    sys.unraisablehook = hook


def checksum(description: dict[str, Any]) -> int:
    """A checksum of plain values."""
    return zlib.crc32(json.dumps(description, sort_keys=True).encode())


def to_json(meta: dict[str, Any]) -> str:
    """Plain values as text. JSON has no infinity, which is the best score before the first validation."""
    score = meta.get("best_score", 0.0)
    return json.dumps(meta if math.isfinite(score) else meta | {"best_score": str(score)})


def from_json(text: str) -> dict[str, Any]:
    """What `to_json` was given.

    Examples:
      >>> from_json(to_json({"best_score": math.inf}))
      {'best_score': inf}
    """
    meta = json.loads(text)
    return meta | {"best_score": float(meta["best_score"])} if "best_score" in meta else meta
