"""What is kept on disk between runs: prepared data sets and compiled programs."""

import contextlib
import hashlib
import os
import platform
import tempfile
import warnings
import zlib
from pathlib import Path

import jax


def cache_dir() -> Path:
    """Where things are kept: `JAXAE_CACHE`, or `jaxae` in the user's cache folder.

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
    folder = Path(tempfile.gettempdir()) / f"jaxae-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    return folder


def keep_programs() -> None:
    """Turns on JAX's persistent compilation cache, unless it has been given a folder already.

    The second start of the same training then takes a second in place of three. Set
    `JAX_ENABLE_COMPILATION_CACHE=false` to do without.
    """
    if jax.config.values["jax_compilation_cache_dir"] is None:
        # A program for one processor may not run on another that shares the home folder.
        folder = cache_dir() / "programs" / hashlib.sha256(_processor().encode()).hexdigest()[:8]
        forget_halves(folder)
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.005)
        # JAX does not write them in one go: one that another process is writing is compiled here too.
        warnings.filterwarnings("ignore", "Error reading persistent compilation cache entry")


def forget_halves(folder: Path) -> None:
    """Removes programs of which a process that was killed has written a part.

    JAX neither reads such a file nor writes it again: it would warn, and compile, at every start.
    """
    looked = folder / ".looked"
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        # Those that were there a minute before the last look were looked at.
        since = looked.stat().st_mtime - 60 if looked.exists() else 0.0
        for path in folder.glob("*-cache"):
            if path.stat().st_mtime > since and not _is_whole(path.read_bytes()):
                path.unlink()
        looked.touch()


def _is_whole(content: bytes) -> bool:
    if not content.startswith(b"\x28\xb5\x2f\xfd"):
        reader = zlib.decompressobj()
    else:
        try:
            import zstandard  # which JAX uses where it is there
        except ImportError:
            return True
        reader = zstandard.ZstdDecompressor().decompressobj()
    try:
        reader.decompress(content)
    except Exception:  # each has errors of its own
        return False
    return reader.eof


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return "".join(sorted({line for line in lines if line.startswith(("model name", "flags"))}))
