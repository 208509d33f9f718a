"""The lectures as one page: every system, formula and figure, computed, measured and judged.

    python -m experiments.lectures --quick
    python -m experiments.lectures --quick --run-dir runs/lectures
    python -m experiments.lectures --dataset mnist

The rows of four lectures on autoencoders are run one after another. The page, `lectures.html` in the run
folder, is one file without links to others. For each row it has the formula, the command that repeats the
run, the figure, the number, what it should be, and whether it is. A row that does not work is red; the exit
code is then 1.

With --quick the networks are small and the trainings are short, and nothing has to be downloaded: in place
of photographs there are drawn faces and tinted digits. Without it, the experiments have their default
settings, and CelebA and CIFAR-10 are used where they are found; this takes hours.

A run that was stopped is resumed by the same command with the same --run-dir. What is complete is not run
again.
"""

import experiments  # noqa: F401  # isort: skip  (finds the packages, also for a script)

import dataclasses
from typing import Any, ClassVar, Literal

import jaxae
from experiments.lectures.running import Settings, run_rows
from jaxae.runs.command import resumable
from jaxae.runs.folder import Run, new_directory
from jaxae.runs.identity import fingerprint


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Flags of the page of the lectures."""

    title: ClassVar[str] = "Options of the lectures"
    distributed: ClassVar[bool] = False

    quick: bool = False
    """Train small networks briefly, so that the page is complete in about 12 minutes on two cores."""
    dataset: Literal["mnist5k", "mnist"] = "mnist5k"
    """Use these digits; mnist5k needs no download."""
    data_dir: str | None = None
    """Read data sets of tensorflow_datasets from this folder. The default is TFDS_DATA_DIR or
    ~/tensorflow_datasets."""
    run_dir: str | None = None
    """Write the page and all runs to this folder. The default is a new folder in runs/."""


def main(config: Config) -> dict[str, Any]:
    """Runs all rows, writes the page, and returns whether each row holds.

    Raises:
      SystemExit: with code 1, if a row does not hold.
    """
    digits = jaxae.load(config.dataset, data_dir=config.data_dir)
    directory = config.run_dir or new_directory("lectures", config.dataset)
    values = {"experiment": "lectures", "dataset": config.dataset, "quick": config.quick}
    run = Run(directory, values | {"data": {"training images": fingerprint(digits.train.images)}})
    settings = Settings(run.directory, config.dataset, config.quick, config.data_dir)
    with resumable(run):
        results = run_rows(settings)
        run.finish(results)
    if not all(results.values()):
        raise SystemExit(1)
    return results
