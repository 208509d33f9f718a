"""The Inception network of the FID, from weights of the user's own: nothing is downloaded."""

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

Weights = Mapping[str, Array | np.ndarray]
SIZE, FEATURES = 299, 2048
"""The side of the images that the network sees, and how many features it gives."""

LAST = "Mixed_7c.branch_pool.conv.weight"
WANTED = (
    "the weights of the FID's Inception network are an .npz file of the arrays in "
    "pt_inception-2015-12-05-6726825d.pth, with their names, which torch writes: "
    "np.savez('inception.npz', **{k: v.numpy() for k, v in torch.load(path).items()})"
)


def fid_features(path: str | Path) -> Callable[[Float[Array, "b h w c"]], Float[Array, "b d"]]:
    """The features over which the Fréchet distance is the FID, as a function of images.

    Images of any size, grey or in colour, in [0, 1], are resized to 299 x 299 (bilinear, without
    antialiasing), as the weights were made for; the 2,048 features are those of the last pooling.

    Args:
      path: of an .npz file of the weights that the common implementations in torch use, under
        their names (`Conv2d_1a_3x3.conv.weight` and so on).

    Returns:
      `images -> features`, `[b, 2048]`, pure.

    Raises:
      ValueError: if the file is not there or not one of these weights; the message says how to make it.

    Examples:
      >>> fid_features("nowhere.npz")  # doctest: +ELLIPSIS
      Traceback (most recent call last):
      ValueError: there is no file nowhere.npz; the weights of the FID's Inception network are ...

    References:
      Szegedy et al., `Rethinking the Inception Architecture <https://arxiv.org/abs/1512.00567>`_;
      Heusel et al., `GANs Trained by a Two Time-Scale Update Rule <https://arxiv.org/abs/1706.08500>`_.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"there is no file {path}; {WANTED}")
    try:
        with np.load(path, allow_pickle=False) as file:
            weights = {name: np.asarray(file[name]) for name in file.files}
    except (ValueError, OSError, zipfile.BadZipFile, AttributeError, TypeError) as error:
        raise ValueError(f"{path} cannot be read as an .npz file; {WANTED}") from error
    if missing := [name for name in ("Conv2d_1a_3x3.conv.weight", LAST) if name not in weights]:
        raise ValueError(f"{path} has no {missing[0]}; {WANTED}")
    held = {name: jnp.asarray(value) for name, value in weights.items()}
    return lambda images: features(held, images)


def features(weights: Weights, images: Float[Array, "b h w c"]) -> Float[Array, "b d"]:
    """What the network sees of images in [0, 1]; see :func:`fid_features`."""
    grey = jnp.mean(images, axis=-1, keepdims=True)
    x = images if images.shape[-1] == 3 else jnp.repeat(grey, 3, axis=-1)
    x = jax.image.resize(x, (len(x), SIZE, SIZE, 3), "linear", antialias=False)
    x = 2 * x - 1

    def conv(name: str, x: Array, *, stride: int = 1, padding: str = "SAME") -> Array:
        return _conv(weights, name, x, stride, padding)

    def a(name: str, x: Array) -> Array:
        return jnp.concatenate(
            [
                conv(f"{name}.branch1x1", x),
                conv(f"{name}.branch5x5_2", conv(f"{name}.branch5x5_1", x)),
                _double(conv, f"{name}.branch3x3dbl", x),
                conv(f"{name}.branch_pool", _average(x)),
            ],
            axis=-1,
        )

    def c(name: str, x: Array) -> Array:
        seven, twice = x, x
        for i in (1, 2, 3):
            seven = conv(f"{name}.branch7x7_{i}", seven)
        for i in (1, 2, 3, 4, 5):
            twice = conv(f"{name}.branch7x7dbl_{i}", twice)
        rest = conv(f"{name}.branch_pool", _average(x))
        return jnp.concatenate([conv(f"{name}.branch1x1", x), seven, twice, rest], axis=-1)

    def e(name: str, x: Array, pool: Callable[[Array], Array]) -> Array:
        three = conv(f"{name}.branch3x3_1", x)
        twice = conv(f"{name}.branch3x3dbl_2", conv(f"{name}.branch3x3dbl_1", x))
        return jnp.concatenate(
            [
                conv(f"{name}.branch1x1", x),
                conv(f"{name}.branch3x3_2a", three),
                conv(f"{name}.branch3x3_2b", three),
                conv(f"{name}.branch3x3dbl_3a", twice),
                conv(f"{name}.branch3x3dbl_3b", twice),
                conv(f"{name}.branch_pool", pool(x)),
            ],
            axis=-1,
        )

    x = conv("Conv2d_1a_3x3", x, stride=2, padding="VALID")
    x = conv("Conv2d_2a_3x3", x, padding="VALID")
    x = _largest(conv("Conv2d_2b_3x3", x), stride=2, padding="VALID")
    x = conv("Conv2d_4a_3x3", conv("Conv2d_3b_1x1", x), padding="VALID")
    x = _largest(x, stride=2, padding="VALID")
    for name in ("Mixed_5b", "Mixed_5c", "Mixed_5d"):
        x = a(name, x)
    x = jnp.concatenate(
        [
            conv("Mixed_6a.branch3x3", x, stride=2, padding="VALID"),
            _double(conv, "Mixed_6a.branch3x3dbl", x, stride=2, padding="VALID"),
            _largest(x, stride=2, padding="VALID"),
        ],
        axis=-1,
    )
    for name in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
        x = c(name, x)
    three, seven = conv("Mixed_7a.branch3x3_1", x), x
    for i in (1, 2, 3):
        seven = conv(f"Mixed_7a.branch7x7x3_{i}", seven)
    x = jnp.concatenate(
        [
            conv("Mixed_7a.branch3x3_2", three, stride=2, padding="VALID"),
            conv("Mixed_7a.branch7x7x3_4", seven, stride=2, padding="VALID"),
            _largest(x, stride=2, padding="VALID"),
        ],
        axis=-1,
    )
    x = e("Mixed_7b", x, _average)
    # The weights were made for a network that takes the largest here, by mistake or not.
    x = e("Mixed_7c", x, _largest)
    return jnp.mean(x, axis=(1, 2))


def _double(
    conv: Callable[..., Array], name: str, x: Array, *, stride: int = 1, padding: str = "SAME"
) -> Array:
    x = conv(f"{name}_2", conv(f"{name}_1", x))
    return conv(f"{name}_3", x, stride=stride, padding=padding)


def _conv(weights: Weights, name: str, x: Array, stride: int, padding: str) -> Array:
    """A convolution, batch normalisation by what the weights remember, and what is positive of it."""
    try:
        kernel, scale, shift, mean, variance = (
            jnp.asarray(weights[f"{name}.{part}"])
            for part in ("conv.weight", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")
        )
    except KeyError as error:
        raise ValueError(f"the weights of the Inception network lack {error}") from error
    layout = ("NHWC", "OIHW", "NHWC")
    x = lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        padding,
        dimension_numbers=layout,
        precision=lax.Precision.HIGHEST,  # or the FID would depend on the device
    )
    factor = scale * lax.rsqrt(variance + 1e-3)
    return jax.nn.relu((x - mean) * factor + shift)


def _average(x: Array) -> Array:
    """The mean of 3 x 3 pixels, of those that there are."""
    window, stride = (1, 3, 3, 1), (1, 1, 1, 1)
    total = lax.reduce_window(x, 0.0, lax.add, window, stride, "SAME")
    ones = jnp.ones((1, *x.shape[1:3], 1), x.dtype)
    return total / lax.reduce_window(ones, 0.0, lax.add, window, stride, "SAME")


def _largest(x: Array, *, stride: int = 1, padding: str = "SAME") -> Array:
    window, strides = (1, 3, 3, 1), (1, stride, stride, 1)
    return lax.reduce_window(x, -jnp.inf, lax.max, window, strides, padding)
