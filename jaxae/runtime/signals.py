"""SIGINT and SIGTERM as a request to stop at the next point where the work can be saved."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class StopRequest:
    """True once the process has been asked to stop."""

    def __init__(self) -> None:
        self.received = False

    def __bool__(self) -> bool:
        return self.received


@contextmanager
def stop_requests(enabled: bool = True) -> Iterator[StopRequest]:
    """Turns the first SIGINT or SIGTERM into a :class:`StopRequest`; a second SIGINT interrupts as usual.

    Outside of the main thread, where Python does not handle signals, nothing changes.

    Examples:
      >>> import os
      >>> with stop_requests() as request:
      ...     os.kill(os.getpid(), signal.SIGTERM)
      ...     bool(request)
      True
    """
    request = StopRequest()
    if not enabled or threading.current_thread() is not threading.main_thread():
        yield request
        return

    def handle(number: int, frame: Any) -> None:
        request.received = True
        print("stopping and saving; press Ctrl-C again to stop at once", file=sys.stderr)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
