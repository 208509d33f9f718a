"""Notes on results: a collapse, a failure, a better baseline, or a value that is undefined."""

from collections.abc import Mapping
from typing import Any

COLLAPSED_RATE = 0.01
"""A KL divergence in nats below which codes carry no information."""
NO_BETTER = 0.98
"""The fraction of the squared error of the mean image from which on reconstructions count as no better."""
UNRELIABLE = 0.5
"""Error rate above which the measures of a classifier of images are unreliable."""
BASELINES = (
    *("corrupted", "median_filter", "linear", "bicubic", "mean_fill", "biharmonic", "grey"),
    *("affine", "mean_target", "input"),
)


def findings(results: Mapping[str, Any]) -> list[str]:
    """Sentences about the results, from their values alone.

    Examples:
      >>> findings({"test/rate": 0.0, "test/negative_elbo": 200.0})
      ['the posterior has collapsed to the prior (a KL divergence of 0 nats): codes carry no information']
      >>> findings({"test/rate": 25.0, "test/squared_error": 7.0, "mean_image/squared_error": 52.0})
      []
    """
    models = list(dict.fromkeys(name.rpartition("/")[0] for name in results if "/" in name))
    found = []
    for model in models:

        def value(measure: str, model: str = model) -> Any:
            return results.get(f"{model}/{measure}")

        who = "" if model == "test" else f"{model}: "
        if value("rate") is not None and value("rate") < COLLAPSED_RATE and "beta 0" not in model:
            found.append(
                f"{who}the posterior has collapsed to the prior (a KL divergence of {value('rate'):.2g} "
                "nats): codes carry no information"
            )
        mean = results.get("mean_image/squared_error")
        if mean is not None and model not in ("mean_image", "data"):
            error = value("squared_error")
            if mean > 0 and error is not None and error >= NO_BETTER * mean:
                found.append(
                    f"{who}reconstructions are no better than the mean image (squared error "
                    f"{error:.4g}, of the mean image {mean:.4g}); train longer, or with another "
                    "--learning-rate or --code"
                )
        classes, possible = value("classes"), results.get("data/classes")
        if model != "data" and None not in (classes, possible) and classes < possible:
            found.append(f"{who}samples show {classes} of {possible} classes (mode collapse)")
    if results.get("mean_image/squared_error") == 0:
        found.append("all test images are equal, so these results say nothing about other images")
    if (error := results.get("judge/error_rate")) is not None and error > UNRELIABLE:
        found.append(
            f"the classifier that judges samples has an error rate of {error:.2g}, so its measures "
            "are unreliable"
        )
    better = {
        name: results[f"{name}/psnr"]
        for name in BASELINES
        if "test/psnr" in results and (results.get(f"{name}/psnr") or 0) > results["test/psnr"]
    }
    if better:
        name = max(better, key=lambda name: better[name])
        found.append(
            f"the model ({results['test/psnr']:.2f} dB) is worse than {name.replace('_', ' ')} "
            f"({better[name]:.2f} dB), which needs no training; train longer"
        )
    if missing := [name for name, value in results.items() if value is None]:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        found.append(
            f"undefined for these data (a division by zero): {', '.join(missing[:3])}{more}"
        )
    return found
