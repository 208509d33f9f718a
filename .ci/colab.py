"""Checks that installing this project on the packages of Colab's runtimes replaces none of them.

    python3.12 .ci/colab.py ENVIRONMENT LIST...

For each list of pinned packages, the virtual environment gets exactly these and then this project with
what it needs. A package of the list that has another version afterwards is an error: pip would have
replaced it under a running notebook. The installed library must then train without a checkout.
"""

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TRAIN = """
import pathlib, jax, optax, jaxae
assert (pathlib.Path(jaxae.__file__).parent / "py.typed").exists(), "the wheel has no py.typed"
train, validation, test = (split.images for split in jaxae.load("digits"))
encoder, decoder = jaxae.networks.mlp_encoder(8, (32,)), jaxae.networks.mlp_decoder((8, 8, 1), (32,))
model = jaxae.vae(encoder, decoder, latent_dim=4)
fitted = jaxae.fit(model, train, optimizer=optax.adam(1e-3), epochs=1, key=jax.random.key(0))
print(f"trains with jax {jax.__version__}: {fitted.history[-1]['train/loss']:.1f} nats")
"""


def main(folder: Path, lists: list[Path]) -> int:
    """Checks all lists in one environment, and returns the exit code."""
    if not folder.exists():
        venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")

    def pip(*arguments: str) -> str:
        command = [python, "-m", "pip", *arguments]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

    def installed() -> dict[str, str]:
        lines = pip("list", "--format=freeze").splitlines()
        return dict(line.lower().replace("_", "-").split("==") for line in lines)

    code = 0
    for path in lists:
        lines = [line.split("#")[0].strip() for line in path.read_text().splitlines()]
        pins = dict(line.lower().replace("_", "-").split("==") for line in lines if line)
        if others := installed().keys() - pins.keys() - {"pip"}:
            pip("uninstall", "--quiet", "--yes", *others)
        pip("install", "--quiet", "--no-deps", "--prefer-binary", "-r", str(path))
        pip("install", "--quiet", "--prefer-binary", str(ROOT))
        found = installed()
        added = sorted(found.keys() - pins.keys() - {"pip", "setuptools"})
        print(
            f"{path.name}: {len(pins)} packages; installing jaxae added {', '.join(added)}",
            flush=True,
        )
        for name, version in pins.items():
            if found[name] != version:
                print(f"{path.name}: jaxae replaced {name} {version} by {found[name]}", flush=True)
                code = 1
        with tempfile.TemporaryDirectory() as elsewhere:
            environment = {**os.environ, "JAXAE_CACHE": elsewhere}
            subprocess.run([python, "-c", TRAIN], check=True, cwd=elsewhere, env=environment)
    return code


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(f"usage: {sys.argv[0]} ENVIRONMENT LIST...")
    sys.exit(main(Path(sys.argv[1]).resolve(), [Path(path) for path in sys.argv[2:]]))
