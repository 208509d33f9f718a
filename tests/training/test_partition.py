"""Optimizers of several players."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxae
from tests.cases import CODE, SHAPE, adversarial, autoencoder, biggest, critic, images

KEY = jax.random.key(3)


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
    options = {"optimizer": optimizer, "key": KEY, "batch_size": 8, "ema": 0.9}
    options |= {"progress": False}
    whole = jaxae.fit(model, x, epochs=4, **options)
    saved = jaxae.Checkpoints(tmp_path)
    jaxae.fit(model, x, epochs=2, checkpoints=saved, **options)
    resumed = jaxae.fit(model, x, epochs=4, checkpoints=saved, **options)
    chex.assert_trees_all_equal(resumed.state, whole.state)
    chex.assert_trees_all_equal(resumed.params, whole.params)
    assert biggest(jax.tree.map(lambda a, b: a - b, whole.params, whole.state.params)) > 0


def test_an_optimizer_for_a_player_that_is_not_there_is_refused():
    optimizer = jaxae.training.partition(optax.sgd(1.0), critic=optax.sgd(1.0))
    with pytest.raises(ValueError, match="the model has no 'critic', only encoder"):
        optimizer.init({"encoder": jnp.zeros(1)})


def test_a_diagnosis_names_the_discriminator():
    def diagnosis(**terms):
        return jaxae.training.gan_diagnosis(
            {"epoch": 2} | {f"train/{name}": v for name, v in terms.items()}
        )

    even = {"styles_accuracy": 0.5, "styles_generator_loss": 0.7, "classes_generator_loss": 7.0}
    assert "the discriminator of classes is right 99.5 % of the time" in diagnosis(
        **even, classes_accuracy=0.995
    )
    assert "worse than chance" in diagnosis(
        discriminator_accuracy=0.01, discriminator_generator_loss=0.1
    )
    assert diagnosis(**even, classes_accuracy=0.6) is None
    assert diagnosis(top_accuracy=0.999, loss=0.999) is None


def test_numbers_out_of_range_are_refused():
    with pytest.raises(ValueError, match="positive"):
        jaxae.training.every(optax.sgd(1.0), 0)
    with pytest.raises(ValueError, match="decay"):
        jaxae.training.with_ema(optax.sgd(1.0), 1.0)
