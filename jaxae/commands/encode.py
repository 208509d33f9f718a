"""Writes the codes of pictures, of array files or of a data set: an .npz file and a .csv file.

    jaxae encode runs/vae photo.png scan.jpg --out codes.npz
    jaxae encode runs/vae pictures/ --out codes.npz
    jaxae encode runs/vae --dataset fashion_mnist --split test --out codes.npz

The .npz file has the arrays codes, files (or index, for a data set), labels and classes where they are
known, and mean and std: of each latent dimension over the training images. The .csv file has the same
codes, a line for each image: file (or index), label, z0, z1, ...

Pictures are cut to the square in the middle and resized to the size that the run was trained on. The names
of the subfolders of a folder are the labels of its pictures.
"""

import dataclasses
import sys
from pathlib import Path
from typing import Any, Literal

import tyro

from jaxae.commands import flags


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(flags.Run, flags.Reading, flags.Writing):
    """Flags of encode."""

    pictures: tyro.conf.Positional[tuple[str, ...]] = ()
    """Pictures, folders of pictures, and .npy or .npz files of images. Without any, the images of
    --dataset are encoded."""
    out: Path
    """Write the codes to this .npz file, and to the .csv file beside it."""
    dataset: str | None = None
    """Encode this data set: a name, a folder or a file. The default is that of the run."""
    split: Literal["train", "validation", "test"] = "test"
    """Encode these images of the data set."""


def main(config: Config) -> None:
    """Encodes what the flags name, and writes the files."""
    from jaxae.data.messages import counted
    from jaxae.runs import code_files, sources
    from jaxae.runs.notes import warnings_as_notes
    from jaxae.runs.outputs import output_file
    from jaxae.training.progress import stage

    if config.pictures and config.dataset is not None:
        raise ValueError("give pictures or --dataset, not both")
    path = output_file(
        config.out, ".npz", overwrite=config.overwrite, others=(".csv",), sources=config.pictures
    )
    if config.levels is not None:
        flags.check_positive(levels=config.levels)
    run = flags.load(config)
    reading: dict[str, Any] = {"channels": config.channels, "levels": config.levels}
    with warnings_as_notes(), stage("reading"):
        if config.pictures:
            examples = sources.read_pictures(run.inputs, config.pictures, **reading)
        else:
            examples = sources.read_data(
                run, config.dataset, config.split, data_dir=config.data_dir, **reading
            )
    flags.say(examples)
    with stage(f"encoding {counted(len(examples.images), 'image')}"):
        codes = sources.encode(run, examples.images)
    written = code_files.write(path, codes, examples, mean=run.code_mean, std=run.code_std)
    if run.code_mean is None:
        print(
            "note: the run has no mean and standard deviation of its training codes: its training has not "
            "ended, or its codes are several arrays or have very many values",
            file=sys.stderr,
        )
    print("\n".join(written))
    flags.check_read(examples)
