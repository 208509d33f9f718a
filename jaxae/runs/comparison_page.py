"""The comparison of runs as one HTML page that needs no other file."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from jaxae.runs import comparison
from jaxae.runs.comparison import COST, TRAINING, Group, Statistic, is_number
from jaxae.runs.comparison_curves import curve_data
from jaxae.runs.comparison_pictures import Strip
from jaxae.runs.curves import TERMS
from jaxae.runs.quantities import quantity
from jaxae.runs.style import PALETTE
from jaxae.runs.tables import number

COST_WORDS = {
    "parameters": "parameters",
    "images_per_second": "training, images/s",
    "compile_seconds": "compilation, s",
    "training_seconds": "training, s",
    "seconds": "whole run, s",
    "best_epoch": "selected epoch",
    "epochs": "epochs trained",
    "validation/loss": "validation loss",
}
ARROWS = {"lower": "\u2193", "higher": "\u2191", "": ""}
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
      strips: rows of images, see :mod:`jaxae.runs.comparison_pictures`.
      notes: lines above everything else.
      version: of jaxae, for the last line.

    Returns:
      HTML; styles, scripts, numbers and images are inside.
    """
    differing = comparison.differing_flags(groups)
    runs = sum(len(g.entries) for g in groups)
    experiments = ", ".join(dict.fromkeys(g.first.experiment for g in groups if g.first.experiment))
    sections = comparison.by_data(groups)
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
    curves = json.dumps(curve_data(groups, [_colour(i) for i in range(len(groups))]))
    return "\n".join(
        [
            '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title><style>{_resource('comparison_page.css')}</style></head><body>",
            *parts,
            # A name with `</script>` in it would end the script.
            f'<script type="application/json" id="curves">{curves.replace("<", chr(92) + "u003c")}</script>',
            f"<script>{_resource('comparison_page.js')}</script></body></html>",
        ]
    )


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


def _runs_section(groups: Sequence[Group], differing: Mapping[str, Sequence[str]]) -> str:
    cost = [k for k in COST if any(g.statistic(k, "cost") for g in groups)]
    trained = [k for k in TRAINING if any(g.statistic(k) for g in groups)]
    seeds = any("seed" in e.flags for g in groups for e in g.entries)
    heads = ["run", "status", *(["seeds"] if seeds else []), *map(_spaced, differing)]
    heads += [COST_WORDS[k] for k in (*trained, *cost)]
    texts = 2 + seeds + len(differing)
    rows = []
    for i, g in enumerate(groups):
        cells = [_status(g)] + ([_text(_seeds(g))] if seeds else [])
        cells += [_text(row[i]) for row in differing.values()]
        cells += [_cell(g.statistic(k)) for k in trained]
        cells += [_cell(g.statistic(k, "cost")) for k in cost]
        rows.append(f"<tr>{_head(groups, i)}{''.join(cells)}</tr>")
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
            _table(heads, rows, texts),
            *notes,
            _partial(groups),
        ]
    )


def _partial(groups: Sequence[Group]) -> str:
    rows = comparison.partial_flags(groups)
    if not rows:
        return ""
    body = [
        f'<tr><th class="text">{escape(_spaced(name))}</th>{"".join(_text(v) for v in row)}</tr>'
        for name, row in rows.items()
    ]
    table = _table(["flag", *(g.label for g in groups)], body, 1 + len(groups), sortable=False)
    return (
        "<details><summary>Flags that only some of these runs have, with the same value</summary>"
        f"{table}</details>"
    )


def _results_section(everything: Sequence[Group], members: Sequence[Group]) -> str:
    first = members[0].first
    names = [n for n in comparison.measures(members) if n not in TRAINING]
    heading = f"<h3>{escape(_describe(first))}</h3>"
    if not names:
        return f'{heading}<p class="caption">There are no results yet.</p>'
    index = {id(g): i for i, g in enumerate(everything)}
    marks = {name: best(members, name) for name in names}
    rows = [
        f"<tr>{_head(everything, index[id(g)])}"
        + "".join(_cell(g.statistic(n), best=i in marks[n], missing=_why(g, n)) for n in names)
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
                _cell(Statistic(values[n], None, 1) if is_number(values.get(n)) else None)
                for n in names
            ]
            words = f"{_spaced(name)} (baseline)"
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
    table = _table(["run", *names], rows, 1, measures=True)
    return "".join(
        [heading, table, f'<p class="caption">{caption}</p>']
        + [f'<p class="note">{escape(note)}</p>' for note in notes]
    )


def _curves_section(groups: Sequence[Group]) -> str:
    panels = curve_data(groups, [""] * len(groups))["panels"]
    if not panels:
        return '<h2>Learning curves</h2><p class="caption">No run has finished an epoch.</p>'
    buttons = "".join(
        f'<button type="button" data-group="{i}" aria-pressed="true">{_swatch(i)}'
        f"<span>{escape(_legend(groups, i))}</span></button>"
        for i, g in enumerate(groups)
        if any(e.histories for e in g.entries)
    )
    figures = []
    for i, panel in enumerate(panels):
        title, unit = TERMS.get(panel["name"], (_spaced(panel["name"]), "mean over images"))
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
                own = comparison.own_flags(groups, strip.group)
                name = (
                    f'<div><span class="name">{_swatch(strip.group)}<b>{escape(groups[strip.group].label)}'
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
    names = [n for n in comparison.measures(groups) if n not in TRAINING]
    for i, g in enumerate(groups):
        for e in g.entries:
            cells = [
                _cell(Statistic(e.results[n], None, 1) if is_number(e.results.get(n)) else None)
                for n in names
            ]
            rows.append(
                f'<tr><th><span class="name">{_swatch(i)}<b>{escape(e.name)}</b></span></th>'
                f"{_text(str(e.flags.get('seed', '-')))}{''.join(cells)}</tr>"
            )
    protocols: dict[str, list[str]] = {}
    for g in groups:
        if g.first.protocol:
            protocols.setdefault(g.first.protocol, []).append(g.label)
    listed = "".join(
        f"<p><b>{escape(', '.join(labels))}</b>: {escape(text)}</p>"
        for text, labels in protocols.items()
    )
    table = _table(["run", "seed", *names], rows, 2, measures=True)
    folders = "".join(f"<p>{escape(str(e.directory))}</p>" for g in groups for e in g.entries)
    return (
        f"<h2>Details</h2><details><summary>Results of each run</summary>{table}</details>"
        f"<details><summary>How the results were computed</summary>{listed}</details>"
        f"<details><summary>Folders</summary>{folders}</details>"
    )


def _table(
    heads: Sequence[str],
    rows: Sequence[str],
    texts: int,
    *,
    measures: bool = False,
    sortable: bool = True,
) -> str:
    """A table; the first `texts` columns are text."""
    cells = []
    for i, head in enumerate(heads):
        kind = "text" if i < texts else ""
        inside = escape(head)
        if measures and i >= texts:
            words, unit, better = quantity(head)
            inside = f"{escape(words)} {ARROWS[better]}"
            inside += f'<span class="unit">{escape(unit)}</span>' if unit else ""
        kind += " sortable" if sortable and len(rows) > 1 else ""
        cells.append(f'<th class="{kind.strip()}">{inside}</th>')
    return (
        f'<div class="scroll"><table><thead><tr>{"".join(cells)}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _head(groups: Sequence[Group], index: int) -> str:
    g = groups[index]
    count = f'<span class="sub">{len(g.entries)} runs</span>' if len(g.entries) > 1 else ""
    return (
        f'<th data-value="{escape(g.label)}"><span class="name">{_swatch(index)}'
        f"<b>{escape(g.label)}</b></span>{count}</th>"
    )


def _legend(groups: Sequence[Group], index: int) -> str:
    own = comparison.own_flags(groups, index)
    label = groups[index].label
    return f"{label} ({own})" if own and len(own) < 60 and len(groups) <= 8 else label


def _cell(statistic: Statistic | None, *, best: bool = False, missing: str = "\u2013") -> str:
    if statistic is None:
        return f'<td class="muted">{missing}</td>'
    mean, sd, _ = statistic
    shown = readable(mean)
    spread = "" if sd is None else f' <span class="sd">({sd:.2g})</span>'
    return f'<td{" class=best" if best else ""} data-value="{mean!r}">{shown}{spread}</td>'


def readable(mean: float) -> str:
    """A number without the digits that nobody needs.

    Examples:
      >>> [readable(v) for v in (5009.94, 20.0, 0.0153106, 118.963)]
      ['5,010', '20', '0.01531', '118.96']
    """
    return number(round(mean) if mean == round(mean) or 1000 <= abs(mean) < 1e15 else mean)


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


def _text(value: str) -> str:
    return f'<td class="text" data-value="{escape(value)}">{escape(value)}</td>'


def _swatch(index: int) -> str:
    return f'<i class="swatch" style="--c:{_colour(index)}"></i>'


def _colour(index: int) -> str:
    """The colours of figures, and after these others of the same hues that are lighter and darker."""
    base, turn = PALETTE[index % len(PALETTE)], index // len(PALETTE)
    if not turn:
        return base
    mixed = ("black 35%", "white 45%", "black 60%")[(turn - 1) % 3]
    return f"color-mix(in srgb, {base}, {mixed})"


def _dataset(g: Group) -> str:
    return str(g.first.flags.get("dataset", "data of unknown origin")).rpartition("/")[2]


def _describe(entry: comparison.Entry) -> str:
    """The test images, in words: `mnist5k, 1000 test images, 28 x 28 x 1`."""
    name = str(entry.flags.get("dataset", "")).rpartition("/")[2]
    shape = entry.data.split("-")[0].split("x")
    if len(shape) > 1 and all(part.isdigit() for part in shape):
        size = " \u00d7 ".join(shape[1:])
        name += f", {int(shape[0]):,} test images of {size}"
    return f"{name}, {entry.task}" if entry.task else name


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def _resource(name: str) -> str:
    return (files("jaxae.runs") / name).read_text("utf-8")
