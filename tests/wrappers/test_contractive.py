"""The contractive penalty: its weight, its gradient, and where the Jacobian is taken."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxae

KEY = jax.random.key(0)
MODES = ("forward", "reverse", "auto")


def test_the_penalty_and_its_weight():
    base = jaxae.autoencoder(
        jaxae.networks.mlp_encoder(3, (8,)), jaxae.networks.mlp_decoder((4, 3, 1), (8,))
    )
    x = jax.random.uniform(KEY, (5, 4, 3, 1))
    params = base.init(KEY, x)
    plain = base.loss(params, KEY, x)
    for weight in (0.5, lambda step: 0.25 * step):
        out = jaxae.contractive(base, weight).loss(params, KEY, x, step=2)
        np.testing.assert_allclose(out.loss, plain.loss + 0.5 * out.terms["contraction"], rtol=1e-6)
    # All modes have the same gradient.
    gradients = [
        jax.grad(lambda p, m=m: jaxae.contractive(base, 1.0, mode=m).loss(p, KEY, x).loss.sum())(
            params
        )
        for m in MODES
    ]
    for leaves in zip(*map(jax.tree.leaves, gradients), strict=True):
        for leaf in leaves[1:]:
            np.testing.assert_allclose(leaf, leaves[0], atol=1e-4)


def test_training_contracts(digits):
    import optax

    x = digits.train.images[:256]
    norms = []
    for weight in (0.0, 1.0):
        base = jaxae.autoencoder(
            jaxae.networks.mlp_encoder(4, (16,)), jaxae.networks.mlp_decoder((8, 8, 1), (16,))
        )
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


def test_hutchinsons_gradient_is_unbiased():
    base = jaxae.autoencoder(
        jaxae.networks.mlp_encoder(3, (8,)), jaxae.networks.mlp_decoder((4, 3, 1), (8,))
    )
    x = jax.random.uniform(KEY, (5, 4, 3, 1))
    params = base.init(KEY, x)

    def gradient(key, mode):
        model = jaxae.contractive(base, 1.0, mode=mode)
        loss = lambda params: model.loss(params, key, x).terms["contraction"].mean()
        return jax.grad(loss)(params)["encoder"]["Dense_0"]["kernel"]

    exact = gradient(KEY, "forward")
    keys = jax.random.split(jax.random.key(3), 2000)
    draws = jax.lax.map(lambda key: gradient(key, "hutchinson"), keys)
    errors = draws.std(0) / 2000**0.5
    assert (np.abs(draws.mean(0) - exact) <= 5 * errors + 1e-5).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight": -1.0}, "finite and not negative"),
        ({"weight": float("nan")}, "finite and not negative"),
        ({"weight": 1.0, "probes": 0}, "at least one probe"),
        ({"weight": 1.0, "chunk": 0}, "at least one direction"),
    ],
)
def test_bad_input(options, message):
    base = jaxae.autoencoder(jaxae.networks.mlp_encoder(3), jaxae.networks.mlp_decoder((4, 3, 1)))
    with pytest.raises(ValueError, match=message):
        jaxae.contractive(base, **options)


def test_the_jacobian_is_at_the_input_of_the_encoder_or_at_the_clean_data():
    base = jaxae.autoencoder(
        jaxae.networks.mlp_encoder(3, (8,)), jaxae.networks.mlp_decoder((4, 3, 1), (8,))
    )
    x = jax.random.uniform(KEY, (5, 4, 3, 1))
    params = base.init(KEY, x)
    norm = lambda x: jaxae.objectives.squared_jacobian_norm(lambda x: base.encode(params, x), x)
    batch = jaxae.Batch(x, seen=1 - x)
    for at, where in (("input", 1 - x), ("x", x)):
        out = jaxae.contractive(base, 1.0, at=at).loss(params, KEY, batch)
        np.testing.assert_allclose(out.terms["contraction"], norm(where), rtol=1e-5)


def test_the_jacobian_of_a_conditional_encoder_is_by_its_input_alone():
    networks = (
        jaxae.networks.with_condition(part, classes=3)
        for part in (jaxae.networks.mlp_encoder(3, (8,)), jaxae.networks.mlp_decoder((4,), (8,)))
    )
    base = jaxae.autoencoder(*networks)
    batch = jaxae.Batch(jax.random.uniform(KEY, (5, 4)), condition=jnp.array([0, 1, 2, 1, 0]))
    params = base.init(KEY, batch)
    out = jaxae.contractive(base, 1.0).loss(params, KEY, batch)
    for i in range(5):
        encode = lambda x, i=i: base.encode(params, x[None], condition=batch.condition[i : i + 1])[
            0
        ]
        expected = jnp.square(jax.jacfwd(encode)(batch.x[i])).sum()
        np.testing.assert_allclose(out.terms["contraction"][i], expected, rtol=1e-5)
