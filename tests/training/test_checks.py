"""What does not fit is refused at once, and the error says what to do."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxae
from jaxae.checks import check_key, check_values
from tests.cases import SHAPE, autoencoder, images, vae
from tests.training.helpers import fit, gaussian

X = np.asarray(images(SHAPE, n=13))
NAN = np.where(np.arange(13)[:, None, None, None] == 11, np.nan, X)


def both(model, x, **options):
    """The message of `fit`, which is that of `fit_many`."""
    with pytest.raises(ValueError) as one:
        fit(model, x, **options)
    with pytest.raises(ValueError) as other:
        jaxae.fit_many(
            lambda _: (model, optax.sgd(1e-2)),
            x,
            keys=jax.random.split(jax.random.key(0), 2),
            **{"epochs": 1, "batch_size": 4, "progress": False} | options,
        )
    assert str(one.value) == str(other.value)
    return str(one.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([X, X], "a tuple or list does not say which array is which"),
        ((X, np.arange(13)), "a tuple or list does not say which array is which"),
        (X[:0], "the training set is empty"),
        (np.array([["a"]] * 13), "data must be numbers, not <U1"),
        (jaxae.Images(X), "this is a split with images and labels; give split.images"),
        (jaxae.Splits(*3 * [jaxae.Images(X)]), "three splits.*give .*splits.train.images"),
        ("mnist", "data must be arrays, not str; to load a data set"),
        (np.array(1.0), "the first axis of data is the example"),
        (NAN, "x has values that are not finite; if they are missing"),
        (NAN.astype(np.float32) + np.inf, "x has values that are not finite"),
        (255 * X, r"x has values from 0 to 255, .* in \[0, 1\]; divide by 255"),
        (2 * X - 1, r"x has values from -1 to 1, .*scale them to \[0, 1\]"),
        (jnp.array(255 * X), "divide by 255"),
        ((255 * X).astype(np.int32), r"x is int32, .*bytes \(uint8\)"),
        ((255 * X).astype(np.uint16), r"x is uint16, .*bytes \(uint8\)"),
        (X > 0.5, r"x is bool, .*bytes \(uint8\)"),
    ],
    ids=lambda value: str(value)[:20] if isinstance(value, str) else "",
)
def test_training_data(data, message):
    assert re.search(message, both(vae(), data))


def test_other_values_where_they_have_a_meaning():
    """A Gaussian describes any finite number."""
    assert len(fit(gaussian(), 255 * X, optimizer=optax.sgd(1e-8)).history) == 3
    assert "not finite" in both(gaussian(), NAN)
    known = ~np.isnan(NAN)
    assert len(fit(gaussian(), jaxae.Batch(NAN, observed=known)).history) == 3
    assert "values from 0 to 255" in both(vae(), jaxae.Batch(255 * NAN, observed=known))


def test_values_after_a_transform():
    scale = lambda key, x: x / 255
    assert len(fit(vae(), 255 * X, transform=scale).history) == 3
    assert "x has values from 0 to 2" in both(vae(), X, transform=lambda key, x: 2 * x)


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        (X[:, :3], r"x has the shape \[6, 5, 1\] and in validation \[3, 5, 1\]"),
        (jaxae.Batch(X, label=np.arange(13)), "the validation data have 'label' and the training"),
        ({"a": X}, r"x\['a'\] has the shape not there"),
        (X[:0], "the validation set is empty"),
        (255 * X, "validation x has values from 0 to 255"),
        (jaxae.Stream(range(3), lambda i: np.zeros(SHAPE, np.uint8)), "validation data must be in"),
        ((X, X), "a tuple or list"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_validation_data(validation, message):
    assert re.search(message, both(vae(), X, validation=validation))


def test_validation_shapes_are_compared_after_the_transforms():
    crop = lambda key, x: x[:, :6]
    larger = np.concatenate([X, X], 1)
    fit(x=larger, validation=X, transform=crop)
    fit(x=larger, validation=larger, transform=crop, validation_transform=crop)
    with pytest.raises(ValueError, match="differ"):
        fit(x=larger, validation=larger, transform=crop)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (0, r"key must be a JAX random key, not int; use jax.random.key\(0\)"),
        (np.zeros(2, np.uint32), "not ndarray; use"),
        (jax.random.PRNGKey(0), "a typed key, not an array of uint32; use"),
        (jax.random.split(jax.random.key(0), 3), r"one key, got the shape \(3,\)"),
    ],
)
def test_keys(key, message):
    with pytest.raises(ValueError, match=message):
        check_key(key)


def test_fit_checks_its_key():
    with pytest.raises(ValueError, match="use jax.random.key"):
        fit(key=jax.random.PRNGKey(0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs must be positive"),
        ({"batch_size": 0}, "batch_size must be positive"),
        ({"batch_size": 14}, "larger than the 13 training examples"),
        ({"patience": 0, "validation": images(SHAPE)}, "patience must be positive"),
        ({"patience": 2}, "needs a validation set"),
        ({"checkpoint_every": 0}, "checkpoint_every must be positive"),
        ({"evaluation_batch_size": 0}, "evaluation_batch_size must be positive"),
        ({"placement": "stream"}, "only a Stream can be streamed"),
        ({"monitor": "rate!", "validation": images(SHAPE)}, "cannot monitor 'rate!'.*distortion"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        fit(**options)


def test_many_models_share_data_in_memory():
    stream = jaxae.Stream(range(13), lambda i: np.zeros(SHAPE, np.uint8))
    with pytest.raises(ValueError, match="many models share data in memory"):
        jaxae.fit_many(
            lambda _: (autoencoder(jaxae.likelihoods.bernoulli()), optax.sgd(1.0)),
            stream,
            keys=jax.random.key(0)[None],
            epochs=1,
            batch_size=4,
        )


def test_large_arrays_are_checked_at_some_rows(monkeypatch):
    monkeypatch.setattr("jaxae.checks.CHECKED_VALUES", 60)
    x = X.copy()
    x[1] = 7  # of 13 images of 30 values, every seventh is looked at
    check_values(True, jaxae.Batch(x))
    x[7] = 7
    with pytest.raises(ValueError, match="to 7"):
        check_values(True, jaxae.Batch(x))
