"""The progress of a computation: a bar on a terminal or in a notebook, a few lines in a log."""

import contextlib
import importlib.util
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

T = TypeVar("T")

LINES = 10
"""The number of lines that are written to a log."""
PATIENCE = 2.0
"""Seconds after which :func:`track` shows how far it is."""
LOSSES = ("train/loss", "validation/loss")


class EpochProgress:
    """Shows the loss, its terms, images per second and the time left; called with the record of each epoch.

    Args:
      epochs: of the training.
      name: of what is trained, at the beginning of each line, if several models are.
      shown: whether anything is.

    Examples:
      >>> with EpochProgress(epochs=3, shown=False) as progress:
      ...     progress({"epoch": 1, "train/loss": 2.0, "images_per_second": 10.0})
    """

    def __init__(self, epochs: int, name: str = "", *, shown: bool = True):
        self._epochs = epochs
        self._name = f"{name}: " if name else ""
        self._console = Console(stderr=True, quiet=not shown)
        self._bar = Progress(
            TextColumn(f"{self._name}epoch", markup=False),
            MofNCompleteColumn(),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[report]}", markup=False),
            TimeRemainingColumn(compact=True),
            console=self._console,
        )
        self._live = shown and _is_live(self._console)
        if self._console.is_jupyter and not self._live:
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
            line = f"{self._name}epoch {epoch}/{self._epochs}: {describe(record)}"
            self._console.print(line, highlight=False, soft_wrap=True, markup=False)


@contextlib.contextmanager
def stage(text: str, *, shown: bool = True) -> Iterator[None]:
    """Says on standard error what is being computed, with a clock on a terminal.

    Args:
      text: what is computed, such as "evaluating 10,000 test images".
      shown: whether anything is.

    Examples:
      >>> with stage("evaluating", shown=False):
      ...     pass
    """
    console = Console(stderr=True, quiet=not shown)
    if not (shown and _is_live(console)):
        console.print(f"{text} ...", highlight=False, soft_wrap=True, markup=False)
        yield
        return
    columns = SpinnerColumn(), TextColumn(text, markup=False), TimeElapsedColumn()
    with Progress(*columns, console=console) as clock:
        task = clock.add_task("", total=1)
        yield
        clock.update(task, completed=1)


def track(steps: Sequence[T], text: str, *, shown: bool = True) -> Iterator[T]:
    """Passes on the elements of a sequence, and shows how many are done if it takes over two seconds.

    Args:
      steps: the elements.
      text: what is counted, such as "pictures".
      shown: whether anything is.

    Examples:
      >>> list(track([1, 2, 3], "numbers"))
      [1, 2, 3]
    """
    console = Console(stderr=True, quiet=not shown)
    columns = TextColumn(text, markup=False), BarColumn(bar_width=20), MofNCompleteColumn()
    # Results that are printed while the bar is shown belong on standard output.
    bar = Progress(
        *columns,
        TimeRemainingColumn(compact=True),
        console=console,
        redirect_stdout=sys.stdout.isatty(),
    )
    start, live = time.monotonic(), shown and _is_live(console)
    said = 0
    try:
        for done, step in enumerate(steps):
            if done and time.monotonic() - start > PATIENCE:
                if live:
                    task = bar.task_ids[0] if bar.task_ids else bar.add_task("", total=len(steps))
                    bar.start()
                    bar.update(task, completed=done)
                elif done * LINES // len(steps) > said:
                    said = done * LINES // len(steps)
                    console.print(f"{text}: {done} of {len(steps)}", highlight=False, markup=False)
            yield step
    finally:
        if bar.task_ids:
            bar.stop()


def _is_live(console: Console) -> bool:
    """Whether what is shown can be replaced; rich needs ipywidgets for that in a notebook."""
    if console.is_jupyter:
        return importlib.util.find_spec("ipywidgets") is not None
    return console.is_terminal


def describe(record: Mapping[str, float | int]) -> str:
    """The record of an epoch in one line; terms that are the loss itself are left out.

    Examples:
      >>> describe({"train/loss": 101.234, "validation/loss": 102.0, "images_per_second": 65000.0})
      'loss 101.23 nats (validation 102.00), 65,000 images/s'
    """
    loss = record.get("train/loss")
    parts = [] if loss is None else [f"loss {_number(loss)} nats"]
    if parts and "validation/loss" in record:
        parts[0] += f" (validation {_number(record['validation/loss'])})"
    parts += [
        f"{name.removeprefix('train/').replace('_', ' ')} {_number(value)}"
        for name, value in record.items()
        if name.startswith("train/") and name != "train/gradient_norm" and value != loss
    ]
    return ", ".join([*parts, f"{record['images_per_second']:,.0f} images/s"])


def _number(value: float) -> str:
    """A number with two decimals, or three digits if it is small."""
    return f"{value:.2f}" if abs(value) >= 0.1 or value == 0 else f"{value:.3g}"
