"""The 1,797 handwritten digits of 8 x 8 pixels that scikit-learn ships."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image


class Digits(tfds.core.GeneratorBasedBuilder):
    """1,442 training and 355 test digits; all classes have nearly the same size."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            description="The test set of the UCI handwritten digits, 8 x 8 pixels of 17 levels.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(8, 8, 1)),
                    "label": tfds.features.ClassLabel(num_classes=10),
                }
            ),
            supervised_keys=("image", "label"),
            homepage="https://archive.ics.uci.edu/dataset/80",
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, dict]]]:
        return {"train": self._generate_examples(False), "test": self._generate_examples(True)}

    def _generate_examples(self, test: bool) -> Iterator[tuple[int, dict[str, Any]]]:
        from sklearn.datasets import load_digits  # takes a second to import

        digits = load_digits()
        # The levels 0 ... 16 become bytes. Every fifth digit of a class is a test digit.
        images = np.round(digits.images * (255 / 16)).astype(np.uint8)
        seen = [0] * 10
        for i, (image, label) in enumerate(zip(images, digits.target.tolist(), strict=True)):
            if (seen[label] % 5 == 4) == test:
                yield i, {"image": Image.fromarray(image), "label": label}
            seen[label] += 1
