"""The Inception network of the FID. Its weights are read from a file and never downloaded."""

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Shaped

from jaxae.data.archives import array_names, read_arrays
from jaxae.data.messages import first_line
from jaxae.numeric import as_images

Weights = Mapping[str, Array | np.ndarray]
SIZE, FEATURES = 299, 2048
"""Height and width of the images that the network sees, and its number of features."""

FIRST, LAST = "Conv2d_1a_3x3.conv.weight", "Mixed_7c.branch_pool.conv.weight"
INSTRUCTIONS = (
    "the weights of the FID's Inception network must be an .npz file with the arrays of "
    "pt_inception-2015-12-05-6726825d.pth under their names; torch converts it: "
    "np.savez('inception.npz', **{k: v.numpy() for k, v in torch.load(path).items()})"
)


def fid_features(
    path: str | Path,
) -> Callable[[Shaped[Array | np.ndarray, "b h w c"]], Float[Array, "b d"]]:
    """The function from images to the Inception features of the FID.

    Images of any size, grey or RGB, are resized to 299 x 299 pixels (bilinear, without antialiasing),
    as in the training of the weights. The 2,048 features are the output of the last pooling.

    Args:
      path: of an .npz file with the weights that the usual implementations in torch use, under
        their names (`Conv2d_1a_3x3.conv.weight` and so on).

    Returns:
      a pure function from images, `[b, h, w, 1]` or `[b, h, w, 3]`, bytes or floats in [0, 1], to
      features, `[b, 2048]`.

    Raises:
      ValueError: if there is no such file, or it does not hold these weights; the message says how to
        make it. From the function: if images have another number of channels.

    Examples:
      >>> fid_features("nowhere.npz")  # doctest: +ELLIPSIS
      Traceback (most recent call last):
      ValueError: there is no file nowhere.npz; the weights of the FID's Inception network must be ...

    References:
      Szegedy et al., `Rethinking the Inception Architecture <https://arxiv.org/abs/1512.00567>`_;
      Heusel et al., `GANs Trained by a Two Time-Scale Update Rule <https://arxiv.org/abs/1706.08500>`_.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"there is no file {path}; {INSTRUCTIONS}")
    try:
        with zipfile.ZipFile(path) as archive:
            weights = read_arrays(archive, array_names(archive))
    except Exception as error:  # of zipfile, zlib, struct and numpy's own parser
        raise ValueError(
            f"{path} cannot be read as an .npz file ({first_line(error)}); {INSTRUCTIONS}"
        ) from error
    if missing := [name for name in (FIRST, LAST) if name not in weights]:
        raise ValueError(f"{path} has no array {missing[0]}; {INSTRUCTIONS}")
    on_device = {name: jnp.asarray(value) for name, value in weights.items()}
    return lambda images: features(on_device, images)


def features(
    weights: Weights, images: Shaped[Array | np.ndarray, "b h w c"]
) -> Float[Array, "b d"]:
    """The output of the last pooling of the network; see :func:`fid_features`."""
    if images.shape[-1] not in (1, 3):
        raise ValueError(
            f"the Inception network sees images with 1 or 3 channels, got {images.shape[-1]}"
        )
    x = as_images(images)
    x = jnp.broadcast_to(x, (*x.shape[:3], 3))
    x = jax.image.resize(x, (len(x), SIZE, SIZE, 3), "linear", antialias=False)
    x = 2 * x - 1

    def conv(name: str, x: Array, *, stride: int = 1, padding: str = "SAME") -> Array:
        return _conv(weights, name, x, stride, padding)

    def block_a(name: str, x: Array) -> Array:
        return jnp.concatenate(
            [
                conv(f"{name}.branch1x1", x),
                conv(f"{name}.branch5x5_2", conv(f"{name}.branch5x5_1", x)),
                _double_3x3(conv, f"{name}.branch3x3dbl", x),
                conv(f"{name}.branch_pool", _average_pool(x)),
            ],
            axis=-1,
        )

    def block_c(name: str, x: Array) -> Array:
        seven, twice = x, x
        for i in (1, 2, 3):
            seven = conv(f"{name}.branch7x7_{i}", seven)
        for i in (1, 2, 3, 4, 5):
            twice = conv(f"{name}.branch7x7dbl_{i}", twice)
        rest = conv(f"{name}.branch_pool", _average_pool(x))
        return jnp.concatenate([conv(f"{name}.branch1x1", x), seven, twice, rest], axis=-1)

    def block_e(name: str, x: Array, pool: Callable[[Array], Array]) -> Array:
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
    x = _max_pool(conv("Conv2d_2b_3x3", x), stride=2, padding="VALID")
    x = conv("Conv2d_4a_3x3", conv("Conv2d_3b_1x1", x), padding="VALID")
    x = _max_pool(x, stride=2, padding="VALID")
    for name in ("Mixed_5b", "Mixed_5c", "Mixed_5d"):
        x = block_a(name, x)
    x = jnp.concatenate(
        [
            conv("Mixed_6a.branch3x3", x, stride=2, padding="VALID"),
            _double_3x3(conv, "Mixed_6a.branch3x3dbl", x, stride=2, padding="VALID"),
            _max_pool(x, stride=2, padding="VALID"),
        ],
        axis=-1,
    )
    for name in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
        x = block_c(name, x)
    three, seven = conv("Mixed_7a.branch3x3_1", x), x
    for i in (1, 2, 3):
        seven = conv(f"Mixed_7a.branch7x7x3_{i}", seven)
    x = jnp.concatenate(
        [
            conv("Mixed_7a.branch3x3_2", three, stride=2, padding="VALID"),
            conv("Mixed_7a.branch7x7x3_4", seven, stride=2, padding="VALID"),
            _max_pool(x, stride=2, padding="VALID"),
        ],
        axis=-1,
    )
    x = block_e("Mixed_7b", x, _average_pool)
    # The weights were trained with a maximum here, unlike the published architecture.
    x = block_e("Mixed_7c", x, _max_pool)
    return jnp.mean(x, axis=(1, 2))


def _double_3x3(
    conv: Callable[..., Array], name: str, x: Array, *, stride: int = 1, padding: str = "SAME"
) -> Array:
    x = conv(f"{name}_2", conv(f"{name}_1", x))
    return conv(f"{name}_3", x, stride=stride, padding=padding)


def _conv(weights: Weights, name: str, x: Array, stride: int, padding: str) -> Array:
    """A convolution, batch normalisation with the stored statistics, and ReLU."""
    try:
        kernel, scale, shift, mean, variance = (
            jnp.asarray(weights[f"{name}.{part}"])
            for part in ("conv.weight", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")
        )
    except KeyError as error:
        raise ValueError(
            f"the weights of the Inception network lack {error}; {INSTRUCTIONS}"
        ) from error
    layout = ("NHWC", "OIHW", "NHWC")
    x = lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        padding,
        dimension_numbers=layout,
        precision=lax.Precision.HIGHEST,  # otherwise the FID would depend on the device
    )
    factor = scale * lax.rsqrt(variance + 1e-3)
    return jax.nn.relu((x - mean) * factor + shift)


def _average_pool(x: Array) -> Array:
    """The mean over 3 x 3 pixels; pixels outside the image do not count."""
    window, stride = (1, 3, 3, 1), (1, 1, 1, 1)
    total = lax.reduce_window(x, 0.0, lax.add, window, stride, "SAME")
    ones = jnp.ones((1, *x.shape[1:3], 1), x.dtype)
    return total / lax.reduce_window(ones, 0.0, lax.add, window, stride, "SAME")


def _max_pool(x: Array, *, stride: int = 1, padding: str = "SAME") -> Array:
    window, strides = (1, 3, 3, 1), (1, stride, stride, 1)
    return lax.reduce_window(x, -jnp.inf, lax.max, window, strides, padding)
