"""A classifier on a pretrained encoder."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.metrics import log_loss

import jaxae

KEY = jax.random.key(0)


def model(digits):
    base = jaxae.autoencoder(
        jaxae.networks.mlp_encoder(12, (16,)), jaxae.networks.mlp_decoder((8, 8, 1))
    )
    params = base.init(KEY, jaxae.as_float(digits.train.images[:2]))
    return base, params, jaxae.classifier(base.encode, params, classes=10)


def test_loss(digits):
    base, params, classifier = model(digits)
    x, y = jaxae.as_float(digits.test.images[:50]), jnp.asarray(digits.test.labels[:50])
    trained = classifier.init(KEY, x)
    np.testing.assert_array_equal(classifier.encode(trained, x), base.encode(params, x))
    head = {
        "kernel": jax.random.normal(KEY, (12, 10)),
        "bias": jax.random.normal(jax.random.key(1), (10,)),
    }
    trained = trained | {"head": head}
    out = classifier.loss(trained, KEY, jaxae.Batch(x, label=y))
    probabilities = np.asarray(classifier.decode(trained, base.encode(params, x)), np.float64)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    expected = log_loss(y, probabilities / probabilities.sum(1, keepdims=True), labels=range(10))
    assert float(out.loss.mean()) == pytest.approx(expected, rel=1e-4)
    wrong = probabilities.argmax(1) != np.asarray(y)
    np.testing.assert_array_equal(out.metrics["error_rate"], wrong)


def test_fine_tuning(digits):
    _, params, classifier = model(digits)
    train, validation, test = (
        jaxae.Batch(part.images, label=part.labels.astype(np.int32)) for part in digits
    )
    fitted = jaxae.fit(
        classifier,
        train,
        validation=validation,
        monitor="error_rate",
        optimizer=optax.adam(1e-2),
        epochs=10,
        batch_size=64,
        key=KEY,
        progress=False,
    )
    before, after = params["encoder"], fitted.params["pretrained"]["encoder"]
    assert not np.allclose(before["Dense_0"]["kernel"], after["Dense_0"]["kernel"])
    evaluate = jaxae.training.make_evaluate(jaxae.training.loss_scores(classifier))
    error = evaluate((fitted.params, 0), KEY, test)["error_rate"].mean()
    assert error < 0.1
    best = min(record["validation/error_rate"] for record in fitted.history)
    assert fitted.history[fitted.best_epoch - 1]["validation/error_rate"] == best


def test_training_does_not_consume_the_pretrained_parameters(digits):
    base, params, classifier = model(digits)
    optimizer = optax.sgd(0.1)
    x, y = jnp.asarray(digits.train.images[:64]), jnp.asarray(digits.train.labels[:64], jnp.int32)
    state = jaxae.training.init_state(classifier, optimizer, KEY, x[:1])
    jaxae.training.make_epoch(classifier, optimizer, 32)(state, KEY, jaxae.Batch(x, label=y))
    base.encode(params, jaxae.as_float(x))  # would raise if its buffers were gone


@pytest.mark.parametrize("label", [-1, 10])
def test_an_unknown_label_makes_the_loss_nan(digits, label):
    _, _, classifier = model(digits)
    x = jaxae.as_float(digits.test.images[:2])
    batch = jaxae.Batch(x, label=jnp.array([3, label]))
    out = classifier.loss(classifier.init(KEY, x), KEY, batch)
    assert np.isfinite(out.loss).tolist() == [True, False]


def test_composition_with_a_penalty_and_a_corruption(digits):
    _, _, classifier = model(digits)
    x, y = jaxae.as_float(digits.test.images[:9]), jnp.asarray(digits.test.labels[:9])
    composed = jaxae.denoising(jaxae.contractive(classifier, 1e-3), jaxae.corruptions.downsample(2))
    params = composed.init(KEY, x)
    out = composed.loss(params, KEY, jaxae.Batch(x, label=y))
    assert sorted(out.terms) == ["contraction", "cross_entropy"]
    assert sorted(out.metrics) == ["error_rate"]


def test_bad_classes_and_labels(digits):
    base, params, classifier = model(digits)
    with pytest.raises(ValueError, match="at least two classes"):
        jaxae.classifier(base.encode, params, 1)
    x = jaxae.as_float(digits.test.images[:2])
    for label in (None, jnp.ones((2, 3))):
        with pytest.raises(ValueError, match="is trained with labels"):
            classifier.loss(classifier.init(KEY, x), KEY, jaxae.Batch(x, label=label))
