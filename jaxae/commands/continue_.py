"""Trains a run for more epochs, with the state of its optimizer, and evaluates it again.

    jaxae continue runs/vae --epochs 50
    jaxae continue runs/vae --epochs 50 --learning-rate 1e-3 --schedule constant

It works for a run that has ended and for one that was stopped. The learning rate gets a new schedule from
where the run is: it decays to zero again within the new epochs, or stays constant. config.json records each
continuation, metrics.jsonl goes on, and the old results become results-EPOCH.json at the end. A command that
was interrupted goes on if it is repeated; no epoch is trained twice. With a constant rate, the result is
that of training for all epochs at once, bit for bit.
"""

import dataclasses
from typing import Any, Literal

from jaxae.commands import flags
from jaxae.runs.continuing import Wanted, continue_run
from jaxae.runs.quantities import quantity
from jaxae.runs.tables import number, print_rows


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(flags.Run):
    """Flags of continue."""

    epochs: int
    """Train for this number of further passes over the training set."""
    learning_rate: float | None = None
    """Start with this learning rate. The default is that of the run, also after it has decayed to zero."""
    schedule: Literal["cosine", "constant"] | None = None
    """Change the learning rate during the new epochs: it decays to zero along a cosine, or stays constant.
    The default is as in the run."""


def main(config: Config) -> dict[str, Any]:
    """Continues the run and prints its new results.

    Raises:
      ValueError: if the run cannot be continued; the message says why.
    """
    wanted = Wanted(config.epochs, config.learning_rate, config.schedule)
    results = continue_run(config.run, wanted, part=config.part)
    rows = {}
    for name, value in results.items():
        model, _, measure = name.rpartition("/")
        if model == "test":
            words, unit, _ = quantity(measure)
            rows[words] = [number(value), unit]
    title = f"{config.run} after {results['epochs']} epochs: test images"
    print_rows(title, ("value", "unit"), rows)
    print(f"selected epoch: {results['best_epoch']} of {results['epochs']}")
    print(f"run folder: {config.run}")
    return results
