"""Two players in one loss: each sees its own gradient and no other."""

import itertools

import chex
import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxae
from jaxae.base import Labelled, Network
from jaxae.objectives.adversarial import logits
from tests.cases import CASES, CODE, SHAPE, adversarial, critic, images, mlps, vae_gan
from tests.cases import autoencoder as make_autoencoder

KEY = jax.random.key(3)
GAMES = [name for name, case in CASES.items() if case.game]
MAKERS = {"encoder", "decoder"}


def autoencoder():
    return make_autoencoder(jaxae.likelihoods.gaussian())


def gradient_of(model, params, x, term, **options):
    def value(params):
        out = model.loss(params, KEY, x, **options)
        return (out.loss if term is None else out.terms[term]).mean()

    return jax.jit(jax.grad(value))(params)


def biggest(tree):
    return max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize("name", GAMES)
def test_no_term_pulls_at_the_other_player(name):
    case = CASES[name]
    model, x = case.make(), images(case.shape)
    params = model.init(jax.random.key(0), x)
    terms = model.loss(params, KEY, x).terms
    judges = params.keys() - MAKERS
    assert judges
    assert not any(player.endswith("_fooled") for player in judges)
    for judge in judges:
        assert {judge, f"{judge}_fooled", f"{judge}_accuracy"} <= terms.keys()
    for term in terms:
        gradient = gradient_of(model, params, x, term)
        owner = term.removesuffix("_slope")
        for player, own in gradient.items():
            if term.endswith("_accuracy") or term == "error":
                assert biggest(own) == 0, (term, player)
            elif owner in judges:
                # The discriminator's: nobody else is pulled by it.
                assert (biggest(own) > 0) == (player == owner), (term, player)
            elif player in judges:
                # Everything else leaves discriminators alone.
                assert biggest(own) == 0, (term, player)


def test_the_game_of_codes_is_two_gradients_computed_apart():
    draws = jax.random.normal(jax.random.key(8), (8, CODE))
    prior = jaxae.priors.Prior(CODE, lambda key, n: draws)
    base, judge = autoencoder(), critic()
    model = jaxae.adversarial(base, judge, prior, weight=3.0, r1=0.7)
    x = images(SHAPE)
    params = model.init(jax.random.key(0), x)

    def of_encoder(own, other):
        z = base.encode(own, x)
        fool = -jnp.log(jax.nn.sigmoid(judge.apply(other, z)[:, 0]))
        return (base.loss(own, KEY, x).loss + 3.0 * fool).mean()

    def of_judge(own, other):
        z = base.encode(other, x)
        real, fake = judge.apply(own, draws)[:, 0], judge.apply(own, z)[:, 0]
        slopes = jax.vmap(jax.grad(lambda p: judge.apply(own, p[None])[0, 0]))(draws)
        cross_entropy = -jnp.log(jax.nn.sigmoid(real)) - jnp.log(1 - jax.nn.sigmoid(fake))
        return (cross_entropy + 0.35 * jnp.square(slopes).sum(1)).mean()

    makers = {name: params[name] for name in ("encoder", "decoder")}
    judged = params["discriminator"]
    expected = jax.grad(of_encoder)(makers, judged) | {
        "discriminator": jax.grad(of_judge)(judged, makers)
    }
    found = gradient_of(model, params, x, None)
    chex.assert_trees_all_close(found, expected, rtol=1e-4, atol=1e-6)


def test_the_gan_is_two_gradients_computed_apart():
    generator, judge = mlps()[1], critic()
    model = jaxae.gan(generator, judge, code=CODE, r1=0.7)
    x = images(SHAPE)
    params = model.init(jax.random.key(0), x)
    z = jax.random.normal(jax.random.split(KEY, 4)[0], (8, CODE))

    def of_generator(own, other):
        fake = jax.nn.sigmoid(generator.apply(own, z))
        return -jnp.log(jax.nn.sigmoid(judge.apply(other, fake))).mean()

    def of_judge(own, other):
        fake = jax.nn.sigmoid(generator.apply(other, z))
        slopes = jax.vmap(jax.grad(lambda p: judge.apply(own, p[None])[0, 0]))(x)
        real, fake = judge.apply(own, x)[:, 0], judge.apply(own, fake)[:, 0]
        cross_entropy = -jnp.log(jax.nn.sigmoid(real)) - jnp.log(1 - jax.nn.sigmoid(fake))
        return (cross_entropy + 0.35 * jnp.square(slopes).sum((1, 2, 3))).mean()

    a, b = params["decoder"], params["discriminator"]
    expected = {
        "decoder": jax.grad(of_generator)(a, b),
        "discriminator": jax.grad(of_judge)(b, a),
    }
    chex.assert_trees_all_close(gradient_of(model, params, x, None), expected, rtol=1e-4, atol=1e-6)


def test_the_vae_gan_is_the_three_gradients_of_the_paper():
    encoder, decoder = mlps(twice=True)
    features, head = jaxae.networks.mlp_encoder(12, (16,)), critic()
    model = jaxae.vae_gan(
        encoder, decoder, features, head, code=CODE, beta=0.5, weight=0.3, scale=2.0
    )
    x = images(SHAPE)
    params = model.init(jax.random.key(0), x)
    keys = jax.random.split(KEY, 8)
    noise, drawn = (jax.random.normal(key, (8, CODE)) for key in keys[:2])
    coin = jax.random.bernoulli(keys[2], shape=(8, 1))[:, 0]
    assert 0 < coin.sum() < 8

    def pieces(encoder_params, decoder_params, judge):
        mean, log_var = jaxae.diagonal_posterior(encoder.apply(encoder_params, x))
        z = mean + jnp.exp(log_var / 2) * noise
        of = lambda image: features.apply(judge["features"], image)
        score = lambda image: head.apply(judge["critic"], of(image))[:, 0]
        alike, new = (jax.nn.sigmoid(decoder.apply(decoder_params, c)) for c in (z, drawn))
        like = jnp.square(of(x) - of(alike)).sum(1) / (2 * 2.0**2)
        rate = 0.5 * (jnp.exp(log_var) + jnp.square(mean) - 1 - log_var).sum(1)
        ln = lambda logit: jnp.log(jax.nn.sigmoid(logit))
        fake = jnp.where(coin, score(alike), score(new))
        fooled, judged = -ln(fake), -ln(score(x)) - ln(-fake)
        return like.mean(), rate.mean(), fooled.mean(), judged.mean()

    arguments = params["encoder"], params["decoder"], params["discriminator"]

    def by_encoder(own):
        like, rate, _, _ = pieces(own, *arguments[1:])
        return like + 0.5 * rate

    def by_decoder(own):
        like, _, fooled, _ = pieces(arguments[0], own, arguments[2])
        return like + 0.3 * fooled

    expected = {
        "encoder": jax.grad(by_encoder)(arguments[0]),
        "decoder": jax.grad(by_decoder)(arguments[1]),
        "discriminator": jax.grad(lambda own: pieces(*arguments[:2], own)[3])(arguments[2]),
    }
    found = gradient_of(model, params, x, None)
    chex.assert_trees_all_close(found, expected, rtol=1e-4, atol=1e-6)


def test_at_the_end_of_the_game_nobody_can_tell():
    nothing = Network(lambda key, x: jnp.zeros(1), lambda p, x, *, key=None: p * x[:, :1] * 0)
    game = jaxae.objectives.gan_losses(nothing, jnp.zeros(1), jnp.ones((5, 2)), jnp.zeros((5, 2)))
    np.testing.assert_allclose(game.discriminator, 2 * np.log(2), rtol=1e-6)
    np.testing.assert_allclose(game.fooled, np.log(2), rtol=1e-6)
    np.testing.assert_array_equal(game.accuracy, 0)  # a logit of zero is right about neither


@pytest.mark.parametrize("size", [-80.0, 80.0])
def test_a_player_who_has_won_leaves_the_other_a_gradient(size):
    line = Network(lambda key, x: 1.0, lambda p, x, *, key=None: p * x)
    fooled = lambda fake: jaxae.objectives.gan_losses(
        line, 1.0, jnp.zeros((1, 1)), fake
    ).fooled.sum()
    slope = float(jax.grad(fooled)(jnp.full((1, 1), size))[0, 0])
    assert np.isfinite(slope)
    # Told to be fake for certain the pull is at its strongest; taken for real there is none.
    assert slope == pytest.approx(-1 if size < 0 else 0, abs=1e-6)


def test_each_player_has_its_own_optimizer():
    model, x = adversarial(autoencoder()), images(SHAPE)
    optimizer = jaxae.training.partition(optax.sgd(0.1), discriminator=optax.sgd(0.0))
    state = jaxae.training.init_state(model, optimizer, jax.random.key(0), x)
    before = state.params
    after, _ = jax.jit(jaxae.training.make_step(model, optimizer))(state, KEY, x)
    chex.assert_trees_all_equal(after.params["discriminator"], before["discriminator"])
    step = jax.tree.map(lambda a, b: (b - a) / 0.1, after.params["encoder"], before["encoder"])
    loss_key = jax.random.split(jax.random.fold_in(KEY, 0))[1]
    gradient = jax.grad(lambda p: model.loss(p, loss_key, x).loss.mean())(before)["encoder"]
    chex.assert_trees_all_close(step, gradient, rtol=1e-3, atol=1e-5)


def test_one_player_may_move_less_often():
    model, x = adversarial(autoencoder()), images(SHAPE)
    optimizer = jaxae.training.partition(
        jaxae.training.every(optax.adam(0.1), 3), discriminator=optax.adam(0.1)
    )
    state = jaxae.training.init_state(model, optimizer, jax.random.key(0), x)
    step = jax.jit(jaxae.training.make_step(model, optimizer))
    moved = []
    for _ in range(6):
        after, _ = step(state, KEY, x)
        change = jax.tree.map(lambda a, b: a - b, after.params, state.params)
        moved.append([biggest(change[name]) > 0 for name in ("encoder", "discriminator")])
        state = after
    assert moved == [[i % 3 == 2, True] for i in range(6)]


def test_resuming_a_game_is_exact(tmp_path):
    x = np.asarray(jax.random.randint(KEY, (32, *SHAPE), 0, 256), np.uint8)
    model = jaxae.adversarial(autoencoder(), critic(), jaxae.priors.standard_normal(CODE), r1=0.1)
    fast = optax.adam(optax.cosine_decay_schedule(1e-2, 16), b1=0.5)
    optimizer = jaxae.training.partition(
        jaxae.training.every(optax.adam(1e-2), 3), discriminator=fast
    )
    options = {"optimizer": optimizer, "key": KEY, "batch_size": 8, "average": 0.9}
    options |= {"progress": False}
    whole = jaxae.fit(model, x, epochs=4, **options)
    saved = jaxae.Checkpoints(tmp_path)
    jaxae.fit(model, x, epochs=2, checkpoints=saved, **options)
    resumed = jaxae.fit(model, x, epochs=4, checkpoints=saved, **options)
    chex.assert_trees_all_equal(resumed.state, whole.state)
    chex.assert_trees_all_equal(resumed.params, whole.params)
    assert biggest(jax.tree.map(lambda a, b: a - b, whole.params, whole.state.params)) > 0


def ring(n, key, modes=8):
    """Points around a circle of normal distributions, as images of one pixel with two channels."""
    which_key, noise_key = jax.random.split(key)
    angle = 2 * jnp.pi * jax.random.randint(which_key, (n,), 0, modes) / modes
    centres = 0.5 + 0.35 * jnp.stack([jnp.cos(angle), jnp.sin(angle)], 1)
    return (centres + 0.02 * jax.random.normal(noise_key, (n, 2)))[:, None, None, :]


def test_a_gan_covers_a_ring_of_eight_modes(optimised):
    x = ring(4096, jax.random.key(1))
    wide = {"hidden": (128, 128)}
    model = jaxae.gan(
        jaxae.networks.mlp_decoder((1, 1, 2), **wide),
        jaxae.networks.mlp_encoder(1, **wide),
        code=8,
        r1=0.003,
    )
    adam = lambda: optax.adam(1e-3, b1=0.5)
    fitted = jaxae.fit(
        model,
        np.asarray(jnp.clip(x, 0, 1)),
        optimizer=jaxae.training.partition(adam(), discriminator=adam()),
        epochs=200,
        batch_size=256,
        key=jax.random.key(0),
        average=0.99,
        progress=False,
    )
    drawn = np.asarray(model.sample(fitted.params, jax.random.key(5), 2000)).reshape(-1, 2)
    angle = 2 * np.pi * np.arange(8) / 8
    centres = 0.5 + 0.35 * np.stack([np.cos(angle), np.sin(angle)], 1)
    distance = np.linalg.norm(drawn[:, None] - centres, axis=2)
    near = distance.min(axis=1) < 0.1
    shares = np.bincount(distance.argmin(axis=1)[near], minlength=8) / len(drawn)
    assert near.mean() > 0.7
    assert shares.min() > 0.05


def test_labels_choose_the_part_of_the_prior():
    prior = jaxae.priors.petals(4)
    asked = []

    def given(key, labels):
        asked.append(labels.tolist())
        return prior.given(key, labels)

    seen = []
    judge = critic()

    def watched(params, z, *, key=None):
        seen.append(z)
        return judge.apply(params, z, key=key)

    base = jaxae.autoencoder(jaxae.networks.mlp_encoder(2, (16,)), mlps()[1])
    model = jaxae.adversarial(
        base, Network(judge.init, watched), prior._replace(given=given), labels=True
    )
    x = images(SHAPE, n=4)
    params = model.init(jax.random.key(0), x)
    seen.clear()
    labels = jnp.array([2, -1, 0, 3])
    with jax.disable_jit():
        out = model.loss(params, KEY, x, target=labels)
        plain = model.loss(params, KEY, x)
    assert asked == [[2, -1, 0, 3], [-1] * 4]
    np.testing.assert_array_equal(seen[0][:, 2:].argmax(1), [2, 4, 0, 3])
    np.testing.assert_array_equal(seen[0][:, 2:], seen[1][:, 2:])
    # The images themselves are reconstructed.
    np.testing.assert_allclose(out.terms["distortion"], plain.terms["distortion"], rtol=1e-6)


def test_labels_go_with_clean_images_through_a_corruption():
    base = jaxae.autoencoder(
        jaxae.networks.mlp_encoder(5, (16,)), jaxae.networks.mlp_decoder(SHAPE, (16,))
    )
    model = jaxae.supervised(base, 3)
    black = lambda key, x: jnp.zeros_like(x)
    x, labels = images(SHAPE, n=4), jnp.array([0, 1, -1, 2])
    params = model.init(jax.random.key(0), x)
    out = jaxae.denoising(model, black).loss(params, KEY, x, target=labels)
    # The code of a black image, and its image beside the clean one.
    z = base.encode(params, jnp.zeros_like(x))
    expected = base.loss(params, KEY, jnp.zeros_like(x), target=x).terms["distortion"]
    np.testing.assert_allclose(out.terms["distortion"], expected, rtol=1e-5)
    logits = np.asarray(z[:, :3], np.float64)
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    wanted = [-log_p[0, 0], -log_p[1, 1], 0, -log_p[3, 2]]
    np.testing.assert_allclose(out.terms["cross_entropy"], wanted, rtol=1e-5)
    np.testing.assert_array_equal(
        out.terms["error"],
        [log_p[0].argmax() != 0, log_p[1].argmax() != 1, 0, log_p[3].argmax() != 2],
    )
    inside = jaxae.supervised(jaxae.denoising(base, black), 3)
    both = inside.loss(params, KEY, x, target=Labelled(x, labels))
    np.testing.assert_allclose(both.terms["distortion"], expected, rtol=1e-5)


def test_the_slope_is_by_the_code_and_not_by_the_label():
    only_labels = Network(lambda key, x: jnp.float32(5.0), lambda p, z, *, key=None: p * z[:, 2:3])
    base = jaxae.autoencoder(jaxae.networks.mlp_encoder(2, (16,)), mlps()[1])
    model = jaxae.adversarial(base, only_labels, jaxae.priors.petals(3), labels=True, r1=1.0)
    x = images(SHAPE, n=3)
    out = model.loss(model.init(KEY, x), KEY, x, target=jnp.array([0, 1, 3]))
    np.testing.assert_array_equal(out.terms["discriminator_slope"], 0)
    assert np.isnan(out.loss).tolist() == [False, False, True]  # there is no class 3


def test_the_loss_of_a_game_selects_no_epoch():
    model, x = adversarial(autoencoder()), images(SHAPE)
    options = {"optimizer": optax.adam(1e-3), "epochs": 1, "key": KEY, "batch_size": 4}
    with pytest.raises(ValueError, match="no epoch is better by it; monitor a term"):
        jaxae.fit(model, x, validation=x, progress=False, **options)
    fitted = jaxae.fit(model, x, validation=x, monitor="distortion", progress=False, **options)
    assert "validation/discriminator" in fitted.history[0]


def test_a_model_that_compares_examples_is_validated():
    model = jaxae.wasserstein(autoencoder(), NORMAL, weight=1.0)
    x = images(SHAPE, n=9)
    options = {"optimizer": optax.adam(1e-3), "epochs": 1, "key": KEY, "batch_size": 4}
    fitted = jaxae.fit(model, x, validation=x, progress=False, **options)
    assert np.isfinite(fitted.history[0]["validation/mmd"])


def test_a_label_that_is_no_class_makes_the_loss_nan():
    base = jaxae.autoencoder(
        jaxae.networks.mlp_encoder(5, (16,)), jaxae.networks.mlp_decoder(SHAPE, (16,))
    )
    model, x = jaxae.supervised(base, 3), images(SHAPE, n=2)
    out = model.loss(model.init(jax.random.key(0), x), KEY, x, target=jnp.array([1, 3]))
    assert np.isnan(out.loss).tolist() == [False, True]


def test_a_decoder_of_classes_sees_probabilities():
    model = jaxae.autoencoder(
        jaxae.networks.mlp_encoder(5, (16,)),
        jaxae.networks.categorical_code(jaxae.networks.mlp_decoder(SHAPE, (16,)), 3),
    )
    x = images(SHAPE, n=2)
    params = model.init(jax.random.key(0), x)
    z = model.encode(params, x)
    np.testing.assert_allclose(
        model.decode(params, z), model.decode(params, z.at[:, :3].add(5.0)), atol=1e-5
    )
    assert not np.allclose(model.decode(params, z), model.decode(params, z.at[:, 3:].add(5.0)))


def losses(model, x, **options):
    params = model.init(jax.random.key(0), x)
    return np.asarray(model.loss(params, KEY, x, **options).loss)


def test_every_number_changes_something():
    x = images(SHAPE)
    normal, judge = jaxae.priors.standard_normal(CODE), critic()
    make = lambda **options: jaxae.adversarial(autoencoder(), judge, normal, **options)
    found = [losses(model, x) for model in (make(), make(weight=2.0), make(r1=1.0))]
    found.append(losses(make(weight=lambda step: 0.5 * step), x, step=6))
    wae = lambda **options: jaxae.wasserstein(autoencoder(), normal, **options)
    found += [losses(wae(weight=w), x) for w in (1.0, 2.0)]
    found += [
        losses(wae(weight=1.0, kernel=k), x)
        for k in (jaxae.distributions.imq(1.0), jaxae.distributions.rbf(6.0))
    ]
    plain = {}, {"r1": 1.0}
    found += [losses(jaxae.gan(mlps()[1], judge, code=CODE, **options), x) for options in plain]
    different = [{"beta": 2.0}, {"weight": 2.0}, {"scale": 2.0}]
    found += [losses(vae_gan(**options), x) for options in [*plain, *different]]
    for a, b in itertools.combinations(found, 2):
        assert not np.allclose(a, b)


def test_the_slope_now_and_then_is_the_slope_on_average():
    x = images(SHAPE)
    of = lambda every: jaxae.gan(mlps()[1], critic(), code=CODE, r1=1.0, r1_every=every)
    params = of(1).init(jax.random.key(0), x)
    term = lambda every, **options: np.asarray(
        of(every).loss(params, KEY, x, **options).terms["discriminator_slope"]
    )
    always = term(1)
    assert (always > 0).all()
    seldom = np.stack([term(4, step=step) for step in range(8)])
    assert (seldom[[0, 4]] > 0).all()
    assert (seldom[[1, 2, 3, 5, 6, 7]] == 0).all()
    np.testing.assert_allclose(seldom.mean(axis=0), always, rtol=1e-5)
    np.testing.assert_allclose(term(4, step=1, train=False), always, rtol=1e-5)


def test_a_verdict_is_said_of_the_player_who_won():
    def verdict(**terms):
        return jaxae.training.gan_diagnosis(
            {"epoch": 2} | {f"train/{name}": v for name, v in terms.items()}
        )

    open_game = {"styles_accuracy": 0.5, "styles_fooled": 0.7, "classes_fooled": 7.0}
    assert "the discriminator of classes has won" in verdict(**open_game, classes_accuracy=0.995)
    assert "has lost" in verdict(discriminator_accuracy=0.01, discriminator_fooled=0.1)
    assert verdict(**open_game, classes_accuracy=0.6) is None
    assert verdict(top_accuracy=0.999, loss=0.999) is None


NORMAL = jaxae.priors.standard_normal(CODE)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: jaxae.adversarial(autoencoder(), critic(), NORMAL, weight=-1.0), "weight"),
        (lambda: jaxae.adversarial(autoencoder(), critic(), NORMAL, r1=float("nan")), "r1"),
        (lambda: jaxae.adversarial(autoencoder(), critic(), NORMAL, labels=True), "no classes"),
        (lambda: jaxae.wasserstein(autoencoder(), NORMAL, weight=-1.0), "weight"),
        (lambda: jaxae.supervised(autoencoder(), 1), "two classes"),
        (lambda: jaxae.gan(mlps()[1], critic(), code=0), "one dimension"),
        (lambda: jaxae.gan(mlps()[1], critic(), code=2, r1_every=0), "every step"),
        (lambda: vae_gan(scale=0.0), "scale"),
        (lambda: vae_gan(beta=-1.0), "beta"),
        (lambda: jaxae.training.every(optax.sgd(1.0), 0), "positive"),
        (lambda: jaxae.training.with_ema(optax.sgd(1.0), 1.0), "decay"),
        (lambda: jaxae.networks.spectral_norm(critic(), iterations=0), "iteration"),
    ],
)
def test_what_is_out_of_range_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (adversarial(autoencoder(), prior=jaxae.priors.standard_normal(2)), "2 dimensions"),
        (jaxae.wasserstein(autoencoder(), jaxae.priors.petals(3), weight=1.0), "2 dimensions"),
        (
            jaxae.adversarial(autoencoder(), jaxae.networks.mlp_encoder(2, (8,)), NORMAL),
            "one logit for each example",
        ),
        (
            jaxae.vae_gan(*mlps(), jaxae.networks.mlp_encoder(4), critic(), code=CODE),
            "3 means and 3 log-variances",
        ),
    ],
)
def test_what_does_not_fit_is_refused(model, message):
    x = images(SHAPE)
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(lambda: model.loss(model.init(KEY, x), KEY, x))


def test_an_optimizer_for_a_player_that_is_not_there_is_refused():
    optimizer = jaxae.training.partition(optax.sgd(1.0), critic=optax.sgd(1.0))
    with pytest.raises(ValueError, match="the model has no 'critic', only encoder"):
        optimizer.init({"encoder": jnp.zeros(1)})


def test_a_name_used_twice_is_refused():
    model = adversarial(adversarial(autoencoder()))
    with pytest.raises(ValueError, match="'discriminator' is used twice"):
        model.init(KEY, images(SHAPE))


def test_a_spectral_norm_is_one():
    shapes = {"dense": (30, 20), "kernel": (4, 4, 6, 10), "bias": (10,), "zero": (3, 3)}
    keys = jax.random.split(KEY, 4)
    params = {n: jax.random.normal(k, s) for (n, s), k in zip(shapes.items(), keys, strict=True)}
    params["zero"] = jnp.zeros((3, 3))
    flat, shaped = jax.flatten_util.ravel_pytree(params)
    weights = Network(
        lambda key, x: params, lambda p, x, *, key=None: jax.flatten_util.ravel_pytree(p)[0]
    )
    found = shaped(jaxae.networks.spectral_norm(weights, iterations=200).apply(params, flat))
    for name in ("dense", "kernel"):
        matrix = np.asarray(params[name]).reshape(-1, shapes[name][-1])
        largest = np.linalg.svd(matrix, compute_uv=False)[0]
        np.testing.assert_allclose(found[name], params[name] / largest, rtol=1e-3)
    np.testing.assert_array_equal(found["bias"], params["bias"])
    np.testing.assert_array_equal(found["zero"], 0)
    few = shaped(jaxae.networks.spectral_norm(weights).apply(params, flat))["dense"]
    assert 0.99 < np.linalg.svd(few, compute_uv=False)[0] < 1.1


def test_a_layer_that_starts_at_zero_has_a_gradient():
    network = Network(lambda key, x: 0.0, lambda w, x, *, key=None: x @ w)
    normed = jaxae.networks.spectral_norm(network)
    gradient = jax.grad(lambda w: normed.apply(w, jnp.ones((3, 4))).sum())(jnp.zeros((4, 2)))
    np.testing.assert_allclose(gradient, 3.0)


def test_the_gradient_of_a_spectral_norm_is_that_of_the_singular_value():
    w = jax.random.normal(KEY, (6, 4))
    network = Network(lambda key, x: w, lambda w, x, *, key=None: x @ w)
    x = jax.random.normal(jax.random.key(1), (3, 6))
    normed = jaxae.networks.spectral_norm(network, iterations=300)
    found = jax.grad(lambda w: jnp.square(normed.apply(w, x)).sum())(w)
    exact = jax.grad(lambda w: jnp.square(x @ w / jnp.linalg.norm(w, 2)).sum())(w)
    np.testing.assert_allclose(found, exact, rtol=1e-3, atol=1e-4)


def test_logits_are_float32_whatever_the_discriminator_computes_in():
    judge = critic(dtype=jnp.bfloat16)
    z = jnp.zeros((2, 3))
    assert logits(judge, judge.init(KEY, z), z, None).dtype == jnp.float32
