"""Compares runs: one HTML page, and one table in the terminal.

    jaxae compare runs/vae-a runs/vae-b --out compare.html
    jaxae compare runs/vae-* --overwrite

The page has the flags that differ, the results with mean and standard deviation over runs that differ by
the seed only, learning curves, samples and reconstructions of the same test images, and the cost. It needs
no other file and no network. Runs that are still training, or have no results, are shown as such. A run
that trains several models is one row for each of them; --part selects one.
"""

import dataclasses
import sys
from pathlib import Path
from typing import ClassVar

import tyro

from jaxae import __version__
from jaxae.commands import flags
from jaxae.data.messages import counted
from jaxae.runs.comparison import entries as found_entries
from jaxae.runs.comparison import grouping, page, pictures, table
from jaxae.runs.outputs import output_file
from jaxae.runs.summary import byte_size
from jaxae.runtime.files import atomic_write
from jaxae.training.progress import stage


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(flags.Writing):
    """Flags of compare."""

    announcement: ClassVar[str] = "comparing the runs"

    runs: tyro.conf.Positional[tuple[str, ...]]
    """The run folders."""
    out: str = "compare.html"
    """Write the page to this .html file."""
    part: str | None = None
    """Compare only this model of runs that train several."""
    images: bool = True
    """Decode samples and reconstructions. Without them the page takes a second."""


def main(config: Config) -> None:
    """Writes the page and prints the table.

    Raises:
      ValueError: if a folder is no run, or the file exists.
    """
    if not config.runs:
        raise ValueError("give the folders of the runs to compare, for example runs/vae-*")
    out = output_file(config.out, ".html", overwrite=config.overwrite)
    folders = dict.fromkeys(Path(folder).expanduser().resolve() for folder in config.runs)
    entries = [entry for folder in folders for entry in found_entries.read(folder, config.part)]
    groups = grouping.group(entries)
    notes = _notes(groups)
    strips: list[pictures.Strip] = []
    if config.images:
        with stage(f"decoding samples and reconstructions of {counted(len(groups), 'model')}"):
            strips, counts = pictures.strips(groups)
        groups = grouping.with_parameters(groups, counts)
    text = page.page(groups, strips, notes=notes, version=__version__)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(out) as partial:
            partial.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{out} cannot be written: {error.strerror}") from error
    table.print_table(groups)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    print(f"{out}: {byte_size(out.stat().st_size)}")


def _notes(groups: list[grouping.Group]) -> list[str]:
    notes = []
    sections = grouping.by_data(groups)
    if len(sections) > 1:
        notes.append(
            f"the runs have {len(sections)} different sets of test images or tasks, so there are that "
            "many tables; results in different tables cannot be compared"
        )
    waiting = [e.name for g in groups for e in g.entries if not e.results]
    if waiting:
        verb = "has" if len(waiting) == 1 else "have"
        notes.append(f"{', '.join(waiting)} {verb} no results yet")
    return notes
