"""A classifier trained on the images of a data set, which judges generated images."""

import dataclasses
import sys
from functools import partial

import jax
import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import jaxae
from experiments.shared import datasets, flags, optimizers, running
from jaxae.analysis.generation_report import ImageClassifier
from jaxae.runs.folder import Run
from jaxae.runtime import processes

IMAGES = 300_000
"""Training images shown to the classifier."""
COMPONENTS = 100
"""Principal components of the pixels that classifiers of attributes are trained on."""


def train_judge(
    config: flags.Config, run: Run, data: datasets.Data, network: jaxae.Network
) -> ImageClassifier:
    """Trains a classifier of the images.

    Args:
      config: the flags. Only the seed is used, so that measures of different runs can be compared.
      run: the run folder; the classifier is trained in its part `judge`.
      data: images with labels.
      network: from images to features, before the last activation.
    """
    pretrained = network.init(jax.random.key(config.seed), jaxae.as_float(data.train[:1]))
    model = jaxae.classifier(
        jaxae.networks.activate(network, jax.nn.gelu),
        pretrained,
        datasets.count_classes(data),
    )
    settings = dataclasses.replace(
        config,
        epochs=None,
        batch_size=None,
        learning_rate=1e-3,
        schedule="cosine",
        warmup_steps=0,
        weight_decay=0.0,
        clip_norm=None,
    )
    size = datasets.batch_size(settings, len(data.train), 128)
    data = data._replace(batch_size=size)
    settings = optimizers.with_epochs(settings, data, IMAGES, most=50)
    if processes.is_first():
        print(
            f"training the classifier that judges samples, on {len(data.train):,} labelled images",
            file=sys.stderr,
        )
    # The epoch is selected by the cross-entropy and not by the error: its certainty is what is used.
    fitted = running.fit(
        settings,
        run.part("judge"),
        model,
        data,
        name="classifier of images",
        supervised=True,
    )
    return ImageClassifier(
        partial(jax.jit(model.encode), fitted.params), partial(jax.jit(model.decode), fitted.params)
    )


class AttributeJudges:
    """Logistic regressions that predict attributes from the principal components of the pixels.

    Args:
      images: `[n, h, w, c]`.
      attributes: of these images, by name; each occurs with both values.
    """

    def __init__(self, images: np.ndarray, attributes: dict[str, np.ndarray]):
        pixels = images.reshape(len(images), -1)
        count = min(COMPONENTS, *pixels.shape)
        self._components = PCA(count, svd_solver="randomized", random_state=0).fit(pixels)
        self._scaler = StandardScaler()
        features = self._scaler.fit_transform(self._components.transform(pixels))
        self._models = {
            name: LogisticRegression(max_iter=1000).fit(features, has)
            for name, has in attributes.items()
        }

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """The probability of each attribute, `{name: [n]}`."""
        pixels = images.reshape(len(images), -1)
        features = self._scaler.transform(self._components.transform(pixels))
        return {name: model.predict_proba(features)[:, 1] for name, model in self._models.items()}


def flat(images: np.ndarray) -> np.ndarray:
    """Images as rows of floats in [0, 1]."""
    return np.asarray(jaxae.as_float(images)).reshape(len(images), -1)
