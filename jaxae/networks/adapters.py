"""Networks from Flax modules, and networks made from other networks."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from jaxae.arguments import checked
from jaxae.base import Network, Params, Tree
from jaxae.networks.layers import Activation
from jaxae.recipes import constructor


@constructor("networks.linen")
def linen(module: nn.Module) -> Network:
    """A Flax Linen module as a :class:`Network`.

    Write dropout layers with `deterministic=not self.has_rng("dropout")`, so that they are on exactly
    when a key is given.

    Raises:
      ValueError: when initialised, if the module has state besides its parameters (batch
        statistics, for one): a network here is a function of its parameters and its input.

    Examples:
      >>> network = linen(nn.Dense(3))
      >>> params = network.init(jax.random.key(0), jnp.ones((2, 5)))
      >>> network.apply(params, jnp.ones((2, 5))).shape
      (2, 3)
    """

    def init(key: PRNGKeyArray, x: Tree) -> Params:
        variables = module.init({"params": key}, x)
        if others := sorted(variables.keys() - {"params"}):
            raise ValueError(
                f"{type(module).__name__} keeps state in {', '.join(map(repr, others))}, but a "
                "Network has only parameters; in place of BatchNorm use GroupNorm or LayerNorm"
            )
        return variables.get("params", {})

    def apply(params: Params, x: Tree, *, key: PRNGKeyArray | None = None) -> Tree:
        rngs = None if key is None else {"dropout": key}
        outputs: Any = module.apply({"params": params}, x, rngs=rngs)
        return outputs

    return Network(init, apply)


@constructor("networks.activate")
@checked
def activate(network: Network, function: Activation) -> Network:
    """A network followed by a function.

    A sigmoid after an encoder gives codes in (0, 1); after a decoder, images in (0, 1) for
    `gaussian()`.

    Examples:
      >>> from jaxae.networks import mlp_encoder
      >>> encoder = activate(mlp_encoder(3), jax.nn.sigmoid)
      >>> images = jnp.zeros((2, 8, 8, 1))
      >>> encoder.apply(encoder.init(jax.random.key(0), images), images).tolist()[0]
      [0.5, 0.5, 0.5]
    """

    def apply(params: Params, x: Array, **options: Any) -> Array:
        return function(network.apply(params, x, **options))

    return network._replace(apply=apply)


@constructor("networks.with_condition")
@checked
def with_condition(network: Network, classes: int | None = None) -> Network:
    """A network that takes a condition in addition to its input.

    Vectors of the condition are appended to the values of a vector, and to the channels of an image or
    signal at every place; a condition of the input's own shape is appended to its channels.

    Args:
      network: any, for inputs that are wider by the size of the condition.
      classes: the number of classes, if the condition is a label, `[b]`; labels become one-hot vectors,
        and unknown ones (-1) vectors of zeros.

    Raises:
      ValueError: when used, if the condition fits neither way, or labels are not integers.

    Examples:
      >>> from jaxae.networks import mlp_decoder
      >>> decoder = with_condition(mlp_decoder((8, 8, 1)), classes=10)
      >>> z, labels = jnp.zeros((2, 3)), jnp.array([4, 7])
      >>> params = decoder.init(jax.random.key(0), z, condition=labels)
      >>> decoder.apply(params, z, condition=labels).shape
      (2, 8, 8, 1)

    References:
      Sohn, Lee and Yan, `Learning Structured Output Representation using Deep Conditional Generative
      Models <https://papers.nips.cc/paper/5775>`_.
    """

    def join(x: Array, condition: Array) -> Array:
        condition = jnp.asarray(condition)
        if classes is not None and condition.ndim == 1:
            if not jnp.issubdtype(condition.dtype, jnp.integer):
                raise ValueError(
                    f"labels must be integers, not {condition.dtype}; bytes are treated as images, so "
                    "convert labels to int32 first"
                )
            # A label that is no class gives nan, which stops a training.
            known = condition[:, None] < classes
            condition = jnp.where(known, jax.nn.one_hot(condition, classes), jnp.nan)
        if condition.ndim == 2 and x.ndim > 2:
            condition = condition.reshape(x.shape[0], *[1] * (x.ndim - 2), -1)
            condition = jnp.broadcast_to(condition, (*x.shape[:-1], condition.shape[-1]))
        if x.ndim == 2 and condition.ndim > 2:
            condition = condition.reshape(x.shape[0], -1)
        if condition.ndim != x.ndim or condition.shape[:-1] != x.shape[:-1]:
            raise ValueError(
                f"a condition of the shape {condition.shape} does not fit an input of {x.shape}; give "
                "vectors, [b, k], labels with the number of classes, or an image of the same size"
            )
        return jnp.concatenate([x, condition.astype(x.dtype)], axis=-1)

    def init(key: PRNGKeyArray, x: Array, *, condition: Tree) -> Params:
        return network.init(key, join(x, condition))

    def apply(
        params: Params, x: Array, *, condition: Tree, key: PRNGKeyArray | None = None
    ) -> Array:
        return network.apply(params, join(x, condition), key=key)

    return Network(init, apply, conditional=True)


@constructor("networks.categorical_code")
@checked
def categorical_code(decoder: Network, classes: int) -> Network:
    """A decoder of codes that begin with class logits, which it is given as probabilities.

    Examples:
      >>> decoder = categorical_code(Network(lambda key, z: {}, lambda p, z, *, key=None: z), 2)
      >>> decoder.apply({}, jnp.array([[0.0, 0.0, 7.0]])).tolist()
      [[0.5, 0.5, 7.0]]
    """

    def apply(params: Params, z: Array, *, key: PRNGKeyArray | None = None) -> Array:
        probabilities = jax.nn.softmax(z[:, :classes])
        return decoder.apply(params, jnp.concatenate([probabilities, z[:, classes:]], -1), key=key)

    return Network(decoder.init, apply)
