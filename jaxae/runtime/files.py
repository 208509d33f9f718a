"""Files that are written whole or not at all, and folders that one process at a time writes into."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where a folder is not locked
    fcntl = None  # type: ignore[assignment]


class BusyError(ValueError):
    """Another process writes into a folder."""


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A place to write a file at, which then appears under its name at once, or not at all.

    Raises:
      OSError: if it cannot be written; a file that was there before is as it was.

    Examples:
      >>> import tempfile
      >>> path = Path(tempfile.mkdtemp()) / "a.txt"
      >>> with whole(path) as partial:
      ...     partial.write_text("all of it"), path.exists()
      (9, False)
      >>> path.read_text()
      'all of it'
    """
    partial = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield partial
        with open(partial, "rb") as file:
            os.fsync(file.fileno())  # or a name may survive a power cut, and what it names not
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def exclusive(directory: Path) -> Iterator[None]:
    """Holds a folder, made if need be, so that no other process holds it at the same time.

    The system lets go of it when the process ends, however it ends.

    Raises:
      BusyError: if another process holds it.
      OSError: if it cannot be made or written into.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / ".lock", "w") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BusyError(
                    f"another process is at work in {directory}; wait for it, or take another folder"
                ) from None
            except OSError:  # a file system without locks
                pass
        yield
