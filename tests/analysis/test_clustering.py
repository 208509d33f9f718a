"""Clusters against brute force and scikit-learn, and deep clustering against its formulas."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.stats import entropy as relative_entropy
from sklearn.cluster import KMeans
from sklearn.datasets import make_moons
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

import jaxae

KEY = jax.random.key(0)


def best_by_brute_force(clusters, labels):
    """The most examples that any one-to-one map of clusters to classes gets right."""
    k = max(clusters.max(), labels.max()) + 1
    return max(
        sum(order[c] == y for c, y in zip(clusters, labels, strict=True))
        for order in itertools.permutations(range(k))
    )


@pytest.mark.parametrize(("clusters", "classes"), [(4, 4), (6, 3), (3, 6), (1, 4), (5, 1)])
@pytest.mark.parametrize("seed", range(4))
def test_the_matching_by_brute_force(clusters, classes, seed):
    random = np.random.default_rng(seed)
    c, y = random.integers(clusters, size=40), random.integers(classes, size=40)
    found = jaxae.analysis.match_clusters(c, y)
    assert np.sum(found[c] == y) == best_by_brute_force(c, y)
    used = found[found >= 0]
    assert len(set(used)) == len(used)  # one to one
    scores = jaxae.analysis.cluster_scores(c, y)
    assert scores.accuracy == pytest.approx(best_by_brute_force(c, y) / 40)
    majority = sum(np.bincount(y[c == j]).max() for j in np.unique(c)) / 40
    assert scores.purity == pytest.approx(majority)
    assert scores.purity >= scores.accuracy
    assert scores.nmi == pytest.approx(normalized_mutual_info_score(y, c))
    assert scores.ari == pytest.approx(adjusted_rand_score(y, c))


def test_names_of_clusters_do_not_matter():
    y = np.arange(60) % 5
    assert jaxae.analysis.cluster_scores((y + 3) % 5, y).accuracy == 1
    assert jaxae.analysis.cluster_scores(np.zeros(60, int), y).accuracy == pytest.approx(0.2)


def test_clusters_that_are_empty_or_left_over():
    clusters, labels = np.array([0, 0, 2, 2, 2]), np.array([1, 1, 0, 0, 1])
    assert jaxae.analysis.match_clusters(clusters, labels).tolist() == [1, -1, 0]
    assert jaxae.analysis.majority_classes(clusters, labels).tolist() == [1, -1, 0]
    # Both clusters are mostly of class 0; one of them has to stand for the other class, or none.
    clusters, labels = np.array([0, 0, 0, 1, 1]), np.array([0, 0, 0, 0, 0])
    assert jaxae.analysis.match_clusters(clusters, labels).tolist() == [0, -1]
    assert jaxae.analysis.majority_classes(clusters, labels).tolist() == [0, 0]


def test_spectral_clusters_follow_the_shape():
    points, labels = make_moons(400, noise=0.04, random_state=0)
    found = jaxae.analysis.spectral_clusters(points, 2, neighbours=10)
    assert jaxae.analysis.cluster_scores(found, labels).accuracy == 1
    plain = KMeans(2, n_init=10, random_state=0).fit_predict(points)
    assert jaxae.analysis.cluster_scores(plain, labels).accuracy < 0.95
    np.testing.assert_array_equal(found, jaxae.analysis.spectral_clusters(points, 2, neighbours=10))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("count", [2, 10])
def test_spectral_clusters_that_are_far_apart(count, seed):
    """A graph in several parts has one eigenvalue several times over."""
    random = np.random.default_rng(seed)
    labels = np.arange(40 * count) % count
    points = 100 * labels[:, None] + random.normal(size=(len(labels), 3))
    found = jaxae.analysis.spectral_clusters(points, count, components=count, seed=seed)
    assert jaxae.analysis.cluster_scores(found, labels).accuracy == 1
    more = jaxae.analysis.spectral_clusters(points, count, seed=seed)
    assert jaxae.analysis.cluster_scores(more, labels).accuracy > 0.9
    # With more parts than components, the largest of them are told apart.
    few = jaxae.analysis.spectral_clusters(points, 2, components=2, seed=seed)
    assert len(np.unique(few)) == 2


def test_spectral_clusters_by_a_dense_decomposition():
    points, _ = make_moons(80, noise=0.1, random_state=1)
    d = np.linalg.norm(points[:, None] - points, axis=-1)
    np.fill_diagonal(d, np.inf)
    weight = np.zeros((80, 80))
    for i, near in enumerate(np.argsort(d, axis=1)[:, :6]):
        weight[i, near] = np.exp(-((d[i, near] / d[i, near[-1]]) ** 2))
    weight = (weight + weight.T) / 2
    degree = weight.sum(0) ** -0.5
    _, vectors = np.linalg.eigh(degree[:, None] * weight * degree)
    rows = vectors[:, -3:] / np.linalg.norm(vectors[:, -3:], axis=1, keepdims=True)
    expected = KMeans(3, n_init=10, random_state=0).fit_predict(rows)
    found = jaxae.analysis.spectral_clusters(points, 3, neighbours=6, components=3)
    assert jaxae.analysis.cluster_scores(found, expected).accuracy == 1
    others = [
        jaxae.analysis.spectral_clusters(points, 3, neighbours=6, components=6),
        jaxae.analysis.spectral_clusters(points, 3, neighbours=20, components=3),
    ]
    assert all(not np.array_equal(found, other) for other in others)


def test_narrow_integers():
    labels = np.array([255, 0, 255], np.uint8)
    assert jaxae.analysis.match_clusters(np.array([0, 1, 0], np.int8), labels).tolist() == [255, 0]


def test_soft_assignments_and_what_they_should_become():
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


def test_the_loss_of_deep_clustering(base):
    model, params, x = base
    centres = jax.random.normal(KEY, (3, 4))
    clustered = jaxae.deep_clustering(model, params, centres, scale=0.7, reconstruction=0.1)
    trained = clustered.init(KEY, x)
    np.testing.assert_array_equal(trained["centres"], centres)
    np.testing.assert_array_equal(clustered.encode(trained, x), model.encode(params, x))
    q = np.asarray(jaxae.wrappers.soft_assignments(model.encode(params, x), centres, scale=0.7))
    p = jaxae.wrappers.target_distribution(q)
    out = clustered.loss(trained, KEY, x, target=jnp.asarray(p))
    expected = relative_entropy(p, q, axis=1)
    np.testing.assert_allclose(out.terms["clustering"], expected, rtol=2e-3, atol=1e-5)
    own = model.loss(params, KEY, x).loss
    np.testing.assert_allclose(out.loss, expected + 0.1 * own, rtol=1e-4)
    # Sure targets are finite.
    sure = jax.nn.one_hot(jnp.arange(len(x)) % 3, 3)
    assert np.isfinite(clustered.loss(trained, KEY, x, target=sure).loss).all()


def test_deep_clustering_brings_codes_to_their_centres(base, digits):
    """Training towards sharpened assignments makes them surer; without the base's loss it is DEC."""
    model, params, _ = base
    images = digits.train.images[:512]
    x = jaxae.as_float(images)
    centres = KMeans(10, n_init=3, random_state=0).fit(np.asarray(model.encode(params, x)))
    c = jnp.asarray(centres.cluster_centers_)
    q = np.asarray(jaxae.wrappers.soft_assignments(model.encode(params, x), c, scale=0.1))
    clustered = jaxae.deep_clustering(model, params, c, scale=0.1, reconstruction=0.0)
    fitted = jaxae.fit(
        clustered,
        (images, jaxae.wrappers.target_distribution(q)),
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


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda c, y: jaxae.analysis.match_clusters(c, y[1:]),
            "3 clusters of examples and 2 labels",
        ),
        (lambda c, y: jaxae.analysis.match_clusters(c[:0], y[:0]), "0 clusters"),
        (lambda c, y: jaxae.analysis.cluster_scores(c - 1, y), "numbered from 0"),
        (lambda c, y: jaxae.analysis.cluster_scores(c, y - 1), "numbered from 0"),
        (
            lambda c, y: jaxae.analysis.spectral_clusters(np.ones((3, 2)), 2, neighbours=3),
            "3 neighbours",
        ),
        (
            lambda c, y: jaxae.analysis.spectral_clusters(np.ones((3, 2)), 3, neighbours=2),
            "3 spectral",
        ),
        (
            lambda c, y: jaxae.wrappers.soft_assignments(
                jnp.ones((2, 1)), jnp.ones((2, 1)), scale=0.0
            ),
            "scale must be positive",
        ),
        (
            lambda c, y: jaxae.deep_clustering(
                jaxae.autoencoder(
                    jaxae.networks.mlp_encoder(1), jaxae.networks.mlp_decoder((2, 2, 1))
                ),
                {},
                jnp.ones((2, 1)),
                scale=-1.0,
            ),
            "scale must be positive",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.array([0, 1, 2]), np.array([0, 1, 0]))


def test_a_bad_weight_and_bad_centres(base):
    model, params, _ = base
    with pytest.raises(ValueError, match="must be finite and not negative"):
        jaxae.deep_clustering(model, params, jnp.ones((3, 4)), reconstruction=-1.0)
    with pytest.raises(ValueError, match=r"centres are \[k, d\]"):
        jaxae.deep_clustering(model, params, jnp.ones(3))


def test_bad_targets(base):
    model, params, x = base
    clustered = jaxae.deep_clustering(model, params, jnp.ones((3, 4)))
    for target in (None, jnp.ones((len(x), 2)), jnp.zeros(len(x), jnp.int32)):
        with pytest.raises(ValueError, match=r"assignments, \[n, 3\]"):
            clustered.loss(clustered.init(KEY, x), KEY, x, target=target)
