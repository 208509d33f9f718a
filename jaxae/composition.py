"""An autoencoder is a model, an objective, penalties and a corruption; its functions are derived here."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.arguments import checked
from jaxae.arrays import Step, as_float, fold_in_name, merge, sum_values
from jaxae.base import (
    Batch,
    Context,
    Corruption,
    Distribution,
    Draws,
    Model,
    Objective,
    Output,
    Params,
    Penalty,
    Term,
    Tree,
)
from jaxae.checks import (
    check_examples,
    check_params,
    check_positive,
    check_tree,
    check_values,
    explained,
    native,
)
from jaxae.recipes import Made


class Autoencoder(NamedTuple):
    """A model and the way it is trained. Close over it in `jit`; do not pass it as an argument.

    The methods are pure functions. `x` is an array or a tree of arrays whose first axis is the
    example; bytes are treated as images and divided by 255.

    Attributes:
      model: the prior, the likelihood and the posterior.
      objective: the loss before penalties.
      penalties: additions to the loss, in any order.
      corruption: the change of the encoder's input in the loss; None for none.
      monitor: the validation score by which epochs are selected; None if no score says which epoch is
        better, as with a generator and a discriminator. A loss whose weights follow a schedule cannot
        be compared from one epoch to the next; :func:`jaxae.fit` then asks for another score.
      made: the call that made it, see :mod:`jaxae.recipes`.
    """

    model: Model
    objective: Objective
    penalties: tuple[Penalty, ...] = ()
    corruption: Corruption | None = None
    monitor: str | None = "loss"
    made: Made | None = None

    @checked
    def init(self, key: PRNGKeyArray, batch: Batch | Tree) -> Params:
        """Parameters, a dict with an entry for each network.

        Args:
          key: for the initialisation.
          batch: real examples, for parameters that are initialised from data.
        """
        batch = self.batch(batch)
        if self.corruption is not None:
            corruption_key, key = jax.random.split(key)
            batch = batch._replace(seen=self.corruption(corruption_key, batch.input))
        with explained("the model", None, batch.input):
            params = self.model.init(key, batch)
        for penalty in self.penalties:
            if penalty.init is not None:
                own = penalty.init(fold_in_name(key, penalty.name), self.model, params, batch)
                params = merge(params, own)
        return params

    @checked
    def encode(self, params: Params, x: Batch | Tree, *, condition: Tree | None = None) -> Tree:
        """Codes of `x`, deterministic: the means of the posterior, leaves `[b, ...]`.

        Raises:
          ValueError: if the model has no encoder, or its posterior has no mean; if `x` is not what the
            model describes, or does not fit the parameters.
        """
        check_params(params)
        if condition is not None:
            batch = x if isinstance(x, Batch) else Batch(_one_tree(x))
            x = batch._replace(condition=condition)
        batch = self.batch(x)
        posterior = posterior_of(self.model)
        with explained("the encoder", params, batch.input):
            z = posterior(params, batch).mean
        if z is None:
            raise ValueError("the posterior of this model has no mean, so a code has to be drawn")
        return z

    def decode(self, params: Params, z: Tree, *, condition: Tree | None = None) -> Tree:
        """The mean of the likelihood at codes; it is not clipped to [0, 1].

        Raises:
          ValueError: if the codes do not fit the parameters.
        """
        check_params(params)
        z = _as_codes(z)
        with explained("the decoder", params, z):
            return self.model.likelihood(params, z, self._condition(condition)).mean

    @checked
    def loss(
        self,
        params: Params,
        key: PRNGKeyArray,
        batch: Batch | Tree,
        *,
        step: Step = 0,
        train: bool = True,
    ) -> Output:
        """The objective and all penalties.

        Args:
          params: all parameters.
          key: for the corruption, the draws, and dropout.
          batch: examples; an array stands for `Batch(x=array)`.
          step: for schedules of weights.
          train: whether dropout is on. The corruption is applied in either case.

        Returns:
          an :class:`Output`, per example: the objective in nats, plus weighted penalties. With a Gaussian
          or a Laplace likelihood, `squared_error` is among its metrics: that of the mean of p(x | z) at
          the first draw of z, summed over the (known) values of an example.

        Raises:
          ValueError: if the batch is not what the model describes, or does not fit the parameters.
        """
        check_params(params)
        batch = self.batch(batch)
        if self.corruption is not None:
            corruption_key, key = jax.random.split(key)
            batch = batch._replace(seen=self.corruption(corruption_key, batch.input))
        with explained("the model", params, batch.input):
            out, draws = self.objective.apply(self.model, params, key, batch, step, train)
        for penalty in self.penalties:
            own = fold_in_name(key, penalty.name)
            context = Context(self.model, params, own, batch, draws, step, train)
            out = out.add(*penalty.apply(context))
        error = _squared_error(draws, batch)
        if error is not None and not {"squared_error"} & {*out.terms, *out.metrics}:
            out = out.add(Term("squared_error", error, None))
        return out

    @checked
    def draws(
        self, params: Params, key: PRNGKeyArray, batch: Batch | Tree, samples: int = 1
    ) -> Draws:
        """Codes drawn from the posterior, and log-densities at them, without dropout or corruption.

        Raises:
          ValueError: as by `loss`, or if `samples` is not positive.
        """
        check_params(params)
        check_positive(samples=samples)
        batch = self.batch(batch)
        with explained("the model", params, batch.input):
            return draw(self.model, params, key, batch, samples)

    @checked
    def log_weight(
        self, params: Params, key: PRNGKeyArray, batch: Batch | Tree
    ) -> Float[Array, " b"]:
        """Log p(x, z) - log q(z | x) in nats, at one draw of z from q(z | x); `[b]`.

        Raises:
          ValueError: if the prior or the posterior has no density.
        """
        return self.draws(params, key, batch).log_weight[0]

    @checked
    def sample(
        self, params: Params, key: PRNGKeyArray, n: int, *, condition: Tree | None = None
    ) -> Tree:
        """Means of the likelihood at `n` codes drawn from the prior.

        The noise of the likelihood is left out: these are not draws of x. `condition` is a tree of
        arrays `[n, ...]`, for a conditional model.

        Raises:
          ValueError: if the model has no prior.
        """
        check_params(params)
        check_positive(n=n)
        condition = self._condition(condition)
        if self.model.prior is None:
            raise ValueError(
                "this model has no prior to draw codes from, as plain autoencoders have none; after "
                "training, give it one with jaxae.with_prior, such as jaxae.priors.gaussian_mixture of its "
                "codes, or train a jaxae.vae"
            )
        z, _ = self.model.prior(params, n, condition).draw(key)
        return self.decode(params, z, condition=condition)

    @property
    def coupled(self) -> bool:
        """Whether the loss of an example depends on the others of its batch."""
        own = self.model.coupled or self.objective.coupled
        return own or any(penalty.coupled for penalty in self.penalties)

    @property
    def scheduled(self) -> tuple[str, ...]:
        """The names of the weights that follow a schedule."""
        return tuple(name for name, _ in self.schedules)

    @property
    def schedules(self) -> tuple[tuple[str, Callable[[Step], Any]], ...]:
        """The weights that follow a schedule, with their names."""
        pieces = [self.objective.options, *(penalty.options for penalty in self.penalties)]
        weights = ("beta", "weight", "r1")
        return tuple(
            (n, v) for options in pieces for n, v in options if n in weights and callable(v)
        )

    def add(self, penalty: Penalty) -> Autoencoder:
        """The same autoencoder with one more penalty.

        Raises:
          ValueError: if there is a penalty of that name already.
        """
        if penalty.name in [p.name for p in self.penalties]:
            raise ValueError(
                f"this model has a penalty {penalty.name!r} already; give one another name"
            )
        return self._replace(penalties=(*self.penalties, penalty))

    def batch(self, batch: Batch | Tree) -> Batch:
        """Examples as the model takes them: a :class:`Batch`, checked, and with bytes as floats.

        Raises:
          ValueError: if they are not what the model describes. Values that `jit` is tracing pass.
        """
        batch = as_batch(batch)
        check_values(self.model.unit, batch)
        return batch._replace(condition=self._condition(batch.condition))

    def _condition(self, condition: Tree | None) -> Tree | None:
        if condition is not None and not (self.model.conditional or self.model.conditional_prior):
            raise ValueError(
                "there is a condition, but no part of this model uses one; wrap its networks in "
                "jaxae.networks.with_condition, or give it a prior with conditional=True"
            )
        return _as_floats(condition)

    def __repr__(self) -> str:
        lines = [f"model: {self.model.name}", f"objective: {_shown(self.objective)}"]
        lines += [f"penalty: {_shown(penalty)}" for penalty in self.penalties]
        if self.corruption is not None:
            lines.append(f"corruption: {_name(self.corruption)}")
        lines.append(f"monitor: {self.monitor}")
        return "Autoencoder(\n  " + "\n  ".join(lines) + "\n)"


def draw(
    model: Model,
    params: Params,
    key: PRNGKeyArray,
    batch: Batch,
    samples: int = 1,
    *,
    train: bool = False,
    posterior_params: Params = None,
    stop_density: bool = False,
) -> Draws:
    r"""Draws codes from q(z | x), and evaluates the likelihood, the prior and the posterior at them.

    All objectives of models with an encoder call it.

    Args:
      model: with a posterior.
      params: of all networks.
      key: for the draws and for dropout.
      batch: examples.
      samples: k, the number of codes drawn for each example.
      train: whether dropout is on.
      posterior_params: parameters for q alone, in place of `params`: with `stop_gradient` around one
        of the two, the gradient is that of the encoder or that of the decoder alone.
      stop_density: whether to stop the gradient through the parameters of log q(z | x); the one
        through z remains.

    Returns:
      :class:`Draws`, whose arrays are `[k, b]`.

    Raises:
      ValueError: if the model has no encoder, or `stop_density` is asked for and the posterior has a
        density at its own draws only.
    """
    noise_key, encoder_key, decoder_key = jax.random.split(key, 3)
    q = params if posterior_params is None else posterior_params
    encoder_key = encoder_key if train else None
    posterior = posterior_of(model)(q, batch, key=encoder_key)
    if samples == 1:
        z, log_posterior = jax.tree.map(lambda leaf: leaf[None], posterior.draw(noise_key))
    else:
        z, log_posterior = jax.vmap(posterior.draw)(jax.random.split(noise_key, samples))
    if stop_density:
        frozen = posterior_of(model)(jax.lax.stop_gradient(q), batch, key=encoder_key)
        if frozen.log_prob is None:
            raise ValueError(
                "this estimator needs the density of the posterior at any code, and this posterior has "
                "it at its own draws only"
            )
        log_posterior = jax.vmap(frozen.log_prob)(z)

    b = len(jax.tree.leaves(batch.x)[0])

    def flat(tree: Tree) -> Tree:
        return jax.tree.map(lambda leaf: leaf.reshape(samples * b, *leaf.shape[2:]), tree)

    def repeated(tree: Tree) -> Tree:
        return flat(jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (samples, *leaf.shape)), tree))

    likelihood = model.likelihood(
        params, flat(z), repeated(batch.condition), key=decoder_key if train else None
    )
    log_likelihood = likelihood.log_prob_of(repeated(batch.x), repeated(batch.observed))
    prior, log_prior = None, None
    if model.prior is not None:
        prior = model.prior(params, b, batch.condition)
        _check_codes(z, prior)
        if prior.log_prob is not None:
            log_prior = jax.vmap(prior.log_prob)(z)
    # A density of another shape would be broadcast, and examples would mix.
    for piece, density in (("prior", log_prior), ("posterior", log_posterior)):
        if density is not None and density.shape != (samples, b):
            raise ValueError(
                f"the log-density of the {piece} must be one number for each example, but for codes of "
                f"{jax.tree.map(lambda leaf: leaf.shape[2:], z)} its shape is {density.shape[1:]}; is it "
                "a distribution of codes of another shape?"
            )
    if log_likelihood.shape != (samples * b,):
        raise ValueError(
            f"the log-likelihood must be one number for each example, not {log_likelihood.shape[1:]}"
        )
    return Draws(
        z,
        log_likelihood.reshape(samples, b),
        log_prior,
        log_posterior,
        posterior,
        prior,
        likelihood,
    )


def _squared_error(draws: Draws | None, batch: Batch) -> Float[Array, " b"] | None:
    """The squared error of the mean of p(x | z), for likelihoods whose mean costs nothing."""
    if draws is None or draws.log_likelihood is None:
        return None  # an objective without codes, such as a classifier's
    if draws.likelihood.family not in ("gaussian", "laplace"):
        return None
    difference = batch.x - draws.likelihood.mean[: len(batch.x)]
    if batch.observed is not None:
        difference = jnp.where(batch.observed > 0, difference, 0)
    return sum_values(jnp.square(jax.lax.stop_gradient(difference)))


def _check_codes(z: Tree, prior: Distribution) -> None:
    """Raises a `ValueError` unless draws of the posterior have the shape of draws of the prior.

    A density would broadcast, and a wrong number of dimensions would go unnoticed.
    """
    key = jax.eval_shape(jax.random.key, 0)
    draw_of_prior = jax.eval_shape(lambda key: prior.draw(key)[0], key)
    drawn = jax.tree.map(lambda leaf: leaf.shape[2:], z)
    expected = jax.tree.map(lambda leaf: leaf.shape[1:], draw_of_prior)
    if drawn != expected:
        raise ValueError(
            f"codes of the posterior have the shape {drawn}, and those of the prior {expected}"
        )


@checked
def reconstruct(
    model: Autoencoder, params: Params, x: Batch | Tree, *, condition: Tree | None = None
) -> Tree:
    """The reconstruction of `x`: `decode(encode(x))`, deterministic.

    Args:
      model: any autoencoder.
      params: its parameters.
      x: examples, bytes or floats.
      condition: for a conditional model.

    Returns:
      the mean of the likelihood, of the shape of the data; it is not clipped.
    """
    z = model.encode(params, x, condition=condition)
    if condition is None and isinstance(x, Batch):
        condition = x.condition
    return model.decode(params, z, condition=condition)


def as_batch(batch: Batch | Tree) -> Batch:
    """A batch with its images as floats; an array or a dict stands for `Batch(x)`.

    Raises:
      ValueError: for a tuple or list, which is ambiguous; if a part is not an array of numbers; or if the
        parts have different numbers of examples.

    Examples:
      >>> as_batch(jnp.full((1, 2), 255, jnp.uint8)).x.tolist()
      [[1.0, 1.0]]
    """
    if not isinstance(batch, Batch):
        batch = Batch(_one_tree(batch))
    batch = jax.tree.map(native, batch)
    check_examples(batch)
    if batch.observed is not None:
        jax.tree.map(_check_observed, batch.x, batch.observed)
    x, seen, condition = map(_as_floats, (batch.x, batch.seen, batch.condition))
    label = None if batch.label is None else jnp.asarray(native(batch.label))
    return Batch(x, seen, condition, label, batch.observed)


def _one_tree(x: Any) -> Tree:
    check_tree(x)
    if x is None:
        raise ValueError("there are no data: x is None")
    return x


def _as_codes(z: Tree) -> Tree:
    """Codes as arrays of numbers; bytes would be images."""
    if z is None or (isinstance(z, list) and not any(hasattr(leaf, "shape") for leaf in z)):
        raise ValueError(f"codes are arrays, [b, d], not {type(z).__name__}; use numpy.asarray(z)")

    def convert(leaf: Any) -> Any:
        leaf = native(leaf)
        if leaf.dtype == jnp.uint8:
            raise ValueError(
                "codes are floats or int32, and these are bytes (uint8), as images are"
            )
        return leaf

    return jax.tree.map(convert, z)


def _check_observed(x: Any, observed: Any) -> None:
    sizes = zip(jnp.shape(x), jnp.shape(observed), strict=False)
    if jnp.ndim(x) != jnp.ndim(observed) or any(o not in (1, n) for n, o in sizes):
        raise ValueError(
            f"observed must have the axes of x, {jnp.shape(x)}, each of the same size or 1, not "
            f"{jnp.shape(observed)}"
        )


def _as_floats(tree: Tree) -> Tree:
    """Bytes as floats in [0, 1] and floats as float32; whole numbers stay what they are."""

    def convert(leaf: Any) -> Array:
        leaf = jnp.asarray(native(leaf))
        if leaf.dtype == jnp.uint8 or jnp.issubdtype(leaf.dtype, jnp.floating):
            return as_float(leaf)
        return leaf

    with np.errstate(over="ignore"):  # float64 beyond float32 becomes infinite, which is refused
        return jax.tree.map(convert, tree)


def posterior_of(model: Model) -> Callable[..., Any]:
    """The posterior of a model; raises a `ValueError` if it has no encoder."""
    if model.posterior is None:
        raise ValueError("this model has no encoder, so there are no codes")
    return model.posterior


def _shown(piece: Objective | Penalty) -> str:
    return f"{piece.name}({', '.join(f'{name}={_name(value)}' for name, value in piece.options)})"


def _name(value: Any) -> str:
    """A value in print; a function by its name."""
    if isinstance(value, partial):
        value = value.func
    if callable(value):
        return str(getattr(value, "__qualname__", value)).split(".<locals>")[0]
    return str(value)
