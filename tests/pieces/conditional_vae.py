"""A conditional VAE (Sohn, Lee and Yan, 2015): both networks see the class."""

import jaxae


def conditional_vae(shape, classes: int, *, latent_dim: int, hidden=(64,)) -> jaxae.Autoencoder:
    """A VAE of `Batch(x, condition=labels)`, that samples images of given classes."""
    encoder = jaxae.networks.mlp_encoder(2 * latent_dim, hidden)
    decoder = jaxae.networks.mlp_decoder(shape, hidden)
    encoder, decoder = (jaxae.networks.with_condition(n, classes) for n in (encoder, decoder))
    return jaxae.vae(encoder, decoder, latent_dim=latent_dim)
