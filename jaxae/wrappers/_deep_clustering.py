"""Deep embedded clustering: codes and centres are trained towards more certain assignments."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.arrays import Weight, as_vectors, check_weights, merge
from jaxae.base import Batch, Context, Params, Penalty, Term
from jaxae.composition import Autoencoder
from jaxae.objectives.bounds import scaled

Assignments = Float[Array | np.ndarray, "n k"]


def soft_assignments(
    codes: Float[Array, "n d"], centres: Float[Array, "k d"], *, scale: float = 1.0
) -> Float[Array, "n k"]:
    r"""How much each code belongs to each centre, by Student's t-distribution.

    .. math:: q_{ij} = \frac{(1 + \lVert z_i - c_j \rVert^2 / s^2)^{-1}}
              {\sum_l (1 + \lVert z_i - c_l \rVert^2 / s^2)^{-1}}

    Args:
      codes: z, `[n, d]`.
      centres: c, `[k, d]`.
      scale: s, the distance at which belonging fades: about that of a code from its centre.

    Returns:
      `[n, k]`, rows that sum to one.

    Raises:
      ValueError: if the scale is not positive.

    Examples:
      >>> soft_assignments(jnp.array([[0.0]]), jnp.array([[0.0], [1.0]])).round(4).tolist()[0][0] > 0.6
      True

    References:
      Xie et al., `Unsupervised Deep Embedding for Clustering Analysis
      <https://arxiv.org/abs/1511.06335>`_, equation 1, where s is 1.
    """
    if not 0 < scale < math.inf:
        raise ValueError(f"the scale must be positive, got {scale}")
    # Differences first: the expanded square loses the digits of near codes.
    squared = jnp.sum(jnp.square(codes[:, None] - centres), axis=-1) / scale**2
    kernel = 1 / (1 + squared)
    return kernel / jnp.sum(kernel, axis=1, keepdims=True)


def target_distribution(assignments: Assignments) -> Float[np.ndarray, "n k"]:
    r"""The target distribution of DEC: assignments that are more certain, balanced over clusters.

    .. math:: p_{ij} = \frac{q_{ij}^2 / f_j}{\sum_l q_{il}^2 / f_l}, \qquad f_j = \sum_i q_{ij}

    Args:
      assignments: q, of *all* examples, `[n, k]`: the frequencies f are of the whole set.

    Returns:
      `[n, k]`, rows that sum to one.

    Examples:
      >>> target_distribution(np.array([[0.8, 0.2], [0.2, 0.8]])).astype(float).round(3).tolist()
      [[0.941, 0.059], [0.059, 0.941]]

    References:
      Xie et al., `Unsupervised Deep Embedding for Clustering Analysis
      <https://arxiv.org/abs/1511.06335>`_, equation 3.
    """
    q = np.asarray(assignments, np.float64)
    # A cluster that nothing belongs to stays so.
    weight = np.square(q) / np.maximum(q.sum(axis=0), np.finfo(np.float64).tiny)
    return (weight / weight.sum(axis=1, keepdims=True)).astype(np.float32)


def deep_clustering(
    base: Autoencoder,
    pretrained: Params,
    centres: Float[Array | np.ndarray, "..."],
    *,
    scale: float = 1.0,
    reconstruction: Weight = 0.02,
) -> Autoencoder:
    r"""A trained model whose codes gather around centres, which are trained with it.

    .. math:: L = \operatorname{KL}(P \,\|\, Q) + \gamma\, L_{\text{base}}

    Q are the :func:`soft_assignments` of the codes; P is the :func:`target_distribution` of all
    images, computed now and then, and given as the labels of the training:
    `jaxae.fit(deep_clustering(...), jaxae.Batch(images, label=targets), ...)`. With a
    `transform` P is of the images as they are, and Q of the transformed ones, so that an image and its
    transformed copies are assigned to the same cluster.

    Args:
      base: any autoencoder.
      pretrained: its parameters, where the training starts.
      centres: c, one for each cluster, `[k, d]`, such as those of K-means on the codes.
      scale: s, as in :func:`soft_assignments`.
      reconstruction: gamma, the weight of the base's own loss, which keeps the codes about images;
        zero is DEC.

    Returns:
      an :class:`Autoencoder` with the parameters of the base and `centres`, whose loss has the terms
      of the base and `clustering`, KL(P || Q) in nats. Its `init` gives the pretrained parameters.

    Raises:
      ValueError: if the scale is not positive, the weight is negative, or the centres are no matrix;
        by `loss`, if the labels are not `[b, k]`.

    Examples:
      >>> import jaxae
      >>> x = jnp.zeros((4, 8, 8, 1))
      >>> from jaxae.networks import mlp_decoder, mlp_encoder
      >>> base = jaxae.autoencoder(mlp_encoder(2), mlp_decoder((8, 8, 1)))
      >>> model = deep_clustering(base, base.init(jax.random.key(0), x), jnp.eye(2))
      >>> params = model.init(jax.random.key(1), x)
      >>> targets = target_distribution(soft_assignments(model.encode(params, x), params["centres"]))
      >>> batch = jaxae.Batch(x, label=jnp.asarray(targets))
      >>> out = model.loss(params, jax.random.key(2), batch)
      >>> sorted(out.terms)
      ['clustering', 'distortion']

    References:
      Xie et al., `Unsupervised Deep Embedding for Clustering Analysis
      <https://arxiv.org/abs/1511.06335>`_; with the base's loss: Guo et al., `Improved Deep Embedded
      Clustering <https://www.ijcai.org/proceedings/2017/0243.pdf>`_; with transformed images: Guo et
      al., `Deep Embedded Clustering with Data Augmentation
      <https://proceedings.mlr.press/v95/guo18b.html>`_.
    """
    if not 0 < scale < math.inf:
        raise ValueError(f"the scale must be positive, got {scale}")
    check_weights(reconstruction=reconstruction)
    if centres.ndim != 2:
        raise ValueError(f"centres are [k, d], and these have shape {centres.shape}")
    clusters = len(centres)

    def init(key: PRNGKeyArray, batch: Batch) -> Params:
        # Copies, which training may consume.
        copies = jax.tree.map(jnp.array, pretrained)
        return merge(copies, {"centres": jnp.array(centres, jnp.float32)})

    def apply(context: Context) -> tuple[Term]:
        target = context.batch.label
        if target is None or target.ndim != 2 or target.shape[1] != clusters:
            raise ValueError(
                f"clusters are trained with soft assignments as labels, [n, {clusters}]"
            )
        assert context.draws.posterior is not None
        z = as_vectors(context.draws.posterior.mean)
        q = soft_assignments(z, context.params["centres"], scale=scale)
        return (Term("clustering", jnp.sum(jax.scipy.special.kl_div(target, q), axis=-1)),)

    model = base._replace(
        model=base.model._replace(init=init), objective=scaled(base.objective, reconstruction)
    )
    return model.add(Penalty("clustering", apply, (("scale", scale),)))
