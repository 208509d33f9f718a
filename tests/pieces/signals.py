"""Signals, `[b, t, c]`: convolutions in one dimension, as Flax modules."""

import flax.linen as nn

import jaxae


class Encoder(nn.Module):
    """Strided convolutions, and a linear layer at the end."""

    outputs: int
    widths: tuple[int, ...]

    @nn.compact
    def __call__(self, x):
        for width in self.widths:
            x = nn.gelu(nn.Conv(width, (5,), strides=4)(x))
        return nn.Dense(self.outputs)(x.reshape(len(x), -1))


class Decoder(nn.Module):
    """A linear layer, and transposed convolutions up to the length of the signal."""

    shape: tuple[int, int]
    widths: tuple[int, ...]

    @nn.compact
    def __call__(self, z):
        length = self.shape[0] // 4 ** len(self.widths)
        x = nn.Dense(length * self.widths[0])(z).reshape(len(z), length, -1)
        for width in (*self.widths[1:], self.shape[1]):
            x = nn.ConvTranspose(width, (5,), strides=(4,))(nn.gelu(x))
        return x


def signal_vae(shape, *, latent_dim: int, widths=(8, 8)) -> jaxae.Autoencoder:
    """A VAE of signals with normal noise of one unknown scale."""
    encoder = jaxae.networks.linen(Encoder(2 * latent_dim, widths))
    decoder = jaxae.networks.linen(Decoder(shape, widths))
    return jaxae.vae(encoder, decoder, jaxae.likelihoods.gaussian("shared"), latent_dim=latent_dim)
