"""Linear models: exact PCA, and linear autoencoders, which span the same subspace."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from jaxae.arguments import checked
from jaxae.arrays import as_float
from jaxae.base import Likelihood, Params
from jaxae.composition import Autoencoder
from jaxae.distributions.likelihoods import gaussian
from jaxae.models._autoencoder import autoencoder
from jaxae.models._tied import tied_autoencoder
from jaxae.models.latent import from_functions
from jaxae.networks.mlp import mlp_decoder, mlp_encoder
from jaxae.objectives.bounds import reconstruction
from jaxae.recipes import constructor

HIGHEST = jax.lax.Precision.HIGHEST


class PrincipalComponents(NamedTuple):
    """The result of principal component analysis.

    Attributes:
      mean: `[...]`, of the shape of an image.
      components: `[k, values]`, orthonormal rows, by decreasing variance; the largest entry of each is
        positive.
      explained_variance: `[k]`, the variance of the data along each (with n - 1 below).
      total_variance: `[]`, the variance along all directions.
    """

    mean: Float[Array, "..."]
    components: Float[Array, "k values"]
    explained_variance: Float[Array, " k"]
    total_variance: Float[Array, ""]


def principal_components(x: Shaped[Array | np.ndarray, "n ..."], k: int) -> PrincipalComponents:
    r"""The k directions of largest variance, from the singular value decomposition.

    .. math:: X - \bar x = U S V^T, \qquad \text{components } V_{:k}^T,
              \quad \text{variances } \frac{S_{:k}^2}{n - 1}

    Args:
      x: all examples, bytes or floats.
      k: the number of components.

    Raises:
      ValueError: if k is not positive, or larger than the number of examples or of values in an example.

    Examples:
      >>> x = jnp.array([[1.0, 1.0], [-1.0, -1.0], [2.0, 2.0], [-2.0, -2.0]])
      >>> found = principal_components(x, 1)
      >>> [round(float(v), 3) for v in found.components[0]], round(float(found.total_variance), 3)
      ([0.707, 0.707], 6.667)

    References:
      Hotelling, `Analysis of a Complex of Statistical Variables into Principal Components
      <https://doi.org/10.1037/h0071325>`_.
    """
    n, values = x.shape[0], math.prod(x.shape[1:])
    if k < 1:
        raise ValueError(f"PCA has at least one component, got {k}")
    if k > min(n, values):
        raise ValueError(
            f"PCA with {k} components needs as many images and as many values in an image, and "
            f"there are {n} images of {values} values"
        )
    x = as_float(x)
    mean = jnp.mean(x, axis=0)
    # Again, since the mean of values with an offset is rounded.
    centred = (x - mean).reshape(n, values)
    centred = centred - jnp.mean(centred, axis=0)
    _, s, components = jnp.linalg.svd(centred, full_matrices=False)
    largest = jnp.take_along_axis(
        components, jnp.argmax(jnp.abs(components), axis=1, keepdims=True), axis=1
    )
    variance = jnp.square(s) / max(n - 1, 1)
    return PrincipalComponents(
        mean, (components * jnp.sign(largest))[:k], variance[:k], jnp.sum(variance)
    )


@constructor("pca")
@checked
def pca(latent_dim: int, likelihood: Likelihood | None = None) -> Autoencoder:
    r"""Principal component analysis as an autoencoder; its `init` is the fit.

    .. math:: z = V (x - \bar x), \qquad r = \bar x + V^T z

    It is not trained: `params = pca(30).init(key, images)` fits it to all training images. The key is
    not used.

    Args:
      latent_dim: the number of components.
      likelihood: of the reconstruction; `gaussian()` when None.

    Returns:
      an :class:`Autoencoder`; its parameters are the fields of :class:`PrincipalComponents`.

    Raises:
      ValueError: by `init`, see :func:`principal_components`; if the likelihood needs several
        outputs for each value.

    Examples:
      >>> import jax
      >>> images = jax.random.uniform(jax.random.key(0), (20, 8, 8, 1))
      >>> model = pca(5)
      >>> params = model.init(jax.random.key(0), images)
      >>> model.encode(params, images).shape
      (20, 5)

    References:
      Hotelling, `Analysis of a Complex of Statistical Variables into Principal Components
      <https://doi.org/10.1037/h0071325>`_.
    """
    likelihood = gaussian() if likelihood is None else likelihood
    if likelihood.outputs != 1 or likelihood.init is not None:
        raise ValueError(
            f"PCA gives one output for each value, and this likelihood needs {likelihood.outputs} or "
            "parameters of its own"
        )

    def init(key: PRNGKeyArray, x: Array) -> Params:
        return principal_components(x, latent_dim)._asdict()

    def encode(params: Params, x: Array, key: PRNGKeyArray | None = None) -> Array:
        return jnp.matmul(
            (x - params["mean"]).reshape(x.shape[0], -1), params["components"].T, precision=HIGHEST
        )

    def outputs(params: Params, z: Array, key: PRNGKeyArray | None = None) -> Array:
        mean = params["mean"]
        return mean + jnp.matmul(z, params["components"], precision=HIGHEST).reshape(
            z.shape[0], *mean.shape
        )

    model = from_functions(init, encode, outputs, likelihood, name="pca")
    return Autoencoder(model, reconstruction())


@constructor("linear_autoencoder")
@checked
def linear_autoencoder(
    shape: Sequence[int],
    latent_dim: int,
    *,
    tied: bool = False,
    likelihood: Likelihood | None = None,
) -> Autoencoder:
    r"""An autoencoder without non-linearities; after training it spans the subspace of PCA.

    .. math:: h = W_h x + b_h, \qquad r = W_x h + b_x

    The subspace is that of PCA, but the basis is arbitrary: compare subspaces with
    `scipy.linalg.subspace_angles`.

    Args:
      shape: of one example, such as `(h, w, c)`.
      latent_dim: size of the code.
      tied: whether :math:`W_x = W_h^T`.
      likelihood: what the outputs mean; `gaussian()`, squared error, when None.

    Examples:
      >>> import jax
      >>> model = linear_autoencoder((8, 8, 1), 3)
      >>> images = jnp.zeros((2, 8, 8, 1))
      >>> model.encode(model.init(jax.random.key(0), images), images).shape
      (2, 3)

    References:
      Baldi and Hornik, `Neural Networks and Principal Component Analysis
      <https://doi.org/10.1016/0893-6080(89)90014-2>`_.
    """
    if tied:
        return tied_autoencoder(shape, latent_dim, likelihood=likelihood)
    outputs = 1 if likelihood is None else likelihood.outputs
    return autoencoder(
        mlp_encoder(latent_dim, ()), mlp_decoder(shape, (), outputs=outputs), likelihood
    )
