"""The notebook and the lists of Colab's packages, as files; test_colab_runtimes.py runs them."""

import importlib.metadata
import json
import sys
import tomllib
import types
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from experiments import vae

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "experiments" / "colab.ipynb"
LISTS = sorted((ROOT / ".ci").glob("colab*.txt"))


def pinned(path):
    """The requirements in a list of packages, by normalised name."""
    lines = (line.split("#")[0].strip() for line in path.read_text("utf-8").splitlines())
    requirements = [Requirement(line) for line in lines if line]
    return {canonicalize_name(each.name): each for each in requirements}


def version(requirement):
    (only,) = requirement.specifier
    assert only.operator == "=="
    return only.version


# The notebook


def cells_of_text(text):
    """The type and the source of each cell in jupytext's percent format."""
    _, *parts = text.split("\n# %%")
    for part in parts:
        first, _, source = part.partition("\n")
        source = source.strip("\n")
        if "[markdown]" in first:
            assert all(line.startswith("#") for line in source.splitlines()), source
            source = "\n".join(line[2:] for line in source.splitlines())
        yield ("markdown" if "[markdown]" in first else "code"), source


def notebook():
    return json.loads(NOTEBOOK.read_text("utf-8"))


def test_the_notebook_has_the_cells_of_its_text():
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in notebook()["cells"]]
    written = list(cells_of_text(NOTEBOOK.with_suffix(".py").read_text("utf-8")))
    assert len(cells) > 15
    assert cells == written, "run `jupytext --sync experiments/colab.py`"


def test_the_notebook_is_committed_without_outputs():
    code = [cell for cell in notebook()["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in code)


def test_the_parameters_of_the_notebook_can_be_replaced():
    tags = [cell["metadata"].get("tags", []) for cell in notebook()["cells"]]
    assert tags.count(["parameters"]) == 1


def cell(text):
    """The only code cell with this text."""
    code = [cell for cell in notebook()["cells"] if cell["cell_type"] == "code"]
    (found,) = [source for source in map(lambda c: "".join(c["source"]), code) if text in source]
    return found


def test_without_a_clone_the_notebook_asks_for_the_address(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="set ADDRESS"):
        exec(cell("ADDRESS ="), {})


def test_the_notebook_clones_and_uses_what_is_installed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(importlib.metadata, "version", lambda name: {"jaxae": "0"}[name])
    source = cell("ADDRESS =").replace(
        'ADDRESS = "ADDRESS-OF-THIS-REPOSITORY"', f"ADDRESS = {str(ROOT)!r}"
    )
    exec(source, {})
    assert Path.cwd() == tmp_path / "jaxae"
    assert (Path.cwd() / "experiments" / "vae.py").exists()
    assert sys.path[0] == str(Path.cwd())


@pytest.mark.parametrize("keep", [True, False])
def test_runs_are_kept_on_the_drive(tmp_path, monkeypatch, keep):
    mounted, configs = [], []
    drive = types.SimpleNamespace(mount=mounted.append)
    monkeypatch.setitem(sys.modules, "google.colab", types.SimpleNamespace(drive=drive))
    monkeypatch.setattr(vae, "main", configs.append)
    there = {"ON_COLAB": True, "KEEP_ON_DRIVE": keep, "EPOCHS": 7, "CODE": 3, "clone": tmp_path}
    exec(cell("drive.mount"), {**there, "Path": Path})
    runs = "/content/drive/MyDrive/jaxae" if keep else str(tmp_path / "runs")
    assert mounted == (["/content/drive"] if keep else [])
    assert configs == [vae.Config(epochs=7, code=3, run_dir=f"{runs}/colab-3-7")]


# The packages


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.stem)
def test_the_packages_of_colab_are_new_enough(path):
    """An older one would be replaced. pip's resolution as a whole is tested in test_colab_runtimes.py."""
    pins = pinned(path)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    there = [
        (requirement, version(pins[canonicalize_name(requirement.name)]))
        for requirement in map(Requirement, project["dependencies"])
        if canonicalize_name(requirement.name) in pins
    ]
    assert len(there) > 12
    assert [str(r) for r, found in there if not r.specifier.contains(found)] == []
