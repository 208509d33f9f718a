"""Measurements of runs that other rows have trained, through `jaxae.load_run`."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.neighbors import KNeighborsClassifier

import jaxae
from jaxae.analysis.latent_report import completeness
from jaxae.runs import curves, figures
from jaxae.runs.folder import Run

PAIRS, NEIGHBOURS = 400, 10
"""Pairs of test images, and the nearest training images that judge what is halfway."""


NOISES = (0.02, 0.05, 0.1, 0.2, 0.3)
"""Standard deviations of the noise that moves images."""


def halfway(run: Run) -> dict[str, float]:
    """How realistic images halfway between two test images are, in pixels and in codes of a VAE.

    `agreement` is the fraction of the ten nearest training images that have the most frequent class among
    them, and `distance` the distance to the nearest of them.
    """
    one = jaxae.load_run(run.directory.with_name("vae"))
    data = one.load_data()
    train, images = _floats(data.train.images), _floats(data.test.images)
    labels = np.asarray(data.test.labels)
    first, second = np.random.default_rng(0).permutation(len(images))[: 2 * PAIRS].reshape(2, -1)
    differ = labels[first] != labels[second]
    first, second = first[differ], second[differ]
    codes = one.encode(images)
    shown = np.linspace(0, 1, 9)[:, None]
    rows = {}
    for i, (a, b) in enumerate(zip(first[:3], second[:3], strict=True)):
        t = shown[..., None, None]
        rows[f"pixels, pair {i + 1}"] = (1 - t) * images[a] + t * images[b]
        rows[f"codes, pair {i + 1}"] = one.decode((1 - shown) * codes[a] + shown * codes[b])
    figures.rows(
        rows,
        run.figures / "halfway.png",
        title="From one test image to another, in pixels and in codes of a VAE",
    )
    found = {
        "test": images[first],
        "pixels": (images[first] + images[second]) / 2,
        "codes": one.decode((codes[first] + codes[second]) / 2),
    }
    judge = KNeighborsClassifier(NEIGHBOURS)
    judge.fit(train.reshape(len(train), -1), np.asarray(data.train.labels))
    results: dict[str, float] = {}
    for name, between in found.items():
        flat = between.reshape(len(between), -1)
        results[f"{name}/agreement"] = float(judge.predict_proba(flat).max(axis=1).mean())
        results[f"{name}/distance"] = float(judge.kneighbors(flat, 1)[0].mean())
    return results


def movements(run: Run) -> dict[str, float]:
    """How far codes move when images move, without and with the contractive penalty.

    Distances of codes are relative to the mean distance between the codes of two images, and so is
    `jacobian`, the mean norm of the derivative of the code by the image.
    """
    results: dict[str, float] = {}
    curve: dict[str, list[float]] = {}
    for name in ("AE", "CAE"):
        one = jaxae.load_run(run.directory.with_name("latent-space"), part=name)
        images = jnp.asarray(_floats(one.load_data().test.images))
        images = images[jax.random.permutation(jax.random.key(0), len(images))[:500]]
        codes = np.asarray(one.encode(images))
        apart = np.linalg.norm(codes - np.roll(codes, 1, axis=0), axis=1).mean()
        noise = jax.random.normal(jax.random.key(1), images.shape)
        encode = partial(one.model.encode, one.params)
        curve[name] = [
            float(
                np.linalg.norm(
                    np.asarray(encode(jnp.clip(images + s * noise, 0, 1))) - codes, axis=1
                ).mean()
                / apart
            )
            for s in NOISES
        ]
        squared = jaxae.objectives.squared_jacobian_norm(encode, images, mode="auto")
        results[f"{name}/jacobian"] = float(jnp.sqrt(squared).mean() / apart)
        results[f"{name}/movement"] = curve[name][NOISES.index(0.1)]
    curves.lines(
        NOISES,
        {"plain autoencoder": curve["AE"], "contractive autoencoder": curve["CAE"]},
        run.figures / "movements.png",
        title="How far codes move when noise is added to the images",
        xlabel="standard deviation of the noise",
        ylabel="distance moved, relative to that\nbetween codes of two images",
    )
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
    """How near samples are to faces, compared with images whose pixels are of different faces."""
    one = jaxae.load_run(run.directory.with_name("faces"))
    faces = _floats(one.load_data().train.images)
    n = min(500, len(faces) // 3)
    real, others = faces[:n].reshape(n, -1), faces[n : 2 * n].reshape(n, -1)
    first = faces[2 * n : 3 * n].reshape(n, -1)
    rng = np.random.default_rng(0)
    drawn = {
        "samples": one.sample(n).reshape(n, -1),
        # These have the right values in each pixel, and are no faces.
        "scrambled": np.stack([rng.permutation(pixel) for pixel in first.T], axis=1),
    }
    return {
        f"{name}/{key}": value
        for name, images in drawn.items()
        for key, value in completeness(images, real, others).items()
    }


def _floats(images: Any) -> np.ndarray:
    return np.asarray(jaxae.as_float(jnp.asarray(images[:])))
