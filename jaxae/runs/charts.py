"""Curves, scatters and tables of numbers as PNG files. Every function computes nothing but its axes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Ellipse
from matplotlib.ticker import MaxNLocator

from jaxae.runs.figures import save


def learning_curves(
    history: Sequence[Mapping[str, float | int]], path: Path, *, title: str, best_epoch: int
) -> None:
    """A panel for the loss and for each term: training, validation, and the epoch selected.

    Args:
      history: the records of :func:`jaxae.fit`.
      path: of the PNG file.
      title: above the figure.
      best_epoch: marked in every panel.
    """
    names = [key.removeprefix("train/") for key in history[0] if key.startswith("train/")]
    # The sum of two players' losses says nothing, and goes nowhere.
    if any(name.endswith("_fooled") for name in names):
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
        # Penalties and errors are among the terms, which are not in nats.
        unit = "nats per image" if name == "loss" else "mean over images"
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
    """Several curves over the same points, each with its name.

    Args:
      x: of the points.
      curves: `{name: y}`.
      path: of the PNG file.
      title: above the figure.
      xlabel: of the horizontal axis.
      ylabel: of the vertical axis.
      logarithmic: the horizontal axis, with the points' own values.
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


def projection(
    points: np.ndarray, projected: np.ndarray, names: Sequence[str], path: Path, *, title: str
) -> None:
    """Points in the plane, `[n, 2]`, and what they were projected to, joined by lines."""
    figure = Figure(figsize=(4.8, 4.2), layout="constrained")
    axes = figure.add_subplot()
    order = np.argsort(projected[:, 0])
    axes.plot(*projected[order].T, "C1-", linewidth=1)
    for point, to, name in zip(points, projected, names, strict=True):
        axes.plot(*np.stack([point, to]).T, color="0.7", linestyle=":")
        axes.annotate(name, point, textcoords="offset points", xytext=(4, 4))
    axes.plot(*points.T, "C0o", label="initial")
    axes.plot(*projected.T, "C1s", label="decoded", markersize=5)
    axes.set_aspect("equal")
    axes.set(title=title, xlabel="$x_1$", ylabel="$x_2$")
    axes.title.set_fontsize(9)
    axes.legend()
    save(figure, path)


def curve(
    x: Sequence[float | int],
    y: Sequence[float],
    path: Path,
    *,
    title: str,
    xlabel: str,
    ylabel: str,
) -> None:
    """One measured curve, its points marked, both axes logarithmic with the points' own values."""
    figure = Figure(figsize=(5.2, 3.6), layout="constrained")
    axes = figure.add_subplot()
    axes.loglog(x, y, "C0o-")
    axes.set_xticks(list(x), [f"{v:g}" for v in x])
    axes.minorticks_off()
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
    axes.set_yticks(list(y), [f"{v:.3g}" for v in y])
    save(figure, path)


def scatter(
    codes: Mapping[str, np.ndarray],
    labels: np.ndarray | Sequence[np.ndarray | None] | None,
    path: Path,
    *,
    title: str,
    names: tuple[str, str] = ("$z_1$", "$z_2$"),
    reach: Sequence[np.ndarray] | None = None,
) -> None:
    """Codes in the plane, one panel for each model, coloured by class.

    Args:
      codes: `{name: [n, 2]}`.
      labels: `[n]`, of all panels, or a list of them, one for each; None for one colour.
      path: of the PNG file.
      title: above the figure.
      names: of the two axes.
      reach: for each panel the points that its axes have to show; its own when None.
    """
    width = 5.0 * len(codes) + (0.6 if labels is not None else 0)
    figure = Figure(figsize=(width, 5.2), layout="constrained")
    for i, (name, points) in enumerate(codes.items()):
        axes = figure.add_subplot(1, len(codes), i + 1)
        own = labels[i] if isinstance(labels, Sequence) else labels
        for label, colour in _colours(own):
            if own is None and labels is not None:
                colour = "0.4"  # and not that of a class
            chosen = points if own is None else points[own == label]
            axes.plot(*chosen.T, ".", color=colour, markersize=2.5, alpha=0.6, label=str(label))
        axes.set_title(name, fontsize=10)
        axes.set(xlabel=names[0], ylabel=names[1], box_aspect=1)
        _limit(axes, points if reach is None else reach[i])
    if labels is not None:
        _name_classes(figure)
    figure.suptitle(title)
    save(figure, path)


def ellipses(
    posteriors: Mapping[str, tuple[np.ndarray, np.ndarray]],
    labels: np.ndarray | None,
    path: Path,
    *,
    title: str,
    names: tuple[str, str] = ("$z_1$", "$z_2$"),
) -> None:
    """Diagonal Gaussians in the plane, each as the ellipse of two standard deviations.

    The circle of two standard deviations of N(0, I) is dashed.

    Args:
      posteriors: for each panel means and standard deviations, `{name: ([n, 2], [n, 2])}`.
      labels: `[n]`; None for one colour.
      path: of the PNG file.
      title: above the figure.
      names: of the two axes.
    """
    width = 5.0 * len(posteriors) + (0.6 if labels is not None else 0)
    figure = Figure(figsize=(width, 5.2), layout="constrained")
    for i, (name, (means, deviations)) in enumerate(posteriors.items()):
        axes = figure.add_subplot(1, len(posteriors), i + 1)
        for label, colour in _colours(labels):
            chosen = np.arange(len(means)) if labels is None else np.flatnonzero(labels == label)
            for j in chosen:
                w, h = 4 * deviations[j]
                axes.add_patch(Ellipse(means[j], w, h, color=colour, alpha=0.35, linewidth=0))
            # A posterior that is narrower than a pixel is still there.
            axes.plot(*means[chosen].T, ".", color=colour, markersize=2, label=str(label))
        axes.add_patch(Circle((0, 0), 2, fill=False, color="0.3", linestyle="--"))
        reach = np.concatenate([means - 2 * deviations, means + 2 * deviations])
        _limit(axes, np.concatenate([reach, [[-2, -2], [2, 2]]]), coverage=1.0)
        axes.set_title(name, fontsize=10)
        axes.set(xlabel=names[0], ylabel=names[1], aspect="equal")
    if labels is not None:
        _name_classes(figure)
    figure.suptitle(title)
    save(figure, path)


def histograms(
    values: Mapping[str, np.ndarray],
    path: Path,
    *,
    title: str,
    xlabel: str,
    density: tuple[str, np.ndarray, np.ndarray],
) -> None:
    """Distributions over each other, and a density to compare them with.

    Args:
      values: `{name: [n]}`.
      path: of the PNG file.
      title: above the figure.
      xlabel: of the horizontal axis.
      density: its name, where, and its values there.
    """
    figure = Figure(figsize=(5.6, 3.6), layout="constrained")
    axes = figure.add_subplot()
    name, x, y = density
    bins = np.linspace(x[0], x[-1], 81).tolist()
    for i, (label, sample) in enumerate(values.items()):
        axes.hist(
            np.clip(sample, x[0], x[-1]),
            bins,
            density=True,
            histtype="step",
            color=f"C{i}",
            label=label,
        )
    axes.plot(x, y, "0.3", linestyle="--", label=name)
    axes.set(title=title, xlabel=xlabel, ylabel="density")
    axes.legend()
    save(figure, path)


def densities(samples: Mapping[str, np.ndarray], path: Path, *, title: str) -> None:
    """A panel for each dimension (of the first eight), with the histograms of several samples of codes.

    Args:
      samples: `{name: [n, d]}`; the last is dashed, as what the others should be.
      path: of the PNG file.
      title: above the figure.
    """
    dimensions = min(8, next(iter(samples.values())).shape[1])
    columns = min(4, dimensions)
    lines = -(-dimensions // columns)
    figure = Figure(figsize=(max(5.6, 3.4 * columns), 0.6 + 2.6 * lines), layout="constrained")
    *_, wanted = samples.values()
    for j in range(dimensions):
        axes = figure.add_subplot(lines, columns, j + 1)
        reach = 1.3 * np.quantile(np.abs(wanted[:, j]), 0.999)
        bins = np.linspace(-reach, reach, 61)
        for i, (name, codes) in enumerate(samples.items()):
            last = i == len(samples) - 1
            # What lies outside is not there, and does not raise the rest.
            outside = np.mean(np.abs(codes[:, j]) > reach)
            axes.hist(
                codes[:, j],
                bins.tolist(),
                weights=np.full(len(codes), 1 / (len(codes) * (bins[1] - bins[0]))),
                histtype="step",
                color="0.3" if last else f"C{i}",
                linestyle="--" if last else "-",
                label=f"{name} ({outside:.0%} outside)" if outside > 0.005 else name,
            )
        axes.set(xlabel=f"$z_{{{j + 1}}}$", ylabel="density" if j % columns == 0 else "")
        axes.legend(fontsize=8)
    figure.suptitle(title)
    save(figure, path)


def bars(
    values: np.ndarray, path: Path, *, title: str, xlabel: str, ylabel: str, level: float
) -> None:
    """A bar for each value, `[n]`, numbered from 1, and a line at a level."""
    figure = Figure(figsize=(5.6, 3.4), layout="constrained")
    axes = figure.add_subplot()
    axes.bar(np.arange(1, len(values) + 1), values)
    axes.axhline(level, color="0.3", linestyle="--", linewidth=1)
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    save(figure, path)


def confusion(
    counts: np.ndarray,
    path: Path,
    *,
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    xlabel: str,
    ylabel: str,
) -> None:
    """A matrix of counts, `[rows, columns]`, each written in its cell, coloured by its part of the row."""
    size = 1.6 + 0.5 * len(columns), 1.4 + 0.42 * len(rows)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    parts = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(parts, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for i, j in np.argwhere(counts):
        colour = "white" if parts[i, j] > 0.5 else "black"
        axes.text(j, i, str(counts[i, j]), ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(len(columns)), list(columns))
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
    save(figure, path)


def _colours(labels: np.ndarray | None) -> list[tuple[Any, Any]]:
    """Each class and its colour."""
    if labels is None:
        return [(None, "C0")]
    classes = np.unique(labels)
    palette = (
        colormaps["tab10"] if len(classes) <= 10 else colormaps["turbo"].resampled(len(classes))
    )
    return [(label, palette(i)) for i, label in enumerate(classes)]


def _name_classes(figure: Figure) -> None:
    """One legend for all panels, with dots that can be seen."""
    handles = figure.axes[0].get_legend_handles_labels()
    legend = figure.legend(*handles, loc="outside right center", markerscale=4, title="class")
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(1)


def _limit(axes: Axes, points: np.ndarray, *, coverage: float = 0.998) -> None:
    """Axes that show all but the outermost points, with a margin."""
    low, high = np.quantile(points, [(1 - coverage) / 2, (1 + coverage) / 2], axis=0)
    margin = 0.05 * np.maximum(high - low, 1e-6)
    axes.set_xlim(low[0] - margin[0], high[0] + margin[0])
    axes.set_ylim(low[1] - margin[1], high[1] + margin[1])
