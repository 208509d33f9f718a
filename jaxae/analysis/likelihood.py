"""Estimates of the log-likelihood, log p(x), in nats."""

import math

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.arguments import checked
from jaxae.arrays import largest_value
from jaxae.base import Batch, Params, Tree
from jaxae.composition import Autoencoder

CHUNK_VALUES = 2**22
"""Number of values that the widest layer may have for all draws of a chunk."""


@checked
def importance_nll(
    model: Autoencoder,
    params: Params,
    key: PRNGKeyArray,
    x: Batch | Tree,
    samples: int,
    *,
    chunk: int | None = None,
) -> Float[Array, " b"]:
    r"""Estimates -log p(x) by importance sampling, in nats; the expectation is an upper bound.

    .. math:: -\log \frac1K \sum_{k=1}^K \frac{p(x, z_k)}{q(z_k \mid x)}

    The samples are drawn in chunks, so that the memory does not depend on their number.

    Args:
      model: an autoencoder whose prior and posterior have densities.
      params: its parameters.
      key: for the samples.
      x: examples, `[b, ...]`, or a :class:`Batch` with a condition or missing values.
      samples: K, the number of samples for each example.
      chunk: the number of samples that are drawn together; by default such that the widest layer of
        the model takes about 16 megabytes.

    Returns:
      `[b]`.

    Raises:
      ValueError: if the prior or the posterior has no density, the likelihood of an example depends on
        the rest of the batch, or `samples` is not positive.

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
            "the likelihood of this model depends on the whole batch, so log p(x) of an example is not "
            'defined; in place of gaussian("optimal"), use gaussian("shared") or gaussian("learned")'
        )
    batch = model.batch(x)
    b = len(jax.tree.leaves(batch.x)[0])
    if chunk is None:
        chunk = CHUNK_VALUES // _widest(model, params, key, batch)
    # Within a chunk the encoder runs once and the decoder on all draws together.
    chunk = max(1, min(samples, chunk))
    chunks = -(-samples // chunk)
    keys = jax.random.split(key, chunks)
    counted = (jnp.arange(chunks * chunk) < samples).reshape(chunks, chunk, 1)

    def add(total: Array, part: tuple[PRNGKeyArray, Array]) -> tuple[Array, None]:
        part_key, keep = part
        log_weight = model.draws(params, part_key, batch, chunk).log_weight
        log_weight = jnp.where(keep, log_weight, -jnp.inf)
        return jnp.logaddexp(total, logsumexp(log_weight, axis=0)), None

    total, _ = jax.lax.scan(add, jnp.full(b, -jnp.inf), (keys, counted))
    return math.log(samples) - total


def _widest(model: Autoencoder, params: Params, key: PRNGKeyArray, batch: Batch) -> int:
    """The number of values of the widest layer for one draw of each example."""

    def one(params: Params, key: PRNGKeyArray, batch: Batch) -> Array:
        return model.draws(params, key, batch).log_weight

    return largest_value(jax.make_jaxpr(one)(params, key, batch).jaxpr)
