"""Makes `python experiments/vae.py` the same as `python -m experiments.vae`, from any folder.

Python looks for modules in the folder of a script, so this file is then the module `experiments`. It puts
the root of the repository in place of that folder, and the package in place of itself.
"""

import sys
from pathlib import Path

if __name__ == "experiments":
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    del sys.modules["experiments"]
    import experiments  # noqa: F401
