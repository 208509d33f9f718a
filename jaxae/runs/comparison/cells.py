"""Cells and tables of the page on which runs are compared."""

from collections.abc import Sequence
from html import escape

from jaxae.runs.comparison.grouping import Group, Statistic
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


def table(
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


def head(groups: Sequence[Group], index: int) -> str:
    """The first cell of the row of a group."""
    g = groups[index]
    count = f'<span class="sub">{len(g.entries)} runs</span>' if len(g.entries) > 1 else ""
    return (
        f'<th data-value="{escape(g.label)}"><span class="name">{swatch(index)}'
        f"<b>{escape(g.label)}</b></span>{count}</th>"
    )


def cell(statistic: Statistic | None, *, best: bool = False, missing: str = "\u2013") -> str:
    """A cell with a number, or what stands in for it."""
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


def text(value: str) -> str:
    """A cell with a text."""
    return f'<td class="text" data-value="{escape(value)}">{escape(value)}</td>'


def swatch(index: int) -> str:
    """A small square in the colour of a group."""
    return f'<i class="swatch" style="--c:{colour(index)}"></i>'


def colour(index: int) -> str:
    """The colours of figures, and after these others of the same hues that are lighter and darker."""
    base, turn = PALETTE[index % len(PALETTE)], index // len(PALETTE)
    if not turn:
        return base
    mixed = ("black 35%", "white 45%", "black 60%")[(turn - 1) % 3]
    return f"color-mix(in srgb, {base}, {mixed})"


def spaced(name: str) -> str:
    """A name in words."""
    return name.replace("_", " ")
