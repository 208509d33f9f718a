"""Deep embedded clustering in rounds: assign all images to clusters, train towards them, repeat."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer

from jaxae.base import Batch, Params
from jaxae.composition import Autoencoder
from jaxae.wrappers._deep_clustering import deep_clustering, soft_assignments, target_distribution


class RefinedClusters(NamedTuple):
    """A model whose codes form clusters.

    Attributes:
      params: of the model.
      centres: of the clusters, `[k, d]`.
      scale: see :func:`jaxae.wrappers.soft_assignments`.
    """

    params: Params
    centres: Float[Array, "k d"]
    scale: float

    def assign(self, codes: Float[Array | np.ndarray, "n d"]) -> Float[np.ndarray, "n k"]:
        """How much each code belongs to each cluster; rows sum to one."""
        return np.asarray(soft_assignments(jnp.asarray(codes), self.centres, scale=self.scale))


def refine_clusters(
    model: Autoencoder,
    params: Params,
    clusters: Integer[np.ndarray, " n"],
    images: np.ndarray,
    *,
    encode: Callable[[Params, np.ndarray], Float[Array | np.ndarray, "n d"]],
    train: Callable[[Autoencoder, Batch, int], Params],
    rounds: int = 10,
    reconstruction: float = 0.02,
) -> RefinedClusters:
    """Trains encoder and cluster centres together, from given clusters on.

    The first round is trained towards the given clusters, which may have any shape; each later round
    towards the :func:`jaxae.wrappers.target_distribution` of the assignments after the round before.

    Args:
      model: the autoencoder.
      params: its trained parameters.
      clusters: of the images, 0, 1, ... k - 1, such as those of
        :func:`jaxae.analysis.spectral_clusters`.
      images: the training images, `[n, ...]`.
      encode: `(params, images) -> codes`, for all images at once.
      train: `(model, batch, round) -> params`, which trains a :func:`jaxae.deep_clustering` model on
        a batch of all images, with soft assignments as labels; rounds are counted from 1.
      rounds: how often the assignments are computed.
      reconstruction: the weight of the autoencoder's own loss.

    Returns:
      :class:`RefinedClusters`.

    Examples:
      >>> import jax, jaxae, optax
      >>> from jaxae.networks import mlp_decoder, mlp_encoder
      >>> images = np.random.default_rng(0).random((8, 4, 4, 1), np.float32)
      >>> model = jaxae.autoencoder(mlp_encoder(2), mlp_decoder((4, 4, 1)))
      >>> def train(model, batch, number):
      ...     return jaxae.fit(model, batch, optimizer=optax.adam(1e-3), epochs=1, batch_size=8,
      ...                      key=jax.random.key(number), progress=False).params
      >>> refined = refine_clusters(model, model.init(jax.random.key(0), images), np.arange(8) % 2,
      ...                           images, encode=model.encode, train=train, rounds=2)
      >>> refined.assign(model.encode(refined.params, images)).shape
      (8, 2)

    References:
      Xie et al., `Unsupervised Deep Embedding for Clustering Analysis
      <https://arxiv.org/abs/1511.06335>`_.
    """
    count = int(clusters.max()) + 1
    codes = np.asarray(encode(params, images), np.float64)
    means = np.stack([codes[clusters == c].mean(axis=0) for c in range(count)])
    # The root mean squared distance of a code from its centre.
    squared = np.sum(np.square(codes - means[clusters]), axis=1)
    scale = float(np.sqrt(np.mean(squared))) or 1.0
    refined = RefinedClusters(params, jnp.asarray(means, jnp.float32), scale)
    targets = np.eye(count, dtype=np.float32)[clusters]
    for number in range(1, rounds + 1):
        if number > 1:
            targets = target_distribution(refined.assign(encode(refined.params, images)))
        clustered = deep_clustering(
            model, refined.params, refined.centres, scale=scale, reconstruction=reconstruction
        )
        trained = dict(train(clustered, Batch(images, label=targets), number))
        refined = refined._replace(centres=trained.pop("centres"), params=trained)
    return refined
