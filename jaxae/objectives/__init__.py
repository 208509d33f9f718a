"""Objectives and their parts: bounds, adversarial losses, Jacobian norms, schedules."""

from jaxae.objectives.adversarial import GanLosses, gan_losses, r1_penalty
from jaxae.objectives.bounds import elbo, iwae, prior_draws, reconstruction, scaled
from jaxae.objectives.jacobian import squared_jacobian_norm
from jaxae.objectives.schedules import beta_schedule, exponential_schedule

__all__ = [
    "GanLosses",
    "beta_schedule",
    "elbo",
    "exponential_schedule",
    "gan_losses",
    "iwae",
    "prior_draws",
    "r1_penalty",
    "reconstruction",
    "scaled",
    "squared_jacobian_norm",
]
