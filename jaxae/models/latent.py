"""Builds models from networks and distributions; the constructors share this."""

from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import PRNGKeyArray

from jaxae.arguments import checked
from jaxae.arrays import fold_in_name
from jaxae.base import (
    Batch,
    Distribution,
    Likelihood,
    Model,
    Network,
    Params,
    Posterior,
    Prior,
    Tree,
)
from jaxae.distributions import families


@checked
def latent_variable_model(
    encoder: Network,
    decoder: Network,
    likelihood: Likelihood,
    posterior: Posterior,
    prior: Prior | None,
    *,
    name: str = "model",
) -> Model:
    r"""A model from an encoder, a decoder, and the distributions that their outputs parametrise.

    .. math:: z \sim p(z \mid c), \qquad x \sim p(x \mid g(z, c)), \qquad q(z \mid x, c) = q(z \mid f(x, c))

    Args:
      encoder: f, from the input to the parameters of the posterior.
      decoder: g, from codes to the parameters of the likelihood.
      likelihood: one of :mod:`jaxae.likelihoods`.
      posterior: one of :mod:`jaxae.posteriors`.
      prior: one of :mod:`jaxae.priors`; None for a plain autoencoder.
      name: shown when the model is printed.

    Returns:
      a :class:`Model`. Its parameters are those of `encoder` and `decoder`, and of `likelihood`,
      `posterior` and `prior` where these have any.

    Raises:
      ValueError: by its functions, if a network needs a condition and there is none, or the posterior has
        no mean.
    """
    pieces: dict[str, Any] = {"posterior": posterior, "prior": prior}

    def params_of(params: Params, piece: str) -> Params:
        return params.get(piece)

    def init(key: PRNGKeyArray, batch: Batch) -> Params:
        encoder_key, decoder_key = jax.random.split(key)
        params = {"encoder": init_network(encoder, encoder_key, batch.input, batch.condition)}
        for piece_name, piece in pieces.items():
            if piece is not None and piece.init is not None:
                params[piece_name] = piece.init(fold_in_name(key, piece_name))
        z = posterior_of(params, batch).mean
        if z is None:
            raise ValueError(
                "the decoder is initialised with the mean of the posterior, and it has none"
            )
        params["decoder"] = init_network(decoder, decoder_key, z, batch.condition)
        if likelihood.init is not None:
            params["likelihood"] = likelihood.init(fold_in_name(key, "likelihood"), batch.x)
        _check_outputs(likelihood_of, params, z, batch)
        return params

    def posterior_of(
        params: Params, batch: Batch, *, key: PRNGKeyArray | None = None
    ) -> Distribution:
        outputs = apply_network(encoder, params["encoder"], batch.input, batch.condition, key)
        return posterior.distribution(outputs, params_of(params, "posterior"))

    def prior_of(params: Params, n: int, condition: Tree | None = None) -> Distribution:
        assert prior is not None
        prior_condition = condition if prior.conditional else None
        return prior.distribution(params_of(params, "prior"), n, prior_condition)

    def likelihood_of(
        params: Params, z: Tree, condition: Tree | None = None, *, key: PRNGKeyArray | None = None
    ) -> Distribution:
        outputs = apply_network(decoder, params["decoder"], z, condition, key)
        return likelihood.distribution(outputs, params_of(params, "likelihood"))

    shown = [f"likelihood={likelihood.name}", f"posterior={posterior.name}"]
    shown += [] if prior is None else [f"prior={prior.name}"]
    return Model(
        init,
        posterior_of,
        None if prior is None else prior_of,
        likelihood_of,
        f"{name}({', '.join(shown)})",
        conditional=encoder.conditional or decoder.conditional,
        conditional_prior=prior is not None and prior.conditional,
        unit=likelihood.unit,
        coupled=likelihood.coupled,
    )


def from_functions(
    init: Any, encode: Any, outputs: Any, likelihood: Likelihood, *, name: str = "model"
) -> Model:
    """A plain autoencoder from functions of all parameters, where the networks share some of them.

    Args:
      init: `(key, x) -> params`.
      encode: `(params, x, key) -> z`; the key is None where there is no dropout.
      outputs: `(params, z, key) -> outputs`, the parameters of the likelihood.
      likelihood: parametrised by the outputs.
      name: shown when the model is printed.

    Raises:
      ValueError: if the likelihood has parameters of its own, which `init` does not make.
    """
    if likelihood.init is not None:
        raise ValueError(
            f"{name} takes no likelihood with parameters of its own ({likelihood.name})"
        )

    def init_params(key: PRNGKeyArray, batch: Batch) -> Params:
        params = init(key, batch.input)
        z = jax.eval_shape(lambda params, x: encode(params, x, None), params, batch.input)
        _check_outputs(likelihood_of, params, z, batch)
        return params

    def posterior_of(
        params: Params, batch: Batch, *, key: PRNGKeyArray | None = None
    ) -> Distribution:
        return families.point(encode(params, batch.input, key))

    def likelihood_of(
        params: Params, z: Tree, condition: Tree | None = None, *, key: PRNGKeyArray | None = None
    ) -> Distribution:
        return likelihood.distribution(outputs(params, z, key))

    return Model(
        init_params,
        posterior_of,
        None,
        likelihood_of,
        f"{name}(likelihood={likelihood.name})",
        unit=likelihood.unit,
        coupled=likelihood.coupled,
    )


def _check_outputs(
    likelihood_of: Callable[..., Distribution], params: Params, z: Tree, batch: Batch
) -> None:
    """Raises the error of a decoder whose outputs do not describe the examples; computes nothing."""

    def log_prob(params: Params, z: Tree, x: Tree, condition: Tree | None) -> Any:
        found = likelihood_of(params, z, condition)
        return found.mean if found.log_prob is None else found.log_prob(x)

    jax.eval_shape(log_prob, params, z, batch.x, batch.condition)


def init_network(network: Network, key: PRNGKeyArray, x: Tree, condition: Tree | None) -> Params:
    """Parameters of a network, with the condition if it takes one."""
    if not network.conditional:
        return network.init(key, x)
    return network.init(key, x, condition=_needed(condition))


def apply_network(
    network: Network, params: Params, x: Tree, condition: Tree | None, key: PRNGKeyArray | None
) -> Any:
    """The outputs of a network, with the condition if it takes one."""
    if not network.conditional:
        return network.apply(params, x, key=key)
    return network.apply(params, x, condition=_needed(condition), key=key)


def _needed(condition: Tree | None) -> Tree:
    if condition is None:
        raise ValueError(
            "this model is conditional, and there is no condition; give it as "
            "jaxae.Batch(x, condition=...) or as condition=..."
        )
    return condition
