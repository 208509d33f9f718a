"""One HTML file in which the codes of a trained run are explored."""

import json
import math
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxae.base import Params
from jaxae.data.images import Images
from jaxae.explorer import weights
from jaxae.explorer.content import (
    Content,
    border_level,
    encodes,
    gather,
    principal_axes,
    sprite,
)
from jaxae.explorer.javascript import Constants, generate
from jaxae.explorer.tracing import trace
from jaxae.runs.style import PALETTE, class_name
from jaxae.runtime.files import atomic_write

PIXEL_TOLERANCE = 0.5 / 255
"""How far pixels may be from those of the full weights, so that bytes differ by one at most."""
CODE_TOLERANCE = 0.01
"""How far codes may be, in standard deviations of the codes of the data."""
PROBES = 64
"""Codes and images at which shortened weights are compared with the full ones."""
CHECKS = 3
"""Codes whose images are in the page, by which a browser checks itself."""
SCRIPTS = ("engine.js", "state.js", "drawing.js", "plane.js", "panels.js", "main.js")


def write_explorer(
    run: Any,
    out: str | Path,
    *,
    images: Images | None = None,
    title: str | None = None,
    data_dir: str | Path | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    r"""Writes a page in which the latent space of a run is explored: a file that needs nothing else.

    The decoder and, where there is one, the encoder become JavaScript. Their weights are rounded to the
    fewest bits of those in :data:`jaxae.explorer.weights.BITS` for which

    .. math:: \max_{i, z} |g(z)_i - \tilde g(z)_i| \le \tfrac{1}{2} \cdot \tfrac{1}{255}

    over codes of test images and random codes, so that pixels agree with JAX to one grey level.

    Args:
      run: a trained run, see :func:`jaxae.load_run`.
      out: the file.
      images: images to show, with labels, attributes and classes; by default the test set of the run.
        Where it is not found, the page shows random codes.
      title: of the page.
      data_dir: the folder of tfds data sets, in which the test set of the run is found.
      overwrite: whether a file of this name is replaced.

    Returns:
      what the page contains: `bytes`; `points`, and whether they are those of `images`; whether there is
      an `encoder`; `bits` of the mantissa of the weights, 23 where they are not rounded; `pixel_error`,
      the largest difference by rounding; and a `note` on what is missing.

    Raises:
      ValueError: if the file exists, the codes are no vectors, the images are no pictures, or a network
        has an operation that cannot be translated. Nothing is written then.
    """
    out = check_output(out, overwrite=overwrite)
    model, shape = run.model.model, tuple(run.inputs.shape)
    if len(shape) != 3 or shape[-1] not in (1, 3):
        raise ValueError(
            f"the explorer shows images of one or three channels, and this run is on data of shape {shape}"
        )
    if model.conditional:
        raise ValueError("the explorer cannot show conditional models, which also need a condition")
    if "networks.unet_encoder" in str(run.recipe):
        raise ValueError(
            "the explorer needs codes that are short vectors, and those of a U-Net are all of its features"
        )
    content = gather(run, images, data_dir)
    programs = _compile(run, content)
    values = _values(run, content, title) | programs["values"]
    page = _page(values, programs["source"], programs["weights"])
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(out) as partial:
        partial.write_text(page, encoding="utf-8")
    return programs["report"] | {
        "bytes": len(page.encode()),
        "points": len(content.codes),
        "images": content.images is not None,
        "note": " ".join(part for part in (content.note, programs["note"]) if part),
    }


def check_output(out: str | Path, *, overwrite: bool) -> Path:
    """The path of a file that can be written.

    Raises:
      ValueError: if it is a folder, or exists and is not to be replaced.
    """
    out = Path(out).expanduser()
    if out.is_dir():
        raise ValueError(f"{out} is a folder; name a file, such as {out / 'explorer.html'}")
    if out.exists() and not overwrite:
        raise ValueError(f"{out} exists already; give another --out, or --overwrite")
    return out


def _compile(run: Any, content: Content) -> dict[str, Any]:
    """The networks as JavaScript, with their weights and with results that they must reproduce."""
    seen = tuple(run.inputs.seen_shape)
    some = np.linspace(0, len(content.codes) - 1, PROBES // 2).astype(int)
    codes = np.concatenate([content.codes[some], content.draws[: PROBES // 2]])
    pictures = None
    note = "" if encodes(run) else "The model has no encoder, so the page encodes no pictures."
    ordinary = run.use.get("task", "reconstruct") in ("reconstruct", "denoise")
    if encodes(run) and not (ordinary and seen == tuple(run.inputs.shape)):
        note = "The encoder sees something else than pictures, so the page encodes none."
    elif encodes(run):
        pictures = _probes(content, seen)
    decode, encode = jax.jit(run.model.decode), jax.jit(run.model.encode)
    spread = principal_axes(content.codes)[2]
    scale = float(spread.max()) or 1.0

    image = tuple(jax.eval_shape(decode, run.params, codes).shape[1:])
    if image != tuple(run.inputs.shape):
        raise ValueError(
            f"the explorer needs a decoder of images of shape {tuple(run.inputs.shape)}, and this model "
            f"gives arrays of shape {image}"
        )

    def results(params: Params) -> list[np.ndarray]:
        found = [np.clip(np.asarray(decode(params, codes), np.float32), 0, 1)]
        return found if pictures is None else [*found, np.asarray(encode(params, pictures))]

    tolerances = [PIXEL_TOLERANCE, CODE_TOLERANCE * scale][: 1 if pictures is None else 2]
    params, bits, errors = weights.shortest(run.params, results, tolerances)
    constants = Constants()
    source = _translate("decoder", run.model.decode, params, (1, codes.shape[1]), constants)
    if pictures is not None:
        try:
            source += _translate("encoder", run.model.encode, params, (1, *seen), constants)
        except ValueError as error:
            pictures, note = None, f"The page encodes no pictures: {error}."
    text, kinds = weights.pack(constants.arrays)
    exact = results(run.params)
    at = np.linspace(0, len(codes) - 1, CHECKS).astype(int)
    checks: dict[str, Any] = {"z": weights.floats(codes[at]), "x": weights.floats(exact[0][at])}
    checks["tolerance"] = (8 if _is_half(run, params, codes) else 1) / 255
    values = {"kinds": kinds, "checks": checks, "encodes": pictures is not None, "note": note}
    report = {"bits": bits, "pixel_error": errors[0], "encoder": pictures is not None}
    return {"source": source, "weights": text, "values": values, "report": report, "note": note}


def _is_half(run: Any, params: Params, codes: np.ndarray) -> bool:
    """Whether the decoder computes in bfloat16 inside, which a browser does in float32."""
    return "bf16[" in str(jax.make_jaxpr(run.model.decode)(params, codes[:1]))


def _translate(
    what: str, function: Any, params: Params, shape: Sequence[int], constants: Constants
) -> str:
    try:
        return generate(trace(function, params, shape), constants, what)
    except ValueError as error:
        raise ValueError(f"the {what} cannot be translated to JavaScript: {error}") from None


def _probes(content: Content, seen: Sequence[int]) -> np.ndarray:
    """Images at which encoders are compared."""
    if content.images is None:
        return np.random.default_rng(0).uniform(size=(8, *seen)).astype(np.float32)
    some = np.linspace(0, len(content.images) - 1, PROBES // 2).astype(int)
    return content.images[some].astype(np.float32) / 255


def _values(run: Any, content: Content, title: str | None) -> dict[str, Any]:
    """All that the page shows, as plain values."""
    mean, axes, spread = principal_axes(content.codes)
    plain = content.codes.shape[1] <= 2
    if plain:  # the two values of a code are the axes themselves
        axes, spread = np.eye(len(mean)), content.codes.std(axis=0)
    values: dict[str, Any] = {
        "title": title or _title(run),
        "line": _line(run, content.codes.shape[1]),
        "shape": list(run.inputs.shape),
        "dim": int(content.codes.shape[1]),
        "codes": weights.floats(content.codes),
        "mean": weights.floats(mean),
        "axes": weights.floats(axes),
        "spread": [float(s) for s in spread],
        "draws": weights.floats(content.draws),
        "drawnFrom": content.drawn_from,
        "palette": list(PALETTE),
        "attributes": [
            {
                "name": name.replace("_", " "),
                "z": weights.floats(vector),
                "has": "".join("01"[int(has)] for has in content.attributes[name]),
            }
            for name, vector in content.directions.items()
        ],
        "missing": content.note,
        "background": 0.0,
        "binarize": bool(run.inputs.binarize),
        "sprite": None,
        "labels": None,
        "classes": [],
    }
    if content.images is not None:
        url, columns = sprite(content.images)
        values |= {"sprite": url, "columns": columns, "background": border_level(content.images)}
    if content.labels is not None:
        known = np.unique(content.labels)
        values["labels"] = np.searchsorted(known, content.labels).tolist()
        values["classes"] = [class_name(int(label), content.classes) for label in known]
    return values


NAMES = {
    "vae": "a VAE",
    "autoencoder": "an autoencoder",
    "denoising": "a denoising autoencoder",
    "gan": "a GAN",
    "vae_gan": "a VAE-GAN",
    "linear": "a linear autoencoder",
    "logistic_pca": "logistic PCA",
    "contractive": "a contractive autoencoder",
    "sparse": "a sparse autoencoder",
    "aae": "an adversarial autoencoder",
    "wae": "a Wasserstein autoencoder",
}


def _title(run: Any) -> str:
    name = str(run.config.get("experiment") or run.model.model.name.split("(")[0])
    data = Path(str(run.inputs.dataset or run.config.get("dataset") or "")).stem
    what = NAMES.get(name, name.replace("_", " "))
    part = f" ({run.part})" if getattr(run, "part", "") else ""
    return f"The latent space of {what}{part}" + (f" on {data}" if data else "")


def _line(run: Any, dim: int) -> str:
    h, w, c = run.inputs.shape
    parameters = sum(int(np.size(leaf)) for leaf in jax.tree.leaves(run.params))
    parts = [f"{h} × {w} {'grey levels' if c == 1 else 'colour pixels'}"]
    parts.append(f"{dim} latent dimension{'s' * (dim > 1)}")
    if network := run.config.get("network"):
        parts.append({"mlp": "fully connected", "conv": "convolutional"}.get(network, network))
    parts.append(f"{parameters:,} parameters")
    results = run.results or {}
    for name, text in {
        "test/nll": "NLL {:.1f} nats",
        "test/negative_elbo": "ELBO −{:.1f} nats",
        "test/psnr": "PSNR {:.1f} dB",
    }.items():
        value = results.get(name)
        if "cross-entropy" in str(results.get("protocol")):
            text = text.replace("NLL", "cross-entropy")
        if isinstance(value, int | float) and math.isfinite(value):
            parts.append(text.format(value))
            break
    return " · ".join(parts)


def _page(values: dict[str, Any], source: str, packed: str) -> str:
    """The HTML file."""
    folder = files("jaxae.explorer")

    def read(name: str) -> str:
        return (folder / name).read_text(encoding="utf-8")

    # "</script>" in a name of a class would end the script.
    data = json.dumps(values, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    parts = {
        "TITLE": _escaped(values["title"]),
        "LINE": _escaped(values["line"]),
        "STYLE": read("page.css"),
        "KERNELS": read("kernels.js") + source,
        "WORKER": read("worker.js"),
        "SCRIPT": "\n".join(map(read, SCRIPTS)),
        "WEIGHTS": packed,
        "DATA": data,
    }
    page = read("page.html")
    pieces = []
    for piece in page.split("{{"):
        name, _, rest = piece.partition("}}")
        pieces.append(parts[name] + rest if name in parts else piece)
    return "".join(pieces)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
