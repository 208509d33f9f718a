"""Any combination of a model, penalties and corruptions, from flags.

    python -m experiments.compose --corrupt masking:0.3 --contract 1e-3 --sparse l1:1e-3 --beta 1
    python -m experiments.compose --corrupt gaussian:0.3 erase:0.4 --network conv
    python -m experiments.compose --sparse top_k:20 --code 500 --tied
    python -m experiments.compose --beta 1 --importance-weighted 5 --corrupt salt_and_pepper:0.2

The model is an autoencoder, or a VAE with --beta. The encoder sees the corrupted image, at which the
Jacobian of the contractive penalty is computed too; the target is the clean image. Flags that would
have no effect are errors.

Measured (the first command, mnist5k, one core, jax 0.10.2, 233 s): negative ELBO of the masked test
images 114.6 nats, contraction 97.9, sparsity 16.2.
"""

import experiments  # noqa: F401  # isort: skip  (finds the packages, also for a script)

import dataclasses
import time
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

import jaxae
from experiments.shared import datasets, flags, from_flags, running
from experiments.shared.tables import print_results
from jaxae.runs import descriptions, figures, inference, pieces, plans
from jaxae.runs.command import command
from jaxae.runs.folder import Run


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(flags.ModelConfig):
    """Flags of the model, its penalties and its corruptions."""

    can_go_on = True

    beta: float | None = None
    """Train a VAE whose KL divergence has this weight. The default is to train an autoencoder."""
    importance_weighted: int | None = None
    """Train the VAE on the importance-weighted bound with this number of samples."""
    tied: bool = False
    """Use the transposed matrices of the encoder in the decoder. This needs --network mlp, and the
    default of --hidden is then no hidden layer."""
    corrupt: tuple[str, ...] = ()
    """Corrupt the input of the encoder in these ways, one after another: gaussian:S, masking:P,
    salt_and_pepper:P, erase:PART, downsample:FACTOR, grayscale."""
    contract: float | None = None
    """Penalise the squared norm of the encoder's Jacobian with this weight."""
    jacobian: Literal["forward", "reverse", "auto", "hutchinson"] | None = None
    """Compute the norm of --contract exactly, with jax.jacfwd (forward), jax.jacrev (reverse) or the
    cheaper of the two (auto, the default), or by an unbiased estimate (hutchinson)."""
    sparse: str | None = None
    """Make the code sparse: l1:WEIGHT penalises absolute values, kl:WEIGHT:RATE trains units with a
    sigmoid towards this mean activation, and top_k:K keeps the K largest values."""


def main(config: Config) -> dict[str, Any]:
    """Builds, trains and evaluates the model that the flags describe, and writes the run folder."""
    started = time.perf_counter()
    check(config)
    data = datasets.load(config)
    plan = make_plan(config, data)
    model = plans.build(plan)
    # Pieces that do not go together raise here, before the run folder is created.
    x = jaxae.as_float(data.train[:2])
    key = jax.random.key(0)
    jax.eval_shape(lambda: model.loss(model.init(key, x), key, x))

    def work(run: Run) -> dict[str, Any]:
        fitted = running.fit(config, run, model, data)
        results: dict[str, Any] = running.evaluate(model, fitted, data)
        results |= running.training_figures(data, fitted)
        results["protocol"] = (
            f"{data.protocol}; {describe(config)}; {plan.likelihood} likelihood; nats per image; the "
            "mse is that of clean images reconstructed"
        )
        draw(config, run, model, fitted.params, data)
        return results

    def show(results: dict[str, Any]) -> None:
        print_results(
            f"{Path(config.dataset).name}, {describe(config)}: test images",
            results,
            (
                *("loss", "distortion", "rate", "negative_elbo", "negative_iwae"),
                *("contraction", "sparsity", "squared_error", "psnr"),
            ),
        )

    return running.conduct("compose", config, data, work, show=show, started=started, plan=plan)


def check(config: Config) -> None:
    """Raises for flags that would have no effect, or that do not go together."""
    if config.jacobian is not None and config.contract is None:
        raise ValueError("--jacobian needs --contract")
    if config.importance_weighted is not None:
        if config.beta is None:
            raise ValueError("--importance-weighted is for a VAE; add --beta 1")
        if config.beta != 1:
            raise ValueError(
                "--beta other than 1 cannot be combined with --importance-weighted, whose bound has no KL "
                "divergence to weight"
            )
        if config.importance_weighted < 2:
            raise ValueError("--importance-weighted needs 2 samples or more")
    if config.tied:
        if config.beta is not None:
            raise ValueError("--tied is for a deterministic code, not for a VAE")
        for flag, used in (
            ("--network", config.network != "mlp"),
            ("--gated", config.gated),
            ("--dropout", config.dropout > 0),
            ("--precision", config.precision != "float32"),
        ):
            if used:
                raise ValueError(f"--tied cannot be combined with {flag}")


def make_plan(config: Config, data: datasets.Data) -> plans.Plan:
    """The plan of the model that the flags describe."""
    autoencoder = "tied_autoencoder" if config.tied else "autoencoder"
    return from_flags.plan(
        config,
        data.train,
        "bernoulli" if data.train.shape[-1] == 1 else "gaussian",
        overcomplete=bool(config.sparse or config.corrupt or config.contract),
        model=autoencoder if config.beta is None else "vae",
        beta=1.0 if config.beta is None else config.beta,
        jacobian=config.jacobian or "auto",
    )


def describe(config: Config) -> str:
    """A description of the model, for the protocol and for titles."""
    words = ["tied autoencoder" if config.tied else "autoencoder"]
    if config.beta is not None:
        words = [f"VAE, beta {config.beta:g}"]
    if config.importance_weighted is not None:
        words.append(f"importance-weighted with {config.importance_weighted} samples")
    if config.sparse is not None:
        words.append(descriptions.sparsity(config.sparse))
    if config.contract is not None:
        words.append(f"contractive penalty of weight {config.contract:g}")
    if config.corrupt:
        words.append(f"denoising ({descriptions.corruption(config.corrupt)})")
    return ", ".join(words)


def draw(
    config: Config, run: Run, model: jaxae.Autoencoder, params: Any, data: datasets.Data
) -> None:
    """Draws reconstructions of images and of corrupted images, and samples if there is a prior."""
    name = Path(config.dataset).name
    x = datasets.choose(data)
    key = jax.random.key(datasets.SAMPLE_SEED)
    rows = {"test images": np.asarray(x), "reconstruction": inference.reconstruct(model, params, x)}
    if config.corrupt:
        noisy = pieces.corruption(config.corrupt)(key, x)
        rows["corrupted"] = np.asarray(jnp.clip(noisy, 0, 1))
        rows["denoised"] = inference.reconstruct(model, params, noisy)
    title = f"{name}: {describe(config)}"
    figures.rows(rows, run.figures / "reconstructions.png", title=title)
    if model.model.prior is not None:
        images = inference.sample(model, params, key, 60)
        title = f"{title}: decoded draws from the prior"
        figures.grid(images, run.figures / "samples.png", title=title)


if __name__ == "__main__":
    command(main, Config, __doc__)
