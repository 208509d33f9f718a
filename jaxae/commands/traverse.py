"""Changes one latent dimension at a time, and draws the decoded images: a row for each dimension.

    jaxae traverse runs/vae --out traversals.png
    jaxae traverse runs/vae face.png --dimensions 5 --out face.png

A dimension goes from -3 to 3 standard deviations of the codes of the training images around their mean. The
others stay as in the code of the picture or, without a picture, at their means. The rows are sorted by the
standard deviation: in a VAE, dimensions that carry no information are the last.
"""

import dataclasses
from pathlib import Path

import tyro

from jaxae.commands import flags


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(flags.Run, flags.Writing):
    """Flags of traverse."""

    picture: tyro.conf.Positional[str | None] = None
    """Start from the code of this picture."""
    out: Path = Path("traversals.png")
    """Write the figure to this .png file."""
    dimensions: int = 10
    """Show this number of latent dimensions, at most."""
    steps: int = 7
    """Show this number of images in each row."""
    deviations: float = 3.0
    """Go this number of standard deviations to either side of the mean."""


def main(config: Config) -> None:
    """Draws the traversals."""
    import jax.numpy as jnp
    import numpy as np

    from jaxae.analysis import traversals
    from jaxae.data.messages import counted
    from jaxae.runs import sources
    from jaxae.runs.figures import rows
    from jaxae.runs.outputs import output_file
    from jaxae.training.progress import stage

    flags.check_positive(dimensions=config.dimensions, deviations=config.deviations)
    if config.steps < 2:
        raise ValueError(f"--steps must be at least 2, got {config.steps}")
    path = output_file(
        config.out,
        ".png",
        overwrite=config.overwrite,
        sources=[config.picture] if config.picture else [],
    )
    run = flags.load(config)
    if run.model.model.posterior is None:
        raise ValueError(
            f"{run.directory} is a run of {run.model.model.name}, which has no encoder and so no codes of "
            "training images"
        )
    if run.code_mean is None or run.code_std is None:
        raise ValueError(
            f"{config.run} has no mean and standard deviation of its training codes: its training has not "
            "ended, or its codes are several arrays or have very many values"
        )
    mean, std = run.code_mean.ravel(), run.code_std.ravel()
    code = mean
    if config.picture is not None:
        examples = sources.read_pictures(run.inputs, [config.picture])
        flags.say(examples)
        if len(examples.images) > 1:
            raise ValueError(f"{config.picture} has {len(examples.images):,} pictures; give one")
        code = sources.single_code(sources.encode(run, examples.images))[0].ravel()
    widest = np.argsort(-std, kind="stable")[: config.dimensions]
    sigmas = np.linspace(-config.deviations, config.deviations, config.steps)
    values = mean[:, None] + std[:, None] * sigmas
    with stage(f"decoding {counted(len(widest) * config.steps, 'code')}"):
        codes = np.asarray(traversals(jnp.asarray(code), jnp.asarray(values)))[widest]
        images = sources.as_images(run, run.decode(codes.reshape(-1, *run.code_mean.shape)))
    images = images.reshape(len(widest), config.steps, *images.shape[1:])
    start = "their means" if config.picture is None else f"the code of {Path(config.picture).name}"
    rows(
        {f"z{d}\n(sd {std[d]:.2g})": images[i] for i, d in enumerate(widest)},
        path,
        title=f"{flags.name_of(run)}: one latent dimension changes in each row, the others are at {start}",
        columns=[f"{s:+.3g} sd" if s else "0" for s in sigmas],
    )
    of = f" of {len(std)}" if len(std) > len(widest) else ""
    print(f"{path}: {len(widest)}{of} latent dimensions, those with the largest deviation first")
