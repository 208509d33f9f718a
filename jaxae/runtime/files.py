"""Files that are written atomically, and folders that one process at a time writes into."""

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # on Windows, where folders are not locked
    fcntl = None  # type: ignore[assignment]


ABANDONED_SECONDS = 3600
"""The age at which a temporary file of a process that is gone is removed."""


class BusyError(ValueError):
    """Another process is writing into a folder."""


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A temporary path to write to, which is renamed to `path` if all goes well, and else removed.

    Raises:
      OSError: if the file cannot be written; an existing file is then unchanged.

    Examples:
      >>> import tempfile
      >>> path = Path(tempfile.mkdtemp()) / "a.txt"
      >>> with atomic_write(path) as partial:
      ...     partial.write_text("all of it"), path.exists()
      (9, False)
      >>> path.read_text()
      'all of it'
    """
    _remove_abandoned(path)
    partial = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield partial
        with open(partial, "rb") as file:
            os.fsync(
                file.fileno()
            )  # else the name may survive a power failure, and the content not
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _remove_abandoned(path: Path) -> None:
    """Removes what killed processes have left of earlier writes of the same file.

    A process of this machine that no longer runs writes no more. One of another machine on a shared disk
    may, so that a young file stays.
    """
    pattern = re.compile(rf"\.(\d+)\.{re.escape(path.name)}")
    with contextlib.suppress(OSError):
        for entry in os.scandir(path.parent):
            found = pattern.fullmatch(entry.name)
            if found is None or not entry.is_file(follow_symlinks=False):
                continue
            old = time.time() - entry.stat(follow_symlinks=False).st_mtime > ABANDONED_SECONDS
            if old and not _is_running(int(found[1])):
                os.unlink(entry.path)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # of another user, or not to be known on this system
        return True
    return True


@contextmanager
def exclusive(directory: Path) -> Iterator[None]:
    """Locks a folder, which is created if necessary, against other processes that call this function.

    The system releases the lock when the process ends, however it ends.

    Raises:
      BusyError: if another process has locked it.
      OSError: if it cannot be created or written into.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / ".lock", "w") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BusyError(
                    f"another process is at work in {directory}; wait for it, or use another folder"
                ) from None
            except OSError:  # the file system has no locks
                pass
        yield


def is_locked(directory: Path) -> bool:
    """Whether a process has locked a folder with :func:`exclusive`. Nothing is written.

    Examples:
      >>> import tempfile
      >>> folder = Path(tempfile.mkdtemp())
      >>> with exclusive(folder):
      ...     is_locked(folder)
      True
      >>> is_locked(folder)
      False
    """
    if fcntl is None:
        return False
    try:
        with open(directory / ".lock") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # there is no lock, or the file system has none
        pass
    return False


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A temporary folder to write into, which becomes the folder `path` if all goes well.

    A folder `path` that exists is replaced as a whole. If something goes wrong, the temporary folder is
    removed, and `path` is unchanged.

    Raises:
      OSError: if the folder cannot be written.

    Examples:
      >>> import tempfile
      >>> path = Path(tempfile.mkdtemp()) / "a"
      >>> with atomic_folder(path) as partial:
      ...     (partial / "b.txt").write_text("all of it"), path.exists()
      (9, False)
      >>> [file.name for file in path.iterdir()]
      ['b.txt']
    """
    path = path.resolve()  # the name of "." is empty, and a link stays where it is
    partial, old = (path.with_name(f".{os.getpid()}.{kind}.{path.name}") for kind in ("new", "old"))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial.mkdir()
    try:
        yield partial
        if path.exists():
            os.replace(path, old)
        try:
            os.replace(partial, path)
        except OSError:
            if old.exists():
                os.replace(old, path)
            raise
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
