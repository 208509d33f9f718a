"""Convolutions: the numbers, derivatives and maps of `lax.conv_general_dilated`, on any platform."""

import jax
import jax.experimental
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.test_util import check_grads

from jaxae.networks import conv_primitives

KEY = jax.random.key(0)
LAYOUT = ("NHWC", "HWIO", "NHWC")
OURS = {"conv": conv_primitives.conv, "conv_transpose": conv_primitives.conv_transpose}
NAMES = list(OURS)


def lax_conv(x, kernel, bias, stride):
    strides = (stride, stride)
    y = lax.conv_general_dilated(x, kernel, strides, "SAME", dimension_numbers=LAYOUT)
    return y + bias


def lax_conv_transpose(x, kernel, bias, stride):
    return lax.conv_transpose(x, kernel, (stride,) * 2, "SAME", dimension_numbers=LAYOUT) + bias


LAX = {"conv": lax_conv, "conv_transpose": lax_conv_transpose}


def arguments(h, w, kernel, batch=3, c=2, o=5, dtype=jnp.float32):
    shapes = ((batch, h, w, c), (*kernel, c, o), (o,))
    keys = jax.random.split(KEY, 3)
    return tuple(jax.random.normal(k, shape, dtype) for k, shape in zip(keys, shapes, strict=True))


def close(actual, expected, rtol=1e-4):
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        a, b = (np.asarray(x, np.float64) for x in (a, b))
        np.testing.assert_allclose(a, b, rtol=0, atol=rtol * max(np.abs(b).max(), 1e-3))


# Height, width, kernel, stride, batch: what the networks use, and what could go wrong.
CASES = [
    (28, 28, (4, 4), 2, 4),
    (7, 5, (4, 4), 2, 3),
    (5, 6, (3, 3), 1, 3),
    (6, 4, (1, 1), 1, 2),
    (9, 8, (3, 3), 2, 3),
    (8, 8, (5, 5), 3, 2),
    (4, 5, (2, 2), 3, 2),  # pixels that no output reads
    (4, 6, (2, 3), 2, 2),  # a kernel that is not a square
    (1, 1, (4, 4), 2, 1),
    (1, 9, (7, 3), 1, 1),
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("h", "w", "kernel", "stride", "batch"), CASES)
def test_numbers_and_derivatives_of_lax(name, h, w, kernel, stride, batch):
    args = arguments(h, w, kernel, batch)

    def results(function):
        def total(*args):
            return jnp.sum(jnp.sin(function(*args, stride=stride)))

        gradient = jax.grad(total, (0, 1, 2))
        return (
            function(*args, stride=stride),
            gradient(*args),
            jax.jvp(total, args, args),
            jax.jvp(gradient, args, args),  # forward over reverse
            jax.grad(lambda *a: jnp.sum(jnp.sin(gradient(*a)[0])), (0, 1, 2))(*args),
        )

    # Not lax under jit: XLA of jax 0.7.2 folds convolutions of constants into wrong numbers.
    close(jax.jit(lambda: results(OURS[name]))(), results(LAX[name]))


@pytest.mark.parametrize("name", NAMES)
def test_derivatives_are_finite_differences(name):
    # Its name moved between the versions of jax that the tests run on.
    enable_x64 = jax.enable_x64 if hasattr(jax, "enable_x64") else jax.experimental.enable_x64
    with enable_x64(True):
        args = arguments(3, 4, (3, 3), 2, dtype=jnp.float64)
        check_grads(
            lambda *a: OURS[name](*map(jnp.asarray, a), stride=2),
            args,
            order=2,
            rtol=1e-4,
            atol=1e-4,
        )


@pytest.mark.parametrize("name", NAMES)
def test_jacobians_agree(name):
    (x, kernel, bias) = arguments(4, 3, (4, 4), 1)

    def function(x):
        return jnp.tanh(OURS[name](x[None], kernel, bias, stride=2))[0]

    close(jax.jacfwd(function)(x[0]), jax.jacrev(function)(x[0]))
    # The gradient of a penalty on the Jacobian, through either.
    forward, reverse = (
        jax.grad(lambda x, j=j: jnp.sum(j(function)(x) ** 2))(x[0])
        for j in (jax.jacfwd, jax.jacrev)
    )
    close(forward, reverse)


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16(name):
    args = arguments(8, 6, (4, 4), dtype=jnp.bfloat16)
    wide = tuple(a.astype(jnp.float32) for a in args)
    actual = OURS[name](*args, stride=2)
    assert actual.dtype == jnp.bfloat16
    close(actual.astype(jnp.float32), LAX[name](*wide, stride=2), rtol=2e-2)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("axes", [(0, 0, 0), (0, None, None), (None, 0, None), (1, 3, 0)])
def test_maps(name, axes):
    args = arguments(5, 4, (4, 4), 2)
    many = tuple(
        a if axis is None else jnp.moveaxis(jnp.stack([a, 2 * a + 1, a**2]), 0, axis)
        for a, axis in zip(args, axes, strict=True)
    )

    def results(functions):
        def total(*args):
            return jnp.sum(jnp.sin(functions[name](*args, stride=2)))

        return (
            jax.vmap(jax.value_and_grad(total, (0, 1, 2)), axes)(*many),
            jax.grad(lambda *a: jnp.sum(jax.vmap(total, axes)(*a)), (0, 1, 2))(*many),
        )

    close(jax.jit(lambda: results(OURS))(), results(LAX))


@pytest.mark.parametrize("name", NAMES)
def test_twice_mapped(name):
    x, kernel, bias = arguments(4, 4, (4, 4), 2)
    xs, kernels = jnp.stack([x, 2 * x]), jnp.stack([kernel, -kernel, kernel**2])

    def results(functions):
        one = lambda x, k: functions[name](x, k, bias, stride=2)
        return jax.vmap(jax.vmap(one, (None, 0)), (0, None))(xs, kernels)

    close(results(OURS), results(LAX))


def program(platform, name):
    args = arguments(8, 8, (4, 4))
    total = lambda *a: jnp.sum(OURS[name](*a, stride=2) ** 2)
    function = jax.jit(jax.grad(total, (0, 1, 2)))
    return jax.export.export(function, platforms=[platform])(*args).mlir_module()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_accelerators_get_convolutions(name, platform):
    text = program(platform, name)
    assert text.count("stablehlo.convolution") == 3  # the value, and two gradients
    assert "stablehlo.gather" not in text


@pytest.mark.parametrize("name", NAMES)
def test_cpu_gets_products(name):
    text = program("cpu", name)
    assert "stablehlo.convolution" not in text
    assert text.count("stablehlo.dot_general") == 4  # the three maps, and the gradient of the bias


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("args", "stride", "message"),
    [
        (((1, 4, 4, 2), (3, 3, 3, 1), (1,)), 1, "do not fit each other"),
        (((4, 4, 2), (3, 3, 2, 1), (1,)), 1, r"do not fit each other; .*one image is x\[None\]"),
        (((1, 4, 4, 2), (3, 3, 2, 1), (2,)), 1, "a bias"),
        (((1, 4, 4, 2), (3, 3, 2, 1), (1,)), 0, "stride must be positive"),
    ],
)
def test_what_does_not_fit_is_refused(name, args, stride, message):
    function = OURS[name]
    if hasattr(function, "__wrapped__"):  # without the shape checker of the tests
        function = function.__wrapped__
    with pytest.raises(ValueError, match=message):
        function(*(jnp.ones(shape) for shape in args), stride=stride)


def test_types_that_differ_are_refused():
    x, kernel, bias = arguments(4, 4, (3, 3))
    with pytest.raises(ValueError, match="cast one of them"):
        conv_primitives.conv(x.astype(jnp.bfloat16), kernel, bias)
