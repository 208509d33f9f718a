"""Probes against scikit-learn, and a classifier trained as any model here."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.neighbors import KNeighborsClassifier

import jaxae

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def codes(digits):
    """Codes in very different units, for what is standardised."""

    def flat(part):
        scale = np.logspace(-3, 3, 64)
        return part.images.reshape(len(part.images), -1) / 255.0 * scale, part.labels

    return flat(digits.train), flat(digits.test)


def test_linear_probe_is_logistic_regression_on_standardised_codes(codes):
    (x, y), (x_test, y_test) = codes
    mean, deviation = x.mean(0), x.std(0)
    deviation[deviation == 0] = 1
    model = LogisticRegression(C=0.1, max_iter=1000).fit((x - mean) / deviation, y)
    expected = np.mean(model.predict((x_test - mean) / deviation) != y_test)
    found = jaxae.analysis.linear_probe(*codes, regularization=(0.1,))
    assert found == pytest.approx(expected, abs=0.004)
    assert found < 0.08
    # Cross-validation takes what is good on the training codes.
    chosen = jaxae.analysis.linear_probe(*codes, regularization=(1e-6, 0.1))
    assert chosen == found
    assert jaxae.analysis.linear_probe(*codes, regularization=(1e-6,)) > found + 0.02


def test_neighbour_probe(codes):
    (x, y), (x_test, y_test) = codes
    for k in (1, 7):
        expected = np.mean(KNeighborsClassifier(k).fit(x, y).predict(x_test) != y_test)
        assert jaxae.analysis.neighbour_probe(*codes, neighbours=k) == pytest.approx(expected)


def test_label_efficiency(codes):
    """Few labels, many draws: each draw has as many of each class, and more labels are better."""
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
    assert len(set(errors[0])) > 1  # the draws differ, and are the same again
    again = jaxae.analysis.label_efficiency(*codes, [10, 25, 400], probe=probe, draws=3)
    np.testing.assert_array_equal(errors, again)
    other = jaxae.analysis.label_efficiency(*codes, [10], probe=probe, draws=3, seed=1)
    assert not np.array_equal(errors[0], other[0])
    everything = jaxae.analysis.label_efficiency(*codes, [len(codes[0][1])], probe=probe, draws=1)
    assert everything[0, 0] == pytest.approx(
        jaxae.analysis.neighbour_probe(*codes, neighbours=1), abs=0.006
    )


def model(digits):
    base = jaxae.autoencoder(
        jaxae.networks.mlp_encoder(12, (16,)), jaxae.networks.mlp_decoder((8, 8, 1))
    )
    params = base.init(KEY, jaxae.as_float(digits.train.images[:2]))
    return base, params, jaxae.classifier(base.encode, params, classes=10)


def test_the_classifiers_loss(digits):
    base, params, classifier = model(digits)
    x, y = jaxae.as_float(digits.test.images[:50]), jnp.asarray(digits.test.labels[:50])
    trained = classifier.init(KEY, x)
    np.testing.assert_array_equal(classifier.encode(trained, x), base.encode(params, x))
    head = {
        "kernel": jax.random.normal(KEY, (12, 10)),
        "bias": jax.random.normal(jax.random.key(1), (10,)),
    }
    trained = trained | {"head": head}
    out = classifier.loss(trained, KEY, x, target=y)
    probabilities = np.asarray(classifier.decode(trained, base.encode(params, x)), np.float64)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    expected = log_loss(y, probabilities / probabilities.sum(1, keepdims=True), labels=range(10))
    assert float(out.loss.mean()) == pytest.approx(expected, rel=1e-4)
    wrong = probabilities.argmax(1) != np.asarray(y)
    np.testing.assert_array_equal(out.terms["error"], wrong)


def test_fine_tuning_by_fit(digits):
    _, params, classifier = model(digits)
    pairs = [(part.images, part.labels.astype(np.int32)) for part in digits]
    fitted = jaxae.fit(
        classifier,
        pairs[0],
        validation=pairs[1],
        monitor="error",
        optimizer=optax.adam(1e-2),
        epochs=10,
        batch_size=64,
        key=KEY,
        progress=False,
    )
    before, after = params["encoder"], fitted.params["pretrained"]["encoder"]
    assert not np.allclose(before["Dense_0"]["kernel"], after["Dense_0"]["kernel"])
    evaluate = jaxae.training.make_evaluate(jaxae.training.loss_scores(classifier))
    error = evaluate((fitted.params, 0), KEY, pairs[2])["error"].mean()
    assert error < 0.1
    best = min(record["validation/error"] for record in fitted.history)
    assert fitted.history[fitted.best_epoch - 1]["validation/error"] == best


def test_training_does_not_consume_the_pretrained_parameters(digits):
    base, params, classifier = model(digits)
    optimizer = optax.sgd(0.1)
    x, y = jnp.asarray(digits.train.images[:64]), jnp.asarray(digits.train.labels[:64], jnp.int32)
    state = jaxae.training.init_state(classifier, optimizer, KEY, x[:1])
    jaxae.training.make_epoch(classifier, optimizer, 32)(state, KEY, (x, y))
    base.encode(params, jaxae.as_float(x))  # would raise if its buffers were gone


@pytest.mark.parametrize("label", [-1, 10])
def test_an_unknown_label_is_not_a_class(digits, label):
    _, _, classifier = model(digits)
    x = jaxae.as_float(digits.test.images[:2])
    out = classifier.loss(classifier.init(KEY, x), KEY, x, target=jnp.array([3, label]))
    assert np.isfinite(out.loss).tolist() == [True, False]


def test_penalties_and_noise_go_with_a_classifier(digits):
    _, _, classifier = model(digits)
    x, y = jaxae.as_float(digits.test.images[:9]), jnp.asarray(digits.test.labels[:9])
    composed = jaxae.denoising(jaxae.contractive(classifier, 1e-3), jaxae.corruptions.downsample(2))
    params = composed.init(KEY, x)
    terms = composed.loss(params, KEY, x, target=y).terms
    assert sorted(terms) == ["contraction", "cross_entropy", "error"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, y: jaxae.analysis.linear_probe((x, y[1:]), (x, y)), "20 codes and 19 labels"),
        (lambda x, y: jaxae.analysis.linear_probe((x, 0 * y), (x, y)), "labels are the same"),
        (lambda x, y: jaxae.analysis.neighbour_probe((x, y), (x, y), neighbours=21), "of 20 codes"),
        (lambda x, y: jaxae.analysis.neighbour_probe((x, y), (x, y), neighbours=0), "of 20 codes"),
        (
            lambda x, y: jaxae.analysis.label_efficiency(
                (x, y), (x, y), [1], probe=jaxae.analysis.linear_probe
            ),
            "of 2 classes, 1 cannot",
        ),
        (
            lambda x, y: jaxae.analysis.label_efficiency(
                (x, y), (x, y), [21], probe=jaxae.analysis.linear_probe
            ),
            "20 codes of 2 classes, 21",
        ),
        (
            lambda x, y: jaxae.analysis.label_efficiency(
                (x, y), (x, y), [4], probe=jaxae.analysis.linear_probe, draws=0
            ),
            "at least one draw",
        ),
        (lambda x, y: jaxae.classifier(lambda p, x: x, {}, 1), "at least two classes"),
        (
            lambda x, y: jaxae.classifier(lambda p, x: x, {}, 2).loss({}, KEY, jnp.ones((2, 3))),
            "pairs of images and labels",
        ),
    ],
)
def test_bad_input(call, message):
    x, y = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) % 2
    with pytest.raises(ValueError, match=message):
        call(x, y)
