"""Histograms, bars and tables of counts, as PNG files."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from jaxae.runs.figures import save


def histograms(
    values: Mapping[str, np.ndarray],
    path: Path,
    *,
    title: str,
    xlabel: str,
    density: tuple[str, np.ndarray, np.ndarray],
) -> None:
    """Draws the histograms of several samples, and a density to compare them with.

    Args:
      values: `{name: [n]}`.
      path: of the PNG file.
      title: above the figure.
      xlabel: of the horizontal axis.
      density: its name, points, and its values at these points.
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
    """Draws histograms of several samples of codes, with a panel for each of the first eight dimensions.

    Args:
      samples: `{name: [n, d]}`; the last, with which the others are compared, is dashed.
      path: of the PNG file.
      title: above the figure.
    """
    dimensions = min(8, next(iter(samples.values())).shape[1])
    columns = min(4, dimensions)
    lines = -(-dimensions // columns)
    figure = Figure(figsize=(max(5.6, 3.4 * columns), 0.6 + 2.6 * lines), layout="constrained")
    *_, reference = samples.values()
    for j in range(dimensions):
        axes = figure.add_subplot(lines, columns, j + 1)
        reach = 1.3 * np.quantile(np.abs(reference[:, j]), 0.999)
        bins = np.linspace(-reach, reach, 61)
        for i, (name, codes) in enumerate(samples.items()):
            last = i == len(samples) - 1
            # The heights are parts of all codes, those outside the axis included.
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
    """Draws a bar for each value, `[n]`, numbered from 1, and a dashed line at a level."""
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
    """Draws a matrix of counts, `[rows, columns]`, coloured by their part of the row."""
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
