"""Histograms, bars and tables of counts, as PNG files."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from jaxae.runs.figures import save
from jaxae.runs.style import PALETTE, REFERENCE, entitle, name_curves


def histograms(
    values: Mapping[str, np.ndarray],
    path: Path,
    *,
    title: str,
    xlabel: str,
    density: tuple[str, np.ndarray, np.ndarray],
) -> None:
    """Draws the histograms of several samples, and a density to compare them with.

    Values outside of the axis are in no bin; the legend says how many there are. The heights are parts
    of all values, so that the area of a histogram is the part inside.

    Args:
      values: `{name: [n]}`.
      path: of the PNG file.
      title: above the figure.
      xlabel: of the horizontal axis.
      density: its name, points, and its values at these points.
    """
    figure = Figure(figsize=(7.0, 3.6), layout="constrained")
    axes = figure.add_subplot()
    name, x, y = density
    bins = np.linspace(x[0], x[-1], 81)
    for i, (label, sample) in enumerate(values.items()):
        outside = _histogram(axes, sample, bins, PALETTE[i % len(PALETTE)])
        axes.plot([], [], color=PALETTE[i % len(PALETTE)], label=label + _outside(outside))
    axes.plot(x, y, REFERENCE, linestyle="--", label=name)
    axes.set(xlabel=xlabel, ylabel="density", xlim=(x[0], x[-1]))
    name_curves(figure)
    entitle(figure, title)
    save(figure, path)


def densities(samples: Mapping[str, np.ndarray], path: Path, *, title: str) -> None:
    """Draws histograms of several samples of codes, with a panel for each of the first eight dimensions.

    All panels have the same axes. Codes outside of them are in no bin; each panel says how many there
    are.

    Args:
      samples: `{name: [n, d]}`; the last, with which the others are compared, is dashed.
      path: of the PNG file.
      title: above the figure.
    """
    dimensions = min(8, next(iter(samples.values())).shape[1])
    columns = min(4, dimensions)
    lines = -(-dimensions // columns)
    figure = Figure(figsize=(max(7.0, 2.7 * columns), 1.0 + 2.5 * lines), layout="constrained")
    *_, reference = samples.values()
    reach = 1.3 * np.quantile(np.abs(reference[:, :dimensions]), 0.999)
    bins = np.linspace(-reach, reach, 61)
    panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes in panels[dimensions:]:
        axes.remove()
    for j, axes in enumerate(panels[:dimensions]):
        notes = []
        for i, (name, codes) in enumerate(samples.items()):
            last = i == len(samples) - 1
            colour, line = (REFERENCE, "--") if last else (PALETTE[i % len(PALETTE)], "-")
            outside = _histogram(axes, codes[:, j], bins, colour, line)
            axes.plot([], [], color=colour, linestyle=line, label=name)
            if outside > 0.005:
                notes.append(f"{name} {outside:.0%}")
        axes.set(xlabel=f"$z_{{{j + 1}}}$", xlim=(-reach, reach))
        axes.set_title(f"outside: {', '.join(notes)}" if notes else "", fontsize=8)
        axes.tick_params(labelbottom=True)
        if j % columns == 0:
            axes.set_ylabel("density")
    name_curves(figure, columns=len(samples))
    entitle(figure, title)
    save(figure, path)


def bars(
    values: np.ndarray,
    path: Path,
    *,
    title: str,
    xlabel: str,
    ylabel: str,
    level: tuple[str, float],
) -> None:
    """Draws a bar for each value, `[n]`, numbered from 1, and a dashed line at a level with its name."""
    figure = Figure(figsize=(7.0, 3.6), layout="constrained")
    axes = figure.add_subplot()
    axes.bar(np.arange(1, len(values) + 1), values, color=PALETTE[0])
    axes.axhline(level[1], color=REFERENCE, linestyle="--", linewidth=1, label=level[0])
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    name_curves(figure, columns=1)
    entitle(figure, title)
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
    size = max(5.0, 1.6 + 0.5 * len(columns)), 1.6 + 0.42 * len(rows)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    parts = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shown = axes.imshow(parts, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for i, j in np.argwhere(counts):
        colour = "white" if parts[i, j] > 0.5 else "black"
        axes.text(j, i, str(counts[i, j]), ha="center", va="center", color=colour, fontsize=8)
    turned = any(len(name) > 4 for name in columns)
    axes.set_xticks(range(len(columns)), list(columns))
    if turned:
        axes.tick_params(axis="x", labelrotation=60)
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set(xlabel=xlabel, ylabel=ylabel)
    figure.colorbar(shown, ax=axes, label="fraction of the row", shrink=0.8)
    entitle(figure, title)
    save(figure, path)


def _histogram(
    axes: Axes, sample: np.ndarray, bins: np.ndarray, colour: str, line: str = "-"
) -> float:
    """Draws a histogram whose heights are parts of all values; returns the part outside of the bins."""
    sample = np.asarray(sample)
    width = bins[1] - bins[0]
    axes.hist(
        sample,
        bins.tolist(),
        weights=np.full(len(sample), 1 / (len(sample) * width)),
        histtype="step",
        color=colour,
        linestyle=line,
    )
    return float(np.mean((sample < bins[0]) | (sample > bins[-1])))


def _outside(part: float) -> str:
    """The end of a label, for values that are in no bin."""
    return "" if part == 0 else f" ({max(100 * part, 0.1):.1f} % outside)"
