"""Warnings about data, as lines on standard error."""

import contextlib
import sys
import warnings
from collections.abc import Iterator

from jaxae.data.messages import DataWarning
from jaxae.runtime import processes


@contextlib.contextmanager
def warnings_as_notes() -> Iterator[list[str]]:
    """A context in which warnings about data are printed on standard error, as lines `note: ...`.

    It gives a list, which holds the texts once the context has been left.
    """
    notes: list[str] = []
    caught: list[warnings.WarningMessage] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", DataWarning)
            yield notes
    finally:
        said = {str(w.message): None for w in caught if issubclass(w.category, DataWarning)}
        notes += said
        for text in said if processes.is_first() else ():
            print(f"note: {text}", file=sys.stderr)
        for w in caught:
            if not issubclass(w.category, DataWarning):
                warnings.warn_explicit(w.message, w.category, w.filename, w.lineno)
