"""The flags that subcommands share."""

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import tyro

import jaxae

if TYPE_CHECKING:
    from rich.table import Table

    from jaxae.runs.loading import TrainedRun
    from jaxae.runs.sources import Examples


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """The flags of a command that uses a run."""

    title: ClassVar[str] = "Run and files"
    announcement: ClassVar[str] = "loading the run and compiling"

    run: tyro.conf.Positional[str]
    """The run folder, which an experiment wrote."""
    part: str | None = None
    """Use this model of a run that trained several, instead of the main one. `jaxae info RUN` lists
    them."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Writing:
    """The flags of a command that writes files."""

    title: ClassVar[str] = "Run and files"

    overwrite: bool = False
    """Replace output files that exist."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reading:
    """The flags of a command that reads array files and data sets."""

    title: ClassVar[str] = "Reading"

    data_dir: str | None = None
    """Read data sets of tensorflow_datasets from this folder. The default is the one that the run was
    trained with, TFDS_DATA_DIR or ~/tensorflow_datasets."""
    channels: Literal["first", "last"] | None = None
    """Axis of the channels in an .npy or .npz file: second ([n, c, h, w]) or last ([n, h, w, c]). It is
    needed only if the shape is ambiguous."""
    levels: int | None = None
    """Value of white in array files or pictures, for example 4095 for 12 bits. The default is the one that
    the run was trained with; if it had none, or for another data set, white is found from the type and the
    values."""


def load(config: Run) -> "TrainedRun":
    """The run, or the part of it, that the flags name. Compiled programs are kept from here on."""
    from jaxae.runtime.cache import enable_compilation_cache

    enable_compilation_cache()
    return jaxae.load_run(config.run, config.part)


def name_of(run: "TrainedRun") -> str:
    """The run in the title of a figure: the experiment, the part and the data set."""
    experiment = str(run.config.get("experiment", "run")).replace("_", " ")
    part = f" ({run.part})" if run.part else ""
    return f"{experiment}{part} on {Path(run.inputs.dataset).name}"


def check_positive(**values: int | float) -> None:
    """Raises a `ValueError` for a flag that is not positive."""
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"--{name.replace('_', '-')} must be positive, got {value}")


def check_seed(seed: int) -> None:
    """Raises a `ValueError` for a seed that is out of range."""
    if not 0 <= seed < 2**32:
        raise ValueError(f"--seed must be in [0, 2**32), got {seed}")


def say(examples: "Examples") -> None:
    """Prints on standard error what a reader should know of how examples were read."""
    for note in examples.notes:
        print(f"note: {note}", file=sys.stderr)


def check_read(examples: "Examples") -> None:
    """Raises a `ValueError` that names what could not be read, after the rest is done."""
    if examples.failed:
        from jaxae.data.messages import counted

        done = len(examples.names)
        pictures = counted(done + len(examples.failed), "picture")
        raise ValueError(f"{done:,} of {pictures} done; {'; '.join(examples.failed)}")


def print_table(table: "Table") -> None:
    """Prints a table on standard output."""
    from rich.console import Console

    from jaxae.runs.tables import WIDTH

    Console(width=None if sys.stdout.isatty() else WIDTH, markup=False).print(table)
