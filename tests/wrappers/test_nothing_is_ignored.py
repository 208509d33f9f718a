"""Fields of a batch, options and compositions that would have no effect are refused."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxae
from jaxae.networks import mlp_decoder, mlp_encoder, with_condition
from tests.cases import CODE, SHAPE, adversarial, images, vae, vae_gan

KEY = jax.random.key(0)
X = images(SHAPE)


def gan():
    return jaxae.gan(mlp_decoder(SHAPE, (8,)), mlp_encoder(1, (8,)), latent_dim=CODE)


def ours(**options):
    return jaxae.autoencoder(mlp_encoder(CODE, (8,)), mlp_decoder(SHAPE, (8,)), **options)


def learned_prior():
    prior = jaxae.priors.standard_normal(CODE)
    return prior._replace(init=lambda key: {"w": jnp.zeros(())})


def loss(model, batch=X, params_of=X):
    return model.loss(model.init(KEY, params_of), KEY, batch)


ROLL = jaxae.priors.swiss_roll(10)
NORMAL = jaxae.priors.standard_normal(CODE)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: loss(ours(), jaxae.Batch(X, observed=jnp.ones(8))), "observed must have the axes"),
        (lambda: loss(jaxae.denoising(gan(), jaxae.corruptions.masking(0.5))), "has no effect"),
        (lambda: loss(gan(), jaxae.Batch(X, seen=X)), "has no effect"),
        (lambda: loss(jaxae.sparse(gan(), 1.0, jaxae.wrappers.l1)), "has no encoder"),
        (lambda: loss(jaxae.wasserstein(gan(), NORMAL, weight=1.0)), "has no encoder"),
        (lambda: loss(jaxae.supervised(gan(), 2)), "has no encoder"),
        (lambda: loss(jaxae.contractive(gan(), 1.0)), "has no encoder"),
        (lambda: ROLL.sample(KEY, 5, condition=jnp.zeros(3, int)), r"integers \[5\]"),
        (lambda: ROLL.sample(KEY, 3, condition=jnp.zeros(3)), "not float32"),
        (lambda: NORMAL.sample(KEY, 3, condition=jnp.zeros(3, int)), "uses no condition"),
        (lambda: jaxae.wasserstein(ours(), learned_prior(), weight=1.0), "has parameters"),
        (lambda: adversarial(ours(), prior=learned_prior()), "has parameters"),
        (lambda: loss(jaxae.supervised(ours(), 5)), "hold the logits of 5 classes"),
        (lambda: loss(jaxae.with_prior(ours(), jaxae.priors.standard_normal(5))), "codes of the"),
    ],
)
def test_what_would_have_no_effect_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_label_that_is_no_class_is_nan():
    assert jnp.isnan(
        jaxae.priors.petals(4).sample(KEY, 2, condition=jnp.array([4, 1]))
    ).tolist() == [
        [True, True],
        [False, False],
    ]
    network = with_condition(mlp_encoder(2), classes=3)
    x, labels = jnp.zeros((2, 4)), jnp.array([3, 2])
    params = network.init(KEY, x, condition=labels)
    assert jnp.isnan(network.apply(params, x, condition=labels)).all(axis=1).tolist() == [
        True,
        False,
    ]


def test_a_vae_gan_draws_fakes_from_its_prior():
    far = NORMAL._replace(
        distribution=lambda params, n, condition=None: jaxae.families.normal(
            jnp.full((n, CODE), 50.0), jnp.zeros((n, CODE))
        )
    )
    model = vae_gan()
    params = model.init(KEY, X)
    near, moved = (m.loss(params, KEY, X).terms for m in (model, jaxae.with_prior(model, far)))
    assert not np.allclose(near["discriminator_loss"], moved["discriminator_loss"])


def test_a_penalty_of_the_jacobian_sees_the_mask():
    """For an encoder that sees the mask, by `jax.jacfwd` of the posterior itself."""
    base = ours()

    def posterior(params, batch, *, key=None):
        mask = jnp.ones_like(batch.x) if batch.observed is None else batch.observed
        return jaxae.families.point(jnp.sum(batch.input**2 * (1 + mask), axis=(1, 2, 3))[:, None])

    model = jaxae.contractive(base._replace(model=base.model._replace(posterior=posterior)), 1.0)
    mask = jnp.broadcast_to(jnp.arange(5) % 2, (8, 6, 5))[..., None].astype(jnp.float32)
    batch = jaxae.Batch(X, observed=mask)
    context = jaxae.Context(model.model, {}, KEY, batch, None, 0, True)
    (term,) = model.penalties[0].apply(context)
    expected = jnp.sum((2 * batch.input * (1 + mask)) ** 2, axis=(1, 2, 3))
    np.testing.assert_allclose(term.value, expected, rtol=1e-4)


def test_a_scheduled_weight_needs_a_monitor():
    options = {"optimizer": optax.adam(1e-3), "epochs": 1, "key": KEY, "batch_size": 4}
    rising = lambda step: 0.1 * step
    model = jaxae.sparse(ours(), rising, jaxae.wrappers.l1)
    with pytest.raises(ValueError, match="weight follows a schedule"):
        jaxae.fit(model, X, validation=X, progress=False, **options)
    jaxae.fit(model, X, validation=X, monitor="distortion", progress=False, **options)
    assert vae(beta=rising).monitor == "negative_elbo"
    assert vae(beta=2.0).monitor == "loss"


def test_a_mask_is_not_moved_by_a_transform():
    batch = jaxae.Batch(np.asarray(X), observed=np.ones_like(X))
    with pytest.raises(ValueError, match="not the mask"):
        jaxae.training.make_step(ours(), optax.sgd(0.1), transform=jaxae.data.binarize)(
            jaxae.training.init_state(ours(), optax.sgd(0.1), KEY, X), KEY, batch
        )


def test_a_beta_of_zero_ignores_an_infinite_rate():
    model = jaxae.with_prior(vae(beta=0.0), jaxae.priors.categorical(CODE))
    assert jnp.isfinite(loss(model).loss).all()
