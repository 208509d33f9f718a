"""Tables of results, printed to the terminal: a few rows in words, with units."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxae.runs.quantities import quantity
from jaxae.runs.tables import number, print_rows
from jaxae.runtime import processes


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


def _with_unit(measure: str) -> str:
    words, unit, _ = quantity(measure)
    return f"{words}, {unit}" if unit else words
