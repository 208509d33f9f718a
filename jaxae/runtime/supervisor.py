"""A command that is one of several processes, in a process of its own, and another that watches it.

Where the first of the processes is gone, or one that the others wait for, JAX ends the others by itself,
from C++, and nothing can be said there any more. So somebody else says it.
"""

import os
import signal
import subprocess
import sys
import threading

LIFELINE = "JAXAE_LIFELINE"
"""Names, in a watched process, the pipe that is closed when its watcher is gone."""
BROKEN = 70
"""The exit code after an error that nobody foresaw. JAX ends a process with 1, or aborts it."""


def gone(reason: str) -> str:
    """What there is to say when another process has ended."""
    return (
        f"another process is gone ({reason}); what was saved is kept: to go on, start all of them "
        "again with the same --run-dir"
    )


def last_words(line: str) -> None:
    """Says a line on standard error, after which there is silence: JAX may be about to say the same."""
    sys.stderr.flush()
    with os.fdopen(os.dup(2), "w") as stderr:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        print(line, file=stderr)


def watch() -> None:
    """Starts this command again, in a process of its own, waits, and ends as that does; there it returns.

    SIGINT and SIGTERM are handed on, and SIGKILL ends both.
    """
    lifeline = os.environ.pop(LIFELINE, None)
    if lifeline is None:
        raise SystemExit(_wait())
    threading.Thread(target=_follow, args=(int(lifeline),), daemon=True).start()


def _wait() -> int:
    lifeline, held = os.pipe()
    process = subprocess.Popen(
        sys.orig_argv,
        executable=sys.executable,
        env=os.environ | {LIFELINE: str(lifeline)},
        pass_fds=[lifeline],
        start_new_session=True,  # else Ctrl-C would reach it twice
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: process.send_signal(number))
    code = process.wait()
    os.close(held)
    if code in (1, -signal.SIGABRT):
        print(f"error: {gone('JAX noticed it, and has said above what it knows')}", file=sys.stderr)
        return 2
    if code < 0:
        print(f"error: ended by {signal.Signals(-code).name}", file=sys.stderr)
    return code if code >= 0 else 128 - code


def _follow(lifeline: int) -> None:
    os.read(lifeline, 1)  # until the other end is closed
    os.kill(os.getpid(), signal.SIGKILL)
