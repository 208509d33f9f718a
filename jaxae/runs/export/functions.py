"""The encoder and the decoder of a model as functions of arrays alone, with the parameters inside."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxae.base import Batch, Params, Tree
from jaxae.checks import check_params, explained
from jaxae.composition import Autoencoder

EXAMPLES = 5
"""The number of examples by which an export is verified; it is verified in smaller batches as well."""


class Function(NamedTuple):
    """A function that can be exported.

    Attributes:
      name: encoder or decoder.
      call: `(*inputs) -> output`, without checks of values or numbers of examples, because these may be
        unknown while it is traced.
      reference: the same function as users of the model call it.
      inputs: examples of its arguments by name, trees of arrays `[n, ...]`.
      output: the name of the result.
      description: a sentence for the manifest.
    """

    name: str
    call: Callable[..., Tree]
    reference: Callable[..., Tree]
    inputs: dict[str, Tree]
    output: str
    description: str

    def expected(self) -> Tree:
        """What the model computes for the examples."""
        return jax.jit(self.reference)(*self.inputs.values())

    @property
    def precision(self) -> str:
        """The least precise type that it computes in, float32 or bfloat16."""
        traced = str(jax.make_jaxpr(self.call)(*self.inputs.values()))
        return "bfloat16" if "bf16[" in traced else "float32"


class Format(NamedTuple):
    """A file format of functions.

    Attributes:
      suffix: of the files.
      check_installed: raises a `ValueError` if a package is missing.
      write: writes a function to a file.
      read: the function in a file, as another program computes it.
      example: Python code that uses the files of some functions.
    """

    suffix: str
    check_installed: Callable[[], None]
    write: Callable[[Function, Path], None]
    read: Callable[[Path], Callable[..., Tree]]
    example: Callable[[Sequence[Function]], str]


def functions(
    model: Autoencoder,
    params: Params,
    shape: Sequence[int],
    *,
    condition: Tree | None = None,
) -> tuple[list[Function], list[str]]:
    """The functions of a model that can be exported.

    Args:
      model: any autoencoder.
      params: its parameters.
      shape: of one example, as the encoder sees it.
      condition: examples of the condition of a conditional model, a tree of arrays `[n, ...]`.

    Returns:
      the encoder and the decoder, and for each that is missing a sentence that says why.

    Raises:
      ValueError: if the shape does not fit the parameters, the condition is missing, or there is
        nothing to export.
    """
    check_params(params)
    # On one device, whichever devices the model was trained on.
    params = jax.tree.map(jnp.asarray, jax.device_get(params))
    if condition is not None:
        condition = _repeated(model, condition)
    elif model.model.conditional:
        raise ValueError("this model uses a condition; give condition=, some examples of it")
    given = {"condition": condition} if model.model.conditional else {}
    x = jax.random.uniform(jax.random.key(0), (EXAMPLES, *shape))
    found, missing = [], []

    def add(function: Function) -> Function | None:
        with explained(f"the {function.name}", params, next(iter(function.inputs.values()))):
            if jax.eval_shape(function.call, *function.inputs.values()) is None:
                missing.append(
                    f"there is no {function.name}: its distribution has no mean, so it is not a function"
                )
                return None
        found.append(function)
        return function

    encoder = None
    if model.model.posterior is None:
        missing.append("there is no encoder: this model generates examples only")
    else:
        encoder = add(_encoder(model, params, {"x": x, **given}))
    if encoder is not None:
        z = encoder.expected()
    else:
        if model.model.prior is None:
            raise ValueError("this model has neither an encoder nor a prior, so there are no codes")
        prior_condition = condition if model.model.conditional_prior else None
        z = model.model.prior(params, EXAMPLES, prior_condition).draw(jax.random.key(1))[0]
    add(_decoder(model, params, {"z": z, **given}))
    if not found:
        raise ValueError(f"nothing can be exported: {'; '.join(missing)}")
    return found, missing


def _encoder(model: Autoencoder, params: Params, inputs: dict[str, Any]) -> Function:
    def encoder(x: Tree, condition: Tree | None = None) -> Tree:
        assert model.model.posterior is not None
        return model.model.posterior(params, Batch(x, condition=condition)).mean

    def reference(x: Tree, condition: Tree | None = None) -> Tree:
        return model.encode(params, x, condition=condition)

    return Function("encoder", encoder, reference, inputs, "z", "Codes z, the means of q(z | x).")


def _decoder(model: Autoencoder, params: Params, inputs: dict[str, Any]) -> Function:
    def decoder(z: Tree, condition: Tree | None = None) -> Tree:
        return model.model.likelihood(params, z, condition).mean

    def reference(z: Tree, condition: Tree | None = None) -> Tree:
        return model.decode(params, z, condition=condition)

    description = "Means of p(x | z), which are not clipped: some can be outside of the range of x."
    return Function("decoder", decoder, reference, inputs, "y", description)


def _repeated(model: Autoencoder, condition: Tree) -> Tree:
    """So many examples of a condition, as the networks see it: bytes as floats."""
    number = len(jax.tree.leaves(condition)[0])
    index = jnp.arange(EXAMPLES) % max(number, 1)
    some = jax.tree.map(lambda leaf: jnp.asarray(leaf)[index], condition)
    return model.batch(Batch(jnp.zeros((EXAMPLES, 1)), condition=some)).condition


class _Code(str):
    """Python code, which is itself in the representation of a tree."""

    def __repr__(self) -> str:
        return str(self)


def arguments(functions: Sequence[Function]) -> list[tuple[Function, list[str]]]:
    """Each function with lines of Python that define those of its inputs that no other function computes."""
    found, known = [], set[str]()
    for function in functions:
        lines = []
        for name in function.inputs.keys() - known:
            zeros = jax.tree.map(
                lambda leaf: _Code(f"np.zeros({(3, *leaf.shape[1:])}, np.{leaf.dtype})"),
                function.inputs[name],
            )
            lines.append(f"{name} = {zeros!r}")
        known |= {*function.inputs, function.output}
        found.append((function, sorted(lines, reverse=True)))  # x before the condition
    return found
