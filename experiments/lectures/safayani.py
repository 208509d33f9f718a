"""Criteria of the rows of lecture 001: Mehran Safayani."""

from collections.abc import Mapping

from experiments.lectures.rows import Criterion, Found, above, below

Runs = Mapping[str, Found]


def likelihood(runs: Runs) -> list[Criterion]:
    """Row 12: the likelihood is intractable: bounds and estimates."""
    known, found = runs["bounds"], runs["vae"]
    exact = known["exact"]
    return [
        above(
            "known model: -ELBO, one draw",
            known["estimate_1"],
            exact + 0.02,
            "-log p(x), and the gap of a diagonal posterior",
            "nats",
        ),
        below(
            "known model: error of the estimate with 1000 draws",
            abs(known["estimate_1000"] - exact),
            0.01,
            unit="nats",
        ),
        below(
            "test images: estimate of -log p(x)",
            found["test/nll"],
            found["test/negative_elbo"],
            "-ELBO, which is an upper bound",
            "nats",
        ),
        above(
            "test images: estimate of -log p(x)",
            found["test/nll"],
            found["test/negative_elbo"] - 20,
            "within 20 nats of the bound",
            "nats",
        ),
    ]


def regularity(runs: Runs) -> list[Criterion]:
    """Row 14: regularity: continuity and completeness."""
    found = runs["latent-space"]
    return [
        below(
            "continuity: relative Lipschitz constant of the VAE",
            found["VAE/lipschitz_on"],
            found["AE/lipschitz_on"],
            "the plain autoencoder's",
        ),
        below(
            "continuity: largest step over the mean step, VAE",
            found["VAE/jump"],
            found["AE/jump"],
            "the plain autoencoder's",
        ),
        above(
            "completeness: realistic images among decoded draws of the prior, VAE",
            found["VAE/prior_precision"],
            found["AE/prior_precision"] + 0.05,
            "0.05 above the plain autoencoder's; a fraction",
        ),
    ]


def manifold(runs: Runs) -> list[Criterion]:
    """Row 15: the manifold of two-dimensional codes."""
    found = runs["latent-space"]
    return [
        below(
            "error of a nearest-neighbour classifier of two numbers, 1000 labels",
            found["VAE/nearest_probe_error_rate_1000"],
            0.65,
            "chance is 0.9: classes are clusters",
        ),
        above(
            "realistic images in the plane, VAE",
            found["VAE/prior_precision"],
            0.5,
            "most of the plane is like a digit; a fraction",
        ),
    ]


def richer(runs: Runs) -> list[Criterion]:
    """Row 27: richer posteriors, and structure in the code."""
    ring, digits = runs["richer-posteriors"], runs["semi-supervised"]
    gaps = {k: ring[f"bound_{k}"] - ring["exact"] for k in (1, 5, 50)}
    return [
        above(
            "diagonal Gaussian: distance of the bound from -log p(x)",
            gaps[1],
            0.5,
            "it cannot be a ring",
            "nats",
        ),
        below(
            "importance-weighted, K = 50: distance of the bound from -log p(x)",
            gaps[50],
            gaps[1] / 5,
            "a fifth of that",
            "nats",
        ),
        below(
            "categorical and style code, 100 labels: error of test images",
            digits["test/error_rate"],
            digits["supervised/error_rate"],
            "a classifier of the same labels",
        ),
    ]


CRITERIA = {
    12: likelihood,
    14: regularity,
    15: manifold,
    27: richer,
}
"""By the numbers of the rows."""
