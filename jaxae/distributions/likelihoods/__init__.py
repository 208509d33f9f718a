"""Likelihoods: from the outputs of a decoder to a distribution of the data, in nats.

All sums are over the values of one example, and all arithmetic is in float32, whatever the dtype of the
networks. Every normalising constant is included, so that likelihoods of the same kind can be compared.
"""

from jaxae.distributions.likelihoods.colors import color_classes
from jaxae.distributions.likelihoods.common import LOG_SCALE_BOUND
from jaxae.distributions.likelihoods.levels import categorical, discretized_logistic
from jaxae.distributions.likelihoods.location_scale import Scale, gaussian, laplace
from jaxae.distributions.likelihoods.unit_interval import bernoulli, continuous_bernoulli

__all__ = [
    "LOG_SCALE_BOUND",
    "Scale",
    "bernoulli",
    "categorical",
    "color_classes",
    "continuous_bernoulli",
    "discretized_logistic",
    "gaussian",
    "laplace",
]
