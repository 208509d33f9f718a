"""Public numeric functions with values of extreme scale, with an offset, in low precision, and with input
that must be refused rather than computed with in silence."""

import math

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

import jaxae
from jaxae import analysis, distributions, likelihoods, numeric, priors
from jaxae.data import augmentations, colors, corruptions, masks
from jaxae.objectives.adversarial import gan_losses, r1_penalty
from jaxae.objectives.jacobian import squared_jacobian_norm
from jaxae.wrappers import soft_assignments, target_distribution
from jaxae.wrappers._sparse import kl_sparsity, l1
from tests.data.precision import all_highest

KEY = jax.random.key(0)
RANDOM = np.random.default_rng(0)
CODES = np.float32(RANDOM.integers(-64, 64, (60, 3)) / 64)
LABELS = np.arange(60) % 2
HAS = LABELS == 1
IMAGES = RANDOM.random((4, 12, 12, 3), np.float32)


@pytest.fixture(autouse=True)
def unchecked_types():
    """Without the checks of annotations, which are active in tests only."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


# Penalties, divergences and norms where they have a kink, or are zero or infinite: a function, where, its
# value and its gradient there.
FAR = jnp.array([[1e4, -1e4]])
CRITIC = jaxae.Network(lambda key, x: 0.0, lambda w, x, *, key=None: jnp.tanh(x @ w))
KINKS = {
    "norm at zero": (numeric.norm, jnp.zeros(3), 0, 0),
    "norm of small values": (numeric.norm, jnp.array([3e-30, 4e-30]), 5e-30, jnp.array([0.6, 0.8])),
    "norm of large values": (numeric.norm, jnp.array([3e30, 4e30]), 5e30, jnp.array([0.6, 0.8])),
    "absolute": (
        lambda z: numeric.absolute(z).sum(),
        jnp.array([0.0, -2.0, 3.0]),
        5,
        jnp.array([0, -1, 1]),
    ),
    "l1": (lambda z: l1(z).sum(), jnp.array([[0.0, -2.0]]), 2, jnp.array([[0, -1]])),
    "kl_sparsity at the rate": (
        lambda z: kl_sparsity(0.25)(z)[0],
        jnp.full((2, 1), 0.25),
        0,
        0,
    ),
    "kl at zero": (
        lambda v: distributions.kl_standard_normal(jnp.zeros(2), v),
        jnp.zeros(2),
        0,
        0,
    ),
    "kl of tiny and huge variances": (
        lambda v: distributions.kl_standard_normal(jnp.zeros(2), v),
        jnp.array([-80.0, 60.0]),
        0.5 * (79 + math.exp(60) - 61),
        jnp.array([-0.5, 0.5 * math.exp(60)]),
    ),
    "kl of one normal from itself": (
        lambda c: distributions.kl_normal(jnp.zeros(2), c, jnp.zeros(2), 1e-12 * jnp.eye(2)),
        1e-12 * jnp.eye(2),
        0,
        0,
    ),
    "density of a narrow normal at its mean": (
        lambda m: distributions.families.normal(m, jnp.full((1, 1), -120.0)).log_prob(m)[0],
        jnp.ones((1, 1)),
        60 - 0.5 * math.log(2 * math.pi),
        0,
    ),
    "rbf of equal points": (
        lambda x: distributions.rbf(1e-40 * 1e10)(x, x).sum(),
        jnp.ones((2, 2)),
        4,
        0,
    ),
    "imq of equal points": (lambda x: distributions.imq(1e30)(x, x).sum(), jnp.ones((2, 2)), 4, 0),
    "mmd of equal sets": (
        lambda x: distributions.mmd(x, jnp.ones((3, 2)), distributions.imq(2.0)),
        jnp.ones((3, 2)),
        0,
        0,
    ),
    "r1 of a constant critic": (
        lambda w: r1_penalty(CRITIC, w, jnp.ones((2, 2))).sum(),
        jnp.zeros((2, 1)),
        0,
        0,
    ),
    "contraction of a constant encoder": (
        lambda w: squared_jacobian_norm(lambda x: x @ w, jnp.ones((1, 2)))[0],
        jnp.zeros((2, 2)),
        0,
        0,
    ),
    "assignment to identical centres": (
        lambda z: soft_assignments(z, jnp.ones((4, 2)))[0, 0],
        jnp.ones((1, 2)),
        0.25,
        0,
    ),
    "assignment of a far code": (
        lambda z: soft_assignments(z, jnp.array([[0.0], [1.0]]))[0, 0],
        jnp.full((1, 1), 1e25),
        0.5,
        0,
    ),
    "assignment of a code far from near and far centres": (
        lambda z: soft_assignments(z, jnp.array([[0.0], [5e24]]))[0, 0],
        jnp.full((1, 1), 1e25),
        0.2,
        0,
    ),
    "assignment of a code between centres": (
        lambda z: soft_assignments(z, jnp.array([[0.0], [1.0]]))[0, 0],
        jnp.full((1, 1), 3.0),
        5 / 15,
        (4 * 15 - 5 * 10) / 15**2,
    ),
    "slerp of a code and itself": (
        lambda z: analysis.slerp(z, z, jnp.array([0.5])).sum(),
        jnp.full(2, 1e-25),
        2e-25,
        1,
    ),
    "colorfulness of a grey image": (
        lambda x: colors.colorfulness(x)[0],
        jnp.full((1, 4, 4, 3), 0.5),
        0,
        0,
    ),
}


@pytest.mark.parametrize("name", KINKS)
def test_values_and_gradients_at_kinks(name):
    function, at, value, gradient = KINKS[name]
    found, slope = jax.value_and_grad(function)(at)
    assert float(found) == pytest.approx(float(value), rel=1e-5, abs=1e-7 if value == 0 else 0)
    np.testing.assert_allclose(slope, jnp.broadcast_to(gradient, at.shape), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("logit", [1e4, -1e4, 0.0])
def test_gan_losses_at_extreme_logits(logit):
    constant = jaxae.Network(lambda key, x: 0.0, lambda b, x, *, key=None: jnp.full((len(x), 1), b))
    losses = gan_losses(constant, jnp.float32(logit), jnp.ones((1, 1)), jnp.ones((1, 1)))
    assert float(losses.discriminator[0]) == pytest.approx(2 * np.logaddexp(0, logit) - logit)
    assert float(losses.generator[0]) == pytest.approx(np.logaddexp(0, -logit))


@pytest.mark.parametrize("mean", [0.0, 1.0])
def test_rates_of_zero_and_one_have_a_finite_gradient(mean):
    value, slope = jax.value_and_grad(lambda z: kl_sparsity(0.1)(z)[0])(jnp.full((3, 2), mean))
    assert 0 < float(value) < 40
    assert (jnp.sign(slope) == (1 if mean else -1)).all()


def test_targets_of_identical_centres_and_empty_clusters():
    np.testing.assert_allclose(target_distribution(np.full((5, 4), 0.25)), 0.25)
    np.testing.assert_array_equal(target_distribution(np.eye(3)[[0, 0]]), np.eye(3)[[0, 0]])


# Scale: functions that scale with their input (power 1), or do not depend on its scale (power 0).
SPECTRAL = jaxae.networks.spectral_norm(
    jaxae.Network(lambda key, x: 0.0, lambda w, x, *, key=None: w), iterations=50
)
SCALED = {
    "draw_like": (lambda x: analysis.draw_like(KEY, x, 5), 1),
    "norm": (numeric.norm, 1),
    "spectral_norm": (lambda x: SPECTRAL.apply(jnp.asarray(x), x), 0),
    "lipschitz": (lambda x: analysis.lipschitz(lambda z: z @ x.T, jnp.zeros((1, 3))), 1),
    "path_speeds of images": (
        lambda x: analysis.path_speeds(
            lambda z: z @ x.T, jnp.zeros((1, 3)), jnp.ones((1, 3)), steps=2
        ),
        1,
    ),
    "path_speeds of codes": (
        lambda x: analysis.path_speeds(lambda z: z, 0 * x[:4], x[:4], steps=2),
        0,
    ),
    "slerp": (lambda x: analysis.slerp(x[:4], x[4:8], jnp.array([0.3])), 1),
    "attribute_vector": (lambda x: analysis.attribute_vector(x, HAS), 1),
    "logistic_normal": (lambda x: analysis.logistic_normal(x, HAS), 1),
    "partial_directions": (lambda x: analysis.partial_directions(x, HAS[:, None]), 1),
    "linear_probe": (
        lambda x: analysis.linear_probe((x, LABELS), (x, LABELS), regularization=[1.0]),
        0,
    ),
    "neighbour_probe": (lambda x: analysis.neighbour_probe((x, LABELS), (x, LABELS)), 0),
    "nearest": (lambda x: analysis.nearest(x[:20], x[20:]).distance, 1),
    "precision_recall": (lambda x: analysis.precision_recall(x[:20], x[20:]), 0),
    "spectral_clusters": (lambda x: analysis.spectral_clusters(x, 2, neighbours=8), 0),
    "sharpness": (lambda x: jnp.sqrt(analysis.sharpness(x.reshape(1, 10, 6, 3))), 1),
    "soft_assignments": (
        lambda x: soft_assignments(x, x[:3], scale=float(numeric.norm(x).mean())),
        0,
    ),
    "rbf": (lambda x: distributions.rbf(float(numeric.norm(x).mean()) ** 2)(x, x), 0),
}


@pytest.mark.parametrize("name", SCALED)
def test_the_scale_of_the_values_does_not_matter(name):
    function, power = SCALED[name]
    expected = np.asarray(function(CODES), np.float64)
    assert np.isfinite(expected).all()
    # Squares of standard deviations, which sharpness is, span half of the range.
    for exponent in (-40, 40) if name in ("sharpness", "rbf") else (-90, 90):
        scale = 2.0**exponent
        found = np.asarray(function(CODES * np.float32(scale)), np.float64)
        np.testing.assert_allclose(found / scale**power, expected, rtol=1e-3, atol=1e-5)


# An offset: functions whose result moves with it or does not depend on it.
MOVED = {
    "draw_like": (lambda x: analysis.draw_like(KEY, x, 5), True),
    "attribute_vector": (lambda x: analysis.attribute_vector(x, HAS), False),
    "logistic_normal": (lambda x: analysis.logistic_normal(x, HAS), False),
    "partial_directions": (lambda x: analysis.partial_directions(x, HAS[:, None]), False),
    "linear_probe": (
        lambda x: analysis.linear_probe((x, LABELS), (x, LABELS), regularization=[1.0]),
        False,
    ),
    "neighbour_probe": (lambda x: analysis.neighbour_probe((x, LABELS), (x, LABELS)), False),
    "nearest": (lambda x: analysis.nearest(x[:20], x[20:]).distance, False),
    "precision_recall": (lambda x: analysis.precision_recall(x[:20], x[20:]), False),
    "frechet_distance": (lambda x: analysis.frechet_distance(x[:20], x[20:]), False),
    "spectral_clusters": (lambda x: analysis.spectral_clusters(x, 2, neighbours=8), False),
    "sharpness": (lambda x: analysis.sharpness(x.reshape(1, 10, 6, 3)), False),
    "soft_assignments": (lambda x: soft_assignments(x, x[:3]), False),
    "mmd": (lambda x: distributions.mmd(x[:30], x[30:], distributions.rbf(1.0)), False),
    "principal components": (
        lambda x: jaxae.models.principal_components(x, 2).explained_variance,
        False,
    ),
    "gaussian_mixture": (
        lambda x: priors.gaussian_mixture(x, components=2).distribution(None, 60).log_prob(x),
        False,
    ),
    "active_units": (lambda x: analysis.active_units(0.1 * x), False),
    "group_norm": (lambda x: normalised(x), False),
}


def normalised(x):
    """Group normalisation of the networks, at its initial parameters."""
    import flax.linen as nn

    from jaxae.networks.layers import group_norm

    class Norm(nn.Module):
        @nn.compact
        def __call__(self, x):
            return group_norm(x)

    x = x.reshape(1, 10, 6, 3)
    x = jnp.asarray(x)
    return Norm().apply(Norm().init(KEY, x), x)


@pytest.mark.parametrize("name", MOVED)
def test_an_offset_loses_no_digits(name):
    function, moves = MOVED[name]
    offset = 1024.0 if name != "sharpness" else -1024.0
    if name == "active_units":
        offset = 8192.0
    expected = np.asarray(function(CODES), np.float64)
    found = np.asarray(function(CODES + np.float32(offset)), np.float64)
    np.testing.assert_allclose(found - moves * offset, expected, rtol=5e-3, atol=2e-3)


OUT = jnp.zeros((1, 2, 2, 1, 4))
TABLE = np.array([[-0.2, 0.1], [0.1, 0.0], [0.0, 0.2]])
PCA = jaxae.pca(2)
LOGISTIC = jaxae.logistic_pca((2, 2, 1), 2, iterations=1)
SMALL = jnp.ones((3, 2, 2, 1))


def applied(model, x):
    params = jax.eval_shape(model.init, KEY, x)
    params = jax.tree.map(lambda leaf: jnp.ones(leaf.shape, leaf.dtype), params)
    return model.decode(params, model.encode(params, x))


PRODUCTS = {
    "ssim": (lambda x: analysis.ssim(x, x), jnp.ones((1, 12, 12, 1))),
    "draw_like": (lambda x: analysis.draw_like(KEY, x, 5), jnp.asarray(CODES)),
    "lipschitz": (lambda z: analysis.lipschitz(jnp.tanh, z), jnp.ones((2, 3))),
    "rgb_to_lab": (colors.rgb_to_lab, jnp.asarray(IMAGES)),
    "categorical": (lambda out: likelihoods.categorical(4).mean(out), OUT),
    "color_classes": (
        lambda out: likelihoods.color_classes(TABLE).distribution(out).mean,
        jnp.zeros((1, 2, 2, 3, 2)),
    ),
    "gaussian_mixture": (
        lambda key: priors.gaussian_mixture(CODES, components=2).sample(key, 5),
        KEY,
    ),
    "pca": (lambda x: applied(PCA, x), SMALL),
    "logistic_pca": (lambda x: applied(LOGISTIC, x), SMALL),
    "spectral_norm": (lambda w: SPECTRAL.apply(w, w), jnp.ones((3, 2))),
    "hutchinson": (
        lambda x: squared_jacobian_norm(jnp.tanh, x, mode="hutchinson", key=KEY),
        jnp.ones((2, 3)),
    ),
    "random_affine": (
        lambda x: augmentations.random_affine(rotation=9.0)(KEY, x),
        jnp.ones((1, 4, 4, 1)),
    ),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_have_the_highest_precision(name):
    """On a GPU or TPU the default rounds what is multiplied to ten or seven bits."""
    function, x = PRODUCTS[name]
    assert all_highest(function, x)


NAN = np.float32([[0.0, np.nan], [1.0, 2.0], [3.0, 4.0], [5.0, 7.0], [0.5, 3.0], [1.0, 1.0]])
SIX = np.arange(6) % 2
LEVELS = 255 * IMAGES
BYTES = np.uint8(LEVELS)

REFUSED = {
    "ssim of 0..255": (lambda: analysis.ssim(LEVELS, LEVELS), "divide them by 255"),
    "squared_error of 0..255": (
        lambda: analysis.squared_error(LEVELS, BYTES),
        "divide them by 255",
    ),
    "bits of no values": (lambda: analysis.bits_per_dimension(1.0, 0), "at least one value"),
    "sharpness of 0..255": (lambda: analysis.sharpness(LEVELS), "divide them by 255"),
    "sharpness of one image": (lambda: analysis.sharpness(IMAGES[0]), "b, h, w, c"),
    "lab of 0..255": (lambda: colors.rgb_to_lab(LEVELS), "divide them by 255"),
    "lab of integers": (lambda: colors.rgb_to_lab(LEVELS.astype(int)), "not int"),
    "colorfulness of 0..255": (lambda: colors.colorfulness(LEVELS), "divide them by 255"),
    "from_chroma": (
        lambda: colors.from_chroma(jnp.ones((4, 2, 1)), jnp.ones((1, 2, 2))),
        "luma and chroma must be",
    ),
    "with_luma": (
        lambda: colors.with_luma(jnp.ones((1, 2, 2, 1)), jnp.ones((4, 2, 2, 3))),
        "grey image must be",
    ),
    "binarize of 0..255": (lambda: augmentations.binarize(KEY, LEVELS), "in .0, 1."),
    "binarize of nan": (lambda: augmentations.binarize(KEY, NAN), "in .0, 1."),
    "flip of one image": (
        lambda: augmentations.random_flip(KEY, IMAGES[0]),
        "for a single image, use x.None.",
    ),
    "mask of one image": (lambda: masks.block()(KEY, (12, 12, 3)), "shape of images"),
    "precision_recall of nan": (lambda: analysis.precision_recall(NAN, NAN), "real points have"),
    "frechet of nan": (lambda: analysis.frechet_distance(NAN, NAN), "real points have"),
    "nearest of nan": (lambda: analysis.nearest(NAN, NAN), "not finite"),
    "active_units of nan": (lambda: analysis.active_units(jnp.asarray(NAN)), "means have"),
    "draw_like of nan": (lambda: analysis.draw_like(KEY, jnp.asarray(NAN), 2), "codes have"),
    "mixture of nan": (lambda: priors.gaussian_mixture(NAN, components=1), "codes have"),
    "attribute of nan": (
        lambda: analysis.attribute_vector(jnp.asarray(NAN), SIX == 1),
        "codes have",
    ),
    "probe of nan": (lambda: analysis.linear_probe((NAN, SIX), (NAN, SIX)), "codes have"),
    "probe of a column of labels": (
        lambda: analysis.neighbour_probe((CODES, LABELS), (CODES, LABELS[:, None])),
        "needs a label",
    ),
    "probe of other codes": (
        lambda: analysis.neighbour_probe((CODES, LABELS), (CODES[:, :2], LABELS)),
        "3 and 2 dimensions",
    ),
    "scores of a column of labels": (
        lambda: analysis.cluster_scores(LABELS, LABELS[:, None]),
        r"\(60, 1\)",
    ),
    "shares of nan": (lambda: analysis.class_shares(NAN), "probabilities must be"),
    "entropy of logits": (
        lambda: analysis.entropy(jnp.asarray([[3.0, -1.0]])),
        "probabilities must",
    ),
    "lerp": (
        lambda: analysis.lerp(jnp.ones((3, 2)), jnp.ones(2), jnp.ones(1)),
        "start and end must have the same shape",
    ),
    "mmd of other dimensions": (
        lambda: distributions.mmd(jnp.ones((3, 2)), jnp.ones((3, 1)), distributions.rbf(1.0)),
        "same number of dimensions",
    ),
    "kernel of width zero": (lambda: distributions.rbf(0.0), "scale of a kernel"),
    "kernel of an underflowing width": (lambda: distributions.rbf(1e-60), "scale of a kernel"),
    "assignments to centres of other dimensions": (
        lambda: soft_assignments(jnp.ones((3, 2)), jnp.ones((3, 1))),
        "centres have 1 dimensions",
    ),
    "likelihood of an underflowing scale": (
        lambda: likelihoods.gaussian(1e-60),
        "scale of a likeli",
    ),
    "labels of 33 bits": (
        lambda: PCA.encode({}, jaxae.Batch(SMALL, label=np.array([2**32 + 1, 0, 0]))),
        "do not fit into int32",
    ),
    "labels of 33 bits in fit": (
        lambda: jaxae.training.batches.as_data(
            jaxae.Batch(SMALL, label=np.array([2**32 + 1, 0, 0]))
        ),
        "do not fit into int32",
    ),
    "labels of 33 bits of a prior": (
        lambda: priors.petals(3).sample(KEY, 1, condition=np.array([2**32])),
        "do not fit into int32",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_computed_is_refused(name):
    call, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        call()


BYTE_FUNCTIONS = {
    "luma": colors.luma,
    "chroma": colors.chroma,
    "rgb_to_lab": colors.rgb_to_lab,
    "colorfulness": colors.colorfulness,
    "with_luma": lambda x: colors.with_luma(x[..., :1], x),
    "sharpness": analysis.sharpness,
    "gaussian": lambda x: corruptions.gaussian(0.1)(KEY, x),
    "gaussian clipped": lambda x: corruptions.gaussian(0.1, clip=True)(KEY, x),
    "masking": lambda x: corruptions.masking(0.3)(KEY, x),
    "salt_and_pepper": lambda x: corruptions.salt_and_pepper(0.3)(KEY, x),
    "erase": lambda x: corruptions.erase(value=0.5)(KEY, x),
    "hide": lambda x: corruptions.hide(masks.block())(KEY, x),
    "grayscale": lambda x: corruptions.grayscale()(KEY, x),
    "downsample": lambda x: corruptions.downsample(2)(KEY, x),
    "binarize": lambda x: augmentations.binarize(KEY, x),
}


@pytest.mark.parametrize("name", BYTE_FUNCTIONS)
def test_bytes_are_the_floats_divided_by_255(name):
    function = BYTE_FUNCTIONS[name]
    x = jnp.asarray(BYTES)
    np.testing.assert_allclose(function(x), function(x / 255), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "corruption",
    [
        corruptions.salt_and_pepper(0.5),
        corruptions.erase(),
        corruptions.hide(masks.block()),
        corruptions.downsample(2),
        corruptions.gaussian(0.1, clip=True),
    ],
)
def test_corruptions_of_grey_levels_of_0_to_255_are_refused(corruption):
    with pytest.raises(ValueError, match="divide them by 255"):
        corruption(KEY, jnp.asarray(LEVELS))


def test_unusual_input_that_is_right():
    """One cluster, equal images, constant features, duplicates, a label that is no class."""
    one = np.zeros(60, int)
    scores = analysis.cluster_scores(one, LABELS)
    assert (scores.accuracy, scores.purity, scores.ari) == (0.5, 0.5, 0.0)
    assert scores.nmi == pytest.approx(0)
    assert analysis.cluster_scores(one, one) == (1, 1, 1, 1)
    assert analysis.psnr(0.0) == math.inf
    assert math.isnan(analysis.psnr(math.nan))
    constant = np.concatenate([CODES, np.full((60, 1), 1e3, np.float32)], axis=1)
    for probe in (analysis.linear_probe, analysis.neighbour_probe):
        assert probe((constant, LABELS), (constant, LABELS)) == probe(
            (CODES, LABELS), (CODES, LABELS)
        )
    flat = jaxae.models.principal_components(np.full((5, 4, 4, 1), 0.3, np.float32), 2)
    assert np.isfinite(flat.components).all()
    np.testing.assert_allclose(flat.explained_variance, 0, atol=1e-12)
    duplicates = np.repeat([[0.0, 0.0], [1e9, 1e9]], 20, axis=0)
    found = analysis.spectral_clusters(duplicates, 2, neighbours=5)
    assert len(set(found[:20])) == len(set(found[20:])) == 1
    assert found[0] != found[20]
    assert analysis.frechet_distance(constant, constant) == pytest.approx(0, abs=1e-6)
    beyond = priors.petals(3).distribution(None, 1, np.array([3]))
    assert np.isnan(beyond.log_prob(jnp.zeros((1, 2)))).all()
    images = jnp.stack([jnp.asarray(IMAGES[0]), jnp.full((12, 12, 3), jnp.nan)])
    similarity = analysis.ssim(images, images)
    assert similarity[0] == 1
    assert np.isnan(similarity[1])


def test_means_of_far_locations_are_the_ends_of_the_range():
    for location, mean in ((1e9, 1.0), (-1e9, 0.0), (2e7, 1.0), (1e30, 1.0)):
        out = jnp.array([location, 0.0]).reshape(1, 1, 1, 1, 2)
        assert float(likelihoods.discretized_logistic().mean(out).squeeze()) == mean


def test_a_temperature_near_zero_takes_the_most_probable_color():
    outputs = RANDOM.normal(size=(1, 2, 2, 3, 2)).astype(np.float32)
    found = likelihoods.color_classes(TABLE, temperature=1e-36).distribution(outputs)
    best = TABLE[np.asarray(found.stats).argmax(axis=-1)]
    np.testing.assert_allclose(colors.chroma(found.mean), best, atol=1e-5)


def test_pixels_that_are_nan_have_no_density():
    for likelihood, out in (
        (likelihoods.categorical(4), jnp.zeros((1, 1, 1, 3, 4))),
        (likelihoods.color_classes(TABLE), jnp.zeros((1, 1, 1, 3, 2))),
    ):
        assert np.isnan(
            likelihood.distribution(out).log_prob(jnp.full((1, 1, 1, 3), jnp.nan))
        ).all()


@pytest.mark.parametrize("exponent", [-90, 90])
def test_the_gradient_of_a_spectral_norm_at_any_scale(exponent):
    scale = 2.0**exponent
    weights, factors = jnp.asarray(CODES[:4]), jnp.asarray(CODES[4:8])
    slope = jax.grad(lambda w: jnp.sum(factors * SPECTRAL.apply(w, w)))
    np.testing.assert_allclose(slope(weights * scale) * scale, slope(weights), rtol=1e-4, atol=1e-5)


def test_draws_like_two_codes_have_their_unbiased_variance():
    drawn = analysis.draw_like(KEY, jnp.array([[1.0], [-1.0]]), 4000)
    assert float(jnp.var(drawn)) == pytest.approx(2, rel=0.1)
