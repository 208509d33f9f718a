"""The learning curves of runs, as plain values for the page that draws them."""

from collections.abc import Sequence
from typing import Any

from jaxae.runs.comparison.entries import History, is_number
from jaxae.runs.comparison.grouping import Group
from jaxae.runs.curves import TERMS

Pairs = list[list[Any]]
"""`[[epoch, value], ...]`; None for a value that was not finite."""

NOT_TERMS = ("epoch", "step", "seconds", "images_per_second", "skipped", "note")


def curve_data(groups: Sequence[Group], colours: Sequence[str]) -> dict[str, Any]:
    """The curves of each term of the loss: of each run, and the mean over the runs of a group.

    Args:
      groups: the runs.
      colours: of the groups.

    Returns:
      `{"groups": [{"label", "color"}], "panels": [{"name", "only_train", "series": [{"group", "train",
      "mean", "runs"}]}]}`. A panel is of training alone if no run has validation scores of its term.
    """
    names: dict[str, None] = {}
    histories = [[h for e in g.entries for h in e.histories] for g in groups]
    for several in histories:
        for history in several:
            for key in history[-1]:
                kind, _, name = key.partition("/")
                if kind in ("train", "validation") and name:
                    names[name] = None
    order = list(TERMS)
    ordered = sorted(names, key=lambda n: order.index(n) if n in order else len(order) - 1.5)
    panels = []
    for name in ordered:
        series = []
        for kind in ("validation", "train"):
            for i, several in enumerate(histories):
                runs = [pairs for h in several if (pairs := _pairs(h, f"{kind}/{name}"))]
                if runs:
                    single = [] if len(runs) == 1 else runs
                    series.append(
                        {"group": i, "train": kind == "train", "mean": mean(runs), "runs": single}
                    )
        only_train = all(one["train"] for one in series)
        panels.append({"name": name, "only_train": only_train, "series": series})
    shown = [{"label": g.label, "color": c} for g, c in zip(groups, colours, strict=True)]
    return {"groups": shown, "panels": panels}


def mean(runs: Sequence[Pairs]) -> Pairs:
    """The mean over runs, of the epochs that all of them have.

    Examples:
      >>> mean([[[1, 4.0], [2, 2.0]], [[1, 6.0]]])
      [[1, 5.0]]
    """
    if len(runs) == 1:
        return runs[0]
    values = [dict(map(tuple, run)) for run in runs]
    shared = [epoch for epoch, _ in runs[0] if all(epoch in one for one in values)]
    found: Pairs = []
    for epoch in shared:
        here = [one[epoch] for one in values]
        found.append([epoch, None if None in here else sum(here) / len(here)])
    return found


def _pairs(history: History, key: str) -> Pairs:
    return [
        [record["epoch"], float(record[key]) if is_number(record[key]) else None]
        for record in history
        if key in record
    ]
