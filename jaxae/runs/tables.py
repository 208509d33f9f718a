"""Tables in the terminal, and numbers as they are printed."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from jaxae.runtime import processes

WIDTH = 100
"""Columns of a table that is not printed to a terminal."""


def print_rows(title: str, columns: Sequence[str], rows: Mapping[str, Sequence[str]]) -> None:
    """Prints a table with one row for each name, if there are any."""
    if not (rows and processes.is_first()):
        return
    table = Table("", title=title, title_justify="left")
    for name in columns:
        table.add_column(name, justify="left" if name == "unit" else "right")
    for name, cells in rows.items():
        table.add_row(name, *cells)
    Console(width=None if sys.stdout.isatty() else WIDTH, markup=False).print(table)


def number(value: Any, spread: float | None = None) -> str:
    """A value as it is printed, with a standard deviation in brackets.

    Examples:
      >>> [number(v) for v in (110.5712, 60000, 0.0000412, None, "no")]
      ['110.57', '60,000', '4.12e-05', 'undefined', 'no']
      >>> number(0.98541, 0.00123)
      '0.9854 (0.0012)'
    """
    if value is None:
        return "undefined"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or abs(value) >= 10_000:
        return f"{value:,.0f}"
    text = f"{value:.2f}" if abs(value) >= 100 else f"{value:.4g}"
    return text if spread is None else f"{text} ({spread:.2g})"
