"""Tables of results, printed to the terminal: a few rows in words, with units."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from experiments.shared.quantities import quantity
from jaxae.runtime import processes

WIDTH = 100
"""Columns of a table that is not printed to a terminal."""


def print_results(
    title: str,
    results: Mapping[str, Any],
    measures: Sequence[str],
    models: Mapping[str, str] | None = None,
    *,
    across: bool = True,
) -> None:
    """Prints some of the results in words and with units.

    Args:
      title: of the table.
      results: by the names `model/measure`.
      measures: the names of the rows. Those that no model has are left out.
      models: from the first parts of the names to words, one column each; `test`, the only model, when
        None.
      across: whether models are columns; otherwise they are the rows.
    """
    if not processes.is_first():
        return
    models = {"test": ""} if models is None else models
    models = {
        m: words for m, words in models.items() if any(f"{m}/{k}" in results for k in measures)
    }
    shown = [k for k in measures if any(f"{model}/{k}" in results for model in models)]

    def cell(model: str, measure: str) -> str:
        name = f"{model}/{measure}"
        return number(results[name], results.get(f"{name}_sd")) if name in results else "-"

    if len(models) == 1:
        (model,) = models
        rows = {quantity(k).words: [cell(model, k), quantity(k).unit] for k in shown}
        print_rows(title, ("value", "unit"), rows)
    elif across:
        rows = {_with_unit(k): [cell(model, k) for model in models] for k in shown}
        print_rows(title, list(models.values()), rows)
    else:
        rows = {words: [cell(model, k) for k in shown] for model, words in models.items()}
        print_rows(title, [_with_unit(k) for k in shown], rows)


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


def _with_unit(measure: str) -> str:
    words, unit = quantity(measure)
    return f"{words}, {unit}" if unit else words
