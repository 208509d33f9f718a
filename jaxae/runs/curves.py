"""Curves as PNG files."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from jaxae.runs.figures import save


def learning_curves(
    history: Sequence[Mapping[str, float | int]],
    path: Path,
    *,
    title: str,
    best_epoch: int,
    total: bool = True,
) -> None:
    """Draws the loss and each of its terms against the epoch, in training and in validation.

    Args:
      history: the records of :func:`jaxae.fit`.
      path: of the PNG file.
      title: above the figure.
      best_epoch: the selected epoch, which is marked in every panel.
      total: whether there is a panel for the loss. In an adversarial game it is the sum of both players'
        losses, which says nothing.
    """
    names = [key.removeprefix("train/") for key in history[0] if key.startswith("train/")]
    if not total:
        names.remove("loss")
    names.sort(key=lambda name: (name != "loss", name))
    columns = min(len(names), 2)
    lines = -(-len(names) // columns)
    figure = Figure(figsize=(4.2 * columns, 0.6 + 2.6 * lines), layout="constrained")
    epochs = [record["epoch"] for record in history]
    for i, name in enumerate(names):
        axes = figure.add_subplot(lines, columns, i + 1)
        for kind, style in (("train", "C0-"), ("validation", "C1-")):
            if f"{kind}/{name}" in history[0]:
                values = [record[f"{kind}/{name}"] for record in history]
                marker = "o" if len(epochs) == 1 else None
                axes.plot(epochs, values, style, label=kind, marker=marker)
        axes.axvline(best_epoch, color="0.7", linestyle=":", label="selected")
        # Some terms are penalties and errors, which are not in nats.
        units = {"loss": "nats per image", "gradient_norm": "mean over steps"}
        unit = units.get(name, "mean over images")
        axes.set(title=name.replace("_", " "), xlabel="epoch", ylabel=unit)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if i == 0:
            axes.legend()
    figure.suptitle(title)
    save(figure, path)


def lines(
    x: Sequence[float | int],
    curves: Mapping[str, Sequence[float]],
    path: Path,
    *,
    title: str,
    xlabel: str,
    ylabel: str,
    logarithmic: bool = False,
) -> None:
    """Draws several curves over the same points.

    Args:
      x: the points.
      curves: `{name: y}`.
      path: of the PNG file.
      title: above the figure.
      xlabel: of the horizontal axis.
      ylabel: of the vertical axis.
      logarithmic: whether the horizontal axis is logarithmic, with a tick at each point.
    """
    figure = Figure(figsize=(5.2, 3.6), layout="constrained")
    axes = figure.add_subplot()
    marker = "o" if len(x) <= 20 else ""
    for i, (name, y) in enumerate(curves.items()):
        axes.plot(x, y, f"C{i}{marker}-", label=name, markersize=4)
    if logarithmic:
        axes.set_xscale("log")
        axes.set_xticks(list(x), [f"{v:g}" for v in x])
        axes.minorticks_off()
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
    if len(curves) > 1:
        axes.legend()
    save(figure, path)


def loglog(
    x: Sequence[float | int],
    y: Sequence[float],
    path: Path,
    *,
    title: str,
    xlabel: str,
    ylabel: str,
) -> None:
    """Draws one curve on logarithmic axes, with ticks at the values of its points."""
    figure = Figure(figsize=(5.2, 3.6), layout="constrained")
    axes = figure.add_subplot()
    axes.loglog(x, y, "C0o-")
    axes.set_xticks(list(x), [f"{v:g}" for v in x])
    axes.minorticks_off()
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
    axes.set_yticks(list(y), [f"{v:.3g}" for v in y])
    save(figure, path)
