"""Decodes the codes between two or more pictures, as a strip of images and as an animation.

    jaxae interpolate runs/vae a.png b.png --out between
    jaxae interpolate runs/vae a.png b.png c.png --path spherical --out between
    jaxae interpolate runs/vae --out between

Without pictures, test images of different classes are taken. The files are strip.png and
interpolation.gif, and in colour also interpolation.png: an animated PNG, which browsers play. It has all
colours, whereas a GIF has 256.
"""

import dataclasses
from pathlib import Path
from typing import Literal

import tyro

from jaxae.commands import flags

FRAMES, SECONDS = 24, 0.08
"""Images of the animation from each picture to the next, and how long each is shown."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(flags.Run, flags.Writing):
    """Flags of interpolate."""

    pictures: tyro.conf.Positional[tuple[str, ...]] = ()
    """Two or more pictures, in this order."""
    out: Path
    """Write the files to this folder."""
    steps: int = 9
    """Show this number of decoded codes from each picture to the next in the strip, both ends included."""
    path: Literal["linear", "spherical"] = "linear"
    """Follow a straight line, or an arc on which codes keep their length."""


def main(config: Config) -> None:
    """Interpolates between pictures, and writes the files."""
    import numpy as np

    from jaxae.analysis import between
    from jaxae.runs import sources
    from jaxae.runs.figures import rows
    from jaxae.runs.notes import warnings_as_notes
    from jaxae.runs.outputs import output_folder, write_animation
    from jaxae.training.progress import stage

    if config.steps < 2:
        raise ValueError(f"--steps must be at least 2, got {config.steps}")
    if len(config.pictures) == 1:
        raise ValueError("an interpolation needs two pictures or more, got 1")
    names = ["strip.png", "interpolation.gif", "interpolation.png"]
    output_folder(config.out, names, overwrite=config.overwrite, sources=config.pictures)
    run = flags.load(config)
    with warnings_as_notes():
        if config.pictures:
            examples = sources.read_pictures(run.inputs, config.pictures)
            flags.say(examples)
            if examples.failed:
                raise ValueError(f"nothing is written; {'; '.join(examples.failed)}")
        else:
            examples = sources.of_different_classes(run, 2)
    if len(examples.images) < 2:
        raise ValueError(f"an interpolation needs two pictures or more, got {len(examples.images)}")
    folder = output_folder(config.out, names, overwrite=config.overwrite, sources=config.pictures)
    with stage("interpolating"):
        codes = sources.single_code(sources.encode(run, examples.images))
        flat = codes.reshape(len(codes), -1)

        def decoded(steps: int) -> np.ndarray:
            way = np.asarray(between(flat, steps, spherical=config.path == "spherical"))
            images = sources.as_images(run, run.decode(way.reshape(-1, *codes.shape[1:])))
            return images.reshape(len(codes) - 1, steps, *images.shape[1:])

        strip = decoded(config.steps)
        film = np.concatenate([way[:-1] for way in decoded(FRAMES + 1)])
        film = np.concatenate([film, strip[-1:, -1]])
    shown = sources.as_shown(run, examples.images)
    names_shown = [examples.title(i) for i in range(len(codes))]
    rows(
        {
            f"{names_shown[i]} to\n{names_shown[i + 1]}": np.concatenate(
                [shown[i : i + 1], strip[i], shown[i + 1 : i + 2]]
            )
            for i in range(len(strip))
        },
        folder / "strip.png",
        title=f"{flags.name_of(run)}: {config.path} interpolation between the codes of pictures",
        columns=["picture", *(f"{t:.3g}" for t in np.linspace(0, 1, config.steps)), "picture"],
    )
    there_and_back = np.concatenate([film, film[-2:0:-1]])
    write_animation(there_and_back, folder / "interpolation.gif", seconds=SECONDS)
    written = ["strip.png", "interpolation.gif"]
    if film.shape[-1] == 3:
        write_animation(there_and_back, folder / "interpolation.png", seconds=SECONDS)
        written.append("interpolation.png")
    print(f"{folder}: {', '.join(written)}")
