"""Likelihoods, posteriors, priors and divergences."""
