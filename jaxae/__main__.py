"""The command `jaxae`, which is also `python -m jaxae`: it finds the subcommand and runs it."""

import difflib
import importlib
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

from jaxae import __version__

GROUPS = {
    "Look at a run": {
        "info": "Print what a run is: its model, data, training, results and files.",
        "evaluate": "Measure a run on its test images, or on another data set.",
        "compare": "Compare several runs in a table and on an HTML page.",
        "explore": "Write an HTML page on which codes are decoded in the browser.",
    },
    "Use a run": {
        "encode": "Write the codes of pictures or of a data set to .npz and .csv files.",
        "reconstruct": "Reconstruct, denoise, colour or enlarge pictures.",
        "sample": "Draw new images.",
        "interpolate": "Decode the codes between two or more pictures.",
        "traverse": "Change one latent dimension at a time.",
        "neighbours": "Find the images whose codes are nearest to those of pictures.",
        "export": "Write the encoder and the decoder for other programs.",
    },
    "Train": {
        "train": "Train a model: run an experiment.",
        "continue": "Train a run for more epochs.",
    },
    "Help": {
        "doctor": "Check the installation: versions, devices, memory, data sets, and a short test.",
    },
}
"""The subcommands and what they do. It is a table, so that nothing is imported to print it."""


def main(arguments: list[str] | None = None) -> None:
    """Runs a subcommand.

    Args:
      arguments: the name of the subcommand and its arguments; those of the process when None.

    Raises:
      SystemExit: with code 2 after an error that the user can correct, and 130 after an interruption.
    """
    name, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        if name in ("--help", "-h"):
            print(_help())
        elif name == "--version":
            print(f"jaxae {__version__}")
        else:
            _run(name, rest)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads the output, such as `head`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(128 + signal.SIGPIPE) from None


def _help() -> str:
    lines = [
        "usage: jaxae COMMAND ...",
        "",
        "Trains autoencoders, and uses trained ones. A trained model is a run: the folder that training",
        "wrote, such as runs/vae-mnist5k-20260131-120000.",
    ]
    for title, commands in GROUPS.items():
        lines += ["", f"{title}:", *(f"  {name:<12} {text}" for name, text in commands.items())]
    return "\n".join(
        [
            *lines,
            "",
            "jaxae COMMAND --help explains a command, with examples; jaxae --version prints the version.",
        ]
    )


def _run(name: str, rest: list[str]) -> None:
    known = [command for commands in GROUPS.values() for command in commands]
    if name not in known:
        near = difflib.get_close_matches(name.lower(), known, 1, 0.6)
        near = near or [command for command in known if len(name) > 2 and command.startswith(name)]
        hint = f"; did you mean jaxae {near[0]}?" if near else ""
        _fail(f"there is no command {name!r}{hint} (see jaxae --help)")
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupted)  # until `command` takes over
    sys.argv = [f"jaxae {name}", *rest]
    try:
        # `continue` is a word of Python, which no module can be called.
        module = importlib.import_module(
            f"jaxae.commands.{'continue_' if name == 'continue' else name}"
        )
        if name == "train":
            module.main(rest)
            return
        if {"-h", "--help"} & {*rest}:
            from jaxae.runs import usage

            print(usage.help_text(module.Config, module.__doc__, program=f"jaxae {name}"))
            return
        from jaxae.runs.command import command
    except ValueError as error:  # JAX has none of the platforms that it is asked for
        _fail(str(error))
    command(module.main, module.Config, module.__doc__, f"jaxae {name}")


def _interrupted(number: int, frame: FrameType | None) -> None:
    os.write(2, b"interrupted\n")
    os._exit(130)


def _fail(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(2)


if __name__ == "__main__":
    main()
