"""Distributions of codes: what an encoder is made to fill, and what samples are decoded from."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer, PRNGKeyArray

from jaxae.base import Autoencoder, Params


class Prior(NamedTuple):
    """A distribution of codes that can be drawn from.

    Attributes:
      size: d, the dimensions of a code.
      sample: `(key, n) -> z`, `[n, d]`.
      given: `(key, labels) -> z`, a code of the class of each label, of any class where it is -1;
        None where the distribution has no classes.
      classes: how many it has.
    """

    size: int
    sample: Callable[[PRNGKeyArray, int], Float[Array, "n d"]]
    given: Callable[[PRNGKeyArray, Integer[Array, " n"]], Float[Array, "n d"]] | None = None
    classes: int | None = None


def with_prior(model: Autoencoder, prior: Prior) -> Autoencoder:
    r"""A model that draws its samples from another distribution of codes.

    .. math:: x = g(z), \qquad z \sim p(z)

    With :func:`gaussian_mixture` of a trained model's codes, a model that has no prior gets one after
    the fact. There is no `log_weight` then: the posterior was not trained against this prior.

    Args:
      model: any autoencoder.
      prior: of its codes.

    Examples:
      >>> import jaxae
      >>> base = jaxae.autoencoder(jaxae.mlp_encoder(2), jaxae.mlp_decoder((8, 8, 1)))
      >>> params = base.init(jax.random.key(0), jnp.zeros((4, 8, 8, 1)))
      >>> with_prior(base, standard_normal(2)).sample(params, jax.random.key(1), 5).shape
      (5, 8, 8, 1)
    """

    def sample(params: Params, key: PRNGKeyArray, n: int) -> Array:
        return model.decode(params, prior.sample(key, n))

    return model._replace(sample=sample, log_weight=None)


def standard_normal(size: int) -> Prior:
    """N(0, I) in so many dimensions.

    Raises:
      ValueError: if the size is not positive.

    Examples:
      >>> standard_normal(3).sample(jax.random.key(0), 5).shape
      (5, 3)
    """
    if size < 1:
        raise ValueError(f"a code has at least one dimension, got {size}")
    return Prior(size, lambda key, n: jax.random.normal(key, (n, size)))


def petals(
    classes: int = 10, *, radius: float = 2.0, length: float = 0.7, width: float = 0.15
) -> Prior:
    r"""A mixture of normal distributions in the plane, around a circle like the petals of a flower.

    .. math:: z = R_{2 \pi c / k} \begin{pmatrix} r + l \epsilon_1 \\ w \epsilon_2 \end{pmatrix},
              \qquad c \sim U\{0, \dots, k - 1\}, \quad \epsilon \sim \mathcal N(0, I)

    Args:
      classes: k, how many; each is a class for a prior that is given labels.
      radius: r, from the middle to the means.
      length: l, the standard deviation away from the middle.
      width: w, that across.

    Raises:
      ValueError: if a number is not positive.

    Examples:
      >>> petals(10).given(jax.random.key(0), jnp.array([0, 3, -1])).shape
      (3, 2)

    References:
      Makhzani et al., `Adversarial Autoencoders <https://arxiv.org/abs/1511.05644>`_, figure 4.
    """
    if min(classes, radius, length, width) <= 0:
        raise ValueError("the petals' number, radius, length and width must be positive")

    def shape(key: PRNGKeyArray, labels: Array) -> Array:
        noise = jax.random.normal(key, (len(labels), 2)) * jnp.array([length, width])
        angle = 2 * jnp.pi * labels.astype(jnp.float32) / classes
        along, across = radius + noise[:, 0], noise[:, 1]
        sine, cosine = jnp.sin(angle), jnp.cos(angle)
        return jnp.stack([cosine * along - sine * across, sine * along + cosine * across], -1)

    return _of_classes(2, classes, shape)


def swiss_roll(classes: int = 10, *, turns: float = 2.0, width: float = 0.08) -> Prior:
    r"""A band in the plane rolled up, its density the same all along; a class is a piece of it.

    .. math:: z = 2 t \,(\cos 2 \pi n t, \sin 2 \pi n t) + w \epsilon, \qquad
              t = \sqrt{(c + u) / k}, \quad u \sim U(0, 1), \quad \epsilon \sim \mathcal N(0, I)

    Args:
      classes: k, into how many pieces it is divided.
      turns: n.
      width: w, the standard deviation across the band.

    Raises:
      ValueError: if a number is not positive.

    Examples:
      >>> swiss_roll(10).sample(jax.random.key(0), 4).shape
      (4, 2)

    References:
      Makhzani et al., `Adversarial Autoencoders <https://arxiv.org/abs/1511.05644>`_, figure 4.
    """
    if min(classes, turns, width) <= 0:
        raise ValueError("the roll's classes, turns and width must be positive")

    def shape(key: PRNGKeyArray, labels: Array) -> Array:
        along_key, noise_key = jax.random.split(key)
        place = labels.astype(jnp.float32) + jax.random.uniform(along_key, labels.shape)
        t = jnp.sqrt(place / classes)
        angle = 2 * jnp.pi * turns * t
        curve = 2 * t[:, None] * jnp.stack([jnp.cos(angle), jnp.sin(angle)], -1)
        return curve + width * jax.random.normal(noise_key, curve.shape)

    return _of_classes(2, classes, shape)


def categorical(classes: int) -> Prior:
    """One of some classes, each as likely, as a vector with a one.

    Raises:
      ValueError: if there are fewer than two classes.

    Examples:
      >>> categorical(3).given(jax.random.key(0), jnp.array([2])).tolist()
      [[0.0, 0.0, 1.0]]
    """
    if classes < 2:
        raise ValueError(f"a categorical distribution has at least two classes, got {classes}")
    return _of_classes(classes, classes, lambda key, labels: jax.nn.one_hot(labels, classes))


def gaussian_mixture(
    codes: Float[Array | np.ndarray, "n d"], *, components: int = 10, seed: int = 0
) -> Prior:
    r"""A mixture of normal distributions with full covariances, fitted to codes (scikit-learn).

    .. math:: p(z) = \sum_k \pi_k \, \mathcal N(z; \mu_k, \Sigma_k)

    Args:
      codes: of training images, `[n, d]`.
      components: how many.
      seed: of the fit, which starts at K-means.

    Returns:
      a :class:`Prior`; see :func:`with_prior`.

    Raises:
      ValueError: if there are not more codes than each component needs for a covariance.

    Examples:
      >>> codes = np.random.default_rng(0).normal(5.0, 0.1, (100, 2))
      >>> gaussian_mixture(codes, components=2).sample(jax.random.key(0), 3).shape
      (3, 2)

    References:
      Ghosh et al., `From Variational to Deterministic Autoencoders
      <https://arxiv.org/abs/1903.12436>`_, section 4.
    """
    from sklearn.mixture import GaussianMixture

    n, size = codes.shape
    if components < 1:
        raise ValueError(f"a mixture has at least one component, got {components}")
    if n <= components * (size + 1):
        raise ValueError(
            f"{n} codes are too few for {components} covariances in {size} dimensions; it takes more "
            f"than {components * (size + 1)}"
        )
    fitted = GaussianMixture(components, random_state=seed).fit(np.asarray(codes, np.float64))
    log_weights = jnp.asarray(np.log(fitted.weights_), jnp.float32)
    means = jnp.asarray(fitted.means_, jnp.float32)
    factors = jnp.asarray(np.linalg.cholesky(fitted.covariances_), jnp.float32)

    def sample(key: PRNGKeyArray, n: int) -> Array:
        which_key, noise_key = jax.random.split(key)
        which = jax.random.categorical(which_key, log_weights, shape=(n,))
        noise = jax.random.normal(noise_key, (n, size))
        return means[which] + jnp.einsum("nij,nj->ni", factors[which], noise)

    return Prior(size, sample)


def check_size(z: Array, prior: Prior) -> None:
    """Raises a `ValueError` unless codes are of the prior's size."""
    if z.shape[1:] != (prior.size,):
        raise ValueError(
            f"the prior is of {prior.size} dimensions, and the codes have shape {z.shape[1:]}"
        )


def _of_classes(size: int, classes: int, shape: Callable[[PRNGKeyArray, Array], Array]) -> Prior:
    """A prior from `(key, labels) -> codes`, every class as likely."""

    def given(key: PRNGKeyArray, labels: Array) -> Array:
        class_key, shape_key = jax.random.split(key)
        drawn = jax.random.randint(class_key, labels.shape, 0, classes)
        return shape(shape_key, jnp.where(labels < 0, drawn, labels))

    def sample(key: PRNGKeyArray, n: int) -> Array:
        return given(key, jnp.full(n, -1))

    return Prior(size, sample, given, classes)
