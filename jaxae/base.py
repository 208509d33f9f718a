"""The types: a model is four pure functions; an autoencoder is a model and the way it is trained.

A :class:`Model` defines p(z), p(x | z) and q(z | x). An :class:`Autoencoder` holds a model, an objective,
penalties and a corruption as fields, and derives from them everything that a user calls (`encode`,
`decode`, `loss`, `sample`, `log_weight`). Penalties can therefore be added in any order, and none is
lost; of several priors the last holds, and corruptions are applied in the order they were given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.arguments import checked
from jaxae.arrays import Step, sum_values
from jaxae.checks import check_positive
from jaxae.recipes import Made

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
      made: the call that made it, see :mod:`jaxae.recipes`.

    Examples:
      >>> scale = Network(lambda key, x: jnp.ones(()), lambda params, x, *, key=None: params * x)
      >>> scale.apply(jnp.float32(2.0), jnp.ones(3)).tolist()
      [2.0, 2.0, 2.0]
    """

    init: Callable[..., Params]
    apply: Callable[..., Any]
    conditional: bool = False
    made: Made | None = None


class Batch(NamedTuple):
    """Examples, or a whole data set: trees of arrays whose first axis is the example.

    An array `x` may stand for `Batch(x)` wherever a batch is expected.

    Attributes:
      x: the data that the model describes: images, signals, vectors.
      seen: the input of the encoder, if it is not `x`; corruptions change only this.
      condition: known when sampling too: a class, a grey image, attributes. Bytes are divided by 255,
        as in `x`; give labels as int32.
      label: supervision: classes, `[b]`, -1 where unknown; or probabilities of classes, `[b, k]`.
      observed: 1 where a value of `x` is known, 0 where it is missing. The likelihood is that of the
        known values, and the encoder sees zeros in place of the others, unless `seen` is given.
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
    """A batch of distributions. It holds functions, so that a jitted function cannot return it.

    Attributes:
      draw: `key -> (y, log p(y))`, one draw of each and its log-density, `[b]`; None in place of the
        log-density if there is none.
      mean: the mean of each, or a point that represents it; None if it is not known.
      log_prob: `y -> [b]`, in nats; None if there is no density, or only draws have one.
      elementwise: `y -> tree like y`, the log-density of each value, if values are independent.
      stats: its parameters as arrays.
      kl: `other -> [b]` or `[b, ...]`, the KL divergence to another distribution in closed form, in the
        second case with one value for each latent dimension; None if this pair has no closed form.
      reparameterised: True if a draw is a differentiable function of the parameters; False if its
        derivative is zero or missing; "straight-through" if an estimator stands in for it.
      family: a name, such as "normal", by which `kl` of another distribution recognises it.
    """

    draw: Callable[[PRNGKeyArray], tuple[Tree, Float[Array, " b"] | None]]
    mean: Tree
    log_prob: Callable[[Tree], Float[Array, " b"]] | None = None
    elementwise: Callable[[Tree], Tree] | None = None
    stats: Tree = None
    kl: Callable[[Distribution], Float[Array, "b ..."] | None] | None = None
    reparameterised: bool | str = False
    family: str = ""

    def log_prob_of(self, y: Tree, observed: Tree | None = None) -> Float[Array, " b"]:
        """The log-density of `y`, in nats; with `observed`, of the values that are known.

        Raises:
          ValueError: if there is no density, or values are missing and it does not factorise over the values.
        """
        if observed is None:
            if self.log_prob is None:
                raise ValueError("this distribution has no density")
            return self.log_prob(y)
        if self.elementwise is None:
            raise ValueError("missing values need a likelihood that factorises over the values")
        # Masked before and after: a missing value may be nan, and so may the gradient at it.
        known = jax.tree.map(lambda y, o: jnp.where(o > 0, y, 0), y, observed)
        values = jax.tree.map(
            lambda v, o: sum_values(jnp.where(o > 0, v, 0)), self.elementwise(known), observed
        )
        return sum(jax.tree.leaves(values), jnp.zeros(()))


class Likelihood(NamedTuple):
    """The family of distributions of x that the outputs of a decoder parametrise.

    Attributes:
      distribution: `(outputs, params=None) -> Distribution` of x.
      outputs: the number of outputs of the decoder for each value of x; if there are several, they are
        the last axis.
      levels: the number of values a pixel can take, for a distribution over a finite set; None for a
        density.
      init: `(key, x) -> params`, if the likelihood has parameters of its own.
      unit: whether values of x must be in [0, 1].
      coupled: whether the log-probability of an example depends on the others of the batch.
      name: what it is, when printed.
      made: the call that made it, see :mod:`jaxae.recipes`.
    """

    distribution: Callable[..., Distribution]
    outputs: int = 1
    levels: int | None = None
    init: Callable[[PRNGKeyArray, Tree], Params] | None = None
    unit: bool = False
    coupled: bool = False
    name: str = "likelihood"
    made: Made | None = None

    def log_prob(self, outputs: Tree, x: Tree, params: Params = None) -> Float[Array, " b"]:
        """The log-probability of x in nats, summed over values, constants included."""
        return self.distribution(outputs, params).log_prob_of(x)

    def mean(self, outputs: Tree, params: Params = None) -> Tree:
        """The mean of the distribution; it is not clipped."""
        return self.distribution(outputs, params).mean


class Posterior(NamedTuple):
    """The family of distributions of z that the outputs of an encoder parametrise.

    Attributes:
      distribution: `(outputs, params=None) -> Distribution` of z.
      init: `key -> params`, if the family has parameters of its own, such as those of a flow.
      name: what it is, when printed.
      made: the call that made it, see :mod:`jaxae.recipes`.
    """

    distribution: Callable[..., Distribution]
    init: Callable[[PRNGKeyArray], Params] | None = None
    name: str = "posterior"
    made: Made | None = None


class Prior(NamedTuple):
    """A distribution of codes.

    Attributes:
      latent_dim: d, the dimensions of a code.
      distribution: `(params, n, condition=None) -> Distribution` of n codes, `[n, d]`.
      init: `key -> params`, if the prior has parameters of its own.
      classes: the number of classes, if `condition` may be labels, `[n]` (-1: any class).
      conditional: whether a model passes its condition to `distribution`; :meth:`sample` always does.
      name: what it is, when printed.
      made: the call that made it, see :mod:`jaxae.recipes`.
    """

    latent_dim: int
    distribution: Callable[..., Distribution]
    init: Callable[[PRNGKeyArray], Params] | None = None
    classes: int | None = None
    conditional: bool = False
    name: str = "prior"
    made: Made | None = None

    @checked
    def sample(
        self, key: PRNGKeyArray, n: int, *, condition: Tree | None = None, params: Params = None
    ) -> Tree:
        """Draws of n codes; with labels as `condition`, each from the class of its label.

        Raises:
          ValueError: if there is a condition and the prior uses none, or the key or `n` is not one.
        """
        check_positive(n=n)
        if condition is not None and self.classes is None and not self.conditional:
            raise ValueError(f"the prior {self.name} uses no condition")
        return self.distribution(params, n, condition).draw(key)[0]


class Model(NamedTuple):
    """A latent-variable model: four pure functions that share parameters.

    Attributes:
      init: `(key, batch) -> params`, a dict with one entry for each network, and for each distribution
        that has parameters.
      posterior: `(params, batch, *, key=None) -> Distribution` of z given what the encoder sees; None
        if there is no encoder. With a key, dropout is on.
      prior: `(params, n, condition) -> Distribution` of n codes; None for a plain autoencoder.
      likelihood: `(params, z, condition, *, key=None) -> Distribution` of x.
      name: shown when the model is printed.
      conditional: whether the posterior or the likelihood uses a condition.
      conditional_prior: whether the prior does. A model of which no function uses a condition refuses one.
      unit: whether x must be in [0, 1].
      coupled: whether the likelihood of an example depends on the others of its batch.
    """

    init: Callable[[PRNGKeyArray, Batch], Params]
    posterior: Callable[..., Distribution] | None
    prior: Callable[[Params, int, Tree | None], Distribution] | None
    likelihood: Callable[..., Distribution]
    name: str = "model"
    conditional: bool = False
    conditional_prior: bool = False
    unit: bool = False
    coupled: bool = False


class Draws(NamedTuple):
    """Draws of z for each example of a batch, and the log-densities of the pieces of the model at them.

    Attributes:
      z: codes, each leaf `[k, b, ...]`.
      log_likelihood: log p(x | z), `[k, b]`, in nats; None if z is not drawn for x.
      log_prior: log p(z), `[k, b]`; None if there is no prior, or it has no density.
      log_posterior: log q(z | x), `[k, b]`; None if the posterior has no density.
      posterior: q(z | x), from which z was drawn; None if there is none.
      prior: p(z) of b codes; None if there is none.
      likelihood: p(x | z) of all `k * b` codes; the b codes of the first draw come first.
    """

    z: Tree
    log_likelihood: Float[Array, "k b"] | None
    log_prior: Float[Array, "k b"] | None
    log_posterior: Float[Array, "k b"] | None
    posterior: Distribution | None
    prior: Distribution | None
    likelihood: Distribution

    def check_densities(self) -> None:
        """Raises a `ValueError` that names the piece without a density, if there is one."""
        for piece, density in (
            ("this model has no prior", self.prior),
            ("the prior of this model has no density", self.log_prior),
            ("the posterior of this model has no density", self.log_posterior),
        ):
            if density is None:
                raise ValueError(f"{piece}, so log p(x) cannot be bounded or estimated")

    @property
    def log_weight(self) -> Float[Array, "k b"]:
        """Log p(x, z) - log q(z | x), in nats.

        Raises:
          ValueError: if a piece has no density; the message names it.
        """
        self.check_densities()
        return self.log_likelihood + self.log_prior - self.log_posterior  # type: ignore[operator]


class Output(NamedTuple):
    """The value of a loss, and what it consists of.

    Attributes:
      loss: `[b]`, the objective of each example in nats; training minimises its mean.
      terms: named quantities in nats, unweighted, each `[b]`; not all of them are summands of the loss.
      metrics: other measures, each `[b]`, without gradient or weight.
      z: the codes at which it was computed, leaves `[b, ...]`.
      stats: the parameters of the posterior from which they were drawn.
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
      weight: its factor in the loss; None for a measure that is only reported.
    """

    name: str
    value: Float[Array, " b"]
    weight: float | Float[Array, ""] | None = 1.0


class Context(NamedTuple):
    """The arguments of a penalty in one step.

    Attributes:
      model: the model.
      params: all parameters.
      key: for this penalty and this step.
      batch: with `seen` corrupted.
      draws: the draws of the objective, with the posterior they come from.
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
    def encoded(self) -> Tree:
        """The first draw of the posterior, leaves `[b, ...]`.

        Raises:
          ValueError: if the model has no encoder, whose codes a penalty could change.
        """
        if self.draws.posterior is None:
            raise ValueError(
                "this penalty is on the codes of an encoder, and this model has no encoder"
            )
        return self.z

    @property
    def z(self) -> Tree:
        """The first draw of the codes, leaves `[b, ...]`."""
        return jax.tree.map(lambda leaf: leaf[0], self.draws.z)


class Objective(NamedTuple):
    """The loss of a model before penalties.

    Attributes:
      name: shown when the model is printed.
      apply: `(model, params, key, batch, step, train) -> (Output, Draws)`.
      options: its arguments, as pairs of names and values.
      coupled: whether the loss of an example depends on the others of its batch.
    """

    name: str
    apply: Callable[[Model, Params, PRNGKeyArray, Batch, Step, bool], tuple[Output, Draws]]
    options: tuple[tuple[str, Any], ...] = ()
    coupled: bool = False


class Penalty(NamedTuple):
    """An addition to the loss. It cannot replace the objective, and it does not see other penalties.

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
"""`(key, x) -> x`: a random change of the input of the encoder."""
