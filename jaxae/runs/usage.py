"""The text of `--help`, and the options of a command as it describes them."""

import ast
import dataclasses
import inspect
import re
import shutil
import sys
import textwrap
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple


class Option(NamedTuple):
    """A flag or a positional argument.

    Attributes:
      names: of a flag; empty for a positional argument.
      value: what its value looks like; empty for a switch.
      choices: the values it may have, if they are few.
      help: what it does.
      default: its value if it is not given; `dataclasses.MISSING` if it must be.
      group: the title under which it is listed.
      takes: how many values, which are all up to the next flag if this is None.
    """

    names: tuple[str, ...]
    value: str
    choices: tuple[str, ...]
    help: str
    default: Any
    group: str
    takes: int | None = 1


PATHS = ("data_dir", "out", "run_dir")
"""Flags that are strings and name a file or a folder."""

ARGUMENTS = "Arguments"
"""The title of positional arguments."""


def options(config: type) -> list[Option]:
    """The options of a dataclass by groups: positional arguments, its own, then those of its bases in order.

    The group of a flag is the class that first has it. The title of a class is its attribute `title`,
    or else `Options of this experiment`, or `Options` of a subcommand of `jaxae`.
    """
    hints = typing.get_type_hints(config, include_extras=True)
    texts: dict[str, str] = {}
    groups: dict[str, str] = {}
    titles = [ARGUMENTS]
    own = "Options" if is_subcommand(config) else "Options of this experiment"
    for cls in config.__mro__[:-1]:
        title = vars(cls).get("title", own)
        titles += [title] if title not in titles else []
        texts = _docstrings(cls) | texts
        groups |= dict.fromkeys(vars(cls).get("__annotations__", {}), title)
    found = [
        _option(field, hints[field.name], texts.get(field.name, ""), groups[field.name])
        for field in dataclasses.fields(config)
    ]
    return sorted(found, key=lambda option: titles.index(option.group))


def help_text(
    config: type, doc: str | None, width: int | None = None, program: str | None = None
) -> str:
    """What `--help` prints, in lines of at most `width`, or of the terminal.

    The docstring is printed up to its measurements, and its last paragraphs after them.
    """
    width = min(100, (width or shutil.get_terminal_size().columns)) - 1
    found = options(config)
    lines = textwrap.wrap(f"usage: {synopsis(found, program or program_name())}", width)
    for paragraph in re.split(
        r"\n\s*\n", re.sub(r"\nMeasured.*?(?=\nLectures:|\Z)", "", doc or "", flags=re.S)
    ):
        lines.append("")
        if paragraph.startswith("    "):
            lines += [part for line in paragraph.splitlines() for part in _command(line, width)]
        else:
            lines += textwrap.wrap(" ".join(paragraph.split()), width)
    group = ""
    for option in found:
        if option.group != group:
            group = option.group
            lines += ["", f"{group}:"]
        head = "  " + f"{', '.join(option.names)} {option.value}".strip()
        lines += _wrapped(head, width, "      ")
        lines += _wrapped(f"      {option.help}{_default(option)}", width, "      ")
    return "\n".join([*lines, "", "  -h, --help", "      Print this text and exit."])


def _option(field: Any, hint: Any, text: str, group: str) -> Option:
    extras = getattr(hint, "__metadata__", ())
    hint = typing.get_args(hint)[0] if extras else hint
    flag = f"--{field.name.replace('_', '-')}"
    aliases = [alias for extra in extras for alias in getattr(extra, "aliases", None) or ()]
    names: tuple[str, ...] = (flag, *aliases)
    choices = tuple(_choices(hint))
    value = _value(hint)
    if value == "TEXT" and field.name in PATHS:
        value = "PATH"
    if hint is bool:
        names, value = (flag, f"--no-{flag[2:]}"), ""
    elif any("Positional" in str(extra) or "POSITIONAL" in str(extra) for extra in extras):
        names, group = (), ARGUMENTS
        value = f"{field.name.upper()} ..." if value.endswith("...") else field.name.upper()
    pair = typing.get_args(hint) if typing.get_origin(hint) is tuple else ()
    takes = None if value.endswith("...") else len(pair) or 1
    return Option(names, value, choices, text, field.default, group, takes)


def _value(hint: Any) -> str:
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is Literal:
        listed = "{" + ",".join(map(str, arguments)) + "}"
        return listed if len(listed) < 60 else listed.replace(",", ", ")
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return "|".join(_value(a) for a in arguments if a is not type(None))
    if typing.get_origin(hint) is tuple:
        if Ellipsis in arguments:
            return f"{_value(arguments[0])} ..."
        return " ".join(map(_value, arguments))
    return {int: "INT", float: "FLOAT", Path: "PATH"}.get(hint, "TEXT")


def _choices(hint: Any) -> list[str]:
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is Literal:
        return [str(argument) for argument in arguments]
    return [choice for argument in arguments for choice in _choices(argument)]


def _default(option: Option) -> str:
    value = option.default
    if value is dataclasses.MISSING:
        return " (required)" if option.names else ""
    if value in (None, (), False) and not (value == 0 and value is not False):
        return ""
    if re.search(r"\bdefault\b", option.help):  # the text says it
        return ""
    if value is True:
        return f" The default is {option.names[0]}."
    words = (
        " ".join(map(str, value))
        if isinstance(value, Sequence) and not isinstance(value, str)
        else value
    )
    return f" (default: {words:g})" if isinstance(value, float) else f" (default: {words})"


def _docstrings(cls: type) -> dict[str, str]:
    """The strings below the fields of a class, by field."""
    body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0].body  # type: ignore[attr-defined]
    found = {}
    for one, two in zip(body, body[1:], strict=False):
        if not (isinstance(one, ast.AnnAssign) and isinstance(two, ast.Expr)):
            continue
        if isinstance(one.target, ast.Name) and isinstance(two.value, ast.Constant):
            found[one.target.id] = " ".join(str(two.value.value).split())
    return found


def _wrapped(text: str, width: int, indent: str) -> list[str]:
    return textwrap.wrap(
        text, width, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False
    )


def _command(line: str, width: int) -> list[str]:
    """A line of an example, continued where it is too long."""
    if len(line) <= width or "python" not in line:
        return [line]
    first, *rest = _wrapped(line, width - 2, "        ")
    parts = [first, *rest]
    return [f"{part} \\" for part in parts[:-1]] + parts[-1:]


def synopsis(found: Sequence[Option], program: str) -> str:
    """The command with its positional arguments, those that may be left out in brackets."""
    needed = [option for option in found if option.default is dataclasses.MISSING]
    parts = [o.value if o in needed else f"[{o.value}]" for o in found if not o.names]
    parts += [f"{option.names[0]} {option.value}" for option in needed if option.names]
    return " ".join([program, *parts, "[options]"])


def is_subcommand(config: type) -> bool:
    """Whether these are the flags of a subcommand of `jaxae`."""
    return config.__module__.startswith("jaxae.commands.")


def program_name() -> str:
    """How Python was started, for a command that is not called by its name."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return f"python -m {spec.name}" if spec is not None else f"python {sys.argv[0]}"
