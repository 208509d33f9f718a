"""Models from networks and distributions, the common part of the constructors."""

from typing import Any

import jax
from jaxtyping import PRNGKeyArray

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

    .. math:: z \sim p(z \mid c), \qquad x \sim p(x \mid g(z, c)), \qquad q(z \mid x) = q(z \mid f(x, c))

    Args:
      encoder: f, from the input to the parameters of the posterior.
      decoder: g, from codes to the parameters of the likelihood.
      likelihood: a piece of :mod:`jaxae.likelihoods`.
      posterior: a piece of :mod:`jaxae.posteriors`.
      prior: a piece of :mod:`jaxae.priors`; None for a plain autoencoder.
      name: shown when the model is printed.

    Returns:
      a :class:`Model`. Its parameters are those of `encoder` and `decoder`, and of `likelihood`,
      `posterior` and `prior` where these have any.

    Raises:
      ValueError: by its functions, if a network needs a condition and there is none.
    """
    pieces: dict[str, Any] = {"posterior": posterior, "prior": prior}

    def own(params: Params, piece: str) -> Params:
        return params.get(piece)

    def init(key: PRNGKeyArray, batch: Batch) -> Params:
        encoder_key, decoder_key = jax.random.split(key)
        params = {"encoder": init_network(encoder, encoder_key, batch.input, batch.condition)}
        for piece_name, piece in pieces.items():
            if piece is not None and piece.init is not None:
                params[piece_name] = piece.init(fold_in_name(key, piece_name))
        z = q(params, batch).mean
        params["decoder"] = init_network(decoder, decoder_key, z, batch.condition)
        if likelihood.init is not None:
            params["likelihood"] = likelihood.init(fold_in_name(key, "likelihood"), batch.x)
        return params

    def q(params: Params, batch: Batch, *, key: PRNGKeyArray | None = None) -> Distribution:
        outputs = apply_network(encoder, params["encoder"], batch.input, batch.condition, key)
        return posterior.distribution(outputs, own(params, "posterior"))

    def p(params: Params, n: int, condition: Tree | None = None) -> Distribution:
        assert prior is not None
        given = condition if prior.conditional else None
        return prior.distribution(own(params, "prior"), n, given)

    def describe(
        params: Params, z: Tree, condition: Tree | None = None, *, key: PRNGKeyArray | None = None
    ) -> Distribution:
        outputs = apply_network(decoder, params["decoder"], z, condition, key)
        return likelihood.distribution(outputs, own(params, "likelihood"))

    shown = [f"likelihood={likelihood.name}", f"posterior={posterior.name}"]
    shown += [] if prior is None else [f"prior={prior.name}"]
    return Model(
        init,
        q,
        None if prior is None else p,
        describe,
        f"{name}({', '.join(shown)})",
        conditional=encoder.conditional
        or decoder.conditional
        or (prior is not None and prior.conditional),
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
    """

    def start(key: PRNGKeyArray, batch: Batch) -> Params:
        return init(key, batch.input)

    def q(params: Params, batch: Batch, *, key: PRNGKeyArray | None = None) -> Distribution:
        return families.point(encode(params, batch.input, key))

    def describe(
        params: Params, z: Tree, condition: Tree | None = None, *, key: PRNGKeyArray | None = None
    ) -> Distribution:
        return likelihood.distribution(outputs(params, z, key))

    return Model(
        start,
        q,
        None,
        describe,
        f"{name}(likelihood={likelihood.name})",
        unit=likelihood.unit,
        coupled=likelihood.coupled,
    )


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
