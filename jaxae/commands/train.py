"""Trains a model: runs an experiment, with its flags.

    jaxae train
    jaxae train vae --dataset mnist5k --run-dir runs/vae
    jaxae train vae --help

Without a name it lists the experiments. They are not installed with jaxae, but part of its repository: run
the command in a clone of it.
"""

import ast
import difflib
import importlib
import re
import sys
import textwrap
from pathlib import Path

MARK = Path("experiments") / "shared" / "running.py"
"""A file by which the experiments of jaxae are recognised; other projects have folders of that name."""


def main(arguments: list[str]) -> None:
    """Runs the experiment whose name is the first of the arguments.

    Raises:
      ValueError: if there are no experiments here, or none of this name.
    """
    root = find_experiments()
    if arguments[:1] in ([], ["--help"], ["-h"]):
        print(_help(root))
        return
    if root is None:
        raise ValueError(
            "the experiments are not installed with jaxae: clone its repository, and run jaxae train in "
            "that folder"
        )
    name, *rest = arguments
    name = name.replace("-", "_")
    names = experiments(root)
    if name not in names:
        near = difflib.get_close_matches(name.lower(), names, 1, 0.6)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"there is no experiment {arguments[0]!r}{hint} (jaxae train lists them)")
    sys.path.insert(0, str(root))
    sys.argv = [f"jaxae train {name}", *rest]
    module = importlib.import_module(f"experiments.{name}")

    from jaxae.runs.command import command

    command(module.main, module.Config, module.__doc__, f"jaxae train {name}")


def find_experiments() -> Path | None:
    """The folder that has the experiments of jaxae: this one, or the one that jaxae was installed from."""
    for root in (Path.cwd(), Path(__file__).resolve().parents[2]):
        if (root / MARK).is_file():
            return root
    return None


def experiments(root: Path) -> dict[str, str]:
    """The names of the experiments, and what they do. Nothing is imported."""
    found = {}
    folder = root / "experiments"
    for path in sorted([*folder.glob("*.py"), *folder.glob("*/__init__.py")]):
        text = path.read_text("utf-8")
        if re.search(r"^class Config\b", text, re.M) and re.search(r"^def main\(", text, re.M):
            doc = ast.get_docstring(ast.parse(text)) or ""
            name = path.parent.name if path.name == "__init__.py" else path.stem
            found[name] = " ".join(doc.split("\n\n")[0].split())
    return found


def _help(root: Path | None) -> str:
    doc = (__doc__ or "").strip()
    lines = ["usage: jaxae train NAME [options]", "", doc]
    if root is None:
        return "\n".join([*lines, "", "There are no experiments in this folder."])
    lines += ["", "Experiments:"]
    for name, text in experiments(root).items():
        lines += textwrap.wrap(
            f"  {name:<18} {text}", 99, subsequent_indent=" " * 21, break_on_hyphens=False
        )
    return "\n".join(lines)
