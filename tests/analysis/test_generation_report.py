"""The report on generated images."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxae.analysis import frechet_distance
from jaxae.analysis.generation_report import ImageClassifier, certainty, make_generation_report


def images(n, seed):
    return np.random.default_rng(seed).random((n, 6, 6, 1)).astype(np.float32)


def test_copies_of_training_images_are_recognised():
    train, test, new = images(200, 0), images(80, 1), images(80, 2)
    report = make_generation_report(test, train)
    copied, fresh = report(train[:80]), report(new)
    assert copied["nearest_training_image"] < 0.01
    assert fresh["nearest_training_image"] == pytest.approx(1, abs=0.1)
    assert report(np.full_like(new, 0.5))["sharpness"] == 0
    assert "nearest_training_image" not in report(new, copies=False)
    # Bytes are the same images.
    as_bytes = make_generation_report((255 * test).astype(np.uint8), (255 * train).astype(np.uint8))
    assert as_bytes(new)["precision"] == pytest.approx(fresh["precision"], abs=0.1)


def test_measures_of_a_classifier():
    """The class of an image is its brightest column of two; features are the two mean columns."""

    def encode(x):
        return x.reshape(len(x), 6, 2, 3).mean((1, 3))

    classifier = ImageClassifier(encode, lambda f: jax.nn.softmax(20 * f))
    real = images(600, 3)
    report = make_generation_report(real, images(50, 4), classifier=classifier, name="columns")
    one_class = images(600, 5)
    one_class[:, :, :3] += 1  # always the first class
    found = report(one_class)
    assert found["classes"] == 1
    assert found["smallest_class"] == 0
    assert found["confidence"] > 0.99
    features, generated = (np.asarray(encode(jnp.asarray(x))) for x in (real, one_class))
    assert found["fid_columns"] == pytest.approx(frechet_distance(features, generated))
    probabilities = classifier.probabilities(one_class)
    assert found["entropy"] == pytest.approx(certainty(probabilities)["entropy"])
    both = report(images(600, 6))
    assert both["classes"] == 2
    assert both["fid_columns"] < 0.1 * found["fid_columns"]
    assert "fid" not in both


def test_certainty_is_that_of_scipy():
    from scipy.stats import entropy

    p = np.random.default_rng(0).dirichlet(np.ones(4), 50)
    found = certainty(p)
    assert found["entropy"] == pytest.approx(entropy(p, axis=1).mean(), rel=1e-5)
    assert found["confidence"] == pytest.approx(p.max(axis=1).mean())
