"""The types: a model is four pure functions, and an autoencoder is a model and how it is trained.

A :class:`Model` says what p(z), p(x | z) and q(z | x) are. An :class:`Autoencoder` puts beside it, as
data, an objective, penalties and a corruption. All that one calls (`encode`, `decode`, `loss`,
`sample`, `log_weight`) is derived from these pieces, so that the order in which a model is put
together does not matter, and no piece is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.arrays import Step, sum_values

Params: TypeAlias = Any
Tree: TypeAlias = Any
"""An array, or a dict, list or tuple of trees."""


class Network(NamedTuple):
    """A function with parameters. With `key=None` it is evaluated without dropout.

    Attributes:
      init: `(key, x) -> params`.
      apply: `(params, x, *, key=None) -> outputs`.
      conditional: whether `init` and `apply` also take `condition=`, see
        :func:`jaxae.networks.with_condition`.

    Examples:
      >>> scale = Network(lambda key, x: jnp.ones(()), lambda params, x, *, key=None: params * x)
      >>> scale.apply(jnp.float32(2.0), jnp.ones(3)).tolist()
      [2.0, 2.0, 2.0]
    """

    init: Callable[..., Params]
    apply: Callable[..., Any]
    conditional: bool = False


class Batch(NamedTuple):
    """Examples, or a whole data set: trees of arrays whose first axis is the example.

    An array `x` may stand for `Batch(x)` wherever a batch is expected.

    Attributes:
      x: what the model describes: images, signals, vectors.
      seen: what the encoder sees, if that is not `x`; corruptions change this and nothing else.
      condition: what is also known when sampling: a class, a grey image, attributes.
      label: supervision: classes, `[b]`, -1 where unknown; or probabilities of classes, `[b, k]`.
      observed: 1 where a value of `x` is known, 0 where it is missing. The likelihood is that of the
        known values, and the encoder sees zeros in place of the others.
    """

    x: Tree
    seen: Tree | None = None
    condition: Tree | None = None
    label: Array | None = None
    observed: Tree | None = None

    @property
    def input(self) -> Tree:
        """What the encoder sees: `seen`, or else `x` with zeros where it is missing."""
        if self.seen is not None:
            return self.seen
        if self.observed is None:
            return self.x
        return jax.tree.map(lambda x, o: jnp.where(o > 0, x, 0), self.x, self.observed)


class Distribution(NamedTuple):
    """A batch of distributions; a value inside a traced function, never an output of `jit`.

    Attributes:
      draw: `key -> (y, log p(y))`, one draw of each and its log-density, `[b]`, or None where there
        is none.
      mean: of each, or the point that stands for it; None where it is not known.
      log_prob: `y -> [b]`, in nats; None where there is no density, or only draws have one.
      elementwise: `y -> tree like y`, the log-density of each value, where values are independent.
      stats: its parameters as arrays.
      kl: `other -> [b, ...]`, the KL divergence to another distribution in closed form, summed over as
        many axes as the family does, or None where there is no closed form for this pair.
      reparameterised: True where a draw is a differentiable function of the parameters; False where its
        derivative is zero or missing; "straight-through" where it is that of something else.
      family: a name that `kl` of others goes by, such as "normal".
    """

    draw: Callable[[PRNGKeyArray], tuple[Tree, Float[Array, " b"] | None]]
    mean: Tree | None
    log_prob: Callable[[Tree], Float[Array, " b"]] | None = None
    elementwise: Callable[[Tree], Tree] | None = None
    stats: Tree = None
    kl: Callable[[Distribution], Float[Array, "b ..."] | None] | None = None
    reparameterised: bool | str = True
    family: str = ""

    def log_prob_of(self, y: Tree, observed: Tree | None = None) -> Float[Array, " b"]:
        """The log-density of `y`, in nats; with `observed`, of the values that are known.

        Raises:
          ValueError: if there is no density, or values are missing and it is not a product over values.
        """
        if observed is None:
            if self.log_prob is None:
                raise ValueError("this distribution has no density")
            return self.log_prob(y)
        if self.elementwise is None:
            raise ValueError("missing values need a likelihood that is a product over values")
        # Twice: a missing value may be nan, and so may be the gradient at it.
        known = jax.tree.map(lambda y, o: jnp.where(o > 0, y, 0), y, observed)
        values = jax.tree.map(
            lambda v, o: sum_values(jnp.where(o > 0, v, 0)), self.elementwise(known), observed
        )
        return sum(jax.tree.leaves(values), jnp.zeros(()))


class Likelihood(NamedTuple):
    """How the outputs of a decoder describe data.

    Attributes:
      distribution: `(outputs, params=None) -> Distribution` of x.
      outputs: how many outputs the decoder gives for each value of x; above one they are the last
        axis.
      levels: how many values a pixel can take, where it is a distribution over a finite set; None
        where it is a density.
      init: `(key, x) -> params`, where the likelihood has parameters of its own.
      unit: whether values of x outside [0, 1] have no meaning.
      coupled: whether the log-probability of an example depends on the others of the batch.
      name: what it is, when printed.
    """

    distribution: Callable[..., Distribution]
    outputs: int = 1
    levels: int | None = None
    init: Callable[[PRNGKeyArray, Tree], Params] | None = None
    unit: bool = False
    coupled: bool = False
    name: str = "likelihood"

    def log_prob(self, outputs: Array, x: Tree, params: Params = None) -> Float[Array, " b"]:
        """The log-probability of x in nats, summed over values, constants included."""
        return self.distribution(outputs, params).log_prob_of(x)

    def mean(self, outputs: Array, params: Params = None) -> Tree:
        """The mean of the distribution; it is not clipped."""
        return self.distribution(outputs, params).mean


class Posterior(NamedTuple):
    """What the outputs of an encoder mean: a family of distributions of z.

    Attributes:
      distribution: `(outputs, params=None) -> Distribution` of z.
      outputs: how many outputs the encoder gives; None: any.
      init: `key -> params`, where the family has parameters of its own, such as those of a flow.
      name: what it is, when printed.
    """

    distribution: Callable[..., Distribution]
    outputs: int | None = None
    init: Callable[[PRNGKeyArray], Params] | None = None
    name: str = "posterior"


class Prior(NamedTuple):
    """A distribution of codes.

    Attributes:
      latent_dim: d, the dimensions of a code.
      distribution: `(params, n, condition=None) -> Distribution` of n codes, `[n, d]`.
      init: `key -> params`, where the prior has parameters of its own.
      classes: how many classes there are, where `condition` may be labels, `[n]` (-1: any class).
      conditional: whether the prior of a model gets the condition of the batch.
      name: what it is, when printed.
    """

    latent_dim: int
    distribution: Callable[..., Distribution]
    init: Callable[[PRNGKeyArray], Params] | None = None
    classes: int | None = None
    conditional: bool = False
    name: str = "prior"

    def sample(
        self, key: PRNGKeyArray, n: int, *, condition: Tree | None = None, params: Params = None
    ) -> Float[Array, "n d"]:
        """So many draws; with labels as `condition`, each from the class of its label."""
        return self.distribution(params, n, condition).draw(key)[0]


class Model(NamedTuple):
    """What p and q are: four pure functions that share parameters.

    Attributes:
      init: `(key, batch) -> params`, a dict with one entry for each network.
      posterior: `(params, batch, *, key=None) -> Distribution` of z given what the encoder sees; None
        where there is no encoder. With a key, dropout is on.
      prior: `(params, n, condition) -> Distribution` of n codes; None for a plain autoencoder.
      likelihood: `(params, z, condition, *, key=None) -> Distribution` of x.
      name: what it is, when printed.
      conditional: whether any of the functions uses a condition; a model that does not refuses one.
      unit: whether x must be in [0, 1].
      coupled: whether the likelihood of an example depends on the others of its batch.
    """

    init: Callable[[PRNGKeyArray, Batch], Params]
    posterior: Callable[..., Distribution] | None
    prior: Callable[[Params, int, Tree | None], Distribution] | None
    likelihood: Callable[..., Distribution]
    name: str = "model"
    conditional: bool = False
    unit: bool = False
    coupled: bool = False


class Draws(NamedTuple):
    """Draws of z for each example of a batch, and what each piece of the model says of them.

    Attributes:
      z: codes, each leaf `[k, b, ...]`.
      log_likelihood: log p(x | z), `[k, b]`, in nats; None where z is not drawn for x.
      log_prior: log p(z), `[k, b]`; None where there is no prior, or it has no density.
      log_posterior: log q(z | x), `[k, b]`; None where the posterior has no density.
      posterior: q(z | x), the same that z was drawn from; None where there is none.
      prior: p(z) of b codes; None where there is none.
      likelihood: p(x | z) of all `k * b` codes, one draw after the other.
    """

    z: Tree
    log_likelihood: Float[Array, "k b"] | None
    log_prior: Float[Array, "k b"] | None
    log_posterior: Float[Array, "k b"] | None
    posterior: Distribution | None
    prior: Distribution | None
    likelihood: Distribution

    @property
    def log_weight(self) -> Float[Array, "k b"]:
        """Log p(x, z) - log q(z | x), in nats.

        Raises:
          ValueError: naming the piece that has no density.
        """
        for piece, density in (
            ("this model has no prior", self.prior),
            ("the prior of this model has no density", self.log_prior),
            ("the posterior of this model has no density", self.log_posterior),
        ):
            if density is None:
                raise ValueError(f"{piece}, so log p(x) cannot be bounded or estimated")
        return self.log_likelihood + self.log_prior - self.log_posterior  # type: ignore[operator]


class Output(NamedTuple):
    """What a loss returns.

    Attributes:
      loss: `[b]`, the objective of each example in nats; training minimises its mean.
      terms: its named parts before they are weighted, each `[b]`.
      metrics: other measures, each `[b]`, that have no gradient and no weight.
      z: the codes it was computed at, leaves `[b, ...]`.
      stats: the parameters of the posterior that they were drawn from.
    """

    loss: Float[Array, " b"]
    terms: Mapping[str, Float[Array, " b"]]
    metrics: Mapping[str, Float[Array, " b"]] = {}
    z: Tree = None
    stats: Tree = None

    def add(self, *terms: Term) -> Output:
        """The same output with more terms.

        Raises:
          ValueError: if there is a term of that name already.

        Examples:
          >>> out = Output(jnp.ones(2), {"distortion": jnp.ones(2)})
          >>> out.add(Term("penalty", jnp.ones(2), 0.5)).loss.tolist()
          [1.5, 1.5]
        """
        loss, known, metrics = self.loss, dict(self.terms), dict(self.metrics)
        for name, value, weight in terms:
            if name in known or name in metrics:
                raise ValueError(f"the name {name!r} is used twice in one model")
            if weight is None:
                metrics[name] = jax.lax.stop_gradient(value)
            else:
                known[name] = value
                loss = loss + weight * value
        return self._replace(loss=loss, terms=known, metrics=metrics)


class Term(NamedTuple):
    """A part of a loss.

    Attributes:
      name: under which it is reported.
      value: `[b]`.
      weight: what it is multiplied with in the loss; None for a measure that is only reported.
    """

    name: str
    value: Float[Array, " b"]
    weight: float | Float[Array, ""] | None = 1.0


class Context(NamedTuple):
    """What a penalty sees of a step.

    Attributes:
      model: the model.
      params: all parameters.
      key: of this penalty and this step.
      batch: after the corruption.
      draws: what the objective has drawn, with the posterior that it was drawn from.
      step: for schedules.
      train: whether dropout is on.
    """

    model: Model
    params: Params
    key: PRNGKeyArray
    batch: Batch
    draws: Draws
    step: Step
    train: bool

    @property
    def z(self) -> Tree:
        """The first draw of the codes, leaves `[b, ...]`."""
        return jax.tree.map(lambda leaf: leaf[0], self.draws.z)


class Objective(NamedTuple):
    """What a model is trained by, before penalties.

    Attributes:
      name: what it is, when printed.
      apply: `(model, params, key, batch, step, train) -> (Output, Draws)`.
      options: its arguments, as pairs of names and values.
      coupled: whether the loss of an example depends on the others of its batch.
    """

    name: str
    apply: Callable[[Model, Params, PRNGKeyArray, Batch, Step, bool], tuple[Output, Draws]]
    options: tuple[tuple[str, Any], ...] = ()
    coupled: bool = False


class Penalty(NamedTuple):
    """What is added to the loss. It can neither replace what is there nor see other penalties.

    Attributes:
      name: unique in a model.
      apply: `Context -> terms`, a sequence of :class:`Term`.
      options: its arguments, as pairs of names and values.
      init: `(key, model, params, batch) -> dict` of parameters of its own, such as a discriminator's.
      coupled: whether the value of an example depends on the others of its batch.
    """

    name: str
    apply: Callable[[Context], Any]
    options: tuple[tuple[str, Any], ...] = ()
    init: Callable[[PRNGKeyArray, Model, Params, Batch], dict[str, Params]] | None = None
    coupled: bool = False


View: TypeAlias = Callable[[Tree], Float[Array, "b d"]]
"""The part of a code that is compared with a prior, as a vector for each example."""

Corruption: TypeAlias = Callable[[PRNGKeyArray, Tree], Tree]
"""`(key, x) -> x`: what becomes of the input of the encoder."""
