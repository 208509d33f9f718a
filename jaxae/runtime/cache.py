"""The cache on disk: prepared data sets and compiled programs, kept between runs."""

import atexit
import contextlib
import functools
import getpass
import hashlib
import os
import platform
import shutil
import stat
import tempfile
import warnings
import zlib
from pathlib import Path

import jax


def cache_dir() -> Path:
    """The cache folder: `JAXAE_CACHE`, or `jaxae` in the user's cache folder; temporary if not writable.

    Examples:
      >>> cache_dir().is_absolute()
      True
    """
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(os.environ.get("JAXAE_CACHE") or Path(base) / "jaxae").expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    return _private_temporary()


def _private_temporary() -> Path:
    """A folder in the temporary directory, of the same name in each run, that is ours alone.

    Programs are loaded from it, so another user must not have made it, nor be able to write into it: then
    a new one is made, for this process.
    """
    user = os.getuid() if hasattr(os, "getuid") else getpass.getuser()
    folder = Path(tempfile.gettempdir()) / f"jaxae-{user}"
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        ours = not hasattr(os, "getuid") or found.st_uid == os.getuid()
        written_by_others = bool(found.st_mode & 0o022)
        if stat.S_ISDIR(found.st_mode) and ours and not written_by_others:
            folder.chmod(0o700)
            return folder
    return _once()


@functools.cache
def _once() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="jaxae-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def enable_compilation_cache() -> None:
    """Turns on JAX's persistent compilation cache, unless it has been given a folder already.

    The second start of the same training then takes one second instead of three. Set
    `JAX_ENABLE_COMPILATION_CACHE=false` to turn it off.
    """
    if jax.config.values["jax_compilation_cache_dir"] is None:
        # A program compiled for one processor may not run on another that shares the home folder.
        folder = cache_dir() / "programs" / hashlib.sha256(_processor().encode()).hexdigest()[:8]
        remove_incomplete_programs(folder)
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.005)
        # JAX does not write atomically: a program that another process is writing is compiled here too.
        warnings.filterwarnings("ignore", "Error reading persistent compilation cache entry")


def remove_incomplete_programs(folder: Path) -> None:
    """Removes programs that a killed process has not written completely.

    JAX can neither read such a file nor does it write it again: it would warn, and compile, at every start.
    """
    checked = folder / ".checked"
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        # Files that are older than the last check, by a minute, were checked then.
        since = checked.stat().st_mtime - 60 if checked.exists() else 0.0
        for path in folder.glob("*-cache"):
            if path.stat().st_mtime > since and not _is_complete(path.read_bytes()):
                path.unlink()
        checked.touch()


def _is_complete(content: bytes) -> bool:
    if not content.startswith(b"\x28\xb5\x2f\xfd"):
        reader = zlib.decompressobj()
    else:
        try:
            import zstandard  # JAX uses it if it is installed
        except ImportError:
            return True
        reader = zstandard.ZstdDecompressor().decompressobj()
    try:
        reader.decompress(content)
    except Exception:  # each library has errors of its own
        return False
    return reader.eof


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return "".join(sorted({line for line in lines if line.startswith(("model name", "flags"))}))
