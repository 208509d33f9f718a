"""Files that others may have left: a cache folder of another user, temporary files of killed writers."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from jaxae.runtime import cache
from jaxae.runtime.files import atomic_write


@pytest.fixture
def shared(tmp_path, monkeypatch):
    """The path of the fallback, in a temporary directory; the cache folder cannot be written."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("JAXAE_CACHE", str(tmp_path / "file" / "cache"))
    cache._once.cache_clear()
    yield tmp_path / f"jaxae-{os.getuid()}"
    cache._once.cache_clear()


def test_the_fallback_is_ours_alone(shared):
    assert cache.cache_dir() == cache.cache_dir() == shared
    assert shared.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_others_can_write_into_is_not_used(shared):
    shared.mkdir()
    shared.chmod(0o777)
    for _ in range(2):  # what others have put there stays there
        found = cache.cache_dir()
        assert found != shared
        assert found.stat().st_mode & 0o777 == 0o700


def test_a_link_is_not_followed(shared, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    shared.symlink_to(tmp_path / "elsewhere")
    assert cache.cache_dir() != shared


def test_a_folder_of_another_user_is_not_used(shared, monkeypatch):
    shared.mkdir(mode=0o700)
    uid = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: uid + 1)
    shared.rename(shared.with_name(f"jaxae-{uid + 1}"))
    assert cache.cache_dir() != shared.with_name(f"jaxae-{uid + 1}")


def test_old_temporary_files_of_dead_processes_are_removed(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    names = {
        f".{dead.pid}.a.json": (1, False),  # old, of a process that is gone
        f".{dead.pid + 0}.b.json": (1, True),  # of another file
        f".{os.getppid()}.a.json": (1, True),  # of a process that runs
        ".notes.a.json": (1, True),  # not ours
    }
    for name, (mtime, _) in names.items():
        (tmp_path / name).write_text("part")
        os.utime(tmp_path / name, (mtime, mtime))
    for _ in range(2):
        with atomic_write(tmp_path / "a.json") as partial:
            partial.write_text("all")
    kept = {name: (tmp_path / name).exists() for name in names}
    assert kept == {name: keep for name, (_, keep) in names.items()}
    young = tmp_path / f".{dead.pid}.a.json"
    young.write_text("part")  # perhaps of another machine
    with atomic_write(Path(tmp_path / "a.json")) as partial:
        partial.write_text("all")
    assert young.exists()
