"""One script for each experiment: the dataclass of its flags, and `main`, which returns its results.

python -m experiments.vae --help
"""

import os
import signal
import sys
from typing import Any

# The imports take a second or two, and no experiment can report an error before they are done.
_is_command = sys.argv[0] == "-m" or getattr(
    sys.modules.get("__main__"), "__file__", ""
).startswith(os.path.dirname(__file__) + os.sep)


def _interrupted(number: int, frame: Any) -> None:
    os.write(2, b"interrupted\n")
    os._exit(130)


if _is_command and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _interrupted)  # until `command` takes over

try:
    from jaxae import fit  # noqa: F401  (imports JAX, which checks its platforms)
except ValueError as problem:
    if not _is_command:
        raise
    print(f"error: {problem}", file=sys.stderr)
    raise SystemExit(2) from None
