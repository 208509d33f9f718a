"""One script for each experiment: the dataclass of its flags, and `main`, which returns its results.

python -m experiments.vae --help
"""

import sys

try:
    import jaxae  # noqa: F401  (before the experiment, whose own imports cannot report an error)
except ValueError as problem:
    print(f"error: {problem}", file=sys.stderr)
    raise SystemExit(2) from None
except KeyboardInterrupt:
    print("interrupted", file=sys.stderr)
    raise SystemExit(130) from None
