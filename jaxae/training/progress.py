"""The progress of a training: a bar on a terminal or in a notebook, a few lines in a log."""

import importlib.util
from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

LINES = 10
"""The number of lines that are written to a log."""


class EpochProgress:
    """Shows the loss, its terms, images per second and the time left; called with the record of each epoch.

    Examples:
      >>> with EpochProgress(epochs=3, shown=False) as progress:
      ...     progress({"epoch": 1, "train/loss": 2.0, "images_per_second": 10.0})
    """

    def __init__(self, epochs: int, *, shown: bool = True):
        self._epochs = epochs
        self._console = Console(stderr=True, quiet=not shown)
        self._bar = Progress(
            TextColumn("epoch"),
            MofNCompleteColumn(),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[report]}"),
            TimeRemainingColumn(compact=True),
            console=self._console,
        )
        # In a notebook, rich draws with ipywidgets; without them there are lines, as in a log.
        widgets = importlib.util.find_spec("ipywidgets") is not None
        notebook = self._console.is_jupyter
        self._live = shown and (widgets if notebook else self._console.is_terminal)
        if notebook and not widgets:
            self._console = Console(stderr=True, quiet=not shown, force_jupyter=False)

    def __enter__(self) -> "EpochProgress":
        if self._live:
            self._bar.start()
            self._task = self._bar.add_task("", total=self._epochs, report="compiling")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._bar.stop()

    def at(self, epochs: float) -> None:
        """Shows the number of epochs that are done, as a fraction within an epoch."""
        if self._live:
            self._bar.update(self._task, completed=epochs)

    def __call__(self, record: Mapping[str, float | int]) -> None:
        """Shows the record of an epoch."""
        epoch = int(record["epoch"])
        if self._live:
            self._bar.update(self._task, completed=epoch, report=describe(record))
        elif epoch % -(-self._epochs // LINES) == 0 or epoch in (1, self._epochs):
            line = f"epoch {epoch}/{self._epochs}  {describe(record)}"
            self._console.print(line, highlight=False, soft_wrap=True)


def describe(record: Mapping[str, float | int]) -> str:
    """The record of an epoch in one line.

    Examples:
      >>> describe({"train/loss": 101.234, "validation/loss": 102.0, "images_per_second": 65000.0})
      'loss 101.23  validation 102.00  65,000 images/s'
    """
    terms = [
        f"{name.removeprefix('train/')} {value:.2f}"
        for name, value in sorted(record.items(), key=lambda item: item[0] != "train/loss")
        if name.startswith("train/") and name != "train/gradient_norm"
    ]
    if "validation/loss" in record:
        terms.insert(1, f"validation {record['validation/loss']:.2f}")
    return "  ".join([*terms, f"{record['images_per_second']:,.0f} images/s"])
