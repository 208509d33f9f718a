"""What codes are good for: classifiers on frozen codes, and the encoder fine-tuned into one."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Int, Shaped

LabelledCodes: TypeAlias = tuple[Shaped[np.ndarray, "_ d"], Shaped[np.ndarray, " _"]]
"""Codes, `[n, d]`, and their labels, `[n]`."""

REGULARIZATION = (0.001, 0.01, 0.1, 1.0, 10.0)
"""The inverse strengths C that cross-validation chooses from."""


def linear_probe(
    train: LabelledCodes,
    test: LabelledCodes,
    *,
    regularization: Sequence[float] = REGULARIZATION,
) -> float:
    """The test error of logistic regression on frozen codes, from scikit-learn.

    The codes are standardised by the mean and the deviation of the training codes; the inverse
    strength C of the regularisation is chosen by three-fold cross-validation on the training codes.

    Args:
      train: codes and labels to train on.
      test: codes and labels to test on.
      regularization: values of C to choose from; a single one is taken as it is.

    Returns:
      the part of the test codes that is classified wrongly, in [0, 1].

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
    model.fit(*train)
    return float(np.mean(model.predict(test[0]) != test[1]))


def neighbour_probe(
    train: LabelledCodes,
    test: LabelledCodes,
    *,
    neighbours: int = 5,
) -> float:
    """The test error of a vote of the nearest codes, by Euclidean distance, from scikit-learn.

    Args:
      train: codes and labels to look among.
      test: codes and labels to test on.
      neighbours: how many vote.

    Returns:
      the part of the test codes that is classified wrongly, in [0, 1].

    Raises:
      ValueError: if codes and labels do not match, there is only one class, or more neighbours are
        asked for than there are.

    Examples:
      >>> codes, labels = np.array([[0.0], [0.1], [0.9], [1.0]]), np.array([0, 0, 1, 1])
      >>> neighbour_probe((codes, labels), (codes, labels), neighbours=1)
      0.0
    """
    from sklearn.neighbors import KNeighborsClassifier

    _check(train, test)
    if not 1 <= neighbours <= len(train[0]):
        raise ValueError(f"of {len(train[0])} codes, {neighbours} neighbours cannot vote")
    model = KNeighborsClassifier(neighbours).fit(*train)
    return float(np.mean(model.predict(test[0]) != test[1]))


def label_efficiency(
    train: LabelledCodes,
    test: LabelledCodes,
    counts: Sequence[int],
    *,
    probe: Callable[[LabelledCodes, LabelledCodes], float],
    draws: int = 5,
    seed: int = 0,
) -> Float[np.ndarray, "counts draws"]:
    """The test error of a probe that sees only a few labels, for several numbers of them.

    The labelled codes are drawn at random, as many of each class as of any other (as far as the
    numbers allow).

    Args:
      train: codes and labels to draw from.
      test: codes and labels to test on.
      counts: how many labels.
      probe: from two sets of codes and labels to an error, such as :func:`neighbour_probe` with one
        neighbour, or :func:`linear_probe` with one strength of regularisation: where a class has one
        label, there is nothing to cross-validate, and no second neighbour.
      draws: how often, to see how much depends on which are labelled.
      seed: of the draws.

    Returns:
      `[counts, draws]`, errors in [0, 1].

    Raises:
      ValueError: if there are fewer labels than classes, more than codes, or no draws.

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
        raise ValueError(f"at least one draw is needed, got {draws}")
    if bad := [count for count in counts if not classes <= count <= len(codes)]:
        raise ValueError(
            f"of {len(codes)} codes of {classes} classes, {bad[0]} cannot be the labelled ones"
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
    """A random order in which the classes come in turn: one of each, then a second, and so on.

    The first of it are as many of each class as of any other, as far as there are any left.

    Args:
      labels: `[n]`.
      seed: of the order.

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
        if len(codes) != len(labels):
            raise ValueError(f"there are {len(codes)} codes and {len(labels)} labels")
    if len(np.unique(sets[0][1])) < 2:
        raise ValueError("all training labels are the same")
