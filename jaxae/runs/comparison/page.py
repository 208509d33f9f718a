"""The comparison of runs as one HTML page that needs no other file."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from jaxae.runs.comparison import grouping
from jaxae.runs.comparison.cells import COST_WORDS, cell, colour, head, spaced, swatch, table, text
from jaxae.runs.comparison.curves import curve_data
from jaxae.runs.comparison.entries import COST, TRAINING, Entry, is_number
from jaxae.runs.comparison.grouping import Group, Statistic, best, comparable_nats
from jaxae.runs.comparison.pictures import Strip
from jaxae.runs.curves import TERMS
from jaxae.runs.quantities import quantity

PANELS = 4
"""Charts that are shown at once; the others are behind a click."""


def page(
    groups: Sequence[Group],
    strips: Sequence[Strip],
    *,
    notes: Sequence[str] = (),
    version: str = "",
) -> str:
    """The page.

    Args:
      groups: the runs.
      strips: rows of images, see :mod:`jaxae.runs.comparison.pictures`.
      notes: lines above everything else.
      version: of jaxae, for the last line.

    Returns:
      HTML; styles, scripts, numbers and images are inside.
    """
    differing = grouping.differing_flags(groups)
    runs = sum(len(g.entries) for g in groups)
    experiments = ", ".join(dict.fromkeys(g.first.experiment for g in groups if g.first.experiment))
    sections = grouping.by_data(groups)
    title = f"Comparison of {runs} run{'' if runs == 1 else 's'}"
    several = any(len(g.entries) > 1 for g in groups)
    summary = f"{experiments} on {', '.join(dict.fromkeys(_dataset(g) for g in groups))}."
    if several:
        summary += (
            f" Runs that differ by the seed only are one row: {len(groups)} rows. Values of several runs "
            "are their mean and, in brackets, their standard deviation."
        )
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="muted">{escape(summary)}</p>',
        *(f'<p class="note">{escape(note)}</p>' for note in notes),
        _runs_section(groups, differing),
        "<h2>Results</h2>",
        *(_results_section(groups, members) for members in sections.values()),
        _curves_section(groups),
        _images_section(groups, strips),
        _details(groups),
        f'<p class="caption">Made by jaxae {escape(version)}.</p>',
    ]
    curves = json.dumps(curve_data(groups, [colour(i) for i in range(len(groups))]))
    return "\n".join(
        [
            '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title><style>{_resource('page.css')}</style></head><body>",
            *parts,
            # A name with `</script>` in it would end the script.
            f'<script type="application/json" id="curves">{curves.replace("<", chr(92) + "u003c")}</script>',
            f"<script>{_resource('page.js')}</script></body></html>",
        ]
    )


def _runs_section(groups: Sequence[Group], differing: Mapping[str, Sequence[str]]) -> str:
    cost = [k for k in COST if any(g.statistic(k, "cost") for g in groups)]
    trained = [k for k in TRAINING if any(g.statistic(k) for g in groups)]
    seeds = any("seed" in e.flags for g in groups for e in g.entries)
    heads = ["run", "status", *(["seeds"] if seeds else []), *map(spaced, differing)]
    heads += [COST_WORDS[k] for k in (*trained, *cost)]
    texts = 2 + seeds + len(differing)
    rows = []
    for i, g in enumerate(groups):
        cells = [_status(g)] + ([text(_seeds(g))] if seeds else [])
        cells += [text(row[i]) for row in differing.values()]
        cells += [cell(g.statistic(k)) for k in trained]
        cells += [cell(g.statistic(k, "cost")) for k in cost]
        rows.append(f"<tr>{head(groups, i)}{''.join(cells)}</tr>")
    same = (
        "All flags are the same."
        if len(groups) > 1 and not differing
        else "The flags that differ, and what the runs cost."
        if len(groups) > 1
        else "The run, and what it cost."
    )
    notes = [
        f'<p class="note">{escape(f"{e.name}: {note}")}</p>'
        for g in groups
        for e in g.entries
        for note in e.notes
    ]
    return "".join(
        [
            f'<h2>Runs</h2><p class="caption">{same}</p>',
            table(heads, rows, texts),
            *notes,
            _partial(groups),
        ]
    )


def _partial(groups: Sequence[Group]) -> str:
    rows = grouping.partial_flags(groups)
    if not rows:
        return ""
    body = [
        f'<tr><th class="text">{escape(spaced(name))}</th>{"".join(text(v) for v in row)}</tr>'
        for name, row in rows.items()
    ]
    shown = table(["flag", *(g.label for g in groups)], body, 1 + len(groups), sortable=False)
    return (
        "<details><summary>Flags that only some of these runs have, with the same value</summary>"
        f"{shown}</details>"
    )


def _results_section(everything: Sequence[Group], members: Sequence[Group]) -> str:
    first = members[0].first
    names = [n for n in grouping.measures(members) if n not in TRAINING]
    heading = f"<h3>{escape(_describe(first))}</h3>"
    if not names:
        return f'{heading}<p class="caption">There are no results yet.</p>'
    index = {id(g): i for i, g in enumerate(everything)}
    marks = {name: best(members, name) for name in names}
    rows = [
        f"<tr>{head(everything, index[id(g)])}"
        + "".join(cell(g.statistic(n), best=i in marks[n], missing=_why(g, n)) for n in names)
        + "</tr>"
        for i, g in enumerate(members)
    ]
    baselines: dict[tuple[str, str], Mapping[str, Any]] = {}
    for g in members:
        for e in g.entries:
            for name, values in e.baselines.items():
                baselines[name, json.dumps(values, sort_keys=True)] = values
    for (name, _), values in baselines.items():
        if any(is_number(values.get(n)) for n in names):
            cells = [
                cell(Statistic(values[n], None, 1) if is_number(values.get(n)) else None)
                for n in names
            ]
            words = f"{spaced(name)} (baseline)"
            rows.append(f'<tr class="baseline"><th>{escape(words)}</th>{"".join(cells)}</tr>')
    notes = []
    bounds = [n for n in names if quantity(n).unit in ("nats", "bits")]
    if not comparable_nats([g for g in members if any(g.statistic(n) for n in bounds)]):
        notes.append(
            "Values in nats and bits depend on the likelihood, which is not the same in these runs: "
            "do not compare them."
        )
    elif len({str(g.first.flags.get("nll_samples")) for g in members if g.statistic("nll")}) > 1:
        notes.append(
            "-log p(x) was estimated with different numbers of importance samples: more samples give "
            "lower values. jaxae evaluate estimates it again with one number."
        )
    caption = (
        "The best value of a column is marked, where lower (\u2193) or higher (\u2191) is better."
    )
    shown = table(["run", *names], rows, 1, measures=True)
    marked = [f'<p class="caption">{caption}</p>'] if any(marks.values()) else []
    return "".join(
        [heading, shown, *marked] + [f'<p class="note">{escape(note)}</p>' for note in notes]
    )


def _curves_section(groups: Sequence[Group]) -> str:
    panels = curve_data(groups, [""] * len(groups))["panels"]
    if not panels:
        return '<h2>Learning curves</h2><p class="caption">No run has finished an epoch.</p>'
    buttons = "".join(
        f'<button type="button" data-group="{i}" aria-pressed="true">{swatch(i)}'
        f"<span>{escape(_legend(groups, i))}</span></button>"
        for i, g in enumerate(groups)
        if any(e.histories for e in g.entries)
    )
    figures = []
    for i, panel in enumerate(panels):
        title, unit = TERMS.get(panel["name"], (spaced(panel["name"]), "mean over images"))
        title = title.replace(r"$-\log\,p(x\,|\,z)$", "\u2212log p(x | z)")
        kind = "training" if panel["only_train"] else "validation"
        figures.append(
            f'<figure class="chart" data-panel="{i}"><figcaption>{escape(title)} '
            f"<span>{escape(unit)}, {kind}</span></figcaption>"
            f'<svg role="img" aria-label="{escape(title)} by epoch"></svg>'
            '<div class="readout"></div></figure>'
        )
    more = ""
    if len(figures) > PANELS:
        more = (
            f"<details><summary>{len(figures) - PANELS} more</summary>"
            f'<div class="charts">{"".join(figures[PANELS:])}</div></details>'
        )
    thin = (
        " Thin lines are single runs, and thick ones their means."
        if any(len(e.histories) > 1 or len(g.entries) > 1 for g in groups for e in g.entries)
        else ""
    )
    return (
        f'<h2>Learning curves</h2><p class="caption">A click on a name hides the run.{thin}</p>'
        f'<div class="legend">{buttons}<label><input type="checkbox" name="train">training, dashed'
        '</label><label><input type="checkbox" name="range">all values of the first epochs</label></div>'
        f'<div class="charts">{"".join(figures[:PANELS])}</div>{more}'
    )


def _images_section(groups: Sequence[Group], strips: Sequence[Strip]) -> str:
    out = []
    for heading in dict.fromkeys(strip.heading for strip in strips):
        out.append(f'<h2>{escape(heading)}</h2><div class="strips">')
        for strip in strips:
            if strip.heading != heading:
                continue
            if strip.group is None:
                name = f'<div class="name"><b>{escape(strip.name)}</b></div>'
            else:
                own = grouping.own_flags(groups, strip.group)
                name = (
                    f'<div><span class="name">{swatch(strip.group)}<b>{escape(groups[strip.group].label)}'
                    f'</b></span><span class="sub">{escape(strip.name or own)}</span></div>'
                )
            shown = (
                f'<img alt="{escape(strip.name or heading)}" src="data:image/png;base64,{strip.png}">'
                if strip.png
                else f'<p class="muted">{escape(strip.note)}</p>'
            )
            if strip.png and strip.note:
                shown = f'<div>{shown}<p class="caption">{escape(strip.note)}</p></div>'
            out.append(f'<div class="strip">{name}{shown}</div>')
        out.append("</div>")
    return "".join(out)


def _details(groups: Sequence[Group]) -> str:
    rows = []
    names = [n for n in grouping.measures(groups) if n not in TRAINING]
    for i, g in enumerate(groups):
        for e in g.entries:
            cells = [
                cell(Statistic(e.results[n], None, 1) if is_number(e.results.get(n)) else None)
                for n in names
            ]
            rows.append(
                f'<tr><th><span class="name">{swatch(i)}<b>{escape(e.name)}</b></span></th>'
                f"{text(str(e.flags.get('seed', '-')))}{''.join(cells)}</tr>"
            )
    protocols: dict[str, list[str]] = {}
    for g in groups:
        if g.first.protocol:
            protocols.setdefault(g.first.protocol, []).append(g.label)
    listed = "".join(
        f"<p><b>{escape(', '.join(labels))}</b>: {escape(text)}</p>"
        for text, labels in protocols.items()
    )
    shown = table(["run", "seed", *names], rows, 2, measures=True)
    folders = "".join(f"<p>{escape(str(e.directory))}</p>" for g in groups for e in g.entries)
    return (
        f"<h2>Details</h2><details><summary>Results of each run</summary>{shown}</details>"
        f"<details><summary>How the results were computed</summary>{listed}</details>"
        f"<details><summary>Folders</summary>{folders}</details>"
    )


def _legend(groups: Sequence[Group], index: int) -> str:
    own = grouping.own_flags(groups, index)
    label = groups[index].label
    return f"{label} ({own})" if own and len(own) < 60 and len(groups) <= 8 else label


def _why(g: Group, name: str) -> str:
    return "undefined" if any(name in e.results for e in g.entries) else "\u2013"


def _status(g: Group) -> str:
    states = list(dict.fromkeys(e.status for e in g.entries))
    if states == ["complete"]:
        return '<td class="text">complete</td>'
    done = sum(e.status == "complete" for e in g.entries)
    words = f"{done} of {len(g.entries)} complete; " if len(g.entries) > 1 else ""
    words += "; ".join(state for state in states if state != "complete")
    return f'<td class="text"><span class="state">{escape(words)}</span></td>'


def _seeds(g: Group) -> str:
    return " ".join(dict.fromkeys(str(e.flags.get("seed", "-")) for e in g.entries))


def _dataset(g: Group) -> str:
    return str(g.first.flags.get("dataset", "data of unknown origin")).rpartition("/")[2]


def _describe(entry: Entry) -> str:
    """The test images, in words: `mnist5k, 1000 test images, 28 x 28 x 1`."""
    name = str(entry.flags.get("dataset", "")).rpartition("/")[2]
    shape = entry.data.split("-")[0].split("x")
    if len(shape) > 1 and all(part.isdigit() for part in shape):
        size = " \u00d7 ".join(shape[1:])
        name += f", {int(shape[0]):,} test images of {size}"
    return f"{name}, {entry.task}" if entry.task else name


def _resource(name: str) -> str:
    return (files("jaxae.runs.comparison") / name).read_text("utf-8")
