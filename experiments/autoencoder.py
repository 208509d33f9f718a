"""An autoencoder of images: reconstructions, and the error for codes of different sizes.

    python -m experiments.autoencoder
    python -m experiments.autoencoder --dataset mnist --code 16 --run-dir runs/autoencoder-mnist
    python -m experiments.autoencoder --sweep-code 2 4 8 16 32 --epochs 10

Losses are in nats per image, summed over pixels; the mse is per pixel.

Lectures: h = f(x), r = g(h) with codes of 16 and of 2; half the squared error for real inputs,
cross-entropy from logits for binary ones; compression, the size of the code against the error.
"""

import experiments  # noqa: F401  # isort: skip  (finds the packages, also for a script)

import dataclasses
import time
from pathlib import Path
from typing import Any

from experiments.shared import datasets, flags, from_flags, running
from experiments.shared.findings import findings
from experiments.shared.tables import print_results
from jaxae.runs import curves, plans
from jaxae.runs.command import command, report, resumable
from jaxae.runs.folder import Run


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(flags.ModelConfig):
    """Flags of the autoencoder."""

    can_go_on = True

    sweep_code: tuple[int, ...] = ()
    """Train one autoencoder for each of these sizes of the code, and draw the reconstruction error
    against the size."""


def make_plan(config: Config, data: datasets.Data) -> plans.Plan:
    """The plan of the model that the flags ask for."""
    default = "bernoulli" if data.train.shape[-1] == 1 else "gaussian"
    return from_flags.plan(config, data.train, default, model="autoencoder")


def main(config: Config) -> dict[str, Any]:
    """Trains an autoencoder, or one for each code of a sweep, and writes the run folder."""
    if config.sweep_code:
        return sweep(config)
    started = time.perf_counter()
    data = datasets.load(config)
    plan = make_plan(config, data)
    model = plans.build(plan)

    def work(run: Run) -> dict[str, Any]:
        fitted = running.fit(config, run, model, data)
        results: dict[str, Any] = running.evaluate(model, fitted, data)
        results |= running.training_figures(data, fitted)
        results["protocol"] = (
            f"{data.protocol}; {plan.likelihood} likelihood; nats per image, mse per pixel, psnr of "
            "the mean mse"
        )
        title = f"Autoencoder on {Path(config.dataset).name}, {config.code} latent dimensions"
        running.figure_reconstructions(
            run, model, fitted.params, data, title=f"{title}: test images and their reconstructions"
        )
        return results

    def show(results: dict[str, Any]) -> None:
        title = f"Autoencoder on {Path(config.dataset).name}, code {config.code}: test images"
        measures = ("loss", "squared_error", "mse", "psnr")
        print_results(title, results, measures)

    return running.conduct("autoencoder", config, data, work, show=show, started=started, plan=plan)


def sweep(config: Config) -> dict[str, Any]:
    """Trains an autoencoder for each size of the code, in subfolders of the run folder."""
    if len(set(config.sweep_code)) != len(config.sweep_code):
        raise ValueError("--sweep-code has the same code twice")
    if config.code != Config.code:
        raise ValueError("--sweep-code replaces --code; give only one of them")
    codes = sorted(config.sweep_code)
    # Every model is built once before the run folder is created, so that bad flags leave no folder.
    data = datasets.load(dataclasses.replace(config, code=codes[-1]))
    for code in codes:
        plans.build(make_plan(dataclasses.replace(config, code=code), data))
    run = running.open_run(config, data, "autoencoder")
    run.describe(parts=[f"code-{code}" for code in codes])
    results: dict[str, Any] = {}
    for code in codes:
        folder = str(run.directory / f"code-{code}")
        with resumable(run):
            found = main(dataclasses.replace(config, code=code, sweep_code=(), run_dir=folder))
        results |= {f"code_{code}/{name}": value for name, value in found.items()}
    errors = [results[f"code_{code}/test/squared_error"] for code in codes]
    curves.loglog(
        codes,
        errors,
        run.figures / "code_against_error.png",
        title=f"Autoencoders on {Path(config.dataset).name}: error of codes of several sizes",
        xlabel="latent dimensions",
        ylabel="squared error of a test image",
    )
    results["protocol"] = data.protocol
    run.finish(results)
    print_results(
        f"Autoencoders on {Path(config.dataset).name}: test images",
        results,
        ("squared_error", "mse", "psnr"),
        {f"code_{code}/test": f"code {code}" for code in codes},
        across=False,
    )
    report(run, results, findings(results))
    return results


if __name__ == "__main__":
    command(main, Config, __doc__)
