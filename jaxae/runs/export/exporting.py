r"""Exports: the functions or the weights of a model in files for programs that do not have jaxae.

An export is a folder with the files, `manifest.json`, which describes them for programs, and
`README.txt`, which shows how to use them. It is written only if the files compute what the model
computes:

.. math:: \max |f_{\mathrm{file}}(x) - f(x)| \le \varepsilon \max |f(x)| + 10^{-5}
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from jaxae.arguments import checked
from jaxae.base import Params, Tree
from jaxae.composition import Autoencoder
from jaxae.runs.export import onnx, stablehlo, weights
from jaxae.runs.export.folder import check_folder, describe, finish, new_folder
from jaxae.runs.export.functions import Format, functions
from jaxae.runs.export.verification import verify
from jaxae.runs.loading import TrainedRun
from jaxae.training.progress import stage

FunctionFormat = Literal["stablehlo", "onnx"]
FORMATS: dict[str, Format] = {
    "stablehlo": stablehlo.FORMAT,
    "onnx": onnx.FORMAT,
}

SEEN = {
    "denoise": "x is the noisy image",
    "colorize": "x has the grey levels of the image in each of its channels",
    "enlarge": "x is the small image, enlarged to this size by cubic interpolation",
    "inpaint": "x is the image with 0.5 where pixels are missing, and with a last channel that is 1 there "
    "and 0 elsewhere",
    "translate": "x is an image of the kind that is translated",
}
"""What the encoder sees in runs that make one image from another."""


class Export(NamedTuple):
    """What was exported.

    Attributes:
      folder: with the files.
      manifest: the contents of manifest.json: for each file its inputs and outputs with names, shapes,
        types and ranges, and the largest difference from the model.
    """

    folder: Path
    manifest: dict[str, Any]


@checked
def export_functions(
    model: Autoencoder,
    params: Params,
    shape: Sequence[int],
    out: str | Path,
    *,
    format: FunctionFormat = "stablehlo",
    condition: Tree | None = None,
    about: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> Export:
    """Writes the encoder and the decoder of a model, with the parameters inside, and verifies them.

    The functions take any number of examples. The encoder is left out where the model has none.

    Args:
      model: any autoencoder.
      params: its parameters.
      shape: of one example, as the encoder sees it.
      out: the folder to write.
      format: "stablehlo", for JAX on CPU, GPU and TPU, which needs flatbuffers; or "onnx", which needs
        jax2onnx.
      condition: examples of the condition of a conditional model, a tree of arrays `[n, ...]`.
      about: plain values that are added to the manifest.
      overwrite: whether an earlier export in this folder is replaced.
      progress: whether to say on standard error what is being done.

    Returns:
      an :class:`Export`.

    Raises:
      ValueError: if a package is missing, the folder exists, the model cannot be exported, or the files do
        not compute what the model computes; nothing is written then.

    Examples:
      >>> import jax, jaxae, numpy as np, tempfile
      >>> from jaxae.networks import mlp_decoder, mlp_encoder
      >>> model = jaxae.vae(mlp_encoder(4, (8,)), mlp_decoder((6, 5, 1), (8,)), latent_dim=2)
      >>> params = model.init(jax.random.key(0), np.zeros((1, 6, 5, 1)))
      >>> folder = Path(tempfile.mkdtemp()) / "vae"
      >>> exported = export_functions(model, params, (6, 5, 1), folder, progress=False)
      >>> sorted(path.name for path in folder.iterdir())
      ['README.txt', 'decoder.stablehlo', 'encoder.stablehlo', 'manifest.json']
      >>> exported.manifest["files"]["encoder.stablehlo"]["outputs"]
      [{'name': 'z', 'shape': ['b', 2], 'type': 'float32'}]

    References:
      `Exporting with JAX <https://docs.jax.dev/en/latest/export/export.html>`_; `ONNX <https://onnx.ai>`_.
    """
    if format not in FORMATS:
        raise ValueError(f"there is no format {format!r}, only {', '.join(FORMATS)}")
    out, kind = Path(out).expanduser(), FORMATS[format]
    check_folder(out, overwrite)
    kind.check_installed()
    with stage("evaluating the model", shown=progress):
        found, missing = functions(model, params, shape, condition=condition)
    files: dict[str, Any] = {}
    unit = model.model.unit or len(shape) == 3
    with new_folder(out) as folder:
        for function in found:
            path = folder / f"{function.name}{kind.suffix}"
            with stage(f"exporting the {function.name}", shown=progress):
                kind.write(function, path)
            with stage(f"verifying the {function.name}", shown=progress):
                files[path.name] = describe(function, unit) | verify(function, path, kind)
        if format == "stablehlo":
            for entry in files.values():
                entry["platforms"] = list(stablehlo.PLATFORMS)
        more = {"format": format, "model": model.model.name, **(about or {})}
        more["notes"] = [*missing, *more.get("notes", ())]
        manifest = finish(folder, files, more, kind.example(found))
    return Export(out, manifest)


@checked
def export_weights_of(
    model: Autoencoder,
    params: Params,
    out: str | Path,
    *,
    about: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Export:
    """Writes the parameters of a model as a safetensors file, and verifies it.

    Floats are written as float32; arrays have the names of their paths, such as
    `encoder/layer_0/kernel`.

    Args:
      model: any autoencoder.
      params: its parameters.
      out: the folder to write.
      about: plain values that are added to the manifest.
      overwrite: whether an earlier export in this folder is replaced.

    Returns:
      an :class:`Export`.

    Raises:
      ValueError: if safetensors is not installed, the folder exists, or what is read back differs.

    References:
      `safetensors <https://github.com/huggingface/safetensors>`_.
    """
    out = Path(out).expanduser()
    check_folder(out, overwrite)
    weights.check_installed()
    arrays = weights.named_arrays(params)
    with new_folder(out) as folder:
        path = folder / weights.FILE
        difference = weights.write(arrays, path)
        described = {
            name: {"shape": list(array.shape), "type": str(array.dtype)}
            for name, array in arrays.items()
        }
        files = {path.name: {"arrays": described, "largest_difference": difference}}
        more = {"format": "safetensors", "model": model.model.name, **(about or {})}
        manifest = finish(folder, files, more, weights.EXAMPLE)
    return Export(out, manifest)


def export_run(
    run: TrainedRun,
    out: str | Path,
    *,
    format: Literal["stablehlo", "onnx", "safetensors"] = "stablehlo",
    overwrite: bool = False,
    progress: bool = True,
) -> Export:
    """Exports a trained run: its encoder and its decoder, or its weights.

    Args:
      run: of :func:`jaxae.load_run`.
      out: the folder to write.
      format: "stablehlo" or "onnx", see :func:`export_functions`; "safetensors", see
        :func:`export_weights_of`.
      overwrite: whether an earlier export in this folder is replaced.
      progress: whether to say on standard error what is being done.

    Raises:
      ValueError: as by these functions.
    """
    inputs = run.inputs
    about: dict[str, Any] = {
        "notes": _notes(run),
        "run": {name: run.config.get(name) for name in ("experiment", "part", "seed", "epochs")},
        "dataset": Path(inputs.dataset).name,
        "classes": list(inputs.classes),
        "use": run.use,
        "recipe": run.recipe,
        "code_mean": None if run.code_mean is None else run.code_mean.tolist(),
        "code_std": None if run.code_std is None else run.code_std.tolist(),
    }
    if format == "safetensors":
        return export_weights_of(run.model, run.params, out, about=about, overwrite=overwrite)
    return export_functions(
        run.model,
        run.params,
        inputs.seen_shape,
        out,
        format=format,
        about=about,
        overwrite=overwrite,
        progress=progress,
    )


def _notes(run: TrainedRun) -> list[str]:
    """What one has to know of the inputs and the results, in sentences."""
    found = []
    if (task := run.use["task"]) in SEEN:
        found.append(f"{SEEN[task]}, and y is the result: y = decoder(encoder(x))")
    if (count := run.use.get("symmetries", 1)) != 1:
        found.append(
            f"the results of the run are averages over {count} symmetries of x, and these are of one"
        )
    if run.inputs.binarize:
        found.append("the model was trained on pixels that are black (0) or white (1)")
    return found
