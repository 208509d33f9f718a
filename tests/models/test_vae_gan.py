"""The VAE-GAN is the three gradients of its paper."""

import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxae
from jaxae.arrays import fold_in_name
from tests.cases import CODE, SHAPE, critic, gradient_of, images, mlps, vae_gan

KEY = jax.random.key(3)


def test_the_vae_gan_is_the_three_gradients_of_the_paper():
    encoder, decoder = mlps(twice=True)
    features, head = jaxae.networks.mlp_encoder(12, (16,)), critic()
    model = jaxae.vae_gan(
        encoder, decoder, features, head, latent_dim=CODE, beta=0.5, weight=0.3, scale=2.0
    )
    x = images(SHAPE)
    params = model.init(jax.random.key(0), x)
    noise = jax.random.normal(jax.random.split(KEY, 3)[0], (8, CODE))
    code_key, coin_key, *_ = jax.random.split(fold_in_name(KEY, "discriminator"), 5)
    drawn = jax.random.normal(code_key, (8, CODE))
    coin = jax.random.bernoulli(coin_key, shape=(8, 1))[:, 0]
    posterior = jaxae.posteriors.gaussian(CODE)
    assert 0 < coin.sum() < 8

    def pieces(encoder_params, decoder_params, judge):
        mean, log_var = posterior.distribution(encoder.apply(encoder_params, x)).stats
        z = mean + jnp.exp(log_var / 2) * noise
        of = lambda image: features.apply(judge["features"], image)
        score = lambda image: head.apply(judge["critic"], of(image))[:, 0]
        alike, new = (jax.nn.sigmoid(decoder.apply(decoder_params, c)) for c in (z, drawn))
        like = jnp.square(of(x) - of(alike)).sum(1) / (2 * 2.0**2)
        rate = 0.5 * (jnp.exp(log_var) + jnp.square(mean) - 1 - log_var).sum(1)
        ln = lambda logit: jnp.log(jax.nn.sigmoid(logit))
        fake = jnp.where(coin, score(alike), score(new))
        fooled, judged = -ln(fake), -ln(score(x)) - ln(-fake)
        return like.mean(), rate.mean(), fooled.mean(), judged.mean()

    arguments = params["encoder"], params["decoder"], params["discriminator"]

    def by_encoder(own):
        like, rate, _, _ = pieces(own, *arguments[1:])
        return like + 0.5 * rate

    def by_decoder(own):
        like, _, fooled, _ = pieces(arguments[0], own, arguments[2])
        return like + 0.3 * fooled

    expected = {
        "encoder": jax.grad(by_encoder)(arguments[0]),
        "decoder": jax.grad(by_decoder)(arguments[1]),
        "discriminator": jax.grad(lambda own: pieces(*arguments[:2], own)[3])(arguments[2]),
    }
    found = gradient_of(model, params, KEY, x)
    chex.assert_trees_all_close(found, expected, rtol=1e-4, atol=1e-6)


def test_every_number_changes_something():
    x = images(SHAPE)
    options = [{}, {"beta": 2.0}, {"weight": 2.0}, {"scale": 2.0}, {"r1": 1.0}]
    models = [vae_gan(**chosen) for chosen in options]
    found = [np.asarray(m.loss(m.init(KEY, x), KEY, x).loss) for m in models]
    for a, b in itertools.combinations(found, 2):
        assert not np.allclose(a, b)


def test_what_does_not_fit_is_refused():
    for options, message in (({"scale": 0.0}, "scale"), ({"beta": -1.0}, "beta")):
        with pytest.raises(ValueError, match=message):
            vae_gan(**options)
    encoder = jaxae.networks.mlp_encoder(4)
    model, x = jaxae.vae_gan(*mlps(), encoder, critic(), latent_dim=CODE), images(SHAPE)
    with pytest.raises(ValueError, match="3 means and 3 log-variances"):
        jax.eval_shape(lambda: model.loss(model.init(KEY, x), KEY, x))
