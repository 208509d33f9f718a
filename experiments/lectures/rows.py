"""What a row of the lectures is: words, formulas, runs, figures, and criteria that can fail."""

import dataclasses
import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple


@dataclasses.dataclass(frozen=True)
class Found:
    """What a run has found.

    Attributes:
      directory: the run folder.
      results: by name; a name that is missing is a `KeyError`, which makes the row red.
      command: by which the run can be repeated.
      data: the data set, in words.
      printed: what the experiment printed.
      seconds: the time that the run took, on the clock; None if it is not known.
    """

    directory: Path
    results: Mapping[str, Any]
    command: str
    data: str
    printed: str = ""
    seconds: float | None = None

    def __getitem__(self, name: str) -> Any:
        return self.results[name]


class Criterion(NamedTuple):
    """A number, what it should be, and whether it is.

    Attributes:
      what: the number is.
      value: the number; None where it is undefined, which does not hold.
      should: be, in words.
      holds: whether it is.
      unit: of the number.
    """

    what: str
    value: float | None
    should: str
    holds: bool
    unit: str = ""


class Figure(NamedTuple):
    """A figure or a sound of a run: the run's name, the file in its folder, and a caption."""

    part: str
    file: str
    caption: str


class Row(NamedTuple):
    """A row of the lectures.

    Attributes:
      number: of the row.
      title: of the row.
      lectures: that have it, the first of which it is shown under.
      words: what the lectures say.
      formulas: in the part of TeX that :mod:`experiments.lectures.mathml` knows.
      parts: the names of the runs that it needs.
      figures: and sounds of these runs.
      judge: from the runs by name to criteria, all of which have to hold.
      note: on what is shown, if it is not what the lecture has.
    """

    number: int
    title: str
    lectures: tuple[str, ...]
    words: str
    formulas: tuple[str, ...]
    parts: tuple[str, ...]
    figures: tuple[Figure, ...]
    judge: Callable[[Mapping[str, Found]], Sequence[Criterion]]
    note: str = ""


def read_rows(criteria: Mapping[int, Callable[..., Sequence[Criterion]]]) -> tuple[Row, ...]:
    """The rows of rows.toml, in the order of their numbers, with their criteria.

    Args:
      criteria: of each row, by its number.
    """
    file = resources.files("experiments.lectures").joinpath("rows.toml")
    rows = []
    for values in tomllib.loads(file.read_text("utf-8"))["rows"]:
        figures = tuple(Figure(*figure) for figure in values.pop("figures"))
        lists = {name: tuple(values.pop(name)) for name in ("lectures", "formulas", "parts")}
        rows.append(Row(**values | lists, figures=figures, judge=criteria[values["number"]]))
    return tuple(sorted(rows, key=lambda row: row.number))


def number(value: float | None) -> str:
    """A number with three or four digits.

    Examples:
      >>> number(1234.5), number(0.01234), number(2.0), number(None), number(3e-7)
      ('1,234', '0.0123', '2', 'undefined', '3e-07')
    """
    if value is None or not math.isfinite(value):
        return "undefined"
    if value == round(value) and abs(value) < 1e6:
        return f"{round(value):,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) >= 10 else f"{value:.3g}"


def below(what: str, value: float | None, limit: float, why: str = "", unit: str = "") -> Criterion:
    """The criterion that a number is below a limit; `why` says what the limit is.

    Examples:
      >>> below("error", 3.0, 2.0, "that of PCA").holds, below("error", None, 2.0).holds
      (False, False)
      >>> below("error", 3.0, 2.0, "that of PCA").should
      'below 2 (that of PCA)'
    """
    return _compared("below", what, value, limit, why, unit, 1)


def above(what: str, value: float | None, limit: float, why: str = "", unit: str = "") -> Criterion:
    """The criterion that a number is above a limit."""
    return _compared("above", what, value, limit, why, unit, -1)


def _compared(
    how: str, what: str, value: float | None, limit: float, why: str, unit: str, sign: int
) -> Criterion:
    holds = value is not None and math.isfinite(value) and sign * value < sign * limit
    reason = f" ({why})" if why else ""
    return Criterion(what, value, f"{how} {number(limit)}{reason}", holds, unit)


def equal(
    what: str, value: float | None, wanted: float, tolerance: float, unit: str = ""
) -> Criterion:
    """The criterion that a number is what it should be, up to a tolerance.

    Examples:
      >>> equal("points", 5, 5, 0).holds, equal("points", 4, 5, 0).holds
      (True, False)
    """
    holds = value is not None and math.isfinite(value) and abs(value - wanted) <= tolerance
    about = f", to {number(tolerance)}" if tolerance else ""
    return Criterion(what, value, f"{number(wanted)}{about}", holds, unit)
