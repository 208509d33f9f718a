"""Writes an HTML page on which the latent space of a run is explored in a browser.

    jaxae explore runs/vae-mnist
    jaxae explore runs/vae-mnist --out digits.html --overwrite
    jaxae explore runs/gan --part VAE --out vae.html

The page is one file, which works without a server and without a network: the decoder and the encoder run in
the browser. Move the pointer over the plane of codes and see the decoded image follow, move along the
principal directions of the codes and along attributes, interpolate between two codes, and draw or drop a
picture to encode it. It shows up to 1,000 test images; where the data set of the run is not found, it shows
random codes.

The weights are rounded, at most so far that decoded pixels differ by half a grey level of 255.
"""

import dataclasses
import sys

from jaxae.commands import flags


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(flags.Run, flags.Writing):
    """Flags of explore."""

    out: str = "explorer.html"
    """Write the page to this .html file."""
    heading: str | None = None
    """Give the page this title. The default names the experiment and the data set."""
    data_dir: str | None = None
    """Read data sets of tensorflow_datasets from this folder. The default is the one that the run was
    trained with, TFDS_DATA_DIR or ~/tensorflow_datasets."""


def main(config: Config) -> None:
    """Writes the page, and prints what is in it."""
    from jaxae.explorer.writing import write_explorer
    from jaxae.runs.outputs import output_file
    from jaxae.runs.summary import byte_size
    from jaxae.training.progress import stage

    out = output_file(config.out, ".html", overwrite=config.overwrite)
    run = flags.load(config)
    with stage("encoding the test images, translating the networks and checking them"):
        found = write_explorer(
            run,
            out,
            title=config.heading,
            data_dir=config.data_dir,
            overwrite=config.overwrite,
        )
    weights = "float32" if found["bits"] == 23 else f"rounded to {found['bits']} bits of mantissa"
    what = "test images" if found["images"] else "random codes"
    networks = "decoder and encoder" if found["encoder"] else "decoder"
    if found["note"]:
        print(f"note: {found['note']}", file=sys.stderr)
    print(
        f"{out}: {byte_size(found['bytes'])}, {found['points']:,} {what}, {networks}; weights "
        f"{weights}, pixels within {255 * found['pixel_error']:.2f} of 255 grey levels"
    )
