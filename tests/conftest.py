"""What all tests share."""

import os

# The tests compile far more than they compute: three times faster without LLVM's optimisations.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_backend_optimization_level=0"
).strip()

import jax  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402


@pytest.fixture(autouse=True)
def doctest_names(doctest_namespace):
    """Doctests may use these without importing them."""
    import jax.numpy as jnp

    doctest_namespace.update(jax=jax, jnp=jnp, np=np)


@pytest.fixture(scope="session")
def digits():
    """Real images: 8 x 8 digits, bytes."""
    import jaxae

    return jaxae.load("digits")
