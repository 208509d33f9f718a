"""What importing costs, what the README promises, and how the package is laid out and documented."""

import ast
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import jaxae

ROOT = Path(__file__).parent.parent
HEAVY = ("tensorflow", "tensorflow_datasets", "sklearn", "skimage", "matplotlib", "scipy.stats")
HEAVY += ("orbax.checkpoint", "grain", "tyro", "pandas")
PACKAGES = [
    "runtime",
    "data",
    "networks",
    "distributions",
    "objectives",
    "models",
    "wrappers",
    "training",
    "analysis",
    "runs",
    "explorer",
    "commands",
]
"""In their order: a package imports from those before it. The modules in `FIRST` come first."""
FIRST = ["arrays", "recipes", "checks", "arguments", "numeric", "base", "composition"]


def python(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_starts_no_backend_and_imports_nothing_heavy():
    code = (
        "import sys, jax, jaxae; jaxae.fit; from jax._src import xla_bridge as bridge;"
        f"print([bridge.backends_are_initialized(), *(m for m in {HEAVY} if m in sys.modules)])"
    )
    assert python(code).strip() == "[False]"


def test_importing_takes_little_longer_than_its_dependencies():
    """Seconds beyond those of jax, flax and optax, the best of three."""
    code = (
        "import time, jax, flax.linen, optax, jaxtyping, chex; start = time.perf_counter();"
        "import jaxae; jaxae.fit; print(time.perf_counter() - start)"
    )
    assert min(float(python(code)) for _ in range(3)) < 2.0


def test_the_names_are_imported_when_one_is_used():
    code = (
        "import sys, jaxae; jaxae.__version__; print('jax' in sys.modules);"
        "from jaxae import vae; print('jax' in sys.modules, hasattr(jaxae, 'no_such_name'))"
    )
    assert python(code).split() == ["False", "True", "False"]


def test_using_the_data_imports_no_tensorflow():
    assert python(
        "import sys, jaxae; jaxae.load('digits'); print('tensorflow' in sys.modules)"
    ).split() == ["False"]


def test_the_example_of_the_readme_runs(tmp_path):
    run = f"'{tmp_path}/run'"
    python(
        "from experiments import vae; vae.main(vae.Config(dataset='digits', epochs=1, hidden=(4,), "
        f"nll_samples=1, run_dir={run}))"
    )
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        assert len(block.splitlines()) <= 20
        # Shorter, but every line is run.
        python(block.replace("epochs=20", "epochs=1").replace('"RUN"', run))


# Public names


def modules():
    """The package and all of its modules."""
    found = pkgutil.walk_packages(jaxae.__path__, "jaxae.")
    names = [m.name for m in found if not m.name.endswith("__main__")]
    return [jaxae, *(__import__(name, fromlist=["_"]) for name in names)]


def public():
    """All that is exported by the package or by a package in it, under its shortest name."""
    found = {}
    for module in modules():
        for name in getattr(module, "__all__", ()):
            thing = getattr(module, name)
            if not inspect.ismodule(thing):
                found.setdefault(f"{module.__name__}.{name}", thing)
    return found


PUBLIC = public()


def test_the_names_of_the_package_fit_a_screen():
    names = [name for name in dir(jaxae) if not name.startswith("_")]
    assert len(names) <= 75  # five columns of fifteen
    assert sorted(jaxae.__all__) == sorted(set(jaxae.__all__))
    assert set(jaxae.__all__) <= set(names)


def test_one_name_for_one_thing():
    """A thing may be exported by its package and at the top, but always under the same name."""
    names = {}
    for path, thing in PUBLIC.items():
        if inspect.isfunction(thing) or inspect.isclass(thing):
            names.setdefault(id(thing), set()).add(path.rpartition(".")[2])
    assert [sorted(found) for found in names.values() if len(found) > 1] == []


def test_no_function_shadows_its_module():
    for module in modules():
        if not hasattr(module, "__path__"):
            continue
        for info in pkgutil.iter_modules(module.__path__):
            thing = vars(module).get(info.name)
            assert thing is None or inspect.ismodule(thing), f"{module.__name__}.{info.name}"


def test_types_are_distributed():
    assert (ROOT / "jaxae" / "py.typed").exists()
    assert "py.typed" in (ROOT / "pyproject.toml").read_text()


@pytest.mark.parametrize("path", PUBLIC)
def test_everything_public_is_documented(path):
    thing = PUBLIC[path]
    if not (inspect.isfunction(thing) or inspect.isclass(thing)):
        pytest.skip("a constant or a type alias, documented where it is defined")
    assert thing.__doc__
    first = thing.__doc__.strip().splitlines()[0]
    assert first.endswith((".", ":")), first
    assert len(first) < 100
    if not inspect.isfunction(thing):
        return
    parameters = inspect.signature(thing).parameters
    assert thing.__annotations__.keys() >= set(parameters)
    # Without the indentation, which Python 3.13 removes from docstrings.
    documented = re.findall(r"^ {2}(\w+): ", inspect.cleandoc(thing.__doc__), re.MULTILINE)
    if "Args:" in thing.__doc__:
        assert set(parameters) <= set(documented), "an argument is not documented"


def test_constructors_have_examples_and_references():
    for package in (jaxae.models, jaxae.wrappers):
        for name in package.__all__:
            thing = getattr(package, name)
            if inspect.isfunction(thing) and inspect.signature(thing).return_annotation in (
                jaxae.Autoencoder,
                "Autoencoder",
            ):
                assert "Examples:" in thing.__doc__, name
                assert "References:" in thing.__doc__ or name == "with_prior", name
                assert "Args:" in thing.__doc__, name


# Layers


def imports(path):
    """The modules of this project that a file imports, wherever in the file."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            if node.module == "jaxae":
                names = [alias.name for alias in node.names if not alias.name.startswith("__")]
                yield from (f"jaxae.{name}" for name in names)


def layer(name):
    """The number of a module's layer; None for the top of the package."""
    parts = name.split(".")
    if len(parts) < 2:
        return None
    if parts[1] in FIRST:
        return FIRST.index(parts[1]) - len(FIRST)
    return PACKAGES.index(parts[1]) if parts[1] in PACKAGES else None


def test_imports_go_one_way():
    wrong = []
    for path in (ROOT / "jaxae").rglob("*.py"):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        own = layer(name)
        if own is None:
            continue
        for other in imports(path):
            outside = other.split(".")[0] in ("experiments", "tests", "benchmarks")
            below = layer(other) is not None and layer(other) <= own
            if outside or (other.startswith("jaxae.") and not below):
                wrong.append(f"{name} imports {other}")
    assert wrong == []


def test_every_package_has_its_place():
    found = {path.parent.name for path in (ROOT / "jaxae").glob("*/__init__.py")}
    assert found == set(PACKAGES)


def test_nothing_names_a_machine_or_a_registry():
    files = subprocess.run(["git", "ls-files"], capture_output=True, text=True, cwd=ROOT)
    if files.returncode:
        pytest.skip("not a git checkout")
    pattern = re.compile("|".join(["/ro" + "ot/", "/ho" + "me/", "python" + "hosted"]))
    for name in files.stdout.split():
        path = ROOT / name
        if path.suffix in (".py", ".md", ".toml", ".json", ".txt") and path.exists():
            assert not pattern.search(path.read_text()), name
