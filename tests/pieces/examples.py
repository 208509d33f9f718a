"""One small model of each kind with data that it can be trained on."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxae
from jaxae.networks import mlp_decoder, mlp_encoder
from tests.pieces.beta_tcvae import total_correlation
from tests.pieces.conditional_vae import conditional_vae
from tests.pieces.dreg import dreg
from tests.pieces.factor_vae import factor_vae
from tests.pieces.gumbel_softmax import annealed, relaxed_one_hot, uniform_one_hot
from tests.pieces.iaf import iaf
from tests.pieces.imputation import miwae
from tests.pieces.piwae import piwae
from tests.pieces.planar_flow import planar_flow
from tests.pieces.power_spherical import posterior, uniform
from tests.pieces.rae_gp import rae_gp
from tests.pieces.signals import signal_vae
from tests.pieces.tables import columns_vae, table_vae
from tests.pieces.two_layers import two_layer_vae
from tests.pieces.vamp_prior import vamp_prior
from tests.pieces.vq_vae import vq_vae

SHAPE = (8, 8, 1)
CODE = 3
HIDDEN = (16,)


class Example(NamedTuple):
    """A model and its data.

    Attributes:
      make: gives the model.
      data: gives a :class:`jaxae.Batch` of 64 examples.
      missing: why there is no estimate of log p(x), as a part of the message; empty if there is one.
    """

    make: Callable[[], jaxae.Autoencoder]
    data: Callable[[], jaxae.Batch]
    missing: str = ""


def train(model, data, *, epochs=30, batch_size=64, rate=3e-3, key=0, **options):
    """A short training."""
    return jaxae.fit(
        model,
        data,
        optimizer=optax.adam(rate),
        epochs=epochs,
        batch_size=batch_size,
        key=jax.random.key(key),
        progress=False,
        **options,
    )


@cache
def digits(n: int = 64) -> jaxae.Batch:
    """Real digits of 8 x 8 pixels, with their classes as the label."""
    train = jaxae.load("digits").train
    return jaxae.Batch(train.images[:n], label=train.labels[:n])


def classes_of_digits() -> jaxae.Batch:
    return jaxae.Batch(digits().x, condition=digits().label)


def waves(n: int = 64, seed: int = 0) -> jaxae.Batch:
    """Sine waves of random phase and amplitude, `[n, 256, 1]`, with a little noise."""
    rng = np.random.default_rng(seed)
    t, phase = np.arange(256) / 64, rng.uniform(0, 1, (n, 1))
    x = rng.uniform(0.5, 1.5, (n, 1)) * np.sin(2 * np.pi * (t + phase))
    return jaxae.Batch(np.float32(x + 0.05 * rng.normal(size=x.shape))[..., None])


FACTORS = np.random.default_rng(0).normal(size=(7, 2))
COVARIANCE = FACTORS @ FACTORS.T + 0.1 * np.eye(7)
"""Of the seven columns of a table, by two factors."""


def table(n: int = 64, seed: int = 0) -> jaxae.Batch:
    rng = np.random.default_rng(seed)
    return jaxae.Batch(np.float32(rng.multivariate_normal(np.zeros(7), COVARIANCE, n)))


def columns(n: int = 64, seed: int = 0) -> jaxae.Batch:
    """Two real numbers that depend on a class of three, whose level is in [0, 1]."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 3, (n, 1))
    size = np.array([[-2.0, 0.0], [2.0, 1.0], [0.0, 3.0]])[kind[:, 0]]
    size = size + 0.3 * rng.normal(size=size.shape)
    return jaxae.Batch({"size": np.float32(size), "kind": np.float32(kind / 2)})


def incomplete(n: int = 64, seed: int = 0) -> jaxae.Batch:
    """A table with three values in ten missing, nan."""
    x, rng = table(n, seed).x, np.random.default_rng(seed + 1)
    observed = np.float32(rng.uniform(size=x.shape) > 0.3)
    return jaxae.Batch(np.where(observed > 0, x, np.float32(np.nan)), observed=observed)


def vae(outputs: int = 2 * CODE, *, dropout: float = 0.0, **options) -> jaxae.Autoencoder:
    encoder = mlp_encoder(outputs, HIDDEN, dropout=dropout)
    return jaxae.vae(encoder, mlp_decoder(SHAPE, HIDDEN), **{"latent_dim": CODE} | options)


def two_layers() -> jaxae.Autoencoder:
    return two_layer_vae(
        mlp_encoder(2 * 3, HIDDEN),
        mlp_encoder(2 * 2, HIDDEN),
        mlp_encoder(2 * 3, HIDDEN),
        mlp_decoder(SHAPE, HIDDEN),
        jaxae.likelihoods.bernoulli(),
        latent_dims=(3, 2),
    )


def vq(**options) -> jaxae.Autoencoder:
    return vq_vae(
        mlp_encoder(4 * 2, HIDDEN),
        mlp_decoder(SHAPE, HIDDEN),
        jaxae.likelihoods.bernoulli(),
        tokens=4,
        dim=2,
        entries=8,
        **options,
    )


def gumbel() -> jaxae.Autoencoder:
    posterior, prior = relaxed_one_hot(4, 3), uniform_one_hot(4, 3)
    base = vae(4 * 3, latent_dim=4 * 3, posterior=posterior, prior=prior)
    schedule = lambda step: jnp.maximum(0.5, 2.0 * jnp.exp(-0.01 * step))
    return base._replace(objective=annealed(base.objective, schedule))


def smooth_decoder() -> jaxae.Autoencoder:
    base = jaxae.autoencoder(mlp_encoder(CODE, HIDDEN), mlp_decoder(SHAPE, HIDDEN))
    return rae_gp(base, codes=0.1, gradient=0.01)


EXAMPLES = {
    "planar flow": Example(lambda: vae(posterior=planar_flow(CODE)), digits),
    "iaf": Example(lambda: vae(2 * CODE + 4, posterior=iaf(CODE)), digits),
    "vamp prior": Example(lambda: vamp_prior(vae(), 5), digits),
    "beta-tcvae": Example(lambda: total_correlation(vae(dropout=0.5), 3.0, 64), digits),
    "factor vae": Example(lambda: factor_vae(vae(), mlp_encoder(1, HIDDEN), 3.0), digits),
    "vq vae": Example(vq, digits, "has no density"),
    "gumbel softmax": Example(gumbel, digits, "has no density"),
    "two layers": Example(two_layers, digits),
    "dreg": Example(lambda: vae()._replace(objective=dreg(4)), digits),
    "piwae": Example(lambda: vae()._replace(objective=piwae(2, 2)), digits),
    "conditional vae": Example(
        lambda: conditional_vae(SHAPE, 10, latent_dim=CODE, hidden=HIDDEN), classes_of_digits
    ),
    "rae-gp": Example(smooth_decoder, digits, "has no prior"),
    "power spherical": Example(
        lambda: vae(CODE + 1, posterior=posterior(CODE), prior=uniform(CODE)), digits
    ),
    "signals": Example(lambda: signal_vae((256, 1), latent_dim=CODE), waves),
    "table": Example(lambda: table_vae(7, latent_dim=CODE, hidden=HIDDEN), table),
    "columns": Example(
        lambda: columns_vae(
            {"size": 2, "kind": 1},
            {"size": jaxae.likelihoods.gaussian(), "kind": jaxae.likelihoods.categorical(3)},
            latent_dim=CODE,
            hidden=HIDDEN,
        ),
        columns,
    ),
    "imputation": Example(lambda: miwae(7, latent_dim=CODE, samples=4, hidden=HIDDEN), incomplete),
}
