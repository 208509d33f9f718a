"""Stand-ins for trained runs: models whose parameters are drawn at random."""

import contextlib
from types import SimpleNamespace

import jax
import numpy as np

import jaxae
from jaxae.data.images import Images
from jaxae.runs.inputs import Inputs

GREY, COLOUR = (9, 10, 1), (10, 10, 3)


def pictures(shape, n=40, seed=0):
    """Smooth bytes with two classes and two attributes."""
    generator = np.random.default_rng(seed)
    h, w, c = shape
    place = generator.uniform(2, 7, (n, 2, 1, 1))
    y, x = np.mgrid[:h, :w]
    spot = np.exp(-((y - place[:, 0]) ** 2 + (x - place[:, 1]) ** 2) / 6)
    colour = generator.uniform(0.4, 1, (n, 1, 1, c))
    images = (255 * spot[..., None] * colour).astype(np.uint8)
    attributes = {"Low": place[:, 0, 0, 0] > 4.5, "Bright_One": colour[:, 0, 0, 0] > 0.7}
    labels = (place[:, 1, 0, 0] > 4.5).astype(int)
    return Images(images, labels, attributes, classes=("<left>", "</script>right"))


def stand_in(model, shape, *, data=None, scale=1.5, **more):
    data = pictures(shape) if data is None else data
    params = model.init(jax.random.key(0), data.images.astype(np.float32) / 255)
    generator = np.random.default_rng(1)
    # Biases and scales are not zeros and ones, and images are not all grey.
    params = jax.tree.map(
        lambda p: scale * (p + 0.1 * generator.normal(size=p.shape).astype(np.float32)), params
    )
    run = SimpleNamespace(
        model=model,
        params=params,
        inputs=Inputs(shape, dataset="spots"),
        recipe={},
        config={"experiment": "vae", "network": "mlp"},
        results={"test/nll": 12.34},
        use={"task": "reconstruct"},
        code_mean=None,
        code_std=None,
        part="",
        encode=lambda x: jax.device_get(model.encode(params, x)),
        load_data=lambda data_dir=None: jaxae.Splits(data, data, data),
    )
    with contextlib.suppress(ValueError):  # a network that is not from the library
        run.recipe = jaxae.recipe_of(model)
    run.__dict__.update(more)
    return run


def mlp(shape=GREY, code=2, **options):
    encoder = jaxae.networks.mlp_encoder(2 * code, (24,))
    decoder = jaxae.networks.mlp_decoder(shape, (60,), gated=True)
    return jaxae.vae(encoder, decoder, latent_dim=code, **options)


def conv(shape=COLOUR, code=4):
    networks = jaxae.networks
    return jaxae.vae(
        networks.conv_encoder(2 * code, (8, 16)),
        networks.conv_decoder(shape, (16, 8)),
        jaxae.likelihoods.continuous_bernoulli(),
        latent_dim=code,
    )


def resnet(shape=COLOUR, code=3):
    networks = jaxae.networks
    return jaxae.autoencoder(
        networks.resnet_encoder(code, (8,)),
        networks.resnet_decoder(shape, (12, 8), outputs=2),
        jaxae.likelihoods.discretized_logistic(),
    )
