"""Models for the laws: one of each constructor, and compositions that cover all pairs of choices.

A new family of models adds a line to `CASES` and gets all laws of test_laws.py.
"""

import itertools
import random
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxae
from jaxae import Batch

SHAPE = (6, 5, 1)
COLOUR = (7, 5, 3)
CODE = 3
CENTRES = jnp.stack(jnp.meshgrid(*2 * [jnp.linspace(-0.4, 0.4, 5)]), axis=-1).reshape(-1, 2)
"""Colours of classes."""
NOISE = jaxae.corruptions.gaussian(0.1)


def images(shape: tuple[int, ...], n: int = 8, seed: int = 0) -> jax.Array:
    """Smooth random examples of any shape with 8 levels, in [0, 1]."""
    low = tuple(min(2, size) for size in shape[:-1])
    low = jax.random.uniform(jax.random.key(seed), (n, *low, shape[-1]))
    return jnp.round(7 * jax.image.resize(low, (n, *shape), "linear")) / 7


class Case(NamedTuple):
    """A model, the shape of an example, and what the laws have to know about it.

    Attributes:
      make: the constructor.
      shape: of one example.
      batch: what is made of the examples: labels, conditions or missing values beside them.
      stochastic: whether the loss depends on the key.
      trained: False where `init` is the fit.
      encodes: False where there is no encoder.
      decodes: False where the likelihood is not of x.
      game: whether the loss is the sum of the losses of two players.
      slow: whether CI takes turns with it.
    """

    make: Callable[[], jaxae.Autoencoder]
    shape: tuple[int, ...] = SHAPE
    batch: Callable[[jax.Array], Batch] = Batch
    stochastic: bool = True
    trained: bool = True
    encodes: bool = True
    decodes: bool = True
    game: bool = False
    slow: bool = False

    def data(self, n: int = 8, seed: int = 0) -> Batch:
        """So many examples."""
        return self.batch(images(self.shape, n, seed))


def mlps(outputs: int = 1, *, shape=SHAPE, twice: bool = False, **options):
    encoder = jaxae.networks.mlp_encoder(CODE * (1 + twice), (16,), **options)
    return encoder, jaxae.networks.mlp_decoder(shape, (16,), outputs=outputs, **options)


def convs(kind: str, shape, outputs: int = 1, *, twice: bool = False, **options):
    code = () if kind == "unet" else (CODE * (1 + twice),)
    encoder = getattr(jaxae.networks, f"{kind}_encoder")(*code, (8, 16), **options)
    decoder = getattr(jaxae.networks, f"{kind}_decoder")(shape, (16, 8), outputs=outputs, **options)
    return encoder, decoder


def autoencoder(likelihood: jaxae.Likelihood | None = None, **options):
    likelihood = likelihood or jaxae.likelihoods.gaussian()
    return jaxae.autoencoder(*mlps(likelihood.outputs, **options), likelihood)


def vae(likelihood: jaxae.Likelihood | None = None, **options):
    likelihood = likelihood or jaxae.likelihoods.bernoulli()
    return jaxae.vae(*mlps(likelihood.outputs, twice=True), likelihood, latent_dim=CODE, **options)


def critic(**options):
    return jaxae.networks.mlp_encoder(1, (16,), **options)


def adversarial(base: jaxae.Autoencoder, **options):
    prior = options.pop("prior", jaxae.priors.standard_normal(CODE))
    return jaxae.adversarial(base, critic(), prior, **options)


def semi_supervised():
    """Three classes and a style of two values."""
    encoder, decoder = (
        jaxae.networks.mlp_encoder(5, (16,)),
        jaxae.networks.mlp_decoder(SHAPE, (16,)),
    )
    model = jaxae.autoencoder(encoder, jaxae.networks.categorical_code(decoder, 3))
    model = jaxae.adversarial(
        model,
        critic(),
        jaxae.priors.categorical(3),
        view=jaxae.wrappers.latent_part(0, 3, softmax=True),
        name="classes",
    )
    normal = jaxae.priors.standard_normal(2)
    model = jaxae.adversarial(
        model, critic(), normal, view=jaxae.wrappers.latent_part(3), name="styles"
    )
    return jaxae.supervised(model, 3)


def labels_of_the_prior():
    """Codes of known classes are matched to the prior of their class."""
    encoder = jaxae.networks.mlp_encoder(4, (16,))
    base = jaxae.vae(encoder, mlps()[1], latent_dim=2, beta=0.0)
    roll = jaxae.priors.swiss_roll(3)
    return jaxae.adversarial(base, critic(dropout=0.1), roll, labels=True, r1=0.1)


def vae_gan(**options):
    encoder, decoder = mlps(twice=True)
    features = jaxae.networks.mlp_encoder(12, (16,))
    return jaxae.vae_gan(encoder, decoder, features, critic(), latent_dim=CODE, **options)


def clustering():
    base = autoencoder()
    pretrained = base.init(jax.random.key(5), images(SHAPE))
    return jaxae.deep_clustering(base, pretrained, jnp.eye(CODE), reconstruction=0.5)


def classifier():
    base = autoencoder()
    pretrained = base.init(jax.random.key(5), images(SHAPE))
    return jaxae.classifier(base.encode, {"encoder": pretrained["encoder"]}, classes=3)


def by_hand():
    """Networks without Flax: a matrix each."""

    def init(rows: int, columns: int):
        return lambda key, x: {"w": 0.1 * jax.random.normal(key, (rows, columns))}

    def encode(params, x, *, key=None):
        return x.reshape(x.shape[0], -1) @ params["w"]

    def decode(params, z, *, key=None):
        return (z @ params["w"]).reshape(-1, 6, 5, 1)

    encoder = jaxae.Network(init(30, 2 * CODE), encode)
    return jaxae.vae(encoder, jaxae.Network(init(CODE, 30), decode), latent_dim=CODE)


def labelled(x: jax.Array) -> Batch:
    """With a class for two examples of three."""
    number = jnp.arange(len(x))
    return Batch(x, label=jnp.where(number % 3 == 2, -1, number % 3))


def assigned(x: jax.Array) -> Batch:
    """With probabilities of three clusters."""
    return Batch(x, label=jax.nn.softmax(jnp.arange(3.0) * jnp.arange(len(x))[:, None] % 5))


def of_every_class(x: jax.Array) -> Batch:
    return Batch(x, label=jnp.arange(len(x)) % 3)


def conditioned(x: jax.Array) -> Batch:
    return Batch(x, condition=jnp.arange(len(x)) % 3)


def with_missing(x: jax.Array) -> Batch:
    """Every third value is missing, and is nan."""
    observed = jnp.arange(x[0].size).reshape(x[0].shape) % 3 != 1
    observed = jnp.broadcast_to(observed, x.shape)
    return Batch(jnp.where(observed, x, jnp.nan), observed=observed.astype(jnp.float32))


def seen_in_reverse(x: jax.Array) -> Batch:
    return Batch(x, seen=jnp.flip(x, axis=1))


CHOICES = {
    "data": {"image": SHAPE, "colour": COLOUR, "signal": (12, 2), "table": (7,)},
    "network": {"mlp": {}, "dropout": {"dropout": 0.2, "gated": True}, "half": {}, "conv": {}},
    "likelihood": {
        "gaussian": lambda: jaxae.likelihoods.gaussian(0.1),
        "shared scale": lambda: jaxae.likelihoods.gaussian("shared"),
        "continuous Bernoulli": jaxae.likelihoods.continuous_bernoulli,
        "discretized logistic": jaxae.likelihoods.discretized_logistic,
    },
    "objective": {"reconstruction", "elbo", "iwae"},
    "prior": {"normal", "mixture"},
    "penalty": {"none", "contractive", "sparse", "wasserstein", "adversarial", "supervised"},
    "corruption": {"clean", "noise"},
    "batch": {
        "alone": Batch,
        "condition": conditioned,
        "missing": with_missing,
        "other input": seen_in_reverse,
    },
}
PENALTIES = {
    "none": lambda model: model,
    "contractive": lambda model: jaxae.contractive(model, 1e-3, mode="auto", chunk=4),
    "sparse": lambda model: jaxae.sparse(model, 1e-2, jaxae.wrappers.l1),
    "wasserstein": lambda model: jaxae.wasserstein(
        model, jaxae.priors.standard_normal(CODE), weight=1.0
    ),
    "adversarial": lambda model: adversarial(model, r1=0.1),
    "supervised": lambda model: jaxae.supervised(model, 2),
}
MIXTURE = jaxae.priors.gaussian_mixture(
    np.random.default_rng(0).normal(size=(40, CODE)), components=2
)


def composed(data, network, likelihood, objective, prior, penalty, corruption, batch):
    """A model of one choice of each."""
    shape, kind = CHOICES["data"][data], CHOICES["likelihood"][likelihood]()
    options = {"mlp": {}, "dropout": {"dropout": 0.2, "gated": True}}.get(network, {})
    if network == "half":
        options = {"dtype": jnp.bfloat16}
    twice = objective != "reconstruction"
    if network == "conv":
        pair = convs("conv", shape, kind.outputs, twice=twice)
    else:
        pair = mlps(kind.outputs, shape=shape, twice=twice, **options)
    if batch == "condition":
        pair = tuple(jaxae.networks.with_condition(part, classes=3) for part in pair)
    if twice:
        which = None if prior == "normal" else MIXTURE
        model = jaxae.vae(*pair, kind, latent_dim=CODE, prior=which)
        model = jaxae.importance_weighted(model, 3) if objective == "iwae" else model
    else:
        model = jaxae.autoencoder(*pair, kind)
    model = PENALTIES[penalty](model)
    return jaxae.denoising(model, NOISE) if corruption == "noise" else model


def allowed(pair: dict[str, str]) -> bool:
    """Whether two choices go together: convolutions are for images."""
    return not (pair.get("network") == "conv" and pair.get("data") in ("signal", "table"))


def covering() -> list[dict[str, str]]:
    """Rows with one choice of each, so that every two choices that go together meet in one of them."""
    names, generator = list(CHOICES), random.Random(0)

    def pairs_of(row: dict[str, str]) -> set:
        return set(itertools.combinations(sorted(row.items()), 2))

    missing = set()
    for a, b in itertools.combinations(names, 2):
        for one, other in itertools.product(sorted(CHOICES[a]), sorted(CHOICES[b])):
            if allowed({a: one, b: other}):
                missing |= pairs_of({a: one, b: other})
    rows = []
    while missing:
        start = dict(min(missing))
        best: dict[str, str] = {}
        for _ in range(60):
            row = {name: generator.choice(sorted(CHOICES[name])) for name in names} | start
            if allowed(row):
                best = max(best, row, key=lambda row: len(pairs_of(row) & missing))
        missing -= pairs_of(best)
        rows.append(best)
    return rows


def composed_case(row: dict[str, str], slow: bool) -> Case:
    quiet = row["objective"] == "reconstruction" and row["network"] != "dropout"
    quiet = quiet and row["penalty"] in ("none", "contractive", "sparse", "supervised")
    batch = CHOICES["batch"][row["batch"]]
    if row["penalty"] == "supervised":
        plain, batch = batch, lambda x: plain(x)._replace(label=jnp.arange(len(x)) % 3 - 1)
    return Case(
        lambda: composed(**row),
        CHOICES["data"][row["data"]],
        batch,
        stochastic=not quiet or row["corruption"] == "noise",
        game=row["penalty"] == "adversarial",
        slow=slow,
    )


CASES = {
    "autoencoder gaussian": Case(autoencoder, stochastic=False),
    "autoencoder learned laplace": Case(
        lambda: autoencoder(jaxae.likelihoods.laplace("learned")), stochastic=False, slow=True
    ),
    "autoencoder optimal scale": Case(
        lambda: autoencoder(jaxae.likelihoods.gaussian("optimal")), stochastic=False, slow=True
    ),
    "autoencoder categorical": Case(
        lambda: autoencoder(jaxae.likelihoods.categorical(8)), stochastic=False, slow=True
    ),
    "autoencoder dropout": Case(lambda: autoencoder(dropout=0.3), slow=True),
    "autoencoder resnet": Case(
        lambda: jaxae.autoencoder(*convs("resnet", COLOUR)), COLOUR, stochastic=False, slow=True
    ),
    "vae": Case(vae),
    "vae beta schedule": Case(
        lambda: vae(beta=jaxae.objectives.beta_schedule(1.0, 100, warmup=0.5, cycles=2)), slow=True
    ),
    "vae samples": Case(lambda: vae(samples=3), slow=True),
    "vae free bits": Case(lambda: vae(free_bits=0.05)),
    "vae conv": Case(
        lambda: jaxae.vae(*convs("conv", COLOUR, twice=True, dropout=0.1), latent_dim=CODE), COLOUR
    ),
    "vae resnet bfloat16": Case(
        lambda: jaxae.vae(
            *convs("resnet", COLOUR, 2, twice=True, dtype=jnp.bfloat16),
            jaxae.likelihoods.discretized_logistic(),
            latent_dim=CODE,
        ),
        COLOUR,
        slow=True,
    ),
    "vae by hand": Case(by_hand, slow=True),
    "importance weighted": Case(lambda: jaxae.importance_weighted(vae(), 4), slow=True),
    "contractive conv reverse": Case(
        lambda: jaxae.contractive(jaxae.autoencoder(*convs("conv", SHAPE)), 1e-3, mode="reverse"),
        stochastic=False,
        slow=True,
    ),
    "contractive hutchinson": Case(
        lambda: jaxae.contractive(autoencoder(), 1e-3, mode="hutchinson", probes=3, chunk=2),
        slow=True,
    ),
    "denoising": Case(lambda: jaxae.denoising(autoencoder(), NOISE), slow=True),
    "denoising unet": Case(
        lambda: jaxae.denoising(
            jaxae.autoencoder(
                jaxae.networks.unet_encoder((4, 8), dtype=jnp.bfloat16, dropout=0.1),
                jaxae.networks.unet_decoder(COLOUR, (8, 4), dtype=jnp.bfloat16, dropout=0.1),
            ),
            jaxae.corruptions.compose(jaxae.corruptions.erase(0.3), NOISE),
        ),
        COLOUR,
        slow=True,
    ),
    "colorization": Case(
        lambda: jaxae.denoising(
            jaxae.autoencoder(
                *jaxae.networks.with_input(*convs("unet", COLOUR), COLOUR, jaxae.networks.colorize)
            ),
            jaxae.corruptions.grayscale(),
        ),
        COLOUR,
        stochastic=False,
        slow=True,
    ),
    "classes of colours": Case(
        lambda: jaxae.autoencoder(
            *jaxae.networks.with_input(*convs("unet", COLOUR, 10), COLOUR, jaxae.networks.keep),
            jaxae.likelihoods.color_classes(CENTRES),
        ),
        COLOUR,
        stochastic=False,
        slow=True,
    ),
    "sparse rate": Case(
        lambda: jaxae.sparse(
            jaxae.autoencoder(jaxae.networks.activate(mlps()[0], jax.nn.sigmoid), mlps()[1]),
            1e-2,
            jaxae.wrappers.kl_sparsity(0.2),
        ),
        stochastic=False,
    ),
    "top k": Case(
        lambda: jaxae.autoencoder(
            jaxae.networks.activate(mlps()[0], jaxae.wrappers.top_k(2)), mlps()[1]
        ),
        stochastic=False,
        slow=True,
    ),
    "tied": Case(
        lambda: jaxae.tied_autoencoder(
            SHAPE,
            CODE,
            (16,),
            code_activation=jax.nn.sigmoid,
            likelihood=jaxae.likelihoods.bernoulli(),
        ),
        stochastic=False,
    ),
    "linear": Case(lambda: jaxae.linear_autoencoder(SHAPE, CODE), stochastic=False, slow=True),
    "pca": Case(lambda: jaxae.pca(CODE), stochastic=False, trained=False, slow=True),
    "logistic pca": Case(lambda: jaxae.logistic_pca(SHAPE, CODE), stochastic=False),
    "adversarial labels": Case(labels_of_the_prior, batch=labelled, game=True, slow=True),
    "semi-supervised adversarial": Case(semi_supervised, batch=labelled, game=True),
    "deep clustering": Case(clustering, batch=assigned, stochastic=False),
    "classifier": Case(
        classifier, batch=of_every_class, stochastic=False, decodes=False, slow=True
    ),
    "gan spectral": Case(
        lambda: jaxae.gan(mlps()[1], jaxae.networks.spectral_norm(critic()), latent_dim=CODE),
        encodes=False,
        game=True,
        slow=True,
    ),
    "gan conv r1": Case(
        lambda: jaxae.gan(
            convs("conv", COLOUR)[1],
            jaxae.networks.conv_encoder(1, (8, 16)),
            latent_dim=CODE,
            r1=1.0,
            r1_every=2,
        ),
        COLOUR,
        encodes=False,
        game=True,
    ),
    "vae gan r1": Case(lambda: vae_gan(r1=0.1, beta=0.5, weight=0.03), game=True),
}
# A quarter of the compositions is always tested.
CASES |= {
    ", ".join(row[name] for name in CHOICES): composed_case(row, slow=i % 4 != 0)
    for i, row in enumerate(covering())
}


def fixed_draws(z: jax.Array) -> jaxae.Prior:
    """A prior that always draws the same codes, and has no density."""

    def distribution(params, n, condition=None):
        return jaxae.Distribution(lambda key: (z[:n], None), None)

    return jaxae.Prior(z.shape[1], distribution)


def gradient_of(model, params, key, batch, term: str | None = None):
    """The gradient of the mean loss, or of one of its terms or metrics."""

    def value(params):
        out = model.loss(params, key, batch)
        return (out.loss if term is None else {**out.terms, **out.metrics}[term]).mean()

    return jax.jit(jax.grad(value))(params)


def biggest(tree) -> float:
    """The largest absolute value in a tree."""
    return max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(tree))
