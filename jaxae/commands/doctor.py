"""Checks the installation: versions, devices, memory, cache, data sets, and a test of a few seconds.

    jaxae doctor
    jaxae doctor --json

The test trains a tiny VAE for a moment, and encodes, decodes and loads it again. If it fails, the exit code
is 1.
"""

import dataclasses

from jaxae.commands import flags


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Flags of doctor."""

    announcement = "starting JAX"

    data_dir: str | None = None
    """Look for data sets of tensorflow_datasets in this folder. The default is TFDS_DATA_DIR or
    ~/tensorflow_datasets."""
    test: bool = True
    """Run the test."""
    json: bool = False
    """Print everything as JSON, for other programs."""


def main(config: Config) -> None:
    """Prints what is found, and ends with exit code 1 if the test fails."""
    import json

    from rich.table import Table

    from jaxae.runs import installation
    from jaxae.training.progress import stage

    found = installation.describe(config.data_dir)
    checks: dict[str, str] = {}
    if config.test:
        with stage("testing: a tiny VAE"):
            checks = installation.self_test()
    failed = {name: said for name, said in checks.items() if said}
    if config.json:
        print(
            json.dumps(found | {"test": {name: said or "passed" for name, said in checks.items()}})
        )
    else:
        table = Table("", "", show_header=False, title="jaxae doctor", title_justify="left")
        for name, text in installation.in_words(found).items():
            table.add_row(name, text)
        if checks:
            table.add_row(
                "test", "\n".join(f"{name}: {said or 'passed'}" for name, said in checks.items())
            )
        flags.print_table(table)
        for advice in installation.advice(found):
            print(f"note: {advice}")
    if failed:
        raise SystemExit(1)
