"""Figures of clusters: their confusion matrix with the classes, and typical images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.metrics import confusion_matrix

import jaxae
from experiments.shared import datasets, flags
from jaxae.runs import charts, figures
from jaxae.runs.folder import Run
from jaxae.runs.style import drawn_class_name

EXAMPLES = 12
"""Images of each cluster."""


def draw_confusion(
    config: flags.Config,
    run: Run,
    clusters: np.ndarray,
    classes: np.ndarray,
    data: datasets.Data,
    *,
    about: str,
) -> None:
    """Draws the confusion matrix of the test images.

    Args:
      config: the flags.
      run: where the figure is written.
      clusters: of the test images, `[n]`.
      classes: the class of each cluster, -1 for one without a class.
      data: images with labels.
      about: the end of the title: which run it is.
    """
    labels, test_labels = (np.asarray(data.labels[i], int) for i in (0, 2))
    order = _order(classes)
    known = np.unique(np.concatenate([labels, test_labels]))
    size = max(len(classes), int(known.max()) + 1, int(clusters.max()) + 1)
    counts = confusion_matrix(clusters, test_labels, labels=range(size))[np.ix_(order, known)]
    charts.confusion(
        counts,
        run.figures / "confusion.png",
        title=f"{Path(config.dataset).name}: {len(test_labels)} test images in {len(classes)} clusters, "
        f"{about}",
        rows=_titles(classes, order, data.classes),
        columns=[drawn_class_name(int(label), data.classes) for label in known],
        xlabel="true class",
        ylabel="cluster \u2192 the class it is matched to",
    )


def draw_examples(
    config: flags.Config,
    run: Run,
    clusters: np.ndarray,
    typical: np.ndarray,
    classes: np.ndarray,
    data: datasets.Data,
    *,
    about: str,
) -> None:
    """Draws the most typical test images of each cluster; `typical` is larger for these."""
    order = _order(classes)
    rows = {}
    for c, title in zip(order, _titles(classes, order, data.classes), strict=True):
        members = np.flatnonzero(clusters == c)
        best = members[np.argsort(-typical[members])[:EXAMPLES]]
        # The row of a small cluster is filled up with white images.
        shown = np.ones((EXAMPLES, *data.test.shape[1:]), np.float32)
        shown[: len(best)] = jaxae.as_float(data.test[best])
        rows[title] = shown
    name = Path(config.dataset).name
    title = f"{name}: the most typical test images of each cluster and the class it is matched to, {about}"
    figures.rows(rows, run.figures / "clusters.png", title=title)


def _order(classes: np.ndarray) -> np.ndarray:
    """Clusters in the order of their classes; those without a class come last."""
    return np.argsort(np.where(classes < 0, classes.max() + 1, classes), kind="stable")


def _titles(classes: np.ndarray, order: np.ndarray, names: Sequence[str]) -> list[str]:
    return [
        f"{c} \u2192 {drawn_class_name(int(classes[c]), names)}"
        if classes[c] >= 0
        else f"{c} \u2192 none"
        for c in order
    ]
