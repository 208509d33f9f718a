"""PCA and linear autoencoders: the same subspace in different bases.

    python -m experiments.linear
    python -m experiments.linear --dataset mnist --code 30

Errors are squared errors of a test image, summed over its pixels and not clipped; angles are in degrees.
No training images are held out for validation, because no epoch is selected.

Measured (MNIST, 30 components, 2 cores, jax 0.10.2; 54 seconds): PCA 13.866, and both autoencoders
the same to four digits; largest angles 0.14 degrees (untied) and 0.34 (tied); the nearest direction of
their bases to a component has a cosine of 0.51 and 0.61 on average. Clipped to [0, 1]: 12.59.

Lectures: PCA; a linear autoencoder, with or without tied weights, spans the subspace of PCA, but its
basis is another; five points in the plane, their codes, and the points decoded from them.
"""

import experiments  # noqa: F401  # isort: skip  (finds the packages, also for a script)

import dataclasses
import math
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from rich.console import Console
from rich.table import Table

import jaxae
from experiments.shared import datasets, flags, optimizers, running
from experiments.shared.tables import print_results
from jaxae.runs import curves, figures, inference, recording, scatters
from jaxae.runs.command import command
from jaxae.runs.folder import Run

POINTS = {
    "A": (-0.50, -0.40),
    "B": (-0.40, -0.10),
    "C": (0.10, 0.00),
    "D": (0.30, 0.30),
    "E": (0.50, 0.20),
}
"""Five points in the plane, from the lectures."""

IMAGES = 3_600_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(flags.Config):
    """Flags of PCA and the linear autoencoders."""

    code: flags.LatentDim = 30
    """Use this number of components of PCA, and of latent dimensions of the autoencoders."""
    epochs: int | None = None
    """Train the autoencoders for this number of passes over the training set. The default is as
    many as show 3.6 million images."""
    batch_size: int | None = None
    """Compute each training step on this number of examples, over all devices. The default is 256,
    or all examples if there are fewer."""
    learning_rate: float = 1e-2
    """Start with this learning rate of the optimizer Adam."""


def main(config: Config) -> dict[str, Any]:
    """Fits PCA, trains both linear autoencoders, compares them, and writes the run folder."""
    started = time.perf_counter()
    data = datasets.load(config, hold_out=False, default=256)
    config = optimizers.with_epochs(config, data, IMAGES)
    datasets.check_components(config.code, data)

    def show(results: dict[str, Any]) -> None:
        print_results(
            f"PCA and linear autoencoders on {Path(config.dataset).name}, code {config.code}",
            results,
            (
                *("squared_error_unclipped", "squared_error", "error_over_pca"),
                *("explained_variance", "largest_angle", "basis_cosine"),
            ),
            {"pca": "PCA", "untied": "untied", "tied": "tied"},
        )
        print_lecture_table()

    return running.conduct(
        "linear", config, data, lambda run: compare(config, run, data), show=show, started=started
    )


def compare(config: Config, run: Run, data: datasets.Data) -> dict[str, Any]:
    """Errors on the test images, and angles between the subspaces and between the bases."""
    shape = data.train.shape[1:]
    most = min(math.prod(shape), len(data.train), max(config.code, 100))
    with running.stage(f"PCA of {len(data.train):,} training images"):
        found = jax.device_get(
            jax.jit(jaxae.models.principal_components, static_argnums=1)(
                jaxae.as_float(data.train), most
            )
        )
    components = np.asarray(found.components[: config.code])
    params = found._asdict() | {
        name: getattr(found, name)[: config.code] for name in ("components", "explained_variance")
    }
    decoded = {}
    results: dict[str, Any] = {}

    def measure(name: str, model: jaxae.Autoencoder, params: Any) -> None:
        error, clipped = inference.squared_errors(model, params, data.test)
        results.update({f"{name}/squared_error": clipped, f"{name}/squared_error_unclipped": error})
        decoded[name] = inference.reconstruct(model, params, datasets.choose(data))

    pca = jaxae.pca(config.code)
    inputs = running.describe_inputs(config, data, jaxae.Batch(data.train))
    recording.save_untrained(run.part("pca"), pca, params, inputs, data.train)
    measure("pca", pca, params)
    # What rounding leaves of a variance or an error of zero; ratios of it are undefined.
    nothing = math.prod(shape) * inference.LEAST_MSE
    explained = float(found.explained_variance[: config.code].sum())
    results["pca/explained_variance"] = (
        explained / float(found.total_variance) if found.total_variance > nothing else None
    )
    # With fewer directions of variance than components, the subspace of PCA is not unique.
    unique = found.explained_variance[config.code - 1] > nothing
    pca_error = results["pca/squared_error_unclipped"]
    for name, tied in (("untied", False), ("tied", True)):
        model = jaxae.linear_autoencoder(shape, config.code, tied=tied)
        fitted = running.fit(config, run.part(name), model, data, name=f"{name} autoencoder")
        measure(name, model, fitted.params)
        # Row j is the derivative of the image with respect to value j of the code.
        at = jnp.zeros((1, config.code))
        jacobian = jax.jacfwd(lambda z, m=model, p=fitted.params: m.decode(p, z).ravel())(at)
        basis = np.asarray(jacobian).reshape(-1, config.code).T
        angles = np.degrees(scipy.linalg.subspace_angles(basis.T, components.T))
        lengths = np.linalg.norm(basis, axis=1, keepdims=True)
        directions = basis / np.maximum(lengths, np.finfo(np.float32).tiny)
        cosines = np.abs(components @ directions.T)
        error = results[f"{name}/squared_error_unclipped"]
        results |= {
            f"{name}/error_over_pca": error / pca_error if pca_error > nothing else None,
            f"{name}/largest_angle": float(angles.max()) if unique else None,
            f"{name}/basis_cosine": float(cosines.max(axis=1).mean()) if unique else None,
            f"{name}/images_per_second": running.training_figures(data, fitted)[
                "images_per_second"
            ],
        }
    results["mean_image/squared_error"] = running.error_of_the_mean_image(data.test)
    results["protocol"] = (
        f"{data.protocol}; squared error summed over an image, mean over images; angles in degrees "
        "between the decoder's subspace and that of PCA; basis_cosine is the mean over components of "
        "the closest direction of the decoder's basis (1: the same basis)"
    )
    errors = {key: results[f"{key}/squared_error_unclipped"] for key in decoded}
    draw(config, run, data, decoded, found, errors)
    return results


def draw(
    config: Config,
    run: Run,
    data: datasets.Data,
    decoded: dict[str, np.ndarray],
    found: jaxae.models.PrincipalComponents,
    errors: dict[str, float],
) -> None:
    """Draws reconstructions, the explained variance, and the five points with their projections."""
    name = Path(config.dataset).name
    rows = {
        "test images": np.asarray(datasets.choose(data)),
    }
    for label, key in (
        ("PCA", "pca"),
        ("linear autoencoder", "untied"),
        ("linear, tied weights", "tied"),
    ):
        rows[f"{label}\nsquared error {errors[key]:.2f}"] = decoded[key]
    title = f"{name}: reconstructions of test images from {config.code} latent dimensions"
    figures.rows(rows, run.figures / "reconstructions.png", title=title)
    part = np.cumsum(found.explained_variance) / np.maximum(found.total_variance, 1e-30)
    curves.lines(
        range(1, len(part) + 1),
        {"explained": part.tolist()},
        run.figures / "explained_variance.png",
        title=f"PCA on {name}: variance of training images that is explained",
        xlabel="number of principal components",
        ylabel="explained fraction of the variance",
    )
    points = np.array(list(POINTS.values()))
    scatters.projection(
        points,
        lecture_table()[1],
        list(POINTS),
        run.figures / "five_points.png",
        title="Five points and their projections on the first principal component",
    )


def lecture_table() -> tuple[np.ndarray, np.ndarray]:
    """The codes of the five points and their reconstructions, by PCA with one component."""
    x = jnp.array(list(POINTS.values()))
    model = jaxae.pca(1)
    params = model.init(jax.random.key(0), x)
    z = model.encode(params, x)
    return np.asarray(z[:, 0]), np.asarray(model.decode(params, z))


def print_lecture_table() -> None:
    """Prints the table of the lecture, with as many digits."""
    codes, decoded = lecture_table()
    table = Table("point", "initial", "encoded", "decoded", title="Five points, one component")
    for (name, (x, y)), z, (a, b) in zip(POINTS.items(), codes, decoded, strict=True):
        table.add_row(name, f"({x:.2f}, {y:.2f})", f"{z:.2f}", f"({a:.2f}, {b:.2f})")
    Console().print(table)


if __name__ == "__main__":
    command(main, Config, __doc__)
