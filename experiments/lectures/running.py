"""Runs the rows one after another, and writes the page."""

import contextlib
import dataclasses
import importlib
import io
import json
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import jaxae
from experiments.lectures import atienza, drawings, long, mukund_misra, safayani
from experiments.lectures.page import page
from experiments.lectures.parts import PARTS, Demonstration, Part
from experiments.lectures.rows import Criterion, Found, Row, number, read_rows
from jaxae.runs.folder import Run, write_json
from jaxae.runtime.files import atomic_write
from jaxae.training.loop import Interrupted

CRITERIA = mukund_misra.CRITERIA | safayani.CRITERIA | atienza.CRITERIA | long.CRITERIA
ROWS = read_rows(CRITERIA)
"""All rows, by their numbers."""
FACES, TINTED = {True: 2_000, False: 10_000}, 4_000
"""Drawn faces with and without `--quick`, and tinted digits, at most."""
TIMES = "times.json"
LOADED = {"faces": "celeb_a", "colours": "cifar10"}
"""Data sets that are used without `--quick`, if they are found."""


class Settings(NamedTuple):
    """Where the runs are, and what they are run with."""

    directory: Path
    dataset: str
    quick: bool
    data_dir: str | None = None


class Outcome(NamedTuple):
    """What has become of a row.

    Attributes:
      row: the row.
      runs: that were complete, by name.
      criteria: of the row; empty if it failed.
      error: one line, if it failed.
      done: whether it was run.
    """

    row: Row
    runs: Mapping[str, Found] = {}
    criteria: Sequence[Criterion] = ()
    error: str = ""
    done: bool = True

    @property
    def holds(self) -> bool:
        """Whether the row works: all of its criteria hold."""
        return bool(self.criteria) and all(c.holds for c in self.criteria) and not self.error


def run_rows(
    settings: Settings,
    rows: Sequence[Row] = ROWS,
    parts: Mapping[str, Part | Demonstration] = PARTS,
) -> dict[str, Any]:
    """Runs the rows, writes `lectures.html`, and returns whether each of them holds.

    Raises:
      Interrupted: if it was stopped; the page then has the rows that are done.
    """
    outcomes: list[Outcome] = []
    known: dict[str, Found | str] = {}
    with _Bar(len(rows)) as bar:
        try:
            for row in rows:
                bar.begin(row)
                outcomes.append(_run_row(row, settings, parts, known, bar))
                bar.end(outcomes[-1])
        except KeyboardInterrupt:
            rest = [Outcome(row, done=False) for row in rows[len(outcomes) :]]
            _write(settings, [*outcomes, *rest])
            raise Interrupted(f"{len(outcomes)} of {len(rows)} rows are done") from None
    path = _write(settings, outcomes)
    holding = sum(outcome.holds for outcome in outcomes)
    console = Console(markup=False)
    console.print(f"{holding} of {len(rows)} rows hold", highlight=False)
    for outcome in outcomes:
        if not outcome.holds:
            console.print(f"  {describe(outcome)}", highlight=False, soft_wrap=True)
    console.print(f"page: {path}", highlight=False, soft_wrap=True)
    return {f"row_{outcome.row.number}": outcome.holds for outcome in outcomes}


def describe(outcome: Outcome) -> str:
    """The outcome of a row in one line."""
    about = f"row {outcome.row.number}, {outcome.row.title}"
    if outcome.error:
        return f"{about}: failed: {outcome.error}"
    failed = [c for c in outcome.criteria if not c.holds]
    if not failed:
        return f"{about}: holds"
    return f"{about}: does not hold: " + "; ".join(
        f"{c.what}: {number(c.value)}, should be {c.should}" for c in failed
    )


def _run_row(
    row: Row,
    settings: Settings,
    parts: Mapping[str, Part | Demonstration],
    known: dict[str, Found | str],
    bar: "_Bar",
) -> Outcome:
    """Runs what the row needs, and judges it. Whatever fails makes it red."""
    runs: dict[str, Found] = {}
    for name in row.parts:
        if name not in known:
            known[name] = _attempt(name, parts[name], settings, bar)
        found = known[name]
        if isinstance(found, str):
            return Outcome(row, runs, error=f"{name}: {found}")
        runs[name] = found
    try:
        missing = [f for f in row.figures if not (runs[f.part].directory / f.file).is_file()]
        error = f"{missing[0].part} has no {missing[0].file}" if missing else ""
        return Outcome(row, runs, list(row.judge(runs)), error)
    except Exception as problem:
        return Outcome(row, runs, error=_line(problem))


def _attempt(name: str, part: Part | Demonstration, settings: Settings, bar: "_Bar") -> Found | str:
    """What a run found, or why it failed."""
    before = _times(settings)
    complete = (settings.directory / "runs" / name / "results.json").exists()
    wall, processor = time.perf_counter(), time.process_time()
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(bar.reports()):
            found = run_part(name, part, settings)
    except (Exception, SystemExit) as problem:
        return _line(problem)
    finally:
        spent = dict(before.get(name, {"seconds": 0.0, "processor_seconds": 0.0}))
        if not complete:
            spent["seconds"] += time.perf_counter() - wall
            spent["processor_seconds"] += time.process_time() - processor
            write_json(
                settings.directory / TIMES,
                {**before, name: {k: round(v, 2) for k, v in spent.items()}},
            )
    return dataclasses.replace(found, printed=printed.getvalue(), seconds=spent["seconds"])


def _times(settings: Settings) -> dict[str, dict[str, float]]:
    """Seconds of each run on the clock and of all processors, so far; nothing if the file is damaged."""
    try:
        return dict(json.loads((settings.directory / TIMES).read_text()))
    except (OSError, ValueError):
        return {}


def _line(problem: BaseException) -> str:
    words = " ".join(str(problem).split()) or type(problem).__name__
    kind = "" if isinstance(problem, ValueError) else f"{type(problem).__name__}: "
    return (kind if words != type(problem).__name__ else "") + words[:400]


def run_part(name: str, part: Part | Demonstration, settings: Settings) -> Found:
    """Runs an experiment or a demonstration in its own run folder, unless it is complete."""
    directory = settings.directory / "runs" / name
    options = {**part.options, **(part.quick if settings.quick else {})}
    if isinstance(part, Demonstration):
        run = Run(directory, {"experiment": f"lectures, {name}", **options})
        results = run.results
        if results is None:
            results = part.function(run, **options)
            run.finish(results)
        again = ["python", "-m", "experiments.lectures", *(["--quick"] if settings.quick else [])]
        file = f"experiments/lectures/{part.function.__module__.rpartition('.')[2]}.py"
        return Found(directory, results, shlex.join(again), f"{part.function.__name__}() in {file}")
    module = importlib.import_module(f"experiments.{part.experiment}")
    source, data = data_for(part.data, settings)
    if settings.quick:
        options |= epochs_for(part, source, settings)
    if settings.data_dir is not None:
        options["data_dir"] = settings.data_dir
    config = module.Config(dataset=source, run_dir=str(directory), **options)
    return Found(directory, module.main(config), command_of(part.experiment, config), data)


def epochs_for(part: Part, source: str, settings: Settings) -> dict[str, int]:
    """Numbers of epochs that show as many images as the part says."""
    images = len(jaxae.load(source, data_dir=settings.data_dir).train.images)
    wanted = {"epochs": part.images, **part.other_images}
    return {
        name: max(1, round(count / images)) for name, count in wanted.items() if count is not None
    }


def data_for(kind: str, settings: Settings) -> tuple[str, str]:
    """The data set of a kind, as `--dataset` takes it, and in words.

    Faces are drawn, and digits tinted, unless photographs are found and there is time for them.
    """
    if kind == "digits":
        return settings.dataset, f"data: {settings.dataset}"
    name = LOADED[kind]
    if not settings.quick and is_found(name, settings.data_dir):
        return name, f"data: {name}"
    path = settings.directory / "data" / f"{kind}.npz"
    if kind == "faces":
        if not path.exists():
            images, has = drawings.faces(FACES[settings.quick], seed=0)
            names = np.asarray(drawings.ATTRIBUTES)
            drawings.write(path, images=images, attributes=has, attribute_names=names)
        return str(path), "data: drawn faces (synthetic)"
    if not path.exists():
        digits = jaxae.load(settings.dataset, data_dir=settings.data_dir).train
        step = max(1, -(-len(digits.images) // TINTED))
        labels = np.asarray(digits.labels)[::step]
        images = drawings.tinted(digits.images[::step], labels)
        drawings.write(path, images=images, labels=labels)
    return str(path), f"data: digits of {settings.dataset}, tinted by class"


def is_found(name: str, data_dir: str | None) -> bool:
    """Whether a data set of tensorflow_datasets is prepared on this machine."""
    try:
        jaxae.load(name, data_dir=data_dir, stream=True)
    except (ValueError, OSError):
        return False
    return True


def command_of(experiment: str, config: Any) -> str:
    """The command that repeats a run, in a new folder; flags with their default values are left out."""
    words = ["python", "-m", f"experiments.{experiment}"]
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if value == field.default or field.name == "run_dir":
            continue
        flag = f"--{field.name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(flag if value else f"--no-{flag[2:]}")
        else:
            words += [flag, *map(str, value if isinstance(value, tuple) else (value,))]
    return shlex.join(words)


def _write(settings: Settings, outcomes: Sequence[Outcome]) -> Path:
    path = settings.directory / "lectures.html"
    seconds = sum(values["seconds"] for values in _times(settings).values())
    with atomic_write(path) as partial:
        partial.write_text(page(outcomes, settings, seconds), encoding="utf-8")
    return path


class _Bar:
    """Progress over rows: a bar on a terminal with the latest report of the run, or a line for each row."""

    def __init__(self, rows: int):
        self._rows, self._done = rows, 0
        self._bar = Progress(
            TextColumn("row"),
            MofNCompleteColumn(),
            BarColumn(bar_width=20),
            TimeElapsedColumn(),
            TextColumn("{task.fields[report]}", markup=False),
            # The standard error of the runs is caught, but the bar goes to that of the command.
            console=Console(file=sys.stderr),
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> "_Bar":
        self._live = self._bar.console.is_terminal
        self._task = self._bar.add_task("", total=self._rows, report="")
        if self._live:
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live:
            self._bar.stop()

    def begin(self, row: Row) -> None:
        """A row begins."""
        self._row, self._since = row, time.perf_counter()
        self.report("")
        if not self._live:
            self._print(f"row {row.number}, {row.title} ...")

    def end(self, outcome: Outcome) -> None:
        """A row is done."""
        self._done += 1
        self._bar.update(self._task, completed=self._done)
        seconds = time.perf_counter() - self._since
        self._print(f"{self._done}/{self._rows} {describe(outcome)} ({seconds:.0f} s)")

    def _print(self, line: str) -> None:
        self._bar.console.print(line, highlight=False, soft_wrap=True, markup=False)

    def report(self, line: str) -> None:
        """Shows the latest report of the run after the title of the row."""
        words = f"{self._row.title}: {line}" if line else self._row.title
        self._bar.update(self._task, report=words[:90])

    def reports(self) -> io.TextIOBase:
        """A stream whose lines are reports."""
        return _Reports(self)


class _Reports(io.TextIOBase):
    def __init__(self, bar: _Bar):
        self._bar, self._line = bar, ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            if line.strip():
                self._bar.report(line.strip())
        return len(text)
