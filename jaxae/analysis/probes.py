"""Probes: classifiers on frozen codes, which measure how well codes represent classes."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Int, Shaped

from jaxae.numeric import check_finite

LabelledCodes: TypeAlias = tuple[Shaped[np.ndarray, "_ d"], Shaped[np.ndarray, " _"]]
"""Codes, `[n, d]`, and their labels, `[n]`."""

REGULARIZATION = (0.001, 0.01, 0.1, 1.0, 10.0)
"""Values of the inverse regularisation strength C that cross-validation selects from."""


def linear_probe(
    train: LabelledCodes,
    test: LabelledCodes,
    *,
    regularization: Sequence[float] = REGULARIZATION,
) -> float:
    """The test error of logistic regression on frozen codes (scikit-learn).

    Codes are standardised by the mean and standard deviation of the training codes. The inverse
    regularisation strength C is selected by three-fold cross-validation on the training codes.

    Args:
      train: codes and labels to train on.
      test: codes and labels to test on.
      regularization: values of C to select from; a single value is used without cross-validation.

    Returns:
      the fraction of the test codes that is classified wrongly, in [0, 1].

    Raises:
      ValueError: if codes and labels do not match, or there is only one class.

    Examples:
      >>> codes, labels = np.array([[0.0], [0.1], [0.9], [1.0]] * 5), np.array([0, 0, 1, 1] * 5)
      >>> linear_probe((codes, labels), (codes, labels))
      0.0

    References:
      Alain and Bengio, `Understanding intermediate layers using linear classifier probes
      <https://arxiv.org/abs/1610.01644>`_.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    _check(train, test)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    if len(regularization) > 1:
        folds = StratifiedKFold(3, shuffle=True, random_state=0)
        grid = {"logisticregression__C": list(regularization)}
        model = GridSearchCV(model, grid, cv=folds)
    else:
        model.set_params(logisticregression__C=regularization[0])
    # In float64, or the standardisation loses the digits of codes with an offset.
    model.fit(np.asarray(train[0], np.float64), train[1])
    return float(np.mean(model.predict(np.asarray(test[0], np.float64)) != test[1]))


def neighbour_probe(
    train: LabelledCodes,
    test: LabelledCodes,
    *,
    neighbours: int = 5,
) -> float:
    """The test error of a k-nearest-neighbour classifier with Euclidean distance (scikit-learn).

    Args:
      train: codes and labels of the neighbours.
      test: codes and labels to test on.
      neighbours: k.

    Returns:
      the fraction of the test codes that is classified wrongly, in [0, 1].

    Raises:
      ValueError: if codes and labels do not match, there is only one class, or k is not between 1 and
        the number of training codes.

    Examples:
      >>> codes, labels = np.array([[0.0], [0.1], [0.9], [1.0]]), np.array([0, 0, 1, 1])
      >>> neighbour_probe((codes, labels), (codes, labels), neighbours=1)
      0.0
    """
    from sklearn.neighbors import KNeighborsClassifier

    _check(train, test)
    if not 1 <= neighbours <= len(train[0]):
        raise ValueError(
            f"the number of neighbours among {len(train[0])} codes must be from 1 to {len(train[0])}, "
            f"got {neighbours}"
        )
    # Distances from expanded squares lose the digits of a common offset.
    centre = np.mean(train[0], axis=0, dtype=np.float64)
    model = KNeighborsClassifier(neighbours).fit(train[0] - centre, train[1])
    return float(np.mean(model.predict(test[0] - centre) != test[1]))


def label_efficiency(
    train: LabelledCodes,
    test: LabelledCodes,
    counts: Sequence[int],
    *,
    probe: Callable[[LabelledCodes, LabelledCodes], float],
    draws: int = 5,
    seed: int = 0,
) -> Float[np.ndarray, "counts draws"]:
    """The test error of a probe that is trained on few labels, for several numbers of labels.

    The labelled codes are drawn at random, the same number of each class as far as possible.

    Args:
      train: codes and labels to draw from.
      test: codes and labels to test on.
      counts: numbers of labels.
      probe: from two sets of codes and labels to an error. If a class may have a single label, take
        :func:`neighbour_probe` with one neighbour, or :func:`linear_probe` with a single value of C.
      draws: the number of random draws for each number of labels.
      seed: of the draws.

    Returns:
      `[counts, draws]`, errors in [0, 1].

    Raises:
      ValueError: if a number of labels is below the number of classes or above that of codes, or the
        number of draws is not positive.

    Examples:
      >>> labels = np.arange(60) % 2
      >>> codes = labels[:, None] + 0.1 * np.sin(np.arange(60.0))[:, None]
      >>> from functools import partial
      >>> one = partial(neighbour_probe, neighbours=1)
      >>> label_efficiency((codes, labels), (codes, labels), [2, 10], probe=one, draws=1).tolist()
      [[0.0], [0.0]]
    """
    _check(train, test)
    codes, labels = train
    classes = len(np.unique(labels))
    if draws < 1:
        raise ValueError(f"the error needs at least one draw of labels, got {draws}")
    if bad := [count for count in counts if not classes <= count <= len(codes)]:
        raise ValueError(
            f"the number of labels for {len(codes)} codes of {classes} classes must be from {classes} to "
            f"{len(codes)}, got {bad[0]}"
        )
    errors = np.empty((len(counts), draws))
    for j in range(draws):
        order = balanced_order(labels, [seed, j])
        for i, count in enumerate(counts):
            chosen = order[:count]
            errors[i, j] = probe((codes[chosen], labels[chosen]), test)
    return errors


def balanced_order(
    labels: Shaped[np.ndarray, " n"], seed: int | Sequence[int]
) -> Int[np.ndarray, " n"]:
    """A random order in which the classes alternate, so that its beginning is balanced.

    Any prefix has the same number of examples of each class, give or take one, until a class has no
    more examples.

    Args:
      labels: `[n]`.
      seed: of the order.

    Returns:
      a permutation of 0 ... n - 1.

    Examples:
      >>> labels = np.array([0, 0, 0, 0, 1, 1])
      >>> sorted(labels[balanced_order(labels, seed=0)[:4]].tolist())
      [0, 0, 1, 1]
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    rank = np.empty(len(labels), int)
    for label in np.unique(labels):
        members = np.flatnonzero(labels[order] == label)
        rank[members] = np.arange(len(members))
    return order[np.argsort(rank, kind="stable")]


def _check(*sets: LabelledCodes) -> None:
    for codes, labels in sets:
        if codes.ndim != 2 or labels.shape != codes.shape[:1]:
            raise ValueError(
                f"each code, [n, d], needs a label, [n]; got codes of shape {codes.shape} and labels of "
                f"shape {labels.shape}"
            )
        check_finite(codes=codes)
    if len({codes.shape[1] for codes, _ in sets}) > 1:
        raise ValueError(
            f"codes to train and to test on have {' and '.join(str(c.shape[1]) for c, _ in sets)} dimensions"
        )
    if len(np.unique(sets[0][1])) < 2:
        raise ValueError("a probe needs at least two classes, and all training labels are the same")
