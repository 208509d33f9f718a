"""Reconstructs pictures with a trained run: it does to them what the run was trained for.

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
from typing import Literal

import tyro

from jaxae.commands import flags


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(flags.Run, flags.Writing):
    """Flags of reconstruct."""

    pictures: tyro.conf.Positional[tuple[str, ...]]
    """Read these picture files, folders of pictures, or .npy or .npz files of images."""
    out: str
    """Write the results to this folder."""
    channels: Literal["first", "last"] | None = None
    """Axis of the channels in an .npy or .npz file: second ([n, c, h, w]) or last ([n, h, w, c]). It is
    needed only if the shape is ambiguous; the default is then that of the training images."""
    levels: int | None = None
    """Value of white in arrays or pictures, for example 4095 for 12 bits. The default is the one that the
    run was trained with; if it had none, white is found from the type and the values."""


def main(config: Config) -> None:
    """Reconstructs pictures and arrays, and prints the files that it has written."""
    import functools

    from jaxae.runs import painting, picture_files
    from jaxae.training import progress

    if config.levels is not None:
        flags.check_positive(levels=config.levels)
    run = flags.load(config)
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
        run.inputs,
        channels=config.channels,
        levels=config.levels,
        uses_alpha=task.uses_alpha,
        track=files,
        track_chunks=chunks,
    )
