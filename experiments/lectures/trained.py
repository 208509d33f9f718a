"""Measurements of runs that other rows have trained, through `jaxae.load_run`."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxae
from jaxae.analysis.latent_report import completeness
from jaxae.runs.folder import Run

PAIRS = 400
"""Pairs of test images of different classes."""


def halfway(run: Run) -> dict[str, float]:
    """How realistic images halfway between two test images are, in pixels and in codes.

    `precision` is the fraction of these images that lie in a ball around a test image which reaches to
    its third nearest other test image.
    """
    loaded = {
        name: jaxae.load_run(run.directory.with_name("latent-space"), part=name)
        for name in ("AE", "VAE")
    }
    test = loaded["VAE"].load_data().test
    images, labels = _floats(test.images), np.asarray(test.labels)
    order = np.random.default_rng(0).permutation(len(images))
    first, second = order[: 2 * PAIRS].reshape(2, -1)
    differ = labels[first] != labels[second]
    first, second = first[differ], second[differ]
    n = min(len(first), len(images) // 3)
    first, second = first[:n], second[:n]
    found = {"pixels": (images[first] + images[second]) / 2}
    for name, one in loaded.items():
        codes = one.encode(images)
        found[name] = one.decode((codes[first] + codes[second]) / 2)
    rest = np.setdiff1d(order, [*first, *second])
    half = len(rest) // 2
    real, others = images[rest[:half]].reshape(half, -1), images[rest[half : 2 * half]]
    results: dict[str, float] = {}
    for name, between in found.items():
        scores = completeness(between.reshape(n, -1), real, others.reshape(half, -1))
        results |= {f"{name}/{key}": value for key, value in scores.items()}
    return results


def widths(run: Run) -> dict[str, float]:
    """The width of the posteriors of a VAE without and with a weight on the KL divergence.

    `width` is the median standard deviation of q(z | x), and `spread` that of the means.
    """
    results: dict[str, float] = {}
    for name in ("VAE", "VAE-beta-0"):
        one = jaxae.load_run(run.directory.with_name("latent-space"), part=name)
        posterior = one.model.model.posterior
        assert posterior is not None
        images = jnp.asarray(_floats(one.load_data().test.images[:500]))
        mean, log_var = jax.jit(lambda p, x, of=posterior: of(p, jaxae.Batch(x)).stats)(
            one.params, images
        )
        results[f"{name}/width"] = float(np.median(np.exp(0.5 * np.asarray(log_var))))
        results[f"{name}/spread"] = float(np.median(np.asarray(mean).std(axis=0)))
    return results


def sampled_faces(run: Run) -> dict[str, float]:
    """How realistic sampled faces are, compared with faces that average two others."""
    one = jaxae.load_run(run.directory.with_name("faces"))
    faces = _floats(one.load_data().train.images)
    n = min(500, len(faces) // 3)
    real, others = faces[:n].reshape(n, -1), faces[n : 2 * n].reshape(n, -1)
    first = faces[2 * n : 3 * n].reshape(n, -1)
    drawn = {
        "samples": one.sample(n).reshape(n, -1),
        # Pixels of different faces: what has the right values in each pixel, and is no face.
        "scrambled": np.stack([np.random.default_rng(0).permutation(p) for p in first.T], axis=1),
    }
    return {
        f"{name}/{key}": value
        for name, images in drawn.items()
        for key, value in completeness(images, real, others).items()
    }


def _floats(images: Any) -> np.ndarray:
    return np.asarray(jaxae.as_float(jnp.asarray(images[:])))
