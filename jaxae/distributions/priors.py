"""Priors: distributions of codes, to sample from or to match codes to."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.arguments import checked
from jaxae.base import Distribution, Params, Prior, Tree
from jaxae.distributions import families
from jaxae.numeric import as_array, check_finite
from jaxae.recipes import constructor

HIGHEST = jax.lax.Precision.HIGHEST


@constructor("priors.standard_normal")
@checked
def standard_normal(latent_dim: int) -> Prior:
    """The standard normal distribution N(0, I) in `latent_dim` dimensions.

    Raises:
      ValueError: if the number is not positive.

    Examples:
      >>> standard_normal(3).sample(jax.random.key(0), 5).shape
      (5, 3)
    """
    if latent_dim < 1:
        raise ValueError(f"a code has at least one dimension, got {latent_dim}")
    return Prior(
        latent_dim,
        lambda params, n, condition=None: families.standard_normal((n, latent_dim)),
        name=f"standard_normal({latent_dim})",
    )


@constructor("priors.petals")
@checked
def petals(
    classes: int = 10, *, radius: float = 2.0, length: float = 0.7, width: float = 0.15
) -> Prior:
    r"""A mixture of normal distributions in the plane, arranged around a circle like petals.

    .. math:: z = R_{2 \pi c / k} \begin{pmatrix} r + l \epsilon_1 \\ w \epsilon_2 \end{pmatrix},
              \qquad c \sim U\{0, \dots, k - 1\}, \quad \epsilon \sim \mathcal N(0, I)

    Args:
      classes: k, the number of petals; each petal is a class.
      radius: r, the distance of the means from the origin.
      length: l, the standard deviation along the radius.
      width: w, the standard deviation across it.

    Raises:
      ValueError: if a number is not positive.

    Examples:
      >>> labels = jnp.array([0, 3, -1])
      >>> petals(10).sample(jax.random.key(0), 3, condition=labels).shape
      (3, 2)

    References:
      Makhzani et al., `Adversarial Autoencoders <https://arxiv.org/abs/1511.05644>`_, figure 4.
    """
    if not all(value > 0 for value in (classes, radius, length, width)):
        raise ValueError("the petals' number, radius, length and width must be positive")

    def shape(key: PRNGKeyArray, labels: Array) -> Array:
        noise = jax.random.normal(key, (len(labels), 2)) * jnp.array([length, width])
        angle = 2 * jnp.pi * labels.astype(jnp.float32) / classes
        along, across = radius + noise[:, 0], noise[:, 1]
        sine, cosine = jnp.sin(angle), jnp.cos(angle)
        return jnp.stack([cosine * along - sine * across, sine * along + cosine * across], -1)

    centres = 2 * jnp.pi * jnp.arange(classes) / classes
    log_scale = math.log(length) + math.log(width) + families.LOG_2PI

    def log_prob(z: Array, labels: Array) -> Array:
        angle = centres[jnp.maximum(labels, 0)]
        sine, cosine = jnp.sin(angle), jnp.cos(angle)
        along = cosine * z[..., 0] + sine * z[..., 1] - radius
        across = cosine * z[..., 1] - sine * z[..., 0]
        return -0.5 * (jnp.square(along / length) + jnp.square(across / width)) - log_scale

    return _of_classes(2, classes, shape, log_prob, name=f"petals({classes})")


@constructor("priors.swiss_roll")
@checked
def swiss_roll(classes: int = 10, *, turns: float = 2.0, width: float = 0.08) -> Prior:
    r"""A rolled-up band in the plane, with constant density along it; each class is a segment.

    .. math:: z = 2 t \,(\cos 2 \pi n t, \sin 2 \pi n t) + w \epsilon, \qquad
              t = \sqrt{(c + u) / k}, \quad u \sim U(0, 1), \quad \epsilon \sim \mathcal N(0, I)

    Args:
      classes: k, the number of segments.
      turns: n, the number of turns.
      width: w, the standard deviation across the band.

    Raises:
      ValueError: if a number is not positive.

    Examples:
      >>> swiss_roll(10).sample(jax.random.key(0), 4).shape
      (4, 2)

    References:
      Makhzani et al., `Adversarial Autoencoders <https://arxiv.org/abs/1511.05644>`_, figure 4.
    """
    if not all(value > 0 for value in (classes, turns, width)):
        raise ValueError("the roll's classes, turns and width must be positive")

    def shape(key: PRNGKeyArray, labels: Array) -> Array:
        along_key, noise_key = jax.random.split(key)
        place = labels.astype(jnp.float32) + jax.random.uniform(along_key, labels.shape)
        t = jnp.sqrt(place / classes)
        angle = 2 * jnp.pi * turns * t
        curve = 2 * t[:, None] * jnp.stack([jnp.cos(angle), jnp.sin(angle)], -1)
        return curve + width * jax.random.normal(noise_key, curve.shape)

    return _of_classes(2, classes, shape, name=f"swiss_roll({classes})")


@constructor("priors.categorical")
@checked
def categorical(classes: int) -> Prior:
    """Equally likely classes as one-hot vectors.

    Raises:
      ValueError: if there are fewer than two classes.

    Examples:
      >>> categorical(3).sample(jax.random.key(0), 1, condition=jnp.array([2])).tolist()
      [[0.0, 0.0, 1.0]]
    """
    if classes < 2:
        raise ValueError(f"a categorical distribution has at least two classes, got {classes}")

    def log_prob(z: Array, labels: Array) -> Array:
        is_one = jnp.all(z == jax.nn.one_hot(labels, classes), axis=-1)
        return jnp.where(is_one, 0.0, -jnp.inf)

    return _of_classes(
        classes,
        classes,
        lambda key, labels: jax.nn.one_hot(labels, classes),
        log_prob,
        name=f"categorical({classes})",
    )


def gaussian_mixture(
    codes: Float[Array | np.ndarray, "n d"], *, components: int = 10, seed: int = 0
) -> Prior:
    r"""A mixture of normal distributions with full covariances, fitted to codes (scikit-learn).

    .. math:: p(z) = \sum_k \pi_k \, \mathcal N(z; \mu_k, \Sigma_k)

    It is fitted in units of the standard deviation of each dimension, so that the scale of the codes does
    not matter.

    Args:
      codes: of training examples, `[n, d]`.
      components: the number of components.
      seed: for the fit, which starts from K-means.

    Returns:
      a :class:`Prior` with a density; see :func:`jaxae.with_prior`.

    Raises:
      ValueError: if there are too few codes to estimate the covariances, or some are not finite.

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
    check_finite(codes=codes)
    codes = np.asarray(codes, np.float64)
    # In standard units: scikit-learn adds 1e-6 to variances, which small codes would vanish in.
    centre, unit = codes.mean(axis=0), codes.std(axis=0)
    unit = np.where(unit > 0, unit, unit.max() or 1.0)
    fitted = GaussianMixture(components, random_state=seed).fit((codes - centre) / unit)
    return normal_mixture(
        fitted.weights_,
        centre + unit * fitted.means_,
        unit[:, None] * np.linalg.cholesky(fitted.covariances_),
    )


@constructor("priors.normal_mixture")
def normal_mixture(
    weights: Float[Array | np.ndarray, " k"],
    means: Float[Array | np.ndarray, "k d"],
    factors: Float[Array | np.ndarray, "k d d"],
) -> Prior:
    r"""A mixture of normal distributions with full covariances.

    .. math:: p(z) = \sum_k \pi_k \, \mathcal N(z; \mu_k, L_k L_k^\top)

    Args:
      weights: of the components, positive.
      means: of the components.
      factors: Cholesky factors of their covariances.

    Returns:
      a :class:`Prior` with a density.

    Raises:
      ValueError: if a weight is not positive, a factor is singular, or the shapes do not fit.

    Examples:
      >>> prior = normal_mixture(np.ones(2), np.array([[-3.0], [3.0]]), np.ones((2, 1, 1)))
      >>> prior.sample(jax.random.key(0), 4).shape
      (4, 1)
    """
    pi, mu, cholesky = (np.asarray(part, np.float64) for part in (weights, means, factors))
    components, size = mu.shape
    if pi.shape != (components,) or cholesky.shape != (components, size, size):
        raise ValueError(
            f"{components} components in {size} dimensions need as many weights and factors "
            f"[{components}, {size}, {size}], not {list(pi.shape)} and {list(cholesky.shape)}"
        )
    check_finite(weights=pi, means=mu, factors=cholesky)
    if not (pi > 0).all() or not (np.diagonal(cholesky, axis1=1, axis2=2) != 0).all():
        raise ValueError("the weights of a mixture must be positive, and its factors not singular")
    log_weights = jnp.asarray(np.log(pi / pi.sum()), jnp.float32)
    centres, scales = jnp.asarray(mu, jnp.float32), jnp.asarray(cholesky, jnp.float32)
    # The determinant and the quadratic form in the coordinates that make each component standard.
    inverses = jnp.asarray(np.linalg.inv(cholesky), jnp.float32)
    log_dets = jnp.log(jnp.abs(jnp.diagonal(inverses, axis1=1, axis2=2))).sum(axis=1)
    middle = jnp.asarray(pi @ mu / pi.sum(), jnp.float32)

    def distribution(params: Params, n: int, condition: Tree | None = None) -> Distribution:
        def draw(key: PRNGKeyArray) -> tuple[Array, Array]:
            which_key, noise_key = jax.random.split(key)
            which = jax.random.categorical(which_key, log_weights, shape=(n,))
            noise = jax.random.normal(noise_key, (n, size))
            z = centres[which] + jnp.einsum("nij,nj->ni", scales[which], noise, precision=HIGHEST)
            return z, log_prob(z)

        def log_prob(z: Array) -> Array:
            centred = z[..., None, :] - centres
            standard = jnp.einsum("kij,...kj->...ki", inverses, centred, precision=HIGHEST)
            normal = -0.5 * jnp.sum(jnp.square(standard) + families.LOG_2PI, axis=-1)
            return logsumexp(log_weights + log_dets + normal, axis=-1)

        return Distribution(draw, jnp.broadcast_to(middle, (n, size)), log_prob)

    return Prior(size, distribution, name=f"normal_mixture({components})")


def check_fixed(prior: Prior) -> None:
    """Raises a `ValueError` for a prior with parameters, which codes cannot be matched to."""
    if prior.init is not None:
        raise ValueError(f"codes are matched to a fixed prior, and {prior.name} has parameters")


def check_latent_dim(z: Array, prior: Prior) -> None:
    """Raises a `ValueError` unless codes have the dimensions of the prior."""
    if z.shape[1:] != (prior.latent_dim,):
        raise ValueError(
            f"the prior has {prior.latent_dim} dimensions, and the codes have shape {z.shape[1:]}"
        )


def _of_classes(
    latent_dim: int,
    classes: int,
    shape: Callable[[PRNGKeyArray, Array], Array],
    log_prob: Callable[[Array, Array], Array] | None = None,
    *,
    name: str,
) -> Prior:
    """A prior of equally likely classes.

    Args:
      latent_dim: dimensions of a code.
      classes: the number of classes.
      shape: `(key, labels) -> codes`, the draws of each class.
      log_prob: `(z, labels) -> log-density`, of each class.
      name: what it is, when printed.
    """

    def distribution(params: Params, n: int, condition: Tree | None = None) -> Distribution:
        labels = jnp.full(n, -1) if condition is None else as_array(condition)
        if labels.shape != (n,) or not jnp.issubdtype(labels.dtype, jnp.integer):
            raise ValueError(
                f"the condition of the prior {name} is a label for each of {n} codes, integers [{n}], "
                f"not {labels.dtype} {list(labels.shape)}"
            )

        def density(z: Array) -> Array:
            assert log_prob is not None
            every = jnp.arange(classes)
            of_each = log_prob(z[..., None, :], every)
            of_any = logsumexp(of_each, axis=-1) - math.log(classes)
            # A label that is no class has no density, as it has no draws.
            of_own = jnp.where(labels < classes, log_prob(z, labels), jnp.nan)
            return jnp.where(labels < 0, of_any, of_own)

        def draw(key: PRNGKeyArray) -> tuple[Array, Array | None]:
            class_key, shape_key = jax.random.split(key)
            drawn = jax.random.randint(class_key, labels.shape, 0, classes)
            z = shape(shape_key, jnp.where(labels < 0, drawn, labels))
            # A label that is no class gives nan, which stops a training.
            z = jnp.where(labels[:, None] < classes, z, jnp.nan)
            return z, None if log_prob is None else density(z)

        return Distribution(
            draw,
            None,
            None if log_prob is None else density,
            family=name,
        )

    return Prior(latent_dim, distribution, classes=classes, name=name)
