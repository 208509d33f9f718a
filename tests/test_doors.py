"""Misuse of every public function: a named error that says what to do, never one of Flax or JAX."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxae
from jaxae import networks, priors, training
from jaxae.networks import mlp_decoder, mlp_encoder

X = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 1), dtype=np.uint8)
F = (X / 255).astype(np.float32)
Y = np.arange(6) % 3
KEY = jax.random.key(0)
OLD_KEY = jax.random.PRNGKey(0)
AE = jaxae.autoencoder(mlp_encoder(2, ()), mlp_decoder((4, 4, 1), ()))
VAE = jaxae.vae(mlp_encoder(4, ()), mlp_decoder((4, 4, 1), ()), latent_dim=2)
TIED = jaxae.tied_autoencoder((4, 4, 1), 2)
SWAPPED = jaxae.autoencoder(mlp_decoder((4, 4, 1), ()), mlp_encoder(2, ()))
PA, PV = AE.init(KEY, X), VAE.init(KEY, X)
SPLIT = jaxae.Images(X, Y)
N3 = priors.standard_normal(3)
MASK = jaxae.corruptions.masking(0.3)
read_only = X.copy()
read_only.flags.writeable = False


def fit(data=X, model=VAE, **options):
    basic = {"optimizer": optax.adam(1e-3), "epochs": 1, "batch_size": 3, "key": KEY}
    return jaxae.fit(model, data, **basic | {"progress": False} | options)


def fit_many(make=lambda _: (VAE, optax.adam(1e-3)), **options):
    basic = {"keys": jax.random.split(KEY, 2), "epochs": 1, "batch_size": 3, "progress": False}
    return jaxae.fit_many(make, X, **basic | options)


def evaluate(data, at=(PV, 0), key=KEY, **options):
    return training.make_evaluate(training.loss_scores(VAE), **options)(at, key, data)


def vae(encoder=None, decoder=None, *likelihood, latent_dim=2, **options):
    encoder, decoder = encoder or mlp_encoder(4), decoder or mlp_decoder((4, 4, 1))
    return jaxae.vae(encoder, decoder, *likelihood, latent_dim=latent_dim, **options)


def untyped(function):
    """A function without the type checker of the tests."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function


class Tensor:
    """Of another library."""

    def __array__(self, dtype=None, copy=None):
        return X


MISUSE = {
    # data
    r"split.images, or jaxae.Batch\(split.images, label": [
        lambda: fit(SPLIT),
        lambda: fit(validation=SPLIT),
        lambda: VAE.encode(PV, SPLIT),
        lambda: VAE.loss(PV, KEY, SPLIT),
        lambda: VAE.init(KEY, SPLIT),
        lambda: evaluate(SPLIT),
    ],
    "the three splits": [
        lambda: fit(jaxae.Splits(SPLIT, SPLIT, SPLIT)),
        lambda: AE.encode(PA, jaxae.Splits(SPLIT, SPLIT, SPLIT)),
    ],
    r"jaxae.Batch\(x, label=labels\).*numpy.stack": [
        lambda: fit((X, Y)),
        lambda: fit(list(X)),
        lambda: AE.encode(PA, list(X)),
        lambda: AE.encode(PA, X.tolist()),
        lambda: jaxae.reconstruct(AE, PA, (X, Y)),
    ],
    r"jaxae.load\(\"mnist\"\)": [lambda: fit("mnist"), lambda: AE.encode(PA, "mnist")],
    r"numpy.asarray\(data\)": [lambda: fit(Tensor()), lambda: AE.encode(PA, Tensor())],
    r"numpy.stack\(list\(data\)\)": [
        lambda: fit(iter(X)),
        lambda: AE.encode(PA, (x for x in X)),
    ],
    "x is None|contain no array": [lambda: fit(None), lambda: AE.encode(PA, None)],
    "takes? a dict": [lambda: fit({"x": X}), lambda: AE.encode(PA, {"x": X})],
    "masked array is ambiguous": [lambda: fit(np.ma.masked_array(F))],
    "complex numbers": [lambda: fit(F.astype(np.complex64), AE)],
    "data must be numbers, not": [
        lambda: fit(X.astype("M8[s]"), AE),
        lambda: AE.encode(PA, X.astype(str)),
        lambda: AE.encode(PA, X.astype(object)),
    ],
    "different numbers of examples": [
        lambda: fit(jaxae.Batch(X, label=Y[:2])),
        lambda: VAE.loss(PV, KEY, jaxae.Batch(X, label=Y[:2])),
        lambda: VAE.loss(PV, KEY, jaxae.Batch(X, seen=X[:2])),
        lambda: AE.encode(PA, jaxae.Batch(X, seen=X[:1])),
    ],
    "do not fit into int32; renumber classes with": [
        lambda: fit(jaxae.Batch(X, label=Y + 2**32)),
        lambda: VAE.loss(PV, KEY, jaxae.Batch(X, label=Y - 2**40)),
    ],
    "there are no examples|set is empty": [lambda: fit(X[:0]), lambda: AE.encode(PA, X[:0])],
    "first axis of data is the example": [lambda: AE.encode(PA, 0.5)],
    # values
    r"divide by 255|uint8\), which are divided by 255": [
        lambda: fit(255 * F),
        lambda: fit(validation=255 * F),
        lambda: fit_many(validation=255 * F),
        lambda: VAE.init(KEY, 255 * F),
        lambda: VAE.encode(PV, 255 * F),
        lambda: VAE.encode(PV, jnp.asarray(255 * F)),
        lambda: VAE.encode(PV, X.astype(np.int64)),
        lambda: VAE.encode(PV, X > 9),
        lambda: jaxae.reconstruct(VAE, PV, 255 * F),
        lambda: VAE.loss(PV, KEY, 255 * F),
        lambda: VAE.draws(PV, KEY, 255 * F),
        lambda: VAE.log_weight(PV, KEY, 255 * F),
        lambda: jaxae.analysis.importance_nll(VAE, PV, KEY, 255 * F, 2),
        lambda: evaluate(255 * F),
    ],
    r"scale them to \[0, 1\]": [
        lambda: fit(2 * F - 1),
        lambda: VAE.encode(PV, 2 * F - 1),
        lambda: VAE.log_weight(PV, KEY, 2 * F - 1),
    ],
    "not finite": [
        lambda: AE.encode(PA, F * np.nan),
        lambda: AE.encode(PA, F.astype(np.float64) + 1e300),
    ],
    # shapes
    r"one image is x\[None\]": [
        lambda: AE.encode(PA, X[0]),
        lambda: AE.encode(PA, X[0, ..., 0]),
        lambda: AE.loss(PA, KEY, X[0]),
        lambda: jaxae.reconstruct(AE, PA, X[0]),
        lambda: jaxae.analysis.importance_nll(VAE, PV, KEY, X[0], 2),
        lambda: AE.init(KEY, X[0]),
        lambda: VAE.init(KEY, X[0]),
        lambda: TIED.init(KEY, X[0]),
    ],
    "swapped": [lambda: SWAPPED.init(KEY, X)],
    r"the decoder gives \(3, 4, 1\)": [
        lambda: jaxae.autoencoder(mlp_encoder(2), mlp_decoder((3, 4, 1))).init(KEY, X),
    ],
    "load takes a name or a path, not ndarray.*from_arrays": [lambda: untyped(jaxae.load)(X)],
    "workers read a stream": [lambda: fit(workers=2), lambda: fit(workers=2, placement="host")],
    "size and channels must be those": [
        lambda: AE.encode(PA, X[:, :3]),
        lambda: AE.encode(PA, np.repeat(X, 3, -1)),
        lambda: VAE.loss(PV, KEY, X[:, :3]),
        lambda: VAE.draws(PV, KEY, X[:, :3]),
        lambda: evaluate(X[:, :3]),
    ],
    r"codes are \[b, d\]": [
        lambda: AE.decode(PA, np.zeros((3, 5))),
        lambda: AE.decode(PA, np.zeros(2)),
        lambda: jaxae.with_prior(AE, N3).sample(PA, KEY, 2),
    ],
    "codes are arrays": [lambda: AE.decode(PA, [[0.0, 1.0]]), lambda: AE.decode(PA, None)],
    "these are bytes": [lambda: AE.decode(PA, X)],
    ".": [  # each has its own words
        lambda: fit(X[0]),
        lambda: fit(X[0, ..., 0]),
        lambda: fit(np.repeat(X, 3, -1)),
        lambda: fit(model=jaxae.autoencoder(mlp_decoder((4, 4, 1)), mlp_encoder(2))),
        lambda: fit(model=vae(decoder=mlp_decoder((16,)))),
        lambda: vae(mlp_encoder(2)).init(KEY, X),
        lambda: fit(validation=np.zeros((4, 9, 9, 1))),
        lambda: fit(params=PA),
        lambda: fit(state=PV),
    ],
    # priors, parameters, keys and numbers
    "plain autoencoders have none; after training.*jaxae.with_prior.*jaxae.vae": [
        lambda: AE.sample(PA, KEY, 3)
    ],
    "params must be the dict": [
        lambda: AE.encode(None, X),
        lambda: AE.encode(X, PA),
        lambda: fit(params="x"),
        lambda: VAE.sample(None, KEY, 2),
        lambda: VAE.decode(X, np.zeros((3, 2))),
        lambda: evaluate(X, at=(None, 0)),
    ],
    "those of another model": [lambda: AE.encode({"decoder": PA["decoder"]}, X)],
    r"\(params, step\)": [lambda: evaluate(X, at=PV)],
    r"use jax.random.key\(0\)": [
        lambda key=key, use=use: use(key)
        for key in (0, None, np.array([0, 1], np.uint32), OLD_KEY, jax.random.split(KEY))
        for use in (
            lambda key: fit(key=key),
            lambda key: VAE.sample(PV, key, 2),
            lambda key: VAE.loss(PV, key, X),
            lambda key: VAE.draws(PV, key, X),
            lambda key: AE.init(key, X),
            lambda key: N3.sample(key, 2),
            lambda key: evaluate(X, key=key),
            lambda key: jaxae.analysis.importance_nll(VAE, PV, key, X, 2),
        )
    ],
    "must be (positive|an integer)": [
        lambda: VAE.sample(PV, KEY, 2.5),
        lambda: VAE.sample(PV, KEY, -1),
        lambda: VAE.sample(PV, KEY, KEY),
        lambda: VAE.draws(PV, KEY, X, 0),
        *[
            lambda name=name, value=value: fit(**{name: value})
            for name in ("epochs", "batch_size", "accumulate", "evaluation_batch_size")
            for value in (0, -1, 1.5, "3", True)
        ],
        lambda: fit(epochs=None),
        lambda: fit_many(epochs=1.5),
        lambda: evaluate(X, batch_size=0),
        lambda: vae(latent_dim=2.0),
        lambda: vae(latent_dim="2"),
        lambda: jaxae.importance_weighted(VAE, 2.5),
        lambda: mlp_encoder(2.0),
        lambda: priors.standard_normal(2.5),
    ],
    # what models are built of
    "optimizer must be an optax.GradientTransformation": [
        lambda value=value: fit(optimizer=value)
        for value in (1e-3, None, "adam", optax.adam, optax.adam(1.0).init(PV))
    ],
    r"must be a jaxae.Network": [
        lambda: jaxae.autoencoder(nn.Dense(2), mlp_decoder((4, 4, 1))),
        lambda: vae(mlp_encoder),
        lambda: jaxae.autoencoder(2, 3),
        lambda: jaxae.autoencoder(None, None),
        lambda: jaxae.adversarial(AE, None, N3),
        lambda: networks.with_condition(nn.Dense(3)),
    ],
    r"networks.linen\(": [lambda: vae(nn.Dense(4)), lambda: vae(nn.Dense)],
    r"call it, bernoulli\(": [lambda: vae(None, None, jaxae.likelihoods.bernoulli)],
    r"must be a jaxae.Likelihood": [
        lambda: vae(None, None, "bernoulli"),
        lambda: vae(None, None, N3),
    ],
    "must be a jaxae.Posterior": [lambda: vae(posterior=jaxae.posteriors.gaussian)],
    "must be a jaxae.Prior": [
        lambda: vae(prior="normal"),
        lambda: jaxae.wasserstein(AE, priors.standard_normal, weight=1.0),
        lambda: jaxae.with_prior(AE, np.zeros((4, 2))),
    ],
    "beta must be a number or a function": [lambda: vae(beta="1"), lambda: vae(beta=None)],
    r"shape must be integers": [lambda: mlp_decoder(64), lambda: mlp_decoder((8.0, 8, 1))],
    r"must be a jaxae.Autoencoder, such as jaxae.vae": [
        lambda: jaxae.denoising(PA, MASK),
        lambda: jaxae.denoising(MASK, AE),
        lambda: jaxae.contractive(mlp_encoder(2), 1.0),
        lambda: jaxae.with_prior(N3, AE),
        lambda: fit(model=PA),
        lambda: fit(model=None),
        lambda: fit(model=jaxae.vae),
        lambda: jaxae.analysis.importance_nll(PV, VAE, KEY, X, 2),
    ],
    r"jaxae.Autoencoder\(model, objective\)": [
        lambda: fit(model=AE.model),
        lambda: jaxae.deep_clustering(AE.model, PA, np.eye(2)),
    ],
    r"corruption is called as corruption\(key, x\)|corruption must be a function": [
        lambda: jaxae.denoising(AE, 0.3),
        lambda: jaxae.denoising(AE, None),
        lambda: jaxae.denoising(AE, jaxae.corruptions.masking),
    ],
    r"transform is called as .*transform\(key, x\)": [
        lambda: fit(transform=lambda x: x),
        lambda: fit(validation=X, validation_transform=lambda x: x),
        lambda: fit_many(transform=lambda x: x),
    ],
    "needs a validation set": [
        lambda: fit(patience=2),
        lambda: fit(validation_transform=lambda key, x: x),
    ],
    "must be 'stop' or 'skip'": [lambda: fit(on_nonfinite="ignore")],
    "must be 'scan', 'step' or 'auto'|must be 'auto'": [lambda: fit(loop="fast")],
    "placement must be 'device'": [lambda: fit(placement="gpu")],
    "devices must be a list of": [
        lambda value=value: fit(devices=value) for value in (3, "cpu", [], ["cpu"])
    ],
    r"jaxae.Checkpoints\(folder\)": [lambda: fit(checkpoints="folder")],
    "directory must be text or a path": [
        lambda: jaxae.Checkpoints(3),
        lambda: jaxae.Checkpoints(None),
    ],
    "workers must not be negative": [lambda: fit(workers=-1)],
    "make must return a model and its optimizer": [
        lambda: fit_many(lambda _: VAE),
        lambda: fit_many(lambda _: (VAE, 1e-3)),
    ],
    "beta follows a schedule": [
        lambda: fit_many(
            lambda _: (
                vae(beta=lambda step: step / 9)._replace(monitor="loss"),
                optax.adam(1e-3),
            ),
            validation=X,
        )
    ],
    "pretrained has no 'decoder'": [
        lambda: jaxae.deep_clustering(
            AE, {"encoder": PA["encoder"]}, np.eye(2, dtype=np.float32)
        ).init(KEY, X)
    ],
    "score must be a function": [lambda: training.make_evaluate(VAE)],
    "model must be": [
        lambda: training.loss_scores(PV),
    ],
}


@pytest.mark.parametrize(
    ("message", "call"),
    [
        pytest.param(message, call, id=f"{message[:24]}-{number}")
        for message, calls in MISUSE.items()
        for number, call in enumerate(calls)
    ],
)
def test_misuse(message, call):
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert len(str(error.value)) < 480


@pytest.mark.parametrize(
    "x",
    [
        F.astype(">f4"),
        F.astype(">f8"),
        F.astype(np.float64),
        F[:, ::-1][:, ::-1],
        np.asfortranarray(F),
        jnp.asarray(F),
        read_only,
        X[::-1][::-1],
        memoryview(X).obj,
    ],
)
def test_arrays_of_every_kind_are_the_same_data(x):
    """Byte order, precision, strides and permissions do not matter: nothing is written into."""
    np.testing.assert_allclose(AE.encode(PA, x), AE.encode(PA, F), atol=1e-5)
    np.testing.assert_allclose(
        fit(x, AE).history[0]["train/loss"], fit(F, AE).history[0]["train/loss"], rtol=1e-5
    )


def test_bytes_given_as_numbers_are_said_where_any_number_has_a_meaning():
    with pytest.warns(UserWarning, match="look like bytes"):
        AE.encode(PA, X.astype(np.float32))
    AE.encode(PA, 100 * F)  # no whole numbers: no warning


def test_a_sweep_over_constant_schedules_is_comparable():
    def make(value):
        return vae(beta=lambda step: value)._replace(monitor="loss"), optax.adam(1e-3)

    assert fit_many(make, values=jnp.array([0.5, 1.0]), validation=X).best_epoch.tolist() == [1, 1]


def test_traced_values_are_not_checked():
    """Inside jit there are no values, and no cost."""
    assert jax.jit(lambda x: VAE.encode(PV, x))(255 * F).shape == (6, 2)
