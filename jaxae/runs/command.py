"""Commands: flags, errors in one line, interruption, and a report of the results."""

import atexit
import contextlib
import dataclasses
import io
import os
import re
import shlex
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import jax
import tyro
from rich.console import Console

from jaxae.runs import given, usage
from jaxae.runs.folder import Run
from jaxae.runtime import devices, processes
from jaxae.runtime import supervisor as watched
from jaxae.runtime.files import exclusive
from jaxae.training.loop import Interrupted

ConfigT = TypeVar("ConfigT", bound=Any)

_TEMPORARY = contextlib.ExitStack()
atexit.register(_TEMPORARY.close)


def command(
    main: Callable[[ConfigT], Any],
    config: type[ConfigT],
    doc: str | None,
    program: str | None = None,
) -> None:
    """Runs an experiment or a subcommand of `jaxae` from the command line.

    The exit code is 0 on success; 2, with one line on standard error, for an error that the user can
    correct; and 130 after an interruption.

    Args:
      main: the experiment, a function of its flags.
      config: the dataclass of its flags. If it has a field `distributed` and that is true, the process
        joins the others first.
      doc: the description that `--help` prints.
      program: the name of the command, in `--help`; how Python was started when None.
    """
    together = False
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN and _in_main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a console may lack letters of a name
            stream.reconfigure(errors="replace")
    try:
        parsed = _parse(config, doc, program)
        together = getattr(parsed, "distributed", False)
        if together:
            watched.watch()
            processes.connect()
        devices.check_available()
        with _announced(getattr(parsed, "announcement", "reading the data and compiling")):
            main(parsed)
    except BrokenPipeError:  # whoever reads the output, such as `head`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(128 + signal.SIGPIPE) from None
    except (
        ValueError,
        OSError,
        MemoryError,
        jax.errors.JaxRuntimeError,
        processes.GoneError,
    ) as error:
        message = " ".join(str(error).split())
        if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in message:
            smaller = {"batch_size", "hidden", "image_size"} & {
                field.name for field in dataclasses.fields(config)
            }
            flags = " or ".join(f"--{name.replace('_', '-')}" for name in sorted(smaller))
            message = f"out of memory{f'; try a smaller {flags}' if flags else ''}"
        elif isinstance(error, jax.errors.JaxRuntimeError) and not together:
            raise
        elif together and processes.is_gone(error):
            message = watched.gone(message[:120])
        if together:
            watched.last_words(f"error: {message}")
            # At a normal exit JAX would wait for the other processes, which notice this one's end
            # and stop too. The first process is the one they ask, so it ends a little later.
            if processes.is_first():
                time.sleep(3)
            _TEMPORARY.close()
            os._exit(2)
        print(f"error: {message}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt as stop:
        print(f"interrupted: {stop}" if str(stop) else "interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    except Exception:
        if not together:
            raise
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(watched.BROKEN)  # not a normal exit, for the same reason


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _parse(config: type[ConfigT], doc: str | None, program: str | None) -> ConfigT:
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(usage.help_text(config, doc, program=program))
        raise SystemExit(0)
    given.check_names(config, sys.argv[1:])
    arguments = given.arrange(config, sys.argv[1:], program)
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            parsed = tyro.cli(config, args=arguments, config=(tyro.conf.AvoidSubcommands,))
    except SystemExit as stop:
        if not stop.code:
            raise
        # tyro prints a box, in ASCII where the console has nothing else; its first lines say what is wrong.
        border = r"[│╭╮╰╯─]+|^[|+]|[|+]$|-{3,}"
        lines = [re.sub(border, " ", line).strip() for line in errors.getvalue().splitlines()]
        kept = []
        for line in lines[1:]:
            if not line:
                break
            kept.append(line)
        raise ValueError(given.explain(config, " ".join(kept) or " ".join(lines))) from None
    given.check_values(parsed)
    return parsed


@contextlib.contextmanager
def _announced(text: str) -> Iterator[None]:
    """A context that says what is going on if it takes longer than half a second."""

    def say() -> None:
        if processes.is_first():
            print(f"{text} ...", file=sys.stderr, flush=True)

    timer = threading.Timer(0.5, say)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextlib.contextmanager
def resumable(run: Run) -> Iterator[None]:
    """A context in which only this process uses the run folder, and an interruption can be resumed.

    Raises:
      ValueError: if another process uses the folder.
      Interrupted: after SIGINT or SIGTERM; the message says how to resume the run.
    """

    def stop_now(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    main_thread = _in_main_thread()
    before = signal.signal(signal.SIGTERM, stop_now) if main_thread else None
    try:
        with contextlib.ExitStack() as stack:
            processes.raise_together(lambda: stack.enter_context(exclusive(run.directory)))
            yield
    except KeyboardInterrupt as stop:
        done = str(stop) if isinstance(stop, Interrupted) else "what was saved is kept"
        where = shlex.quote(str(run.shared))
        raise Interrupted(f"{done}; to resume, repeat the command with --run-dir {where}") from None
    finally:
        if main_thread:
            signal.signal(signal.SIGTERM, before)


def temporary_directory() -> str:
    """A new folder that is removed when the process ends."""
    return _TEMPORARY.enter_context(tempfile.TemporaryDirectory(prefix="jaxae-"))


def report(run: Run, results: Mapping[str, Any], notes: Sequence[str] = ()) -> None:
    """Prints what follows the table of the results: notes, the training, the protocol, the run folder.

    Args:
      run: the run folder.
      results: all results, which are not printed but named.
      notes: what the results show that a reader should know.
    """
    if not processes.is_first():
        return
    lines = [f"note: {note}" for note in notes]
    done = []
    if "best_epoch" in results:
        done.append(f"selected epoch: {results['best_epoch']} of {results['epochs']}")
    if "images_per_second" in results:
        done.append(f"training: {results['images_per_second']:,.0f} images/s")
    if "seconds" in results:
        done.append(f"in all {results['seconds']:,.0f} s")
    lines += ["; ".join(done)] if done else []
    lines += [f"protocol: {results['protocol']}"] if "protocol" in results else []
    lines.append(
        f"run folder: {run.directory} (results.json has all {len(results)} results; figures/)"
    )
    console = Console(markup=False)
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False)
