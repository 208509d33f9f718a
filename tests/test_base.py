"""The small functions that all packages use, and the types."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxae
from jaxae import Batch


def bounded(raw, bound=6.0):
    return 2 * bound / np.pi * np.arctan(np.pi * np.asarray(raw, np.float64) / (2 * bound))


@pytest.mark.parametrize("bound", [1.0, 15.0])
def test_soft_clip_is_bounded_and_never_loses_its_gradient(bound):
    x = jnp.array([-1e4, -1.0, 0.0, 1e-3, 1.0, 1e4])
    y = jaxae.arrays.soft_clip(x, bound)
    assert (jnp.abs(y) <= bound * (1 + 1e-6)).all()
    assert (jax.vmap(jax.grad(lambda x: jaxae.arrays.soft_clip(x, bound)))(x) > 0).all()
    assert float(y[3]) == pytest.approx(1e-3, rel=1e-4)
    np.testing.assert_allclose(y, bounded(x, bound), rtol=1e-5)


def test_terms_have_one_name_each():
    out = jaxae.Output(jnp.ones(2), {"distortion": jnp.ones(2)}, {"error": jnp.ones(2)})
    for name in ("distortion", "error"):
        for weight in (1.0, None):
            with pytest.raises(ValueError, match=f"'{name}' is used twice"):
                out.add(jaxae.Term(name, jnp.ones(2), weight))
    with pytest.raises(ValueError, match="'encoder' is used twice"):
        jaxae.arrays.merge({"encoder": 1}, {"encoder": 2})
    added = out.add(jaxae.Term("penalty", jnp.full(2, 3.0), 0.5))
    np.testing.assert_array_equal(added.loss, [2.5, 2.5])
    np.testing.assert_array_equal(added.terms["penalty"], [3.0, 3.0])


def test_a_metric_has_no_weight_and_no_gradient():
    def loss(value):
        out = jaxae.Output(jnp.zeros(2), {}).add(jaxae.Term("error", value * jnp.ones(2), None))
        return out.loss.sum() + out.metrics["error"].sum()

    assert loss(3.0) == 6
    assert jax.grad(loss)(3.0) == 0


def test_a_tuple_does_not_say_what_is_what():
    model = jaxae.autoencoder(jaxae.networks.mlp_encoder(2), jaxae.networks.mlp_decoder((4, 3, 1)))
    x = jnp.zeros((2, 4, 3, 1))
    params = model.init(jax.random.key(0), x)
    for pair in ((x, x), [x, jnp.zeros(2)]):
        with pytest.raises(ValueError, match="Batch\\(x, label=labels\\)"):
            model.loss(params, jax.random.key(0), pair)


def test_missing_values_are_zeros_for_the_encoder():
    x = jnp.array([[jnp.nan, 2.0]])
    batch = Batch(x, observed=jnp.array([[0.0, 1.0]]))
    np.testing.assert_array_equal(batch.input, [[0, 2]])
    seen = batch._replace(seen=jnp.ones((1, 3)))
    np.testing.assert_array_equal(seen.input, np.ones((1, 3)))
    several = Batch({"a": x, "b": x}, observed={"a": batch.observed, "b": jnp.ones((1, 2))})
    assert several.input["a"][0, 0] == 0
    assert np.isnan(several.input["b"][0, 0])


def test_a_key_of_a_name_is_none_of_a_split():
    key = jax.random.key(3)
    split = {tuple(jax.random.key_data(k).tolist()) for k in jax.random.split(key, 1000)}
    names = ("mmd", "contraction", "sparsity", "discriminator", "")
    own = {tuple(jax.random.key_data(jaxae.arrays.fold_in_name(key, n)).tolist()) for n in names}
    assert len(own) == len(names)
    assert not own & split


def test_the_largest_value_is_found_inside_of_functions():
    def inner(x):
        return jnp.sum(jnp.outer(x, x), axis=1)

    custom = jax.custom_vjp(inner)
    custom.defvjp(lambda x: (inner(x), x), lambda x, t: (t * x,))
    ways = {
        "custom gradient": custom,
        "jit": jax.jit(inner),
        "checkpoint": jax.checkpoint(inner),
        "scan": lambda x: jax.lax.scan(lambda c, _: (inner(c), None), x, length=2)[0],
        "cond": lambda x: jax.lax.cond(x[0] > 0, inner, lambda x: x, x),
        "nested": jax.jit(lambda x: jax.checkpoint(jax.jit(inner))(x)),
    }
    for name, function in ways.items():
        found = jaxae.arrays.largest_value(jax.make_jaxpr(function)(jnp.ones(9)).jaxpr)
        assert found == 81, name
