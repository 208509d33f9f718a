"""Curves as PNG files."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from jaxae.runs.figures import save
from jaxae.runs.style import PALETTE, entitle, name_curves

TERMS = {
    "squared_error": ("squared error", "squared error of an image"),
    "loss": ("loss", "nats per image"),
    "distortion": (r"reconstruction, $-\log\,p(x\,|\,z)$", "nats per image"),
    "rate": ("KL divergence from the prior", "nats per image"),
    "negative_elbo": ("negative ELBO", "nats per image"),
    "negative_iwae": ("negative importance-weighted bound", "nats per image"),
    "feature_distortion": ("reconstruction of features", "nats per image"),
    "cross_entropy": ("cross-entropy of the classes", "nats per image"),
    "clustering": ("KL divergence of the clusters", "nats per image"),
    "error_rate": ("classification error", "fraction of the images"),
    "mmd": ("squared MMD", "without its weight"),
    "contraction": ("contractive penalty", "without its weight"),
    "sparsity": ("sparsity penalty", "without its weight"),
    "gradient_norm": ("norm of the gradient", "mean over the steps"),
}
"""The title and the axis of the panel of a term; the panels have this order, the others come before the
last."""

PLAYERS = {
    "_generator_loss": ("loss of the generator", "nats per image"),
    "_loss": ("loss of the discriminator", "nats per image"),
    "_accuracy": ("accuracy of the discriminator", "fraction that is right"),
    "_r1_penalty": ("R1 penalty of the discriminator", "without its weight"),
}
"""The same for the terms of a game, whose names begin with that of the discriminator."""

SAME = 1e-6
"""Two curves are the same if they differ by at most this part of their values."""

History = Sequence[Mapping[str, float | int]]


def learning_curves(
    history: History,
    path: Path,
    *,
    title: str,
    best_epoch: int,
    total: bool = True,
) -> None:
    """Draws the loss and each of its terms against the epoch, in training and in validation.

    Terms that are equal in every epoch are one panel, whose title names all of them; so are the squared
    error and the nats of a normal likelihood with a fixed scale, which differ by a factor and a constant.

    Args:
      history: the records of :func:`jaxae.fit`.
      path: of the PNG file.
      title: above the figure.
      best_epoch: the selected epoch, which is marked in every panel.
      total: whether there is a panel for the loss. In an adversarial game it is the sum of both players'
        losses, which says nothing.
    """
    groups = _groups(history, total)
    columns = min(len(groups), 2 if len(groups) <= 4 else 3)
    lines = -(-len(groups) // columns)
    figure = Figure(
        figsize=(max(5.2, (4.4, 3.5)[columns == 3] * columns), 1.0 + 2.6 * lines),
        layout="constrained",
    )
    epochs = [record["epoch"] for record in history]
    for i, names in enumerate(groups):
        axes = figure.add_subplot(lines, columns, i + 1)
        for kind, colour in (("train", PALETTE[0]), ("validation", PALETTE[2])):
            if f"{kind}/{names[0]}" in history[0]:
                values = [float(record[f"{kind}/{names[0]}"]) for record in history]
                marker = "o" if len(epochs) == 1 else None
                axes.plot(epochs, values, color=colour, label=kind, marker=marker)
        selected = f"selected epoch ({best_epoch})"
        axes.axvline(best_epoch, color="0.5", linestyle=":", label=selected)
        heading, unit = _heading(names)
        axes.set_title(heading, fontsize=10)
        axes.set(xlabel="epoch", ylabel=unit)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        # Numbers as they are, without an offset above the axis.
        axes.ticklabel_format(axis="y", useOffset=False)
    name_curves(figure, columns=3)
    entitle(figure, title)
    save(figure, path)


def _groups(history: History, total: bool) -> list[list[str]]:
    """The terms of each panel: those whose curves are the same are together."""
    names = [key.removeprefix("train/") for key in history[0] if key.startswith("train/")]
    if not total:
        names.remove("loss")
    order = list(TERMS)
    names.sort(key=lambda name: (order.index(name) if name in order else len(order) - 1.5, name))
    groups: list[list[str]] = []
    for name in names:
        for group in groups:
            if _same(history, group[0], name):
                group.append(name)
                break
        else:
            groups.append([name])
    return groups


def _same(history: History, a: str, b: str) -> bool:
    """Whether two curves are equal, or one is the squared error and the other its affine function."""
    kinds = [kind for kind in ("train", "validation") if f"{kind}/{a}" in history[0]]
    if kinds != [kind for kind in ("train", "validation") if f"{kind}/{b}" in history[0]]:
        return False
    first, second = (
        np.array([float(record[f"{kind}/{name}"]) for kind in kinds for record in history])
        for name in (a, b)
    )
    if a == "squared_error" and len(history) > 1 and np.isfinite([first, second]).all():
        centred = first - first.mean()
        slope = centred @ (second - second.mean()) / max(centred @ centred, 1e-30)
        residual = second - second.mean() - slope * centred
        # Of sums of 700 constants in float32, a few units in the last place.
        return bool(slope > 0 and np.abs(residual).max() <= SAME * np.abs(second).max())
    return bool(np.allclose(first, second, rtol=SAME, atol=0, equal_nan=True))


def _heading(names: Sequence[str]) -> tuple[str, str]:
    """The title and the vertical axis of a panel."""
    words = [_words(name) for name in names]
    affine = ", up to constants" if names[0] == "squared_error" and len(names) > 1 else ""
    return " = ".join(title for title, _ in words) + affine, words[0][1]


def _words(name: str) -> tuple[str, str]:
    """What a term is called, and its unit."""
    if name in TERMS:
        return TERMS[name]
    for end, (title, unit) in PLAYERS.items():
        if name.endswith(end):
            player = name.removesuffix(end).replace("_", " ")
            return title + ("" if player == "discriminator" else f" ({player})"), unit
    return name.replace("_", " "), "mean over images"


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
    several = len(curves) > 1
    figure = Figure(figsize=(7.4 if several else 5.8, 3.7), layout="constrained")
    axes = figure.add_subplot()
    for i, (name, y) in enumerate(curves.items()):
        marker = "o^sDvP"[i % 6] if len(x) <= 20 else ""
        axes.plot(x, y, color=PALETTE[i % len(PALETTE)], marker=marker, label=name, markersize=5)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    if logarithmic:
        _logarithmic(axes, x, xlabel)
    elif all(float(value).is_integer() for value in x):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if several:
        name_curves(figure)
    entitle(figure, title)
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
    """Draws one curve on logarithmic axes, with ticks at its points and their values beside them."""
    figure = Figure(figsize=(5.8, 3.7), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(x, y, color=PALETTE[0], marker="o")
    for point in zip(x, y, strict=True):
        axes.annotate(f"{point[1]:.3g}", point, textcoords="offset points", xytext=(5, 5))
    _logarithmic(axes, x, xlabel)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylabel(f"{ylabel}, logarithmic")
    axes.margins(0.12)
    entitle(figure, title)
    save(figure, path)


def _logarithmic(axes: Axes, x: Sequence[float | int], label: str) -> None:
    """Makes the horizontal axis logarithmic, with a tick at each point."""
    axes.set_xscale("log")
    axes.set_xticks(list(x), [f"{v:g}" for v in x])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(f"{label}, logarithmic")
