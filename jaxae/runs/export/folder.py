"""The folder of an export: its files, manifest.json for programs, and README.txt for people."""

import contextlib
import json
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxae import __version__
from jaxae.base import Tree
from jaxae.runs.export.functions import Function
from jaxae.runtime.files import atomic_folder

README, MANIFEST = "README.txt", "manifest.json"


def check_folder(out: Path, overwrite: bool) -> None:
    """Raises a `ValueError` unless a folder does not exist, or is an export that may be replaced."""
    if not (out.exists() or out.is_symlink()):
        return
    if not overwrite:
        raise ValueError(f"{out} exists already; give another --out, or --overwrite")
    if not out.is_dir():
        raise ValueError(f"{out} is not a folder; use another name")
    # A shell that is in a folder which is replaced goes on in the old one, without its files.
    here = Path.cwd()
    if out.resolve() == here or out.resolve() in here.parents:
        raise ValueError(f"{out} is the current folder; use another folder")
    if others := {path.name for path in out.iterdir()} - _files_of_export(out / MANIFEST):
        raise ValueError(
            f"{out} has files in it that are not of an export, such as {min(others)}; use another folder"
        )


def _files_of_export(path: Path) -> set[str]:
    """The names of the files that a manifest names, with its own; none if it is no manifest."""
    try:
        manifest = json.loads(path.read_text())
        ours = manifest["made_by"].split()[0] == "jaxae" and "format" in manifest
        names = {*manifest["files"], README, MANIFEST} if ours else set()
        return {name for name in names if not (path.parent / name).is_dir()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return set()


@contextlib.contextmanager
def new_folder(out: Path, overwrite: bool) -> Iterator[Path]:
    """A temporary folder, which becomes `out` if all goes well.

    Raises:
      ValueError: if it cannot be written, or something that may not be replaced is in its place, also if
        it came there meanwhile.
    """
    check_folder(out, overwrite)
    try:
        with atomic_folder(out) as folder:
            yield folder
            check_folder(out, overwrite)
    except OSError as error:
        raise ValueError(f"{out} cannot be written: {error.strerror or error}") from error


def finish(
    folder: Path, files: Mapping[str, Any], more: Mapping[str, Any], example: str
) -> dict[str, Any]:
    """Writes manifest.json and README.txt.

    Args:
      folder: to write them into.
      files: what is known of each file, by its name.
      more: other values for the manifest: `format`, `model`, and what the caller knows.
      example: Python code that uses the files.

    Returns:
      the manifest.
    """
    manifest = {"made_by": f"jaxae {__version__}", "jax": jax.__version__, "files": dict(files)}
    manifest |= more
    text = json.dumps(manifest, indent=2, allow_nan=False) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    (folder / README).write_text(_readme(manifest, example), encoding="utf-8")
    return manifest


def _readme(manifest: Mapping[str, Any], example: str) -> str:
    lines = [f"{manifest['model']}, exported by {manifest['made_by']} ({manifest['format']})", ""]
    for name, entry in manifest["files"].items():
        if "arrays" in entry:
            lines += [f"{name}: the parameters, {len(entry['arrays'])} arrays"]
            continue
        lines += [f"{name}: {entry['description']}"]
        for kind in ("inputs", "outputs"):
            for leaf in entry[kind]:
                shape = ", ".join(map(str, leaf["shape"]))
                limits = ", values in [0, 1]" if "range" in leaf else ""
                lines += [f"    {kind[:-1]:<6} {leaf['name']}: {leaf['type']} [{shape}]{limits}"]
        lines += [
            f"    verified: it differs from the model by at most {entry['largest_difference']:.2g}"
        ]
    lines += [f"note: {reason}" for reason in manifest.get("notes", ())]
    if manifest["format"] != "safetensors":
        lines += [
            "",
            "b is the number of examples, any number. manifest.json has the same for programs.",
        ]
    return "\n".join(
        [*lines, "", "In Python, without jaxae:", "", textwrap.indent(example, "    ")]
    )


def describe(function: Function, unit: bool) -> dict[str, Any]:
    """The inputs and outputs of a function, for the manifest."""
    inputs = [leaf for name, tree in function.inputs.items() for leaf in _leaves(name, tree)]
    if unit:
        for leaf in inputs:
            if leaf["name"].split("/")[0] == "x":
                leaf["range"] = [0, 1]
    outputs = _leaves(function.output, jax.eval_shape(function.call, *function.inputs.values()))
    return {"description": function.description, "inputs": inputs, "outputs": outputs}


def _leaves(name: str, tree: Tree) -> list[dict[str, Any]]:
    found = []
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        own = jax.tree_util.keystr(path, simple=True, separator="/")
        full = f"{name}/{own}" if own else name
        found.append(
            {"name": full, "shape": ["b", *leaf.shape[1:]], "type": str(np.dtype(leaf.dtype))}
        )
    return found
