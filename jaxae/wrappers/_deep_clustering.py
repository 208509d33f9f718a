"""Deep embedded clustering: codes and centres that are trained towards their own surer assignments."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.base import (
    Autoencoder,
    Labelled,
    Output,
    Params,
    Step,
    Target,
    Weight,
    at_step,
    check_weights,
    merge,
)

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


def sharpened(assignments: Assignments) -> Float[np.ndarray, "n k"]:
    r"""What assignments should become: surer, and no cluster at the cost of the others.

    .. math:: p_{ij} = \frac{q_{ij}^2 / f_j}{\sum_l q_{il}^2 / f_l}, \qquad f_j = \sum_i q_{ij}

    Args:
      assignments: q, of *all* examples, `[n, k]`: the frequencies f are of the whole set.

    Returns:
      `[n, k]`, rows that sum to one.

    Examples:
      >>> sharpened(np.array([[0.8, 0.2], [0.2, 0.8]])).astype(float).round(3).tolist()
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

    Q are the :func:`soft_assignments` of the codes; the targets P are the :func:`sharpened` ones of all
    images, computed now and then, and given as the targets of the training:
    `jaxae.fit(deep_clustering(...), (images, targets), ...)`. With a `transform` P is of the images as
    they are, and Q of the transformed ones, so that an image and its copies come to the same cluster.

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
        by `loss`, if there are no targets `[b, k]`.

    Examples:
      >>> import jaxae
      >>> x = jnp.zeros((4, 8, 8, 1))
      >>> base = jaxae.autoencoder(jaxae.mlp_encoder(2), jaxae.mlp_decoder((8, 8, 1)))
      >>> model = deep_clustering(base, base.init(jax.random.key(0), x), jnp.eye(2))
      >>> params = model.init(jax.random.key(1), x)
      >>> targets = sharpened(soft_assignments(model.encode(params, x), params["centres"]))
      >>> out = model.loss(params, jax.random.key(2), x, target=jnp.asarray(targets))
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

    def init(key: PRNGKeyArray, x: Array) -> Params:
        # Copies, which training may consume.
        copies = jax.tree.map(jnp.array, pretrained)
        return merge(copies, {"centres": jnp.array(centres, jnp.float32)})

    def loss(
        params: Params,
        key: PRNGKeyArray,
        x: Array,
        *,
        target: Target = None,
        step: Step = 0,
        train: bool = True,
    ) -> Output:
        if target is None or isinstance(target, Labelled) or target.shape != (x.shape[0], clusters):
            raise ValueError(
                f"clusters are trained on pairs of images and assignments, [n, {clusters}]"
            )
        out = base.loss(params, key, x, step=step, train=train)
        q = soft_assignments(base.encode(params, x), params["centres"], scale=scale)
        divergence = jnp.sum(jax.scipy.special.kl_div(target, q), axis=-1)
        weight = at_step(reconstruction, step)
        terms = merge(out.terms, {"clustering": divergence})
        return Output(divergence + weight * out.loss, terms, out.latent)

    return Autoencoder(init, base.encode, base.decode, loss, base.sample)
