"""Every constructor, and a sample of compositions. A new family adds a line and gets all the laws."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

import jaxae

SHAPE = (6, 5, 1)
COLOUR = (7, 5, 3)
CODE = 3
CENTRES = jnp.stack(jnp.meshgrid(*2 * [jnp.linspace(-0.4, 0.4, 5)]), axis=-1).reshape(-1, 2)
"""Colours of classes."""
NOISE = jaxae.corruptions.gaussian(0.1)


class Case(NamedTuple):
    """A model, the shape of its images, and what the laws have to know about it."""

    make: Callable[[], jaxae.Autoencoder]
    shape: tuple[int, ...] = SHAPE
    coupled: bool = False  # the loss of an example depends on the others of its batch
    stochastic: bool = True  # the loss depends on the key
    trained: bool = True  # False where `init` is the fit
    encodes: bool = True  # False where there is no code for an image
    game: bool = False  # the loss is the sum of the losses of two players


def mlps(outputs: int = 1, *, shape=SHAPE, twice: bool = False, **options):
    encoder = jaxae.networks.mlp_encoder(CODE * (1 + twice), (16,), **options)
    return encoder, jaxae.networks.mlp_decoder(shape, (16,), outputs=outputs, **options)


def convs(kind: str, shape, outputs: int = 1, *, twice: bool = False, **options):
    code = () if kind == "unet" else (CODE * (1 + twice),)
    encoder = getattr(jaxae.networks, f"{kind}_encoder")(*code, (8, 16), **options)
    decoder = getattr(jaxae.networks, f"{kind}_decoder")(shape, (16, 8), outputs=outputs, **options)
    return encoder, decoder


def autoencoder(likelihood: jaxae.Likelihood, **options):
    return jaxae.autoencoder(*mlps(likelihood.outputs, **options), likelihood)


def vae(likelihood: jaxae.Likelihood | None = None, **options):
    likelihood = likelihood or jaxae.likelihoods.bernoulli()
    return jaxae.vae(*mlps(likelihood.outputs, twice=True), likelihood, latent_dim=CODE, **options)


def critic(**options):
    return jaxae.networks.mlp_encoder(1, (16,), **options)


def adversarial(base: jaxae.Autoencoder, **options):
    prior = options.pop("prior", jaxae.priors.standard_normal(CODE))
    return jaxae.adversarial(base, critic(), prior, **options)


def semi_supervised():
    """Three classes and a style of two values."""
    encoder, decoder = (
        jaxae.networks.mlp_encoder(5, (16,)),
        jaxae.networks.mlp_decoder(SHAPE, (16,)),
    )
    model = jaxae.autoencoder(encoder, jaxae.networks.categorical_code(decoder, 3))
    model = jaxae.adversarial(
        model,
        critic(),
        jaxae.priors.categorical(3),
        view=lambda z: jax.nn.softmax(z[:, :3]),
        name="classes",
    )
    normal = jaxae.priors.standard_normal(2)
    model = jaxae.adversarial(model, critic(), normal, view=lambda z: z[:, 3:], name="styles")
    return jaxae.supervised(model, 3)


def vae_gan(**options):
    encoder, decoder = mlps(twice=True)
    features = jaxae.networks.mlp_encoder(12, (16,))
    return jaxae.vae_gan(encoder, decoder, features, critic(), latent_dim=CODE, **options)


def by_hand():
    """Networks without Flax: a matrix each."""

    def init(rows: int, columns: int):
        return lambda key, x: {"w": 0.1 * jax.random.normal(key, (rows, columns))}

    def encode(params, x, *, key=None):
        return x.reshape(x.shape[0], -1) @ params["w"]

    def decode(params, z, *, key=None):
        return (z @ params["w"]).reshape(-1, 6, 5, 1)

    encoder = jaxae.Network(init(30, 2 * CODE), encode)
    return jaxae.vae(encoder, jaxae.Network(init(CODE, 30), decode), latent_dim=CODE)


CASES = {
    "autoencoder gaussian": Case(
        lambda: autoencoder(jaxae.likelihoods.gaussian()), stochastic=False
    ),
    "autoencoder bernoulli": Case(
        lambda: autoencoder(jaxae.likelihoods.bernoulli()), stochastic=False
    ),
    "autoencoder laplace": Case(
        lambda: autoencoder(jaxae.likelihoods.laplace(0.1)), stochastic=False
    ),
    "autoencoder learned gaussian": Case(
        lambda: autoencoder(jaxae.likelihoods.gaussian("learned")), stochastic=False
    ),
    "autoencoder learned laplace": Case(
        lambda: autoencoder(jaxae.likelihoods.laplace("learned")), stochastic=False
    ),
    "autoencoder discretized logistic": Case(
        lambda: autoencoder(jaxae.likelihoods.discretized_logistic()), stochastic=False
    ),
    "autoencoder categorical": Case(
        lambda: autoencoder(jaxae.likelihoods.categorical(8)), stochastic=False
    ),
    "autoencoder dropout": Case(lambda: autoencoder(jaxae.likelihoods.gaussian(), dropout=0.3)),
    "autoencoder gated": Case(
        lambda: autoencoder(jaxae.likelihoods.gaussian(), gated=True), stochastic=False
    ),
    "autoencoder bfloat16": Case(
        lambda: autoencoder(jaxae.likelihoods.gaussian(), dtype=jnp.bfloat16), stochastic=False
    ),
    "autoencoder conv": Case(
        lambda: jaxae.autoencoder(*convs("conv", COLOUR)), COLOUR, stochastic=False
    ),
    "autoencoder resnet": Case(
        lambda: jaxae.autoencoder(*convs("resnet", COLOUR)), COLOUR, stochastic=False
    ),
    "vae": Case(vae),
    "vae gaussian": Case(lambda: vae(jaxae.likelihoods.gaussian(0.1))),
    "vae discretized logistic": Case(lambda: vae(jaxae.likelihoods.discretized_logistic())),
    "vae beta schedule": Case(
        lambda: vae(beta=jaxae.objectives.beta_schedule(1.0, 100, warmup=0.5, cycles=2))
    ),
    "vae samples": Case(lambda: vae(samples=3)),
    "vae free bits": Case(lambda: vae(free_bits=0.05), coupled=True),
    "vae conv": Case(
        lambda: jaxae.vae(*convs("conv", COLOUR, twice=True, dropout=0.1), latent_dim=CODE), COLOUR
    ),
    "vae resnet bfloat16": Case(
        lambda: jaxae.vae(
            *convs("resnet", COLOUR, 2, twice=True, dtype=jnp.bfloat16),
            jaxae.likelihoods.discretized_logistic(),
            latent_dim=CODE,
        ),
        COLOUR,
    ),
    "vae by hand": Case(by_hand),
    "contractive": Case(
        lambda: jaxae.contractive(autoencoder(jaxae.likelihoods.gaussian()), 1e-3), stochastic=False
    ),
    "contractive conv reverse": Case(
        lambda: jaxae.contractive(jaxae.autoencoder(*convs("conv", SHAPE)), 1e-3, mode="reverse"),
        stochastic=False,
    ),
    "contractive vae": Case(lambda: jaxae.contractive(vae(), 1e-3)),
    "contractive hutchinson": Case(
        lambda: jaxae.contractive(
            autoencoder(jaxae.likelihoods.gaussian()), 1e-3, mode="hutchinson", probes=3, chunk=2
        )
    ),
    "contractive auto in chunks": Case(
        lambda: jaxae.contractive(
            autoencoder(jaxae.likelihoods.gaussian()), 1e-3, mode="auto", chunk=2
        ),
        stochastic=False,
    ),
    "importance weighted": Case(lambda: jaxae.importance_weighted(vae(), 4)),
    "denoising": Case(lambda: jaxae.denoising(autoencoder(jaxae.likelihoods.gaussian()), NOISE)),
    "denoising unet": Case(
        lambda: jaxae.denoising(
            jaxae.autoencoder(
                jaxae.networks.unet_encoder((4, 8)), jaxae.networks.unet_decoder(COLOUR, (8, 4))
            ),
            jaxae.corruptions.compose(jaxae.corruptions.erase(0.3), NOISE),
        ),
        COLOUR,
    ),
    "unet bfloat16 dropout": Case(
        lambda: jaxae.autoencoder(
            jaxae.networks.unet_encoder((4, 8), dtype=jnp.bfloat16, dropout=0.1),
            jaxae.networks.unet_decoder(COLOUR, (8, 4), dtype=jnp.bfloat16, dropout=0.1),
        ),
        COLOUR,
    ),
    "colorization": Case(
        lambda: jaxae.denoising(
            jaxae.autoencoder(
                *jaxae.networks.with_input(*convs("unet", COLOUR), COLOUR, jaxae.networks.colorize)
            ),
            jaxae.corruptions.grayscale(),
        ),
        COLOUR,
        stochastic=False,
    ),
    "classes of colours": Case(
        lambda: jaxae.autoencoder(
            *jaxae.networks.with_input(*convs("unet", COLOUR, 10), COLOUR, lambda x, y: x),
            jaxae.likelihoods.color_classes(CENTRES),
        ),
        COLOUR,
        stochastic=False,
    ),
    "denoising importance weighted": Case(
        lambda: jaxae.denoising(jaxae.importance_weighted(vae(), 4), NOISE)
    ),
    "denoising contractive sparse vae": Case(
        lambda: jaxae.denoising(
            jaxae.contractive(jaxae.sparse(vae(), 1e-3, jaxae.wrappers.l1), 1e-3), NOISE
        )
    ),
    "contractive denoising vae": Case(
        lambda: jaxae.contractive(jaxae.denoising(vae(), NOISE), 1e-3, mode="reverse")
    ),
    "sparse l1": Case(
        lambda: jaxae.sparse(autoencoder(jaxae.likelihoods.gaussian()), 1e-2, jaxae.wrappers.l1),
        stochastic=False,
    ),
    "sparse rate": Case(
        lambda: jaxae.sparse(
            jaxae.autoencoder(jaxae.networks.activate(mlps()[0], jax.nn.sigmoid), mlps()[1]),
            1e-2,
            jaxae.wrappers.kl_sparsity(0.2),
        ),
        coupled=True,
        stochastic=False,
    ),
    "top k": Case(
        lambda: jaxae.autoencoder(
            jaxae.networks.activate(mlps()[0], jaxae.wrappers.top_k(2)), mlps()[1]
        ),
        stochastic=False,
    ),
    "tied": Case(
        lambda: jaxae.tied_autoencoder(
            SHAPE,
            CODE,
            (16,),
            code_activation=jax.nn.sigmoid,
            likelihood=jaxae.likelihoods.bernoulli(),
        ),
        stochastic=False,
    ),
    "linear": Case(lambda: jaxae.linear_autoencoder(SHAPE, CODE), stochastic=False),
    "linear tied": Case(lambda: jaxae.linear_autoencoder(SHAPE, CODE, tied=True), stochastic=False),
    "pca": Case(lambda: jaxae.pca(CODE), stochastic=False, trained=False),
    "adversarial": Case(lambda: adversarial(autoencoder(jaxae.likelihoods.gaussian())), game=True),
    "adversarial vae labels slope dropout": Case(
        lambda: jaxae.adversarial(
            jaxae.vae(jaxae.networks.mlp_encoder(4, (16,)), mlps()[1], latent_dim=2, beta=0.0),
            critic(dropout=0.1),
            jaxae.priors.swiss_roll(3),
            labels=True,
            r1=0.1,
        ),
        game=True,
    ),
    "denoising contractive adversarial": Case(
        lambda: jaxae.denoising(
            jaxae.contractive(adversarial(autoencoder(jaxae.likelihoods.gaussian())), 1e-3), NOISE
        ),
        game=True,
    ),
    "semi-supervised adversarial": Case(semi_supervised, game=True),
    "wasserstein": Case(
        lambda: jaxae.wasserstein(
            autoencoder(jaxae.likelihoods.gaussian()),
            jaxae.priors.standard_normal(CODE),
            weight=1.0,
        ),
        coupled=True,
    ),
    "gan spectral": Case(
        lambda: jaxae.gan(mlps()[1], jaxae.networks.spectral_norm(critic()), latent_dim=CODE),
        encodes=False,
        game=True,
    ),
    "gan conv slope": Case(
        lambda: jaxae.gan(
            convs("conv", COLOUR)[1],
            jaxae.networks.conv_encoder(1, (8, 16)),
            latent_dim=CODE,
            r1=1.0,
            r1_every=2,
        ),
        COLOUR,
        encodes=False,
        game=True,
    ),
    "vae gan slope": Case(lambda: vae_gan(r1=0.1, beta=0.5, weight=0.3), game=True),
    "logistic pca": Case(lambda: jaxae.logistic_pca(SHAPE, CODE), stochastic=False),
}


def images(shape: tuple[int, ...], n: int = 8, seed: int = 0) -> jax.Array:
    """Smooth random images with 8 levels, in [0, 1]."""
    low = jax.random.uniform(jax.random.key(seed), (n, 2, 2, shape[-1]))
    return jnp.round(7 * jax.image.resize(low, (n, *shape), "linear")) / 7
