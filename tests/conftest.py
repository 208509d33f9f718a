"""What all tests share."""

import datetime
import os
import subprocess
import zlib
from importlib.metadata import version
from pathlib import Path

# The tests compile far more than they compute: ten times faster without optimisations, and with the
# emitters that came before XLA's present ones.
flags = [os.environ.get("XLA_FLAGS", ""), "--xla_backend_optimization_level=0"]
if tuple(map(int, version("jaxlib").split(".")[:2])) <= (
    0,
    10,
):  # XLA stops at a flag it does not know
    flags += ["--xla_cpu_use_fusion_emitters=false", "--xla_cpu_parallel_codegen_split_count=1"]
os.environ["XLA_FLAGS"] = " ".join(flags).strip()

import pytest  # noqa: E402

PARTS = 3
"""Into how many parts the slow tests are divided; a run takes one of them."""


def pytest_addoption(parser):
    parser.addoption(
        "--slow",
        default="turn",
        choices=("turn", "all", "none"),
        help="which tests marked slow run: one part by turns (default), all, or none",
    )


def slow_part(folder=Path(__file__).parent) -> int:
    """The part whose turn it is: another one after each commit, or each day where there is no git."""
    command = ["git", "rev-list", "--count", "HEAD"]
    try:
        counted = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=True)
        number = int(counted.stdout)
    except (OSError, subprocess.CalledProcessError, ValueError):
        number = datetime.date.today().toordinal()
    return number % PARTS


def _chosen(config) -> str:
    """The option, unless the command names the marker or single tests, which then all run."""
    named = "slow" in config.option.markexpr or any("::" in argument for argument in config.args)
    return "all" if named else config.option.slow


def pytest_terminal_summary(terminalreporter, config):
    chosen = _chosen(config)
    if chosen == "turn":
        chosen = f"part {slow_part() + 1} of {PARTS} (pytest -m slow runs all)"
    terminalreporter.write_line(f"slow tests: {chosen}")


def pytest_collection_modifyitems(config, items):
    chosen = _chosen(config)
    if chosen == "all":
        return
    part = slow_part() if chosen == "turn" else -1

    def left_out(item) -> bool:
        if item.get_closest_marker("slow") is None:
            return False
        # All tests of one group, such as the laws of one model, are in the same part.
        group = item.get_closest_marker("xdist_group")
        name = item.nodeid if group is None else group.args[0]
        return zlib.crc32(name.encode()) % PARTS != part

    dropped = [item for item in items if left_out(item)]
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        kept = set(items) - set(dropped)
        items[:] = [item for item in items if item in kept]


@pytest.fixture
def optimised(monkeypatch):
    """For a test that computes more than it compiles: the training loop is optimised after all."""
    from jaxae.training import programs

    known = programs.compiler_options
    more = {"xla_backend_optimization_level": 1}
    monkeypatch.setattr(programs, "compiler_options", lambda device: known(device) | more)


@pytest.fixture(scope="session")
def digits():
    """Real images: 8 x 8 digits, bytes."""
    import jaxae

    return jaxae.load("digits")
