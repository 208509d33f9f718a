"""Draws new images from a run, and writes each as a PNG file, and all of them in a grid.

    jaxae sample runs/vae -n 100 --out samples
    jaxae sample runs/vae -n 20 --temperature 0.7 --out samples
    jaxae sample runs/autoencoder --fitted --out samples
    jaxae sample runs/adversarial --label 3 --out threes

The files are sample-000.png, sample-001.png and so on, and grid.png. An image is the mean of p(x | z) at a
code z that is drawn from the prior. With --overwrite, all files of these names in the folder are replaced,
so that none of an earlier, longer set remains.
"""

import dataclasses
import re
from pathlib import Path
from typing import Annotated, Any

import tyro

from jaxae.commands import flags

IN_GRID, COLUMNS = 400, 10
"""Images in the grid, at most, and in each of its rows."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(flags.Run, flags.Writing):
    """Flags of sample."""

    count: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 100
    """Draw this number of images."""
    out: Path
    """Write the images to this folder."""
    seed: int = 0
    """Draw from this seed. The same seed gives the same images."""
    temperature: float = 1.0
    """Multiply the distance of each code from the mean of the prior by this. With less than 1, images are
    more alike and often more realistic."""
    label: int | None = None
    """Draw from the class with this number: of a model with classes in its prior or a condition, or, with
    --fitted, of the training images."""
    fitted: bool = False
    """Draw codes from a normal distribution with the mean and the covariance of the codes of the training
    images, instead of the prior. Autoencoders without a prior need it."""
    data_dir: str | None = None
    """Read the training images, for --fitted, from this folder of tensorflow_datasets. The default is the
    one that the run was trained with, TFDS_DATA_DIR or ~/tensorflow_datasets."""


def main(config: Config) -> None:
    """Draws images, and writes the files."""
    import numpy as np

    from jaxae.data.messages import counted
    from jaxae.runs import sampling, sources
    from jaxae.runs.figures import grid
    from jaxae.runs.notes import warnings_as_notes
    from jaxae.runs.outputs import is_ours, output_folder, write_picture
    from jaxae.training.progress import stage

    flags.check_positive(count=config.count)
    flags.check_seed(config.seed)
    if config.temperature < 0:
        raise ValueError(f"--temperature must not be negative, got {config.temperature}")
    if config.label is not None and config.label < 0:
        raise ValueError(f"--label must not be negative, got {config.label}")
    digits = max(3, len(str(config.count - 1)))
    names = [f"sample-{i:0{digits}d}.png" for i in range(config.count)]
    folder = output_folder(config.out, ["grid.png", *names], overwrite=config.overwrite)
    run = flags.load(config)
    options: dict[str, Any] = {
        "seed": config.seed,
        "temperature": config.temperature,
        "label": config.label,
    }
    with stage(f"drawing {counted(config.count, 'image')}"), warnings_as_notes():
        if config.fitted:
            images = sampling.draw_fitted(run, config.count, data_dir=config.data_dir, **options)
        else:
            images = sampling.draw(run, config.count, **options)
    images = sources.as_images(run, images)
    with stage("writing"):
        for name, image in zip(names, images, strict=True):
            write_picture(image, folder / name)
        if config.overwrite:  # what is left of an earlier call for more images
            for path in folder.glob("sample-*.png"):
                if (
                    re.fullmatch(r"sample-\d{3,}\.png", path.name)
                    and path.name not in names
                    and is_ours(path)
                ):
                    path.unlink()
        shown = min(config.count, IN_GRID)
        columns = min(shown, COLUMNS)
        blank = np.ones((-shown % columns, *images.shape[1:]), np.float32)
        grid(
            np.concatenate([images[:shown], blank]),
            folder / "grid.png",
            title=f"{flags.name_of(run)}: {_described(config, shown)}",
            columns=columns,
        )
    print(f"{folder}: {names[0]} ... {names[-1]}, grid.png")


def _described(config: Config, shown: int) -> str:
    of = "" if shown == config.count else f" of {config.count:,}"
    what = (
        "decoded draws from a normal distribution fitted to codes" if config.fitted else "samples"
    )
    label = "" if config.label is None else f" of class {config.label}"
    cold = "" if config.temperature == 1 else f", temperature {config.temperature:g}"
    return f"{shown}{of} {what}{label}{cold}"
