"""The metrics of the steps of an epoch, and the record that is made of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxae.training.evaluation import means
from jaxae.training.step import GRADIENT_NORM, NOT_COMPUTED

Record = dict[str, int | float]
"""The metrics of one epoch: `epoch`, `step`, `seconds`, `images_per_second`, the means of the loss, the
terms and the gradient norm (of one step in 16) as `train/...`, and the validation scores as
`validation/...`."""

SKIPPED = "skipped"


class EpochMetrics:
    """The metrics of the steps of the current epoch so far, and how long they took."""

    def __init__(self, values: Mapping[str, Any] | None = None, seconds: float = 0.0):
        self._values = {k: np.array(v, np.float32) for k, v in (values or {}).items()}
        self._seconds = seconds

    def add(self, values: Mapping[str, np.ndarray], steps: int, seconds: float = 0.0) -> None:
        """Adds the first `steps` of some values."""
        before = max((len(v) for v in self._values.values()), default=0)
        for name in dict.fromkeys([*self._values, *values]):
            # A resumed run may skip updates where the run before it did not, or the other way round.
            old = self._values.get(name, np.zeros(before, np.float32))
            new = values.get(name, np.zeros(steps, np.float32))
            self._values[name] = np.concatenate([old, new[:steps]])
        self._seconds += seconds

    @property
    def all_skipped(self) -> bool:
        """Whether no update of the epoch was made."""
        return SKIPPED in self._values and bool((self._values[SKIPPED] > 0).all())

    def record(self, *, epoch: int, step: int, images: int) -> Record:
        """The record of the epoch; means are over the updates that were made."""
        steps = len(self._values["loss"])
        skipped = self._values.get(SKIPPED, np.zeros(steps)) > 0
        made = {name: v[~skipped] for name, v in self._values.items() if name != SKIPPED}
        if GRADIENT_NORM in made:
            computed = [
                made[GRADIENT_NORM],
                self._values[GRADIENT_NORM],
            ]  # the second if all are skipped
            computed = [norms[norms != NOT_COMPUTED] for norms in computed]
            made[GRADIENT_NORM] = computed[0] if len(computed[0]) else computed[1]
        record: Record = {
            "epoch": epoch,
            "step": step,
            "seconds": self._seconds,
            "images_per_second": images / max(self._seconds, 1e-9),
            **means(made, "train/"),
        }
        return record | {SKIPPED: int(skipped.sum())} if skipped.any() else record

    def to_json(self) -> dict[str, Any]:
        """The arguments of this class, as plain values."""
        values = {name: v.tolist() for name, v in self._values.items()}
        return {"values": values, "seconds": self._seconds}


def first_nonfinite(values: Mapping[str, np.ndarray]) -> int | None:
    """The first step with a value that is not finite and was not skipped; None if there is none.

    Examples:
      >>> first_nonfinite({"loss": np.array([1.0, np.nan, 2.0])})
      1
    """
    finite = np.all([np.isfinite(v) for v in values.values()], axis=0)
    finite |= values.get(SKIPPED, np.zeros(len(finite))) > 0
    return None if finite.all() else int(np.argmin(finite))


def nonfinite_names(values: Mapping[str, np.ndarray], step: int) -> list[str]:
    """The terms that are not finite at a step; the loss only if no term is the cause."""
    names = [name for name, v in values.items() if not np.isfinite(v[step])]
    return [name for name in names if name != "loss"] or names
