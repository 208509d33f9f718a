"""Points and ellipses in the plane, as PNG files."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Ellipse
from matplotlib.patheffects import withStroke

from jaxae.runs.figures import save
from jaxae.runs.style import OTHER, PALETTE, REFERENCE, Style, class_styles, entitle

LARGEST_RATIO = 2.5
"""Panels whose points spread so much differently have scales of their own, and say so."""

Names = tuple[str, str]
Reach = tuple[np.ndarray, np.ndarray]


def scatter(
    codes: Mapping[str, np.ndarray],
    labels: np.ndarray | Sequence[np.ndarray | None] | None,
    path: Path,
    *,
    title: str,
    names: Names | Mapping[str, Names] = ("$z_1$", "$z_2$"),
    classes: Sequence[str] = (),
) -> None:
    """Draws codes in the plane, coloured by class, with one panel for each model.

    The panels have the same scale, unless the points of one would be a dot in another; then both say
    that their scales differ. The few points outside of the axes are counted below the panel.

    Args:
      codes: `{name: [n, 2]}`.
      labels: `[n]`, the same for all panels, or a list with those of each panel; None for one colour.
      path: of the PNG file.
      title: above the figure.
      names: of the two axes, of all panels or of each.
      classes: the names of the classes.
    """
    each = list(labels) if isinstance(labels, Sequence) else [labels] * len(codes)
    styles = _styles(each, classes)
    figure, panels = _panels(codes, bool(styles))
    limits, differ = _limits([_reach(points) for points in codes.values()])
    for i, ((name, points), axes) in enumerate(zip(codes.items(), panels, strict=True)):
        for style, chosen in _parts(styles, each[i], len(points)):
            axes.plot(
                *points[chosen].T,
                linestyle="",
                marker=style.marker,
                color=style.colour,
                markersize=float(np.clip(130 / np.sqrt(len(points)), 1.8, 4.0)),
                markeredgewidth=0,
                alpha=0.9,
            )
        low, high = limits[i]
        outside = int(np.sum(((points < low) | (points > high)).any(axis=1)))
        note = f"{outside} of {len(points)} points are outside" if outside else ""
        _finish(axes, name, names, limits[i], differ=differ, note=note)
        _write_names(axes, styles, each[i], points, limits[i])
    _name_classes(figure, styles, others=_others(styles, each))
    entitle(figure, title)
    save(figure, path)


def ellipses(
    posteriors: Mapping[str, tuple[np.ndarray, np.ndarray]],
    labels: np.ndarray | None,
    path: Path,
    *,
    title: str,
    names: Names | Mapping[str, Names] = ("$z_1$", "$z_2$"),
    classes: Sequence[str] = (),
) -> None:
    """Draws diagonal Gaussians in the plane, each as the ellipse of two standard deviations.

    The dashed circle is that of two standard deviations of N(0, I). The panels have the same scale, as
    in :func:`scatter`.

    Args:
      posteriors: the means and standard deviations of each panel, `{name: ([n, 2], [n, 2])}`.
      labels: `[n]`; None for one colour.
      path: of the PNG file.
      title: above the figure.
      names: of the two axes, of all panels or of each.
      classes: the names of the classes.
    """
    styles = _styles([labels], classes)
    figure, panels = _panels(posteriors, bool(styles))
    circle = np.array([[-2.0, -2.0], [2.0, 2.0]])
    limits, differ = _limits(
        [
            _reach(np.concatenate([m - 2 * s, m + 2 * s, circle]), coverage=1.0)
            for m, s in posteriors.values()
        ],
        square=True,
    )
    for i, ((name, (means, deviations)), axes) in enumerate(
        zip(posteriors.items(), panels, strict=True)
    ):
        for style, chosen in _parts(styles, labels, len(means)):
            for j in chosen:
                w, h = 4 * deviations[j]
                axes.add_patch(Ellipse(means[j], w, h, color=style.colour, alpha=0.35, linewidth=0))
            # A posterior narrower than a pixel is still visible as a dot.
            axes.plot(*means[chosen].T, ".", color=style.colour, markersize=2)
        axes.add_patch(Circle((0, 0), 2, fill=False, color=REFERENCE, linestyle="--"))
        _finish(axes, name, names, limits[i], differ=differ)
        _write_names(axes, styles, labels, means, limits[i])
    _name_classes(figure, styles, others=_others(styles, [labels]))
    entitle(figure, title)
    save(figure, path)


def projection(
    points: np.ndarray, projected: np.ndarray, names: Sequence[str], path: Path, *, title: str
) -> None:
    """Draws points in the plane, `[n, 2]`, and their projections, joined by lines."""
    figure = Figure(figsize=(5.8, 4.4), layout="constrained")
    axes = figure.add_subplot()
    order = np.argsort(projected[:, 0])
    axes.plot(*projected[order].T, color=PALETTE[2], linewidth=1)
    for point, to, name in zip(points, projected, names, strict=True):
        axes.plot(*np.stack([point, to]).T, color="0.6", linestyle=":")
        axes.annotate(name, point, textcoords="offset points", xytext=(5, 5))
    axes.plot(*points.T, "o", color=PALETTE[0], label="point")
    axes.plot(*projected.T, "s", color=PALETTE[2], label="its projection", markersize=5)
    axes.set_aspect("equal")
    axes.margins(0.1)
    axes.set(xlabel="$x_1$", ylabel="$x_2$")
    figure.legend(loc="outside lower center", ncols=2)
    entitle(figure, title)
    save(figure, path)


def _panels(panels: Mapping[str, object], legend: bool) -> tuple[Figure, list[Axes]]:
    """A figure that a README shows with readable letters, and its axes."""
    width = min(5.0, 10.5 / len(panels))
    figure = Figure(
        figsize=(width * len(panels) + (1.0 if legend else 0), width + 0.5), layout="constrained"
    )
    return figure, list(figure.subplots(1, len(panels), squeeze=False).ravel())


def _styles(labels: Sequence[np.ndarray | None], classes: Sequence[str]) -> dict[int, Style]:
    """A style for each class of all panels."""
    known = [np.asarray(own) for own in labels if own is not None]
    return class_styles(np.concatenate(known), classes) if known else {}


def _parts(
    styles: Mapping[int, Style], labels: np.ndarray | None, count: int
) -> list[tuple[Style, np.ndarray]]:
    """The points of each style: those without one come first, below the others."""
    if labels is None:
        # A colour that no class has.
        return [(Style("0.4" if styles else PALETTE[0], "o", ""), np.arange(count))]
    labels = np.asarray(labels)
    rest = np.flatnonzero(~np.isin(labels, list(styles)))
    parts = [(Style(OTHER, "o", ""), rest)] if len(rest) else []
    return parts + [(style, np.flatnonzero(labels == label)) for label, style in styles.items()]


def _reach(points: np.ndarray, *, coverage: float = 0.998) -> Reach:
    """The lowest and the highest coordinates of all but the outermost points, with a margin."""
    low, high = np.quantile(points, [(1 - coverage) / 2, (1 + coverage) / 2], axis=0)
    margin = 0.05 * np.maximum(high - low, 1e-6)
    return low - margin, high + margin


def _limits(reaches: Sequence[Reach], *, square: bool = False) -> tuple[list[Reach], bool]:
    """The limits of each panel, and whether they differ: panels with similar extents share them."""
    if square:
        reaches = [_square(*reach) for reach in reaches]
    groups: list[list[int]] = []
    size = [float(np.max(high - low)) for low, high in reaches]
    for i in np.argsort(size):
        for group in groups:
            low, high = _union([reaches[j] for j in (*group, i)])
            if np.max(high - low) <= LARGEST_RATIO * min(size[j] for j in group):
                group.append(int(i))
                break
        else:
            groups.append([int(i)])
    limits = {i: _union([reaches[j] for j in group]) for group in groups for i in group}
    if square:
        limits = {i: _square(*reach) for i, reach in limits.items()}
    return [limits[i] for i in range(len(reaches))], len(groups) > 1


def _square(low: np.ndarray, high: np.ndarray) -> Reach:
    """The same limits with the larger extent in both directions, for circles that look like circles."""
    middle, half = (low + high) / 2, np.max(high - low) / 2
    return middle - half, middle + half


def _union(reaches: Sequence[Reach]) -> Reach:
    lows, highs = zip(*reaches, strict=True)
    return np.min(lows, axis=0), np.max(highs, axis=0)


def _finish(
    axes: Axes,
    name: str,
    names: Names | Mapping[str, Names],
    limits: Reach,
    *,
    differ: bool,
    note: str = "",
) -> None:
    """Titles, labels and limits of a panel."""
    first, second = names[name] if isinstance(names, Mapping) else names
    (left, bottom), (right, top) = limits
    heading = f"{name}\n(scales differ between panels)" if differ else name
    axes.set_title(heading, fontsize=10)
    axes.set_anchor("N")  # below the title, without a space between them
    axes.set(
        xlabel=f"{first}\n{note}" if note else first,
        ylabel=second,
        box_aspect=1,
        xlim=(left, right),
        ylim=(bottom, top),
    )


def _write_names(
    axes: Axes,
    styles: Mapping[int, Style],
    labels: np.ndarray | None,
    points: np.ndarray,
    limits: Reach,
) -> None:
    """Writes the name of each class at the median of its points, for those who see few colours."""
    if labels is None or len(styles) > len(PALETTE):
        return
    for label, style in styles.items():
        own = points[np.asarray(labels) == label]
        if len(own):
            x, y = np.clip(np.median(own, axis=0), *limits)
            axes.text(
                x,
                y,
                style.name,
                ha="center",
                va="center",
                fontsize=9,
                fontweight="bold",
                path_effects=[withStroke(linewidth=2.5, foreground="white")],
            )


def _others(styles: Mapping[int, Style], labels: Sequence[np.ndarray | None]) -> bool:
    """Whether there are classes without a style."""
    return any(own is not None and not np.isin(own, list(styles)).all() for own in labels)


def _name_classes(figure: Figure, styles: Mapping[int, Style], *, others: bool) -> None:
    """Adds one legend for all panels, with larger dots than those of the panels."""
    if not styles:
        return
    handles = [
        Line2D([], [], linestyle="", marker=s.marker, color=s.colour, label=s.name, markersize=7)
        for s in styles.values()
    ]
    if others:
        handles.append(Line2D([], [], linestyle="", marker="o", color=OTHER, label="others"))
    figure.legend(
        handles=handles,
        loc="outside right center",
        title="class",
        ncols=1 + len(handles) // 16,
        fontsize=9,
    )
