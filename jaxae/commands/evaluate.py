"""Evaluates a trained run: every measure that its model and the data have.

    jaxae evaluate runs/vae
    jaxae evaluate runs/vae --samples 5000 --out table.json
    jaxae evaluate runs/vae --dataset fashion_mnist

The measures are bounds on log p(x) and its estimate, the error of reconstructions (squared error, PSNR,
SSIM), classifiers of codes (linear and nearest neighbours) and K-means clusters where labels are known,
active units, and the KL divergence of each latent dimension. A line says why a measure is missing. On the
test set of the run, the values are those that its experiment reports.
"""

import dataclasses
import sys
from pathlib import Path
from typing import Any, Literal

import numpy as np

import jaxae
from jaxae.commands import flags
from jaxae.data.images import resize
from jaxae.data.loading import Images, Splits, load
from jaxae.data.messages import counted
from jaxae.runs.evaluation import Table, evaluate_run
from jaxae.runs.folder import write_json
from jaxae.runs.inputs import Inputs
from jaxae.runs.loading import TrainedRun
from jaxae.runs.outputs import output_file
from jaxae.runs.quantities import quantity
from jaxae.runs.sources import is_own
from jaxae.runs.tables import number, print_rows
from jaxae.training.progress import stage


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(flags.Reading, flags.Writing, flags.Run):
    """Flags of evaluate."""

    dataset: str | None = None
    """Evaluate on this data set instead of that of the run: mnist5k or digits, the name of an image
    data set of tensorflow_datasets, a folder of images, or an .npy or .npz file."""
    split: Literal["train", "validation", "test"] = "test"
    """Evaluate on these images."""
    samples: int = 200
    """Estimate log p(x) with this number of importance samples for each image; 0 leaves it out."""
    out: str | None = None
    """Write the table to this .json file."""


def main(config: Config) -> dict[str, Any]:
    """Prints the table, and writes it to a file if one is named.

    Raises:
      ValueError: if the folder is no run, the data do not fit it, or the file exists.
    """
    if config.samples < 0:
        raise ValueError(f"--samples must not be negative, got {config.samples}")
    out = None
    if config.out is not None:
        root = Path(config.run).expanduser()
        own = [root / name for name in ("config.json", "results.json", "codes.json")]
        out = output_file(config.out, ".json", overwrite=config.overwrite, sources=own)
    run = flags.load(config)
    notes: list[str] = []
    with stage("reading the data"):
        data = fitting_data(run, config, notes)
    table = evaluate_run(run, data, split=config.split, samples=config.samples)
    dataset = config.dataset or run.inputs.dataset
    if not run.results:
        notes.append("the run has no results yet; these are of its best parameters so far")
    notes += [note for note in data.test.notes if config.split == "test"]
    show(run, table, f"{Path(dataset).name}, {config.split}", config.samples)
    for note in (*notes, *table.notes):
        print(f"note: {note}", file=sys.stderr)
    record = {
        "run": str(run.root),
        "part": run.part,
        "dataset": dataset,
        "split": config.split,
        "images": table.images,
        "importance_samples": config.samples if "nll" in table.results else None,
        "results": table.results,
        "missing": table.missing,
        "kl_per_dimension": None
        if table.kl_per_dimension is None
        else table.kl_per_dimension.tolist(),
        "notes": [*notes, *table.notes],
        "versions": {"jaxae": jaxae.__version__},
    }
    if out is not None:
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            write_json(out, record)
        except OSError as error:
            raise ValueError(f"{out} cannot be written: {error.strerror}") from error
        print(out)
    return record


def fitting_data(run: TrainedRun, config: Config, notes: list[str]) -> Splits:
    """The data of a run, or another data set with images as those of the run.

    Args:
      run: the run.
      config: the flags; of the other data set, if they name one.
      notes: a line is added for each change of the images.

    Raises:
      ValueError: if there are no such data, or they cannot be made to fit.
    """
    dataset, i = config.dataset, run.inputs
    if dataset is None or is_own(i, dataset):
        return run.load_data(config.data_dir, channels=config.channels, levels=config.levels)
    h, w, c = i.shape
    data = load(
        dataset,
        data_dir=config.data_dir or i.data_dir,
        image_size=i.image_size,
        channels=config.channels,
        levels=config.levels,
    )
    found = data.test.images.shape[1:]
    if found[:2] != (h, w):
        if h != w:
            raise ValueError(
                f"the images of {dataset} are {found[0]} x {found[1]}, and the run was trained on images "
                f"of {h} x {w}, which are not square; resize them first"
            )
        notes.append(
            f"the images of {dataset} ({found[0]} x {found[1]}) are cut to squares and resized to {h} x {w}"
        )
        data = Splits(*(_resized(part, h) for part in data))
    if found[2] != c:
        if {found[2], c} != {1, 3}:
            raise ValueError(
                f"the images of {dataset} have {found[2]} channels, and the run was trained on images "
                f"with {c}"
            )
        notes.append(
            f"the {'grey' if c == 3 else 'colour'} images of {dataset} are "
            f"{'repeated in three channels' if c == 3 else 'converted to grey levels'}"
        )
        data = Splits(*(_channels(part, i) for part in data))
    return data


def _resized(part: Images, size: int) -> Images:
    images = [resize(np.asarray(image), size) for image in part.images]
    return part._replace(images=np.stack(images) if images else np.asarray(part.images[:0]))


def _channels(part: Images, inputs: Inputs) -> Images:
    plain = inputs._replace(seen=None)
    images = np.asarray(part.images[:])
    return part._replace(images=plain.prepare(list(images)) if len(images) else images)


def show(run: TrainedRun, table: Table, title: str, samples: int) -> None:
    """Prints the measures, what is missing and why, and the KL divergence of each dimension."""
    rows = {}
    for name, value in table.results.items():
        words, unit, _ = quantity(name)
        if name == "nll":
            words = f"{words} with {samples} importance samples"
        rows[words] = [number(value), unit]
    where = f"{run.root.name}/{run.part}" if run.part else run.root.name
    print_rows(f"{where} on {title}: {counted(table.images, 'image')}", ("value", "unit"), rows)
    if table.kl_per_dimension is not None:
        kl = table.kl_per_dimension
        order = np.argsort(-kl, kind="stable")
        listed = "  ".join(f"{i}: {kl[i]:.2f}" for i in order[:20])
        more = f"  ... ({len(kl)} dimensions)" if len(kl) > 20 else ""
        print(f"KL divergence by latent dimension, nats: {listed}{more}")
    reasons: dict[str, list[str]] = {}
    for name, why in table.missing.items():
        words = "KL divergence by dimension" if name == "kl_per_dimension" else quantity(name).words
        reasons.setdefault(why, []).append(words)
    for why, names in reasons.items():
        print(f"missing: {'; '.join(names)}: {why}")
