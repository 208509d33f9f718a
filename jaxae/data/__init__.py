"""Loading data, and transforms of batches before a model sees them."""

from jaxae.data import augmentations, colors, corruptions, masks
from jaxae.data.augmentations import binarize
from jaxae.data.conversion import from_arrays
from jaxae.data.images import Images, is_binary
from jaxae.data.loading import Splits, load
from jaxae.data.messages import DataWarning
from jaxae.data.pairs import Pairs, PairSplits, load_pairs
from jaxae.data.streams import Stream

__all__ = [
    "DataWarning",
    "Images",
    "PairSplits",
    "Pairs",
    "Splits",
    "Stream",
    "augmentations",
    "binarize",
    "colors",
    "corruptions",
    "from_arrays",
    "is_binary",
    "load",
    "load_pairs",
    "masks",
]
