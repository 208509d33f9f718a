"""Points and ellipses in the plane, as PNG files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Ellipse

from jaxae.runs.figures import save


def scatter(
    codes: Mapping[str, np.ndarray],
    labels: np.ndarray | Sequence[np.ndarray | None] | None,
    path: Path,
    *,
    title: str,
    names: tuple[str, str] = ("$z_1$", "$z_2$"),
    reach: Sequence[np.ndarray] | None = None,
) -> None:
    """Draws codes in the plane, coloured by class, with one panel for each model.

    Args:
      codes: `{name: [n, 2]}`.
      labels: `[n]`, the same for all panels, or a list with those of each panel; None for one colour.
      path: of the PNG file.
      title: above the figure.
      names: of the two axes.
      reach: for each panel, the points that its axes include; by default those of the panel.
    """
    width = 5.0 * len(codes) + (0.6 if labels is not None else 0)
    figure = Figure(figsize=(width, 5.2), layout="constrained")
    for i, (name, points) in enumerate(codes.items()):
        axes = figure.add_subplot(1, len(codes), i + 1)
        own = labels[i] if isinstance(labels, Sequence) else labels
        for label, colour in _colours(own):
            if own is None and labels is not None:
                colour = "0.4"  # a colour that no class has
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
    """Draws diagonal Gaussians in the plane, each as the ellipse of two standard deviations.

    The dashed circle is that of two standard deviations of N(0, I).

    Args:
      posteriors: the means and standard deviations of each panel, `{name: ([n, 2], [n, 2])}`.
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
            # A posterior narrower than a pixel is still visible as a dot.
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


def projection(
    points: np.ndarray, projected: np.ndarray, names: Sequence[str], path: Path, *, title: str
) -> None:
    """Draws points in the plane, `[n, 2]`, and their projections, joined by lines."""
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


def _colours(labels: np.ndarray | None) -> list[tuple[Any, Any]]:
    """The classes with their colours."""
    if labels is None:
        return [(None, "C0")]
    classes = np.unique(labels)
    palette = (
        colormaps["tab10"] if len(classes) <= 10 else colormaps["turbo"].resampled(len(classes))
    )
    return [(label, palette(i)) for i, label in enumerate(classes)]


def _name_classes(figure: Figure) -> None:
    """Adds one legend for all panels, with larger dots than those of the panels."""
    handles = figure.axes[0].get_legend_handles_labels()
    legend = figure.legend(*handles, loc="outside right center", markerscale=4, title="class")
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(1)


def _limit(axes: Axes, points: np.ndarray, *, coverage: float = 0.998) -> None:
    """Limits the axes to all but the outermost points, with a margin."""
    low, high = np.quantile(points, [(1 - coverage) / 2, (1 + coverage) / 2], axis=0)
    margin = 0.05 * np.maximum(high - low, 1e-6)
    axes.set_xlim(low[0] - margin[0], high[0] + margin[0])
    axes.set_ylim(low[1] - margin[1], high[1] + margin[1])
