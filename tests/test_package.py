"""What importing costs, what the README promises, and what the documentation must have."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import jaxae

ROOT = Path(__file__).parent.parent


def python(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_allocates_nothing_and_imports_no_tensorflow():
    code = (
        "import sys, jax, jaxae; from jax._src import xla_bridge as bridge;"
        "print(bridge.backends_are_initialized(), 'tensorflow' in sys.modules,"
        " 'tensorflow_datasets' in sys.modules, 'orbax.checkpoint' in sys.modules)"
    )
    assert python(code).split() == ["False", "False", "False", "False"]


def test_using_the_data_imports_no_tensorflow():
    assert python(
        "import sys, jaxae; jaxae.load('digits'); print('tensorflow' in sys.modules)"
    ).split() == ["False"]


def test_the_example_of_the_readme_runs():
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        assert len(block.splitlines()) <= 20
        python(block.replace("epochs=20", "epochs=1"))  # shorter, but every line is run


PUBLIC = [
    getattr(jaxae, name)
    for name in dir(jaxae)
    if not name.startswith("_") and not inspect.ismodule(getattr(jaxae, name))
]


@pytest.mark.parametrize("thing", PUBLIC, ids=lambda thing: thing.__name__)
def test_everything_public_is_documented(thing):
    assert thing.__doc__
    first = thing.__doc__.strip().splitlines()[0]
    assert first.endswith((".", ":"))
    assert len(first) < 100
    if inspect.isfunction(thing):
        hints = thing.__annotations__
        assert hints.keys() >= set(inspect.signature(thing).parameters)


def test_nothing_names_a_machine_or_a_registry():
    files = subprocess.run(["git", "ls-files"], capture_output=True, text=True, cwd=ROOT)
    if files.returncode:
        pytest.skip("not a git checkout")
    pattern = re.compile("|".join(["/ro" + "ot/", "/ho" + "me/", "python" + "hosted"]))
    for name in files.stdout.split():
        path = ROOT / name
        if path.suffix in (".py", ".md", ".toml", ".json", ".txt"):
            assert not pattern.search(path.read_text()), name
