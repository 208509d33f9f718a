"""Scores of images that were computed from others, compared with the true images."""

import math
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

import jaxae
from experiments.shared import datasets
from jaxae.data.corruptions import Corruption
from jaxae.runs.pictures import Painter

Scores = Callable[[jax.Array, jax.Array, jax.Array], Mapping[str, jax.Array]]
"""`(truth, image, seen) -> {name: [b]}`: further scores of images, given what the network was shown."""

BATCH = 250
"""Images that are corrupted and scored at a time."""
SSIM_WINDOW = 11
LEAST_ERROR = 1e-10
"""The PSNR of a single image is at most 100 decibels; for a perfect image it would be infinite."""


def corrupted(corrupt: Corruption, x: np.ndarray) -> np.ndarray:
    """Corrupted test images, with the same random numbers for every run and every method."""
    key = jax.random.key(datasets.TEST_SEED)
    run = jax.jit(corrupt)
    return np.concatenate(
        [
            np.asarray(run(jax.random.fold_in(key, i), jaxae.as_float(x[i : i + BATCH])))
            for i in range(0, len(x), BATCH)
        ]
    )


def measure(
    pairs: tuple[np.ndarray, np.ndarray], paint: Painter, scores: Scores
) -> dict[str, float]:
    """Mean scores of a method; its images are clipped to [0, 1].

    Args:
      pairs: what the method is given, and the true images.
      paint: the method.
      scores: further scores. The error of missing pixels only is computed from `hole_error` and
        `hole_values`, if there are any.
    """
    seen, truth = pairs
    has_ssim = min(truth.shape[1:3]) >= SSIM_WINDOW
    parts: dict[str, list[np.ndarray]] = {}
    values = math.prod(truth.shape[1:])
    for i in range(0, len(truth), BATCH):
        x, x_seen = (jaxae.as_float(part[i : i + BATCH]) for part in (truth, seen))
        y = jnp.clip(jnp.asarray(paint(x_seen)), 0, 1)
        found = {"mse": jaxae.analysis.squared_error(x, y) / values}
        if has_ssim:
            found["ssim"] = jaxae.analysis.ssim(x, y)
        for name, score in (found | dict(scores(x, y, x_seen))).items():
            parts.setdefault(name, []).append(np.asarray(score))
    per_image = {name: np.concatenate(part) for name, part in parts.items()}
    results = jaxae.training.means(per_image)
    results["psnr"] = jaxae.analysis.psnr(results["mse"])
    image_psnr = -10 * np.log10(np.maximum(per_image["mse"], LEAST_ERROR))
    results["image_psnr"] = float(image_psnr.mean(dtype=np.float64))
    if "hole_values" in per_image:
        # Holes differ in size, so the mean is over missing values and not over images.
        error = float(per_image["hole_error"].sum(dtype=np.float64))
        results["hole_mse"] = error / float(per_image["hole_values"].sum(dtype=np.float64))
        results["hole_psnr"] = jaxae.analysis.psnr(results["hole_mse"])
        del results["hole_error"], results["hole_values"]
    return results
