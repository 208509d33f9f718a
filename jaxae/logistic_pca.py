"""Logistic PCA: principal components for pixels that are coins."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.autoencoder import from_functions
from jaxae.base import Autoencoder, Output, Params, Step
from jaxae.likelihoods import bernoulli

STEPS = (1.0, 0.5, 0.25, 0.0625, 0.0)
"""The lengths that the line search tries; the last one keeps the code, so that none gets worse."""


def logistic_pca(shape: Sequence[int], code: int, *, iterations: int = 8) -> Autoencoder:
    r"""An autoencoder whose logits lie in a linear subspace, and whose code is the best one there.

    .. math:: f(x) = \arg\min_z -\sum_i \log p(x_i \mid \ell_i) + \tfrac12 \lVert z \rVert^2,
              \qquad \ell = b + V^T z

    Finding a code is a convex problem, solved by Newton's method with a line search; the loss is the
    minimum itself. There the gradient with respect to V and b is the partial one with z held (the
    envelope theorem), so that nothing is differentiated through the search. The scale of V is free,
    and training makes it so large that the last term matters little.

    Args:
      shape: of one image, `(h, w, c)`.
      code: size of the code.
      iterations: of Newton's method.

    Returns:
      an :class:`Autoencoder` whose loss has the terms `distortion`, the cross-entropy, and
      `code_norm`, half the squared norm of the code.

    Raises:
      ValueError: if a size is not positive.

    Examples:
      >>> model = logistic_pca((8, 8, 1), 3)
      >>> images = jnp.ones((2, 8, 8, 1))
      >>> model.encode(model.init(jax.random.key(0), images), images).shape
      (2, 3)

    References:
      Collins, Dasgupta and Schapire, `A Generalization of Principal Component Analysis to the
      Exponential Family <https://papers.nips.cc/paper/2078>`_.
    """
    values = math.prod(shape)
    if min(*shape, code, iterations) < 1:
        raise ValueError(
            f"shape, code and iterations must be positive, got {tuple(shape)}, {code}, {iterations}"
        )

    def init(key: PRNGKeyArray, x: Array) -> Params:
        components = jax.random.normal(key, (code, values)) / math.sqrt(code)
        return {"components": components, "bias": jnp.zeros(values)}

    def encode(params: Params, x: Array) -> Array:
        pixels = x.reshape(x.shape[0], values)
        return best_codes(params["components"], params["bias"], pixels, iterations)

    def held(params: Params, x: Array, key: PRNGKeyArray | None) -> Array:
        return encode(jax.lax.stop_gradient(params), x)

    def outputs(params: Params, z: Array, key: PRNGKeyArray | None) -> Array:
        return (params["bias"] + z @ params["components"]).reshape(z.shape[0], *shape)

    base = from_functions(init, held, outputs, bernoulli())

    def loss(
        params: Params,
        key: PRNGKeyArray,
        x: Array,
        *,
        target: Array | None = None,
        step: Step = 0,
        train: bool = True,
    ) -> Output:
        out = base.loss(params, key, x, target=target, step=step, train=train)
        return out.add("code_norm", 0.5 * jnp.sum(jnp.square(out.latent), axis=-1))

    return base._replace(encode=encode, loss=loss)


def best_codes(
    components: Float[Array, "k values"],
    bias: Float[Array, " values"],
    x: Float[Array, "b values"],
    iterations: int,
) -> Float[Array, "b k"]:
    """The codes of :func:`logistic_pca`: a ridge-penalised logistic regression for each image."""
    k = components.shape[0]

    def objective(z: Array) -> Array:
        cross_entropy = optax.sigmoid_binary_cross_entropy(bias + z @ components, x)
        return jnp.sum(cross_entropy, axis=-1) + 0.5 * jnp.sum(jnp.square(z), axis=-1)

    def newton(z: Array, _: None) -> tuple[Array, None]:
        p = jax.nn.sigmoid(bias + z @ components)
        gradient = (p - x) @ components.T + z
        weighted = (p * (1 - p))[:, None, :] * components
        hessian = weighted @ components.T + jnp.eye(k)
        factor = jnp.linalg.cholesky(hessian)
        direction = jax.scipy.linalg.cho_solve((factor, True), gradient[..., None])[..., 0]
        candidates = z - jnp.array(STEPS)[:, None, None] * direction
        best = jnp.argmin(jax.vmap(objective)(candidates), axis=0)
        return jnp.take_along_axis(candidates, best[None, :, None], axis=0)[0], None

    z, _ = jax.lax.scan(newton, jnp.zeros((x.shape[0], k)), length=iterations)
    return z
