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


def print_models(
    title: str, results: Mapping[str, Any], names: Sequence[str], measures: Mapping[str, str]
) -> None:
    """Prints a table with one column for each model and one row for each measure.

    Args:
      title: of the table.
      results: by the names `model/measure`; a dash stands for what is missing.
      names: of the models.
      measures: from the label of a row to the name of the measure.
    """
    rows = {}
    for label, measure in measures.items():
        values = [results.get(f"{name}/{measure}") for name in names]
        if any(value is not None for value in values):
            rows[label] = ["-" if value is None else f"{value:.3g}" for value in values]
    print_rows(title, names, rows)
