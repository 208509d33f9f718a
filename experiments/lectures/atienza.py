"""Criteria of the rows of lecture 002: Rowel Atienza."""

from collections.abc import Mapping

from experiments.lectures.rows import Criterion, Found, above, below, equal

Runs = Mapping[str, Found]


def thirty(runs: Runs) -> list[Criterion]:
    """Row 4: PCA against an autoencoder, at 30 numbers."""
    found = runs["deep-autoencoder"]
    deep, logistic, pca = (
        found[f"{name}/squared_error_unclipped"] for name in ("deep", "logistic_pca", "pca")
    )
    return [
        below("deep autoencoder: squared error of test images", deep, 0.85 * pca, "85 % of PCA's"),
        below("logistic PCA: squared error of test images", logistic, pca, "PCA's"),
        below("deep autoencoder: squared error of test images", deep, logistic, "logistic PCA's"),
    ]


def colorization(runs: Runs) -> list[Criterion]:
    """Row 19: colorization."""
    found = runs["colorization"]
    return [
        below(
            "mean squared error of test images",
            found["test/mse"],
            0.8 * found["affine/mse"],
            "80 % of the best affine map's",
        ),
        below(
            "error of the colour alone (a and b of CIE Lab)",
            found["test/chroma_error"],
            0.8 * found["grey/chroma_error"],
            "80 % of the grey image's",
        ),
    ]


def inpainting(runs: Runs) -> list[Criterion]:
    """Row 21: inpainting: a torn-out part."""
    found = runs["inpainting"]
    return [
        above(
            "PSNR inside the hole",
            found["test/hole_psnr"],
            found["biharmonic/hole_psnr"] + 1,
            "1 dB above biharmonic interpolation",
            "dB",
        ),
        above(
            "PSNR inside the hole",
            found["test/hole_psnr"],
            found["mean_fill/hole_psnr"] + 1,
            "1 dB above the mean of the known pixels",
            "dB",
        ),
    ]


def clustering(runs: Runs) -> list[Criterion]:
    """Row 22: a self-supervised classifier."""
    found = runs["clustering"]
    return [
        above(
            "accuracy of clusters of codes, all images",
            found["all/accuracy"],
            found["pixels/all/accuracy"] + 0.03,
            "0.03 above clusters of pixels",
        ),
        above(
            "accuracy on test images, classes named on training images",
            found["test/accuracy"],
            0.5,
            "chance is 0.1",
        ),
    ]


def stochastic(runs: Runs) -> list[Criterion]:
    """Row 23: stochastic encoder and decoder."""
    sums, found = runs["decoders"], runs["vae"]
    return [
        equal("Bernoulli decoder: sum of p(x | h) over x", sums["bernoulli"], 1, 1e-4),
        equal(
            "discretized logistic decoder: sum over 256 levels",
            sums["discretized_logistic"],
            1,
            1e-4,
        ),
        equal("normal decoder: integral of p(x | h)", sums["gaussian"], 1, 1e-4),
        below(
            "-log p(x | h) of test images, h drawn by the encoder",
            found["test/distortion"],
            found["test/negative_elbo"],
            "-ELBO, which adds the KL divergence",
            "nats",
        ),
        below(
            "-log p(x | h) of test images, h drawn by the encoder",
            found["test/distortion"],
            130,
            "a model without a code has 206 nats",
            "nats",
        ),
    ]


CRITERIA = {
    4: thirty,
    19: colorization,
    21: inpainting,
    22: clustering,
    23: stochastic,
}
"""By the numbers of the rows."""
