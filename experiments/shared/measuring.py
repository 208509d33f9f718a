"""Images made by a network from other images, and how close they are to the truth."""

import math
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

import jaxae
from experiments.shared.datasets import TEST_SEED
from jaxae.data.corruptions import Corruption
from jaxae.runs.inference import LEAST_MSE, decibels
from jaxae.runs.pictures import Painter

Scores = Callable[[jax.Array, jax.Array, jax.Array], Mapping[str, jax.Array]]
"""`(truth, image, seen) -> {name: [b]}`."""

SSIM_WINDOW = 11
BATCH = 250
"""The number of images that are corrupted and scored together."""


def corrupted(corrupt: Corruption, x: np.ndarray) -> np.ndarray:
    """Corrupted test images, the same for all runs and methods."""
    key = jax.random.key(TEST_SEED)
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
    """Measures of images, clipped to [0, 1], against the truth."""
    seen, truth = pairs
    fits = min(truth.shape[1:3]) >= SSIM_WINDOW
    parts: dict[str, list[np.ndarray]] = {}
    values = math.prod(truth.shape[1:])
    for i in range(0, len(truth), BATCH):
        x, x_seen = (jaxae.as_float(part[i : i + BATCH]) for part in (truth, seen))
        y = jnp.clip(jnp.asarray(paint(x_seen)), 0, 1)
        found = {"mse": jaxae.analysis.squared_error(x, y) / values}
        if fits:
            found["ssim"] = jaxae.analysis.ssim(x, y)
        for name, score in (found | dict(scores(x, y, x_seen))).items():
            parts.setdefault(name, []).append(np.asarray(score))
    every = {name: np.concatenate(part) for name, part in parts.items()}
    results = jaxae.training.means(every)
    results["psnr"] = decibels(results["mse"])
    own = -10 * np.log10(np.maximum(every["mse"], LEAST_MSE))
    results["image_psnr"] = float(own.mean(dtype=np.float64))
    if "hole_values" in every:
        # Holes differ in size, so this is the error of all missing values together.
        error = float(every["hole_error"].sum(dtype=np.float64))
        results["hole_mse"] = error / float(every["hole_values"].sum(dtype=np.float64))
        results["hole_psnr"] = decibels(results["hole_mse"])
        del results["hole_error"], results["hole_values"]
    return results
