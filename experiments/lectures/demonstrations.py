"""Formulas of the lectures, computed twice: by jaxae, and in another way. Each takes seconds.

Every function gets the folder of a run, draws a figure into it and returns results.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy.integrate import quad
from scipy.stats import multivariate_normal, norm

import jaxae
from jaxae.runs import curves, scatters
from jaxae.runs.folder import Run


def losses(run: Run) -> dict[str, Any]:
    """Both losses, by jaxae and by the formulas of the lectures in double precision."""
    rng = np.random.default_rng(0)
    x, outputs = rng.random((50, 12, 12, 1)), rng.normal(0, 2, (50, 12, 12, 1))
    seen, given = jnp.float32(x), jnp.float32(outputs)
    half = np.square(x - outputs).sum(axis=(1, 2, 3)) / 2
    constant = x[0].size / 2 * math.log(2 * math.pi)
    by_gaussian = -jaxae.likelihoods.gaussian().log_prob(given, seen) - constant
    decoded = 1 / (1 + np.exp(-outputs))
    entropy = -(x * np.log(decoded) + (1 - x) * np.log(1 - decoded)).sum(axis=(1, 2, 3))
    by_bernoulli = -jaxae.likelihoods.bernoulli().log_prob(given, seen)
    large = jnp.full((1, 1), 200.0)  # here log(1 - sigmoid) of the formula is the logarithm of zero
    at_large = -jaxae.likelihoods.bernoulli().log_prob(large, jnp.zeros((1, 1)))
    guess = np.linspace(0.01, 0.99, 197)
    curves.lines(
        guess.tolist(),
        {
            "half the squared error, x = 1": (0.5 * (1 - guess) ** 2).tolist(),
            "cross-entropy, x = 1": (-np.log(guess)).tolist(),
            "cross-entropy, x = 0.5": (-0.5 * np.log(guess * (1 - guess))).tolist(),
        },
        run.figures / "losses.png",
        title="The two losses of a pixel, for each value that the decoder may predict",
        xlabel="predicted value",
        ylabel="loss (nats)",
    )
    return {
        "squared/relative_difference": float(np.max(np.abs(by_gaussian / half - 1))),
        "cross_entropy/relative_difference": float(np.max(np.abs(by_bernoulli / entropy - 1))),
        "cross_entropy/at_logit_200": float(at_large[0]),
    }


PAIRS = ((0.5, 1.2, 0.0, 1.0), (-1.0, 0.3, 0.7, 0.8), (2.0, 1.5, -1.0, 2.5), (0.0, 0.05, 0.0, 1.0))
"""Means and standard deviations of two normal distributions."""


def divergences(run: Run) -> dict[str, Any]:
    """The closed forms of KL divergences, and the integral, by adaptive quadrature."""
    largest = {"standard": 0.0, "between": 0.0}
    for mean, sd, other_mean, other_sd in PAIRS:
        for name, to in {"standard": (0.0, 1.0), "between": (other_mean, other_sd)}.items():
            integral = _integral(mean, sd, *to)
            at = [jnp.float32([value]) for value in (mean, 2 * math.log(sd))]
            if name == "standard":
                closed = jaxae.distributions.kl_standard_normal(*at)
            else:
                other = [jnp.float32([value]) for value in (to[0], 2 * math.log(to[1]))]
                closed = jaxae.distributions.kl_diagonal_normal(*at, *other)
            largest[name] = max(largest[name], abs(float(closed) - integral))
    x = np.linspace(-4, 4, 401)
    mean, sd, _, _ = PAIRS[1]
    p, q = norm.pdf(x, mean, sd), norm.pdf(x)
    curves.lines(
        x.tolist(),
        {
            f"p = N({mean:g}, {sd:g}²)": p.tolist(),
            "q = N(0, 1)": q.tolist(),
            "p log(p / q), whose integral is KL(p ‖ q)": (
                p * (norm.logpdf(x, mean, sd) - norm.logpdf(x))
            ).tolist(),
        },
        run.figures / "divergence.png",
        title=f"KL(p ‖ q) = {_integral(mean, sd, 0, 1):.4f} nats: the area under the third curve",
        xlabel="x",
        ylabel="density, and integrand",
    )
    widths = np.linspace(0.05, 3, 60)
    return {
        "standard/difference": largest["standard"],
        "between/difference": largest["between"],
        "least_at_variance": float(
            widths[np.argmin([_integral(0, width, 0, 1) for width in widths])] ** 2
        ),
    }


def _integral(mean: float, sd: float, other_mean: float, other_sd: float) -> float:
    def integrand(x: float) -> float:
        log_p = norm.logpdf(x, mean, sd)
        return math.exp(log_p) * (log_p - norm.logpdf(x, other_mean, other_sd))

    return quad(integrand, mean - 12 * sd, mean + 12 * sd, limit=200, points=[mean])[0]


def bounds(run: Run) -> dict[str, Any]:
    """Estimates of log p(x) in a model whose log p(x) is known: x = W z + noise."""
    rng = np.random.default_rng(0)
    w, scale = rng.normal(0, 1, (2, 6)), 0.5
    w[1] = w[0] + 0.7 * w[1]  # so that the two latent dimensions depend on each other, given x
    covariance = w.T @ w + scale**2 * np.eye(6)
    x = rng.multivariate_normal(np.zeros(6), covariance, 1000)
    exact = float(-multivariate_normal(np.zeros(6), covariance).logpdf(x).mean())
    # The exact posterior has this mean and a full covariance; the encoder knows the diagonal only.
    posterior = np.linalg.inv(np.eye(2) + w @ w.T / scale**2)
    to_mean = jnp.float32(w.T @ posterior / scale**2)
    log_var = jnp.float32(np.log(np.diag(posterior)))

    def encode(params: Any, x: jax.Array, *, key: Any = None) -> jax.Array:
        return jnp.concatenate([x @ to_mean, jnp.broadcast_to(log_var, (len(x), 2))], axis=1)

    def decode(params: Any, z: jax.Array, *, key: Any = None) -> jax.Array:
        return z @ jnp.float32(w)

    model = jaxae.vae(
        jaxae.Network(lambda key, x: {}, encode),
        jaxae.Network(lambda key, z: {}, decode),
        jaxae.likelihoods.gaussian(scale),
        latent_dim=2,
    )
    images = jnp.float32(x)
    params = model.init(jax.random.key(0), images)
    counts = (1, 3, 10, 30, 100, 1000)
    estimates = []
    for count in counts:
        nll = jaxae.analysis.importance_nll(model, params, jax.random.key(count), images, count)
        estimates.append(float(nll.mean()))
    curves.lines(
        counts,
        {"estimate of -log p(x)": estimates, "-log p(x)": [exact] * len(counts)},
        run.figures / "bounds.png",
        title="A model whose likelihood is known: one draw gives the ELBO, many give log p(x)",
        xlabel="draws from the encoder for each x",
        ylabel="nats",
        logarithmic=True,
    )
    return {"exact": exact} | {
        f"estimate_{count}": value for count, value in zip(counts, estimates, strict=True)
    }


def reparameterisation(run: Run) -> dict[str, Any]:
    """Draws z = E + epsilon sqrt(V) and their derivatives, and what they should be."""
    mean, variance = jnp.float32([0.7, -1.5]), jnp.float32([0.3, 2.0])
    posterior = jaxae.posteriors.gaussian(2)
    n = 200_000

    def draw(mean: jax.Array, variance: jax.Array) -> jax.Array:
        outputs = jnp.concatenate([mean, jnp.log(variance)])
        many = posterior.distribution(jnp.broadcast_to(outputs, (n, 4)))
        return many.draw(jax.random.key(0))[0]

    z = np.asarray(draw(mean, variance), np.float64)
    # E z^2 = E^2 + V, whose derivatives are 2 E and 1.
    by_mean, by_variance = jax.grad(
        lambda m, v: jnp.mean(jnp.sum(jnp.square(draw(m, v)), axis=1)), argnums=(0, 1)
    )(mean, variance)
    x = np.linspace(-6, 4, 201)
    counts, edges = np.histogram(z[:, 1], bins=x, density=True)
    curves.lines(
        ((edges[1:] + edges[:-1]) / 2).tolist(),
        {
            "200,000 draws E + ε √V": counts.tolist(),
            "density of N(E, V)": norm.pdf(
                (edges[1:] + edges[:-1]) / 2, float(mean[1]), math.sqrt(float(variance[1]))
            ).tolist(),
        },
        run.figures / "draws.png",
        title="Reparameterised draws from q(z | x) with E = -1.5 and V = 2",
        xlabel="z",
        ylabel="density",
    )
    return {
        "mean_difference": float(np.max(np.abs(z.mean(axis=0) - np.asarray(mean)))),
        "variance_difference": float(np.max(np.abs(z.var(axis=0) - np.asarray(variance)))),
        "gradient_by_mean": float(np.max(np.abs(by_mean - 2 * mean))),
        "gradient_by_variance": float(np.max(np.abs(by_variance - 1))),
    }


def decoders(run: Run) -> dict[str, Any]:
    """Whether p(x | h) of three decoders is a distribution: its sum or integral is one."""
    at = jnp.float32([[0.37]])
    bernoulli = jaxae.likelihoods.bernoulli()
    two = sum(float(jnp.exp(bernoulli.log_prob(at, jnp.float32([[x]])))[0]) for x in (0, 1))
    logistic = jaxae.likelihoods.discretized_logistic()
    levels = jnp.arange(256, dtype=jnp.float32)[:, None] / 255
    outputs = jnp.broadcast_to(jnp.float32([[[0.37, -3.0]]]), (256, 1, 2))
    of_levels = np.exp(np.asarray(logistic.log_prob(outputs, levels), np.float64))
    normal = jaxae.likelihoods.gaussian(0.1)
    x = np.linspace(-1, 2, 6001, dtype=np.float32)
    density = np.exp(np.asarray(normal.log_prob(jnp.full((6001, 1), 0.37), x[:, None]), np.float64))
    shown = (x >= 0) & (x <= 1)
    curves.lines(
        x[shown].tolist(),
        {
            "normal, σ = 0.1": density[shown].tolist(),
            "discretized logistic, density of a level": np.interp(
                x[shown], np.asarray(levels[:, 0]), 256 * of_levels
            ).tolist(),
        },
        run.figures / "decoders.png",
        title="p(x | h) of one pixel, for the same output of the decoder",
        xlabel="value of the pixel",
        ylabel="density",
    )
    return {
        "bernoulli": two,
        "discretized_logistic": float(of_levels.sum()),
        "gaussian": float(np.trapezoid(density, x)),
    }


RADIUS, WIDTH = 1.5, 0.15
"""What is observed of a code is its distance from the origin, with this error."""
COUNTS = (1, 5, 50)


def richer(run: Run) -> dict[str, Any]:
    """Posteriors of a model whose true posterior is a ring, which no normal distribution resembles.

    The encoder is fitted with K draws. K = 1 is the ELBO, with the best diagonal Gaussian. With more, the
    posterior is that of a draw which is chosen from K, with its weight p(x, z) / q(z | x).
    """

    def encode(params: Any, x: jax.Array, *, key: Any = None) -> jax.Array:
        return jnp.broadcast_to(params, (len(x), 4))

    def decode(params: Any, z: jax.Array, *, key: Any = None) -> jax.Array:
        return jnp.sqrt(jnp.sum(jnp.square(z), axis=-1, keepdims=True) + 1e-12)

    plain = jaxae.vae(
        jaxae.Network(lambda key, x: jnp.float32([0.3, 0.1, 0.0, 0.0]), encode),
        jaxae.Network(lambda key, z: {}, decode),
        jaxae.likelihoods.gaussian(WIDTH),
        latent_dim=2,
    )
    x = jnp.full((2560, 1), RADIUS, jnp.float32)
    side = np.linspace(-5, 5, 1001)
    plane = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    joint = norm.pdf(plane).prod(axis=1) * norm.pdf(RADIUS, np.linalg.norm(plane, axis=1), WIDTH)
    exact = float(-np.log(joint.sum() * (side[1] - side[0]) ** 2))
    rng = np.random.default_rng(0)
    step = side[1] - side[0]
    chosen = plane[rng.choice(len(plane), 1000, p=joint / joint.sum())]
    panels = {"true posterior p(z | x)": chosen + rng.uniform(-step / 2, step / 2, chosen.shape)}
    results: dict[str, Any] = {"exact": exact}
    for count in COUNTS:
        model = jaxae.importance_weighted(plain, count)
        fitted = jaxae.fit(
            model,
            x,
            optimizer=optax.adam(optax.cosine_decay_schedule(0.05, 400)),
            epochs=40,
            key=jax.random.key(0),
            batch_size=256,
            progress=False,
        )
        nll = jax.jit(
            lambda p, k, m=model, c=count: jaxae.analysis.importance_nll(m, p, k, x, c).mean()
        )
        bound = float(nll(fitted.params, jax.random.key(1)))
        results[f"bound_{count}"] = bound
        draws = model.draws(fitted.params, jax.random.key(2), x[:1000], count)
        picked = jax.random.categorical(jax.random.key(3), draws.log_weight, axis=0)
        z = np.asarray(draws.z)[np.asarray(picked), np.arange(len(picked))]
        name = "diagonal Gaussian" if count == 1 else "importance-weighted"
        panels[f"{name}, K = {count}:\n{bound - exact:.2f} nats from log p(x)"] = z
        results[f"distance_{count}"] = float(np.abs(np.linalg.norm(z, axis=1) - RADIUS).mean())
    scatters.scatter(
        panels,
        None,
        run.figures / "posteriors.png",
        title="A posterior that is a ring, and what approximates it",
    )
    return results
