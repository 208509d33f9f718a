"""Reading the splits of a tfds data set, as arrays or as a stream."""

from functools import partial
from typing import Any, cast

import numpy as np
import tensorflow_datasets as tfds
from absl import logging

from jaxae.data.datasets.builders import class_names, image_feature, open_builder
from jaxae.data.datasets.decoded import decoded, read_columns
from jaxae.data.images import Images, resize
from jaxae.data.streams import Stream, should_stream


def read(
    name: str, data_dir: Any, image_size: int | None, stream: bool | None = False
) -> dict[str, Images]:
    """Reads the splits `train`, `validation` and `test` of a tfds data set, as far as it has them.

    If it has no split `train`, another split becomes the training set; if it has none but
    `validation` or `test`, the first of them does, to be divided.

    Args:
      name: of the data set.
      data_dir: as in :func:`jaxae.load`.
      image_size: as in :func:`jaxae.load`.
      stream: as in :func:`jaxae.load`; only training images are streamed.

    Returns:
      the splits, by name.

    Raises:
      ValueError: if the data set cannot be opened, or its images have several sizes or are not bytes.
    """
    logging.set_verbosity(logging.ERROR)
    builder = open_builder(name, data_dir)
    key = image_feature(builder)
    available = list(builder.info.splits)
    wanted = {split: split for split in ("train", "validation", "test") if split in available}
    if "train" not in wanted:
        others = [split for split in available if split not in wanted]
        wanted = wanted | {"train": others[0]} if others else {"train": available[0]}
    images = {}
    for split, tfds_split in wanted.items():
        if split == "train" and stream is not False:
            source = builder.as_data_source(split=tfds_split)
            decode = partial(_decode, key=key, image_size=image_size)
            if len(source) and should_stream(stream, (len(source), *decode(source[0]).shape)):
                images[split] = _streamed(builder, tfds_split, key, source, decode)
                continue
        images[split] = decoded(builder, tfds_split, key, image_size)
    classes = class_names(builder)
    return {split: data._replace(classes=classes) for split, data in images.items()}


def _decode(record: Any, *, key: str, image_size: int | None, white: int = 1) -> np.ndarray:
    """The image of a record; `white` is 255 where its bytes are 0 or 1, as in binarized_mnist."""
    image = np.asarray(record[key])
    return (image if image_size is None else resize(image, image_size)) * np.uint8(white)


def _streamed(builder: Any, split: str, key: str, source: Any, decode: Any) -> Images:
    """A split whose images are streamed; its labels and attributes are read at once."""
    decoders = {key: tfds.decode.SkipDecoding()}
    labels, attributes = read_columns(
        builder.as_data_source(split=split, decoders=decoders), builder
    )
    some = np.linspace(0, len(source) - 1, min(64, len(source))).astype(int)
    black_and_white = max(int(decode(source[int(i)]).max()) for i in some) == 1
    stream = Stream(
        source, partial(decode, white=255) if black_and_white else decode, name=builder.name
    )
    return Images(cast(np.ndarray, stream), labels, attributes)
