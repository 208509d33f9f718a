"""Random transforms of training batches, `(key, x) -> x`.

Pass one to :func:`jaxae.fit` as `transform=`. It is then applied to `x` and, with the same key, to
`seen`, and both are moved in the same way, whatever their channels: the random numbers depend on the
number of images only. Shifts are in pixels, so `x` and `seen` need the same height and width. Used as
a corruption in :func:`jaxae.denoising`, a transform moves the input and leaves the target where it is.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from jaxae.numeric import as_probabilities, check_image_shape

Transform = Callable[[PRNGKeyArray, Array], Array]
"""A transform, `(key, x) -> x`."""

HIGHEST = jax.lax.Precision.HIGHEST

SYMMETRIES = (1, 2, 4, 8)
"""Numbers of symmetries: the identity; with mirroring left to right; also upside down; all of a square."""


def binarize(key: PRNGKeyArray, x: Shaped[Array, "*b"]) -> Float[Array, "*b"]:
    """Dynamic binarisation: each value becomes 1 with a probability equal to its grey level, else 0.

    Args:
      key: of the draws.
      x: grey levels in [0, 1], of any shape.

    Returns:
      zeros and ones, of the same shape.

    Examples:
      >>> binarize(jax.random.key(0), jnp.array([0.0, 1.0])).tolist()
      [0.0, 1.0]

    References:
      Salakhutdinov and Murray, `On the Quantitative Analysis of Deep Belief Networks
      <https://www.cs.toronto.edu/~rsalakhu/papers/dbn_ais.pdf>`_.
    """
    return jax.random.bernoulli(key, as_probabilities(x, "grey levels")).astype(jnp.float32)


def random_shift(pixels: int) -> Transform:
    """Shifts each image by a random number of pixels along each axis.

    All shifts from `-pixels` to `pixels` are equally likely. Vacated pixels become zero.

    Args:
      pixels: the largest shift.

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
        raise ValueError(f"the largest shift must not be negative, got {pixels} pixels")

    def shift(key: PRNGKeyArray, x: Shaped[Array, "b h w c"]) -> Shaped[Array, "b h w c"]:
        check_image_shape(x)
        corners = jax.random.randint(key, (x.shape[0], 2), 0, 2 * pixels + 1)
        padded = jnp.pad(x, ((0, 0), (pixels, pixels), (pixels, pixels), (0, 0)))

        def crop(image: Array, corner: Array) -> Array:
            return jax.lax.dynamic_slice(image, (corner[0], corner[1], 0), x.shape[1:])

        return jax.vmap(crop)(padded, corners)

    return shift


def random_affine(
    *, rotation: float = 0.0, scale: float = 0.0, shear: float = 0.0, shift: float = 0.0
) -> Transform:
    r"""Rotates, scales, shears and shifts each image about its centre, by bilinear interpolation.

    The pixel at `p` takes the value at

    .. math:: R(\alpha) \begin{pmatrix} s_1 & 0 \\ k & s_2 \end{pmatrix} p + t

    where the angle, the logarithms of the two scales, the shear and the shift are uniformly
    distributed. Pixels outside the image count as zero.

    Args:
      rotation: the largest angle in either direction, in degrees.
      scale: the largest change of size of each axis: 0.1 makes it up to a tenth larger or smaller.
      shear: the largest horizontal displacement per pixel of height.
      shift: the largest shift along each axis, in pixels.

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

    def move(key: PRNGKeyArray, x: Shaped[Array, "b h w c"]) -> Shaped[Array, "b h w c"]:
        check_image_shape(x)
        draws = jax.random.uniform(key, (x.shape[0], 6), minval=-1.0, maxval=1.0)
        return jax.vmap(move_one)(x, draws)

    def move_one(image: Shaped[Array, "h w c"], draw: Float[Array, " 6"]) -> Shaped[Array, "h w c"]:
        angle = math.radians(rotation) * draw[0]
        down, right = jnp.exp(math.log1p(scale) * draw[1:3])
        turn = jnp.array([[jnp.cos(angle), -jnp.sin(angle)], [jnp.sin(angle), jnp.cos(angle)]])
        stretch = jnp.array([[down, 0.0], [shear * draw[3], right]])
        # A coordinate that is rounded to eight bits is off by a pixel in a large image.
        matrix = jnp.matmul(turn, stretch, precision=HIGHEST)
        h, w, _ = image.shape
        rows, columns = jnp.arange(h) - (h - 1) / 2, jnp.arange(w) - (w - 1) / 2
        grid = jnp.stack(jnp.meshgrid(rows, columns, indexing="ij"))
        centre = jnp.array([(h - 1) / 2, (w - 1) / 2]) + shift * draw[4:]
        place = jnp.einsum("ij,jhw->ihw", matrix, grid, precision=HIGHEST) + centre[:, None, None]

        def interpolate(channel: Shaped[Array, "h w"]) -> Shaped[Array, "h w"]:
            return jax.scipy.ndimage.map_coordinates(channel, list(place), order=1)

        return jax.vmap(interpolate, in_axes=-1, out_axes=-1)(image)

    return move


def random_flip(key: PRNGKeyArray, x: Shaped[Array, "b h w c"]) -> Shaped[Array, "b h w c"]:
    """Mirrors each image left to right with probability 1/2.

    Args:
      key: of the draws.
      x: images.

    Returns:
      images of the same shape.

    Examples:
      >>> x = jnp.tile(jnp.array([0.0, 1.0])[:, None], (20, 1, 1, 1))
      >>> sorted({tuple(row) for row in random_flip(jax.random.key(0), x)[:, 0, :, 0].tolist()})
      [(0.0, 1.0), (1.0, 0.0)]
    """
    check_image_shape(x)
    flip = jax.random.bernoulli(key, 0.5, (x.shape[0], 1, 1, 1))
    return jnp.where(flip, x[:, :, ::-1], x)


def symmetry(x: Shaped[Array, "b h w c"], i: int) -> Shaped[Array, "b h2 w2 c"]:
    """Applies one of the eight symmetries of a square.

    Args:
      x: images.
      i: from 0 to 7. Its binary digits say whether images are mirrored left to right (1), then
        flipped upside down (2), then transposed (4).

    Returns:
      images, with height and width exchanged if they are transposed.

    Examples:
      >>> x = jnp.arange(4.0).reshape(1, 2, 2, 1)
      >>> [symmetry(x, i).ravel().astype(int).tolist() for i in (1, 2, 4)]
      [[1, 0, 3, 2], [2, 3, 0, 1], [0, 2, 1, 3]]
    """
    check_image_shape(x)
    x = x[:, :, ::-1] if i & 1 else x
    x = x[:, ::-1] if i & 2 else x
    return x.swapaxes(1, 2) if i & 4 else x


def random_symmetry(count: int) -> Transform:
    """Applies to each image one of the first `count` symmetries, all equally likely.

    Args:
      count: 1, 2, 4, or, for square images, 8; see :func:`symmetry`.

    Returns:
      `(key, x) -> x`, of the same shape.

    Raises:
      ValueError: for another count; from the transform, if the count is 8 and images are not square.

    Examples:
      >>> turn = random_symmetry(8)
      >>> turn(jax.random.key(0), jnp.zeros((5, 3, 3, 1))).shape
      (5, 3, 3, 1)
    """
    _check_count(count)

    def turn(key: PRNGKeyArray, x: Shaped[Array, "b h w c"]) -> Shaped[Array, "b h w c"]:
        check_image_shape(x)
        if count == 8 and x.shape[1] != x.shape[2]:
            raise ValueError(
                f"only square images have 8 symmetries, and these are {x.shape[1]} x {x.shape[2]}; "
                "use 4"
            )
        bits = jax.random.randint(key, (x.shape[0], 1, 1, 1), 0, count)
        x = jnp.where(bits & 1, x[:, :, ::-1], x) if count > 1 else x
        x = jnp.where(bits & 2, x[:, ::-1], x) if count > 2 else x
        return jnp.where(bits & 4, x.swapaxes(1, 2), x) if count > 4 else x

    return turn


def self_ensemble(function: Callable[[Array], Array], count: int) -> Callable[[Array], Array]:
    r"""Averages the results of a function over symmetries of its input.

    .. math:: \frac1n \sum_i s_i^{-1}\left(f(s_i(x))\right)

    The result has these symmetries even if the function has not. Its squared error is at most the
    mean of the squared errors of the single results.

    Args:
      function: from images to images, `[b, h, w, c] -> [b, h, w, c']`.
      count: how many symmetries, as in :func:`random_symmetry`.

    Returns:
      a function with the same shapes.

    Raises:
      ValueError: for a count other than 1, 2, 4 or 8.

    Examples:
      >>> left = lambda x: x[:, :, :1] * jnp.ones_like(x)  # copies the left column everywhere
      >>> self_ensemble(left, 2)(jnp.array([0.0, 1.0]).reshape(1, 1, 2, 1)).ravel().tolist()
      [0.5, 0.5]

    References:
      Timofte, Rothe and Van Gool, `Seven Ways to Improve Example-Based Single Image Super Resolution
      <https://arxiv.org/abs/1511.02228>`_.
    """
    _check_count(count)

    def mean(x: Float[Array, "b h w c"]) -> Float[Array, "b h w c2"]:
        total = jnp.zeros(())
        for i in range(count):
            y = function(symmetry(x, i))
            # The inverse undoes the transposition first, because it was applied last.
            total = total + symmetry(y.swapaxes(1, 2) if i & 4 else y, i & 3)
        return total / count

    return mean


def _check_count(count: int) -> None:
    if count not in SYMMETRIES:
        raise ValueError(f"the number of symmetries is 1, 2, 4 or 8, not {count}")
