"""Encoding, decoding, reconstructing, sampling and scoring many examples, one batch after another."""

import math
from collections.abc import Callable, Mapping
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from jaxae.analysis.reconstruction import psnr, squared_error
from jaxae.base import Batch, Params, Tree
from jaxae.composition import Autoencoder, as_batch
from jaxae.composition import reconstruct as _reconstruct
from jaxae.runtime import sharding
from jaxae.training.evaluation import Score, make_evaluate, means

BATCH_SIZE = 500
LEAST_MSE = 1e-10
"""A mean squared error of single precision that counts as zero: 100 dB."""


def encode(
    model: Autoencoder, params: Params, x: Batch | Tree, *, batch_size: int = BATCH_SIZE
) -> Tree:
    """The codes of many examples.

    Args:
      model: any autoencoder with an encoder.
      params: its parameters.
      x: examples, bytes or floats.
      batch_size: how many are encoded together.

    Returns:
      the means of the posterior, on the host, leaves `[n, ...]`.
    """
    return in_batches(model.encode, params, x, batch_size=batch_size)


def decode(
    model: Autoencoder,
    params: Params,
    z: Tree,
    *,
    clip: bool = True,
    batch_size: int = BATCH_SIZE,
) -> Tree:
    """The images of many codes.

    Args:
      model: any autoencoder.
      params: its parameters.
      z: codes, leaves `[n, ...]`.
      clip: whether values are clipped to [0, 1], the range of an image.
      batch_size: how many codes are decoded together.

    Returns:
      the means of the likelihood, on the host, leaves `[n, ...]`.
    """
    return _clipped(in_batches(model.decode, params, z, batch_size=batch_size), clip)


def reconstruct(
    model: Autoencoder,
    params: Params,
    x: Batch | Tree,
    *,
    clip: bool = True,
    batch_size: int = BATCH_SIZE,
) -> Tree:
    """The reconstructions of many examples.

    Args:
      model: any autoencoder with an encoder.
      params: its parameters.
      x: examples, bytes or floats.
      clip: whether values are clipped to [0, 1], the range of an image.
      batch_size: how many are reconstructed together.

    Returns:
      the means of the likelihood, on the host, leaves `[n, ...]`.
    """
    decoded = in_batches(partial(_reconstruct, model), params, x, batch_size=batch_size)
    return _clipped(decoded, clip)


def sample(
    model: Autoencoder, params: Params, key: PRNGKeyArray, n: int, *, clip: bool = True
) -> Tree:
    """Decoded draws from the prior, all in one batch.

    Args:
      model: any autoencoder with a prior.
      params: its parameters.
      key: for the draws.
      n: how many.
      clip: whether values are clipped to [0, 1], the range of an image.

    Returns:
      the means of the likelihood, on the host, leaves `[n, ...]`.

    Raises:
      ValueError: if the model has no prior.
    """
    return _clipped(jax.device_get(jax.jit(model.sample, static_argnums=2)(params, key, n)), clip)


def squared_errors(
    model: Autoencoder, params: Params, x: Batch | Tree, *, batch_size: int = 256
) -> tuple[float, float]:
    """The mean squared error of an image, summed over its pixels.

    Returns:
      the error of the images as they are decoded, and that of the images clipped to [0, 1].
    """

    def errors(params: Params, key: PRNGKeyArray, x: Batch | Tree) -> dict[str, Array]:
        target = as_batch(x).x
        y = _reconstruct(model, params, x)
        return {
            "decoded": squared_error(target, y),
            "clipped": squared_error(target, jnp.clip(y, 0, 1)),
        }

    # The score is deterministic, and so does not depend on the key.
    scores = make_evaluate(errors, batch_size=batch_size)(params, jax.random.key(0), x)
    found = means(scores)
    return found["decoded"], found["clipped"]


def evaluate(
    model: Autoencoder,
    params: Params,
    key: PRNGKeyArray,
    x: Batch | Tree,
    *,
    step: int = 0,
    score: Score | None = None,
    batch_size: int = 256,
) -> dict[str, float]:
    """The mean loss, its terms, and the reconstruction error of many images.

    Args:
      model: any autoencoder with an encoder.
      params: its parameters.
      key: for the draws of the loss and of `score`; with the same key the results are the same.
      x: images, bytes or floats in [0, 1].
      step: the step at which schedules of weights are read.
      score: more measures of each example, `(params, key, x) -> {name: [b]}`.
      batch_size: how many are evaluated together; if `model.coupled`, the loss depends on it, and the
        batch size of the training gives comparable values.

    Returns:
      the means over all examples: `loss`, the terms and metrics of the loss, the measures of `score`,
      `squared_error` (of clipped reconstructions, summed over an image), `mse` (per value) and
      `psnr` (of the mean squared error, in dB, see :func:`decibels`).
    """

    def scores(params: Params, key: PRNGKeyArray, x: Batch | Tree) -> dict[str, Array]:
        loss_key, score_key = jax.random.split(key)
        out = model.loss(params, loss_key, x, step=step, train=False)
        y = jnp.clip(_reconstruct(model, params, x), 0, 1)
        more: Mapping[str, Array] = {} if score is None else score(params, score_key, x)
        error = squared_error(as_batch(x).x, y)
        return {"loss": out.loss, **out.terms, **out.metrics, **more, "squared_error": error}

    evaluator = make_evaluate(scores, batch_size=batch_size, mesh=sharding.local_mesh())
    results = means(evaluator(params, key, x))
    target = x.x if isinstance(x, Batch) else x
    results["mse"] = results["squared_error"] / math.prod(target.shape[1:])
    results["psnr"] = decibels(results["mse"])
    return results


def decibels(mse: float) -> float:
    """The PSNR of images in [0, 1], at most 100 dB, so that an error of zero has one.

    Examples:
      >>> decibels(0.01), decibels(0.0)
      (20.0, 100.0)
    """
    return psnr(max(mse, LEAST_MSE))


def in_batches(
    function: Callable[[Params, Tree], Tree],
    params: Params,
    x: Batch | Tree,
    *,
    batch_size: int = BATCH_SIZE,
) -> Tree:
    """Applies a pure function to many examples, one batch after another.

    Args:
      function: `(params, x) -> y`, of trees of arrays whose first axis is the example; it is compiled.
      params: its first argument.
      x: the examples, a tree of arrays or a :class:`jaxae.Batch`.
      batch_size: how many examples it is applied to at once.

    Returns:
      what the function returns for all of them, on the host.

    Raises:
      ValueError: if there are no examples, or arrays that are not of numbers.

    Examples:
      >>> in_batches(lambda scale, x: scale * x, 2, np.arange(5), batch_size=2).tolist()
      [0, 2, 4, 6, 8]
    """
    compiled = jax.jit(function)
    leaves = [
        leaf if isinstance(leaf, jax.Array) else np.asarray(leaf) for leaf in jax.tree.leaves(x)
    ]
    if any(leaf.dtype.kind in "OSU" for leaf in leaves):
        raise ValueError("the examples are not arrays of numbers")
    n = len(leaves[0]) if leaves and leaves[0].ndim else 0
    if n == 0:
        raise ValueError(
            "there are no examples: the first axis of their arrays has to be that of examples"
        )
    parts = [
        jax.device_get(compiled(params, jax.tree.map(lambda leaf: leaf[i : i + batch_size], x)))  # noqa: B023
        for i in range(0, n, batch_size)
    ]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)


def _clipped(y: Tree, clip: bool) -> Tree:
    return jax.tree.map(lambda leaf: np.clip(leaf, 0, 1), y) if clip else y
