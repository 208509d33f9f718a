"""The variational autoencoder, its bounds, and estimates of log p(x). All figures are in nats."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jax.scipy.special import logsumexp
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
    soft_clip,
    what_and_label,
)
from jaxae.distributions.divergences import kl_standard_normal_per_dimension
from jaxae.distributions.likelihoods import bernoulli

LOG_VAR_BOUND = 15.0
"""Posterior log-variances stay within (-15, 15)."""


def vae(
    encoder: Network,
    decoder: Network,
    likelihood: Likelihood | None = None,
    *,
    code: int,
    beta: Weight = 1.0,
    samples: int = 1,
    free_bits: float = 0.0,
) -> Autoencoder:
    r"""A variational autoencoder with a diagonal Gaussian posterior and the prior N(0, I).

    .. math:: L(x) = -\frac1L \sum_{l=1}^L \log p(x \mid \mu + \sigma \epsilon_l)
              + \beta \operatorname{KL}(\mathcal N(\mu, \sigma^2) \,\|\, \mathcal N(0, I)),
              \qquad \epsilon_l \sim \mathcal N(0, I)

    Args:
      encoder: from images to `[b, 2 * code]`: the posterior's means, then its log-variances before
        they are softly bounded (see :func:`diagonal_posterior`).
      decoder: from codes to the outputs of the likelihood.
      likelihood: what those outputs mean; `bernoulli()` when None.
      code: the number of latent dimensions.
      beta: weight of the KL divergence; a constant or a schedule.
      samples: L, the number of codes drawn for each example.
      free_bits: nats a latent dimension may carry, on the mean of the batch, before the KL
        divergence is felt (with it, the examples of a batch are coupled).

    Returns:
      an :class:`Autoencoder` whose loss has the terms `distortion`, -E log p(x | z); `rate`, the
      KL divergence (always the raw one); and `negative_elbo`, their sum, which bounds -log p(x)
      from above whatever beta is.

    Raises:
      ValueError: if `code` or `samples` is not positive, or a weight is negative.

    Examples:
      >>> import jaxae
      >>> model = vae(jaxae.mlp_encoder(2 * 3), jaxae.mlp_decoder((8, 8, 1)), code=3)
      >>> params = model.init(jax.random.key(0), jnp.zeros((4, 8, 8, 1)))
      >>> model.sample(params, jax.random.key(1), 5).shape
      (5, 8, 8, 1)

    References:
      Kingma and Welling, `Auto-Encoding Variational Bayes <https://arxiv.org/abs/1312.6114>`_;
      Higgins et al., `beta-VAE <https://openreview.net/forum?id=Sy2fzU9gl>`_; free bits: Kingma et
      al., `Improving Variational Inference with Inverse Autoregressive Flow
      <https://arxiv.org/abs/1606.04934>`_, section C.8.
    """
    likelihood = bernoulli() if likelihood is None else likelihood
    if code < 1:
        raise ValueError(f"the code of a VAE needs at least one dimension, got {code}")
    if samples < 1:
        raise ValueError(f"the bound needs at least one sample, got {samples}")
    check_weights(beta=beta, free_bits=free_bits)
    posterior = gaussian_posterior(encoder, code)

    def init(key: PRNGKeyArray, x: Array) -> Params:
        encoder_key, decoder_key = jax.random.split(key)
        z = jnp.zeros((x.shape[0], code))
        return {"encoder": encoder.init(encoder_key, x), "decoder": decoder.init(decoder_key, z)}

    def encode(params: Params, x: Array) -> Array:
        return posterior(params, x)[0]

    def decode(params: Params, z: Array) -> Array:
        return likelihood.mean(decoder.apply(params["decoder"], z))

    def loss(
        params: Params,
        key: PRNGKeyArray,
        x: Array,
        *,
        target: Target = None,
        step: Step = 0,
        train: bool = True,
    ) -> Output:
        noise_key, encoder_key, decoder_key = jax.random.split(key, 3)
        mean, log_var = posterior(params, x, encoder_key if train else None)
        # Drawn example by example: what an example gets does not depend on how many follow it.
        noise = jax.random.normal(noise_key, (mean.shape[0], samples, code)).swapaxes(0, 1)
        z = mean + jnp.exp(0.5 * log_var) * noise
        image, _ = what_and_label(x, target)
        outputs = decoder.apply(
            params["decoder"], z.reshape(-1, code), key=decoder_key if train else None
        )
        targets = jnp.broadcast_to(image, (samples, *image.shape)).reshape(-1, *image.shape[1:])
        log_probs = likelihood.log_prob(outputs, targets).reshape(samples, -1)
        distortion = -jnp.mean(log_probs, axis=0)
        kl = kl_standard_normal_per_dimension(mean, log_var)
        rate = jnp.sum(kl, axis=-1)
        terms = {"distortion": distortion, "rate": rate, "negative_elbo": distortion + rate}
        return Output(distortion + at_step(beta, step) * _felt(kl), terms, z[0])

    def _felt(kl: Float[Array, "b d"]) -> Float[Array, " b"]:
        if free_bits > 0:
            # Written for each example, so that the mean over the batch is max(mean, free_bits).
            kl = jnp.where(jnp.mean(kl, axis=0) > free_bits, kl, free_bits)
        return jnp.sum(kl, axis=-1)

    def sample(params: Params, key: PRNGKeyArray, n: int) -> Array:
        return decode(params, jax.random.normal(key, (n, code)))

    def log_weight(params: Params, key: PRNGKeyArray, x: Array, *, target: Target = None) -> Array:
        mean, log_var = posterior(params, x)
        noise = jax.random.normal(key, mean.shape)
        z = mean + jnp.exp(0.5 * log_var) * noise
        outputs = decoder.apply(params["decoder"], z)
        log_joint = likelihood.log_prob(outputs, what_and_label(x, target)[0])
        # The log(2 pi) of the prior and of the posterior cancel.
        log_ratio = 0.5 * jnp.sum(jnp.square(noise) + log_var - jnp.square(z), axis=-1)
        return log_joint + log_ratio

    return Autoencoder(init, encode, decode, loss, sample, log_weight)


def gaussian_posterior(
    encoder: Network, code: int
) -> Callable[..., tuple[Float[Array, "b d"], Float[Array, "b d"]]]:
    """q(z | x) of an encoder among the parameters of a model.

    Args:
      encoder: from images to `[b, 2 * code]`, whose parameters are named `encoder`.
      code: the number of latent dimensions.

    Returns:
      `(params, x, key=None)` to means and log-variances, `[b, code]` each; with a key the encoder's
      dropout is on.

    Raises:
      ValueError: by the function, if the encoder gives another number of outputs.

    Examples:
      >>> import jaxae
      >>> posterior = gaussian_posterior(jaxae.mlp_encoder(2 * 3), 3)
      >>> x = jnp.zeros((4, 8, 8, 1))
      >>> mean, log_var = posterior({"encoder": jaxae.mlp_encoder(6).init(jax.random.key(0), x)}, x)
      >>> mean.shape, log_var.shape
      ((4, 3), (4, 3))
    """

    def posterior(params: Params, x: Array, key: PRNGKeyArray | None = None) -> tuple[Array, Array]:
        outputs = encoder.apply(params["encoder"], x, key=key)
        if outputs.shape[1:] != (2 * code,):
            raise ValueError(
                f"the encoder gives {code} means and {code} log-variances, [b, {2 * code}], but this "
                f"one gave [b, {', '.join(map(str, outputs.shape[1:]))}]"
            )
        return diagonal_posterior(outputs)

    return posterior


def diagonal_posterior(
    outputs: Float[Array, "b two_d"],
) -> tuple[Float[Array, "b d"], Float[Array, "b d"]]:
    r"""Means and log-variances of q(z | x) from the outputs of a VAE's encoder.

    The log-variance is bounded by :func:`soft_clip` to (-15, 15); this one bounded value
    is what is sampled with and what the KL divergence sees.

    Args:
      outputs: `[b, 2 d]`, what `encoder.apply` returned.

    Returns:
      means and log-variances, `[b, d]` each, float32.

    Examples:
      >>> mean, log_var = diagonal_posterior(jnp.array([[1.0, 1e6]]))
      >>> float(mean[0, 0]), round(float(log_var[0, 0]), 3)
      (1.0, 15.0)
    """
    mean, log_var = jnp.split(outputs.astype(jnp.float32), 2, axis=-1)
    return mean, soft_clip(log_var, LOG_VAR_BOUND)


def beta_schedule(beta: float, steps: int, *, warm_up: float = 0.0, cycles: int = 1) -> Weight:
    """A weight that rises linearly from 0, once or several times in a run, and then stays.

    Args:
      beta: what it rises to.
      steps: updates in the run.
      warm_up: the part of each cycle in which it rises, in [0, 1]; 0 gives a constant.
      cycles: how often it rises; 1 is the usual warm-up.

    Returns:
      a constant or a function of the step.

    Raises:
      ValueError: if a number is out of range, or there are cycles without a warm-up.

    Examples:
      >>> beta = beta_schedule(4.0, 100, warm_up=0.5, cycles=2)
      >>> [round(float(beta(step)), 2) for step in (0, 5, 25, 49, 50, 55, 99)]
      [0.0, 0.8, 4.0, 4.0, 0.0, 0.8, 4.0]

    References:
      Bowman et al., `Generating Sentences from a Continuous Space
      <https://arxiv.org/abs/1511.06349>`_; Fu et al., `Cyclical Annealing Schedule
      <https://arxiv.org/abs/1903.10145>`_.
    """
    if not 0 <= warm_up <= 1:
        raise ValueError(f"the warm-up is a part of the run, in [0, 1], got {warm_up}")
    if cycles < 1:
        raise ValueError(f"the number of cycles must be positive, got {cycles}")
    check_weights(beta=beta)
    if warm_up == 0:
        if cycles > 1:
            raise ValueError("cycles of beta need a warm-up in each of them")
        return beta
    length = steps / cycles
    rise = optax.linear_schedule(0.0, beta, max(1, round(warm_up * length)))
    starts = [round(length * cycle) for cycle in range(1, cycles)]
    return optax.join_schedules([rise] * cycles, starts)


def importance_weighted(base: Autoencoder, samples: int) -> Autoencoder:
    r"""Trains a model on the importance-weighted bound, which is tighter than the ELBO.

    .. math:: L(x) = -\log \frac1K \sum_{k=1}^K \frac{p(x, z_k)}{q(z_k \mid x)},
              \qquad z_k \sim q(z \mid x)

    Args:
      base: a model with a `log_weight`; its own loss, and any weights in it, are not used.
      samples: K.

    Returns:
      the same model with this loss. Its terms are `negative_iwae`, the loss, and `negative_elbo`,
      the mean of the negative log-weights.

    Raises:
      ValueError: if the model has no `log_weight`, or `samples` is not positive.

    Examples:
      >>> import jaxae
      >>> base = vae(jaxae.mlp_encoder(2 * 3), jaxae.mlp_decoder((8, 8, 1)), code=3)
      >>> model = importance_weighted(base, samples=5)
      >>> images = jnp.zeros((4, 8, 8, 1))
      >>> model.loss(model.init(jax.random.key(0), images), jax.random.key(1), images).loss.shape
      (4,)

    References:
      Burda, Grosse and Salakhutdinov, `Importance Weighted Autoencoders
      <https://arxiv.org/abs/1509.00519>`_.
    """
    log_weight = _log_weight(base)
    if samples < 1:
        raise ValueError(f"the bound needs at least one sample, got {samples}")

    def loss(
        params: Params,
        key: PRNGKeyArray,
        x: Array,
        *,
        target: Target = None,
        step: Step = 0,
        train: bool = True,
    ) -> Output:
        keys = jax.random.split(key, samples)
        log_w = jax.vmap(lambda key: log_weight(params, key, x, target=target))(keys)
        bound = math.log(samples) - logsumexp(log_w, axis=0)
        terms = {"negative_iwae": bound, "negative_elbo": -jnp.mean(log_w, axis=0)}
        return Output(bound, terms, base.encode(params, x))

    return base._replace(loss=loss)


def importance_nll(
    model: Autoencoder,
    params: Params,
    key: PRNGKeyArray,
    x: Float[Array, "b ..."],
    samples: int,
    *,
    chunk: int | None = None,
) -> Float[Array, " b"]:
    r"""An estimate of -log p(x) by importance sampling, in nats; in expectation an upper bound.

    .. math:: -\log \frac1K \sum_{k=1}^K \frac{p(x, z_k)}{q(z_k \mid x)}

    Memory does not grow with the number of samples: they are drawn a few at a time.

    Args:
      model: a model with a `log_weight`.
      params: its parameters.
      key: for the samples.
      x: images, `[b, ...]`.
      samples: K, exactly as many as are drawn for each image.
      chunk: how many are drawn together; when None, as many as make four million pixels, which is
        too many where the likelihood has hundreds of outputs for each.

    Returns:
      `[b]`.

    Raises:
      ValueError: if the model has no `log_weight`, or `samples` is not positive.

    Examples:
      >>> import jaxae
      >>> model = vae(jaxae.mlp_encoder(2 * 3), jaxae.mlp_decoder((8, 8, 1)), code=3)
      >>> images = jnp.zeros((4, 8, 8, 1))
      >>> params = model.init(jax.random.key(0), images)
      >>> importance_nll(model, params, jax.random.key(1), images, samples=100).shape
      (4,)

    References:
      Rezende, Mohamed and Wierstra, `Stochastic Backpropagation <https://arxiv.org/abs/1401.4082>`_,
      appendix E; Burda, Grosse and Salakhutdinov, `Importance Weighted Autoencoders
      <https://arxiv.org/abs/1509.00519>`_.
    """
    log_weight = _log_weight(model)
    if samples < 1:
        raise ValueError(f"the estimate needs at least one sample, got {samples}")
    # Within a chunk the encoder runs once and the decoder on all draws together.
    chunk = max(1, min(samples, 2**22 // x.size if chunk is None else chunk))
    chunks = -(-samples // chunk)
    keys = jax.random.split(key, chunks * chunk).reshape(chunks, chunk)
    wanted = (jnp.arange(chunks * chunk) < samples).reshape(chunks, chunk, 1)

    def add(total: Array, draw: tuple[Array, Array]) -> tuple[Array, None]:
        chunk_keys, keep = draw
        log_w = jax.vmap(lambda key: log_weight(params, key, x))(chunk_keys)
        log_w = jnp.where(keep, log_w, -jnp.inf)
        return jnp.logaddexp(total, logsumexp(log_w, axis=0)), None

    total, _ = jax.lax.scan(add, jnp.full(x.shape[0], -jnp.inf), (keys, wanted))
    return math.log(samples) - total


def _log_weight(model: Autoencoder):
    if model.log_weight is None:
        raise ValueError(
            "this model has no posterior to draw from, so log p(x) cannot be estimated"
        )
    return model.log_weight
