"""What all tests share."""

import os

# The tests compile far more than they compute: three times faster without LLVM's optimisations.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_backend_optimization_level=0"
).strip()

import pytest  # noqa: E402


@pytest.fixture(scope="session")
def digits():
    """Real images: 8 x 8 digits, bytes."""
    import jaxae

    return jaxae.load("digits")
