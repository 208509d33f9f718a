"""Probes, against scikit-learn."""

import jax
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

import jaxae

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def codes(digits):
    """Codes whose dimensions have very different scales."""

    def flat(part):
        scale = np.logspace(-3, 3, 64)
        return part.images.reshape(len(part.images), -1) / 255.0 * scale, part.labels

    return flat(digits.train), flat(digits.test)


def test_linear_probe_equals_logistic_regression_on_standardised_codes(codes):
    (x, y), (x_test, y_test) = codes
    mean, deviation = x.mean(0), x.std(0)
    deviation[deviation == 0] = 1
    model = LogisticRegression(C=0.1, max_iter=1000).fit((x - mean) / deviation, y)
    expected = np.mean(model.predict((x_test - mean) / deviation) != y_test)
    found = jaxae.analysis.linear_probe(*codes, regularization=(0.1,))
    assert found == pytest.approx(expected, abs=0.004)
    assert found < 0.08
    # Cross-validation selects the better value.
    chosen = jaxae.analysis.linear_probe(*codes, regularization=(1e-6, 0.1))
    assert chosen == found
    assert jaxae.analysis.linear_probe(*codes, regularization=(1e-6,)) > found + 0.02


def test_neighbour_probe(codes):
    (x, y), (x_test, y_test) = codes
    for k in (1, 7):
        expected = np.mean(KNeighborsClassifier(k).fit(x, y).predict(x_test) != y_test)
        assert jaxae.analysis.neighbour_probe(*codes, neighbours=k) == pytest.approx(expected)


def test_label_efficiency(codes):
    """Each draw is balanced over the classes, and more labels give smaller errors."""
    seen = []

    def probe(train, test):
        seen.append(np.bincount(train[1], minlength=10))
        return jaxae.analysis.neighbour_probe(train, test, neighbours=1)

    errors = jaxae.analysis.label_efficiency(*codes, [10, 25, 400], probe=probe, draws=3)
    assert errors.shape == (3, 3)
    for counts, total in zip(seen, [10, 25, 400] * 3, strict=True):
        assert counts.sum() == total
        assert counts.max() - counts.min() <= 1
    assert errors.mean(1)[0] > errors.mean(1)[1] > errors.mean(1)[2]
    assert len(set(errors[0])) > 1  # the draws differ, and are reproducible
    again = jaxae.analysis.label_efficiency(*codes, [10, 25, 400], probe=probe, draws=3)
    np.testing.assert_array_equal(errors, again)
    other = jaxae.analysis.label_efficiency(*codes, [10], probe=probe, draws=3, seed=1)
    assert not np.array_equal(errors[0], other[0])
    everything = jaxae.analysis.label_efficiency(*codes, [len(codes[0][1])], probe=probe, draws=1)
    assert everything[0, 0] == pytest.approx(
        jaxae.analysis.neighbour_probe(*codes, neighbours=1), abs=0.006
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda x, y: jaxae.analysis.linear_probe((x, y[1:]), (x, y)),
            r"codes of shape \(20, \d+\) and labels of shape \(19,\)",
        ),
        (lambda x, y: jaxae.analysis.linear_probe((x, 0 * y), (x, y)), "labels are the same"),
        (
            lambda x, y: jaxae.analysis.neighbour_probe((x, y), (x, y), neighbours=21),
            "from 1 to 20, got 21",
        ),
        (
            lambda x, y: jaxae.analysis.neighbour_probe((x, y), (x, y), neighbours=0),
            "from 1 to 20, got 0",
        ),
        (
            lambda x, y: jaxae.analysis.label_efficiency(
                (x, y), (x, y), [1], probe=jaxae.analysis.linear_probe
            ),
            "from 2 to 20, got 1",
        ),
        (
            lambda x, y: jaxae.analysis.label_efficiency(
                (x, y), (x, y), [21], probe=jaxae.analysis.linear_probe
            ),
            "20 codes of 2 classes .* got 21",
        ),
        (
            lambda x, y: jaxae.analysis.label_efficiency(
                (x, y), (x, y), [4], probe=jaxae.analysis.linear_probe, draws=0
            ),
            "at least one draw",
        ),
    ],
)
def test_bad_input(call, message):
    x, y = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) % 2
    with pytest.raises(ValueError, match=message):
        call(x, y)


def test_neighbour_probe_does_not_depend_on_an_offset():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(60, 30)), np.arange(60) % 2
    x[:, 0] += 4 * y
    test = (x[40:], y[40:])
    near, far = (
        jaxae.analysis.neighbour_probe((x[:40] + c, y[:40]), (test[0] + c, test[1]))
        for c in (0.0, 1e8)
    )
    assert near == far < 0.3
