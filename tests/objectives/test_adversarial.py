"""The losses of two players as one loss."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxae
from jaxae import Network
from jaxae.objectives.adversarial import logits
from tests.cases import CASES, biggest, critic, gradient_of

KEY = jax.random.key(3)


GAMES = ["semi-supervised adversarial", "adversarial labels", "gan spectral", "vae gan r1"]
MAKERS = {"encoder", "decoder"}


@pytest.mark.parametrize("name", GAMES)
def test_no_term_has_a_gradient_for_the_other_player(name):
    case = CASES[name]
    model, batch = case.make(), case.data()
    params = model.init(jax.random.key(0), batch)
    out = model.loss(params, KEY, batch)
    judges = params.keys() - MAKERS
    assert judges
    for judge in judges:
        assert {f"{judge}_loss", f"{judge}_generator_loss"} <= out.terms.keys()
        assert f"{judge}_accuracy" in out.metrics
    for term in (*out.terms, *out.metrics):
        gradient = gradient_of(model, params, KEY, batch, term)
        of_judge = [j for j in judges if term in (f"{j}_loss", f"{j}_r1_penalty")]
        for player, own in gradient.items():
            if term in out.metrics:
                assert biggest(own) == 0, (term, player)
            elif of_judge:
                # The discriminator's loss has a gradient for the discriminator alone.
                assert (biggest(own) > 0) == (player in of_judge), (term, player)
            elif player in judges:
                assert biggest(own) == 0, (term, player)


def test_a_discriminator_that_cannot_tell():
    nothing = Network(lambda key, x: jnp.zeros(1), lambda p, x, *, key=None: p * x[:, :1] * 0)
    found = jaxae.objectives.gan_losses(nothing, jnp.zeros(1), jnp.ones((5, 2)), jnp.zeros((5, 2)))
    np.testing.assert_allclose(found.discriminator, 2 * np.log(2), rtol=1e-6)
    np.testing.assert_allclose(found.generator, np.log(2), rtol=1e-6)
    np.testing.assert_array_equal(found.accuracy, 0)  # a logit of zero is right about neither


@pytest.mark.parametrize("size", [-80.0, 80.0])
def test_the_generator_of_a_perfect_discriminator_has_a_gradient(size):
    line = Network(lambda key, x: 1.0, lambda p, x, *, key=None: p * x)
    loss = lambda fake: jaxae.objectives.gan_losses(
        line, 1.0, jnp.zeros((1, 1)), fake
    ).generator.sum()
    gradient = float(jax.grad(loss)(jnp.full((1, 1), size))[0, 0])
    assert np.isfinite(gradient)
    # Certainly fake, the gradient is largest; certainly real, there is none.
    assert gradient == pytest.approx(-1 if size < 0 else 0, abs=1e-6)


def test_logits_are_float32_whatever_the_discriminator_computes_in():
    judge = critic(dtype=jnp.bfloat16)
    z = jnp.zeros((2, 3))
    assert logits(judge, judge.init(KEY, z), z, None).dtype == jnp.float32
