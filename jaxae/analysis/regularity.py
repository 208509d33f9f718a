"""Regularity of latent space: how fast decoded images change, and which dimensions are used."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxae.base import Batch, Params, Tree
from jaxae.composition import Autoencoder
from jaxae.numeric import check_finite, check_one_shape, norm

Decode = Callable[[Array], Array]
"""A decoder, from codes, `[b, d]`, to images, `[b, ...]`."""

ACTIVE, CARRIES = 0.01, 0.01
"""The variance of its posterior mean above which a unit is active, and the KL divergence in nats above
which it carries information."""


def lipschitz(decode: Decode, z: Float[Array, "b d"], *, chunk: int = 16) -> Float[Array, " b"]:
    r"""The local Lipschitz constant of a decoder: the largest singular value of its Jacobian.

    .. math:: \lVert J(z) \rVert_2 = \sqrt{\lambda_{\max}(J^\top J)}, \qquad J = \partial g / \partial z

    The supremum over all codes is the Lipschitz constant of the decoder.

    Args:
      decode: from codes, `[b, d]`, to images, `[b, ...]`; an image depends on its own code only.
      z: codes, `[b, d]`.
      chunk: the number of codes that are processed together, which bounds the memory.

    Returns:
      `[b]`, the change of the image per unit of the code.

    Examples:
      >>> lipschitz(lambda z: z @ jnp.diag(jnp.array([3.0, -4.0])), jnp.zeros((5, 2))).tolist()
      [4.0, 4.0, 4.0, 4.0, 4.0]
    """

    def at(z: Array) -> Array:
        jacobian = jax.jacfwd(lambda z: decode(z[None])[0])(z).reshape(-1, z.shape[0])
        # J^T J is small, [d, d]. Its largest eigenvalue keeps all digits, unlike its smallest.
        # In units of the largest derivative, whose square may be zero or infinite in float32.
        largest = jnp.max(jnp.abs(jacobian))
        unit = jnp.where(largest > 0, largest, 1.0)
        scaled = jacobian / unit
        gram = jnp.matmul(scaled.T, scaled, precision=jax.lax.Precision.HIGHEST)
        return unit * jnp.sqrt(jnp.maximum(jnp.linalg.eigvalsh(gram)[-1], 0))

    return jax.lax.map(at, z, batch_size=min(chunk, len(z)))


def path_speeds(
    decode: Decode, start: Float[Array, "b d"], end: Float[Array, "b d"], *, steps: int = 16
) -> Float[Array, "b steps"]:
    r"""The change of the decoded image per unit of code, for each step on a straight line.

    .. math:: \frac{\lVert g(z_{i+1}) - g(z_i) \rVert}{\lVert z_{i+1} - z_i \rVert}, \qquad
              z_i = a + \tfrac{i}{n} (b - a)

    Equal speeds mean that one image changes evenly into the other; a single large speed is a jump. No
    speed exceeds the Lipschitz constant of the decoder.

    Args:
      decode: from codes, `[b, d]`, to images, `[b, ...]`.
      start: a, `[b, d]`.
      end: b, `[b, d]`.
      steps: n.

    Returns:
      `[b, steps]`; nan where `start` equals `end`.

    Raises:
      ValueError: if the number of steps is not positive.

    Examples:
      >>> path_speeds(lambda z: 3 * z, jnp.zeros((1, 2)), jnp.ones((1, 2)), steps=2).round(4).tolist()
      [[3.0, 3.0]]
    """
    if steps < 1:
        raise ValueError(f"a path needs at least one step, got {steps}")
    check_one_shape(start=start, end=end)
    t = jnp.linspace(0, 1, steps + 1)

    def along(ends: tuple[Array, Array]) -> Array:
        a, b = ends
        images = decode(a + t[:, None] * (b - a)).reshape(steps + 1, -1)
        return norm(jnp.diff(images, axis=0)) * (steps / norm(b - a))

    return jax.lax.map(along, (start, end))


def active_units(means: Float[Array, "n d"], *, threshold: float = ACTIVE) -> Bool[Array, " d"]:
    r"""Which latent dimensions are active: their posterior mean depends on the image.

    .. math:: \operatorname{Var}_x\left( \mathbb E_{q(z_i \mid x)}[z_i] \right) > 0.01

    Args:
      means: posterior means of a set of images, larger than a batch, `[n, d]`.
      threshold: of the variance.

    Returns:
      `[d]`, booleans.

    Examples:
      >>> active_units(jnp.array([[0.0, 1.0], [0.05, -1.0]])).tolist()
      [False, True]

    References:
      Burda et al., `Importance Weighted Autoencoders <https://arxiv.org/abs/1509.00519>`_,
      section 5.2.
    """
    check_finite(means=means)
    return jnp.var(means, axis=0) > threshold


def kl_per_dimension(model: Autoencoder, params: Params, x: Batch | Tree) -> Float[Array, "b d"]:
    r"""The KL divergence of the posterior from the prior, one value for each latent dimension, in nats.

    .. math:: D_{\mathrm{KL}}\left( q(z_i \mid x) \,\|\, p(z_i) \right)

    Their sum over the dimensions is the rate. A dimension of which it is near zero for all images carries
    nothing, see :func:`collapse_report`.

    Args:
      model: an autoencoder with a prior.
      params: its parameters.
      x: examples, `[b, ...]`, or a :class:`Batch`.

    Returns:
      `[b, d]`.

    Raises:
      ValueError: if the model has no encoder or no prior, or the divergence of this pair of distributions
        has no closed form that is a sum over the dimensions.

    Examples:
      >>> import jaxae
      >>> from jaxae.networks import mlp_decoder, mlp_encoder
      >>> model = jaxae.vae(mlp_encoder(2 * 3), mlp_decoder((8, 8, 1)), latent_dim=3)
      >>> images = jnp.zeros((4, 8, 8, 1))
      >>> kl_per_dimension(model, model.init(jax.random.key(0), images), images).shape
      (4, 3)

    References:
      Kingma and Welling, `Auto-Encoding Variational Bayes <https://arxiv.org/abs/1312.6114>`_,
      appendix B.
    """
    if model.model.posterior is None or model.model.prior is None:
        missing = "encoder" if model.model.posterior is None else "prior"
        raise ValueError(
            f"this model has no {missing}, so its codes have no KL divergence from a prior"
        )
    batch = model.batch(x)
    n = len(jax.tree.leaves(batch.x)[0])
    posterior = model.model.posterior(params, batch)
    prior = model.model.prior(params, n, batch.condition)
    kl = None if posterior.kl is None else posterior.kl(prior)
    if kl is None or kl.ndim != 2:
        raise ValueError(
            "the KL divergence of this posterior from this prior has no closed form that is a sum over "
            "the latent dimensions"
        )
    return kl


def collapse_report(kl: Float[Array | np.ndarray, " d"], *, threshold: float = CARRIES) -> str:
    """A sentence on posterior collapse: how many latent dimensions carry no information.

    Args:
      kl: the KL divergence of each dimension in nats, averaged over images, `[d]`.
      threshold: of the KL divergence, in nats; a dimension with at most this carries nothing.

    Returns:
      the sentence.

    Examples:
      >>> collapse_report(jnp.array([2.0, 1e-4, 3.0]))
      '1 of 3 dimensions carries nothing (less than 0.01 nats); the others carry 5.0 nats'
    """
    if not np.isfinite(kl).all():
        return "the KL divergence is not finite"
    collapsed = int((kl <= threshold).sum())
    carried = float(kl[kl > threshold].sum())
    if collapsed == len(kl):
        return f"all {len(kl)} dimensions carry nothing: the posterior has collapsed onto the prior"
    if not collapsed:
        return f"all {len(kl)} dimensions are in use; together they carry {carried:.1f} nats"
    verb = "carries" if collapsed == 1 else "carry"
    return (
        f"{collapsed} of {len(kl)} dimensions {verb} nothing (less than {threshold:g} nats); the others "
        f"carry {carried:.1f} nats"
    )
