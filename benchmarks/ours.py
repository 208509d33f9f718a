"""Training with jaxae, at the speed that `fit` reports."""

from collections.abc import Callable

import flax.linen as nn
import jax
import numpy as np
import optax

import jaxae
from benchmarks.workloads import IMPORTANCE_SAMPLES, MODES, Workload


class Sigmoids(nn.Module):
    """Dense layers, each with a sigmoid: the encoder of the lectures' contractive autoencoder."""

    widths: tuple[int, ...]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = x.reshape(x.shape[0], -1)
        for width in self.widths:
            x = nn.sigmoid(nn.Dense(width)(x))
        return x


def model(workload: Workload, name: str) -> jaxae.Autoencoder:
    """The model of a workload."""
    kind, shape, widths, latent_dim = (
        workload.kind,
        workload.shape,
        workload.widths,
        workload.latent_dim,
    )
    if kind == "conv_vae":
        encoder = jaxae.networks.conv_encoder(2 * latent_dim, widths, activation=nn.relu)
        decoder = jaxae.networks.conv_decoder(shape, widths[::-1], activation=nn.relu)
        return jaxae.vae(encoder, decoder, latent_dim=latent_dim)
    if kind == "contractive":
        encoder = jaxae.networks.linen(Sigmoids((*widths, latent_dim)))
        decoder = jaxae.networks.mlp_decoder(shape, widths[::-1], activation=nn.sigmoid)
        base = jaxae.autoencoder(encoder, decoder, jaxae.likelihoods.bernoulli())
        return jaxae.contractive(base, 0.1, mode=MODES[name])
    twice = 1 if kind == "deep_ae" else 2
    encoder = jaxae.networks.mlp_encoder(twice * latent_dim, widths, activation=nn.relu)
    decoder = jaxae.networks.mlp_decoder(shape, widths[::-1], activation=nn.relu)
    if kind == "deep_ae":
        return jaxae.autoencoder(encoder, decoder, jaxae.likelihoods.bernoulli())
    vae = jaxae.vae(encoder, decoder, latent_dim=latent_dim)
    return jaxae.importance_weighted(vae, IMPORTANCE_SAMPLES) if kind == "iwae" else vae


def trainer(workload: Workload, name: str, images: np.ndarray) -> Callable[[], float]:
    """A function that trains for a while and returns images/s."""
    autoencoder = model(workload, name)
    epochs = max(1, workload.images // len(images))

    def run() -> float:
        fitted = jaxae.fit(
            autoencoder,
            images,
            optimizer=optax.adam(1e-3),
            epochs=1 + epochs,
            batch_size=workload.batch,
            key=jax.random.key(0),
            progress=False,
        )
        return float(np.median([r["images_per_second"] for r in fitted.history[1:]]))

    return run


def flax_trainer(workload: Workload, images: np.ndarray) -> Callable[[], float]:
    """Training in the style of the Flax examples: a jitted step, and NumPy batches from the host."""
    import time

    import jax.numpy as jnp

    class Vae(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array, key: jax.Array) -> tuple[jax.Array, ...]:
            b = x.shape[0]
            if workload.kind == "conv_vae":
                for width in workload.widths:
                    x = nn.relu(nn.Conv(width, (4, 4), (2, 2))(x))
                small = x.shape[1:]
                x = x.reshape(b, -1)
            else:
                x = nn.relu(nn.Dense(workload.widths[0])(x.reshape(b, -1)))
            mean, log_var = nn.Dense(workload.latent_dim)(x), nn.Dense(workload.latent_dim)(x)
            z = mean + jnp.exp(0.5 * log_var) * jax.random.normal(key, mean.shape)
            if workload.kind == "conv_vae":
                y = nn.relu(nn.Dense(int(np.prod(small)))(z)).reshape(b, *small)
                for width in workload.widths[-2::-1]:
                    y = nn.relu(nn.ConvTranspose(width, (4, 4), (2, 2))(y))
                y = nn.ConvTranspose(workload.shape[-1], (4, 4), (2, 2))(y)
            else:
                y = nn.relu(nn.Dense(workload.widths[0])(z))
                y = nn.Dense(int(np.prod(workload.shape)))(y).reshape(b, *workload.shape)
            return y, mean, log_var

    module, optimizer = Vae(), optax.adam(1e-3)
    params = module.init(jax.random.key(0), jnp.zeros((1, *workload.shape)), jax.random.key(1))
    opt_state = optimizer.init(params)

    @jax.jit
    def step(params, opt_state, x, key):
        def objective(params):
            logits, mean, log_var = module.apply(params, x, key)
            bce = optax.sigmoid_binary_cross_entropy(logits, x).sum() / x.shape[0]
            kl = -0.5 * jnp.sum(1 + log_var - mean**2 - jnp.exp(log_var), -1).mean()
            return bce + kl

        loss, gradient = jax.value_and_grad(objective)(params)
        updates, opt_state = optimizer.update(gradient, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    floats = images.astype(np.float32) / 255
    random = np.random.default_rng(0)

    def run() -> float:
        nonlocal params, opt_state
        b, key = workload.batch, jax.random.key(2)
        # An epoch with these convolutions would take minutes.
        steps = min(workload.images, 640 if workload.kind == "conv_vae" else workload.images) // b
        started = time.perf_counter()
        for _ in range(steps):
            key, used = jax.random.split(key)
            batch = floats[random.integers(0, len(floats), b)]
            params, opt_state, loss = step(params, opt_state, batch, used)
        loss.block_until_ready()
        return steps * b / (time.perf_counter() - started)

    return run
