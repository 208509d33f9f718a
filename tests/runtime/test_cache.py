"""The compilation cache keeps programs between processes."""

import importlib.util
import os
import subprocess
import sys
import time

import jax

from jaxae.runtime import cache

TRAIN = """
import jax, jaxae, numpy as np, optax
model = jaxae.autoencoder(jaxae.networks.mlp_encoder(2), jaxae.networks.mlp_decoder((8, 8, 1)))
images = np.zeros((8, 8, 8, 1), np.uint8)
fitted = jaxae.fit(model, images, optimizer=optax.adam(1e-3), epochs=1, key=jax.random.key(0),
                   batch_size=4, progress=False)
print(fitted.history[0]["train/loss"], jax.config.jax_compilation_cache_dir)
"""


def train(**environment):
    environment = {"JAX_PLATFORMS": "cpu", **os.environ, **environment}
    command = [sys.executable, "-c", TRAIN]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_fit_keeps_its_programs(tmp_path):
    first, folder = train(JAXAE_CACHE=str(tmp_path))
    assert folder.startswith(str(tmp_path))
    kept = {path.name for path in tmp_path.rglob("jit_run_steps*")}
    assert kept
    second, _ = train(JAXAE_CACHE=str(tmp_path))
    assert second == first
    # Nothing was compiled again: nothing was written.
    assert {path.name for path in tmp_path.rglob("jit_run_steps*")} == kept


def test_incomplete_programs_are_removed(tmp_path):
    """A process that is killed while JAX writes a program leaves a part of it, for good."""
    first, _ = train(JAXAE_CACHE=str(tmp_path))
    # The two largest: small ones may compile too fast the second time to be written.
    damaged = sorted(tmp_path.rglob("*-cache"), key=lambda path: path.stat().st_size)[-2:]
    damaged[0].write_bytes(damaged[0].read_bytes()[:-5])
    damaged[1].write_bytes(b"")
    again = train(JAXAE_CACHE=str(tmp_path), PYTHONWARNINGS="error")
    assert again[0] == first
    assert all(cache._is_complete(path.read_bytes()) for path in damaged)
    assert not cache._is_complete(b"\x28\xb5\x2f\xfd") or not importlib.util.find_spec("zstandard")


def test_programs_that_another_process_is_writing_are_compiled_without_a_warning(tmp_path):
    first, _ = train(JAXAE_CACHE=str(tmp_path))
    kept = sorted(tmp_path.rglob("*-cache"))
    for path in kept:
        path.write_bytes(b"")
    (checked,) = tmp_path.rglob(".checked")  # as if they were written after the check at the start
    os.utime(checked, (time.time() + 3600,) * 2)
    again = train(JAXAE_CACHE=str(tmp_path), PYTHONWARNINGS="error")
    assert again[0] == first
    assert not any(path.read_bytes() for path in kept)


def test_a_folder_that_the_user_has_set_is_used(tmp_path):
    _, folder = train(JAX_COMPILATION_CACHE_DIR=str(tmp_path / "own"))
    assert folder == str(tmp_path / "own")


def test_processors_do_not_share_programs(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXAE_CACHE", str(tmp_path))
    folders = set()
    before = (
        jax.config.jax_compilation_cache_dir,
        jax.config.jax_persistent_cache_min_compile_time_secs,
    )
    try:
        for processor in ("one", "another"):
            monkeypatch.setattr(cache, "_processor", lambda name=processor: name)
            jax.config.update("jax_compilation_cache_dir", None)
            cache.enable_compilation_cache()
            folders.add(jax.config.jax_compilation_cache_dir)
    finally:
        jax.config.update("jax_compilation_cache_dir", before[0])
        jax.config.update("jax_persistent_cache_min_compile_time_secs", before[1])
    assert len(folders) == 2
