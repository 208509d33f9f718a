"""Runs side by side, grouped by their flags, with means over the seeds."""

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxae.runs.comparison.entries import Entry, is_number, words
from jaxae.runs.quantities import QUANTITIES, quantity


class Statistic(NamedTuple):
    """The mean of a value over runs, its sample standard deviation (None for one run), and their number."""

    mean: float
    sd: float | None
    runs: int


@dataclasses.dataclass(frozen=True)
class Group:
    """Entries that differ by the seed only."""

    label: str
    entries: tuple[Entry, ...]

    @property
    def first(self) -> Entry:
        """The entry that stands for the others: the first with results."""
        return next((entry for entry in self.entries if entry.results), self.entries[0])

    def statistic(self, measure: str, of: str = "results") -> Statistic | None:
        """Mean and standard deviation of a result over the entries that have it.

        Args:
          measure: its name.
          of: the attribute of an entry that it is in, `results` or `cost`.
        """
        found = [getattr(entry, of).get(measure) for entry in self.entries]
        values = [float(v) for v in found if is_number(v)]
        if not values:
            return None
        sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
        return Statistic(float(np.mean(values)), sd, len(values))


def group(entries: Sequence[Entry]) -> list[Group]:
    """Groups the entries that have the same flags except for the seed, in the order of the entries."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        flags = {name: value for name, value in entry.flags.items() if name != "seed"}
        key = json.dumps(
            [entry.experiment, entry.part, entry.data, entry.task, flags], sort_keys=True
        )
        groups.setdefault(key, []).append(entry)
    found = []
    for members in groups.values():
        members.sort(key=lambda entry: str(entry.flags.get("seed")).zfill(20))
        seeds = [str(entry.flags.get("seed")) for entry in members]
        if len(set(seeds)) < len(seeds):
            note = "several runs have the same flags and the same seed"
            members[0] = dataclasses.replace(members[0], notes=(*members[0].notes, note))
        found.append((_label([entry.name for entry in members]), tuple(members)))
    # Folders of the same name in different places.
    names = [label for label, _ in found]
    return [
        Group(label if names.count(label) == 1 else f"{label} ({members[0].directory})", members)
        for label, members in found
    ]


def differing_flags(groups: Sequence[Group]) -> dict[str, list[str]]:
    """The flags that differ between groups: `{flag: [value in each group]}`, in words.

    A flag that a run does not record, because its experiment has no such flag, is a dash. The seed is left
    out, and so are flags that have one value wherever they are recorded, see :func:`partial_flags`.
    """
    rows: dict[str, list[str]] = {}
    first = [g.first for g in groups]
    if len({entry.experiment for entry in first}) > 1:
        rows["experiment"] = [entry.experiment for entry in first]
    if len({entry.part for entry in first}) > 1:
        rows["model"] = [entry.part or "-" for entry in first]
    return rows | {name: row for name, row in _flag_rows(first).items() if len({*row} - {"-"}) > 1}


def partial_flags(groups: Sequence[Group]) -> dict[str, list[str]]:
    """The flags that some groups have, all with the same value, and others do not have, as a dash."""
    rows = _flag_rows([g.first for g in groups])
    return {name: row for name, row in rows.items() if "-" in row and len(set(row)) == 2}


def own_flags(groups: Sequence[Group], index: int) -> str:
    """What distinguishes a group from the others of its experiment, in words; it may be empty."""
    same = [g for g in groups if g.first.experiment == groups[index].first.experiment]
    row = differing_flags(same)
    at = next(i for i, g in enumerate(same) if g is groups[index])
    words = [
        values[at]
        if name == "model"
        else f"{name.replace('_', ' ')} {values[at].rpartition('/')[2]}"
        for name, values in row.items()
        if values[at] != "-" and (name, values[at]) != ("continued", "none")
    ]
    return ", ".join(words)


def measures(groups: Iterable[Group], of: str = "results") -> list[str]:
    """The names of the numbers that any group has, in the order of :data:`QUANTITIES`."""
    found: dict[str, None] = {}
    for g in groups:
        for entry in g.entries:
            values = getattr(entry, of)
            found |= dict.fromkeys(k for k, v in values.items() if is_number(v) or v is None)
    order = list(QUANTITIES)
    names = [name for name in found if not name.endswith("_sd")]
    return sorted(names, key=lambda n: order.index(n) if n in order else len(order))


def best(groups: Sequence[Group], measure: str) -> set[int]:
    """The groups whose result is the best, by their index; none if the results are not comparable.

    Nats of different likelihoods are not, nor are estimates with different numbers of samples.
    """
    better, unit = quantity(measure).better, quantity(measure).unit
    found = {i: s.mean for i, g in enumerate(groups) if (s := g.statistic(measure)) is not None}
    if not better or len(found) < 2:
        return set()
    if unit in ("nats", "bits") and not comparable_nats([groups[i] for i in found]):
        return set()
    if measure in ("nll", "bits_per_dimension"):
        samples = {str(groups[i].first.flags.get("nll_samples")) for i in found}
        if len(samples) > 1:
            return set()
    value = (min if better == "lower" else max)(found.values())
    return set() if len({*found.values()}) == 1 else {i for i, v in found.items() if v == value}


def comparable_nats(groups: Sequence[Group]) -> bool:
    """Whether the nats of some groups, if they have any, are of the same likelihood."""
    names = ("likelihood", "scale", "binarize")
    return len({json.dumps([g.first.flags.get(name) for name in names]) for g in groups}) <= 1


def by_data(groups: Sequence[Group]) -> dict[str, list[Group]]:
    """The groups of each task and set of test images: only results on the same can be compared."""
    found: dict[str, list[Group]] = {}
    for g in groups:
        found.setdefault(f"{g.first.data} {g.first.task}", []).append(g)
    return found


def with_parameters(groups: Sequence[Group], counts: Mapping[int, int]) -> list[Group]:
    """The groups with numbers of parameters, by index, for those whose folders do not record it."""
    return [
        dataclasses.replace(
            g,
            entries=tuple(
                dataclasses.replace(e, cost={"parameters": counts[i]} | dict(e.cost))
                for e in g.entries
            ),
        )
        if i in counts
        else g
        for i, g in enumerate(groups)
    ]


def _flag_rows(entries: Sequence[Entry]) -> dict[str, list[str]]:
    names = dict.fromkeys(name for entry in entries for name in entry.flags if name != "seed")
    return {
        name: [words(e.flags[name]) if name in e.flags else "-" for e in entries] for name in names
    }


def _label(names: Sequence[str]) -> str:
    """The name of a group: what the names of its runs begin with."""
    if len(names) == 1:
        return names[0]
    shortest = min(map(len, names))
    same = next((i for i in range(shortest) if len({n[i] for n in names}) > 1), shortest)
    stem = re.sub(r"[-_. ]*(seed|s)?[-_. =]*$", "", names[0][:same])
    return stem or names[0]
