"""The command `jaxae`: its subcommands, what it imports, and its arguments."""

import dataclasses
import importlib
import re
import subprocess
import sys
from typing import Annotated, Literal

import pytest
import tyro

import jaxae
from jaxae.__main__ import GROUPS
from jaxae.runs import usage
from jaxae.runs.command import command

NAMES = [name for commands in GROUPS.values() for name in commands]


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["sample", "--help"]])
def test_help_and_version_do_without_jax(arguments):
    code = f"import sys; from jaxae.__main__ import main; main({arguments}); print('jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *text, imported = done.stdout.splitlines()
    assert imported == "False"
    assert len(text) > 10 or text == [f"jaxae {jaxae.__version__}"]


def test_help_names_every_command_with_a_sentence(jaxae_command):
    for arguments in ([], ["--help"], ["-h"]):
        code, out, _ = jaxae_command(*arguments)
        assert code == 0
        for name in NAMES:
            assert re.search(rf"^  {name} +[A-Z].*\.$", out, re.M), name
        assert max(map(len, out.splitlines())) < 100


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help_with_examples(name, jaxae_command):
    module = importlib.import_module(f"jaxae.commands.{name.replace('continue', 'continue_')}")
    code, out, _ = jaxae_command(name, "--help")
    assert code == 0
    assert out.startswith(f"usage: jaxae {name}")
    assert f"\n    jaxae {name}" in out, "an example"
    for option in usage.options(module.Config) if name != "train" else ():
        assert option.help[0].isupper(), option
        assert option.help.endswith("."), option


@pytest.mark.parametrize(
    ("arguments", "said"),
    {
        "sampel": "there is no command 'sampel'; did you mean jaxae sample?",
        "neighbors": "did you mean jaxae neighbours?",
        "inter": "did you mean jaxae interpolate?",
        "--versoin": "there is no command '--versoin' (see jaxae --help)",
        "sample": "RUN and --out PATH must be given: jaxae sample RUN --out PATH [options]",
        "sample R": "--out PATH must be given",
        "sample R S --out x": "'S' is one argument too many",
        "sample R --out x --sede 3": "there is no flag --sede; did you mean --seed?",
        "sample R --output x": "there is no flag --output; did you mean --out?",
        "sample R --out x --steps 3": "in this command; jaxae interpolate, jaxae traverse have it",
        "sample R --out x -n": "--count needs a value: an integer",
        "sample R --out x -n ten": "--count must be an integer, got 'ten'",
        "sample R --out x -n5": "write -n 5",
        "sample R --out x -x 5": "flags begin with two dashes: --x and not -x",
        "sample R --out x -n -3": "--count must be positive, got -3",
        "sample R --out x --temperature -1": "--temperature must not be negative, got -1.0",
        "sample R --out x --temperature nan": "--temperature must be a finite number",
        "sample R --out x --mnist": "there is no flag --mnist (see --help)",
        "sample = --out x": "= is not a run folder",
        "encode R --out x.csv": "--out must be a file name that ends in .npz, got 'x.csv'",
        "encode R --out x.npz --split tset": "did you mean test?",
        "encode R --out x.npz --levels 0": "--levels must be positive, got 0",
        "neighbours R a.png --levels -3": "--levels must be positive, got -3",
        "traverse R --steps 1": "--steps must be at least 2, got 1",
        "explore R --out x": "--out must be a file name that ends in .html, got 'x'",
        "compare R --out x.htm": "--out must be a file name that ends in .html, got 'x.htm'",
        "evaluate R --out x.csv": "--out must be a file name that ends in .json, got 'x.csv'",
    }.items(),
)
def test_wrong_arguments_are_answered_with_what_is_right(
    arguments, said, jaxae_command, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    code, out, err = jaxae_command(*arguments.split())
    errors = [line for line in err.splitlines() if not line.startswith("loading the run")]
    assert (code, out) == (2, "")
    assert len(errors) == 1
    assert errors[0].startswith("error: ")
    assert said in errors[0]
    assert list(tmp_path.iterdir()) == []


@dataclasses.dataclass(frozen=True, kw_only=True)
class Given:
    """Arguments of every kind."""

    run: tyro.conf.Positional[str]
    """A text that is needed."""
    files: tyro.conf.Positional[tuple[str, ...]] = ()
    """Any number of texts."""
    count: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 3
    """A number with a short name."""
    span: tuple[float, float] = (0.0, 1.0)
    """Two numbers."""
    overwrite: bool = False
    """A switch."""
    kind: Literal["a_long_name", "another_long_name", "a_third_long_name", "a_fourth"] = "a_fourth"
    """One of many texts."""


@pytest.mark.parametrize(
    ("arguments", "expected"),
    {
        "R": {"run": "R"},
        "R a b": {"run": "R", "files": ("a", "b")},
        "R a --overwrite b c": {"run": "R", "files": ("a", "b", "c"), "overwrite": True},
        "--overwrite R a": {"run": "R", "files": ("a",), "overwrite": True},
        "R -n 5 a --span -1 -2.5 b": {
            "run": "R",
            "files": ("a", "b"),
            "count": 5,
            "span": (-1.0, -2.5),
        },
        "R -n=5 --span=1 2": None,
        "-n 7 -- --R -a": {"run": "--R", "files": ("-a",), "count": 7},
        "R --kind a_long_name a": {"run": "R", "files": ("a",), "kind": "a_long_name"},
        "R --no-overwrite a": {"run": "R", "files": ("a",)},
    }.items(),
)
def test_flags_stand_anywhere_between_positional_arguments(arguments, expected, monkeypatch):
    found = []
    monkeypatch.setattr(sys, "argv", ["jaxae test", *arguments.split()])
    if expected is None:
        with pytest.raises(SystemExit):
            command(found.append, Given, "Tests.")
        return
    command(found.append, Given, "Tests.")
    assert found == [Given(**expected)]


def test_help_shows_positional_arguments_first():
    lines = usage.help_text(Given, "Tests.", program="jaxae test").splitlines()
    assert lines[0] == "usage: jaxae test RUN [FILES ...] [options]"
    shown = [line for line in lines if line.startswith(("  ", "Arg", "Opt")) and line[2:3] != " "]
    assert shown[:4] == ["Arguments:", "  RUN", "  FILES ...", "Options of this experiment:"]
    assert "  --count, -n INT" in shown
    assert "  --span FLOAT FLOAT" in shown
