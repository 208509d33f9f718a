"""U-Nets, and networks whose code holds their input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxae
from jaxae.data import colors
from jaxae.networks import skip_input

KEY = jax.random.key(0)


def small(shape, outputs=1, **options):
    return jaxae.networks.unet_encoder((4, 8), **options), jaxae.networks.unet_decoder(
        shape, (8, 4), outputs=outputs, **options
    )


@pytest.mark.parametrize("shape", [(8, 8, 1), (7, 5, 3)])
def test_a_unet_keeps_every_depth_in_its_code(shape):
    channels = (4, 8, 16)
    encoder, decoder = (
        jaxae.networks.unet_encoder(channels),
        jaxae.networks.unet_decoder(shape, channels[::-1]),
    )
    x = jax.random.uniform(KEY, (3, *shape))
    params = encoder.init(KEY, x)
    z = encoder.apply(params, x)
    halves = [(-(-shape[0] // 2**i), -(-shape[1] // 2**i)) for i in (1, 2, 3)]
    sizes = [h * w * c for (h, w), c in zip(halves, channels, strict=True)]
    assert z.shape == (3, sum(sizes))
    decoded = decoder.init(KEY, z)
    y = decoder.apply(decoded, z)
    assert y.shape == x.shape
    # Each part of the code is used, the finest as well as the coarsest.
    gradient = jax.grad(lambda z: decoder.apply(decoded, z).sum())(z)
    for part in np.split(np.asarray(gradient), np.cumsum(sizes)[:-1], axis=1):
        assert np.abs(part).max() > 0
    with pytest.raises(ValueError, match=f"has {sum(sizes)} values, but this one has 7"):
        decoder.apply(decoded, jnp.zeros((2, 7)))
    several = jaxae.networks.unet_decoder(shape, channels[::-1], outputs=2)
    assert several.apply(several.init(KEY, z), z).shape == (3, *shape, 2)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 9, 3), (97, 65, 3)])
def test_one_set_of_parameters_is_for_every_shape(shape):
    x = jax.random.uniform(KEY, (2, 8, 8, 3))
    model = jaxae.autoencoder(*jaxae.networks.with_input(*small((8, 8, 3)), (8, 8, 3)))
    params = jax.jit(model.init)(KEY, x)
    other = jaxae.autoencoder(*jaxae.networks.with_input(*small(shape), shape))
    y = jax.random.uniform(KEY, (2, *shape))
    shapes = jax.eval_shape(other.init, KEY, y)
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, shapes)
    found = jax.jit(lambda y: jaxae.reconstruct(other, params, y))(y)
    assert found.shape == y.shape
    # The images of a batch do not see each other, whatever their order.
    flipped = jax.jit(lambda y: jaxae.reconstruct(other, params, y))(y[::-1])
    np.testing.assert_allclose(flipped[::-1], found, atol=1e-5)


def test_blocks_are_added():
    sizes = []
    for blocks in (1, 3):
        encoder, decoder = small((8, 8, 1), blocks=blocks)
        x = jnp.zeros((1, 8, 8, 1))
        params = encoder.init(KEY, x)
        decoded = decoder.init(KEY, encoder.apply(params, x))
        sizes.append([sum(p.size for p in jax.tree.leaves(tree)) for tree in (params, decoded)])
    block = {width: 2 * (9 * width * width + width) + 1 for width in (4, 8)}
    assert sizes[1][0] - sizes[0][0] == 2 * (block[4] + block[8])
    assert sizes[1][1] - sizes[0][1] == 2 * block[4]
    with pytest.raises(ValueError, match="blocks must be positive"):
        jaxae.networks.unet_encoder(blocks=0)


def constant(value, outputs=1):
    """A decoder that gives the same everywhere."""

    def apply(params, z, *, key=None):
        shape = (len(z), 4, 3, 3) if outputs == 1 else (len(z), 4, 3, 3, outputs)
        return jnp.full(shape, value)

    return jaxae.Network(lambda key, z: {}, apply)


ENCODER = jaxae.Network(lambda key, x: {}, lambda params, x, *, key=None: jnp.ones((len(x), 2)))


def test_the_code_holds_the_input():
    x = jax.random.uniform(KEY, (2, 4, 3, 3))
    encoder, decoder = jaxae.networks.with_input(ENCODER, constant(5.0), (4, 3, 3))
    z = encoder.apply({}, x)
    np.testing.assert_array_equal(z[:, :36].reshape(x.shape), x)
    np.testing.assert_array_equal(z[:, 36:], 1)
    np.testing.assert_allclose(decoder.apply({}, z), x + 0.5, rtol=1e-6)
    product = jaxae.networks.with_input(ENCODER, constant(5.0), (4, 3, 3), lambda x, y: x * y)[1]
    np.testing.assert_allclose(product.apply({}, z), 5 * x, rtol=1e-6)
    # Of several outputs the first is an image, and the others are left alone.
    several = jaxae.networks.with_input(ENCODER, constant(5.0, 2), (4, 3, 3))[1].apply({}, z)
    np.testing.assert_allclose(several[..., 0], x + 0.5, rtol=1e-6)
    np.testing.assert_array_equal(several[..., 1], 5)
    with pytest.raises(ValueError, match=r"made for images of \(4, 3, 3\), not of \(5, 3, 3\)"):
        encoder.apply({}, jnp.zeros((2, 5, 3, 3)))


def test_the_decoder_is_initialised_on_its_own_part_of_the_code():
    seen = []
    spy = jaxae.Network(lambda key, z: seen.append(z.shape) or {}, constant(0.0).apply)
    decoder = jaxae.networks.with_input(ENCODER, spy, (4, 3, 3))[1]
    decoder.init(KEY, jnp.zeros((2, 38)))
    assert seen == [(2, 2)]


def test_what_is_known_is_kept():
    x, y = jax.random.uniform(KEY, (2, 3, 4, 5, 3))
    grey = jnp.repeat(colors.luma(x), 3, -1)
    np.testing.assert_allclose(colors.luma(skip_input.colorize(grey, y)), grey[..., :1], atol=1e-6)
    hidden = jaxae.corruptions.hide(jaxae.masks.torn(0.4))(KEY, x)
    filled, hole = skip_input.fill(hidden, y), np.asarray(hidden[..., 3]) == 1
    np.testing.assert_allclose(np.asarray(filled)[~hole], np.asarray(x)[~hole], rtol=1e-6)
    np.testing.assert_allclose(np.asarray(filled)[hole], 0.5 + np.asarray(y)[hole], rtol=1e-6)


@pytest.mark.parametrize("combine", [skip_input.add, skip_input.colorize])
def test_no_correction_is_the_input_exactly(combine):
    grey = jnp.repeat(jax.random.uniform(KEY, (3, 4, 5, 1)), 3, -1)
    np.testing.assert_array_equal(combine(grey, jnp.zeros_like(grey)), grey)
