"""The Jacobian penalty against closed forms and finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxae

KEY = jax.random.key(0)
MODES = ("forward", "reverse")


@pytest.mark.parametrize("mode", MODES)
def test_one_sigmoid_layer(mode):
    # ||J||^2 = sum_j (h_j (1 - h_j))^2 ||W_j||^2, lecture and Rifai et al., section 3.
    w, x = jax.random.normal(KEY, (12, 5)), jax.random.normal(jax.random.key(1), (7, 12))
    h = jax.nn.sigmoid(x @ w)
    expected = jnp.square(h * (1 - h)) @ jnp.sum(w**2, 0)
    actual = jaxae.squared_jacobian_norm(lambda x: jax.nn.sigmoid(x @ w), x, mode=mode)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["mlp", "conv"])
def test_finite_differences(mode, kind):
    encoder = getattr(jaxae, f"{kind}_encoder")(3, (4,))
    x = jax.random.uniform(KEY, (2, 4, 3, 1))
    params = encoder.init(KEY, x)
    norm = jaxae.squared_jacobian_norm(lambda x: encoder.apply(params, x), x, mode=mode)
    h = 1e-2
    steps = h * jnp.eye(12).reshape(12, 1, 4, 3, 1)
    up, down = (jax.vmap(lambda s, n=n: encoder.apply(params, x + n * s))(steps) for n in (1, -1))
    expected = jnp.sum(((up - down) / (2 * h)) ** 2, (0, 2))
    np.testing.assert_allclose(norm, expected, rtol=1e-3)


def test_the_penalty_and_its_weight():
    base = jaxae.autoencoder(jaxae.mlp_encoder(3, (8,)), jaxae.mlp_decoder((4, 3, 1), (8,)))
    x = jax.random.uniform(KEY, (5, 4, 3, 1))
    params = base.init(KEY, x)
    plain = base.loss(params, KEY, x)
    for weight in (0.5, lambda step: 0.25 * step):
        out = jaxae.contractive(base, weight).loss(params, KEY, x, step=2)
        np.testing.assert_allclose(out.loss, plain.loss + 0.5 * out.terms["contraction"], rtol=1e-6)
    # Both modes have the same gradient.
    gradients = [
        jax.grad(lambda p, m=m: jaxae.contractive(base, 1.0, mode=m).loss(p, KEY, x).loss.sum())(
            params
        )
        for m in MODES
    ]
    for a, b in zip(*map(jax.tree.leaves, gradients), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_training_contracts(digits):
    import optax

    x = digits.train.images[:256]
    norms = []
    for weight in (0.0, 1.0):
        base = jaxae.autoencoder(jaxae.mlp_encoder(4, (16,)), jaxae.mlp_decoder((8, 8, 1), (16,)))
        fitted = jaxae.fit(
            jaxae.contractive(base, weight),
            x,
            optimizer=optax.adam(1e-2),
            epochs=10,
            batch_size=64,
            key=KEY,
            progress=False,
        )
        norms.append(fitted.history[-1]["train/contraction"])
    assert norms[1] < 0.5 * norms[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight": -1.0}, "finite and not negative"),
        ({"weight": float("nan")}, "finite and not negative"),
    ],
)
def test_bad_input(options, message):
    base = jaxae.autoencoder(jaxae.mlp_encoder(3), jaxae.mlp_decoder((4, 3, 1)))
    with pytest.raises(ValueError, match=message):
        jaxae.contractive(base, **options)
