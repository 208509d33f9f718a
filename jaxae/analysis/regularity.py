"""Regularity: near codes decode to near images (continuity), and all codes to images (completeness)."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

Decode = Callable[[Array], Array]

ACTIVE, CARRIES = 0.01, 0.01
"""A unit is active if its mean varies by more than this (the variance), and carries information if
its KL divergence is more than this, in nats."""


def lipschitz(decode: Decode, z: Float[Array, "b d"], *, chunk: int = 16) -> Float[Array, " b"]:
    r"""The largest singular value of the decoder's Jacobian: how far an image moves at most.

    .. math:: \lVert J(z) \rVert_2 = \sqrt{\lambda_{\max}(J^\top J)}, \qquad J = \partial g / \partial z

    The largest of these over all codes is the decoder's Lipschitz constant.

    Args:
      decode: from codes, `[b, d]`, to images, `[b, ...]`; each from its own code only.
      z: where.
      chunk: codes at a time, to bound the memory.

    Returns:
      `[b]`, in units of the image for each unit of the code.

    Examples:
      >>> lipschitz(lambda z: z @ jnp.diag(jnp.array([3.0, -4.0])), jnp.zeros((5, 2))).tolist()
      [4.0, 4.0, 4.0, 4.0, 4.0]
    """

    def at(z: Array) -> Array:
        jacobian = jax.jacfwd(lambda z: decode(z[None])[0])(z).reshape(-1, z.shape[0])
        # J^T J is small: the codes', not the images', dimensions.
        return jnp.sqrt(jnp.maximum(jnp.linalg.eigvalsh(jacobian.T @ jacobian)[-1], 0))

    return jax.lax.map(at, z, batch_size=min(chunk, len(z)))


def path_speeds(
    decode: Decode, start: Float[Array, "b d"], end: Float[Array, "b d"], *, steps: int = 16
) -> Float[Array, "b steps"]:
    r"""How far the decoded image moves for each unit of code, on every step of a straight line.

    .. math:: \frac{\lVert g(z_{i+1}) - g(z_i) \rVert}{\lVert z_{i+1} - z_i \rVert}, \qquad
              z_i = a + \tfrac{i}{n} (b - a)

    Steps that are all alike mean that one image turns evenly into the other; a large one among
    small ones is a jump. None is larger than the decoder's Lipschitz constant.

    Args:
      decode: from codes to images.
      start: a, `[b, d]`.
      end: b, `[b, d]`, another code than `start`.
      steps: n.

    Returns:
      `[b, steps]`, in units of the image for each unit of the code; nan where `start` is `end`.

    Raises:
      ValueError: if there is no step.

    Examples:
      >>> path_speeds(lambda z: 3 * z, jnp.zeros((1, 2)), jnp.ones((1, 2)), steps=2).round(4).tolist()
      [[3.0, 3.0]]
    """
    if steps < 1:
        raise ValueError(f"a line has at least one step, got {steps}")
    t = jnp.linspace(0, 1, steps + 1)

    def along(ends: tuple[Array, Array]) -> Array:
        a, b = ends
        images = decode(a + t[:, None] * (b - a)).reshape(steps + 1, -1)
        moved = jnp.linalg.norm(jnp.diff(images, axis=0), axis=1)
        return moved * steps / jnp.linalg.norm(b - a)

    return jax.lax.map(along, (start, end))


def active_units(means: Float[Array, "n d"], *, threshold: float = ACTIVE) -> Bool[Array, " d"]:
    r"""The latent dimensions whose posterior mean depends on the image.

    .. math:: \operatorname{Var}_x\left( \mathbb E_{q(z_i \mid x)}[z_i] \right) > 0.01

    Args:
      means: posterior means of a fixed set of images (a batch is too few), `[n, d]`.
      threshold: of the variance.

    Returns:
      `[d]`.

    Examples:
      >>> active_units(jnp.array([[0.0, 1.0], [0.05, -1.0]])).tolist()
      [False, True]

    References:
      Burda et al., `Importance Weighted Autoencoders <https://arxiv.org/abs/1509.00519>`_,
      section 5.2.
    """
    return jnp.var(means, axis=0) > threshold


def collapse_report(kl: Float[Array | np.ndarray, " d"], *, threshold: float = CARRIES) -> str:
    """In plain words, how many latent dimensions have collapsed onto the prior.

    Args:
      kl: the KL divergence of each dimension, in nats, averaged over images.
      threshold: the nats below which a dimension carries nothing.

    Examples:
      >>> collapse_report(jnp.array([2.0, 1e-4, 3.0]))
      '1 of 3 dimensions carries nothing (less than 0.01 nats); the others carry 5.0 nats'
    """
    if not np.isfinite(kl).all():
        return "the KL divergence is not finite"
    idle = int((kl <= threshold).sum())
    carried = float(kl[kl > threshold].sum())
    if idle == len(kl):
        return f"all {len(kl)} dimensions carry nothing: the posterior has collapsed onto the prior"
    if not idle:
        return f"all {len(kl)} dimensions are in use; together they carry {carried:.1f} nats"
    verb = "carries" if idle == 1 else "carry"
    return (
        f"{idle} of {len(kl)} dimensions {verb} nothing (less than {threshold:g} nats); the others "
        f"carry {carried:.1f} nats"
    )
