"""Exports the encoder and the decoder of a trained run, for programs that do not have jaxae.

    jaxae export runs/vae-mnist --out vae
    jaxae export runs/gan --part VAE --out vae
    jaxae export runs/vae-mnist --out vae-onnx --format onnx
    jaxae export runs/vae-mnist --out weights --format safetensors

The folder contains the files; README.txt, with the code that loads them; and manifest.json, with the names,
shapes and ranges of the inputs and outputs. Each file is compared with the model, for several numbers of
examples, before anything is written. The encoder takes images as floats in [0, 1], and the decoder computes
means, which are not clipped.

stablehlo is the format of JAX. A file runs on CPU, GPU and TPU, for any number of examples, and only jax and
flatbuffers are needed to load it. JAX promises to load files of versions up to six months older, and often
loads older ones, but not those of newer versions: export with the oldest version that has to load them.

onnx is for onnxruntime. It needs jax2onnx 0.17.1 or newer. jax2onnx asks for an older orbax-checkpoint than
jaxae does, so install it in an environment of its own, without its dependencies:

    python -m venv onnx
    onnx/bin/pip install . onnx onnx-ir onnxruntime
    onnx/bin/pip install --no-deps 'jax2onnx>=0.17.1'
    onnx/bin/jaxae export RUN --out DIR --format onnx

safetensors contains the parameters as float32, without the functions. The names of arrays are their paths in
the parameters, such as encoder/layer_0/kernel.
"""

import dataclasses
from pathlib import Path
from typing import Literal

from jaxae.commands import flags


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(flags.Run, flags.Writing):
    """Flags of export."""

    out: Path
    """Write the files to this folder, which is created."""
    format: Literal["stablehlo", "onnx", "safetensors"] = "stablehlo"
    """Write files of this format."""
    overwrite: bool = False
    """Replace the folder, if it contains an earlier export and nothing else."""


def main(config: Config) -> None:
    """Exports a run, and prints what was written."""
    from jaxae.runs.export.exporting import export_run

    run = flags.load(config)
    exported = export_run(run, config.out, format=config.format, overwrite=config.overwrite)
    for reason in exported.manifest.get("notes", ()):
        print(f"note: {reason}")
    for name, entry in exported.manifest["files"].items():
        size = (exported.folder / name).stat().st_size / 1e3
        line = f"{exported.folder / name}: {size:,.0f} kB, largest difference from the model "
        line += f"{entry['largest_difference']:.2g}"
        if "verified_with" in entry:
            line += f" ({entry['verified_with']}; values up to {entry['largest_value']:.2g})"
        print(line)
    print(f"{exported.folder / 'README.txt'}: how to load what was written")
