"""Reconstructs pictures by a trained run; what that means is what the run was trained for.

    jaxae reconstruct runs/vae-mnist5k-... digit.png --out reconstructed
    jaxae reconstruct runs/denoising-mnist5k-... noisy.png another.png --out clean
    jaxae reconstruct runs/colorization-cifar10-... photos/ --out colored
    jaxae reconstruct runs/autoencoder-mnist5k-... images.npz --out reconstructed

A run of denoising removes noise, colorization adds colours (those of the picture are ignored),
super_resolution enlarges, inpainting fills transparent pixels, and translation makes an image of the other
kind. Every other run with an encoder encodes and decodes the picture.

A U-Net takes pictures of any size. For a network with a bottleneck, the square in the middle of a picture is
resized to the size of the training images, and the result has that size; a colorized or inpainted picture
keeps its own.

A picture NAME.jpg gives NAME-reconstructed.png, or -denoised, -colorized, -super_resolved, -inpainted or
-translated. An array of images, .npy or .npz, gives an .npz file with the array images, floats in [0, 1]. A
picture that cannot be read does not stop the others.
"""

import dataclasses
import functools

import tyro

from jaxae.runs import painting, picture_files
from jaxae.runs.loading import load_run
from jaxae.training import progress


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Flags of `jaxae reconstruct`."""

    run: tyro.conf.Positional[str]
    """Use the run in this folder."""
    pictures: tyro.conf.Positional[tuple[str, ...]]
    """Read these picture files, folders of pictures, or arrays of images (.npy, .npz)."""
    out: str
    """Write the results to this folder."""
    part: str | None = None
    """Use this model of a run that has trained several. The default is its main one."""
    overwrite: bool = False
    """Replace results that exist."""


def main(config: Config) -> None:
    """Reconstructs pictures and arrays, and prints the files that it has written."""
    if not config.pictures:
        raise ValueError("which pictures? Give files or folders after the run")
    run = load_run(config.run, config.part)
    task = painting.task_of(run)
    targets = picture_files.name_results(
        config.pictures, config.out, task.result, overwrite=config.overwrite
    )
    # One bar at a time: of the files, or of the parts of the only one.
    several = len(targets) > 1
    is_array = picture_files.is_array(next(iter(targets)))
    files, chunks, tiles = (
        functools.partial(progress.track, text=text) if shown else iter
        for text, shown in (
            ("files", several),
            ("parts of the array", not several and is_array),
            ("tiles", not several and not is_array),
        )
    )
    picture_files.apply(
        targets,
        task.make(run, tiles),
        inputs=run.inputs,
        uses_alpha=task.uses_alpha,
        track=files,
        track_chunks=chunks,
    )
