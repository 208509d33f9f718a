"""The notebook and the lists of Colab's packages, as files; test_colab_runtimes.py runs them."""

import json
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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
