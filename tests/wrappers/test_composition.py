"""Composition: wrappers commute, a penalty adds, and nothing is dropped without a word."""

import itertools
import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxae
from jaxae import Batch, objectives
from tests.cases import CODE, NOISE, SHAPE, autoencoder, critic, images, mlps, vae

KEY = jax.random.key(3)
NORMAL = jaxae.priors.standard_normal(CODE)
CENTRES = jnp.eye(CODE)
LABELS = jnp.arange(8) % 3 - 1
ASSIGNED = jax.nn.softmax(jnp.arange(3.0) * jnp.arange(8)[:, None] % 5)


def deep_clustering(base):
    plain = base._replace(penalties=(), corruption=None)
    return jaxae.deep_clustering(
        base, plain.init(jax.random.key(0), images(SHAPE)), CENTRES, reconstruction=0.5
    )


WRAPPERS = {
    "contractive": lambda base: jaxae.contractive(base, 0.3),
    "hutchinson": lambda base: jaxae.contractive(base, 0.3, mode="hutchinson"),
    "sparse": lambda base: jaxae.sparse(base, 0.2, jaxae.wrappers.l1),
    "wasserstein": lambda base: jaxae.wasserstein(base, NORMAL, weight=2.0),
    "adversarial": lambda base: jaxae.adversarial(base, critic(), NORMAL, weight=0.7, r1=0.1),
    "supervised": lambda base: jaxae.supervised(base, 2, weight=0.6),
    "denoising": lambda base: jaxae.denoising(base, NOISE),
    "importance_weighted": lambda base: jaxae.importance_weighted(base, 3),
    "deep_clustering": deep_clustering,
}
PENALTIES = {
    "contractive": ["contraction"],
    "hutchinson": ["contraction"],
    "sparse": ["sparsity"],
    "wasserstein": ["mmd"],
    "adversarial": [
        "discriminator_loss",
        "discriminator_generator_loss",
        "discriminator_r1_penalty",
    ],
    "supervised": ["cross_entropy"],
    "deep_clustering": ["clustering"],
}
TOGETHER = [
    pair
    for pair in itertools.combinations(WRAPPERS, 2)
    # One name for one penalty; labels are classes or assignments.
    if set(pair) not in ({"contractive", "hutchinson"}, {"supervised", "deep_clustering"})
]


def batch_for(*names):
    return Batch(images(SHAPE), label=ASSIGNED if "deep_clustering" in names else LABELS)


def evaluate(model, batch, **options):
    params = jax.jit(model.init)(jax.random.key(0), batch)
    return params, jax.jit(lambda params: model.loss(params, KEY, batch, **options))(params)


def same(a, b):
    """Whether two models have the same parameters, loss, terms and metrics."""
    (params, out), (other_params, other) = a, b
    assert jax.tree.structure(params) == jax.tree.structure(other_params)
    jax.tree.map(np.testing.assert_array_equal, params, other_params)
    assert out.terms.keys() == other.terms.keys()
    assert out.metrics.keys() == other.metrics.keys()
    for one, another in zip(jax.tree.leaves(out), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(one, another, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("pair", TOGETHER, ids="-".join)
def test_two_wrappers_commute_or_raise(pair):
    first, second = (WRAPPERS[name] for name in pair)
    base, batch = vae(), batch_for(*pair)
    if set(pair) == {"importance_weighted", "deep_clustering"}:
        # The weight of the base's own loss would be lost one way round, and kept the other.
        with pytest.raises(ValueError, match="scaled"):
            WRAPPERS["importance_weighted"](WRAPPERS["deep_clustering"](base))
        return
    one, other = first(second(base)), second(first(base))
    same(evaluate(one, batch), evaluate(other, batch))
    assert {p.name for p in one.penalties} == {p.name for p in other.penalties}
    assert one.monitor == other.monitor
    assert one.coupled == other.coupled


BASES = {
    "autoencoder": autoencoder,
    "vae": vae,
    "importance weighted": lambda: jaxae.importance_weighted(vae(), 3),
    "denoising": lambda: jaxae.denoising(vae(), NOISE),
    "dropout": lambda: jaxae.vae(*mlps(twice=True, dropout=0.3), latent_dim=CODE),
    "tied": lambda: jaxae.tied_autoencoder(SHAPE, CODE),
    "adversarial": lambda: WRAPPERS["adversarial"](vae()),
}


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("name", PENALTIES)
def test_a_penalty_adds_and_never_replaces(base, name):
    if base == "adversarial" and name == "adversarial":
        pytest.skip("its name would be used twice")
    plain = BASES[base]()
    model, batch = WRAPPERS[name](plain), batch_for(name)
    added = model.penalties[-1]
    params, out = evaluate(model, batch)
    before = jax.jit(lambda params: plain.loss(params, KEY, batch))(params)
    for term, value in (*before.terms.items(), *before.metrics.items()):
        np.testing.assert_allclose({**out.terms, **out.metrics}[term], value, rtol=1e-5, atol=1e-6)
    new = out.terms.keys() - before.terms.keys()
    assert new == set(PENALTIES[name])
    assert added in model.penalties
    weights = {
        "contraction": 0.3,
        "sparsity": 0.2,
        "mmd": 2.0,
        "discriminator_loss": 1.0,
        "discriminator_generator_loss": 0.7,
        "discriminator_r1_penalty": 0.05,
        "cross_entropy": 0.6,
        "clustering": 1.0,
    }
    own = 0.5 if name == "deep_clustering" else 1.0
    if name == "deep_clustering" and base == "adversarial":
        pieces = plain._replace(penalties=()).loss(params, KEY, batch).loss
        expected = before.loss - pieces + own * pieces
    else:
        expected = own * before.loss
    expected = expected + sum(weights[term] * out.terms[term] for term in new)
    np.testing.assert_allclose(out.loss, expected, rtol=1e-4, atol=1e-4)


def without(model, piece):
    """The same model without one of the things that were declared, named by what it is."""
    if piece == "corruption":
        return model._replace(corruption=None)
    if piece == "objective":
        return model._replace(objective=objectives.elbo())
    return model._replace(penalties=tuple(p for p in model.penalties if p.name != piece))


DECLARED = ["contractive", "sparse", "wasserstein", "adversarial", "supervised", "denoising"]
OBJECTIVES = {
    "beta": lambda: vae(beta=3.0),
    "samples": lambda: vae(samples=2),
    "free bits": lambda: vae(free_bits=0.5),
    "schedule": lambda: vae(beta=lambda step: 0.1 * step),
    "plain": vae,
}


@pytest.mark.parametrize("seed", range(8))
def test_every_declared_piece_changes_the_loss_or_raises(seed):
    """Random compositions, in a random order."""
    generator = random.Random(seed)
    kind = generator.choice(sorted(OBJECTIVES))
    names = generator.sample(DECLARED, generator.randint(1, 4))
    names += ["importance_weighted"] if generator.random() < 0.5 else []
    generator.shuffle(names)
    model = OBJECTIVES[kind]()
    for name in names:
        if name == "importance_weighted" and kind != "plain":
            with pytest.raises(ValueError, match="would drop"):
                WRAPPERS[name](model)
        else:
            model = WRAPPERS[name](model)
    batch = batch_for(*names)
    params, out = evaluate(model, batch, step=5)
    pieces = [p.name for p in model.penalties]
    pieces += ["corruption"] if "denoising" in names else []
    pieces += ["objective"] if kind != "plain" or "importance_weighted" in names else []
    declared = [name for name in names if name != "importance_weighted"]
    assert len([piece for piece in pieces if piece != "objective"]) == len(declared)
    for piece in pieces:
        reduced = without(model, piece)
        found = jax.jit(lambda p, m=reduced: m.loss(p, KEY, batch, step=5).loss)(params)
        assert not np.allclose(found, out.loss, rtol=1e-6), piece


# What importance weighting keeps


def test_importance_weighting_keeps_a_penalty():
    """It used to be lost: with a weight of a million the loss was the same to the bit."""
    x = images(SHAPE)
    plain = jaxae.importance_weighted(vae(), 5)
    params, before = evaluate(plain, Batch(x))
    for build in (
        lambda: jaxae.importance_weighted(jaxae.contractive(vae(), 1e6), 5),
        lambda: jaxae.contractive(jaxae.importance_weighted(vae(), 5), 1e6),
    ):
        out = build().loss(params, KEY, x)
        np.testing.assert_allclose(out.loss - 1e6 * out.terms["contraction"], before.loss, rtol=0.1)
        assert (out.loss > 100 * before.loss).all()


def test_importance_weighting_keeps_dropout_and_corruption():
    x = images(SHAPE)
    dropped = jaxae.vae(*mlps(twice=True, dropout=0.5), latent_dim=CODE)
    model = jaxae.importance_weighted(dropped, 5)
    params = model.init(KEY, x)
    train, test = (model.loss(params, KEY, x, train=train).loss for train in (True, False))
    assert not np.allclose(train, test)
    noisy = jaxae.importance_weighted(jaxae.denoising(vae(), NOISE), 5)
    clean = noisy._replace(corruption=None)
    params = noisy.init(KEY, x)
    corruption_key, key = jax.random.split(KEY)
    expected = clean.loss(params, key, Batch(x, seen=NOISE(corruption_key, x))).loss
    np.testing.assert_allclose(noisy.loss(params, KEY, x).loss, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: vae(beta=2.0), "would drop beta=2.0"),
        (lambda: vae(beta=jaxae.objectives.beta_schedule(1.0, 9, warmup=0.5)), "would drop beta="),
        (lambda: vae(samples=2), "would drop samples=2"),
        (lambda: vae(free_bits=0.1), "would drop free_bits=0.1"),
        (autoencoder, "replaces the objective of a VAE"),
        (lambda: jaxae.importance_weighted(vae(), 2), "replaces the objective of a VAE"),
    ],
)
def test_importance_weighting_refuses_to_drop_an_option(make, message):
    with pytest.raises(ValueError, match=message):
        jaxae.importance_weighted(make(), 5)


def test_a_bound_needs_a_sample():
    for samples in (0, -1):
        with pytest.raises(ValueError, match="at least one sample"):
            jaxae.importance_weighted(vae(), samples)


@pytest.mark.parametrize("name", ["sparse", "wasserstein"])
@pytest.mark.parametrize("base", [vae, lambda: jaxae.importance_weighted(vae(), 4)])
def test_penalties_see_draws_of_the_posterior_and_not_means(name, base):
    model, x = WRAPPERS[name](base()), images(SHAPE)
    params, out = evaluate(model, Batch(x))
    (term,) = PENALTIES[name]
    mean = model.encode(params, x)
    assert not np.allclose(out.z, mean, atol=1e-2)
    if name == "sparse":
        np.testing.assert_allclose(out.terms[term], jnp.abs(out.z).sum(1), rtol=1e-5)
    else:
        drawn = NORMAL.sample(jaxae.arrays.fold_in_name(KEY, "mmd"), len(x))
        expected = jaxae.distributions.mmd(out.z, drawn, jaxae.distributions.imq(2.0 * CODE))
        np.testing.assert_allclose(out.terms[term], jnp.full(len(x), expected), rtol=1e-4)


def test_a_penalty_sees_the_posterior_that_the_codes_were_drawn_from():
    """With dropout, another pass through the encoder would be another posterior."""
    dropped = jaxae.vae(*mlps(twice=True, dropout=0.5), latent_dim=CODE)
    seen = []

    def apply(context):
        log_q = context.draws.posterior.log_prob(context.z)
        seen.append((log_q, context.draws.log_posterior[0]))
        return ()

    model, x = dropped.add(jaxae.Penalty("watch", apply)), images(SHAPE)
    model.loss(model.init(KEY, x), KEY, x)
    np.testing.assert_allclose(*seen[0], rtol=1e-5)


def test_a_penalty_has_one_name():
    model = WRAPPERS["sparse"](vae())
    with pytest.raises(ValueError, match="has a penalty 'sparsity' already"):
        WRAPPERS["sparse"](model)


def test_coupled_pieces_are_declared():
    assert not vae().coupled
    assert vae(free_bits=0.1).coupled
    assert vae(jaxae.likelihoods.gaussian("optimal")).coupled
    assert WRAPPERS["wasserstein"](vae()).coupled
    assert jaxae.sparse(vae(), 1.0, jaxae.wrappers.kl_sparsity(0.1)).coupled
    assert not WRAPPERS["sparse"](WRAPPERS["contractive"](vae())).coupled


def test_a_model_prints_its_pieces():
    model = jaxae.denoising(
        jaxae.contractive(jaxae.sparse(vae(beta=2.0), 0.1, jaxae.wrappers.l1), 1e-3), NOISE
    )
    shown = str(model)
    for piece in (
        "model: vae(likelihood=bernoulli, posterior=gaussian(3), prior=standard_normal(3))",
        "objective: elbo(beta=2.0, samples=1, free_bits=0.0)",
        "penalty: sparsity(weight=0.1, penalty=l1)",
        "penalty: contraction(weight=0.001",
        "corruption: gaussian",
        "monitor: loss",
    ):
        assert piece in shown, shown
