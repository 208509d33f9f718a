"""Checkpoints: what is read is what was written, or there is an error that says it is not."""

import contextlib
import gc
import json
import math
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxae
from benchmarks.faults import DAMAGES, damage
from jaxae.runtime.files import BusyError, atomic_write, exclusive
from jaxae.training import checkpoints as checkpoint
from jaxae.training import damage as damages
from jaxae.training import packing
from jaxae.training import step as training
from tests.cases import SHAPE, images, vae

KEY = jax.random.key(0)


def tree(seed):
    keys = jax.random.split(jax.random.key(seed), 4)
    return {
        "w": jax.random.normal(keys[0], (20, 7)),
        "half": jax.random.normal(keys[1], (3,)).astype(jnp.bfloat16),
        "n": jax.random.randint(keys[2], (), 0, 1000),
        "mask": jax.random.bernoulli(keys[3], 0.5, (5,)),
    }


def equal(a, b):
    return all(np.array_equal(x, y) for x, y in zip(*map(jax.tree.leaves, (a, b)), strict=True))


def two(folder):
    checkpoints = jaxae.Checkpoints(folder / "checkpoints")
    for step in (1, 2):
        checkpoints.save(step, tree(step), tree(-step), {"best_score": 0.5, "step": step})
    return checkpoints


# Where a read fails, orbax leaves files and event loops to the garbage collector.
LEFT = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@LEFT
@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path, capsys, kind):
    fallen = 0
    for seed in range(8):
        folder = tmp_path / str(seed)
        checkpoints = two(folder)
        damage(folder, kind, random.Random(seed))
        saved = checkpoints.restore(tree(0), tree(0))
        step = saved.meta["step"]
        # Some bytes of a file do not matter; what is read is what was written.
        assert equal(saved.state, tree(step))
        assert equal(saved.best, tree(-step))
        said = capsys.readouterr().err.splitlines()
        assert len(said) == (step == 1)
        if step == 1:
            fallen += 1
            assert "damaged and set aside: checkpoint 2 (" in said[0]
            assert said[0].endswith("continuing from step 1")
            # It was renamed, so that the step can be saved again.
            checkpoints.save(2, tree(2), tree(-2), {"step": 2})
            assert equal(checkpoints.restore(tree(0), tree(0)).state, tree(2))
    assert fallen >= 2
    gc.collect()


def test_a_changed_bit_of_an_array_is_noticed(tmp_path):
    checkpoints = two(tmp_path)
    folder = tmp_path / "checkpoints" / "2" / "arrays"
    words = np.fromfile(folder / "words", np.uint32)
    for place in (1, len(words) // 2, len(words) - 1):  # the first belongs to no array
        changed = words.copy()
        changed[place] ^= 1
        changed.tofile(folder / "words")
        assert checkpoints.restore(tree(0), tree(0)).meta["step"] == 1
        (tmp_path / "checkpoints" / "damaged-2").rename(tmp_path / "checkpoints" / "2")
    words.tofile(folder / "words")
    assert checkpoints.restore(tree(0), tree(0)).meta["step"] == 2
    # Nor is a checkpoint used whose metadata were changed.
    metadata = json.loads((folder / "metadata.json").read_text())
    metadata["meta"] = metadata["meta"].replace("2", "3")
    (folder / "metadata.json").write_text(json.dumps(metadata))
    assert checkpoints.restore(tree(0), tree(0)).meta["step"] == 1


@LEFT
def test_no_checkpoint_is_intact(tmp_path):
    checkpoints = two(tmp_path)
    for path in (tmp_path / "checkpoints").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    with pytest.raises(
        ValueError, match=r"no checkpoint in .* can be read: 2 \(.*remove that folder"
    ):
        checkpoints.restore(tree(0), tree(0))
    gc.collect()


def test_another_version(tmp_path, monkeypatch):
    checkpoints = two(tmp_path)
    monkeypatch.setattr(checkpoint, "FORMAT", checkpoint.FORMAT + 1)
    with pytest.raises(
        ValueError, match=r"another version of jaxae \(format 5, and this one reads 6"
    ):
        checkpoints.restore(tree(0), tree(0))
    newest = tmp_path / "checkpoints" / "2"
    (newest / "arrays" / "metadata.json").rename(newest / "arrays" / "about.json")
    with pytest.raises(ValueError, match=r"another version of jaxae \(format 4"):
        checkpoints.restore(tree(0), tree(0))
    (newest / "about").mkdir()
    with pytest.raises(ValueError, match=r"another version of jaxae \(format 2 or 3"):
        checkpoints.restore(tree(0), tree(0))


@pytest.mark.parametrize("name", ["format", "arrays", "sharded", "words", "checksums", "meta"])
@pytest.mark.parametrize("value", [None, 3, "{", ["?"]], ids=str)
def test_made_up_metadata_with_a_correct_checksum(tmp_path, name, value):
    checkpoints = two(tmp_path)
    path = tmp_path / "checkpoints" / "2" / "arrays" / "metadata.json"
    metadata = json.loads(path.read_text())
    del metadata["checksum"], metadata[name]
    if value is not None:
        metadata[name] = value
    path.write_text(json.dumps(metadata | {"checksum": damages.checksum(metadata)}))
    if name == "format" and value is not None:
        with pytest.raises(ValueError, match="another version of jaxae"):
            checkpoints.restore(tree(0), tree(0))
    else:
        assert checkpoints.restore(tree(0), tree(0)).meta["step"] == 1


def test_a_save_is_of_the_moment_when_it_was_asked_for(tmp_path, monkeypatch):
    """A history that grows, and arrays that are donated, while they are written."""
    checkpoints = jaxae.Checkpoints(tmp_path)
    write = checkpoints._handler.WordsHandler.save

    def slowly(*args):
        time.sleep(0.2)
        write(*args)

    monkeypatch.setattr(checkpoints._handler.WordsHandler, "save", slowly)
    state, meta = tree(1), {"history": [{"epoch": 1}]}
    with checkpoints.writer() as save:
        save(1, state, tree(2), meta)
        meta["history"].append({"epoch": 2})
        meta["history"][0]["epoch"] = 3
        state = jax.jit(lambda tree: jax.tree.map(jnp.flip, tree), donate_argnums=0)(state)
    saved = checkpoints.restore(tree(0), tree(0))
    assert saved.meta == {"history": [{"epoch": 1}]}
    assert equal(saved.state, tree(1))


@LEFT
def test_the_best_parameters_alone(tmp_path, capsys):
    checkpoints = two(tmp_path)
    assert equal(checkpoints.best(tree(0)), tree(-2))
    damage(tmp_path, "removed", random.Random(0))
    best = checkpoints.best(tree(0))
    assert equal(best, tree(-2)) or equal(best, tree(-1))
    gc.collect()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int32", "uint8", "bool", "float16"])
def test_every_bit_is_in_the_checksum(dtype):
    random = np.random.default_rng(0)
    x = jnp.asarray(random.integers(0, 2, (4, 6))).astype(dtype)
    size = x.dtype.itemsize
    base = packing.checksums([x]).tolist()
    words = np.asarray(x).view(f"uint{8 * size}")
    bits = 1 if dtype == "bool" else 8 * size
    for place in range(x.size):
        for bit in range(bits):
            other = words.copy()
            other.reshape(-1)[place] ^= np.array(1 << bit).astype(other.dtype)
            changed = jnp.asarray(other.view(np.asarray(x).dtype))
            assert packing.checksums([changed]).tolist() != base
    # Nor do two changes cancel each other.
    signs = x.at[0, 0].set(-1).at[1, 1].set(-1) if dtype != "bool" else ~x
    assert packing.checksums([signs]).tolist() != base
    swapped = x.at[0].set(x[1]).at[1].set(x[0])
    assert not np.array_equal(swapped, x)
    assert packing.checksums([swapped]).tolist() != base


def test_one_process_at_a_time_writes(tmp_path):
    checkpoints = two(tmp_path)
    with checkpoints.writer() as save:
        with pytest.raises(BusyError, match="another process is at work in"):
            checkpoints.save(3, tree(3), tree(3), {})
        save(4, tree(4), tree(4), {})
    checkpoints.save(5, tree(5), tree(5), {})
    with exclusive(tmp_path / "new" / "folder"), pytest.raises(BusyError):
        exclusive(tmp_path / "new" / "folder").__enter__()


@LEFT
def test_nothing_is_set_aside_while_another_process_writes(tmp_path, capsys):
    checkpoints = two(tmp_path)
    shutil.rmtree(tmp_path / "checkpoints" / "2" / "arrays")
    with exclusive(tmp_path / "checkpoints"):
        assert checkpoints.restore(tree(0), tree(0)).meta["step"] == 1
    assert (tmp_path / "checkpoints" / "2").exists()
    assert capsys.readouterr().err.startswith("damaged: checkpoint 2 (")
    checkpoints.restore(tree(0), tree(0))
    assert not (tmp_path / "checkpoints" / "2").exists()


def test_a_file_is_written_completely_or_not_at_all(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with contextlib.suppress(KeyboardInterrupt), atomic_write(path) as partial:
        partial.write_text("ha")
        raise KeyboardInterrupt
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    # A new file takes the place of the old one, which readers that have it open go on reading.
    with open(path) as reader:
        with atomic_write(path) as partial:
            partial.write_text("afterwards")
        assert reader.read() == "before"
    assert path.read_text() == "afterwards"


FULL = """
import resource, jax, numpy as np, optax, jaxae
from tests.cases import SHAPE, images, vae
checkpoints = jaxae.Checkpoints(FOLDER)
options = dict(optimizer=optax.adam(1e-2), key=jax.random.key(0), batch_size=4, progress=False)
fit = lambda epochs: jaxae.fit(
    vae(), images(SHAPE, n=12), epochs=epochs, checkpoints=checkpoints, checkpoint_every=3, **options)
fit(2)
# No file may grow beyond this; the error of the system is like that of a full disk.
resource.setrlimit(resource.RLIMIT_FSIZE, (400, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
try:
    fit(4)
except ValueError as error:
    print("said:", error)
resource.setrlimit(resource.RLIMIT_FSIZE, (2**40, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
print("then:", int(fit(4).state.step))
"""


def test_a_full_disk(tmp_path):
    pytest.importorskip("resource")
    done = subprocess.run(
        [sys.executable, "-c", f"FOLDER = {str(tmp_path)!r}\n{FULL}"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    said, then = done.stdout.splitlines()
    assert "the state after step" in said
    assert said.endswith("earlier checkpoints are intact")
    assert then == "then: 12"


def test_a_folder_that_is_read_only(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    folder.chmod(0o500)
    if os.access(folder, os.W_OK):
        pytest.skip("nothing is read only for this user")
    with pytest.raises(ValueError, match=r"cannot be saved in .* \(Permission denied\)"):
        jaxae.Checkpoints(folder / "checkpoints").save(1, tree(1), tree(1), {})


def test_a_folder_that_cannot_be_one(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot be saved in"):
        jaxae.Checkpoints(tmp_path / "file" / "checkpoints").save(1, tree(1), tree(1), {})


def test_a_checkpoint_can_be_restored_without_the_model_that_wrote_it(tmp_path):
    model, optimizer = vae(), optax.adam(1e-3)
    state = training.init_state(model, optimizer, KEY, images(SHAPE))
    checkpoints = jaxae.Checkpoints(tmp_path)
    checkpoints.save(0, state, state.params, {})
    shapes = jax.eval_shape(model.init, KEY, images(SHAPE))
    assert equal(checkpoints.best(shapes), state.params)


@pytest.mark.parametrize("score", [math.inf, -math.inf, 1.5])
def test_infinite_scores_are_kept(tmp_path, score):
    checkpoints = jaxae.Checkpoints(tmp_path)
    assert checkpoints.restore({}, {}) is None
    meta = {"best_score": score, "best_epoch": 1, "history": [{"epoch": 1}]}
    checkpoints.save(1, {"w": jnp.ones(2)}, {"w": jnp.ones(2)}, meta)
    assert checkpoints.restore({"w": jnp.ones(2)}, {"w": jnp.ones(2)}).meta == meta
    json.dumps(json.loads(damages.to_json(meta)), allow_nan=False)


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    checkpoints = jaxae.Checkpoints(tmp_path)
    checkpoints.save(1, {"w": jnp.ones(2)}, {"w": jnp.ones(2)}, {})
    message = r"of another model or optimizer: \['state'\]\['w'\] was float32\[2\] and is not there"
    with pytest.raises(ValueError, match=message):
        checkpoints.restore({"v": jnp.ones(2)}, {"w": jnp.ones(2)})
    with pytest.raises(
        ValueError, match=r"\['state'\]\['w'\] was float32\[2\] and is float32\[3\]"
    ):
        checkpoints.restore({"w": jnp.ones(3)}, {"w": jnp.ones(2)})
    assert checkpoints.restore({"w": jnp.ones(2)}, {"w": jnp.ones(2)}) is not None
