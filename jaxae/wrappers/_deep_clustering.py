"""Deep embedded clustering: codes and centres are trained towards sharper assignments."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.arguments import checked
from jaxae.arrays import Weight, as_vectors, check_weights
from jaxae.base import Batch, Context, Model, Params, Penalty, Term
from jaxae.checks import check_params
from jaxae.composition import Autoencoder
from jaxae.numeric import check_scale
from jaxae.objectives.bounds import scaled
from jaxae.recipes import constructor

Assignments = Float[Array | np.ndarray, "n k"]


def soft_assignments(
    codes: Float[Array, "n d"], centres: Float[Array, "k d"], *, scale: float = 1.0
) -> Float[Array, "n k"]:
    r"""The degree to which each code belongs to each centre, by Student's t-distribution.

    .. math:: q_{ij} = \frac{(1 + \lVert z_i - c_j \rVert^2 / s^2)^{-1}}
              {\sum_l (1 + \lVert z_i - c_l \rVert^2 / s^2)^{-1}}

    Args:
      codes: z, `[n, d]`.
      centres: c, `[k, d]`.
      scale: s, the distance at which the weight of a centre, before normalisation, is one half; about
        the typical distance of a code from its centre.

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
    check_scale("the scale", scale)
    if codes.shape[1] != centres.shape[1]:
        raise ValueError(
            f"the centres have {centres.shape[1]} dimensions, and the codes {codes.shape[1]}"
        )
    # Differences first: the expanded square loses the digits of near codes. Far from all centres they
    # are in units of the largest, which cancels in the quotient: no square is infinite, no kernel zero.
    distance = (codes[:, None] - centres) / scale
    unit = jnp.maximum(jnp.max(jnp.abs(distance), axis=(1, 2), keepdims=True), 1.0)
    unit = jax.lax.stop_gradient(unit)
    squared = jnp.sum(jnp.square(distance / unit), axis=-1)
    kernel = 1 / (jnp.square(1 / unit[..., 0]) + squared)
    return kernel / jnp.sum(kernel, axis=1, keepdims=True)


def target_distribution(assignments: Assignments) -> Float[np.ndarray, "n k"]:
    r"""The target distribution of DEC: sharper assignments, balanced over clusters.

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
    # An empty cluster stays empty.
    weight = np.square(q) / np.maximum(q.sum(axis=0), np.finfo(np.float64).tiny)
    return (weight / weight.sum(axis=1, keepdims=True)).astype(np.float32)


@constructor("deep_clustering")
@checked
def deep_clustering(
    base: Autoencoder,
    pretrained: Params,
    centres: Float[Array | np.ndarray, "..."],
    *,
    scale: float = 1.0,
    reconstruction: Weight = 0.02,
) -> Autoencoder:
    r"""A trained model whose codes are pulled towards cluster centres, which are trained with it.

    .. math:: L = \operatorname{KL}(P \,\|\, Q) + \gamma\, L_{\text{base}}

    Q are the :func:`soft_assignments` of the codes. P is the :func:`target_distribution` of all
    examples; it is computed between calls of `fit` and passed as the labels,
    `jaxae.fit(deep_clustering(...), jaxae.Batch(images, label=targets), ...)`. If `fit` has a
    `transform`, P belongs to the original images and Q to the transformed ones, so that an image and
    its transformed copies are assigned to the same cluster.

    Args:
      base: any autoencoder.
      pretrained: its parameters, where the training starts.
      centres: c, one for each cluster, `[k, d]`, such as those of K-means on the codes.
      scale: s, as in :func:`soft_assignments`.
      reconstruction: gamma, the weight of the base's objective, which keeps the codes informative
        about the images; 0 is DEC. Penalties of the base keep their own weights.

    Returns:
      an :class:`Autoencoder` with the parameters of the base and `centres`, whose loss has the terms
      of the base and `clustering`, KL(P || Q) in nats. Its `init` returns the pretrained parameters.

    Raises:
      ValueError: if the scale is not positive, the weight is negative, or the centres are not a
        matrix; by `loss`, if the labels are not `[b, k]`.

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
    check_scale("the scale", scale)
    check_weights(reconstruction=reconstruction)
    check_params(pretrained, "pretrained")
    if jnp.ndim(centres) != 2:
        raise ValueError(f"centres are [k, d], and these have shape {jnp.shape(centres)}")
    centres = np.asarray(centres)
    clusters = len(centres)

    def init(key: PRNGKeyArray, batch: Batch) -> Params:
        # What penalties have parameters for, they initialise themselves, below.
        names = jax.eval_shape(base.model.init, key, batch).keys()
        if missing := [name for name in names if name not in pretrained]:
            raise ValueError(
                f"pretrained has no {', '.join(map(repr, missing))}, which this model has parameters for; "
                "give the parameters of the same model, fit(base, ...).params"
            )
        return {name: _copied(pretrained[name]) for name in names}

    def trained(penalty: Penalty) -> Penalty:
        """The same penalty, whose parameters start at the pretrained ones where there are any."""
        if penalty.init is None:
            return penalty
        start = penalty.init

        def init(
            key: PRNGKeyArray, model: Model, params: Params, batch: Batch
        ) -> dict[str, Params]:
            own = start(key, model, params, batch)
            return {name: _copied(pretrained.get(name, value)) for name, value in own.items()}

        return penalty._replace(init=init)

    def init_centres(
        key: PRNGKeyArray, model: Model, params: Params, batch: Batch
    ) -> dict[str, Params]:
        return {"centres": jnp.array(centres, jnp.float32)}

    def apply(context: Context) -> tuple[Term]:
        target = context.batch.label
        if target is None or target.ndim != 2 or target.shape[1] != clusters:
            raise ValueError(
                f"deep clustering is trained with soft assignments as labels, [n, {clusters}]: "
                "jaxae.Batch(x, label=target_distribution(...))"
            )
        if context.draws.posterior is None:
            raise ValueError("deep clustering needs codes, and this model has no encoder")
        z = as_vectors(context.draws.posterior.mean)
        if z.shape[1] != centres.shape[1]:
            raise ValueError(
                f"the centres have {centres.shape[1]} dimensions, and the codes {z.shape[1]}"
            )
        q = soft_assignments(z, context.params["centres"], scale=scale)
        return (Term("clustering", jnp.sum(jax.scipy.special.kl_div(target, q), axis=-1)),)

    model = base._replace(
        model=base.model._replace(init=init),
        objective=scaled(base.objective, reconstruction),
        penalties=tuple(trained(penalty) for penalty in base.penalties),
    )
    return model.add(Penalty("clustering", apply, (("scale", scale),), init_centres))


def _copied(params: Params) -> Params:
    """Copies, which training may consume."""
    return jax.tree.map(jnp.array, params)
