"""Transforms of training batches, `(key, x) -> x`: the same images a little elsewhere, each time anew.

They are for `fit(transform=...)`, where image and target move together; as a corruption, in
:func:`jaxae.denoising`, the target stays where it was.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

Transform = Callable[[PRNGKeyArray, Array], Array]


def random_shift(pixels: int) -> Transform:
    """Shifts each image by up to so many pixels each way.

    What comes in at the borders is zero.

    Args:
      pixels: the largest shift in each direction; each shift up to it is equally likely.

    Returns:
      `(key, x) -> x`, of the same shape.

    Raises:
      ValueError: if the number of pixels is negative.

    Examples:
      >>> x = jnp.zeros((5, 4, 4, 1)).at[:, 1, 2].set(1.0)
      >>> random_shift(1)(jax.random.key(0), x).sum((1, 2, 3)).tolist()
      [1.0, 1.0, 1.0, 1.0, 1.0]
    """
    if pixels < 0:
        raise ValueError(f"an image is shifted by no pixel or more, got {pixels}")

    def shift(key: PRNGKeyArray, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        corners = jax.random.randint(key, (x.shape[0], 2), 0, 2 * pixels + 1)
        padded = jnp.pad(x, ((0, 0), (pixels, pixels), (pixels, pixels), (0, 0)))

        def crop(image: Array, corner: Array) -> Array:
            return jax.lax.dynamic_slice(image, (corner[0], corner[1], 0), x.shape[1:])

        return jax.vmap(crop)(padded, corners)

    return shift


def random_affine(
    *, rotation: float = 0.0, scale: float = 0.0, shear: float = 0.0, shift: float = 0.0
) -> Transform:
    r"""Turns, stretches, slants and shifts each image, about its centre, by bilinear interpolation.

    The pixel at `p` takes the value at

    .. math:: R(\alpha) \begin{pmatrix} s_1 & 0 \\ k & s_2 \end{pmatrix} p + t

    each number drawn uniformly: the angle, the logarithms of the two scales, the slant, the shift.
    What comes in at the borders is zero.

    Args:
      rotation: the largest angle, in degrees, each way.
      scale: the largest stretch of each axis: 0.1 makes it up to a tenth larger or smaller.
      shear: the largest slant, sideways for each pixel upwards.
      shift: the largest shift, in pixels, each way.

    Returns:
      `(key, x) -> x`, of the same shape.

    Raises:
      ValueError: if a number is negative or not finite.

    Examples:
      >>> x = jnp.ones((2, 9, 9, 1))
      >>> random_affine(rotation=10.0)(jax.random.key(0), x)[:, 4, 4, 0].tolist()
      [1.0, 1.0]

    References:
      Guo et al., `Deep Embedded Clustering with Data Augmentation
      <https://proceedings.mlr.press/v95/guo18b.html>`_.
    """
    strengths = {"rotation": rotation, "scale": scale, "shear": shear, "shift": shift}
    for name, strength in strengths.items():
        if not 0 <= strength < math.inf:
            raise ValueError(f"the {name} must be finite and not negative, got {strength}")

    def move(key: PRNGKeyArray, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        draws = jax.random.uniform(key, (x.shape[0], 6), minval=-1.0, maxval=1.0)
        return jax.vmap(_moved)(x, draws)

    def _moved(image: Float[Array, "h w c"], draw: Float[Array, " 6"]) -> Float[Array, "h w c"]:
        angle = math.radians(rotation) * draw[0]
        down, right = jnp.exp(math.log1p(scale) * draw[1:3])
        turn = jnp.array([[jnp.cos(angle), -jnp.sin(angle)], [jnp.sin(angle), jnp.cos(angle)]])
        matrix = turn @ jnp.array([[down, 0.0], [shear * draw[3], right]])
        h, w, _ = image.shape
        rows, columns = jnp.arange(h) - (h - 1) / 2, jnp.arange(w) - (w - 1) / 2
        grid = jnp.stack(jnp.meshgrid(rows, columns, indexing="ij"))
        centre = jnp.array([(h - 1) / 2, (w - 1) / 2]) + shift * draw[4:]
        place = jnp.einsum("ij,jhw->ihw", matrix, grid) + centre[:, None, None]

        def interpolate(channel: Float[Array, "h w"]) -> Float[Array, "h w"]:
            return jax.scipy.ndimage.map_coordinates(channel, list(place), order=1)

        return jax.vmap(interpolate, in_axes=-1, out_axes=-1)(image)

    return move


def random_flip(key: PRNGKeyArray, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    """Mirrors every second image, at random, left to right.

    Examples:
      >>> x = jnp.tile(jnp.array([0.0, 1.0])[:, None], (20, 1, 1, 1))
      >>> sorted({tuple(row) for row in random_flip(jax.random.key(0), x)[:, 0, :, 0].tolist()})
      [(0.0, 1.0), (1.0, 0.0)]
    """
    flip = jax.random.bernoulli(key, 0.5, (x.shape[0], 1, 1, 1))
    return jnp.where(flip, x[:, :, ::-1], x)
