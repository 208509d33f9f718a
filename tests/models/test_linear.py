"""PCA against scikit-learn and the lecture's table; linear, tied and logistic models."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.linalg
import scipy.optimize
from sklearn.decomposition import PCA

import jaxae

KEY = jax.random.key(0)
FREE = jaxae.likelihoods.gaussian()


def test_the_five_points_of_the_lecture():
    x = jnp.array([[-0.5, -0.4], [-0.4, -0.1], [0.1, 0.0], [0.3, 0.3], [0.5, 0.2]])
    model = jaxae.pca(1, FREE)
    params = model.init(KEY, x)
    z = model.encode(params, x)
    decoded = model.decode(params, z)
    # As printed there.
    assert [f"{v:.2f}" for v in z[:, 0]] == ["-0.63", "-0.39", "0.09", "0.41", "0.53"]
    printed = [
        ("-0.54", "-0.33"),
        ("-0.34", "-0.20"),
        ("0.07", "0.04"),
        ("0.35", "0.21"),
        ("0.46", "0.27"),
    ]
    assert [tuple(f"{v:.2f}" for v in row) for row in decoded] == printed
    np.testing.assert_allclose(params["components"][0], [0.858, 0.514], atol=5e-4)
    assert float(jnp.square(x - decoded).sum()) == pytest.approx(0.0424, abs=5e-5)


@pytest.mark.parametrize(("n", "k"), [(500, 7), (40, 40), (30, 3)])
def test_pca_is_that_of_scikit_learn(digits, n, k):
    images = digits.train.images[:n]
    x = jaxae.as_float(images)
    found = jax.jit(jaxae.models.principal_components, static_argnums=1)(x, k)
    oracle = PCA(k, svd_solver="full").fit(np.asarray(x, np.float64).reshape(n, -1))
    np.testing.assert_allclose(found.mean.ravel(), oracle.mean_, atol=1e-6)
    np.testing.assert_allclose(found.explained_variance, oracle.explained_variance_, atol=1e-5)
    total = np.asarray(x, np.float64).reshape(n, -1).var(0, ddof=1).sum()
    assert float(found.total_variance) == pytest.approx(total, rel=1e-5)
    few = min(k, 7)  # beyond, variances are close to each other and directions are not unique
    cosines = np.abs(np.sum(found.components[:few] * oracle.components_[:few], axis=1))
    np.testing.assert_allclose(cosines, 1, atol=1e-4)
    np.testing.assert_allclose(found.components @ found.components.T, np.eye(k), atol=1e-5)
    assert (np.asarray(found.components).max(1) >= -np.asarray(found.components).min(1)).all()
    # Reconstructions do not depend on signs.
    model = jaxae.pca(k, FREE)
    params = model.init(KEY, x)
    test = jaxae.as_float(digits.test.images)
    expected = oracle.inverse_transform(oracle.transform(np.asarray(test).reshape(len(test), -1)))
    if k < n:
        decoded = jaxae.reconstruct(model, params, test).reshape(len(test), -1)
        np.testing.assert_allclose(decoded, expected, atol=2e-4)


def test_the_loss_of_pca_is_that_of_the_projection(digits):
    x = jaxae.as_float(digits.train.images)
    model = jaxae.pca(5)
    params = model.init(KEY, x)
    projected = jaxae.reconstruct(model, params, x)
    assert projected.min() < 0  # a linear model is not clipped to what an image may be
    expected = 0.5 * jaxae.analysis.squared_error(x, projected) + 32 * np.log(2 * np.pi)
    np.testing.assert_allclose(model.loss(params, KEY, x).loss, expected, rtol=1e-5)


@pytest.mark.parametrize("tied", [False, True])
def test_a_linear_autoencoder_finds_the_subspace_of_pca_and_another_basis(digits, tied):
    images = digits.train.images
    components = jaxae.models.principal_components(jaxae.as_float(images), 4).components
    model = jaxae.linear_autoencoder((8, 8, 1), 4, tied=tied, likelihood=FREE)
    epochs, batch_size = 200, 100
    steps = epochs * (len(images) // batch_size)
    fitted = jaxae.fit(
        model,
        images,
        optimizer=optax.adam(optax.cosine_decay_schedule(1e-2, steps)),
        epochs=epochs,
        batch_size=batch_size,
        key=KEY,
        progress=False,
    )
    if tied:
        basis = fitted.params["encoder"]["kernel_0"]
        assert sorted(fitted.params["decoder"]) == ["bias_0"]
    else:
        basis = fitted.params["decoder"]["Dense_0"]["kernel"].T
    angles = np.degrees(scipy.linalg.subspace_angles(np.asarray(basis), np.asarray(components).T))
    assert angles.max() < 2
    directions = basis / jnp.linalg.norm(basis, axis=0)
    assert float(jnp.abs(components @ directions).max(1).mean()) < 0.99
    x = jaxae.as_float(images)
    error = jaxae.analysis.squared_error(x, jaxae.reconstruct(model, fitted.params, x)).mean()
    pca = jaxae.pca(4, FREE)
    best = jaxae.analysis.squared_error(x, jaxae.reconstruct(pca, pca.init(KEY, x), x)).mean()
    assert best * 0.9999 < error < 1.005 * best


def test_tied_weights_are_transposed():
    model = jaxae.tied_autoencoder(
        (2, 3, 1),
        2,
        (4,),
        activation=jnp.tanh,
        code_activation=jax.nn.sigmoid,
        likelihood=jaxae.likelihoods.bernoulli(),
    )
    x = jax.random.uniform(KEY, (5, 2, 3, 1))
    params = jax.tree.map(lambda p: p + 0.1, model.init(KEY, x))
    e, d = (jax.tree.map(np.asarray, params[name]) for name in ("encoder", "decoder"))
    h = np.tanh(np.asarray(x).reshape(5, 6) @ e["kernel_0"] + e["bias_0"])
    z = 1 / (1 + np.exp(-(h @ e["kernel_1"] + e["bias_1"])))
    np.testing.assert_allclose(model.encode(params, x), z, rtol=1e-5)
    h = np.tanh(z @ e["kernel_1"].T + d["bias_1"])
    logits = h @ e["kernel_0"].T + d["bias_0"]
    expected = 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(
        model.decode(params, jnp.asarray(z)).reshape(5, 6), expected, rtol=1e-5
    )


def test_the_codes_of_logistic_pca_are_the_best_ones():
    model = jaxae.logistic_pca((3, 4, 1), 2)
    x = jax.random.uniform(KEY, (4, 3, 4, 1))
    params = model.init(jax.random.key(1), x)
    v, b = (np.asarray(params[name], np.float64) for name in ("components", "bias"))

    def objective(z, pixels):
        logits = b + z @ v
        return np.sum(np.logaddexp(0, logits) - pixels * logits) + 0.5 * z @ z

    for code, image, loss in zip(
        model.encode(params, x), x, model.loss(params, KEY, x).loss, strict=True
    ):
        pixels = np.asarray(image, np.float64).ravel()
        best = scipy.optimize.minimize(objective, np.zeros(2), args=(pixels,), tol=1e-10)
        np.testing.assert_allclose(code, best.x, atol=1e-3)
        assert float(loss) == pytest.approx(best.fun, rel=1e-6)


def test_the_line_search_keeps_far_codes_finite():
    # Binary pixels and large components: full Newton steps overshoot here.
    v = 8 * jax.random.normal(KEY, (3, 20))
    x = jax.random.bernoulli(jax.random.key(1), 0.5, (50, 20)).astype(jnp.float32)
    from jaxae.models._logistic_pca import best_codes

    def loss(z):
        logits = z @ v
        return optax.sigmoid_binary_cross_entropy(logits, x).sum(1) + 0.5 * (z**2).sum(1)

    losses = [loss(best_codes(v, jnp.zeros(20), x, n)) for n in (1, 2, 4, 8, 30)]
    for before, after in zip(losses, losses[1:], strict=False):
        assert (after <= before * (1 + 1e-5)).all()
    np.testing.assert_allclose(losses[3], losses[4], rtol=1e-2)


def test_the_gradient_of_logistic_pca_is_that_of_the_minimum():
    """Brute force: finite differences of the loss, with each code searched anew."""
    model = jaxae.logistic_pca((2, 3, 1), 2, iterations=20)
    x = jax.random.uniform(KEY, (3, 2, 3, 1))
    params = model.init(jax.random.key(1), x)
    loss = jax.jit(lambda params: model.loss(params, KEY, x).loss.sum())
    gradient = jax.grad(loss)(params)
    h = 1e-2
    for name in ("components", "bias"):
        for i in np.ndindex(params[name].shape):
            up, down = (loss(params | {name: params[name].at[i].add(sign * h)}) for sign in (1, -1))
            assert float((up - down) / (2 * h)) == pytest.approx(float(gradient[name][i]), abs=2e-3)


@pytest.mark.parametrize("wrapped", ["denoising", "sparse", "contractive"])
def test_the_codes_of_logistic_pca_are_differentiated_implicitly(wrapped):
    """Where the loss is not the minimum, a code moves with the parameters: finite differences."""
    base = jaxae.logistic_pca((2, 3, 1), 2, iterations=20)
    model = {
        "denoising": lambda: jaxae.denoising(base, jaxae.corruptions.masking(0.5)),
        "sparse": lambda: jaxae.sparse(base, 30.0, jaxae.wrappers.l1),
        "contractive": lambda: jaxae.contractive(base, 30.0, mode="reverse"),
    }[wrapped]()
    x = jax.random.uniform(KEY, (3, 2, 3, 1))
    params = model.init(jax.random.key(1), x)
    loss = jax.jit(lambda params: model.loss(params, KEY, x).loss.sum())
    gradient = jax.grad(loss)(params)["components"]
    h = 3e-2  # a code is found to some 1e-4
    for i in ((0, 1), (1, 4)):
        up, down = (
            loss(params | {"components": params["components"].at[i].add(sign * h)})
            for sign in (1, -1)
        )
        assert float((up - down) / (2 * h)) == pytest.approx(float(gradient[i]), rel=0.03, abs=0.01)


def test_bytes_and_floats_are_the_same_images(digits):
    images = digits.train.images[:100]
    floats = jaxae.as_float(images)
    for a, b in zip(
        *(jaxae.models.principal_components(x, 3) for x in (images, floats)), strict=True
    ):
        np.testing.assert_array_equal(a, b)
    mask = jaxae.corruptions.masking(0.3)
    found = [jaxae.analysis.linear_denoiser(KEY, x, mask).matrix for x in (images, floats)]
    np.testing.assert_array_equal(*found)
    other = 255 - images
    expected = jnp.square(floats - jaxae.as_float(other)).sum((1, 2, 3))
    np.testing.assert_allclose(jaxae.analysis.squared_error(images, other), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: jaxae.pca(7).init(KEY, x[:6]), "there are 6 images of 64 values"),
        (lambda x: jaxae.pca(65).init(KEY, x), "of 64 values"),
        (lambda x: jaxae.pca(0).init(KEY, x), "at least one component"),
        (
            lambda x: jaxae.pca(3, jaxae.likelihoods.gaussian("learned")),
            "one output for each value",
        ),
        (lambda x: jaxae.tied_autoencoder((8, 8, 1), 0), "at least one unit"),
        (
            lambda x: jaxae.tied_autoencoder(
                (8, 8, 1), 2, likelihood=jaxae.likelihoods.categorical(4)
            ),
            "one output for each value",
        ),
        (lambda x: jaxae.logistic_pca((8, 8, 1), 0), "must be positive"),
        (lambda x: jaxae.logistic_pca((8, 8, 1), 2, iterations=0), "must be positive"),
    ],
)
def test_bad_sizes(digits, make, message):
    with pytest.raises(ValueError, match=message):
        make(jaxae.as_float(digits.train.images[:100]))
