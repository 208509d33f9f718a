"""Generative adversarial networks with a decoder as the generator, and the VAE that learns with one."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.base import (
    Autoencoder,
    Likelihood,
    Network,
    Output,
    Params,
    Step,
    Target,
    Weight,
    at_step,
    check_weights,
    what_and_label,
)
from jaxae.distributions.divergences import kl_standard_normal
from jaxae.distributions.likelihoods import bernoulli
from jaxae.models._vae import gaussian_posterior
from jaxae.objectives.adversarial import add_game, play, slope


def gan(
    generator: Network,
    discriminator: Network,
    likelihood: Likelihood | None = None,
    *,
    code: int,
    r1: Weight = 0.0,
    r1_every: int = 1,
) -> Autoencoder:
    r"""A generative adversarial network: a decoder that has no encoder, and a discriminator.

    .. math:: L_G = -\log \sigma(D_{\operatorname{sg}}(g(z))), \qquad
              L_D = -\log \sigma(D(x)) - \log(1 - \sigma(D(\operatorname{sg} g(z))))
              + \tfrac{\gamma}{2} \lVert \nabla_x D(x) \rVert^2, \qquad z \sim \mathcal N(0, I)

    The loss is their sum, and goes nowhere in particular: look at the terms. There is no code for an
    image, so `encode` raises.

    Args:
      generator: a decoder, from codes to the outputs of the likelihood.
      discriminator: from images to a logit, `[b, 1]`, such as `conv_encoder(1)`.
      likelihood: its mean makes images of those outputs; `bernoulli()`, a sigmoid, when None.
      code: the number of latent dimensions.
      r1: gamma, of the discriminator's squared slope at real images; a constant or a schedule.
      r1_every: the slope is computed only every so many steps, and weighs as many times more there.

    Returns:
      an :class:`Autoencoder` without `encode`, whose parameters are the `decoder` and the
      `discriminator`. Its loss has the terms `discriminator`, the cross-entropy of real and fake
      (2 log 2 when it cannot tell); `discriminator_fooled` (log 2), the generator's loss;
      `discriminator_accuracy`; and with `r1` `discriminator_slope`.

    Raises:
      ValueError: if a number is out of range; by `encode`, always.

    Examples:
      >>> import jaxae
      >>> model = gan(jaxae.mlp_decoder((8, 8, 1)), jaxae.mlp_encoder(1), code=3)
      >>> params = model.init(jax.random.key(0), jnp.zeros((4, 8, 8, 1)))
      >>> model.sample(params, jax.random.key(1), 5).shape
      (5, 8, 8, 1)

    References:
      Goodfellow et al., `Generative Adversarial Networks <https://arxiv.org/abs/1406.2661>`_; the
      slope: Mescheder et al., `Which Training Methods for GANs do actually Converge?
      <https://arxiv.org/abs/1801.04406>`_; now and then: Karras et al., `Analyzing and Improving the
      Image Quality of StyleGAN <https://arxiv.org/abs/1912.04958>`_, appendix B.
    """
    likelihood = bernoulli() if likelihood is None else likelihood
    _check(code, r1_every, r1=r1)

    def init(key: PRNGKeyArray, x: Array) -> Params:
        generator_key, discriminator_key = jax.random.split(key)
        return {
            "decoder": generator.init(generator_key, jnp.zeros((len(x), code))),
            "discriminator": discriminator.init(discriminator_key, x),
        }

    def encode(params: Params, x: Array) -> Array:
        raise ValueError(
            "a GAN has no encoder, so there is no code for an image; a VAE-GAN has one"
        )

    def decode(params: Params, z: Array) -> Array:
        return likelihood.mean(generator.apply(params["decoder"], z))

    def loss(
        params: Params,
        key: PRNGKeyArray,
        x: Array,
        *,
        target: Target = None,
        step: Step = 0,
        train: bool = True,
    ) -> Output:
        code_key, generator_key, play_key, slope_key = jax.random.split(key, 4)
        real, _ = what_and_label(x, target)
        z = jax.random.normal(code_key, (len(x), code))
        outputs = generator.apply(params["decoder"], z, key=generator_key if train else None)
        fake = likelihood.mean(outputs)
        mine = params["discriminator"]
        game = play(discriminator, mine, real, fake, key=play_key if train else None)
        out = add_game(Output(jnp.zeros(len(x)), {}, z), "discriminator", game)
        return _with_slope(out, discriminator, mine, real, r1, r1_every, slope_key, step, train)

    def sample(params: Params, key: PRNGKeyArray, n: int) -> Array:
        return decode(params, jax.random.normal(key, (n, code)))

    return Autoencoder(init, encode, decode, loss, sample)


def vae_gan(
    encoder: Network,
    decoder: Network,
    features: Network,
    critic: Network,
    likelihood: Likelihood | None = None,
    *,
    code: int,
    beta: Weight = 1.0,
    weight: Weight = 1.0,
    scale: float = 1.0,
    r1: Weight = 0.0,
    r1_every: int = 1,
) -> Autoencoder:
    r"""A VAE whose reconstructions are compared in the features of a discriminator, and judged by it.

    .. math:: L_{E} &= \beta \operatorname{KL}(q(z \mid x) \,\|\, \mathcal N(0, I))
              + \tfrac{1}{2 s^2} \lVert f_{\operatorname{sg}}(x) - f_{\operatorname{sg}}(g(z)) \rVert^2 \\
              L_{G} &= \tfrac{1}{2 s^2} \lVert f_{\operatorname{sg}}(x) - f_{\operatorname{sg}}(g(z)) \rVert^2
              - \lambda \log \sigma(D_{\operatorname{sg}}(\tilde x)) \\
              L_D &= -\log \sigma(D(x)) - \log(1 - \sigma(D(\operatorname{sg} \tilde x)))
              + \tfrac{\gamma}{2} \lVert \nabla_x D(x) \rVert^2

    The discriminator is `D(x) = critic(f(x))`, and the fake :math:`\tilde x` is, as a coin says, the image
    of a code of x or of a draw from N(0, I): on average the paper's sum over both, halved. The encoder
    does not see the game, and the discriminator sees nothing but it.

    Args:
      encoder: from images to `[b, 2 * code]`, as that of a VAE.
      decoder: from codes to the outputs of the likelihood.
      features: f, from images to features, `[b, d]`, such as `conv_encoder(64)`.
      critic: from features to a logit, `[b, 1]`.
      likelihood: its mean makes images of those outputs; `bernoulli()`, a sigmoid, when None.
      code: the number of latent dimensions.
      beta: weight of the KL divergence.
      weight: lambda, what being taken for real weighs for the decoder beside being alike; the
        inverse of the paper's gamma.
      scale: s, the standard deviation of the features given the code.
      r1: gamma, of the discriminator's squared slope at real images.
      r1_every: the slope is computed only every so many steps, and weighs as many times more there.

    Returns:
      an :class:`Autoencoder` whose loss has the terms `feature_distortion`, the squared difference of
      features over 2 s^2; `rate`, the KL divergence in nats; `discriminator`, `discriminator_fooled`,
      `discriminator_accuracy` and with `r1` `discriminator_slope`, as those of :func:`gan`.

    Raises:
      ValueError: if a number is out of range.

    Examples:
      >>> import jaxae
      >>> encoder, decoder = jaxae.mlp_encoder(2 * 3), jaxae.mlp_decoder((8, 8, 1))
      >>> model = vae_gan(encoder, decoder, jaxae.mlp_encoder(16), jaxae.mlp_encoder(1), code=3)
      >>> images = jnp.zeros((4, 8, 8, 1))
      >>> sorted(model.init(jax.random.key(0), images))
      ['decoder', 'discriminator', 'encoder']

    References:
      Larsen et al., `Autoencoding beyond pixels using a learned similarity metric
      <https://arxiv.org/abs/1512.09300>`_, algorithm 1.
    """
    likelihood = bernoulli() if likelihood is None else likelihood
    _check(code, r1_every, beta=beta, weight=weight, r1=r1)
    if not scale > 0:
        raise ValueError(f"the scale of the features must be positive, got {scale}")
    posterior = gaussian_posterior(encoder, code)

    def seen(params: Params, x: Array, key: PRNGKeyArray | None) -> Array:
        return features.apply(params["features"], x, key=key)

    def judge(params: Params, x: Array, *, key: PRNGKeyArray | None = None) -> Array:
        features_key, critic_key = (None, None) if key is None else jax.random.split(key)
        return critic.apply(params["critic"], seen(params, x, features_key), key=critic_key)

    def init_judge(key: PRNGKeyArray, x: Array) -> Params:
        features_key, critic_key = jax.random.split(key)
        params = features.init(features_key, x)
        f = features.apply(params, x)
        return {"features": params, "critic": critic.init(critic_key, f)}

    discriminator = Network(init_judge, judge)

    def init(key: PRNGKeyArray, x: Array) -> Params:
        encoder_key, decoder_key, discriminator_key = jax.random.split(key, 3)
        return {
            "encoder": encoder.init(encoder_key, x),
            "decoder": decoder.init(decoder_key, jnp.zeros((len(x), code))),
            "discriminator": discriminator.init(discriminator_key, x),
        }

    def decode(params: Params, z: Array, key: PRNGKeyArray | None = None) -> Array:
        return likelihood.mean(decoder.apply(params["decoder"], z, key=key))

    def loss(
        params: Params,
        key: PRNGKeyArray,
        x: Array,
        *,
        target: Target = None,
        step: Step = 0,
        train: bool = True,
    ) -> Output:
        noise_key, code_key, coin_key, *networks, slope_key = jax.random.split(key, 8)
        encoder_key, alike_key, fake_key, play_key = networks if train else [None] * 4
        real, _ = what_and_label(x, target)
        mean, log_var = posterior(params, x, encoder_key)
        z = mean + jnp.exp(0.5 * log_var) * jax.random.normal(noise_key, mean.shape)
        mine = params["discriminator"]
        frozen = jax.lax.stop_gradient(mine)
        # Features without dropout: a difference of two masks would be no difference of images.
        difference = seen(frozen, real, None) - seen(frozen, decode(params, z, alike_key), None)
        distortion = 0.5 * jnp.sum(jnp.square(difference / scale), axis=-1)
        rate = kl_standard_normal(mean, log_var)
        # Decoded again, from a code without a gradient: the encoder does not see the game.
        coin = jax.random.bernoulli(coin_key, shape=(len(x), 1))
        codes = jnp.where(coin, jax.lax.stop_gradient(z), jax.random.normal(code_key, z.shape))
        fake = decode(params, codes, fake_key)
        game = play(discriminator, mine, real, fake, key=play_key)
        terms = {"feature_distortion": distortion, "rate": rate}
        out = Output(distortion + at_step(beta, step) * rate, terms, z)
        out = add_game(out, "discriminator", game, at_step(weight, step))
        return _with_slope(out, discriminator, mine, real, r1, r1_every, slope_key, step, train)

    def sample(params: Params, key: PRNGKeyArray, n: int) -> Array:
        return decode(params, jax.random.normal(key, (n, code)))

    return Autoencoder(
        init,
        lambda params, x: posterior(params, x)[0],
        lambda params, z: decode(params, z),
        loss,
        sample,
    )


def _check(code: int, r1_every: int, **weights: Weight) -> None:
    check_weights(**weights)
    if code < 1:
        raise ValueError(f"the code needs at least one dimension, got {code}")
    if r1_every < 1:
        raise ValueError(f"the slope is computed every step or more seldom, got {r1_every}")


def _with_slope(
    out: Output,
    discriminator: Network,
    params: Params,
    real: Float[Array, "b ..."],
    weight: Weight,
    r1_every: int,
    key: PRNGKeyArray,
    step: Step,
    train: bool,
) -> Output:
    """Adds R1; in training only every so many steps, so much more of it that the mean is right."""
    if not callable(weight) and weight == 0:
        return out

    def compute() -> Array:
        return slope(discriminator, params, real, key=key if train else None)

    if r1_every == 1 or not train:
        value = compute()
    else:
        turn = jnp.asarray(step) % r1_every == 0
        value = jax.lax.cond(turn, lambda: r1_every * compute(), lambda: jnp.zeros(len(real)))
    return out.add("discriminator_slope", value, 0.5 * at_step(weight, step))
