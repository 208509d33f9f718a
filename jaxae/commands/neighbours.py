"""Finds the images whose codes are nearest to those of pictures, and draws them.

    jaxae neighbours runs/vae a.png b.png --out neighbours.png
    jaxae neighbours runs/vae a.png --split test --count 20

By default the training images of the run are searched. The distance between codes is Euclidean.
"""

import dataclasses
from pathlib import Path
from typing import Any, Literal

import tyro

from jaxae.commands import flags


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(flags.Run, flags.Reading, flags.Writing):
    """Flags of neighbours."""

    pictures: tyro.conf.Positional[tuple[str, ...]]
    """Find the neighbours of these pictures, folders of pictures, and .npy or .npz files of images."""
    out: Path = Path("neighbours.png")
    """Write the figure to this .png file."""
    count: int = 8
    """Find this number of images for each picture. The figure shows at most 30, and the table all."""
    dataset: str | None = None
    """Search this data set: a name, a folder or a file. The default is that of the run."""
    split: Literal["train", "validation", "test"] = "train"
    """Search these images of the data set."""


SPLITS = {"train": "training images", "validation": "validation images", "test": "test images"}
SHOWN = 30
"""Pictures, at most, and neighbours of each that the figure shows; the table has all."""


def main(config: Config) -> None:
    """Finds the neighbours, and prints and draws them."""
    import numpy as np
    from rich.table import Table

    from jaxae.analysis import k_nearest
    from jaxae.data.messages import counted
    from jaxae.runs import sources
    from jaxae.runs.figures import rows
    from jaxae.runs.notes import warnings_as_notes
    from jaxae.runs.outputs import output_file
    from jaxae.training.progress import stage

    flags.check_positive(count=config.count)
    path = output_file(config.out, ".png", overwrite=config.overwrite, sources=config.pictures)
    if config.levels is not None:
        flags.check_positive(levels=config.levels)
    run = flags.load(config)
    reading: dict[str, Any] = {"channels": config.channels, "levels": config.levels}
    examples = sources.read_pictures(run.inputs, config.pictures, **reading)
    flags.say(examples)
    if len(examples.images) > SHOWN:
        raise ValueError(
            f"{len(examples.images):,} pictures are too many for a figure; give at most {SHOWN}"
        )
    with warnings_as_notes(), stage("reading the images to search"):
        data = sources.read_data(
            run, config.dataset, config.split, data_dir=config.data_dir, **reading
        )
    flags.say(data)
    with stage(f"encoding {counted(len(data.images), 'image')}"):
        ours, theirs = (
            sources.single_code(sources.encode(run, each.images)) for each in (examples, data)
        )
        found = k_nearest(
            ours.reshape(len(ours), -1),
            theirs.reshape(len(theirs), -1),
            min(config.count, len(data.images)),
        )
    shown = sources.as_shown(run, examples.images)
    pictures, table = {}, Table("picture", "", f"{config.split} image", "label", "distance")
    for i, (which, distance) in enumerate(zip(found.which, found.distance, strict=True)):
        near = sources.as_shown(run, np.stack([data.images[int(j)] for j in which[:SHOWN]]))
        pictures[examples.title(i)] = np.concatenate([shown[i : i + 1], near])
        for rank, (j, d) in enumerate(zip(which, distance, strict=True), 1):
            name = examples.title(i) if rank == 1 else ""
            table.add_row(name, str(rank), str(j), data.label(int(j)), f"{d:.4g}")
        table.add_section()
    of = "" if config.dataset is None else f" of {Path(config.dataset).name}"
    rows(
        pictures,
        path,
        title=f"{flags.name_of(run)}: pictures, and the {SPLITS[config.split]}{of} with the nearest codes",
        columns=["picture", *map(str, range(1, min(found.which.shape[1], SHOWN) + 1))],
    )
    flags.print_table(table)
    print(f"{path}: {counted(len(found.which), 'picture')} and the nearest images")
    flags.check_read(examples)
