"""Tables: columns of one kind as `[b, d]`, and columns of several kinds as a dict."""

import jax

import jaxae


def table_vae(columns: int, *, latent_dim: int, hidden=(32,)) -> jaxae.Autoencoder:
    """A VAE of real numbers with normal noise of one unknown scale."""
    encoder = jaxae.networks.mlp_encoder(2 * latent_dim, hidden)
    decoder = jaxae.networks.mlp_decoder((columns,), hidden)
    return jaxae.vae(encoder, decoder, jaxae.likelihoods.gaussian("shared"), latent_dim=latent_dim)


def joint(likelihoods: dict[str, jaxae.Likelihood]) -> jaxae.Likelihood:
    """Columns that are independent given the code, each with a likelihood of its own."""

    def distribution(outputs, params=None):
        of = {name: each.distribution(outputs[name]) for name, each in likelihoods.items()}

        def elementwise(x):
            return {name: of[name].elementwise(x[name]) for name in of}

        def log_prob(x):
            return sum(of[name].log_prob(x[name]) for name in of)

        def draw(key):
            keys = dict(zip(of, jax.random.split(key, len(of)), strict=True))
            x = {name: of[name].draw(keys[name])[0] for name in of}
            return x, log_prob(x)

        mean = {name: each.mean for name, each in of.items()}
        return jaxae.Distribution(draw, mean, log_prob, elementwise)

    return jaxae.Likelihood(distribution)


def columns_vae(columns: dict, likelihoods: dict, *, latent_dim: int, hidden=(32,)):
    """A VAE of a dict of columns; `columns` says how many values of each kind there are."""
    mlp = jaxae.networks.mlp_encoder(2 * latent_dim, hidden)
    heads = {
        name: jaxae.networks.mlp_decoder((d,), hidden, outputs=likelihoods[name].outputs)
        for name, d in columns.items()
    }

    def encode(params, x, *, key=None):
        return mlp.apply(params, jaxae.arrays.as_vectors(x), key=key)

    def init_decoder(key, z):
        keys = jax.random.split(key, len(heads))
        return {name: heads[name].init(k, z) for name, k in zip(heads, keys, strict=True)}

    def decode(params, z, *, key=None):
        return {name: heads[name].apply(params[name], z, key=key) for name in heads}

    encoder = jaxae.Network(lambda key, x: mlp.init(key, jaxae.arrays.as_vectors(x)), encode)
    decoder = jaxae.Network(init_decoder, decode)
    return jaxae.vae(encoder, decoder, joint(likelihoods), latent_dim=latent_dim)
