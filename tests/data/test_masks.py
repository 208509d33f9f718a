"""Masks of missing pixels: their sizes, places, and independence between images."""

import jax
import numpy as np
import pytest
import scipy.ndimage
from sklearn.linear_model import LogisticRegression

from jaxae.data import corruptions, masks

KEY = jax.random.key(0)


@pytest.mark.parametrize("shape", [(6, 1, 1, 3), (6, 8, 5, 1), (6, 97, 65, 3)])
@pytest.mark.parametrize(
    "mask",
    [
        masks.block(0.5),
        masks.block(0.3, centred=True),
        masks.half(),
        masks.pixels(0.5),
        masks.torn(0.4),
    ],
)
def test_any_shape(mask, shape):
    hole = mask(KEY, shape)
    assert hole.shape == (*shape[:3], 1)
    assert hole.dtype == bool
    np.testing.assert_array_equal(hole, jax.jit(mask, static_argnums=1)(KEY, shape))


def test_a_block_is_a_rectangle_at_any_place_or_in_the_centre():
    hole = np.asarray(masks.block(0.5)(KEY, (300, 8, 6, 1)))[..., 0]
    corners = set()
    for image in hole:
        rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
        assert image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        assert (len(rows), len(columns)) == (4, 3)
        assert image.sum() == 12
        corners.add((rows[0], columns[0]))
    assert len(corners) == 5 * 4  # every place
    middle = np.asarray(masks.block(0.5, centred=True)(KEY, (2, 8, 8, 1)))[..., 0]
    expected = np.zeros((8, 8), bool)
    expected[2:6, 2:6] = True
    np.testing.assert_array_equal(middle, np.stack([expected] * 2))


def test_half():
    whole = np.asarray(masks.half()(KEY, (200, 4, 6, 1)))[..., 0]
    found = {image.tobytes() for image in whole}
    one = {side: np.asarray(masks.half(side)(KEY, (1, 4, 6, 1)))[0, ..., 0] for side in masks.SIDES}
    assert found == {image.tobytes() for image in one.values()}
    assert all(image.sum() == 12 for image in one.values())
    assert one["left"][:, :3].all()
    assert one["right"][:, 3:].all()
    assert one["top"][:2].all()
    assert one["bottom"][2:].all()


def test_pixels_are_missing_at_the_rate():
    hole = np.asarray(masks.pixels(0.3)(KEY, (100, 10, 10, 3)))
    assert hole.mean() == pytest.approx(0.3, abs=0.02)
    assert np.std(hole.mean((1, 2, 3))) == pytest.approx(np.sqrt(0.3 * 0.7 / 100), rel=0.2)


def test_a_torn_edge_is_ragged_and_has_any_direction():
    n = 40
    hole = np.asarray(masks.torn(0.4)(KEY, (64, n, n, 1)))[..., 0]
    assert (hole.sum((1, 2)) == round(0.4 * n * n)).all()
    # The missing pixels are connected, except for a few, and reach the border.
    for image in hole:
        labels, _ = scipy.ndimage.label(image)
        assert np.bincount(labels.ravel())[1:].max() > 0.95 * image.sum()
    border = np.concatenate([hole[:, 0], hole[:, -1], hole[:, :, 0], hole[:, :, -1]], axis=1)
    assert border.any(1).all()
    # They lie in all directions from the centre.
    y, x = np.mgrid[:n, :n] - (n - 1) / 2
    angle = np.arctan2((hole * y).sum((1, 2)), (hole * x).sum((1, 2)))
    assert (np.histogram(angle, 4, (-np.pi, np.pi))[0] >= 8).all()
    # No straight line divides the missing pixels from the others.
    places = np.stack([x.ravel(), y.ravel()], axis=1) / n
    wrong = [
        1 - LogisticRegression(C=1e6, max_iter=500).fit(places, flat).score(places, flat)
        for flat in hole[:12].reshape(12, -1)
    ]
    assert 0.01 < np.median(wrong) < 0.1


def test_hide_appends_the_mask():
    x = jax.random.uniform(KEY, (5, 8, 6, 3))
    hidden = corruptions.hide(masks.torn(0.5), value=0.25)(KEY, x)
    assert hidden.shape == (5, 8, 6, 4)
    hole = np.asarray(hidden[..., 3]) == 1
    np.testing.assert_array_equal(hole, masks.torn(0.5)(KEY, x.shape)[..., 0])
    assert (np.asarray(hidden[..., :3])[hole] == 0.25).all()
    np.testing.assert_array_equal(np.asarray(hidden[..., :3])[~hole], np.asarray(x)[~hole])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: masks.block(1.5), "fraction of the image"),
        (lambda: masks.half("up"), "one of left, right, top, bottom"),
        (lambda: masks.pixels(-0.1), "probability"),
        (lambda: masks.torn(2.0), "part that is missing"),
        (lambda: masks.torn(0.5)(KEY, (3, 4)), "shape of images"),
        (lambda: corruptions.hide(masks.half(), value=1.5), "fill value"),
    ],
)
def test_bad_masks(make, message):
    with pytest.raises(ValueError, match=message):
        make()
