"""Priors against their moments and shapes, the discrepancy against loops, averages against sums."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.stats import kstest

import jaxae
from jaxae.distributions import priors

KEY = jax.random.key(0)
N = 20_000


def test_the_normal_prior_is_normal():
    z = np.asarray(priors.standard_normal(3).sample(KEY, N))
    for column in z.T:
        assert kstest(column, "norm").pvalue > 1e-3


@pytest.mark.parametrize("label", [0, 3, 7])
def test_a_petal_is_where_it_belongs(label):
    prior = priors.petals(8, radius=3.0, length=0.5, width=0.1)
    z = np.asarray(prior.given(KEY, jnp.full(N, label)))
    angle = 2 * np.pi * label / 8
    axes = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    along, across = (z @ axes.T).T
    assert along.mean() == pytest.approx(3.0, abs=0.02)
    assert across.mean() == pytest.approx(0.0, abs=0.01)
    assert along.std() == pytest.approx(0.5, rel=0.03)
    assert across.std() == pytest.approx(0.1, rel=0.03)


def test_a_swiss_roll_is_as_dense_everywhere():
    prior = priors.swiss_roll(10, turns=2.0, width=1e-3)
    z = np.asarray(prior.sample(KEY, N))
    t = np.linalg.norm(z, axis=1) / 2
    # The length of the roll up to t goes with t^2 but near the middle.
    assert kstest(np.square(np.clip(t, 0, 1)), "uniform").statistic < 0.02
    angle = np.arctan2(z[:, 1], z[:, 0])
    off = np.angle(np.exp(1j * (angle - 4 * np.pi * t)))
    assert np.abs(off[t > 0.2]).max() < 0.05
    piece = np.asarray(prior.given(KEY, jnp.full(N, 9)))
    assert np.linalg.norm(piece, axis=1).min() > 2 * np.sqrt(0.9) - 0.01


@pytest.mark.parametrize("prior", [priors.petals(5), priors.swiss_roll(5), priors.categorical(5)])
def test_a_code_without_a_label_is_of_any_class(prior):
    assert prior.classes == 5
    free = np.asarray(prior.given(KEY, jnp.full(N, -1)))
    np.testing.assert_array_equal(free, prior.sample(KEY, N))
    of_classes = [np.asarray(prior.given(KEY, jnp.full(N, label))) for label in range(5)]
    means = np.stack([z.mean(0) for z in of_classes])
    np.testing.assert_allclose(free.mean(0), means.mean(0), atol=0.03)


def test_a_mixture_is_fitted_to_codes():
    generator = np.random.default_rng(0)
    codes = np.concatenate(
        [generator.normal(5, 0.2, (3000, 2)), generator.normal(-5, 1, (1000, 2))]
    )
    z = np.asarray(priors.gaussian_mixture(codes, components=2).sample(KEY, N))
    right = z[:, 0] > 0
    assert right.mean() == pytest.approx(0.75, abs=0.02)
    assert z[right].std(0) == pytest.approx(0.2, rel=0.05)
    assert z[~right].mean(0) == pytest.approx(-5, rel=0.05)
    np.testing.assert_allclose(np.cov(z.T), np.cov(codes.T), rtol=0.05, atol=0.5)


def test_a_prior_makes_a_sampler_of_any_autoencoder():
    base = jaxae.autoencoder(jaxae.networks.mlp_encoder(2), jaxae.networks.mlp_decoder((8, 8, 1)))
    params = base.init(KEY, jnp.zeros((1, 8, 8, 1)))
    assert base.sample is None
    z = jnp.array([[1.0, 2.0], [3.0, 4.0]])
    model = jaxae.with_prior(base, priors.Prior(2, lambda key, n: z[:n]))
    np.testing.assert_allclose(model.sample(params, KEY, 2), base.decode(params, z), atol=1e-6)
    assert model.log_weight is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: priors.standard_normal(0), "one dimension"),
        (lambda: priors.petals(3, width=0.0), "positive"),
        (lambda: priors.swiss_roll(0), "positive"),
        (lambda: priors.categorical(1), "two classes"),
        (lambda: priors.gaussian_mixture(np.zeros((30, 2)), components=10), "30 codes are too few"),
        (lambda: priors.gaussian_mixture(np.zeros((30, 2)), components=0), "one component"),
        (lambda: jaxae.distributions.imq(0.0), "positive"),
        (lambda: jaxae.distributions.rbf(-1.0), "positive"),
        (
            lambda: jaxae.distributions.mmd(
                jnp.zeros((1, 2)), jnp.zeros((5, 2)), jaxae.distributions.rbf(1.0)
            ),
            "two draws",
        ),
    ],
)
def test_what_is_out_of_range_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


SCALES = (0.1, 0.2, 0.5, 1, 2, 5, 10)
KERNELS = {
    "imq": (
        jaxae.distributions.imq(3.0),
        lambda d: np.mean([3 * s / (3 * s + d**2) for s in SCALES]),
    ),
    "rbf": (
        jaxae.distributions.rbf(3.0),
        lambda d: np.mean([np.exp(-(d**2) / (3 * s)) for s in SCALES]),
    ),
}


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_discrepancy_is_that_of_loops(kernel):
    ours, k = KERNELS[kernel]
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(6, 3)), generator.normal(0.5, size=(9, 3))
    k_of = lambda a, b: k(np.linalg.norm(a - b))
    own = lambda z: np.mean(
        [k_of(z[i], z[j]) for i in range(len(z)) for j in range(len(z)) if i != j]
    )
    expected = own(x) + own(y) - 2 * np.mean([k_of(a, b) for a in x for b in y])
    assert float(jaxae.distributions.mmd(jnp.float32(x), jnp.float32(y), ours)) == pytest.approx(
        expected, rel=1e-4
    )


def test_the_discrepancy_in_blocks_is_the_same(monkeypatch):
    x, y = (jax.random.normal(jax.random.key(i), (50, 3)) for i in range(2))
    whole = jaxae.distributions.mmd(x, y, jaxae.distributions.imq(6.0))
    monkeypatch.setattr("jaxae.divergences.BLOCK", 16)
    np.testing.assert_allclose(
        jaxae.distributions.mmd(x, y, jaxae.distributions.imq(6.0)), whole, atol=1e-6
    )


def test_the_discrepancy_of_equal_laws_is_zero_on_average():
    draws = jax.random.normal(KEY, (4000, 2, 8, 2))
    found = np.asarray(
        jax.vmap(lambda d: jaxae.distributions.mmd(d[0], d[1], jaxae.distributions.imq(4.0)))(draws)
    )
    error = found.std() / np.sqrt(len(found))
    assert abs(found.mean()) < 4 * error
    # With its diagonals it would be 2 (1 - mean kernel) / n, which these draws would notice.
    assert 4 * error < 0.02


def test_a_permutation_test_finds_a_difference_and_none_where_there_is_none():
    mmd = jax.jit(lambda x, y: jaxae.distributions.mmd(x, y, jaxae.distributions.rbf(4.0)))

    def p_value(x, y, key):
        both = jnp.concatenate([x, y])
        found = mmd(x, y)
        usual = [
            mmd(*jnp.split(both[jax.random.permutation(k, len(both))], 2))
            for k in jax.random.split(key, 60)
        ]
        return (1 + sum(value >= found for value in usual)) / 61

    keys = jax.random.split(KEY, 20)
    draw = lambda i: jax.random.normal(keys[i], (100, 2))
    same = [float(p_value(draw(2 * i), draw(2 * i + 1), keys[i])) for i in range(8)]
    assert 0.2 < np.mean(same) < 0.8
    assert float(p_value(draw(0), draw(1) + 0.7, keys[0])) < 0.02


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_gradient_is_finite_where_points_coincide(kernel):
    x = jnp.zeros((4, 2))
    gradient = jax.grad(
        lambda x: jaxae.distributions.mmd(x, jnp.zeros((4, 2)), KERNELS[kernel][0])
    )(x)
    assert jnp.isfinite(gradient).all()


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.999])
def test_an_average_is_the_weighted_sum(decay):
    optimizer = jaxae.training.with_ema(optax.adam(0.1), decay)
    plain = optax.adam(0.1)
    params = twin = {"w": jnp.array([1.0, -2.0])}
    state, other = optimizer.init(params), plain.init(twin)
    visited = []
    for step in range(7):
        gradient = {"w": jnp.sin(params["w"] * (step + 1))}
        updates, state = optimizer.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
        updates, other = plain.update(gradient, other, twin)
        twin = optax.apply_updates(twin, updates)
        visited.append(np.asarray(params["w"], np.float64))
    np.testing.assert_array_equal(params["w"], twin["w"])  # the training is the same
    weights = decay ** np.arange(6, -1, -1.0)
    expected = np.average(visited, axis=0, weights=weights)
    np.testing.assert_allclose(jaxae.training.ema_params(state)["w"], expected, rtol=1e-5)


def test_fit_keeps_and_validates_the_average():
    x = np.asarray(jax.random.randint(KEY, (40, 8, 8, 1), 0, 256), np.uint8)
    model = jaxae.autoencoder(jaxae.networks.mlp_encoder(2), jaxae.networks.mlp_decoder((8, 8, 1)))
    options = {"optimizer": optax.adam(1e-2), "epochs": 3, "key": KEY, "batch_size": 10}
    options |= {"validation": x[:20], "progress": False}
    with_it = jaxae.fit(model, x[20:], average=0.9, **options)
    without = jaxae.fit(model, x[20:], **options)
    pairs = zip(*(jax.tree.leaves(f.state.params) for f in (with_it, without)), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)
    assert with_it.best_epoch == 3
    average = jaxae.training.ema_params(with_it.state.opt_state)
    jax.tree.map(np.testing.assert_array_equal, with_it.params, average)
    out = model.loss(average, KEY, jaxae.as_float(x[:20]), train=False)
    recorded = with_it.history[-1]["validation/loss"]
    assert recorded == pytest.approx(float(out.loss.mean()), rel=1e-5)
    assert recorded != without.history[-1]["validation/loss"]
