"""Many models in one program are the models that `fit` trains one by one."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxae
from jaxae.training import ensembles as many

KEYS = jax.random.split(jax.random.key(0), 3)
IMAGES = np.asarray(jax.random.randint(jax.random.key(1), (20, 4, 4, 1), 0, 256), np.uint8)


def network(**options):
    encoder, decoder = (
        jaxae.networks.mlp_encoder(4, (8,)),
        jaxae.networks.mlp_decoder((4, 4, 1), (8,)),
    )
    return jaxae.vae(encoder, decoder, latent_dim=2, **options)


def binarize(key, x):
    return jax.random.bernoulli(key, x).astype(jnp.float32)


@pytest.mark.parametrize("at_once", [False, True])
def test_each_is_what_fit_trains(at_once, monkeypatch):
    if at_once:  # as on an accelerator
        monkeypatch.setattr(many, "_each", lambda function: jax.vmap(function, (0, None)))
    model, options = network(), {"epochs": 3, "batch_size": 5, "transform": binarize}
    rates = jnp.array([1e-3, 1e-2, 3e-2])
    fits = jaxae.fit_many(
        lambda rate: (model, optax.adam(rate)),
        IMAGES,
        keys=KEYS,
        values=rates,
        validation=IMAGES[:7],
        progress=False,
        **options,
    )
    assert fits.history["validation/loss"].shape == (3, 3)
    for i in range(3):
        alone = jaxae.fit(
            model,
            IMAGES,
            optimizer=optax.adam(float(rates[i])),
            key=KEYS[i],
            validation=IMAGES[:7],
            progress=False,
            **options,
        )
        for name, values in fits.history.items():
            expected = [record[name] for record in alone.history]
            np.testing.assert_allclose(values[i], expected, rtol=1e-4)
        mine = jax.tree.map(lambda leaf, i=i: leaf[i], (fits.params, fits.state.params))
        for a, b in zip(
            jax.tree.leaves(mine), jax.tree.leaves((alone.params, alone.state.params)), strict=True
        ):
            np.testing.assert_allclose(a, b, atol=1e-4)
        assert fits.best_epoch[i] == alone.best_epoch


def test_without_validation_the_last_parameters_are_kept():
    make = lambda _: (network(), optax.adam(1e-2))
    fits = jaxae.fit_many(make, IMAGES, keys=KEYS, epochs=2, batch_size=5, progress=False)
    assert fits.best_epoch.tolist() == [2, 2, 2]
    jax.tree.map(np.testing.assert_array_equal, fits.params, fits.state.params)
    # Other keys, other models.
    assert len(set(fits.history["train/loss"][:, -1].tolist())) == 3


def test_a_weight_may_be_swept():
    def make(beta):
        return network(beta=lambda step: beta), optax.adam(1e-2)

    fits = jaxae.fit_many(
        make,
        IMAGES,
        keys=jnp.stack([KEYS[0], KEYS[0]]),
        values=jnp.array([0.0, 10.0]),
        epochs=30,
        batch_size=5,
        progress=False,
    )
    assert fits.history["train/rate"][0, -1] > fits.history["train/rate"][1, -1]


def test_one_may_fail_but_not_all():
    def fit(rates):
        return jaxae.fit_many(
            lambda rate: (network(), optax.sgd(rate)),
            IMAGES,
            keys=KEYS[:2],
            values=jnp.array(rates),
            epochs=2,
            batch_size=5,
            progress=False,
        )

    losses = fit([1e-3, jnp.inf]).history["train/loss"]
    assert np.isfinite(losses[0]).all()
    assert not np.isfinite(losses[1]).any()
    with pytest.raises(jaxae.NonFiniteError, match="none of the 2 losses is finite"):
        fit([jnp.inf, jnp.inf])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"values": jnp.ones(2)}, "3 keys, so each of the values must have 3 rows"),
        ({"values": jnp.ones(())}, "3 keys"),
        ({"keys": KEYS[0]}, "one key for each model"),
        ({"evaluation_batch_size": 0}, "evaluation_batch_size must be positive"),
        ({"epochs": 0}, "epochs must be positive"),
        ({"batch_size": 21}, "larger than the 20 training examples"),
        ({"validation": IMAGES[:0]}, "the validation set is empty"),
        ({"validation": IMAGES, "monitor": "nothing"}, "cannot monitor 'nothing'"),
    ],
)
def test_bad_options(options, message):
    options = {"keys": KEYS, "epochs": 1, "batch_size": 5, "progress": False, **options}
    with pytest.raises(ValueError, match=message):
        jaxae.fit_many(lambda _: (network(), optax.adam(1e-3)), IMAGES, **options)
