"""Tables of results, printed to the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table


def print_rows(title: str, columns: Sequence[str], rows: Mapping[str, Sequence[str]]) -> None:
    """Prints a table with one row for each name."""
    table = Table("", *columns, title=title)
    for name, cells in rows.items():
        table.add_row(name, *cells)
    Console().print(table)


def print_models(title: str, results: Mapping[str, Any], names: Sequence[str]) -> None:
    """Prints a table with one column for each model and one row for each measure of the first one.

    Args:
      title: of the table.
      results: by the names `model/measure`; a dash stands for what is missing.
      names: of the models.
    """
    rows = {}
    for key in results:
        model, _, measure = key.partition("/")
        if model == names[0] and isinstance(results[key], int | float):
            values = [results.get(f"{name}/{measure}") for name in names]
            cells = ["-" if value is None else f"{value:.3g}" for value in values]
            rows[measure.replace("_", " ")] = cells
    print_rows(title, names, rows)
