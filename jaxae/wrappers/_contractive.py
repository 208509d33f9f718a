"""Contractive autoencoders: a penalty on the Jacobian of the encoder."""

import math
from collections.abc import Callable
from functools import partial
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.base import Autoencoder, Output, Params, Step, Target, Weight, at_step, check_weights

Mode = Literal["forward", "reverse", "auto", "hutchinson"]

CHUNK_VALUES = 2**27
"""How many values a chunk of directions may have in the widest layer: half a gigabyte."""


def contractive(
    base: Autoencoder,
    weight: Weight,
    *,
    mode: Mode = "forward",
    probes: int = 1,
    chunk: int | None = None,
) -> Autoencoder:
    r"""A model whose codes change little where the data do.

    .. math:: L'(x) = L(x) + \lambda \lVert J_f(x) \rVert_F^2
              = L(x) + \lambda \sum_{ij} \left(\frac{\partial f_j(x)}{\partial x_i}\right)^2

    The Jacobian is of `base.encode`, the deterministic encoder, at the x that this wrapper is given:
    the corrupted image in `denoising(contractive(model))`, the clean one in
    `contractive(denoising(model))`. Small codes have a small Jacobian: with weights that are not tied
    (see :func:`jaxae.tied_autoencoder`), look at the norm beside the scale of the codes.

    Args:
      base: any autoencoder.
      weight: the weight lambda; a constant or a schedule.
      mode: how the norm is computed, see :func:`squared_jacobian_norm`.
      probes: how many random directions "hutchinson" takes for each example.
      chunk: directions that are computed together, see :func:`squared_jacobian_norm`.

    Returns:
      an :class:`Autoencoder` whose loss has one more term, `contraction`, the squared norm.

    Raises:
      ValueError: if the weight is negative or not finite, there is no such mode, or the number of
        probes or directions is not positive.

    Examples:
      >>> import jaxae
      >>> base = jaxae.autoencoder(jaxae.mlp_encoder(2), jaxae.mlp_decoder((8, 8, 1)))
      >>> model = contractive(base, 1e-3)
      >>> images = jnp.zeros((4, 8, 8, 1))
      >>> params = model.init(jax.random.key(0), images)
      >>> sorted(model.loss(params, jax.random.key(1), images).terms)
      ['contraction', 'distortion']

    References:
      Rifai et al., `Contractive Auto-Encoders <https://icml.cc/2011/papers/455_icmlpaper.pdf>`_.
    """
    check_weights(weight=weight)
    _check(mode, probes, chunk)

    def loss(
        params: Params,
        key: PRNGKeyArray,
        x: Array,
        *,
        target: Target = None,
        step: Step = 0,
        train: bool = True,
    ) -> Output:
        probe_key = None
        if mode == "hutchinson":
            key, probe_key = jax.random.split(key)
        out = base.loss(params, key, x, target=target, step=step, train=train)
        norm = squared_jacobian_norm(
            lambda x: base.encode(params, x),
            x,
            mode=mode,
            key=probe_key,
            probes=probes,
            chunk=chunk,
        )
        return out.add("contraction", norm, at_step(weight, step))

    return base._replace(loss=loss)


def squared_jacobian_norm(
    function: Callable[[Array], Array],
    x: Float[Array, "b ..."],
    *,
    mode: Mode = "forward",
    key: PRNGKeyArray | None = None,
    probes: int = 1,
    chunk: int | None = None,
) -> Float[Array, " b"]:
    r"""The squared Frobenius norm of a function's Jacobian at each example.

    .. math:: \lVert J(x) \rVert_F^2 = \sum_i \lVert J e_i \rVert^2 = \sum_j \lVert J^T e_j \rVert^2
              = \mathbb E_{v \sim \mathcal N(0, I)} \lVert J^T v \rVert^2

    The three right-hand sides are the modes: "forward" (`jax.jacfwd`, a pass for each value of an
    image), "reverse" (`jax.jacrev`, a pass for each value of a code), and "hutchinson", an unbiased
    estimate that takes a pass for each probe. "auto" is the cheaper of the two exact ones.

    Memory is bounded: the directions are taken a chunk at a time, and where that is more than one,
    what a chunk leaves for the gradient is computed again.

    Args:
      function: from `[b, ...]` to `[b, ...]`; an example of its output depends on the same
        example of its input only.
      x: the examples.
      mode: "forward", "reverse", "auto" or "hutchinson".
      key: for the probes; used, and needed, by "hutchinson" only.
      probes: how many random directions "hutchinson" takes for each example.
      chunk: directions that are computed together; when None, as many as make arrays of half a
        gigabyte in the widest layer of the function.

    Returns:
      `[b]`.

    Raises:
      ValueError: if there is no such mode, a number is not positive, or there is no key for probes.

    Examples:
      >>> squared_jacobian_norm(lambda x: x @ jnp.diag(jnp.array([1.0, 2.0])), jnp.zeros((3, 2)))
      Array([5., 5., 5.], dtype=float32)

    References:
      Hutchinson, `A Stochastic Estimator of the Trace of the Influence Matrix
      <https://doi.org/10.1080/03610918908812806>`_.
    """
    _check(mode, probes, chunk)
    inputs = math.prod(x.shape[1:])
    codes = math.prod(jax.eval_shape(function, x).shape[1:])
    if mode == "auto":
        mode = "reverse" if REVERSE_COST * codes <= inputs else "forward"
    if mode == "hutchinson" and key is None:
        raise ValueError("the probes of mode 'hutchinson' need a key")
    wanted = {"forward": inputs, "reverse": codes, "hutchinson": probes}[mode]
    if chunk is None:
        chunk = CHUNK_VALUES // _widest(function, x)
    size = max(1, min(chunk, wanted))
    if size == wanted and mode != "hutchinson":
        jacobian = jax.jacfwd if mode == "forward" else jax.jacrev
        return jax.vmap(lambda x: _squares(jacobian(lambda x: function(x[None]))(x)))(x)

    def block(i: Array) -> Array:
        """The share of the directions from `i * size` on."""
        number = i * size + jnp.arange(size)
        if mode == "hutchinson":
            assert key is not None
            drawn = jax.random.normal(jax.random.fold_in(key, i), (x.shape[0], size, codes))
            drawn = jnp.where(number[:, None] < probes, drawn, 0) / math.sqrt(probes)
            return jax.vmap(partial(_pulled, function))(drawn, x)
        # Beyond the last of them, the rows are zero.
        basis = jax.nn.one_hot(number, wanted)
        product = _pushed if mode == "forward" else _pulled
        return jax.vmap(partial(product, function, basis))(x)

    if size == wanted:
        return block(jnp.int32(0))
    total, _ = jax.lax.scan(
        lambda total, i: (total + jax.checkpoint(block)(i), None),
        jnp.zeros(x.shape[0]),
        jnp.arange(-(-wanted // size)),
    )
    return total


REVERSE_COST = 3
"""A pass in reverse mode costs about as much as this many forward (benchmarks/jacobian.py)."""


def _pushed(
    function: Callable[[Array], Array], directions: Float[Array, "m inputs"], x: Array
) -> Float[Array, ""]:
    """The squared norm of J times these directions, at one example."""

    def along(t: Array) -> Array:
        return function((x + (t @ directions).reshape(x.shape))[None])

    return _squares(jax.jacfwd(along)(jnp.zeros(directions.shape[0])))


def _pulled(
    function: Callable[[Array], Array], directions: Float[Array, "m codes"], x: Array
) -> Float[Array, ""]:
    """The squared norm of these directions times J, at one example."""
    return _squares(jax.jacrev(lambda x: directions @ function(x[None]).ravel())(x))


def _squares(values: Array) -> Float[Array, ""]:
    return jnp.sum(jnp.square(values))


def _widest(function: Callable[[Array], Array], x: Array) -> int:
    """The size of the largest array that the function makes on its way."""
    jaxpr = jax.make_jaxpr(function)(x)
    made = [v.aval for equation in jaxpr.eqns for v in equation.outvars]
    return max([x.size, *(getattr(aval, "size", 1) for aval in made)])


def _check(mode: str, probes: int, chunk: int | None) -> None:
    if mode not in get_args(Mode):
        raise ValueError(f"the mode must be one of {', '.join(get_args(Mode))}, got {mode!r}")
    if probes < 1:
        raise ValueError(f"the estimate needs at least one probe, got {probes}")
    if chunk is not None and chunk < 1:
        raise ValueError(f"a chunk has at least one direction, got {chunk}")
