"""Figures of the samples of several models: samples, their nearest training images, reconstructions."""

from pathlib import Path
from typing import Any

import numpy as np

import jaxae
from experiments.shared import datasets, flags
from experiments.shared.judge import flat
from jaxae.runs import figures, inference
from jaxae.runs.folder import Run

SHOWN = 12
"""Images in a row."""


def draw_samples(
    config: flags.ModelConfig,
    run: Run,
    trained: dict[str, tuple[jaxae.Autoencoder, Any]],
    samples: dict[str, np.ndarray],
    data: datasets.Data,
    errors: dict[str, float],
) -> None:
    """Draws samples, the training images nearest to them, and reconstructions of test images.

    Args:
      config: the flags.
      run: where the figures are written.
      trained: models and their parameters by name. A model without an encoder has no reconstructions.
      samples: of each model, `[n, h, w, c]` in [0, 1].
      data: what `datasets.load` returned.
      errors: the squared error of a test image, of each model that has an encoder.
    """
    title = f"{Path(config.dataset).name}, {config.code} latent dimensions"
    # What a plain autoencoder is sampled from.
    titles = {"AE": "AE + mixture"}
    real = np.asarray(datasets.choose(data, SHOWN))
    shown = {titles.get(name, name): images[:SHOWN] for name, images in samples.items()}
    figures.rows(
        {"test images": real, **shown},
        run.figures / "samples.png",
        title=f"{title}: test images, and samples of models with the same decoder",
    )
    rows = {}
    train = flat(data.train)
    for name, images in shown.items():
        rows[name] = images
        nearest = jaxae.analysis.nearest(flat(images), train).which
        rows[f"{name}: nearest\ntraining image"] = np.asarray(jaxae.as_float(data.train[nearest]))
    figures.rows(
        rows,
        run.figures / "neighbours.png",
        title=f"{title}: samples, and the training image nearest to each",
    )
    rows = {"test images": real}
    for name, (model, params) in trained.items():
        if model.model.posterior is not None:
            row = f"{name}\nsquared error {errors[name]:.1f}"
            rows[row] = inference.reconstruct(model, params, real)
    path = run.figures / "reconstructions.png"
    figures.rows(rows, path, title=f"{title}: reconstructions of test images")
