"""Loading data, and what is done to a batch before a model sees it."""

from jaxae.data import augmentations, colors, corruptions, masks
from jaxae.data.images import Images, from_arrays, is_binary
from jaxae.data.loading import PairSplits, Splits, binarize, load, load_pairs
from jaxae.data.streams import Stream

__all__ = [
    "Images",
    "PairSplits",
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
