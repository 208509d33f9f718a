"""A process that supervises a command that is one of several processes which train together.

When one of the processes is lost, JAX may end the others from C++, where no Python code can report it.
So the command runs in a child process, and its parent reports how it ended.
"""

import os
import signal
import subprocess
import sys
import threading

LIFELINE = "JAXAE_LIFELINE"
"""The environment variable that names, in the child, a pipe that closes when the parent ends."""
BROKEN = 70
"""The exit code after an unexpected error. JAX itself ends a process with 1, or aborts it."""


def gone(reason: str) -> str:
    """The message when another process has ended."""
    return (
        f"another process is gone ({reason}); what was saved is kept: to go on, start all of them "
        "again with the same --run-dir"
    )


def last_words(line: str) -> None:
    """Writes a line to standard error and then silences it, since JAX may be about to report the same."""
    sys.stderr.flush()
    with os.fdopen(os.dup(2), "w") as stderr:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        print(line, file=stderr)


def watch() -> None:
    """Starts this command again as a child, waits for it, and exits as it does. In the child, it returns.

    SIGINT and SIGTERM are passed on to the child, and SIGKILL ends both.
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
        start_new_session=True,  # otherwise Ctrl-C would reach the child twice
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: process.send_signal(number))
    code = process.wait()
    os.close(held)
    if code in (1, -signal.SIGABRT):
        print(f"error: {gone('JAX has reported it above')}", file=sys.stderr)
        return 2
    if code < 0:
        print(f"error: ended by {signal.Signals(-code).name}", file=sys.stderr)
    return code if code >= 0 else 128 - code


def _follow(lifeline: int) -> None:
    os.read(lifeline, 1)  # returns when the other end is closed
    os.kill(os.getpid(), signal.SIGKILL)
