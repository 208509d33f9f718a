"""The models of this folder are short, and made of public names alone."""

import ast
from pathlib import Path

import pytest

MODELS = sorted(
    path
    for path in Path(__file__).parent.glob("[a-z]*.py")
    if not path.name.startswith("test_") and path.name != "examples.py"
)
LIBRARIES = {"flax", "functools", "jax", "jaxae", "math", "numpy"}


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_a_model_is_short_and_public(path):
    code, not_code = set(), set()
    for node in ast.walk(ast.parse(path.read_text())):
        if not hasattr(node, "lineno"):
            continue
        code.add(node.lineno)
        if isinstance(node, ast.Import | ast.ImportFrom):
            not_code.add(node.lineno)
            name = getattr(node, "module", None) or node.names[0].name
            assert name.split(".")[0] in LIBRARIES
            assert "._" not in name
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            not_code.add(node.lineno)  # a docstring
        elif isinstance(node, ast.Attribute):
            assert not node.attr.startswith("_") or node.attr == "_replace"
    assert len(code - not_code) <= 40
