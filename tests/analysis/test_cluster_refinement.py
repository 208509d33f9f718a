"""Deep embedded clustering in rounds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxae
from jaxae.analysis.cluster_refinement import refine_clusters


def test_each_round_is_trained_towards_its_targets():
    """With a training that moves centres by hand, so that every quantity is known."""
    images = np.concatenate([np.zeros((5, 1, 2, 1)), np.ones((3, 1, 2, 1))]).astype(np.float32)
    clusters = np.array([0] * 5 + [1] * 3)
    model = jaxae.autoencoder(jaxae.networks.mlp_encoder(2), jaxae.networks.mlp_decoder((1, 2, 1)))
    params = model.init(jax.random.key(0), images)
    batches = []

    def encode(params, x):
        return np.asarray(x).reshape(len(x), 2) + np.arange(len(x))[:, None] / 100

    def train(clustered, batch, number):
        batches.append((number, batch))
        params = clustered.init(jax.random.key(0), batch)
        return params | {"centres": params["centres"] + 0.1}

    refined = refine_clusters(model, params, clusters, images, encode=encode, train=train, rounds=3)
    codes = encode(params, images)
    means = np.stack([codes[clusters == c].mean(0) for c in (0, 1)])
    np.testing.assert_allclose(refined.centres, means + 0.3, rtol=1e-5)
    scale = np.sqrt(np.square(codes - means[clusters]).sum(1).mean())
    assert refined.scale == pytest.approx(scale)
    assert [number for number, _ in batches] == [1, 2, 3]
    assert "centres" not in refined.params
    np.testing.assert_array_equal(batches[0][1].label, np.eye(2)[clusters])
    # The second round is trained towards the target distribution of the centres after the first.
    q = jaxae.wrappers.soft_assignments(jnp.asarray(codes), jnp.asarray(means + 0.1), scale=scale)
    expected = jaxae.wrappers.target_distribution(np.asarray(q))
    np.testing.assert_allclose(batches[1][1].label, expected, rtol=1e-4)
    np.testing.assert_allclose(refined.assign(codes).sum(axis=1), 1, rtol=1e-5)
