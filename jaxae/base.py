"""The types: an autoencoder is a handful of pure functions, and a wrapper returns the same handful."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, TypeAlias

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer, PRNGKeyArray, Shaped

Params: TypeAlias = Any
Step: TypeAlias = int | Integer[Array, ""]
Weight: TypeAlias = float | Callable[[Step], Float[Array, ""] | float]
"""A constant, or a schedule: any function of the step, such as those of optax."""


class Network(NamedTuple):
    """A function with parameters. `key=None` means that it is evaluated without dropout.

    Attributes:
      init: `(key, x) -> params`.
      apply: `(params, x, *, key=None) -> outputs`.

    Examples:
      >>> scale = Network(lambda key, x: jnp.ones(()), lambda params, x, *, key=None: params * x)
      >>> scale.apply(jnp.float32(2.0), jnp.ones(3)).tolist()
      [2.0, 2.0, 2.0]
    """

    init: Callable[[PRNGKeyArray, Array], Params]
    apply: Callable[..., Array]


class Likelihood(NamedTuple):
    """How the outputs of a decoder describe an image.

    Attributes:
      log_prob: `(outputs, target) -> [b]`, in nats per example, summed over pixels, constants included.
      mean: `outputs -> image`, the mean of the distribution, in [0, 1].
      outputs: how many outputs the decoder gives for each value of the image; above one they are
        the last axis of `outputs`.
      levels: how many values a pixel can take, where the distribution is over a finite set; None
        where `log_prob` is a density.
    """

    log_prob: Callable[[Array, Array], Array]
    mean: Callable[[Array], Array]
    outputs: int = 1
    levels: int | None = None


class Output(NamedTuple):
    """What a loss returns.

    Attributes:
      loss: `[b]`, the objective of each example in nats; training minimises its mean.
      terms: its named, unweighted pieces, each `[b]`.
      latent: `[b, d]`, the codes it was computed at, so that a wrapper need not encode again.
    """

    loss: Float[Array, " b"]
    terms: Mapping[str, Float[Array, " b"]]
    latent: Float[Array, "b d"]

    def add(
        self, name: str, value: Float[Array, " b"], weight: float | Float[Array, ""] = 1.0
    ) -> Output:
        """The same output with `weight * value` added to the loss and `value` to the terms.

        Raises:
          ValueError: if there is a term of that name already.

        Examples:
          >>> out = Output(jnp.ones(2), {"distortion": jnp.ones(2)}, jnp.zeros((2, 1)))
          >>> out.add("penalty", jnp.ones(2), 0.5).loss.tolist()
          [1.5, 1.5]
        """
        return Output(self.loss + weight * value, merge(self.terms, {name: value}), self.latent)


class Labelled(NamedTuple):
    """A target that has a label: for losses that use labels around those that reconstruct.

    Attributes:
      image: what has to be reconstructed, `[b, h, w, c]`.
      label: the class of each example, `[b]`; -1 where it is not known.
    """

    image: Array
    label: Integer[Array, " b"]


Target: TypeAlias = Array | Labelled | None
"""What a loss aims at: images; labels, `[b]`; images with labels; or the input itself, None."""


def what_and_label(x: Array, target: Target) -> tuple[Array, Array | None]:
    """The images that have to be reconstructed, and the labels, if the target has any.

    Examples:
      >>> x = jnp.zeros((2, 8, 8, 1))
      >>> image, label = what_and_label(x, jnp.array([3, -1]))
      >>> image is x, label.tolist()
      (True, [3, -1])
    """
    if target is None:
        return x, None
    if isinstance(target, Labelled):
        return target.image, target.label
    return (x, target) if target.ndim == 1 else (target, None)


class LossFn(Protocol):
    """`(params, key, x, *, target=None, step=0, train=True) -> Output`."""

    def __call__(
        self,
        params: Params,
        key: PRNGKeyArray,
        x: Array,
        *,
        target: Target = None,
        step: Step = 0,
        train: bool = True,
    ) -> Output: ...


class LogWeightFn(Protocol):
    """`(params, key, x, *, target=None) -> [b]`."""

    def __call__(
        self, params: Params, key: PRNGKeyArray, x: Array, *, target: Target = None
    ) -> Array: ...


class Autoencoder(NamedTuple):
    """Pure functions that share parameters: built once, closed over, never passed through `jit`.

    Attributes:
      init: `(key, x) -> params`, a dict with one entry for each network.
      encode: `(params, x) -> z`, `[b, d]`, deterministic (the posterior mean of a VAE).
      decode: `(params, z) -> image`, the mean of the likelihood.
      loss: `(params, key, x, *, target=None, step=0, train=True) -> Output`. `x` is what the
        encoder sees, `target` what has to be reconstructed (`x` itself when None), `step` what
        schedules of weights are read at, and `train` turns dropout on.
      sample: `(params, key, n) -> images`; None where the model has no prior.
      log_weight: `(params, key, x, *, target=None) -> [b]`, log p(target, z) - log q(z | x) at one
        draw of z from q(z | x), in nats; None where the model has no posterior.
    """

    init: Callable[[PRNGKeyArray, Array], Params]
    encode: Callable[[Params, Array], Array]
    decode: Callable[[Params, Array], Array]
    loss: LossFn
    sample: Callable[[Params, PRNGKeyArray, int], Array] | None = None
    log_weight: LogWeightFn | None = None


def at_step(weight: Weight, step: Step) -> Float[Array, ""]:
    """The value of a constant or scheduled weight at a step, in float32.

    Examples:
      >>> float(at_step(2.0, 7)), float(at_step(lambda step: 0.5 * step, 3))
      (2.0, 1.5)
    """
    return jnp.asarray(weight(step) if callable(weight) else weight, jnp.float32)


def check_weights(**weights: Weight) -> None:
    """Raises a `ValueError` for a constant that is negative or not finite, by its name.

    Examples:
      >>> check_weights(beta=1.0, r1=lambda step: 0.5)
      >>> check_weights(beta=-1.0)
      Traceback (most recent call last):
      ValueError: beta must be finite and not negative, got -1.0
    """
    for name, weight in weights.items():
        if not callable(weight) and not 0 <= weight < math.inf:
            raise ValueError(f"{name} must be finite and not negative, got {weight}")


def merge(*trees: Mapping[str, Any]) -> dict[str, Any]:
    """The union of dicts; a name used twice is an error, so that no parameters overwrite others.

    Raises:
      ValueError: naming the keys that occur twice.

    Examples:
      >>> merge({"encoder": 1}, {"decoder": 2})
      {'encoder': 1, 'decoder': 2}
    """
    merged: dict[str, Any] = {}
    for tree in trees:
        if twice := sorted(merged.keys() & tree.keys()):
            raise ValueError(f"the name {', '.join(map(repr, twice))} is used twice in one model")
        merged.update(tree)
    return merged


def reconstruct(model: Autoencoder, params: Params, x: Float[Array, "b ..."]) -> Array:
    """Images decoded from the codes of `x`: `decode(encode(x))`, deterministic.

    Args:
      model: any autoencoder.
      params: its parameters.
      x: images in [0, 1], `[b, h, w, c]`.

    Returns:
      images of the same shape.
    """
    return model.decode(params, model.encode(params, x))


def as_float(
    images: Shaped[Array | np.ndarray, "*b"],
) -> Float[Array, "*b"]:
    """Images as float32 in [0, 1]: bytes are divided by 255, floats are taken as they are.

    Raises:
      ValueError: if they are of another type.

    Examples:
      >>> as_float(jnp.array([0, 255], jnp.uint8)).tolist()
      [0.0, 1.0]
    """
    images = jnp.asarray(images)
    if images.dtype == jnp.uint8:
        return images.astype(jnp.float32) / 255
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise ValueError(f"images are bytes (uint8) or floats, not {images.dtype}")
    return images.astype(jnp.float32)


def soft_clip(x: Float[Array, "*b"], bound: float) -> Float[Array, "*b"]:
    r"""Bounds `x` to (-bound, bound) and keeps a gradient everywhere, in float32.

    .. math:: \tfrac{2b}{\pi} \arctan\!\left(\tfrac{\pi x}{2b}\right)

    The slope is one at zero and falls off as `1 / x**2`, so that a value far outside still comes
    back; behind a tanh or a hard clip it would be stuck.

    Examples:
      >>> [round(float(value), 2) for value in soft_clip(jnp.array([0.0, 1.0, 1e4]), 10.0)]
      [0.0, 0.99, 10.0]
    """
    scale = 2 * bound / jnp.pi
    return scale * jnp.arctan(x.astype(jnp.float32) / scale)
