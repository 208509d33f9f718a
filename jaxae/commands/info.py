"""Prints what a run is: its model, data, training, results, files and versions.

    jaxae info runs/vae
    jaxae info runs/vae --json

It also says whether the run is complete, still training, or was interrupted.
"""

import dataclasses

from jaxae.commands import flags


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(flags.Run):
    """Flags of info."""

    json: bool = False
    """Print everything as JSON, for other programs."""


SHOWN = 24
"""Results that are printed, at most."""


def main(config: Config) -> None:
    """Prints a table, or JSON."""
    import json

    from rich.table import Table

    from jaxae.runs import summary

    found = summary.summarise(config.run, config.part)
    if config.json:
        print(json.dumps(found, indent=2))
        return
    table = Table("", "", show_header=False, title=str(config.run), title_justify="left")
    for name, text in summary.in_words(found).items():
        table.add_row(name, text)
    flags.print_table(table)
    all_results = found["results"] or {}
    own = {k: v for k, v in all_results.items() if config.part and k.startswith(f"{config.part}/")}
    results = summary.main_results(own or all_results, SHOWN)
    if results:
        shown = Table("result", "value", title="results", title_justify="left")
        for name, value in results.items():
            shown.add_row(name, value)
        flags.print_table(shown)
        if len(all_results) > len(results):
            number = len(all_results)
            print(f"There are {number} results; jaxae info {config.run} --json prints all of them.")
