"""Likelihoods, posteriors, priors, and distances between distributions."""

from jaxae.distributions import families, kernels, likelihoods, posteriors, priors
from jaxae.distributions.divergences import (
    kl_diagonal_normal,
    kl_normal,
    kl_standard_normal,
    kl_standard_normal_per_dimension,
)
from jaxae.distributions.kernels import imq, mmd, rbf

__all__ = [
    "families",
    "imq",
    "kernels",
    "kl_diagonal_normal",
    "kl_normal",
    "kl_standard_normal",
    "kl_standard_normal_per_dimension",
    "likelihoods",
    "mmd",
    "posteriors",
    "priors",
    "rbf",
]
