"""Estimates of log p(x), in nats."""

import math

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.arrays import largest_value
from jaxae.base import Batch, Params, Tree
from jaxae.composition import Autoencoder, as_batch

CHUNK_VALUES = 2**22
"""How many values the widest layer may have for a chunk of draws."""


def importance_nll(
    model: Autoencoder,
    params: Params,
    key: PRNGKeyArray,
    x: Batch | Tree,
    samples: int,
    *,
    chunk: int | None = None,
) -> Float[Array, " b"]:
    r"""An estimate of -log p(x) by importance sampling, in nats; in expectation an upper bound.

    .. math:: -\log \frac1K \sum_{k=1}^K \frac{p(x, z_k)}{q(z_k \mid x)}

    Memory does not grow with the number of samples: they are drawn a few at a time.

    Args:
      model: any whose prior and posterior have a density.
      params: its parameters.
      key: for the samples.
      x: examples, `[b, ...]`, or a :class:`Batch` with a condition or missing values.
      samples: K, exactly as many as are drawn for each image.
      chunk: how many are drawn together; when None, as many as keep the widest layer of the model at
        some 16 megabytes.

    Returns:
      `[b]`.

    Raises:
      ValueError: if the prior or the posterior has no density, the likelihood of an example depends on the
        others of the batch, or `samples` is not positive.

    Examples:
      >>> import jaxae
      >>> from jaxae.networks import mlp_decoder, mlp_encoder
      >>> model = jaxae.vae(mlp_encoder(2 * 3), mlp_decoder((8, 8, 1)), latent_dim=3)
      >>> images = jnp.zeros((4, 8, 8, 1))
      >>> params = model.init(jax.random.key(0), images)
      >>> importance_nll(model, params, jax.random.key(1), images, samples=100).shape
      (4,)

    References:
      Rezende, Mohamed and Wierstra, `Stochastic Backpropagation <https://arxiv.org/abs/1401.4082>`_,
      appendix E; Burda, Grosse and Salakhutdinov, `Importance Weighted Autoencoders
      <https://arxiv.org/abs/1509.00519>`_.
    """
    if samples < 1:
        raise ValueError(f"the estimate needs at least one sample, got {samples}")
    if model.model.coupled:
        raise ValueError(
            "log p(x) of one example is not defined by a likelihood of the whole batch, such as "
            'gaussian("optimal"); use gaussian("shared") or "learned"'
        )
    batch = as_batch(x)
    b = len(jax.tree.leaves(batch.x)[0])
    if chunk is None:
        chunk = CHUNK_VALUES // _widest(model, params, key, batch)
    # Within a chunk the encoder runs once and the decoder on all draws together.
    chunk = max(1, min(samples, chunk))
    chunks = -(-samples // chunk)
    keys = jax.random.split(key, chunks)
    wanted = (jnp.arange(chunks * chunk) < samples).reshape(chunks, chunk, 1)

    def add(total: Array, part: tuple[PRNGKeyArray, Array]) -> tuple[Array, None]:
        part_key, keep = part
        log_weight = model.draws(params, part_key, batch, chunk).log_weight
        log_weight = jnp.where(keep, log_weight, -jnp.inf)
        return jnp.logaddexp(total, logsumexp(log_weight, axis=0)), None

    total, _ = jax.lax.scan(add, jnp.full(b, -jnp.inf), (keys, wanted))
    return math.log(samples) - total


def _widest(model: Autoencoder, params: Params, key: PRNGKeyArray, batch: Batch) -> int:
    """The number of values of the widest layer for one draw of each example."""

    def one(params: Params, key: PRNGKeyArray, batch: Batch) -> Array:
        return model.draws(params, key, batch).log_weight

    return largest_value(jax.make_jaxpr(one)(params, key, batch).jaxpr)
