"""Two penalties on the total correlation: beta-TCVAE and FactorVAE."""

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import optax
import scipy.stats
from scipy.special import logsumexp

import jaxae
from tests.pieces.beta_tcvae import total_correlation
from tests.pieces.examples import CODE, HIDDEN, digits, train, vae
from tests.pieces.factor_vae import factor_vae, permute_dimensions

KEY = jax.random.key(0)


def sharp(params):
    """The same parameters with posteriors of a small variance, far from each other."""
    last = params["encoder"]["Dense_1"]
    kernel = (10 * last["kernel"]).at[:, CODE:].set(0)
    last = {"kernel": kernel, "bias": last["bias"].at[CODE:].set(-9)}
    return params | {"encoder": params["encoder"] | {"Dense_1": last}}


def test_the_estimates_are_sums_over_pairs_of_examples():
    model, x = total_correlation(vae(), 3.0, 640), digits().x
    params = sharp(model.init(KEY, x))
    out = model.loss(params, KEY, x)
    z, mean, log_var = map(np.asarray, (out.z, *out.stats))
    pairs = scipy.stats.norm(mean, np.exp(0.5 * log_var)).logpdf(z[:, None])
    log_q = logsumexp(pairs.sum(-1), axis=1) - np.log(640 * 64)
    log_product = (logsumexp(pairs, axis=1) - np.log(640 * 64)).sum(-1)
    np.testing.assert_allclose(out.terms["total_correlation"], log_q - log_product, rtol=1e-3)
    base = vae().loss(params, KEY, x)
    np.testing.assert_allclose(out.loss, base.loss + 3 * (log_q - log_product), rtol=1e-4)


def test_the_three_parts_add_up_to_the_divergence():
    model, x = total_correlation(vae(dropout=0.5), 1.0, 640), digits().x
    params = sharp(model.init(KEY, x))
    out = model.loss(params, KEY, x)
    mean, log_var = map(np.asarray, out.stats)
    z = np.asarray(out.z)
    log_q = scipy.stats.norm(mean, np.exp(0.5 * log_var)).logpdf(z).sum(-1)
    kl = log_q - scipy.stats.norm.logpdf(z).sum(-1)
    parts = out.metrics["mutual_information"] + out.terms["total_correlation"]
    np.testing.assert_allclose(parts + out.metrics["dimension_wise_kl"], kl, rtol=1e-3)


def test_with_dropout_the_posterior_is_the_one_that_was_drawn_from():
    model, x = total_correlation(vae(dropout=0.5), 1.0, 640), digits().x
    params = sharp(model.init(KEY, x))
    bound = np.log(640 * 64)
    out = model.loss(params, KEY, x)
    # log q(z_i) is at least log q(z_i | x_i) less the bound, of all dimensions and of each.
    assert jnp.all(out.metrics["mutual_information"] <= bound + 1e-3)
    assert jnp.all(jnp.abs(out.terms["total_correlation"]) <= CODE * bound)
    # By the posterior of another pass it would be astronomic.
    other = model.model.posterior(params, jaxae.Batch(jnp.float32(x) / 255), key=jax.random.key(9))
    pairs = other.elementwise(out.z[:, None])
    wrong = jax.nn.logsumexp(pairs.sum(-1), axis=1) - jax.nn.logsumexp(pairs, axis=1).sum(-1)
    assert jnp.abs(wrong).max() > 10 * CODE * bound


def test_each_column_is_permuted_alone():
    z = jax.random.normal(KEY, (50, 1)) + jnp.zeros(4)
    permuted = permute_dimensions(KEY, z)
    np.testing.assert_array_equal(jnp.sort(permuted, axis=0), jnp.sort(z, axis=0))
    assert len(np.unique(np.argmax(permuted, axis=0))) > 1


def test_the_discriminator_and_the_encoder_have_losses_of_their_own():
    critic = jaxae.networks.mlp_encoder(1, HIDDEN)
    model, x = factor_vae(vae(), critic, 3.0), digits().x
    params = model.init(KEY, x)

    def largest(name):
        gradient = jax.grad(lambda params: model.loss(params, KEY, x).terms[name].mean())(params)
        return {piece: as_vector(tree).max() for piece, tree in gradient.items()}

    def as_vector(tree):
        return jnp.abs(jax.flatten_util.ravel_pytree(tree)[0])

    of_discriminator, of_encoder = largest("discriminator_loss"), largest("total_correlation")
    assert of_discriminator["discriminator"] > 0
    assert of_discriminator["encoder"] == of_discriminator["decoder"] == 0
    assert of_encoder["encoder"] > 0
    assert of_encoder["discriminator"] == of_encoder["decoder"] == 0


def test_the_discriminator_finds_the_total_correlation():
    # The codes are the data: normal with correlation 0.9, so that it is -log(1 - 0.81) / 2.
    rng = np.random.default_rng(0)
    x = np.float32(rng.multivariate_normal(np.zeros(2), [[1, 0.9], [0.9, 1]], 4096))
    itself = jaxae.Network(lambda key, x: {}, lambda params, x, *, key=None: x)
    base = jaxae.autoencoder(itself, itself)
    model = factor_vae(base, jaxae.networks.mlp_encoder(1, (32,)), 1.0)
    trained = train(
        model, x, epochs=20, batch_size=256, rate=optax.cosine_decay_schedule(1e-2, 320)
    )
    score = jaxae.training.loss_scores(model)((trained.params, 0), KEY, x)
    assert abs(score["total_correlation"].mean() + 0.5 * np.log(1 - 0.81)) < 0.1
