"""The page of the lectures: every row is on it, a row that fails is red, and a run is resumed."""

import html.parser
import importlib
import json
import re
import shlex

import numpy as np
import pytest
import tyro

import jaxae
from experiments import lectures
from experiments.lectures import drawings, rows, running
from experiments.lectures.mathml import mathml
from experiments.lectures.page import LECTURES
from experiments.lectures.parts import PARTS, Demonstration, Part
from experiments.lectures.rows import Figure, Found, Row, above, below, equal
from experiments.lectures.running import ROWS, Settings, run_rows
from jaxae.data.colors import luma
from jaxae.runs import figures
from jaxae.runs.projector import write_projector
from jaxae.training.loop import Interrupted
from tests.experiments.running import refused


def test_the_rows_are_those_of_the_lectures():
    assert [row.number for row in ROWS] == list(range(1, 30))
    for row in ROWS:
        assert row.lectures
        assert set(row.lectures) <= set(LECTURES)
        assert row.words
        assert row.figures
        assert row.formulas
        assert {figure.part for figure in row.figures} <= set(row.parts)
        for tex in row.formulas:
            assert mathml(tex).startswith("<math")
    assert {part for row in ROWS for part in row.parts} == set(PARTS)


class Same(dict):
    """Results that are all the same, as if no model were better than what it is compared with."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def __missing__(self, name):
        return self.value


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.number))
def test_a_model_that_is_no_better_than_its_baselines_makes_the_row_red(row, tmp_path):
    if row.number == 24:
        pytest.skip("this row counts lines of files; see below")
    runs = {name: Found(tmp_path, Same(1.0), "", "") for name in row.parts}
    outcome = running.Outcome(row, runs, row.judge(runs))
    assert not outcome.holds
    assert all(criterion.should for criterion in outcome.criteria)


def test_codes_for_the_projector_are_counted(tmp_path):
    (row,) = [row for row in ROWS if row.number == 24]
    folder = tmp_path / "projector" / "VAE"
    codes, images = np.zeros((120, 2)), np.zeros((120, 28, 28, 1))
    write_projector(folder, codes, images, np.arange(120) % 10, name="codes")
    runs = {"latent-space": Found(tmp_path, {}, "", "")}
    assert running.Outcome(row, runs, row.judge(runs)).holds
    metadata = (folder / "metadata.tsv").read_text().splitlines()
    (folder / "metadata.tsv").write_text("\n".join(metadata[:50]))
    assert not running.Outcome(row, runs, row.judge(runs)).holds


def test_criteria():
    assert below("a", 1.0, 2.0).holds
    assert not below("a", 2.0, 2.0).holds
    assert above("a", 3.0, 2.0).holds
    assert not above("a", 2.0, 2.0).holds
    assert equal("a", 2.1, 2.0, 0.2).holds
    assert not equal("a", 2.3, 2.0, 0.2).holds
    for value in (None, float("nan"), float("inf")):
        assert not below("a", value, 2.0).holds
        assert not above("a", value, 2.0).holds
        assert not equal("a", value, 2.0, 1.0).holds
    assert above("a", 3, 2.0, "that of b", "dB")[1:] == (3, "above 2 (that of b)", True, "dB")


def test_formulas():
    found = mathml(r"\sum_{k=1}^{n} \hat{x}_k^2").replace(' mathvariant="normal"', "")
    assert found == (
        '<math display="block"><mrow><munderover><mo>∑</mo><mrow><mi>k</mi><mo>=</mo><mn>1</mn></mrow>'
        '<mrow><mi>n</mi></mrow></munderover><msubsup><mover accent="true"><mi>x</mi><mo>^</mo></mover>'
        "<mi>k</mi><mn>2</mn></msubsup></mrow></math>"
    )
    assert "<mtext>a &lt; b</mtext>" in mathml(r"\text{a < b}")
    for wrong in (r"\unknown", r"\frac{1}", "a}", r"\sqrt a", "x_{1"):
        with pytest.raises(ValueError, match=re.escape(wrong)):
            mathml(wrong)


def a_row(number, part, value=1.0, file="figures/a.png"):
    return Row(
        number,
        f"Row <{number}>",
        ("003",),
        "Words & words.",
        ("h = f(x)",),
        (part,),
        (Figure(part, file, "A figure."),),
        lambda runs: [below("the number", runs[part]["value"], value, "a limit")],
    )


@pytest.fixture
def calls():
    return []


@pytest.fixture
def parts(calls):
    """A run that works, and runs that fail in different ways; `mended` holds those that work now."""

    def make(name, problem=None):
        def function(run):
            calls.append(name)
            print(f"printed by {name}")
            if problem is not None:
                raise problem
            figures.grid(np.zeros((2, 8, 8, 1)), run.figures / "a.png", title="A")
            return {"value": 0.5}

        function.__name__ = name
        return Demonstration(function)

    return {
        "works": make("works"),
        "raises": make("raises", ZeroDivisionError("nothing\nto divide")),
        "leaves": make("leaves", SystemExit(2)),
        "stops": make("stops", KeyboardInterrupt()),
    }


class Page(html.parser.HTMLParser):
    """The rows of a page with their states, and everything that is linked or embedded."""

    def __init__(self, path):
        super().__init__()
        self.states, self.links, self.open = {}, [], []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)
        if tag == "article":
            self.states[values["id"]] = values["class"]
        self.links += [values[name] for name in ("href", "src") if name in values]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_a_row_that_fails_in_any_way_is_red_and_the_others_are_run(tmp_path, parts, calls, capsys):
    made = [
        a_row(1, "works"),
        a_row(2, "raises"),
        a_row(3, "leaves"),
        a_row(4, "works", 0.5),
        a_row(5, "works", file="figures/b.png"),
        a_row(6, "works")._replace(judge=lambda runs: [below("x", runs["works"]["no"], 1)]),
    ]
    settings = Settings(tmp_path, "digits", True)
    found = run_rows(settings, made, parts)
    assert found == {"row_1": True} | {f"row_{n}": False for n in range(2, 7)}
    assert calls == ["works", "raises", "leaves"]
    page = Page(tmp_path / "lectures.html")
    assert list(page.states) == [f"row-{n}" for n in range(1, 7)]
    assert list(page.states.values()) == ["holds", *["fails"] * 5]
    assert "<b>1 of 6</b> rows hold" in page.source
    for words in (
        "Failed: raises: ZeroDivisionError: nothing to divide",
        "Failed: leaves: SystemExit: 2",
        "Failed: works has no figures/b.png",
        "Failed: KeyError: 'no'",
        "below 0.5 (a limit)",
        "printed by works",
    ):
        assert words in page.source
    # One file: what is not a place of the page is embedded, and nothing of a row is taken for HTML.
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in page.links)
    assert "Row &lt;1&gt;" in page.source
    assert "<1>" not in page.source
    printed = capsys.readouterr()
    assert "1 of 6 rows hold" in printed.out
    assert (
        "row 4, Row <4>: does not hold: the number: 0.5, should be below 0.5 (a limit)"
        in printed.out
    )
    assert "printed by works" not in printed.out

    # What is complete is not run again; what failed is.
    assert run_rows(settings, made, parts) == found
    assert calls == ["works", "raises", "leaves"] + ["raises", "leaves"]
    mended = parts | {"raises": parts["works"]._replace()}
    assert run_rows(settings, made, mended)["row_2"]
    times = json.loads((tmp_path / "times.json").read_text())
    assert set(times) == {"works", "raises", "leaves"}


def test_an_interrupted_run_has_a_page_and_is_resumed(tmp_path, parts, calls):
    made = [a_row(1, "works"), a_row(2, "stops"), a_row(3, "works")]
    settings = Settings(tmp_path, "digits", True)
    with pytest.raises(Interrupted, match="1 of 3 rows are done"):
        run_rows(settings, made, parts)
    page = Page(tmp_path / "lectures.html")
    assert list(page.states.values()) == ["holds", "waits", "waits"]
    assert "2 rows were not run" in page.source
    assert run_rows(settings, made, parts | {"stops": parts["works"]}) == {
        f"row_{n}": True for n in (1, 2, 3)
    }
    assert calls == ["works", "stops", "works"]


def test_a_row_of_an_experiment(tmp_path):
    part = Part("autoencoder", {"code": 4}, {"hidden": (8,)}, images=2600)
    row = a_row(1, "small", file="figures/reconstructions.png")._replace(
        judge=lambda runs: [below("error", runs["small"]["test/squared_error"], 64)]
    )
    settings = Settings(tmp_path, "digits", True)
    assert run_rows(settings, [row], {"small": part}) == {"row_1": True}
    page = Page(tmp_path / "lectures.html")
    command = re.search(r'<pre class="command">(.*)</pre>', page.source)[1]
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "experiments.autoencoder"]
    # The command repeats the run.
    module = importlib.import_module(words[2])
    config = tyro.cli(
        module.Config, args=[*words[3:], "--run-dir", str(tmp_path / "runs" / "small")]
    )
    assert (config.code, config.hidden, config.epochs) == (4, (8,), 2)
    assert (
        module.main(config)["seconds"]
        == json.loads((tmp_path / "runs" / "small" / "results.json").read_text())["seconds"]
    )


@pytest.mark.parametrize("name", [n for n, part in PARTS.items() if isinstance(part, Part)])
def test_the_flags_of_the_runs_exist(name):
    part = PARTS[name]
    module = importlib.import_module(f"experiments.{part.experiment}")
    epochs = {"epochs": 1} | dict.fromkeys(part.other_images, 1)
    for options in ({**part.options}, {**part.options, **part.quick, **epochs}):
        config = module.Config(dataset="digits", **options)
        words = shlex.split(running.command_of(part.experiment, config))
        assert tyro.cli(module.Config, args=words[3:]) == config


def test_colour_data_need_no_download(tmp_path):
    images, has = drawings.faces(120, seed=1)
    again, _ = drawings.faces(120, seed=1)
    assert images.shape == (120, 32, 32, 3)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, again)
    # Eyes are darker behind rims, and hair is lighter on the blond.
    eyes = images[:, 12:20, 8:24].mean(axis=(1, 2, 3))
    assert eyes[has[:, 0]].mean() < eyes[~has[:, 0]].mean() - 5
    hair = images[:, 4:8, 12:20].mean(axis=(1, 2, 3))
    assert hair[has[:, 1]].mean() > hair[has[:, 2]].mean() + 50
    np.testing.assert_allclose(luma(drawings.tints(10)), drawings.BRIGHTNESS, rtol=1e-5)

    settings = Settings(tmp_path, "digits", True)
    source, words = running.data_for("colours", settings)
    assert "tinted" in words
    splits = jaxae.load(source)
    assert splits.train.images.shape[1:] == (8, 8, 3)
    assert splits.train.labels is not None
    drawings.write(
        tmp_path / "faces.npz",
        images=images,
        attributes=has,
        attribute_names=np.asarray(drawings.ATTRIBUTES),
    )
    assert set(jaxae.load(str(tmp_path / "faces.npz")).train.attributes) == set(drawings.ATTRIBUTES)


def test_bad_input_is_one_line(tmp_path, monkeypatch, capsys):
    def check(*arguments):
        return refused(lectures, *arguments, monkeypatch=monkeypatch, capsys=capsys)

    assert "did you mean --quick?" in check("--quik")
    assert "did you mean mnist5k?" in check("--dataset", "mnist5")
    (tmp_path / "file.txt").write_text("mine")
    assert "not a run folder" in check("--run-dir", tmp_path)
    monkeypatch.setattr(lectures, "run_rows", lambda settings: {"row_1": False})
    with pytest.raises(SystemExit) as stop:
        lectures.main(lectures.Config(run_dir=str(tmp_path / "run")))
    assert stop.value.code == 1
    assert "belongs to another run: quick was False" in check(
        "--quick", "--run-dir", tmp_path / "run"
    )
    monkeypatch.setattr(lectures, "run_rows", lambda settings: {"row_1": True})
    assert lectures.main(lectures.Config(run_dir=str(tmp_path / "run"))) == {"row_1": True}


def test_numbers():
    assert [rows.number(v) for v in (None, 0.0, -12.345, 1e-9, 0.5)] == [
        *("undefined", "0", "-12.35", "1e-09", "0.5")
    ]
