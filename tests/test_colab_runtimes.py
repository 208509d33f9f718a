"""The notebook and the installation on the packages of Colab's runtimes: `pytest -m colab`.

For each list of packages there is an environment with exactly these versions. That takes a package index,
uv, nbclient and the Python of the runtime; a test says what is missing, and skips.
"""

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.test_colab import LISTS, NOTEBOOK, ROOT, pinned, version

# What runs notebooks on Colab, in the versions that its runtimes have had since 2025.
KERNEL = ["pip==24.1.2", "ipykernel==6.17.1", "ipython==7.34.0", "jupyter_client==7.4.9"]
SMALL = "EPOCHS = 1"
TRAIN = """
import pathlib, jax, optax, jaxae
package = pathlib.Path(jaxae.__file__).parent
assert "site-packages" in package.parts, package
assert (package / "py.typed").exists(), "the wheel has no py.typed"
train, validation, test = (split.images for split in jaxae.load("digits"))
encoder, decoder = jaxae.networks.mlp_encoder(8, (32,)), jaxae.networks.mlp_decoder((8, 8, 1), (32,))
model = jaxae.vae(encoder, decoder, latent_dim=4)
fitted = jaxae.fit(model, train, optimizer=optax.adam(1e-3), epochs=1, key=jax.random.key(0))
"""

pytestmark = pytest.mark.colab


def run(*command, **options):
    """Runs a command, and returns what it prints; an error has what it printed on standard error."""
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, **options
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def interpreter(path):
    """The Python of a runtime, from PATH."""
    name = "python3.13" if path.stem == "colab" else "python3.12"
    found = shutil.which(name)
    if found is None or subprocess.run([found, "--version"], capture_output=True).returncode:
        pytest.skip(f"{name} is not on PATH")
    return found


def uv(*arguments):
    """Runs uv, or skips the test where it reaches no package index."""
    command = [sys.executable, "-m", "uv", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if "error sending request" in done.stderr or "Network connectivity is disabled" in done.stderr:
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stderr
    return done.stdout


def installed(python):
    """The version of each package in an environment."""
    listed = json.loads(uv("pip", "list", "--quiet", "--python", python, "--format", "json"))
    return {each["name"].lower().replace("_", "-"): each["version"] for each in listed}


def group(path):
    return pytest.param(path, id=path.stem, marks=pytest.mark.xdist_group(path.stem))


@pytest.fixture(scope="module", params=map(group, LISTS))
def runtime(request, tmp_path_factory):
    """The list, and the Python of an environment that has its packages and the kernel of Colab."""
    for package in ("uv", "nbclient"):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    path = request.param
    environment = tmp_path_factory.mktemp(path.stem) / "environment"
    uv("venv", "--quiet", "--python", interpreter(path), environment)
    python = environment / "bin" / "python"
    uv("pip", "install", "--quiet", "--python", python, "--no-deps", "-r", path)
    uv("pip", "install", "--quiet", "--python", python, "-c", path, *KERNEL)
    found = installed(python)
    wrong = {name for name, pin in pinned(path).items() if found[name] != version(pin)}
    assert not wrong
    return path, python


def test_pip_would_replace_nothing(runtime, tmp_path):
    path, python = runtime
    report = tmp_path / "report.json"
    run(python, "-m", "pip", "install", "--quiet", "--dry-run", "--report", report, ROOT)
    new = [each["metadata"]["name"] for each in json.loads(report.read_text("utf-8"))["install"]]
    new = {name.lower().replace("_", "-") for name in new}
    assert "jaxae" in new
    assert new & installed(python).keys() == set()


def test_the_notebook_runs_and_replaces_nothing(runtime, tmp_path):
    """From its first cell to its last, with small settings; the second one installs this project."""
    path, python = runtime
    before = installed(python)
    clone = tmp_path / "jaxae"
    run("git", "clone", "--quiet", ROOT, clone)
    book = json.loads(NOTEBOOK.read_text("utf-8"))
    tags = [cell["metadata"].get("tags") for cell in book["cells"]]
    cell = {
        "cell_type": "code",
        "id": "small",
        "metadata": {},
        "outputs": [],
        "execution_count": None,
    }
    book["cells"].insert(tags.index(["parameters"]) + 1, {**cell, "source": SMALL})
    notebook = clone / "experiments" / "colab.ipynb"
    notebook.write_text(json.dumps(book), "utf-8")

    command = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel = tmp_path / "kernels" / "colab" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    specification = {"argv": command, "display_name": "Colab", "language": "python"}
    kernel.write_text(json.dumps(specification), "utf-8")
    settings = os.environ | {"JUPYTER_PATH": str(tmp_path), "JAXAE_CACHE": str(tmp_path / "cache")}
    settings.pop("XLA_FLAGS", None)  # those of the tests are for another version
    execute = "from nbclient.cli import main; main()"
    flags = ("--inplace", "--timeout=900", "--kernel_name=colab")
    run(sys.executable, "-c", execute, *flags, notebook, env=settings)

    cells = json.loads(notebook.read_text("utf-8"))["cells"]
    counts = [cell["execution_count"] for cell in cells if cell["cell_type"] == "code"]
    assert counts == list(range(1, len(counts) + 1))
    shown = [output for cell in cells for output in cell.get("outputs", ())]
    assert sum("image/png" in output.get("data", ()) for output in shown) >= 5
    after = installed(python)
    assert "jaxae" in after
    assert {name: after.get(name) for name in before} == before
    # The library that the notebook has installed works without the clone.
    run(python, "-c", TRAIN, cwd=tmp_path, env=settings)
