"""The precision of the matrix products in a function, for tests."""

import jax


def products(function, *arguments):
    """The precisions of all matrix products and convolutions that a function makes, inner ones included."""
    found = []

    def visit(jaxpr):
        for equation in jaxpr.eqns:
            if equation.primitive.name in ("dot_general", "conv_general_dilated"):
                found.append(equation.params["precision"])
            for parameter in equation.params.values():
                for inner in parameter if isinstance(parameter, tuple | list) else (parameter,):
                    inner = getattr(inner, "jaxpr", inner)
                    if hasattr(inner, "eqns"):
                        visit(inner)

    visit(jax.make_jaxpr(function)(*arguments).jaxpr)
    return found


def all_highest(function, *arguments):
    """Whether there are matrix products, and all have the highest precision."""
    highest = jax.lax.Precision.HIGHEST
    found = products(function, *arguments)
    return bool(found) and all(precision in (highest, (highest, highest)) for precision in found)
