"""Networks for images of any shape, and the door to Flax."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal

import jaxae
from jaxae.networks import conv_primitives

KEY = jax.random.key(0)
KINDS = ("mlp", "conv", "resnet")


def pair(kind, shape, outputs=1, **options):
    encoder = getattr(jaxae.networks, f"{kind}_encoder")(3, (8, 16), **options)
    return encoder, getattr(jaxae.networks, f"{kind}_decoder")(
        shape, (16, 8), outputs=outputs, **options
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 2), (8, 7, 3), (1, 9, 5)])
@pytest.mark.parametrize("outputs", [1, 4])
def test_any_shape(kind, shape, outputs):
    encoder, decoder = pair(kind, shape, outputs)
    x = jnp.zeros((2, *shape))
    params = jax.eval_shape(encoder.init, KEY, x)
    z = jax.eval_shape(encoder.apply, params, x)
    assert z.shape == (2, 3)
    out = jax.eval_shape(decoder.apply, jax.eval_shape(decoder.init, KEY, z), z)
    assert out.shape == ((2, *shape) if outputs == 1 else (2, *shape, outputs))


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_is_on_with_a_key_and_off_without(kind):
    encoder, _ = pair(kind, (4, 4, 1), dropout=0.5)
    x = jax.random.uniform(KEY, (2, 4, 4, 1))
    params = encoder.init(KEY, x)
    apply = lambda seed: encoder.apply(
        params, x, key=None if seed is None else jax.random.key(seed)
    )
    np.testing.assert_array_equal(apply(None), apply(None))
    np.testing.assert_array_equal(apply(1), apply(1))
    assert not np.allclose(apply(1), apply(2))
    assert not np.allclose(apply(1), apply(None))
    mean = jax.vmap(lambda key: encoder.apply(params, x, key=key))(jax.random.split(KEY, 20))
    assert np.isfinite(mean).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_precision_is_that_of_the_bodies_only(kind):
    x = jax.random.uniform(KEY, (2, 4, 4, 3))
    half, _ = pair(kind, (4, 4, 3), dtype=jnp.bfloat16)
    full, _ = pair(kind, (4, 4, 3))
    params = half.init(KEY, x)
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("float32")}
    assert half.apply(params, x).dtype == jnp.float32
    difference = jnp.abs(half.apply(params, x) - full.apply(params, x)).max()
    assert 0 < difference < 0.1


def test_a_gated_layer_is_a_product():
    encoder = jaxae.networks.mlp_encoder(2, (3,), gated=True, activation=jnp.tanh)
    x = jax.random.normal(KEY, (5, 4))
    params = encoder.init(KEY, x)
    first, last = params["Dense_0"], params["Dense_1"]
    a, b = jnp.split(x @ first["kernel"] + first["bias"], 2, axis=-1)
    expected = (jnp.tanh(a) * b) @ last["kernel"] + last["bias"]
    np.testing.assert_allclose(encoder.apply(params, x), expected, rtol=1e-5, atol=1e-6)


def test_state_besides_parameters_is_refused():
    class Normalised(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.BatchNorm(use_running_average=False)(x)

    with pytest.raises(ValueError, match="'batch_stats'.*GroupNorm or LayerNorm"):
        jaxae.networks.linen(Normalised()).init(KEY, jnp.ones((2, 3)))


def test_a_module_without_parameters():
    network = jaxae.networks.linen(nn.Sequential([jnp.tanh]))
    assert network.init(KEY, jnp.ones(2)) == {}
    np.testing.assert_allclose(network.apply({}, jnp.ones(2)), np.tanh([1, 1]), rtol=1e-6)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [1, 3, 4])
@pytest.mark.parametrize("shape", [(5, 6), (1, 1), (7, 4)])
def test_convolution_is_scipy(stride, size, shape):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, *shape, 3)).astype(np.float32)
    kernel = rng.normal(size=(size, size, 3, 2)).astype(np.float32)
    padding = []
    for n in shape:
        total = max((-(-n // stride) - 1) * stride + size - n, 0)
        padding.append((total // 2, total - total // 2))
    padded = np.pad(x, [(0, 0), *padding, (0, 0)])
    expected = np.stack(
        [
            [
                sum(
                    scipy.signal.correlate2d(image[..., i], kernel[..., i, o], "valid")
                    for i in range(3)
                )
                for o in range(2)
            ]
            for image in padded
        ]
    )
    expected = np.moveaxis(expected, 1, -1)[:, ::stride, ::stride]
    actual = conv_primitives.conv(jnp.asarray(x), jnp.asarray(kernel), stride=stride)
    np.testing.assert_allclose(actual, expected, atol=1e-4)
    assert actual.shape[1:3] == tuple(-(-n // stride) for n in shape)


@pytest.mark.parametrize("shape", [(3, 4), (1, 1)])
def test_transposed_convolution_is_a_convolution_of_the_spread_image(shape):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, *shape, 1)).astype(np.float32)
    kernel = rng.normal(size=(4, 4, 1, 1)).astype(np.float32)
    spread = np.zeros((2 * shape[0] - 1, 2 * shape[1] - 1), np.float32)
    spread[::2, ::2] = x[0, ..., 0]
    expected = scipy.signal.correlate2d(np.pad(spread, 2), kernel[..., 0, 0], "valid")
    actual = conv_primitives.conv_transpose(jnp.asarray(x), jnp.asarray(kernel), stride=2)
    assert actual.shape == (1, 2 * shape[0], 2 * shape[1], 1)
    np.testing.assert_allclose(actual[0, ..., 0], expected, atol=1e-4)


def test_every_pixel_is_written_equally_often():
    ones = conv_primitives.conv_transpose(jnp.ones((1, 4, 4, 1)), jnp.ones((4, 4, 1, 1)), stride=2)
    assert np.unique(ones[0, 2:-2, 2:-2]).tolist() == [4.0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: jaxae.networks.mlp_encoder(0), "latent_dim must be positive"),
        (lambda: jaxae.networks.mlp_encoder(2, (3, 0)), "hidden must be positive"),
        (lambda: jaxae.networks.mlp_encoder(2, dropout=1.0), "dropout"),
        (lambda: jaxae.networks.conv_decoder((8, 8)), r"\(h, w, c\)"),
        (lambda: jaxae.networks.mlp_decoder((8, 8, 0)), "shape must be positive"),
        (lambda: jaxae.networks.conv_encoder(2, ()), "at least one layer"),
        (lambda: jaxae.networks.conv_decoder((8, 8, 1), outputs=0), "outputs must be positive"),
        (lambda: jaxae.networks.resnet_encoder(2, (-1,)), "channels must be positive"),
        (lambda: jaxae.networks.resnet_decoder((8, 8, 1), dropout=-0.1), "dropout"),
    ],
)
def test_bad_sizes(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_activate():
    network = jaxae.Network(
        lambda key, x: 2.0, lambda params, x, *, key=None: params * x if key is None else -x
    )
    squared = jaxae.networks.activate(network, jnp.square)
    x = jnp.arange(3.0)
    np.testing.assert_array_equal(squared.apply(squared.init(KEY, x), x), 4 * x**2)
    np.testing.assert_array_equal(squared.apply(2.0, x, key=KEY), x**2)


@pytest.mark.slow
def test_rematerialised_blocks_are_the_same_in_less_memory():
    x = jax.random.normal(jax.random.key(0), (4, 32, 32, 3))
    found = []
    for remat in (False, True):
        encoder = jaxae.networks.resnet_encoder(4, (16, 16), remat=remat)
        decoder = jaxae.networks.resnet_decoder((32, 32, 3), (16, 16, 16), remat=remat)
        model = jaxae.autoencoder(encoder, decoder)
        params = model.init(jax.random.key(1), x)
        loss = lambda p, model=model: model.loss(p, jax.random.key(2), x).loss.mean()  # noqa: B023
        # What is kept until the gradient needs it.
        kept = jax.tree.leaves(jax.vjp(loss, params)[1])
        found.append((params, jax.jit(jax.grad(loss))(params), sum(x.nbytes for x in kept)))
    (params, gradient, memory), (same, again, less) = found
    chex.assert_trees_all_equal(params, same)
    chex.assert_trees_all_close(gradient, again, rtol=1e-4, atol=1e-5)
    assert less < 0.6 * memory
