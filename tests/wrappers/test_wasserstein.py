"""Codes matched to a prior by a kernel."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxae
from tests.cases import CODE, SHAPE, autoencoder, images, vae

NORMAL = jaxae.priors.standard_normal(CODE)

KEY = jax.random.key(3)


def test_a_model_that_compares_examples_is_validated():
    model = jaxae.wasserstein(autoencoder(), NORMAL, weight=1.0)
    x = images(SHAPE, n=9)
    options = {"optimizer": optax.adam(1e-3), "epochs": 1, "key": KEY, "batch_size": 4}
    fitted = jaxae.fit(model, x, validation=x, progress=False, **options)
    assert np.isfinite(fitted.history[0]["validation/mmd"])


def test_every_number_changes_something():
    x = images(SHAPE)
    make = lambda **options: jaxae.wasserstein(autoencoder(), NORMAL, **options)
    models = [make(weight=w) for w in (1.0, 2.0)]
    kernels = jaxae.distributions.imq(1.0), jaxae.distributions.rbf(6.0)
    models += [make(weight=1.0, kernel=kernel) for kernel in kernels]
    found = [np.asarray(m.loss(m.init(KEY, x), KEY, x).loss) for m in models]
    for a, b in itertools.combinations(found, 2):
        assert not np.allclose(a, b)


def test_the_term_is_the_discrepancy_of_the_codes_of_the_loss():
    model, x = jaxae.wasserstein(vae(beta=0.0), NORMAL, weight=3.0), images(SHAPE)
    params = model.init(KEY, x)
    out = model.loss(params, KEY, x)
    drawn = NORMAL.sample(jaxae.arrays.fold_in_name(KEY, "mmd"), len(x))
    expected = jaxae.distributions.mmd(out.z, drawn, jaxae.distributions.imq(2.0 * CODE))
    np.testing.assert_allclose(out.terms["mmd"], jnp.full(len(x), expected), rtol=1e-5)
    np.testing.assert_allclose(out.loss, out.terms["distortion"] + 3 * expected, rtol=1e-5)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="weight"):
        jaxae.wasserstein(autoencoder(), NORMAL, weight=-1.0)
    model, x = jaxae.wasserstein(autoencoder(), jaxae.priors.petals(3), weight=1.0), images(SHAPE)
    with pytest.raises(ValueError, match="codes of the posterior|2 dimensions"):
        jax.eval_shape(lambda: model.loss(model.init(KEY, x), KEY, x))
