"""FactorVAE (Kim and Mnih, 2018): the total correlation, estimated by a discriminator."""

import jax

import jaxae


def permute_dimensions(key, z):
    """The values of each latent dimension in an order of their own: draws of the marginals."""
    return jax.random.permutation(key, z, axis=0, independent=True)


def factor_vae(
    base: jaxae.Autoencoder, discriminator: jaxae.Network, weight: float
) -> jaxae.Autoencoder:
    """A VAE whose codes are trained so that a discriminator cannot tell them from permuted ones."""

    def init(key, model, params, batch):
        return {"discriminator": discriminator.init(key, model.posterior(params, batch).mean)}

    def apply(context):
        own, z = context.params["discriminator"], context.z
        permuted = permute_dimensions(context.key, z)
        losses = jaxae.objectives.gan_losses(discriminator, own, real=z, fake=permuted)
        # The logit of the optimal discriminator is log q(z) - sum_j log q(z_j).
        logit = discriminator.apply(jax.lax.stop_gradient(own), z)[:, 0]
        return (
            jaxae.Term("total_correlation", logit, weight),
            jaxae.Term("discriminator_loss", losses.discriminator),
            jaxae.Term("discriminator_accuracy", losses.accuracy, None),
        )

    options = (("weight", weight),)
    penalty = jaxae.Penalty("factor_vae", apply, options, init, coupled=True)
    return base.add(penalty)._replace(monitor=None)
