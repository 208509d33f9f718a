"""The arguments that a command was given, and messages about wrong ones that say what is right."""

import dataclasses
import difflib
import inspect
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from jaxae.runs.usage import is_subcommand, options, program_name, synopsis

OTHER_NAMES = {
    "batch": ("batch-size",),
    "bs": ("batch-size",),
    "data": ("dataset",),
    "dim": ("latent-dim",),
    "bottleneck": ("latent-dim",),
    "early-stopping": ("patience",),
    "force": ("overwrite",),
    "iterations": ("epochs",),
    "kl-weight": ("beta",),
    "layers": ("hidden",),
    "lr": ("learning-rate",),
    "num": ("count",),
    "number": ("count",),
    "out-dir": ("run-dir", "out"),
    "output": ("run-dir", "out"),
    "resume": ("run-dir",),
    "samples": ("count",),
    "size": ("image-size",),
    "wd": ("weight-decay",),
    "z-dim": ("latent-dim",),
}
"""Names that other programs give to flags, where the names are not similar."""

MOVED = {"--apply": "jaxae reconstruct RUN PICTURES --out DIR"}
"""Flags of earlier versions, and the commands that have replaced them."""

WORDS = {
    "INT": ("an integer", "integers"),
    "FLOAT": ("a number", "numbers"),
    "TEXT": ("text", "texts"),
    "PATH": ("a path", "paths"),
}
DATA_SETS = ("celeb_a", "cifar10", "digits", "fashion_mnist", "mnist", "mnist5k")
DEVICES = ("cpu", "cuda", "device", "gpu", "tpu")


def arrange(config: type, arguments: Sequence[str], program: str | None = None) -> list[str]:
    """The same arguments with the flags first, so that flags may stand between positional arguments.

    Args:
      config: the dataclass of the arguments.
      arguments: as they were given.
      program: the name of the command.

    Raises:
      ValueError: if an argument that is needed is missing.
    """
    found = options(config)
    positional = [option for option in found if not option.names]
    named = {name: option for option in found for name in option.names}
    flags: list[str] = []
    others: list[str] = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument == "--":
            others += rest
            break
        option = named.get(argument.split("=")[0].replace("_", "-"))
        if option is None:
            (flags if argument.startswith("--") or not positional else others).append(argument)
            continue
        flags.append(argument)
        taken = 0 if "=" in argument or not option.value else option.takes
        while rest and not _is_flag(rest[0]) and (taken is None or taken > 0):
            flags.append(rest.pop(0))
            taken = None if taken is None else taken - 1
    needed = [option for option in positional if option.default is dataclasses.MISSING]
    missing = [option.value for option in needed[len(others) :]]
    given = {
        named[name] for flag in flags if (name := flag.split("=")[0].replace("_", "-")) in named
    }
    missing += [
        f"{option.names[0]} {option.value}"
        for option in found
        if option.names and option.default is dataclasses.MISSING and option not in given
    ]
    if missing:
        usage = synopsis(found, program or program_name())
        raise ValueError(f"{' and '.join(missing)} must be given: {usage} (see --help)")
    most = None if any(option.takes is None for option in positional) else len(positional)
    if positional and most is not None and len(others) > most:
        usage = synopsis(found, program or program_name())
        raise ValueError(f"{others[most]!r} is one argument too many: {usage} (see --help)")
    return [*flags, "--", *others] if others else flags


def check_names(config: type, arguments: Sequence[str]) -> None:
    """Raises a `ValueError` with a suggestion if an argument is a flag that does not exist."""
    found = options(config)
    for flag, instead in MOVED.items():
        if any(argument.split("=")[0] == flag for argument in arguments):
            raise ValueError(f"the flag {flag} is gone; use: {instead}")
    known = {name for option in found for name in option.names} | {"--help"}
    switches = {name for option in found for name in option.names if not option.value}
    before = ""
    for argument in arguments:
        if argument == "--":
            break
        if (
            before.replace("_", "-") in switches
            and not argument.startswith("-")
            and all(option.names for option in found)
        ):
            raise ValueError(f"{before} takes no value, got {argument!r} (see --help)")
        before = argument
        if re.match(r"-[a-zA-Z]", argument) and argument.split("=")[0] not in {*known, "-h"}:
            if argument[:2] in known:
                raise ValueError(f"write {argument[:2]} {argument[2:]} (see --help)")
            raise ValueError(
                f"flags begin with two dashes: -{argument} and not {argument} (see --help)"
            )
        name = argument.split("=")[0].replace("_", "-")
        if re.match(r"--[^-]", argument) and name not in known:
            raise ValueError(
                f"there is no flag {argument.split('=')[0]}{_hint(name, known, config)}"
            )


def explain(config: type, message: str) -> str:
    """What tyro says about a wrong value, in words, with a suggestion."""
    if unknown := re.search(r"[Uu]nrecognized options: ([^\s,]+)", message):
        word = unknown[1]
        hint = ""
        if _close(word, DATA_SETS) and "dataset" in {f.name for f in dataclasses.fields(config)}:
            hint = f"; did you mean --dataset {word}?"
        return f"{word!r} is not a flag or the value of one{hint} (see --help)"
    named = {name: option for option in options(config) for name in option.names}
    flag = re.search(r"(--[a-z0-9-]+)", message)
    option = named.get(flag[1]) if flag else None
    if flag is None or option is None:
        return f"{message} (see --help)"
    message = re.split(r"\. Got errors|Argument helptext|-{3,}", message)[0].strip()
    several = "..." in option.value
    wanted = [WORDS[word][several] for word in WORDS if word in option.value]
    wanted += [f"one of {', '.join(option.choices)}"] if option.choices else []
    expected = " or ".join(wanted)
    if "issing value" in message:
        return f"{flag[1]} needs a value: {expected} (see --help)"
    value = re.search(r"(?:choice '|from \['|arguments: \['|: ')(.*?)'(?:\]| for|\.? *$)", message)
    if value is None:
        return f"{flag[1]}: {message} (see --help)"
    given = value[1].replace("', '", " ")
    close = _close(given, option.choices)
    hint = f"; did you mean {close}?" if close else ""
    return f"{flag[1]} must be {expected}, got {given!r}{hint} (see --help)"


def check_values(parsed: Any) -> None:
    """Raises a `ValueError` if a text is empty, or a number is infinite or not a number."""
    positional = {option.value.split()[0] for option in options(type(parsed)) if not option.names}
    flags = {
        field.name: field.name.upper()
        if field.name.upper() in positional
        else f"--{field.name.replace('_', '-')}"
        for field in dataclasses.fields(parsed)
    }
    for field in dataclasses.fields(parsed):
        given = getattr(parsed, field.name)
        for value in given if isinstance(given, tuple) else (given,):
            flag = flags[field.name]
            if isinstance(value, str) and not value.strip():
                needed = field.default is dataclasses.MISSING
                raise ValueError(
                    f"{flag} must not be empty{'' if needed else '; leave it out for the default'}"
                )
            if field.name == "run_dir" and re.search("[\udc80-\udcff]", str(value)):
                raise ValueError(
                    f"{flag} has characters that the locale cannot encode; set PYTHONUTF8=1"
                )
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{flag} must be a finite number, got {value}")


def _hint(name: str, known: set[str], config: type) -> str:
    wanted = name.removeprefix("--").lower()
    if wanted in DEVICES:
        return "; the environment variable JAX_PLATFORMS chooses between cpu, cuda and tpu"
    if wanted.replace("-", "_") in DATA_SETS and "--dataset" in known:
        return f"; did you mean --dataset {wanted.replace('-', '_')}? (see --help)"
    for other in OTHER_NAMES.get(wanted, (wanted,)):
        if close := _close(f"--{other}", known):
            return f"; did you mean {close}? (see --help)"
    if others := _experiments_with(wanted.removeprefix("no-").replace("-", "_"), config):
        if is_subcommand(config):
            others = [f"jaxae {other.rstrip('_')}" for other in others]
        here = "command" if is_subcommand(config) else "experiment"
        has = "has" if len(others) == 1 else "have"
        return f" in this {here}; {', '.join(others)} {has} it"
    return " (see --help)"


def _close(word: str, known: Iterable[str]) -> str | None:
    lower = {name.lower(): name for name in known}
    word = word.lower()
    starts = [name for name in lower if len(word) > 3 and name.startswith(word)]
    found = [word] if word in lower else starts or difflib.get_close_matches(word, lower, 1, 0.7)
    return lower[found[0]] if found else None


def _experiments_with(name: str, config: type) -> list[str]:
    """The modules beside that of a dataclass with a flag of this name."""
    pattern = re.compile(rf"^    {re.escape(name)}: .* = ", re.M)
    try:
        files = sorted(Path(inspect.getfile(config)).parent.glob("*.py"))
        return [file.stem for file in files if pattern.search(file.read_text("utf-8"))]
    except (OSError, TypeError, UnicodeDecodeError):
        return []


def _is_flag(argument: str) -> bool:
    return re.match(r"--|-[a-zA-Z]", argument) is not None
