"""Names with letters that the font of figures lacks, in figures."""

import warnings

import numpy as np
import pytest
from matplotlib.figure import Figure

from jaxae.runs import charts, figures, fonts, scatters, style

# Of a language that matplotlib's fonts lack; of no language; half of a letter, as file names may have.
NAMES = ("東", "\U0010fffd", "gr\udcf6n")


@pytest.fixture
def no_other_font(monkeypatch):
    monkeypatch.setattr(fonts, "_other_font", lambda letters: None)
    monkeypatch.setattr(fonts, "_said", set())


@pytest.fixture(autouse=True)
def warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("name", NAMES)
def test_names_that_cannot_be_drawn_are_replaced_and_said(name, tmp_path, no_other_font, capsys):
    image = np.zeros((2, 3, 3, 1))
    bad, good = (tmp_path / f"{which}.png" for which in ("bad", "good"))
    for path, text in ((bad, name), (good, "".join("?" if ord(c) > 127 else c for c in name))):
        figures.rows({text: image, "b": image}, path, title=f"{text}: title")
    np.testing.assert_array_equal(*(figures.Image.open(path) for path in (bad, good)))
    (note,) = capsys.readouterr().err.splitlines()
    assert note.startswith("note: no font of this machine has the letters")


def test_classes_that_cannot_be_drawn_have_their_numbers(tmp_path, no_other_font, capsys):
    styles = style.class_styles(np.array([0, 1, 2]), ["cat", "東", "西"])
    assert [s.name for s in styles.values()] == ["cat", "1", "2"]
    assert "figures show numbers" in capsys.readouterr().err


def test_another_font_is_taken_if_there_is_one(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fonts, "_other_font", lambda letters: "STIXGeneral")
    figure = Figure()
    axes = figure.add_subplot()
    axes.set_xticks([0.0], ["\u29bf"])  # in STIXGeneral only
    title = axes.set_title("\u29bf")
    figures.save(figure, tmp_path / "a.png")
    assert title.get_fontfamily()[-1] == "STIXGeneral"
    assert title.get_text() == "\u29bf"
    assert axes.get_xticklabels()[0].get_fontfamily()[-1] == "STIXGeneral"
    assert capsys.readouterr().err == ""


def test_fonts_are_found_by_their_letters():
    assert fonts.can_draw("Größe: Яблоко \u2192 3\n")
    assert fonts._other_font("\u29bf") is not None  # STIXGeneral is a part of matplotlib
    assert fonts._other_font(NAMES[2][2]) is None


def test_dollars_in_names_are_no_formulas(tmp_path):
    names = ["$a", "b$", r"$\frac$"]
    figures.rows({"a": np.zeros((2, 3, 3, 1))}, tmp_path / "a.png", title=r"$\frac$: title")
    scatters.scatter(
        {"a": np.random.default_rng(0).normal(size=(6, 2))},
        np.arange(6) % 3,
        tmp_path / "b.png",
        title=" ".join(names),
        classes=names,
    )
    charts.confusion(
        np.eye(3, dtype=int),
        tmp_path / "c.png",
        title="c",
        rows=["a", "b", "c"],
        columns=[style.drawn_class_name(i, names) for i in range(3)],
        xlabel="x",
        ylabel="y",
    )
