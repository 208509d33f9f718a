"""Objectives: reconstruction, bounds on log p(x), and draws from the prior. All are in nats."""

import math

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.arguments import checked
from jaxae.arrays import Step, Weight, at_step, check_weights
from jaxae.base import Batch, Distribution, Draws, Model, Objective, Output, Params
from jaxae.composition import draw


def reconstruction() -> Objective:
    r"""The objective of a plain autoencoder: -log p(x | z) at its code, the term `distortion`.

    .. math:: L(x) = -\log p(x \mid g(f(x)))
    """

    def apply(
        model: Model, params: Params, key: PRNGKeyArray, batch: Batch, step: Step, train: bool
    ) -> tuple[Output, Draws]:
        draws = draw(model, params, key, batch, train=train)
        assert draws.log_likelihood is not None
        distortion = -draws.log_likelihood[0]
        return _output(distortion, {"distortion": distortion}, draws), draws

    return Objective("reconstruction", apply)


@checked
def elbo(beta: Weight = 1.0, *, samples: int = 1, free_bits: float = 0.0) -> Objective:
    r"""The negative evidence lower bound, with a weight on the KL divergence.

    .. math:: L(x) = -\frac1L \sum_{l=1}^L \log p(x \mid z_l)
              + \beta \operatorname{KL}(q(z \mid x) \,\|\, p(z)), \qquad z_l \sim q(z \mid x)

    With free bits the KL divergence is
    :math:`\sum_j \max(\lambda, \overline{\operatorname{KL}}_j)`, with the mean over the batch inside.

    Its terms are `distortion`, -E log p(x | z); `rate`, the KL divergence, in closed form if there is
    one and otherwise estimated from the draws; and `negative_elbo`, their sum, whose expectation is an
    upper bound on -log p(x) for any beta. With a beta of zero, a rate without a closed form is left out.

    Args:
      beta: weight of the KL divergence; a constant or a schedule.
      samples: L, the number of codes drawn for each example.
      free_bits: lambda, the lower limit in nats of each latent dimension's KL divergence averaged over
        the batch; below it the KL divergence has no gradient, and the examples of a batch are coupled.
        Without a closed form by dimension, it is the limit of the whole code.

    Raises:
      ValueError: if a number is out of range; when used, if the prior or the posterior has no density
        and beta is not zero, or draws of the posterior have no derivative.

    Examples:
      >>> elbo(0.5).options
      (('beta', 0.5), ('samples', 1), ('free_bits', 0.0))

    References:
      Kingma and Welling, `Auto-Encoding Variational Bayes <https://arxiv.org/abs/1312.6114>`_;
      Higgins et al., `beta-VAE <https://openreview.net/forum?id=Sy2fzU9gl>`_; free bits: Kingma et
      al., `Improving Variational Inference with Inverse Autoregressive Flow
      <https://arxiv.org/abs/1606.04934>`_, section C.8.
    """
    check_weights(beta=beta, free_bits=free_bits)
    _check_samples(samples)
    ignored = not callable(beta) and beta == 0

    def apply(
        model: Model, params: Params, key: PRNGKeyArray, batch: Batch, step: Step, train: bool
    ) -> tuple[Output, Draws]:
        draws = draw(model, params, key, batch, samples, train=train)
        assert draws.posterior is not None
        # Straight-through draws are allowed where the KL divergence is exact; `kl_divergence` refuses others.
        if not draws.posterior.reparameterised:
            check_reparameterised(draws.posterior)
        assert draws.log_likelihood is not None
        distortion = -jnp.mean(draws.log_likelihood, axis=0)
        if ignored and _closed_rate(draws) is None:
            return _output(distortion, {"distortion": distortion}, draws), draws
        kl = kl_divergence(draws)
        rate = jnp.sum(kl, axis=-1)
        terms = {"distortion": distortion, "rate": rate, "negative_elbo": distortion + rate}
        if free_bits > 0:
            # Written for each example, so that the mean over the batch is max(mean, free_bits).
            kl = jnp.where(jnp.mean(kl, axis=0) > free_bits, kl, free_bits)
        # Not zero times a rate that may be infinite.
        loss = distortion if ignored else distortion + at_step(beta, step) * jnp.sum(kl, axis=-1)
        return _output(loss, terms, draws), draws

    options = (("beta", beta), ("samples", samples), ("free_bits", free_bits))
    return Objective("elbo", apply, options, coupled=free_bits > 0)


@checked
def iwae(samples: int) -> Objective:
    r"""The negative importance-weighted bound, at least as tight as the ELBO and equal to it for K = 1.

    .. math:: L(x) = -\log \frac1K \sum_{k=1}^K \frac{p(x, z_k)}{q(z_k \mid x)},
              \qquad z_k \sim q(z \mid x)

    Its terms are `negative_iwae`, the loss, and `negative_elbo`, the mean of the negative log-weights.

    Args:
      samples: K.

    Raises:
      ValueError: if the number is not positive; when used, if the prior or the posterior has no density,
        or draws of the posterior have no derivative.

    Examples:
      >>> iwae(5).options
      (('samples', 5),)

    References:
      Burda, Grosse and Salakhutdinov, `Importance Weighted Autoencoders
      <https://arxiv.org/abs/1509.00519>`_.
    """
    _check_samples(samples)

    def apply(
        model: Model, params: Params, key: PRNGKeyArray, batch: Batch, step: Step, train: bool
    ) -> tuple[Output, Draws]:
        draws = draw(model, params, key, batch, samples, train=train)
        check_reparameterised(draws.posterior)
        log_weight = draws.log_weight
        loss = math.log(samples) - logsumexp(log_weight, axis=0)
        terms = {"negative_iwae": loss, "negative_elbo": -jnp.mean(log_weight, axis=0)}
        return _output(loss, terms, draws), draws

    return Objective("iwae", apply, (("samples", samples),))


def prior_draws() -> Objective:
    """A loss of zero with codes drawn from the prior: the objective of a GAN."""

    def apply(
        model: Model, params: Params, key: PRNGKeyArray, batch: Batch, step: Step, train: bool
    ) -> tuple[Output, Draws]:
        if model.prior is None:
            raise ValueError("this objective draws codes from a prior, and this model has none")
        if batch.seen is not None:
            raise ValueError("this model has no encoder, so a corruption (or seen) has no effect")
        code_key, decoder_key = jax.random.split(key)
        b = len(jax.tree.leaves(batch.x)[0])
        prior = model.prior(params, b, batch.condition)
        if "prior" in params and prior.reparameterised is not True:
            raise ValueError(
                "draws of this prior have no derivative, so its parameters cannot be learned"
            )
        z, log_prior = prior.draw(code_key)
        likelihood = model.likelihood(
            params, z, batch.condition, key=decoder_key if train else None
        )
        one, log_prior = jax.tree.map(lambda leaf: leaf[None], (z, log_prior))
        draws = Draws(one, None, log_prior, None, None, prior, likelihood)
        return Output(jnp.zeros(b), {}, z=z), draws

    return Objective("prior_draws", apply)


def scaled(objective: Objective, weight: Weight) -> Objective:
    """An objective multiplied by a weight; its terms are not weighted.

    Examples:
      >>> scaled(elbo(), 0.5).name
      'scaled(elbo)'
    """
    check_weights(weight=weight)

    def apply(
        model: Model, params: Params, key: PRNGKeyArray, batch: Batch, step: Step, train: bool
    ) -> tuple[Output, Draws]:
        out, draws = objective.apply(model, params, key, batch, step, train)
        return out._replace(loss=at_step(weight, step) * out.loss), draws

    return objective._replace(
        name=f"scaled({objective.name})",
        apply=apply,
        options=(("weight", weight), *objective.options),
    )


def check_reparameterised(posterior: Distribution | None) -> None:
    """Raises a `ValueError` unless draws are differentiable functions of the parameters."""
    if posterior is not None and posterior.reparameterised is not True:
        kind = posterior.reparameterised or "not reparameterised"
        raise ValueError(
            f"this objective differentiates through draws of z, and those of this posterior are {kind}, so "
            "that the encoder's gradient would be wrong; use a reparameterised posterior"
        )


def _closed_rate(draws: Draws) -> Array | None:
    posterior, prior = draws.posterior, draws.prior
    if posterior is None or prior is None or posterior.kl is None:
        return None
    return posterior.kl(prior)


def kl_divergence(draws: Draws) -> Float[Array, "b d"]:
    """The KL divergence, by latent dimension if it has a closed form that is a sum over them."""
    closed = _closed_rate(draws)
    if closed is not None:
        return closed.reshape(closed.shape[0], -1)
    check_reparameterised(draws.posterior)
    draws.check_densities()
    assert draws.log_posterior is not None
    assert draws.log_prior is not None
    return jnp.mean(draws.log_posterior - draws.log_prior, axis=0)[:, None]


def _output(loss: Array, terms: dict[str, Array], draws: Draws) -> Output:
    z = jax.tree.map(lambda leaf: leaf[0], draws.z)
    assert draws.posterior is not None
    return Output(loss, terms, z=z, stats=draws.posterior.stats)


def _check_samples(samples: int) -> None:
    if samples < 1:
        raise ValueError(f"the bound needs at least one sample, got {samples}")
