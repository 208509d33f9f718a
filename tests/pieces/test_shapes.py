"""Signals, tables, dicts of columns, and missing values."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy.stats

import jaxae
from tests.pieces.examples import (
    COVARIANCE,
    EXAMPLES,
    columns,
    incomplete,
    table,
    train,
    waves,
)
from tests.pieces.imputation import impute, miwae
from tests.pieces.signals import signal_vae
from tests.pieces.tables import table_vae

KEY = jax.random.key(0)


def test_waves_are_described_by_a_few_numbers(optimised):
    model = signal_vae((256, 1), latent_dim=3)
    trained = train(model, waves(640), epochs=30, rate=1e-2)
    test = waves(64, seed=1).x
    decoded = jaxae.reconstruct(model, trained.params, test)
    assert decoded.shape == test.shape
    # Of a variance of 0.54, of which 0.0025 is noise.
    assert jnp.mean(jnp.square(decoded - test)) < 0.03
    samples = model.sample(trained.params, KEY, 20)
    assert samples.shape == (20, 256, 1)
    # Samples are waves too: nearly all of their power is at one frequency.
    power = np.square(np.abs(np.fft.rfft(samples[..., 0], axis=1)))[:, 1:]
    assert np.median(power[:, 3] / power.sum(1)) > 0.8


def test_the_density_of_a_table_is_nearly_the_exact_one():
    model = table_vae(7, latent_dim=2)
    trained = train(model, table(2000), epochs=40, rate=1e-2)
    test = table(200, seed=1).x
    nll = jaxae.analysis.importance_nll(model, trained.params, KEY, test, 300).mean()
    exact = -scipy.stats.multivariate_normal(np.zeros(7), COVARIANCE).logpdf(test).mean()
    alone = -scipy.stats.norm(0, np.sqrt(np.diag(COVARIANCE))).logpdf(test).sum(1).mean()
    assert exact - 0.1 < nll < exact + 0.5 < alone


def test_a_dict_of_columns_depends_on_a_code():
    model = EXAMPLES["columns"].make()
    trained = train(model, columns(640), rate=1e-2)
    test = columns(200, seed=1)
    decoded = jaxae.reconstruct(model, trained.params, test)
    assert jax.tree.map(jnp.shape, decoded) == {"size": (200, 2), "kind": (200, 1)}
    assert jnp.mean(jnp.round(2 * decoded["kind"]) / 2 == test.x["kind"]) > 0.95
    # Samples: the real numbers fit the class.
    samples = model.sample(trained.params, KEY, 300)
    centres = jnp.array([[-2.0, 0.0], [2.0, 1.0], [0.0, 3.0]])
    nearest = jnp.argmin(jnp.linalg.norm(samples["size"][:, None] - centres, axis=-1), axis=1)
    sure = jnp.abs(2 * samples["kind"][:, 0] - jnp.round(2 * samples["kind"][:, 0])) < 0.05
    assert sure.mean() > 0.4
    assert jnp.mean((jnp.round(2 * samples["kind"][:, 0]) == nearest)[sure]) > 0.9


def test_a_missing_column_is_left_out():
    model, data = EXAMPLES["columns"].make(), columns()
    params = model.init(KEY, data)
    observed = {"size": np.ones((64, 2), np.float32), "kind": np.zeros((64, 1), np.float32)}
    masked = model.draws(params, KEY, data._replace(observed=observed))
    both = masked.likelihood.elementwise(jax.tree.map(jnp.asarray, data.x))
    np.testing.assert_allclose(masked.log_likelihood[0], both["size"].sum(1), rtol=1e-5)


def exact_means(x, observed):
    """E[missing values | known values] of the normal distribution the table is from."""
    filled = x.copy()
    for row, known in zip(filled, observed > 0, strict=True):
        if known.any() and not known.all():
            cross = COVARIANCE[np.ix_(~known, known)]
            row[~known] = cross @ np.linalg.solve(COVARIANCE[np.ix_(known, known)], row[known])
        row[~known & np.isnan(row)] = 0
    return filled


def test_imputation_is_nearly_the_conditional_mean(optimised):
    model = miwae(7, latent_dim=2, samples=10)
    trained = train(
        model, incomplete(2000), epochs=40, rate=optax.cosine_decay_schedule(1e-2, 40 * 31)
    )
    batch, truth = incomplete(200, seed=2), table(200, seed=2).x
    missing = batch.observed == 0
    filled = np.asarray(impute(model, trained.params, KEY, batch, 300))
    np.testing.assert_array_equal(filled[~missing], truth[~missing])
    exact = exact_means(batch.x, batch.observed)

    def error(values):
        return np.mean(np.square(values - truth)[missing])

    assert error(exact) <= error(filled) < 1.15 * error(exact)
    assert error(filled) < 0.5 * error(0 * truth)
    assert np.mean(np.square(filled - exact)[missing]) < 0.1 * error(0 * truth)
