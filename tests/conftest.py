"""What all tests share."""

import os
from importlib.metadata import version

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
