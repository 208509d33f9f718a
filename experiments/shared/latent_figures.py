"""Figures of latent spaces: codes, posteriors, decoded planes, traversals, interpolations."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import norm

import jaxae
from experiments.shared import datasets, flags
from jaxae.analysis.regularity import CARRIES
from jaxae.composition import as_batch
from jaxae.runs import charts, figures, inference, scatters
from jaxae.runs.folder import Run

SCATTERED, ELLIPSES = 2000, 200
"""Codes and posteriors in a figure, at most."""
SHOWN_DIMENSIONS = 12
"""Traversals in a figure, at most."""


class Trained(NamedTuple):
    """A trained model, and its codes of all test images.

    Attributes:
      model: the autoencoder.
      params: its parameters.
      codes: `[n, d]`.
    """

    model: jaxae.Autoencoder
    params: Any
    codes: jax.Array

    def decode(self, z: jax.Array) -> jax.Array:
        """Images from codes, clipped to [0, 1]."""
        return decode_images(self.model, self.params, z)

    def posterior(self, images: np.ndarray) -> tuple[jax.Array, jax.Array]:
        """Means and log-variances of q(z | x), `[n, d]`; for a VAE."""

        def stats(params: Any, x: jax.Array) -> tuple[jax.Array, jax.Array]:
            assert self.model.model.posterior is not None
            return self.model.model.posterior(params, as_batch(x)).stats

        mean, log_var = inference.in_batches(stats, self.params, images)
        return jnp.asarray(mean), jnp.asarray(log_var)


def decode_images(model: jaxae.Autoencoder, params: Any, z: jax.Array) -> jax.Array:
    """Images from codes, clipped to [0, 1]."""
    return jnp.clip(model.decode(params, z), 0, 1)


def draw_codes(
    config: flags.ModelConfig, run: Run, pair: dict[str, Trained], data: datasets.Data
) -> None:
    """Draws codes of test images, coloured by class."""
    chosen = datasets.spread(len(data.test), SCATTERED)
    points = {}
    for key, one in pair.items():
        codes = np.asarray(one.codes)
        mean, directions = _plane_of(codes)
        points[key] = (codes[chosen] - mean) @ directions.T
    labels = data.labels[2]
    scatters.scatter(
        points,
        None if labels is None else labels[chosen],
        run.figures / "codes.png",
        title=f"{Path(config.dataset).name}: codes of test images{_projection(config)}",
        names=_axis_names(config),
        classes=data.classes,
    )


def draw_posteriors(
    config: flags.ModelConfig, run: Run, models: dict[str, Trained], data: datasets.Data
) -> None:
    """Draws the ellipses of q(z | x) in two dimensions, one panel for each label of `models`."""
    chosen = datasets.spread(len(data.test), ELLIPSES)
    shown, names = {}, {}
    for label, one in models.items():
        mean, log_var = map(np.asarray, one.posterior(data.test[chosen]))
        # Of more than two dimensions, the two with the largest variance of the means.
        two = np.sort(np.argsort(-mean.var(axis=0))[:2])
        shown[label] = (mean[:, two], np.exp(0.5 * log_var[:, two]))
        names[label] = (f"$z_{{{two[0] + 1}}}$", f"$z_{{{two[1] + 1}}}$")
    labels = data.labels[2]
    scatters.ellipses(
        shown,
        None if labels is None else labels[chosen],
        run.figures / "posteriors.png",
        title=f"{Path(config.dataset).name}: posteriors q(z | x) of {len(chosen)} test images, as "
        f"ellipses of two standard deviations (dashed: the prior){_widest(config)}",
        names=names,
        classes=data.classes,
    )


def draw_plane(config: flags.ModelConfig, run: Run, pair: dict[str, Trained], side: int) -> None:
    """Draws a decoded plane of codes: their range, or for a VAE in two dimensions, the prior's."""
    shown = {}
    for key, one in pair.items():
        codes = np.asarray(one.codes)
        mean, directions = _plane_of(codes)
        points = (codes - mean) @ directions.T
        if key == "VAE" and config.code == 2:
            quantiles = jaxae.analysis.normal_quantiles(side)
            grid = jaxae.analysis.plane(quantiles, quantiles)
            label = "VAE: quantiles of the prior, equally likely"
        else:
            low, high = np.quantile(points, [0.01, 0.99], axis=0)
            sides = [jnp.linspace(a, b, side) for a, b in zip(low, high, strict=True)]
            grid = jaxae.analysis.plane(*sides)
            label = f"{key}: the range of its codes, equally spaced"
        shown[label] = np.asarray(jaxae.analysis.decode_grid(one.decode, grid @ directions + mean))
    first, second = _axis_names(config)
    figures.panels(
        shown,
        run.figures / "manifold.png",
        title=f"{Path(config.dataset).name}: the plane of codes, decoded{_projection(config)}",
        axes={label: (f"{first} \u2192", f"{second} \u2192") for label in shown},
    )


def draw_traversals(config: flags.ModelConfig, run: Run, pair: dict[str, Trained]) -> None:
    """Draws images along one dimension at a time, with the others at their means."""
    shown = {}
    for key, one in pair.items():
        low, high = np.quantile(np.asarray(one.codes), [0.01, 0.99], axis=0)
        values = jnp.linspace(low, high, 9).T
        codes = jaxae.analysis.traversals(one.codes.mean(axis=0), values)
        widest = np.argsort(-np.asarray(one.codes).var(axis=0))[:SHOWN_DIMENSIONS]
        label = f"{key}: {len(widest)} of {config.code} dimensions, the widest first"
        shown[label] = np.asarray(jaxae.analysis.decode_grid(one.decode, codes[widest]))
    figures.panels(
        shown,
        run.figures / "traversals.png",
        title=f"{Path(config.dataset).name}: one latent dimension changes in each row, from the 1 % to the "
        "99 % quantile of its codes",
    )


def draw_interpolation(
    config: flags.ModelConfig, run: Run, pair: dict[str, Trained], data: datasets.Data
) -> None:
    """Draws the way from one test image to another: in pixels, in codes, and on the sphere."""
    labels = data.labels[2]
    candidates = datasets.spread(len(data.test), 100)
    first = candidates[0]
    other = candidates[len(candidates) // 2]
    if labels is not None and (labels[candidates] != labels[first]).any():
        other = next(i for i in candidates if labels[i] != labels[first])
    ends = jaxae.as_float(data.test[[first, other]])
    t = jnp.linspace(0, 1, 11)
    rows = {"pixels,\nlinear": np.asarray(jaxae.analysis.lerp(ends[0], ends[1], t))}
    for key, one in pair.items():
        a, b = one.codes[first], one.codes[other]
        rows[f"{key} codes,\nlinear"] = np.asarray(one.decode(jaxae.analysis.lerp(a, b, t)))
        if key == "VAE":
            rows["VAE codes,\nspherical"] = np.asarray(one.decode(jaxae.analysis.slerp(a, b, t)))
    name = Path(config.dataset).name
    title = f"{name}: interpolation between two test images, {config.code} latent dimensions"
    figures.rows(rows, run.figures / "interpolation.png", title=title)


def draw_random_codes(
    config: flags.ModelConfig, run: Run, pair: dict[str, Trained], data: datasets.Data
) -> None:
    """Draws decoded codes from N(0, I), the same for each model."""
    z = jax.random.normal(jax.random.key(datasets.SAMPLE_SEED), (30, config.code))
    notes = {"AE": "its codes have no prior", "VAE": "N(0, I) is its prior"}
    figures.panels(
        {
            f"{key}: {notes[key]}": np.asarray(one.decode(z)).reshape(5, 6, *data.test.shape[1:])
            for key, one in pair.items()
        },
        run.figures / "random_codes.png",
        title=f"{Path(config.dataset).name}: the same random codes from N(0, I), decoded by both models",
    )


def draw_divergences(config: flags.ModelConfig, run: Run, kl: np.ndarray, z: jax.Array) -> None:
    """Draws the KL divergence of each dimension, and codes compared with the prior.

    Args:
      config: the flags.
      run: where the figures are written.
      kl: the KL divergence of each dimension in nats, `[d]`.
      z: one draw from q(z | x) for each test image, `[n, d]`.
    """
    name = Path(config.dataset).name
    charts.bars(
        np.sort(kl)[::-1],
        run.figures / "kl_per_dimension.png",
        title=f"VAE on {name}: KL divergence of each latent dimension, mean over test images",
        xlabel="latent dimension, the largest first",
        ylabel="KL divergence (nats)",
        level=(f"{CARRIES:g} nats: dimensions above it carry information", CARRIES),
    )
    x = np.linspace(-4, 4, 161)
    charts.histograms(
        {f"$z_{{{i + 1}}}$": np.asarray(z[:, i]) for i in np.argsort(-kl)[:4]},
        run.figures / "aggregated_posterior.png",
        title=f"VAE on {name}: aggregated posterior, one code drawn from q(z | x) for each test image",
        xlabel="value of the latent variable",
        density=("prior N(0, 1)", x, norm.pdf(x)),
    )


def _plane_of(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The origin and the directions of a plane: the axes in two dimensions, else those of PCA."""
    if codes.shape[1] == 2:
        return np.zeros(2), np.eye(2)
    found = jaxae.models.principal_components(codes, 2)
    return np.asarray(found.mean).ravel(), np.asarray(found.components)


def _axis_names(config: flags.ModelConfig) -> tuple[str, str]:
    if config.code == 2:
        return "$z_1$", "$z_2$"
    return "first principal component", "second principal component"


def _widest(config: flags.ModelConfig) -> str:
    """The end of a title, where two of more dimensions are shown."""
    return "" if config.code == 2 else "; for each model the two dimensions that vary most"


def _projection(config: flags.ModelConfig) -> str:
    """The end of a title, for codes that were projected to two dimensions."""
    if config.code == 2:
        return ""
    return f", the plane of the first two principal components of {config.code} latent dimensions"
