"""What is kept on disk between runs: prepared data sets and compiled programs."""

import hashlib
import os
import platform
import tempfile
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
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.005)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return "".join(sorted({line for line in lines if line.startswith(("model name", "flags"))}))
