"""Deep clustering against its formulas, and trained."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.stats import entropy as relative_entropy
from sklearn.cluster import KMeans

import jaxae

KEY = jax.random.key(0)


def test_soft_assignments_and_target_distribution():
    random = np.random.default_rng(0)
    z, c = random.normal(size=(9, 3)), random.normal(size=(4, 3))
    for scale in (1.0, 0.3):
        kernel = 1 / (1 + ((z[:, None] - c) ** 2).sum(-1) / scale**2)
        q = kernel / kernel.sum(1, keepdims=True)
        found = jaxae.wrappers.soft_assignments(jnp.float32(z), jnp.float32(c), scale=scale)
        np.testing.assert_allclose(found, q, rtol=1e-5)
        p = q**2 / q.sum(0)
        p /= p.sum(1, keepdims=True)
        np.testing.assert_allclose(jaxae.wrappers.target_distribution(found), p, rtol=1e-5)
    assert np.isfinite(jaxae.wrappers.target_distribution(np.array([[1.0, 0.0], [1.0, 0.0]]))).all()
    # No cluster grows because it is large.
    q = np.array([[0.6, 0.4]] * 9 + [[0.45, 0.55]])
    assert (jaxae.wrappers.target_distribution(q)[-1] - q[-1])[1] > (
        q[0] - jaxae.wrappers.target_distribution(q)[0]
    )[0]


@pytest.fixture(scope="module")
def base(digits):
    x = jaxae.as_float(digits.train.images[:64])
    model = jaxae.autoencoder(
        jaxae.networks.mlp_encoder(4, (16,)),
        jaxae.networks.mlp_decoder((8, 8, 1), (16,)),
        jaxae.likelihoods.gaussian(),
    )
    return model, model.init(KEY, x), x


def test_loss(base):
    model, params, x = base
    centres = jax.random.normal(KEY, (3, 4))
    clustered = jaxae.deep_clustering(model, params, centres, scale=0.7, reconstruction=0.1)
    trained = clustered.init(KEY, x)
    np.testing.assert_array_equal(trained["centres"], centres)
    np.testing.assert_array_equal(clustered.encode(trained, x), model.encode(params, x))
    q = np.asarray(jaxae.wrappers.soft_assignments(model.encode(params, x), centres, scale=0.7))
    p = jaxae.wrappers.target_distribution(q)
    out = clustered.loss(trained, KEY, jaxae.Batch(x, label=jnp.asarray(p)))
    expected = relative_entropy(p, q, axis=1)
    np.testing.assert_allclose(out.terms["clustering"], expected, rtol=2e-3, atol=1e-5)
    own = model.loss(params, KEY, x).loss
    np.testing.assert_allclose(out.loss, expected + 0.1 * own, rtol=1e-4)
    # The loss of certain targets is finite.
    sure = jax.nn.one_hot(jnp.arange(len(x)) % 3, 3)
    assert np.isfinite(clustered.loss(trained, KEY, jaxae.Batch(x, label=sure)).loss).all()


def test_training_makes_assignments_more_certain(base, digits):
    """Without the loss of the base, as here, the method is DEC."""
    model, params, _ = base
    images = digits.train.images[:512]
    x = jaxae.as_float(images)
    centres = KMeans(10, n_init=3, random_state=0).fit(np.asarray(model.encode(params, x)))
    c = jnp.asarray(centres.cluster_centers_)
    q = np.asarray(jaxae.wrappers.soft_assignments(model.encode(params, x), c, scale=0.1))
    clustered = jaxae.deep_clustering(model, params, c, scale=0.1, reconstruction=0.0)
    fitted = jaxae.fit(
        clustered,
        jaxae.Batch(images, label=jaxae.wrappers.target_distribution(q)),
        optimizer=optax.adam(3e-3),
        epochs=15,
        batch_size=64,
        key=KEY,
        progress=False,
    )
    z = clustered.encode(fitted.params, x)
    after = np.asarray(jaxae.wrappers.soft_assignments(z, fitted.params["centres"], scale=0.1))
    assert after.max(1).mean() > q.max(1).mean() + 0.1
    first, last = fitted.history[0], fitted.history[-1]
    assert last["train/clustering"] < 0.5 * first["train/clustering"]
    assert not np.allclose(fitted.params["centres"], c)
    model.encode(params, x)  # would raise if training had consumed the pretrained parameters


def test_bad_weights_and_centres(base):
    model, params, _ = base
    with pytest.raises(ValueError, match="must be finite and not negative"):
        jaxae.deep_clustering(model, params, jnp.ones((3, 4)), reconstruction=-1.0)
    with pytest.raises(ValueError, match=r"centres are \[k, d\]"):
        jaxae.deep_clustering(model, params, jnp.ones(3))


def test_bad_targets(base):
    model, params, x = base
    clustered = jaxae.deep_clustering(model, params, jnp.ones((3, 4)))
    for target in (None, jnp.ones((len(x), 2)), jnp.zeros(len(x), jnp.int32)):
        with pytest.raises(ValueError, match=r"assignments as labels, \[n, 3\]"):
            clustered.loss(clustered.init(KEY, x), KEY, jaxae.Batch(x, label=target))


@pytest.mark.parametrize("scale", [0.0, -1.0, float("inf")])
def test_bad_scales(base, scale):
    model, params, _ = base
    with pytest.raises(ValueError, match="scale must be positive"):
        jaxae.wrappers.soft_assignments(jnp.ones((2, 1)), jnp.ones((2, 1)), scale=scale)
    with pytest.raises(ValueError, match="scale must be positive"):
        jaxae.deep_clustering(model, params, jnp.ones((3, 4)), scale=scale)
