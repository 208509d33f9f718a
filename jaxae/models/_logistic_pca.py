"""Logistic PCA: principal components of binary data."""

import math
from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.arguments import checked
from jaxae.base import Context, Params, Penalty, Term
from jaxae.composition import Autoencoder
from jaxae.distributions.likelihoods import bernoulli
from jaxae.models.latent import from_functions
from jaxae.objectives.bounds import reconstruction
from jaxae.recipes import constructor

product = partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)

STEPS = (1.0, 0.5, 0.25, 0.0625, 0.0)
"""The step lengths of the line search; with the last one the code stays as it is."""


@constructor("logistic_pca")
@checked
def logistic_pca(shape: Sequence[int], latent_dim: int, *, iterations: int = 8) -> Autoencoder:
    r"""An autoencoder whose logits lie in a linear subspace and whose code minimises the loss.

    .. math:: f(x) = \arg\min_z -\sum_i \log p(x_i \mid \ell_i) + \tfrac12 \lVert z \rVert^2,
              \qquad \ell = b + V^T z

    Finding a code is a convex problem, which Newton's method solves with a line search; the loss is its
    minimum. Gradients do not pass through the search: a code is differentiated by the implicit function
    theorem, and the loss by the envelope theorem. The scale of V is free, and training makes it so
    large that the last term matters little.

    Args:
      shape: of one image, `(h, w, c)`.
      latent_dim: size of the code.
      iterations: the number of Newton steps.

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
    if min(*shape, latent_dim, iterations) < 1:
        raise ValueError(
            f"shape, latent_dim and iterations must be positive, got {tuple(shape)}, {latent_dim}, "
            f"{iterations}"
        )

    def init(key: PRNGKeyArray, x: Array) -> Params:
        components = jax.random.normal(key, (latent_dim, values)) / math.sqrt(latent_dim)
        return {"components": components, "bias": jnp.zeros(values)}

    def encode(params: Params, x: Array, key: PRNGKeyArray | None) -> Array:
        pixels = x.reshape(x.shape[0], values)
        return best_codes(params["components"], params["bias"], pixels, iterations)

    def outputs(params: Params, z: Array, key: PRNGKeyArray | None) -> Array:
        return (params["bias"] + product(z, params["components"])).reshape(z.shape[0], *shape)

    def code_norm(context: Context) -> tuple[Term]:
        return (Term("code_norm", 0.5 * jnp.sum(jnp.square(context.z), axis=-1)),)

    model = from_functions(init, encode, outputs, bernoulli(), name="logistic_pca")
    return Autoencoder(model, reconstruction(), (Penalty("code_norm", code_norm),))


def best_codes(
    components: Float[Array, "k values"],
    bias: Float[Array, " values"],
    x: Float[Array, "b values"],
    iterations: int,
) -> Float[Array, "b k"]:
    """The codes of :func:`logistic_pca`: a ridge-penalised logistic regression for each image.

    They are roots of the gradient, and differentiated as such, to any order.
    """
    k = components.shape[0]

    def one(x: Array) -> Array:
        def objective(z: Array) -> Array:
            cross_entropy = optax.sigmoid_binary_cross_entropy(bias + product(z, components), x)
            return jnp.sum(cross_entropy) + 0.5 * jnp.sum(jnp.square(z))

        def gradient(z: Array) -> Array:
            return product(components, jax.nn.sigmoid(bias + product(z, components)) - x) + z

        def newton(z: Array, _: None) -> tuple[Array, None]:
            p = jax.nn.sigmoid(bias + product(z, components))
            hessian = product(p * (1 - p) * components, components.T) + jnp.eye(k)
            factor = (jnp.linalg.cholesky(hessian), True)
            direction = jax.scipy.linalg.cho_solve(factor, gradient(z))
            candidates = z - jnp.array(STEPS)[:, None] * direction
            return candidates[jnp.argmin(jax.vmap(objective)(candidates))], None

        def search(_: Callable[[Array], Array], z: Array) -> Array:
            return jax.lax.scan(newton, z, length=iterations)[0]

        def solve(linear: Callable[[Array], Array], y: Array) -> Array:
            return jnp.linalg.solve(jax.jacfwd(linear)(y), y)

        return jax.lax.custom_root(gradient, jnp.zeros(k), search, solve)

    return jax.vmap(one)(x)
