"""The squared norm of a Jacobian: exactly or by random probes, in bounded memory."""

import math
from collections.abc import Callable
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxae.arrays import largest_value

Mode = Literal["forward", "reverse", "auto", "hutchinson"]

HIGHEST = jax.lax.Precision.HIGHEST

CHUNK_VALUES = 2**27
"""The number of values that a chunk of directions may have in the widest layer: half a gigabyte."""


def squared_jacobian_norm(
    function: Callable[..., Array],
    x: Float[Array, "b ..."],
    *,
    given: Any = None,
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

    Memory is bounded: directions are processed in chunks, and if there is more than one chunk, its
    intermediate values are recomputed for the gradient.

    Args:
      function: from `[b, ...]` to `[b, ...]`; an example of its output depends on the same
        example of its input only.
      x: the examples.
      given: a second argument of the function, if it has one: a tree of arrays `[b, ...]`, with respect
        to which nothing is differentiated.
      mode: "forward", "reverse", "auto" or "hutchinson".
      key: for the probes; used, and needed, by "hutchinson" only.
      probes: the number of random directions of "hutchinson" for each example.
      chunk: the number of directions that are computed together; None for as many as make arrays of
        half a gigabyte in the widest layer of the function.

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
    check_mode(mode, probes, chunk)
    inputs = math.prod(x.shape[1:])

    def apply(x: Array, given: Any) -> Array:
        return function(x) if given is None else function(x, given)

    def at(given: Any) -> Callable[[Array], Array]:
        """The function of one example."""
        one = jax.tree.map(lambda leaf: leaf[None], given)
        return lambda x: apply(x[None], one)[0]

    codes = math.prod(jax.eval_shape(apply, x, given).shape[1:])
    if mode == "auto":
        mode = "reverse" if REVERSE_COST * codes <= inputs else "forward"
    if mode == "hutchinson" and key is None:
        raise ValueError("the probes of mode 'hutchinson' need a key")
    wanted = {"forward": inputs, "reverse": codes, "hutchinson": probes}[mode]
    if chunk is None:
        chunk = CHUNK_VALUES // max(x.size, largest_value(jax.make_jaxpr(apply)(x, given).jaxpr))
    size = max(1, min(chunk, wanted))
    if size == wanted and mode != "hutchinson":
        jacobian = jax.jacfwd if mode == "forward" else jax.jacrev
        return jax.vmap(lambda x, given: _squares(jacobian(at(given))(x)))(x, given)

    def block(i: Array) -> Array:
        """The contribution of the directions from `i * size` on."""
        number = i * size + jnp.arange(size)
        if mode == "hutchinson":
            assert key is not None
            drawn = jax.random.normal(jax.random.fold_in(key, i), (x.shape[0], size, codes))
            drawn = jnp.where(number[:, None] < probes, drawn, 0) / math.sqrt(probes)
            return jax.vmap(lambda v, x, given: _pulled(at(given), v, x))(drawn, x, given)
        # Beyond the last of them, the rows are zero.
        basis = jax.nn.one_hot(number, wanted)
        product = _pushed if mode == "forward" else _pulled
        return jax.vmap(lambda x, given: product(at(given), basis, x))(x, given)

    if size == wanted:
        return block(jnp.int32(0))
    total, _ = jax.lax.scan(
        lambda total, i: (total + jax.checkpoint(block)(i), None),
        jnp.zeros(x.shape[0]),
        jnp.arange(-(-wanted // size)),
    )
    return total


REVERSE_COST = 3
"""The cost of a reverse-mode pass in forward-mode passes (benchmarks/jacobian.py)."""


def _pushed(
    function: Callable[[Array], Array], directions: Float[Array, "m inputs"], x: Array
) -> Float[Array, ""]:
    """The squared norm of J times these directions, at one example."""

    def along(t: Array) -> Array:
        return function(x + jnp.matmul(t, directions, precision=HIGHEST).reshape(x.shape))

    return _squares(jax.jacfwd(along)(jnp.zeros(directions.shape[0])))


def _pulled(
    function: Callable[[Array], Array], directions: Float[Array, "m codes"], x: Array
) -> Float[Array, ""]:
    """The squared norm of these directions times J, at one example."""
    return _squares(
        jax.jacrev(lambda x: jnp.matmul(directions, function(x).ravel(), precision=HIGHEST))(x)
    )


def _squares(values: Array) -> Float[Array, ""]:
    return jnp.sum(jnp.square(values))


def check_mode(mode: str, probes: int, chunk: int | None) -> None:
    """Raises a `ValueError` for a mode, or a number of probes or directions, that is out of range."""
    if mode not in get_args(Mode):
        raise ValueError(f"the mode must be one of {', '.join(get_args(Mode))}, got {mode!r}")
    if probes < 1:
        raise ValueError(f"the estimate needs at least one probe, got {probes}")
    if chunk is not None and chunk < 1:
        raise ValueError(f"a chunk has at least one direction, got {chunk}")
