"""The page: one HTML file with everything in it."""

import base64
import html
import io
import time
from collections.abc import Iterable, Sequence
from functools import partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from experiments.lectures.mathml import mathml
from experiments.lectures.rows import Criterion, Figure, Found, number

if TYPE_CHECKING:
    from experiments.lectures.running import Outcome, Settings

LECTURES = {
    "000": ("Mukund and Misra", "Lecture 10: Autoencoders"),
    "001": ("Safayani", "Variational Autoencoder"),
    "002": ("Atienza", "AutoEncoders"),
    "003": ("Long", "Auto-Encoders"),
}
"""Names and titles of the lectures."""
WIDTH = 1400
"""Pixels of an embedded figure, at most."""

text = partial(html.escape, quote=False)


def page(outcomes: Sequence["Outcome"], settings: "Settings", seconds: float) -> str:
    """The page of all rows, lecture by lecture.

    Args:
      outcomes: of the rows.
      settings: of the runs.
      seconds: that the runs took.
    """
    holding = sum(outcome.holds for outcome in outcomes)
    waiting = sum(not outcome.done for outcome in outcomes)
    how = "small networks, short trainings (--quick)" if settings.quick else "default settings"
    facts = [
        f"digits of {settings.dataset}",
        how,
        f"{seconds / 60:.1f} minutes in all",
        time.strftime("%d %B %Y"),
    ]
    if waiting:
        facts.insert(0, f"{waiting} rows were not run: the run was stopped")
    style = resources.files("experiments.lectures").joinpath("page.css").read_text("utf-8")
    lectures = [
        (key, [outcome for outcome in outcomes if outcome.row.lectures[0] == key])
        for key in LECTURES
    ]
    summary = "all" if holding == len(outcomes) else "some"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Autoencoders: the lectures, computed</title>
<style>
{style}</style>
</head>
<body>
<header>
<h1>Autoencoders: the lectures, computed</h1>
<p class="summary {summary}"><b>{holding} of {len(outcomes)}</b> rows hold</p>
<p class="facts">{text("; ".join(facts))}.</p>
<nav class="strip" aria-label="All rows">{"".join(map(_square, outcomes))}</nav>
</header>
<nav class="contents" aria-label="Contents">
{"".join(_contents(key, part) for key, part in lectures if part)}</nav>
<main>
{"".join(_lecture(key, part) for key, part in lectures if part)}</main>
<footer>Made by <code>python -m experiments.lectures</code>. Every number was computed by the runs
of this page. Figures in one file, no network.</footer>
</body>
</html>
"""


def state(outcome: "Outcome") -> str:
    """The class of a row in the style sheet."""
    return ("holds" if outcome.holds else "fails") if outcome.done else "waits"


def _square(outcome: "Outcome") -> str:
    row = outcome.row
    label = html.escape(f"Row {row.number}, {row.title}: {WORDS[state(outcome)]}")
    return (
        f'<a class="{state(outcome)}" href="#row-{row.number}" title="{label}" aria-label="{label}">'
        f"{row.number}</a>"
    )


WORDS = {"holds": "holds", "fails": "does not hold", "waits": "not run"}


def _contents(key: str, outcomes: Sequence["Outcome"]) -> str:
    author, _ = LECTURES[key]
    items = "".join(
        f'<li class="{state(o)}"><a href="#row-{o.row.number}">{text(o.row.title)}</a></li>\n'
        for o in outcomes
    )
    return f'<section><h2><a href="#lecture-{key}">{text(author)}</a></h2>\n<ul>{items}</ul></section>\n'


def _lecture(key: str, outcomes: Sequence["Outcome"]) -> str:
    author, title = LECTURES[key]
    cards = "".join(map(_card, outcomes))
    return f'<h2 class="lecture" id="lecture-{key}"><small>{text(author)}</small>{text(title)}</h2>\n{cards}'


def _card(outcome: "Outcome") -> str:
    row = outcome.row
    others = [LECTURES[key][0] for key in row.lectures[1:]]
    also = f'<p class="also">Also in: {text(", ".join(others))}</p>\n' if others else ""
    formulas = "".join(f'<div class="formula">{mathml(tex)}</div>\n' for tex in row.formulas)
    return f"""<article class="{state(outcome)}" id="row-{row.number}">
<header><span class="number">{row.number}</span><h3>{text(row.title)}</h3>
<span class="verdict">{WORDS[state(outcome)]}</span></header>
<p>{text(row.words)}</p>
{also}<div class="formulas">{formulas}</div>
{_criteria(outcome)}{"".join(_figure(f, outcome) for f in row.figures)}
{f'<p class="note">{text(row.note)}</p>' if row.note else ""}
{_runs(outcome.runs.values())}</article>
"""


def _criteria(outcome: "Outcome") -> str:
    failed = f'<p class="error">Failed: {text(outcome.error)}</p>\n' if outcome.error else ""
    if not outcome.criteria:
        return failed
    lines = "".join(map(_criterion, outcome.criteria))
    return f"""{failed}<table>
<thead><tr><th>Measured</th><th>Number</th><th>It should be</th><th></th></tr></thead>
<tbody>{lines}</tbody></table>
"""


def _criterion(criterion: Criterion) -> str:
    unit = f" {text(criterion.unit)}" if criterion.unit and criterion.value is not None else ""
    sign, word = ("✓", "holds") if criterion.holds else ("✗", "does not hold")
    return (
        f'<tr class="{"holds" if criterion.holds else "fails"}"><td>{text(criterion.what)}</td>'
        f'<td class="value">{number(criterion.value)}{unit}</td>'
        f"<td>{text(criterion.should)}</td>"
        f'<td class="sign"><span role="img" aria-label="{word}">{sign}</span></td></tr>\n'
    )


def _figure(figure: Figure, outcome: "Outcome") -> str:
    found = outcome.runs.get(figure.part)
    path = None if found is None else found.directory / figure.file
    if path is None or not path.is_file():
        return ""
    caption = f"<figcaption>{text(figure.caption)}</figcaption>"
    if path.suffix == ".wav":
        data = base64.b64encode(path.read_bytes()).decode()
        return (
            f'<figure class="sound">{caption}<audio controls src="data:audio/wav;base64,{data}">'
            "</audio></figure>\n"
        )
    content, width, height = _embedded(path)
    return (
        f'<figure><img src="data:image/png;base64,{content}" width="{width}" height="{height}" '
        f'loading="lazy" alt="{html.escape(figure.caption)}">{caption}</figure>\n'
    )


def _embedded(path: Path) -> tuple[str, int, int]:
    """A figure in base64, not wider than `WIDTH`, and its size."""
    with Image.open(path) as image:
        if image.width <= WIDTH:
            return base64.b64encode(path.read_bytes()).decode(), image.width, image.height
        small = image.convert("RGB").resize(
            (WIDTH, round(image.height * WIDTH / image.width)), Image.Resampling.LANCZOS
        )
    buffer = io.BytesIO()
    small.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode(), small.width, small.height


def _runs(runs: Iterable[Found]) -> str:
    parts = []
    for found in runs:
        spent = "" if found.seconds is None else f"; {found.seconds:.0f} s"
        parts.append(
            f'<div class="run"><pre class="command">{text(found.command)}</pre>\n'
            f'<p class="data">{text(found.data)}{spent}</p>'
        )
        if found.printed.strip():
            printed = text(found.printed.strip("\n"))
            parts.append(
                f"<details><summary>What it prints</summary><pre>{printed}</pre></details>"
            )
        parts.append("</div>\n")
    return "".join(parts)
