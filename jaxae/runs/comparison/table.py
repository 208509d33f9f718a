"""The comparison of runs as one table in the terminal."""

from collections.abc import Sequence

from jaxae.runs.comparison import grouping
from jaxae.runs.comparison.cells import COST_WORDS, readable
from jaxae.runs.comparison.grouping import Group, Statistic, best
from jaxae.runs.quantities import quantity
from jaxae.runs.tables import WIDTH, print_rows

COLUMN = 14
"""The width of a column, about."""
ROW_NAME = 38
"""The width of the names of the rows, about."""


def print_table(groups: Sequence[Group]) -> None:
    """Prints the flags that differ, the results and the cost.

    Few runs are columns, and many are rows with the most important results.
    """
    title = "Comparison"
    several = [g for g in groups if len(g.entries) > 1]
    if several:
        title += ": mean (standard deviation) of runs that differ by the seed only"
    if len(groups) > 1:
        title += "; * is the best, where values can be compared"
    if len(groups) * COLUMN + ROW_NAME <= WIDTH:
        print_rows(title, [g.label for g in groups], _measures_as_rows(groups))
        return
    chosen = _most_important(groups)
    sections = grouping.by_data(groups).values()
    marked = {
        name: {id(members[i]) for members in sections for i in best(members, name)}
        for name in chosen
    }
    rows = {}
    for i, g in enumerate(groups):
        own = grouping.own_flags(groups, i)
        label = f"{_named(g)}\n{own}" if own else _named(g)
        rows[label] = [_value(g, name, id(g) in marked[name]) for name in chosen]
        if not g.first.results:
            rows[label][0] = g.first.status
    print_rows(title, [_short(name) for name in chosen], rows)


def _measures_as_rows(groups: Sequence[Group]) -> dict[str, list[str]]:
    rows: dict[str, list[str]] = {}
    states = [g.first.status for g in groups]
    if set(states) != {"complete"}:
        rows["status"] = states
    if any(len(g.entries) > 1 for g in groups):
        rows["runs"] = [str(len(g.entries)) for g in groups]
    for name, row in grouping.differing_flags(groups).items():
        plain = name in ("experiment", "model", "continued")
        rows[name if plain else f"--{name.replace('_', '-')}"] = row
    one = len(grouping.by_data(groups)) == 1
    for name in grouping.measures(groups):
        marked = best(groups, name) if one else set()
        words, unit, _ = quantity(name)
        words = COST_WORDS.get(name, f"{words}, {unit}" if unit else words)
        rows[words] = [_value(g, name, i in marked) for i, g in enumerate(groups)]
    for name in grouping.measures(groups, "cost"):
        rows[COST_WORDS[name]] = [_shown(g.statistic(name, "cost")) for g in groups]
    return rows


def _most_important(groups: Sequence[Group]) -> list[str]:
    """The results that most runs have, of those that say which run is better."""
    names = [name for name in grouping.measures(groups) if quantity(name).better]
    have = {name: sum(g.statistic(name) is not None for g in groups) for name in names}
    room = max(1, (WIDTH - ROW_NAME) // COLUMN)
    chosen = sorted(names, key=lambda name: -have[name])[:room]
    return [name for name in names if name in chosen] or ["epochs"]


def _named(g: Group) -> str:
    return f"{g.label} ({len(g.entries)} runs)" if len(g.entries) > 1 else g.label


def _short(name: str) -> str:
    _, unit, better = quantity(name)
    words = name.replace("_", " ")
    return f"{words}, {unit}" if unit else words


def _value(g: Group, name: str, marked: bool) -> str:
    return _shown(g.statistic(name)) + ("*" if marked else "")


def _shown(statistic: Statistic | None) -> str:
    if statistic is None:
        return "-"
    spread = "" if statistic.sd is None else f" ({statistic.sd:.2g})"
    return readable(statistic.mean) + spread
