"""Denoising autoencoders: reconstruct the clean image from a corrupted one."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from jaxae.base import Autoencoder, Labelled, Output, Params, Step, Target, as_float, what_and_label
from jaxae.data.corruptions import Corruption


def denoising(base: Autoencoder, corruption: Corruption) -> Autoencoder:
    r"""A model that sees corrupted images and has to reconstruct the clean ones.

    .. math:: L'(x) = L(\tilde x \to x), \qquad \tilde x \sim C(\tilde x \mid x)

    Each step and each example has its own noise, in evaluation too; there it is a function of the
    evaluation's key, and so the same from one epoch to the next. Only the loss corrupts: `encode`
    takes the images as they are, and is given corrupted ones to denoise them.

    Args:
      base: any autoencoder.
      corruption: `(key, x) -> x~`, from :mod:`jaxae.data.corruptions` or your own. If it changes the
        shape, the encoder is one for corrupted images and the decoder one for clean ones.

    Returns:
      an :class:`Autoencoder` with the terms of `base`.

    Raises:
      ValueError: by `loss`, if the reconstruction has not the shape of the target.

    Examples:
      >>> import jaxae, jax.numpy as jnp
      >>> base = jaxae.autoencoder(jaxae.mlp_encoder(2), jaxae.mlp_decoder((8, 8, 1)))
      >>> model = denoising(base, jaxae.corruptions.masking(0.3))
      >>> images = jnp.zeros((4, 8, 8, 1))
      >>> params = model.init(jax.random.key(0), images)
      >>> model.loss(params, jax.random.key(1), images).loss.shape
      (4,)

    References:
      Vincent et al., `Extracting and Composing Robust Features with Denoising Autoencoders
      <https://www.cs.toronto.edu/~larocheh/publications/icml-2008-denoising-autoencoders.pdf>`_.
    """

    def init(key: PRNGKeyArray, x: Array) -> Params:
        corruption_key, base_key = jax.random.split(key)
        return base.init(base_key, corruption(corruption_key, x))

    def loss(
        params: Params,
        key: PRNGKeyArray,
        x: Array,
        *,
        target: Target = None,
        step: Step = 0,
        train: bool = True,
    ) -> Output:
        corruption_key, base_key = jax.random.split(key)
        image, label = what_and_label(x, target)
        corrupted = corruption(corruption_key, x)
        if label is None and corrupted.shape != image.shape:
            _check_target(base, params, corrupted, image)
        target = image if label is None else Labelled(image, label)
        return base.loss(params, base_key, corrupted, target=target, step=step, train=train)

    return base._replace(init=init, loss=loss)


class LinearDenoiser(NamedTuple):
    """An affine map from corrupted images to clean ones.

    Attributes:
      mean: `[...]`, of the shape of a clean image.
      corrupted_mean: `[...]`, of the shape of a corrupted one.
      matrix: `[corrupted values, values]`.
    """

    mean: Float[Array, "..."]
    corrupted_mean: Float[Array, "..."]
    matrix: Float[Array, "corrupted values"]

    def __call__(self, corrupted: Float[Array, "b ..."]) -> Float[Array, "b ..."]:
        """The estimate of the clean images; it is not clipped."""
        centred = (corrupted - self.corrupted_mean).reshape(corrupted.shape[0], -1)
        return self.mean + (centred @ self.matrix).reshape(-1, *self.mean.shape)


def linear_denoiser(
    key: PRNGKeyArray,
    x: Shaped[Array | np.ndarray, "n ..."],
    corruption: Corruption,
    *,
    draws: int = 1,
) -> LinearDenoiser:
    r"""The affine map with the least squared error, in closed form: what a denoiser has to beat.

    .. math:: \hat x = \bar x + \operatorname{Cov}(x, \tilde x)
              \operatorname{Cov}(\tilde x)^{-1} (\tilde x - \bar{\tilde x})

    For additive noise of variance :math:`\sigma^2` this is :math:`C (C + \sigma^2 I)^{-1}`, with C
    the covariance of the images. The covariances are those of the images and their corruptions.

    Args:
      key: for the corruption.
      x: clean images, all of them; bytes, or floats in [0, 1].
      corruption: `(key, x) -> x~`.
      draws: how many corruptions of each image the covariances are over.

    Raises:
      ValueError: if there is no draw.

    Examples:
      >>> import jaxae, jax.numpy as jnp
      >>> x = jax.random.uniform(jax.random.key(0), (500, 4, 4, 1))
      >>> best = linear_denoiser(jax.random.key(1), x, jaxae.corruptions.gaussian(0.1))
      >>> best(x[:3]).shape
      (3, 4, 4, 1)

    References:
      Wiener, Extrapolation, Interpolation, and Smoothing of Stationary Time Series, 1949.
    """
    if draws < 1:
        raise ValueError(f"the covariances need at least one draw, got {draws}")
    x = as_float(x)
    keys = jax.random.split(key, draws)
    # Loops of the program: unrolled, draws that are many take half a minute to compile.
    means = jax.lax.map(lambda draw: jnp.mean(corruption(draw, x), axis=0), keys)
    corrupted_mean = jnp.mean(means, axis=0)
    mean = jnp.mean(x, axis=0)
    clean = (x - mean).reshape(x.shape[0], -1)

    def add(sums: tuple[Array, Array], draw: PRNGKeyArray) -> tuple[tuple[Array, Array], None]:
        noisy = (corruption(draw, x) - corrupted_mean).reshape(x.shape[0], -1)
        parts = (noisy.T @ noisy, noisy.T @ clean)
        return jax.tree.map(lambda total, part: total + part / (draws * len(x)), sums, parts), None

    size = corrupted_mean.size
    zeros = jnp.zeros((size, size)), jnp.zeros((size, mean.size))
    (variance, covariance), _ = jax.lax.scan(add, zeros, keys)
    # A pixel that is always the same has no variance: the pseudo-inverse leaves it out.
    matrix = jnp.linalg.pinv(variance, rtol=1e-6, hermitian=True) @ covariance
    return LinearDenoiser(mean, corrupted_mean, matrix)


def _check_target(base: Autoencoder, params: Params, corrupted: Array, target: Array) -> None:
    decoded = jax.eval_shape(lambda p, x: base.decode(p, base.encode(p, x)), params, corrupted)
    if decoded.shape != target.shape:
        raise ValueError(
            f"the corruption gives images of {corrupted.shape[1:]}, which the model reconstructs as "
            f"{decoded.shape[1:]}, but the target is {target.shape[1:]}: the decoder must be one "
            "for the target"
        )
