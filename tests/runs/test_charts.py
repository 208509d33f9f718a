"""What charts, curves and scatters draw, read from the objects of matplotlib."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from jaxae.runs import charts, curves, scatters, style

PATH = Path("a.png")


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are written, in place of files."""
    figures = []

    def keep(figure, path):
        figure.canvas.draw()  # what would fail when a file is written fails here
        figures.append(figure)

    for module in (charts, curves, scatters):
        monkeypatch.setattr(module, "save", keep)
    return figures


def legend(figure):
    """The names in the legend of a figure, of which no panel has one of its own."""
    assert all(axes.get_legend() is None for axes in figure.axes)  # it would cover curves
    return [text.get_text() for one in figure.legends for text in one.get_texts()]


def titles(figure):
    return [axes.get_title() for axes in figure.axes]


def lightness(rgb):
    """CIELAB, by the definition."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x = linear @ np.array(to_xyz).T / [0.9505, 1, 1.089]
    f = np.where(x > (6 / 29) ** 3, np.cbrt(x), x / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack(
        [116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1
    )


@pytest.mark.parametrize(
    "seen_as",
    [
        np.eye(3),
        # Deuteranopia and protanopia (Machado et al., 2009), of linear values.
        [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
        [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    ],
)
def test_ten_colours_are_distinct(seen_as):
    colours = np.array([to_rgb(c) for c in style.PALETTE])
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ np.transpose(seen_as), 0, 1)
    colours = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    lab = lightness(colours)
    assert len(lab) == 10
    # A difference of 2.3 is just noticeable; of matplotlib's own ten colours, two differ by less than 6.
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(lab, 2)) > 13
    assert lab[:, 0].max() < 85  # visible on white


@pytest.mark.parametrize("classes", [2, 10, 11, 30, 47])
def test_every_class_has_a_style_of_its_own(drawn, classes):
    random = np.random.default_rng(0)
    labels = np.concatenate([np.arange(classes), random.integers(0, min(classes, 30), 500)])
    points = random.normal(size=(len(labels), 2))
    scatters.scatter({"AE": points}, labels, PATH, title="t")
    (axes,) = drawn[0].axes
    styles = {(line.get_color(), line.get_marker()) for line in axes.lines}
    assert len(styles) == min(classes, 30) + (classes > 30)
    names = [str(i) for i in range(min(classes, 30))] + ["others"] * (classes > 30)
    assert legend(drawn[0]) == names
    # All points are drawn, each with its class.
    assert sum(len(line.get_xdata()) for line in axes.lines) == len(labels)
    of_class_one = points[labels == 1]
    (line,) = [one for one in axes.lines if len(one.get_xdata()) == len(of_class_one)][:1]
    np.testing.assert_array_equal(np.sort(line.get_xdata()), np.sort(of_class_one[:, 0]))


def test_classes_have_their_names(drawn):
    labels = np.array([0, 2, 2, 5])
    points = np.random.default_rng(0).normal(size=(4, 2))
    scatters.scatter({"AE": points}, labels, PATH, title="t", classes=["cat", "dog", "owl"])
    assert legend(drawn[0]) == ["cat", "owl", "5"]  # one without a name keeps its number
    written = [text.get_text() for text in drawn[0].axes[0].texts]
    assert written == ["cat", "owl", "5"]
    scatters.ellipses(
        {"VAE": (points, np.ones((4, 2)))}, labels, PATH, title="t", classes=["a", "b", "c"]
    )
    assert legend(drawn[1]) == ["a", "c", "5"]
    scatters.scatter({"AE": points}, None, PATH, title="t")
    assert drawn[2].legends == []


def test_a_panel_without_labels_has_a_colour_that_no_class_has(drawn):
    points = np.random.default_rng(0).normal(size=(20, 2))
    labels = np.arange(20) % 4
    scatters.scatter({"AE": points, "prior": points}, [labels, None], PATH, title="t")
    coded, prior = ({to_rgb(line.get_color()) for line in axes.lines} for axes in drawn[0].axes)
    assert len(coded) == 4
    assert len(prior) == 1
    assert not coded & prior


def test_panels_that_are_compared_share_their_scale_or_say_that_they_do_not(drawn):
    points = np.random.default_rng(0).normal(size=(500, 2))
    scatters.scatter({"AE": 2 * points, "VAE": points + 0.5}, None, PATH, title="t")
    first, second = drawn[0].axes
    assert first.get_xlim() == second.get_xlim()
    assert first.get_ylim() == second.get_ylim()
    assert titles(drawn[0]) == ["AE", "VAE"]
    # In the same scale the VAE's codes would be a dot; those of the AAE and of the prior are comparable.
    many = {"AE": 100 * points, "AAE": points, "prior": 1.5 * points}
    scatters.scatter(many, None, PATH, title="t")
    wide, narrow, prior = drawn[1].axes
    assert narrow.get_xlim() == prior.get_xlim()
    assert wide.get_xlim()[1] > 50 * narrow.get_xlim()[1]
    assert all("scales differ" in title for title in titles(drawn[1]))
    posteriors = {
        "beta 0": (2 * points, np.full((500, 2), 1e-3)),
        "beta 1": (points, np.full((500, 2), 0.3)),
    }
    scatters.ellipses(posteriors, None, PATH, title="t")
    first, second = drawn[2].axes
    assert first.get_xlim() == second.get_xlim()
    assert np.ptp(first.get_xlim()) == pytest.approx(
        np.ptp(first.get_ylim())
    )  # circles are circles


def test_points_outside_of_the_axes_are_counted(drawn):
    points = np.random.default_rng(0).uniform(size=(5000, 2))
    points[:3] = 50
    scatters.scatter({"AE": points}, None, PATH, title="t")
    (axes,) = drawn[0].axes
    assert axes.get_xlim()[1] < 2
    assert "of 5000 points are outside" in axes.get_xlabel()
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    inside = (points[:, 0] >= left) & (points[:, 0] <= right)
    inside &= (points[:, 1] >= bottom) & (points[:, 1] <= top)
    assert axes.get_xlabel().splitlines()[1].startswith(f"{np.sum(~inside)} of")


def test_ellipses_are_two_standard_deviations(drawn):
    scatters.ellipses(
        {"VAE": (np.zeros((1, 2)), np.array([[2.0, 0.5]]))},
        None,
        PATH,
        title="t",
        names={"VAE": ("$z_3$", "$z_7$")},
    )
    (axes,) = drawn[0].axes
    ellipse = next(p for p in axes.patches if type(p) is Ellipse)
    assert (ellipse.width, ellipse.height) == (8.0, 2.0)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("$z_3$", "$z_7$")


def test_projections(drawn):
    points = np.array([[0.0, 1.0], [1.0, 0.0]])
    scatters.projection(points, 0.5 * points, ["A", "B"], PATH, title="t")
    assert legend(drawn[0]) == ["point", "its projection"]
    assert [text.get_text() for text in drawn[0].axes[0].texts] == ["A", "B"]


def history(epochs=3, **terms):
    return [
        {"epoch": e} | {name.replace("_of_", "/"): value / e for name, value in terms.items()}
        for e in range(1, epochs + 1)
    ]


def values(figure):
    """The curves of each panel by its title."""
    return {
        axes.get_title(): {line.get_label(): list(line.get_ydata()) for line in axes.lines[:-1]}
        for axes in figure.axes
    }


def test_learning_curves_of_a_vae(drawn):
    parts = {"loss": 30.0, "negative_elbo": 30.0, "distortion": 20.0, "rate": 10.0}
    both = {f"{kind}_of_{name}": v for kind in ("train", "validation") for name, v in parts.items()}
    records = history(**both, train_of_gradient_norm=6.0)
    curves.learning_curves(records, PATH, title="t", best_epoch=2)
    shown = values(drawn[0])
    # The loss and the negative ELBO are one curve.
    assert [title.split(",")[0] for title in shown] == [
        "loss = negative ELBO",
        "reconstruction",
        "KL divergence from the prior",
        "norm of the gradient",
    ]
    assert shown["KL divergence from the prior"] == {
        "train": [10.0, 5.0, 10 / 3],
        "validation": [10.0, 5.0, 10 / 3],
    }
    assert list(shown["norm of the gradient"]) == ["train"]
    assert legend(drawn[0]) == ["train", "validation", "selected epoch (2)"]
    assert {axes.get_xlabel() for axes in drawn[0].axes} == {"epoch"}
    assert drawn[0].axes[0].get_ylabel() == "nats per image"


def test_curves_that_differ_in_validation_are_not_one(drawn):
    records = history(
        train_of_loss=3.0,
        train_of_distortion=3.0,
        validation_of_loss=4.0,
        validation_of_distortion=5.0,
    )
    curves.learning_curves(records, PATH, title="t", best_epoch=3)
    assert len(drawn[0].axes) == 2


def test_the_squared_error_takes_the_place_of_nats(drawn):
    errors = [15.0, 12.0, 11.0]
    nats = [e / 2 + 720.5 for e in errors]
    records = [
        {
            "epoch": i + 1,
            "train/loss": n,
            "train/distortion": n,
            "train/squared_error": e,
            "train/other": e**2,
        }
        for i, (n, e) in enumerate(zip(nats, errors, strict=True))
    ]
    curves.learning_curves(records, PATH, title="t", best_epoch=1)
    axes, other = drawn[0].axes
    assert list(axes.lines[0].get_ydata()) == errors
    assert axes.get_ylabel() == "squared error of an image"
    assert "loss" in axes.get_title()
    assert "up to constants" in axes.get_title()
    assert other.get_title() == "other"


def test_a_game_has_no_panel_for_its_loss(drawn):
    records = history(
        train_of_loss=9.0,
        train_of_discriminator_accuracy=0.9,
        train_of_classes_generator_loss=1.0,
        train_of_own_term=2.0,
    )
    curves.learning_curves(records, PATH, title="t", best_epoch=3, total=False)
    assert {axes.get_title(): axes.get_ylabel() for axes in drawn[0].axes} == {
        "accuracy of the discriminator": "fraction that is right",
        "loss of the generator (classes)": "nats per image",
        "own term": "mean over images",
    }


def test_lines_and_logarithmic_axes(drawn):
    two = {"first": [1.0, 2.0, 3.0], "second": [3.0, 2.0, 1.0]}
    curves.lines([10, 30, 100], two, PATH, title="t", xlabel="x", ylabel="y", logarithmic=True)
    (axes,) = drawn[0].axes
    assert legend(drawn[0]) == ["first", "second"]
    assert (axes.get_xscale(), axes.get_xlabel()) == ("log", "x, logarithmic")
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["10", "30", "100"]
    assert len({line.get_color() for line in axes.lines}) == 2
    curves.lines(range(100), {"one": [0.0] * 100}, PATH, title="t", xlabel="x", ylabel="y")
    assert drawn[1].legends == []
    curves.loglog([2, 4], [3.0, 1.0], PATH, title="t", xlabel="x", ylabel="y")
    (axes,) = drawn[2].axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("x, logarithmic", "y, logarithmic")
    assert [text.get_text() for text in axes.texts] == ["3", "1"]


def test_outliers_are_in_no_bin_and_are_counted(drawn):
    inside = np.random.default_rng(0).uniform(-1, 1, 90)
    sample = np.concatenate([inside, np.full(10, 99.0)])
    x = np.linspace(-3, 3, 61)
    charts.histograms(
        {"z": sample}, PATH, title="t", xlabel="value", density=("N", x, np.exp(-x * x))
    )
    (axes,) = drawn[0].axes
    corners = axes.patches[0].get_xy()
    heights = corners[corners[:, 0] > 2.5, 1]
    assert heights.max() == 0  # no false spike at the end
    assert legend(drawn[0]) == ["z (10.0 % outside)", "N"]
    # The area is the part inside.
    edges, steps = corners[:-1:2], corners[1::2]
    assert len(steps) >= 80
    area = np.sum(np.diff(corners[:, 0]) * corners[:-1, 1])
    assert abs(area) == pytest.approx(0.9, abs=1e-6)
    assert len(edges)


def test_densities_have_one_scale_and_count_what_is_outside(drawn):
    random = np.random.default_rng(0)
    codes = random.normal(size=(1000, 3)) * [1, 1, 100]
    charts.densities({"AE": codes, "prior": random.normal(size=(1000, 3))}, PATH, title="t")
    panels = drawn[0].axes
    assert len(panels) == 3
    assert len({axes.get_xlim() for axes in panels}) == 1
    assert len({axes.get_ylim() for axes in panels}) == 1
    assert panels[0].get_title() == ""
    outside = np.mean(np.abs(codes[:, 2]) > panels[2].get_xlim()[1])
    assert panels[2].get_title() == f"outside: AE {outside:.0%}"
    assert legend(drawn[0]) == ["AE", "prior"]


def test_bars_name_their_level(drawn):
    charts.bars(np.array([3.0, 1.0]), PATH, title="t", xlabel="x", ylabel="y", level=("least", 0.5))
    assert legend(drawn[0]) == ["least"]
    assert [bar.get_height() for bar in drawn[0].axes[0].patches] == [3.0, 1.0]


def test_confusion(drawn):
    counts = np.array([[50, 0, 1], [0, 20, 0]])
    words = {"title": "seed 0", "xlabel": "class", "ylabel": "cluster"}
    charts.confusion(counts, PATH, rows=["0", "1"], columns=["a", "bird", "cow"], **words)
    axes = drawn[0].axes[0]
    assert [text.get_text() for text in axes.texts] == ["50", "1", "20"]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["a", "bird", "cow"]
    assert drawn[0].get_suptitle() == "seed 0"


def test_long_titles_have_several_lines():
    figure = Figure(figsize=(4, 2))
    style.entitle(figure, "a title of many words " * 6)
    lines = figure.get_suptitle().splitlines()
    assert max(map(len, lines)) <= 42
    assert min(map(len, lines)) > 20  # no last line of a single word
